#!/bin/sh
# demo.sh KLINE_OPS: start the demo session, wait for its first planned restart, show what came of it.
set -eu
kline_ops=$1

"$kline_ops" start demo
echo "waiting for a planned restart of its connection (every 10 s) …"
tries=0
until "$kline_ops" status demo --json | grep -q '"restarts_planned": [1-9]' || [ $tries -ge 30 ]; do
    tries=$((tries + 1))
    sleep 1
done
echo
"$kline_ops" status demo
echo
"$kline_ops" analyze-gaps demo
cat <<TEXT

It goes on recording. What you need next:
  $kline_ops attach demo          # look at it; Ctrl+B D leaves it running
  $kline_ops logs demo -f         # follow its log
  $kline_ops analyze-gaps demo    # is anything missing?
  $kline_ops stop demo            # end it
TEXT
