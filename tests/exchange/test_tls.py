"""wss and https with throwaway certificates, good ones and those that a client must refuse."""

from __future__ import annotations

import asyncio
import builtins
import ssl
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from kline_ops.clock import SystemClock
from kline_ops.errors import InputError, MachineError
from kline_ops.exchange import tls
from kline_ops.exchange.market import Market
from kline_ops.exchange.server import ExchangeServer


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tls.Authority:
    return tls.make_authority(tmp_path_factory.mktemp("authority") / "new")


def meet(context: ssl.SSLContext, authority: tls.Authority) -> None:
    """Connect as a client that trusts this authority."""

    async def main() -> None:
        trust = ssl.create_default_context(cafile=authority.file)
        async with asyncio.timeout(10):
            async with ExchangeServer(Market(1), SystemClock(), ssl=context) as server:
                assert server.rest_url.startswith("https://")
                async with connect(server.ws_url, ssl=trust) as ws:
                    await (await ws.ping())
                    server.cut()
                    await ws.wait_closed()

    asyncio.run(main())


def test_a_good_certificate(authority: tls.Authority) -> None:
    meet(authority.good(), authority)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda authority: authority.expired(), "expired"),
        (lambda authority: authority.wrong_host(), "not valid for '127.0.0.1'"),
        (lambda _authority: tls.unknown_issuer(), "unable to get local issuer certificate"),
    ],
)
def test_certificates_to_refuse(authority: tls.Authority, make, reason: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=reason):
        meet(make(authority), authority)


def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="can not be written"):
        tls.make_authority(tmp_path / "file")


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *args, **kwargs):
        if name == "trustme":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MachineError) as error:
        tls.make_authority(tmp_path)
    assert "pip install 'kline-ops[tls]'" in error.value.one_line()
