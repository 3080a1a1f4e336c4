"""What each fault of an exchange costs, in real time, with default time-outs and 1 s candles.

Run it with `make bench-faults`; `--markdown` prints the README's tables. Each fault has an exchange and
a recorder of its own, and all run beside one another, for about three minutes. When a recorder has had
time to recover it is stopped, and its file is held against what the exchange had. `baseline.py` says
where the figures of others come from.

noticed   seconds from the fault to the first event that tells of it, mean
gap       seconds without a connection that brings data, for each fault
owed      candles that closed from the first row of the file to the end of the run
lost      those of them that the file has not, after recovery
wrong     rows that differ from what the exchange had
attempts  handshakes that reached the exchange after the first fault, refused ones included
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.benchmarks import baseline
from tests.benchmarks.fault_run import (
    CLOCK,
    Case,
    Fault,
    Outcome,
    Run,
    killed,
    measure,
    started_twice,
)
from tests.benchmarks.table import print_table

HALF_OPEN, FLAPPING, GARBAGE = "half-open", "accepts and closes for 20 s", "frames of garbage"


def close(code: int) -> Fault:
    return lambda run: run.server.close_all(code)


def close_in_turn(*codes: int) -> Fault:
    return lambda run: run.server.close_all(codes[(len(run.faults) - 1) % len(codes)])


def inject(text: str) -> Fault:
    return lambda run: run.server.inject(text)


def nothing(_run: Run) -> None:
    pass


def reset(run: Run) -> None:
    run.server.cut()


def shutdown_notice(run: Run) -> None:
    run.server.announce_shutdown(after=10.0)


def silent(run: Run) -> None:
    run.server.silence(600.0, *run.bring_nothing())


def silent_without_rest(run: Run) -> None:
    run.server.rest_down(90.0)
    silent(run)


def half_open(run: Run) -> None:
    run.server.half_open(600.0, *run.bring_nothing())


def refused(run: Run) -> None:
    run.server.refuse(20.0)
    run.server.cut()


def port_closed(run: Run) -> None:
    run.server.refuse(60.0, tcp=True)
    run.server.cut()


def accepts_and_closes(run: Run) -> None:
    run.server.accept_then_close(20.0, 1013)
    run.server.close_all(1013)


def handshakes_hang(run: Run) -> None:
    run.server.hang(20.0)
    run.server.cut()


def no_data(run: Run) -> None:
    run.server.ack_only(seconds=20.0)
    run.server.cut()


def close_withheld(run: Run) -> None:
    run.server.withhold("BTCUSDT", "1s", CLOCK.wall_ms() // 1000 * 1000)


def frames_doubled(run: Run) -> None:
    run.server.doubled(20.0)


def garbage(run: Run) -> None:
    run.server.garbage()


def kline(symbol: str, open_ms: int, **values: str) -> str:
    numbers = {"o": "1.0", "c": "1.0", "h": "1.0", "l": "1.0", "v": "1.0"} | values
    fields = ",".join(f'"{name}":"{value}"' for name, value in numbers.items())
    return (
        f'{{"e":"kline","E":{open_ms + 1000},"s":"{symbol}","k":{{"t":{open_ms},"T":{open_ms + 999},'
        f'"s":"{symbol}","i":"1s","f":1,"L":1,{fields},"n":1,"x":true,"q":"1.0","V":"1.0","Q":"1.0",'
        f'"B":"0"}}}}'
    )


def bad_price(run: Run) -> None:
    run.server.inject(kline("BTCUSDT", CLOCK.wall_ms() // 1000 * 1000 - 1000, c="abc"))


def foreign(run: Run) -> None:
    # 2023-01-01T00:00:00Z
    run.server.inject(kline("ETHUSDT", 1_672_531_200_000, h="1.0", l="2.0", v="-3.0"))


CASES = (
    Case("planned restart", baseline.PLANNED, nothing, every=130.0,
         changes={"binance__reconnect": {"modulo": "10s"}}),
    Case("close 1000", baseline.CLEAN_CLOSE, close(1000), times=3),
    Case("close 1001", baseline.GOING_AWAY, close(1001), times=3),
    Case("`serverShutdown`, 10 s later 1001", baseline.SHUTDOWN_NOTICE, shutdown_notice),
    Case("close 1008, 1011, 1012, 1013", baseline.ERROR_CLOSE, close_in_turn(1008, 1011, 1012, 1013), 4),
    Case("TCP reset", baseline.RESET, reset, times=6),
    Case(HALF_OPEN, baseline.HALF_OPEN, half_open, times=6),
    Case("silent, answers pings", baseline.SILENT, silent, times=3, every=30.0),
    Case("silent, and REST is down for 90 s", baseline.SILENT, silent_without_rest, every=120.0),
    Case("HTTP 503 for 20 s", baseline.REFUSED, refused, every=60.0),
    Case("port closed for 60 s, REST too", baseline.PORT_CLOSED, port_closed, every=120.0),
    Case(FLAPPING, baseline.FLAPPING, accepts_and_closes, every=60.0),
    Case("`kill -9`, started at once", baseline.KILLED, nothing, 15, every=7.5, record=killed),
    Case("started twice", baseline.TWICE, nothing, record=started_twice),
    Case("a price `abc`", baseline.BAD_PRICE, bad_price),
    Case("a frame `[]`", baseline.NO_OBJECT, inject("[]")),
    Case(GARBAGE, baseline.NOT_MEASURED, garbage),
    Case("every frame twice for 20 s", baseline.NOT_MEASURED, frames_doubled),
    Case("a close that is not told", baseline.NOT_MEASURED, close_withheld, times=3),
    Case("handshakes hang for 20 s", baseline.NOT_MEASURED, handshakes_hang, every=60.0),
    Case("opens, but brings no data for 20 s", baseline.NOT_MEASURED, no_data, every=60.0),
    Case("a candle of ETHUSDT, high below low", baseline.FOREIGN, foreign),
    Case("SHIBUSDT (0.00002345)", baseline.SMALL_PRICES, nothing,
         changes={"binance__stream": {"symbol": "shibusdt", "timeframe": "1s"}}),
)  # fmt: skip


def rows(cases: list[Case], outcomes: dict[str, Outcome]) -> list[list[str]]:
    told = []
    for case in cases:
        out = outcomes[case.name]
        times = f", {out.times} times" if out.times > 1 else ""
        noticed = "–" if out.noticed is None else f"{out.noticed:.2f}"
        counts = (out.owed, out.lost, out.doubled, out.wrong, out.attempts)
        told.append(
            [case.name + times, noticed, f"{out.gap:.2f}", *map(str, counts), case.baseline]
        )
    return told


def rows_of_others(outcomes: dict[str, Outcome]) -> list[list[str]]:
    ours = [
        "kline-ops",
        f"{outcomes[HALF_OPEN].noticed:.1f} s",
        str(outcomes[FLAPPING].attempts),
        f"goes on, {outcomes[GARBAGE].lost} lost",
    ]
    return [ours, *map(list, baseline.OTHERS)]


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--markdown", action="store_true", help="print the README's tables")
    parser.add_argument("--only", default="", help="the faults whose name has this in it")
    arguments = parser.parse_args()
    cases = [case for case in CASES if arguments.only in case.name]
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / str(number) for number in range(len(cases))]
        measured = await asyncio.gather(*map(measure, cases, places))
    outcomes = dict(zip((case.name for case in cases), measured, strict=True))
    print_table(
        ["", "noticed, s", "gap, s", "owed", "lost", "doubled", "wrong", "attempts", baseline.NAME],
        rows(cases, outcomes),
        markdown=arguments.markdown,
    )
    if not arguments.only:
        print_table(
            ["", "half-open: noticed after", "attempts in 20 s", "a frame of garbage"],
            rows_of_others(outcomes),
            markdown=arguments.markdown,
        )


if __name__ == "__main__":
    asyncio.run(main())
