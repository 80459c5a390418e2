# SPDX-License-Identifier: GPL-2.0-or-later
"""One end of a TLS 1.2 or 1.3 handshake that proves both ends by certificate and ends in keys (RFC 5216, RFC 9190).

Octets in, octets out: no sockets. OpenSSL does the handshake (and draws its own random numbers); what it accepts of the
peer's certificate is checked once more by whoever asks for `peer_certificates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import load_der_x509_certificate
from OpenSSL import SSL, crypto

from openswan.base.errors import CryptoError
from openswan.crypto.rsakey import PrivateKey

CHUNK = 16384
MOST_CIPHERTEXT = 1 << 17
"""Octets one flight may have; a chain with its proof has a few thousand."""
CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK:!SRP"
NO_AUTO_CHAIN = 0x8
"""SSL_MODE_NO_AUTO_CHAIN: our chain goes out as configured, no authority of ours with it."""
LEGACY_SERVER_CONNECT = 0x4
"""SSL_OP_LEGACY_SERVER_CONNECT."""
TYPE_CODE = b"\x0d"
KEYS = 128
"""Octets exported: the MSK and the EMSK, 64 each."""
COMMITMENT = b"\0"
"""TLS 1.3: one octet of application data says that the server has nothing further to say (RFC 9190 2.5)."""


class TlsEnd:
    """A handshake under way."""

    def __init__(
        self,
        *,
        server: bool,
        certificates: Sequence[bytes],
        key: PrivateKey,
        anchors: Sequence[bytes],
        at: datetime,
        newest: bool = True,
    ) -> None:
        """`certificates`: our chain, leaf first, and `anchors`: whom we trust, DER; `at`: the time they are judged by.

        CryptoError when there is no certificate or OpenSSL does not take it or its key. `newest`: TLS 1.3 may be used.
        """
        self.server = server
        try:
            context = _context(certificates, key, anchors, at, newest)
        except (SSL.Error, crypto.Error, ValueError, TypeError, UnsupportedAlgorithm) as why:
            raise CryptoError(f"certificate or key cannot be used for TLS: {_reason(why)}") from None
        self._connection = SSL.Connection(context, None)
        if server:
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()
        self.done = False
        """Is the handshake complete on this end?"""

    @property
    def version(self) -> str:
        """`TLSv1.2` or `TLSv1.3`."""
        return self._connection.get_protocol_version_name()

    @property
    def commits(self) -> bool:
        """Does the server say a last word?"""
        return self.version == "TLSv1.3"

    def feed(self, data: bytes) -> bytes:
        """Take a flight of the peer's (empty: begin) and give ours, which may be empty; TlsError when it fails."""
        if data:
            self._connection.bio_write(data)
        failed = ""
        if not self.done:
            try:
                self._connection.do_handshake()
                self.done = True
            except SSL.WantReadError:
                pass
            except (SSL.Error, ValueError) as why:
                failed = _reason(why)
        flight = self._flight()
        if failed:
            raise TlsError(failed, flight)
        return flight

    def commit(self) -> bytes:
        """The server's last word, and whatever else it has to send."""
        self._connection.send(COMMITMENT)
        return self._flight()

    def committed(self) -> bool:
        """Has the server said its last word? TlsError when it said something else."""
        try:
            said = self._connection.recv(CHUNK)
        except SSL.WantReadError:
            return False
        except (SSL.Error, ValueError) as why:
            raise TlsError(_reason(why), b"") from None
        if said != COMMITMENT:
            raise TlsError("application data that is no commitment", b"")
        return True

    def keys(self) -> bytes:
        """MSK and EMSK (RFC 5216 2.3, RFC 9190 2.3)."""
        if self.commits:
            return self._connection.export_keying_material(b"EXPORTER_EAP_TLS_Key_Material", KEYS, TYPE_CODE)
        return self._connection.export_keying_material(b"client EAP encryption", KEYS)

    def peer_certificates(self) -> tuple[bytes, ...]:
        """What the peer proved itself by, leaf first, DER."""
        chain = self._connection.get_peer_cert_chain() or []
        certificates = [crypto.dump_certificate(crypto.FILETYPE_ASN1, one) for one in chain]
        leaf = self._connection.get_peer_certificate()
        if leaf is not None:
            first = crypto.dump_certificate(crypto.FILETYPE_ASN1, leaf)
            certificates = [first, *(one for one in certificates if one != first)]
        return tuple(certificates)

    def _flight(self) -> bytes:
        flight = b""
        while True:
            try:
                flight += self._connection.bio_read(CHUNK)
            except SSL.WantReadError:
                return flight


class TlsError(CryptoError):
    """A handshake has failed; `alert` is what the peer is to be told, perhaps nothing."""

    def __init__(self, reason: str, alert: bytes) -> None:
        super().__init__(f"TLS handshake failed: {reason}")
        self.alert = alert


def _context(
    certificates: Sequence[bytes], key: PrivateKey, anchors: Sequence[bytes], at: datetime, newest: bool
) -> SSL.Context:
    if not certificates:
        raise ValueError("there is none")
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_max_proto_version(SSL.TLS1_3_VERSION if newest else SSL.TLS1_2_VERSION)
    # No renegotiation, no compression, no resumption: one handshake, each time with both certificates.
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET | getattr(SSL, "OP_NO_RENEGOTIATION", 0))
    # Servers that cannot renegotiate securely do for us, as nobody ever renegotiates here (RFC 5746 4.1).
    context.set_options(LEGACY_SERVER_CONNECT)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_cipher_list(CIPHERS)
    context.set_mode(NO_AUTO_CHAIN)
    leaf, *others = (load_der_x509_certificate(der) for der in certificates)
    context.use_certificate(leaf)
    for other in others:
        context.add_extra_chain_cert(other)
    context.use_privatekey(key)
    context.check_privatekey()
    store = context.get_cert_store()
    if store is None:
        raise ValueError("no certificate store")
    for anchor in anchors:
        store.add_cert(crypto.X509.from_cryptography(load_der_x509_certificate(anchor)))
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    store.set_time(at)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
    return context


def _reason(why: Exception) -> str:
    """OpenSSL's own words."""
    if isinstance(why, SSL.Error | crypto.Error) and why.args and isinstance(why.args[0], list):
        return "; ".join(str(row[-1]) for row in why.args[0] if row) or "no reason given"
    return str(why) or type(why).__name__
