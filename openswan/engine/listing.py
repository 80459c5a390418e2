# SPDX-License-Identifier: GPL-2.0-or-later
"""`auto --list...`: public keys, certificates, revocation lists, OCSP answers and secrets, in the classic shape.

All dates are UTC: pluto knows no other time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509 as library
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from openswan.base.errors import CryptoError
from openswan.crypto import rsakey, x509
from openswan.crypto.crl import RevocationList, crl_uris
from openswan.crypto.rsakey import PublicKey
from openswan.engine.identities import identity_of
from openswan.policy.connection import End
from openswan.policy.identity import Identity, IdKind

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

KIND_NAMES = {
    IdKind.IPV4_ADDR: "ID_IPV4_ADDR",
    IdKind.FQDN: "ID_FQDN",
    IdKind.USER_FQDN: "ID_USER_FQDN",
    IdKind.IPV6_ADDR: "ID_IPV6_ADDR",
    IdKind.DER_ASN1_DN: "ID_DER_ASN1_DN",
    IdKind.KEY_ID: "ID_KEY_ID",
    IdKind.NULL: "ID_NULL",
}
WARN_KEY, WARN_CERT, WARN_LIST = timedelta(days=7), timedelta(days=30), timedelta(days=7)
"""How long before its end a date is warned about."""


def date(when: datetime) -> str:
    """`Nov 28 09:55:30 UTC 2026`."""
    return f"{when:%b %d %H:%M:%S} UTC {when.year}"


def expiry(until: datetime, now: datetime, soon: timedelta, strict: bool = True) -> str:
    """Whether something still counts: `ok (expires in 90 days)`, `warning (expires in 3 days)`, `fatal (expired)`."""
    left = until - now
    if left < timedelta():
        return f"{'fatal' if strict else 'warning'} (expired)"
    amount, unit = (
        (left.days, "days") if left >= timedelta(days=2) else (left.seconds // 60 + 1440 * left.days, "minutes")
    )
    word = "warning" if left < soon else "ok"
    return f"{word} (expires in {amount} {unit})"


def bits(key: PublicKey) -> str:
    """` 2048 RSA`, `  256 ECDSA`: size and kind of a key."""
    if isinstance(key, rsa.RSAPublicKey):
        return f"{key.key_size:4} RSA"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"{key.key_size:4} ECDSA"
    return f"{256:4} EdDSA"


def title(text: str) -> Iterator[str]:
    """What stands above a list."""
    yield ""
    yield f"List of {text}:"
    yield ""


class Listing:
    """What the lists are made of."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.now = brain.revocation.clock(brain.core.now)
        self.lists: dict[str, Callable[[], Iterator[str]]] = {
            "listpubkeys": self.public_keys,
            "checkpubkeys": self.expiring_keys,
            "listcerts": self.end_certificates,
            "listcacerts": self.authorities,
            "listocspcerts": self.responders,
            "listcrls": self.crls,
            "listocsp": self.answers,
            "listpsks": self.secrets,
            "listaacerts": lambda: title("X.509 AA Certificates"),
            "listacerts": lambda: title("X.509 Attribute Certificates"),
            "listgroups": lambda: title("User Groups"),
        }
        """Verb -> its lines. There are no attribute certificates here, so three lists are always empty."""

    def lines(self, verb: str) -> Iterator[str]:
        """The lines of one list, or of all that hold something (listall)."""
        if verb != "listall":
            yield from self.lists[verb]()
            return
        for name in ("listpubkeys", "listpsks", "listcerts", "listcacerts", "listocspcerts", "listcrls", "listocsp"):
            yield from self.lists[name]()

    # -- keys ---------------------------------------------------------------------------------------------------------

    def _ends(self) -> Iterator[End]:
        for conn in self.brain.core.conns:
            if not conn.instance:
                yield from (conn.policy.left, conn.policy.right)

    def _has_private(self, public: bytes) -> bool:
        return self.brain.keyring.secrets.private_key(None, public) is not None

    def public_keys(self) -> Iterator[str]:
        """Raw keys and those of certificates, each once with every identity it stands for."""
        yield from title("Public Keys")
        for lines in self._public_keys():
            yield from lines

    def _public_keys(self) -> Iterator[list[str]]:
        """The lines of each key; of one that cannot be read there are none."""
        seen: set[tuple[bytes, Identity | None]] = set()
        for end in self._ends():
            name = identity_of(end, end.host.address)
            for raw in (*end.rsa_keys, *([end.cert] if end.cert else [])):
                if (raw, name) in seen:
                    continue
                seen.add((raw, name))
                if lines := list(self._public_key(raw, name, raw == end.cert)):
                    yield lines

    def expiring_keys(self) -> Iterator[str]:
        """Of the public keys those that have expired or soon will."""
        for lines in self._public_keys():
            if " ok (" not in lines[0]:
                yield from lines

    def _public_key(self, raw: bytes, name: Identity | None, certified: bool) -> Iterator[str]:
        private = "has private key" if self._has_private(raw) else "no private key"
        try:
            if certified:
                cert = x509.load(raw)
                key, until = x509.public_key(cert), cert.not_valid_after_utc
                tail = f"until {date(until)} {expiry(until, self.now, WARN_KEY)}"
                issuer = x509.show_name(cert.issuer)
            else:
                key, tail, issuer = rsakey.decode_public(raw), "until --- -- --:--:-- UTC ---- ok (expires never)", ""
        except CryptoError:
            return
        yield f"{date(self.now)}, {bits(key)} Key {_keyid(key)} ({private}), {tail}"
        if name is not None:
            yield f"       {KIND_NAMES.get(name.kind, name.kind)} '{name}'"
        if issuer:
            yield f"       Issuer '{issuer}'"

    def secrets(self) -> Iterator[str]:
        """Where each secret stands and whom it is for, never what it is."""
        yield from title("Pre-shared secrets and private keys")
        for secret in self.brain.keyring.secrets.secrets:
            indices = " ".join(str(i.identity or i.name or "%any") for i in secret.indices) or "%any"
            yield f"    {secret.where}: {secret.kind.name} {indices}"

    # -- certificates -------------------------------------------------------------------------------------------------

    def end_certificates(self) -> Iterator[str]:
        """Those of connections; the count says how many ends use one."""
        yield from title("X.509 End Certificates")
        counts: dict[bytes, int] = {}
        for end in self._ends():
            if end.cert:
                counts[end.cert] = counts.get(end.cert, 0) + 1
        for secret in self.brain.keyring.secrets.secrets:
            for der in secret.certificates[:1]:
                counts.setdefault(der, 1)
        yield from self._certificates([(der, f"count: {count}") for der, count in counts.items()])

    def authorities(self) -> Iterator[str]:
        """Those of cacerts and of ca sections."""
        yield from title("X.509 CA Certificates")
        yield from self._certificates([(der, "count: 1") for der in self.brain.keyring.anchors])

    def responders(self) -> Iterator[str]:
        """Those of ocspcerts."""
        yield from title("X.509 OCSP Certificates")
        yield from self._certificates([(x509.der(c), "count: 1") for c in self.brain.revocation.known.responders])

    def _certificates(self, ders: Sequence[tuple[bytes, str]]) -> Iterator[str]:
        read = date(self.brain.revocation.read_at or self.now)
        for der, tail in ders:
            try:
                cert = x509.load(der)
            except CryptoError:
                continue  # whoever read it has complained
            yield f"{read}, {tail}"
            yield from self._certificate(cert, der)

    def _certificate(self, cert: library.Certificate, der: bytes) -> Iterator[str]:
        start, end = cert.not_valid_before_utc, cert.not_valid_after_utc
        private = ", has private key" if self._has_private(der) else ""
        yield f"       subject: '{x509.show_name(cert.subject)}'"
        yield f"       issuer:  '{x509.show_name(cert.issuer)}'"
        yield f"       serial:   {_octets(cert.serial_number)}"
        try:
            key = x509.public_key(cert)
            yield f"       pubkey:   {bits(key)} Key {_keyid(key)}{private}"
        except CryptoError:
            yield "       pubkey:   of a kind that is not used here"
        yield f"       validity: not before {date(start)} {'ok' if start <= self.now else 'fatal (not valid yet)'}"
        yield f"                 not after  {date(end)} {expiry(end, self.now, WARN_CERT)}"
        yield from _identifiers(cert)
        for uri in crl_uris(cert):
            yield f"       distPts: '{_shown(uri)}'"

    # -- revocation ---------------------------------------------------------------------------------------------------

    def crls(self) -> Iterator[str]:
        """Every list at hand, from files and fetched."""
        yield from title("X.509 CRLs")
        for one in self.brain.revocation.known.lists:
            yield from self._crl(one)

    def _crl(self, one: RevocationList) -> Iterator[str]:
        crl = one.crl
        yield f"{date(self.brain.revocation.read_at or self.now)}, revoked certs: {len(crl)}"
        yield f"       issuer:  '{x509.show_name(crl.issuer)}'"
        if one.uri:
            yield f"       distPts: '{_shown(one.uri)}'"
        yield f"       updates:  this {date(crl.last_update_utc)}"
        yield f"                 next {date(one.until)} {expiry(one.until, self.now, WARN_LIST)}"
        try:
            found = crl.extensions.get_extension_for_class(library.AuthorityKeyIdentifier).value.key_identifier
            if found:
                yield f"       authkey:  {found.hex(':')}"
        except library.ExtensionNotFound:
            pass

    def answers(self) -> Iterator[str]:
        """What OCSP responders have said."""
        yield from title("OCSP responses")
        for name, answer in self.brain.revocation.known.answers.items():
            state = f"revoked on {date(answer.revoked)}" if answer.revoked is not None else "good"
            counts = expiry(answer.until, self.now, timedelta(), False)
            yield f"{date(answer.since)}, until {date(answer.until)} {counts}"
            yield f"       serial:   {_octets(name.serial)}, {state}"
            yield f"       issuer key {name.issuer_key.hex(':')}"
            yield f"       responder '{answer.responder}'"


def _keyid(key: PublicKey) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        return rsakey.keyid(rsakey.encode_public(key))
    return x509.spki_hash(key).hex()[:9].upper()


def _octets(number: int) -> str:
    return number.to_bytes((number.bit_length() + 8) // 8, "big").hex(":")


def _identifiers(cert: library.Certificate) -> Iterator[str]:
    for kind, name, attribute in (
        (library.SubjectKeyIdentifier, "subjkey", "digest"),
        (library.AuthorityKeyIdentifier, "authkey", "key_identifier"),
    ):
        try:
            value = getattr(cert.extensions.get_extension_for_class(kind).value, attribute)
        except library.ExtensionNotFound:
            continue
        if value:
            yield f"       {name}:  {value.hex(':')}"


def _shown(text: str) -> str:
    return "".join(char if char.isprintable() and char != "'" else "?" for char in text)
