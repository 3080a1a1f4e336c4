"""The table of commands. Each stands in a file of its own name."""

from __future__ import annotations

from typing import Annotated

import typer

from kline_ops.cli import (
    alert_test,
    analyze_gaps,
    attach,
    backfill,
    config,
    doctor,
    drill,
    exchange,
    import_,
    init,
    logs,
    restart,
    run,
    sessions,
    start,
    status,
    stop,
    supervise,
    units,
    verify,
    watchdog,
)

app = typer.Typer(
    name="kline-ops",
    help="Records exchange candles for years and proves that none is missing.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"kline-ops {version('kline-ops')}")
        raise typer.Exit


@app.callback()
def _main(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


app.command("start")(start.start)
app.command("attach")(attach.attach)
app.command("status")(status.status)
app.command("list")(sessions.list_sessions)
app.command("logs")(logs.logs)
app.command("stop")(stop.stop)
app.command("restart")(restart.restart)
app.command("analyze-gaps")(analyze_gaps.analyze_gaps)
app.command("backfill")(backfill.backfill)
app.command("verify")(verify.verify)
app.command("import")(import_.import_)
app.command("watchdog")(watchdog.watchdog)
app.command("run")(run.run)
app.command("supervise", hidden=True)(supervise.supervise)
app.command("units")(units.units)
app.command("init")(init.init)
app.command("doctor")(doctor.doctor)
app.command("alert-test")(alert_test.alert_test)
app.command("drill")(drill.drill)
app.command("exchange")(exchange.exchange)
app.add_typer(config.app, name="config")
