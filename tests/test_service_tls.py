"""Over TLS: a good certificate records; a bad one is refused, in one line that says why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from ssl import SSLContext

import pytest

from kline_ops import events
from kline_ops.exchange import tls
from kline_ops.exchange.tls import Authority
from tests.support.trial import Trial, run_trial


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An issuer that this test trusts, the way a user would: by SSL_CERT_FILE."""
    made = tls.make_authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    return made


def test_a_good_certificate_records_and_rest_trusts_it_too(
    tmp_path: Path, authority: Authority
) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(8)
        trial.server.refuse(5)
        trial.server.close_all(1001)

    trial = run_trial(tmp_path, 25, script, tls=authority.good())
    assert trial.settings.ws_url is not None
    assert trial.settings.ws_url.startswith("wss://")
    assert trial.rows() == trial.truth()
    assert trial.of(events.HoleFilled)


@pytest.mark.parametrize(
    ("context", "words"),
    [
        (Authority.expired, "certificate has expired"),
        (Authority.wrong_host, "IP address mismatch"),
        (lambda _: tls.unknown_issuer(), "unable to get local issuer certificate"),
    ],
    ids=["expired", "another host", "unknown issuer"],
)
def test_a_bad_certificate_is_refused_with_one_line(
    tmp_path: Path, authority: Authority, context: Callable[[Authority], SSLContext], words: str
) -> None:
    trial = run_trial(tmp_path, 20, tls=context(authority))
    assert trial.rows() == []
    reasons = {e.reason for e in trial.of(events.Disconnected)}
    assert len(reasons) == 1
    (reason,) = reasons
    assert reason.startswith("its certificate is not valid")
    assert words in reason
    assert "\n" not in reason
    (failed,) = trial.of(events.BackfillFailed)
    assert words in failed.reason
