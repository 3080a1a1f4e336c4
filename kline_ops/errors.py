"""What can go wrong, by what the reader must do about it.

``KlineOpsError``            one line: what, where; ``hint`` says what to try
├── ``ConfigError``          the user's file or flag is wrong; restarting will not help
├── ``InputError``           a candle file or argument can not be used
├── ``VenueError``           the exchange refused or could not be reached; ``retryable`` says which
├── ``JournalError``         the candle file can not be written or is not ours to write
├── ``SessionError``         a session is not what the command needs it to be
└── ``MachineError``         this machine lacks something (tmux)

The command line prints the message and exits with ``exit_code``; the codes are those that
users script against (0 good, 1 a finding, 2 usage/config/input, 3 not running, 4 no such
session, 5 this machine lacks something).
"""

from __future__ import annotations

EXIT_GOOD = 0
EXIT_FINDING = 1
EXIT_USAGE = 2
EXIT_NOT_RUNNING = 3
EXIT_NO_SESSION = 4
EXIT_MACHINE = 5


class KlineOpsError(Exception):
    """The root. ``str()`` is one line; ``hint`` is what to try, or empty."""

    exit_code: int = EXIT_FINDING

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def one_line(self) -> str:
        """The message and the hint on a single line, whatever was put into them."""
        text = str(self)
        if self.hint:
            text = f"{text}. Try: {self.hint}"
        return " ".join(text.split())


class ConfigError(KlineOpsError):
    """A config value can not be used. ``field`` is its dotted path (``binance.ws_url``)."""

    exit_code = EXIT_USAGE

    def __init__(self, message: str, *, field: str = "", hint: str = "") -> None:
        super().__init__(f"{field}: {message}" if field else message, hint=hint)
        self.field = field


class InputError(KlineOpsError):
    """A file or an argument that can not be used as what it was given for."""

    exit_code = EXIT_USAGE


class VenueError(KlineOpsError):
    """The exchange refused, or could not be reached.

    ``retryable`` is False where the same request will fail again (an unknown symbol).
    ``retry_after`` is the wait in seconds that the exchange asked for, or None.
    ``status`` is the HTTP status of its answer; None where there was none.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool,
        retry_after: float | None = None,
        status: int | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.retryable = retryable
        self.retry_after = retry_after
        self.status = status


class JournalError(KlineOpsError):
    """The candle file can not be opened or written. ``transient``: it may heal (a full disk)."""

    exit_code: int = EXIT_USAGE

    def __init__(self, message: str, *, transient: bool = False, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.transient = transient
        if transient:
            self.exit_code = EXIT_FINDING  # trying again may help: not final for a supervisor


class SessionError(KlineOpsError):
    """A session is unknown, or not in the state that the command needs."""

    def __init__(self, message: str, *, exit_code: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class MachineError(KlineOpsError):
    """This machine lacks something that the command needs."""

    exit_code = EXIT_MACHINE
