"""Whose certificates a session trusts: the system's store, or what ``SSL_CERT_FILE`` names.

OpenSSL passes over a file that is not there without a word, and trusts nobody then: every certificate
would be called invalid (SSL_CTX_set_default_verify_paths(3), "RETURN VALUES").
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from kline_ops.config.settings import Settings
from kline_ops.errors import ConfigError

_VARIABLE = "SSL_CERT_FILE"


def tls_context(environ: Mapping[str, str]) -> ssl.SSLContext:
    """What checks the certificates of an exchange; OpenSSL itself reads the process's environment.

    Raises:
        ConfigError: ``SSL_CERT_FILE`` names something that holds no certificates.
    """
    context = ssl.create_default_context()
    if path := environ.get(_VARIABLE):
        try:
            context.load_verify_locations(path)
        except ssl.SSLError:
            raise _refused(path, "holds no certificate") from None
        except OSError as error:
            raise _refused(path, (error.strerror or str(error)).lower()) from None
    return context


def check_trust(settings: Settings, environ: Mapping[str, str]) -> None:
    """Refuse what the session could not begin with, before anything is touched.

    Raises:
        ConfigError: like :func:`tls_context`, where the session uses TLS.
    """
    if settings.uses_tls:
        tls_context(environ)


def _refused(path: str, why: str) -> ConfigError:
    hint = "unset it to trust the system's certificates"
    return ConfigError(f"{path}: {why}", field=_VARIABLE, hint=hint)
