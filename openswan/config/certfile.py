# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificate files by name: leftcert= in ipsec.d/certs, cacert= in ipsec.d/cacerts; PEM, DER or PKCS#12."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from openswan.base.errors import ConfigError, CryptoError
from openswan.crypto.pkcs12 import is_pkcs12, load_bundle
from openswan.crypto.x509 import der, load_all

MOST_OCTETS = 1 << 20
Passphrases = Callable[[str], Sequence[str]]
"""A PKCS#12 file's name to the passphrases that ipsec.secrets has for it."""


class CertFiles:
    """The certificates of one ipsec.d."""

    def __init__(self, directory: str, passphrases: Passphrases = lambda name: ()) -> None:
        self.directory = directory
        self.passphrases = passphrases

    def own(self, name: str) -> tuple[bytes, ...]:
        """leftcert=: DER of the certificate and of those above it in the same file; ConfigError names the file.

        A PKCS#12 file may lie in private as well.
        """
        path = os.path.join(self.directory, "certs", name)
        other = os.path.join(self.directory, "private", name)
        if not os.path.exists(path) and os.path.exists(other):
            path = other
        data = _content(path)
        try:
            if is_pkcs12(data):
                return _from_bundle(data, path, self.passphrases(name))
            return tuple(der(cert) for cert in load_all(data, f"'{path}'"))
        except (CryptoError, ValueError) as why:
            raise ConfigError(f"'{path}' holds no usable certificate: {why}") from None

    def authority(self, name: str) -> tuple[bytes, ...]:
        """cacert=: the certificates of a file in cacerts."""
        path = os.path.join(self.directory, "cacerts", name)
        try:
            return tuple(der(cert) for cert in load_all(_content(path), f"'{path}'"))
        except CryptoError as why:
            raise ConfigError(f"'{path}' holds no usable certificate: {why}") from None


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_OCTETS + 1)
    except (OSError, ValueError) as why:
        reason = why.strerror if isinstance(why, OSError) and why.strerror else "not a file name"
        raise ConfigError(f"cannot read certificate '{path}': {reason}") from None
    if len(data) > MOST_OCTETS:
        raise ConfigError(f"certificate '{path}' is larger than {MOST_OCTETS >> 20} MiB")
    return data


def _from_bundle(data: bytes, path: str, passphrases: Iterable[str]) -> tuple[bytes, ...]:
    for passphrase in dict.fromkeys((*passphrases, "")):
        try:
            return load_bundle(data, passphrase).certificates
        except CryptoError as why:
            reason = why
    raise ConfigError(f"'{path}': {reason}; write `: P12 {os.path.basename(path)} \"passphrase\"' into ipsec.secrets")
