# SPDX-License-Identifier: GPL-2.0-or-later
"""Two ends of a handshake: both versions, the same keys, and certificates that do not do."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from openswan.base.errors import CryptoError
from openswan.crypto.rsakey import PrivateKey
from openswan.crypto.tls import TlsEnd, TlsError
from tests.unit.crypto.keys import NOW, certify, ec_key, ed_key, rsa_key

ROOT = certify("root", ec_key(), "root", ec_key(), authority=True).public_bytes(Encoding.DER)
OTHER = certify("other", rsa_key(), "other", rsa_key(), authority=True).public_bytes(Encoding.DER)


def leaf(name: str, key: PrivateKey) -> bytes:
    return certify(name, key, "root", ec_key()).public_bytes(Encoding.DER)


def ends(
    newest: bool = True, key: PrivateKey | None = None, anchors: bytes = ROOT, days: int = 0
) -> tuple[TlsEnd, TlsEnd]:
    key = key or rsa_key()
    at = NOW + timedelta(days=days)
    server = TlsEnd(server=True, certificates=(leaf("server", key),), key=key, anchors=(ROOT,), at=at, newest=newest)
    client = TlsEnd(server=False, certificates=(leaf("client", key),), key=key, anchors=(anchors,), at=at)
    return client, server


def shake(client: TlsEnd, server: TlsEnd) -> None:
    flight = client.feed(b"")
    for _ in range(6):
        flight = server.feed(flight)
        if server.done and client.done:
            assert client.feed(flight) == b""
            return
        flight = client.feed(flight)
    raise AssertionError("the handshake does not end")


@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize("key", [rsa_key(), ec_key("secp384r1"), ed_key()], ids=["rsa", "ecdsa", "ed25519"])
def test_both_versions(newest: bool, key: PrivateKey) -> None:
    client, server = ends(newest, key)
    shake(client, server)
    assert client.version == server.version == ("TLSv1.3" if newest else "TLSv1.2")
    assert client.keys() == server.keys() and len(client.keys()) == 128
    assert [len(end.peer_certificates()) for end in (client, server)] == [1, 1]


def test_the_last_word_of_a_server() -> None:
    client, server = ends()
    shake(client, server)
    assert client.commits and not client.committed()
    assert client.feed(server.commit()) == b"" and client.committed()


def test_another_word_is_none() -> None:
    client, server = ends()
    shake(client, server)
    server._connection.send(b"hello")
    client.feed(server._flight())
    with pytest.raises(TlsError, match="no commitment"):
        client.committed()


@pytest.mark.parametrize("more", [{"anchors": OTHER}, {"days": 400}, {"days": -400}])
def test_a_certificate_that_does_not_do(more: dict[str, object]) -> None:
    client, server = ends(**more)  # type: ignore[arg-type]
    flight = server.feed(client.feed(b""))
    with pytest.raises(TlsError) as caught:
        client.feed(flight)
    assert caught.value.alert, "the server is told"


def test_a_client_without_certificate_cannot_be_made() -> None:
    with pytest.raises(CryptoError, match="there is none"):
        TlsEnd(server=False, certificates=(), key=rsa_key(), anchors=(ROOT,), at=NOW)
    with pytest.raises(CryptoError, match="cannot be used for TLS"):
        TlsEnd(server=False, certificates=(leaf("x", ec_key()),), key=rsa_key(), anchors=(ROOT,), at=NOW)


@pytest.mark.parametrize("junk", [b"\0", b"\x16\x03\x01\x00\x05hello", b"GET / HTTP/1.0\r\n\r\n", bytes(5000)])
def test_junk(junk: bytes) -> None:
    _, server = ends()
    with pytest.raises(TlsError):
        server.feed(junk)
        server.feed(junk * 10)
