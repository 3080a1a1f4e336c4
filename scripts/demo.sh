#!/bin/sh
# demo.sh KLINE_OPS: start the demo session, wait for its first planned restart, show what came of it.
set -eu
kline_ops=$1

"$kline_ops" start demo
planned() {
    "$kline_ops" status demo --json | sed -n 's/.*"restarts_planned": \([0-9]*\).*/\1/p'
}
before=$(planned)  # of earlier runs, too
echo "waiting for a planned restart of its connection (every 10 s) …"
tries=0
until [ "$(planned)" -gt "${before:-0}" ] || [ $tries -ge 30 ]; do
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
