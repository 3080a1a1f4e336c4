"""The command line: one command a file, imported when it is called.

``status`` must answer within milliseconds, so nothing is imported here but Typer: the command that is
called brings what it needs.
"""

from __future__ import annotations

import contextlib
import os
import sys

from kline_ops.cli import output
from kline_ops.errors import EXIT_FINDING, EXIT_USAGE, KlineOpsError

#: Set it to see where an unexpected error came from.
TRACEBACK = "KLINE_OPS_TRACEBACK"
_INTERRUPTED = 130


def main() -> None:
    """Run a command; every error is one line on stderr, and an exit code people can script."""
    output.guard()
    sys.exit(_run())


def _run() -> int:
    import typer

    from kline_ops.cli.app import app

    usage_error = typer.BadParameter.__mro__[1]  # UsageError, which Typer does not export
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except output.ReaderGoneError as error:
        output.discard()
        return error.exit_code
    except output.OutputError as error:
        output.discard()
        return _fail(error.one_line(), error.exit_code)
    except KlineOpsError as error:
        return _fail(error.one_line(), error.exit_code)
    except typer.Abort:
        return _INTERRUPTED
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:
        if isinstance(error, usage_error):
            # Without arguments the help is shown, and there is nothing more to say.
            text = _usage(error)
            return _fail(text, EXIT_USAGE) if text else EXIT_USAGE
        if os.environ.get(TRACEBACK):
            raise
        text = f"unexpected {type(error).__name__}: {error}. Try: {TRACEBACK}=1 to see where"
        return _fail(text, EXIT_FINDING)
    return code if isinstance(code, int) else 0


def _usage(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "kline-ops"
    message = getattr(error, "format_message", error.__str__)()
    return f"{message.rstrip('.')} (see: {path} --help)" if message.strip() else ""


def _fail(text: str, code: int) -> int:
    from kline_ops.secret import redacted

    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(f"kline-ops: {' '.join(redacted(text).split())}", file=sys.stderr)  # noqa: T201 - errors only
    return code
