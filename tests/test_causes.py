"""One short line for whatever a library raised."""

import asyncio
import errno
import itertools
import socket
import ssl

import pytest

from kline_ops.causes import in_one_line, root_cause
from kline_ops.errors import InputError


def chained(*links: BaseException) -> BaseException:
    """Outermost first."""
    for outer, inner in itertools.pairwise(links):
        outer.__cause__ = inner
    return links[0]


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (REFUSED, "Connection refused"),
        (
            chained(RuntimeError("Max retries exceeded with url: /x"), ValueError("y"), REFUSED),
            "Connection refused",
        ),
        (RuntimeError("wrapped", REFUSED), "Connection refused"),
        (
            socket.gaierror(-2, "Name or service not known"),
            "its name does not resolve (Name or service not known)",
        ),
        (
            chained(RuntimeError("x"), socket.gaierror(-3, "Temporary failure")),
            "its name does not resolve (Temporary failure)",
        ),
        (TimeoutError(), "TimeoutError"),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), "Connection timed out"),
        (ValueError("a\n  b\tc"), "a b c"),
        (OSError("no number"), "no number"),
        (asyncio.IncompleteReadError(b"", 5), "0 bytes read on a total of 5 expected bytes"),
        (EOFError(), "EOFError"),
    ],
)
def test_the_innermost_reason_that_means_something_is_told(error: BaseException, text: str) -> None:
    assert root_cause(error).lower() == text.lower()


def test_asyncios_own_words_for_a_refusal_are_made_plain() -> None:
    error = ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 9)")
    assert root_cause(error) == "connection refused"


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (errno.EHOSTUNREACH, "route"),
        (errno.ENETUNREACH, "unreachable"),
        (errno.ETIMEDOUT, "timed out"),
        (errno.EACCES, "denied"),
    ],
)
def test_asyncio_uses_the_same_words_for_other_failures_which_are_no_refusal(
    number: int, word: str
) -> None:
    error = OSError(number, "Connect call failed ('10.0.0.1', 9443)")
    assert word in root_cause(error)


def test_a_real_refusal_on_this_machine_is_told_plainly() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        async def main() -> str:
            try:
                await asyncio.open_connection("127.0.0.1", port)
            except OSError as error:
                return root_cause(error)
            raise AssertionError("somebody answered")

        assert asyncio.run(main()).lower() == "connection refused"


def test_a_certificate_is_told_of_with_its_fault() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    told = root_cause(chained(RuntimeError("x"), error))
    assert told == "its certificate is not valid (certificate has expired)"


def test_a_certificate_error_without_details_is_told_of_too() -> None:
    assert "certificate" in root_cause(ssl.SSLCertVerificationError("certificate verify failed"))


def test_errors_in_a_circle_and_in_a_long_chain_come_to_an_end() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert root_cause(one) == "one"
    assert root_cause(chained(*(ValueError(str(n)) for n in range(500)), REFUSED)) == "0"


def test_the_line_is_short_whatever_was_said() -> None:
    for error in (ValueError("x" * 10_000), OSError("y\n" * 10_000), OSError(5, "z" * 10_000)):
        assert len(root_cause(error)) <= 200
        assert "\n" not in root_cause(error)


def test_no_secret_of_an_address_is_told() -> None:
    url = "https://user:hidden@host/x?token=hidden"
    for error in (ValueError(f"no {url}"), OSError(f"{url} failed"), InputError(f"no {url}")):
        assert root_cause(error).replace("no ", "") in {
            "https://…@host/x?token=…", "https://…@host/x?token=… failed",
        }  # fmt: skip
        assert "hidden" not in in_one_line(error)
    assert root_cause(ValueError("with url: /services/T/B/hidden")) == "with url: /services/…"
