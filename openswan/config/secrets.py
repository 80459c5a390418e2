# SPDX-License-Identifier: GPL-2.0-or-later
"""The secrets of ipsec.secrets once read, and choosing the one that serves a pair of identities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, IntFlag

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cryptography.x509 import load_der_x509_certificate

from openswan.base.address import Address
from openswan.base.errors import CryptoError
from openswan.crypto.rsakey import decode_public
from openswan.crypto.tokenkey import SigningKey
from openswan.policy.identity import Identity, IdKind, address_identity, matches


class SecretKind(Enum):
    """The word after the colon; every asymmetric key stands under RSA or ECDSA in the file."""

    PSK = "PSK"
    PRIVATE_KEY = "RSA"
    PPK = "PPKS"
    """A postquantum preshared key, which has a name."""
    XAUTH = "XAUTH"
    """A user's password: XAUTH or EAP in the file."""


@dataclass(frozen=True, slots=True)
class Index:
    """One index of a record: an identity, a bare host name, or %any (both None)."""

    identity: Identity | None = None
    name: str = ""
    """A bare host name: stands for @name and for the addresses it has, once with_addresses() has told them."""
    addresses: tuple[Address, ...] = ()
    version: int = 0
    """Of %any (4) and %any6 (6), which both stand for any peer; 0 otherwise."""

    @property
    def any(self) -> bool:
        """Is this %any or %any6?"""
        return self.version != 0

    @property
    def user(self) -> str:
        """The user this index names; empty when it names no user."""
        if self.identity is not None and self.identity.kind in (IdKind.FQDN, IdKind.USER_FQDN, IdKind.KEY_ID):
            return self.identity.body.decode("utf-8", "replace")
        return self.name

    def covers(self, identity: Identity) -> bool:
        """Does this index name that identity?"""
        if self.identity is not None:
            return matches(self.identity, identity)
        if self.name:
            return matches(Identity(IdKind.FQDN, self.name.encode()), identity) or identity.address in self.addresses
        return False


@dataclass(frozen=True, slots=True)
class Secret:
    """One record; what it holds never shows in its repr."""

    kind: SecretKind
    indices: tuple[Index, ...]
    where: str
    """FILE:LINE."""
    shared: bytes = field(default=b"", repr=False)
    key: SigningKey | None = field(default=None, repr=False)
    certificates: tuple[bytes, ...] = ()
    """Of a PKCS#12 file, DER: the key's own, then those above it."""
    name: str = ""
    """Of a PPK."""


class Match(IntFlag):
    """How well a record fits; the classic bits, the highest sum wins."""

    NONE = 0
    DEFAULT = 1
    ANY = 2
    HIM = 4
    ME = 8
    PUBLIC_KEY = 16


USABLE = {
    Match.DEFAULT,
    Match.ANY,
    Match.ME | Match.DEFAULT,
    Match.ME | Match.ANY,
    Match.HIM | Match.ANY,
    Match.ME | Match.HIM,
}
"""Sums of bits (without PUBLIC_KEY) that make a record usable; ME alone only for asymmetric keys, HIM alone never."""


def score(secret: Secret, me: Identity | None, him: Identity | None) -> Match:
    """How well a record fits; NONE when it must not be used.

    A peer not known yet (None) is named by %any alone. A record that lists nobody but us serves every peer.
    """
    if not secret.indices:
        return Match.DEFAULT
    got = Match.NONE
    for index in secret.indices:
        if index.any:
            got |= Match.ANY
            continue
        if me is not None and index.covers(me):
            got |= Match.ME
        if him is not None and index.covers(him):
            got |= Match.HIM
    if got == Match.ME and len(secret.indices) == 1:
        got |= Match.DEFAULT
    # ME, HIM and %any in one record: %any adds nothing to a record that names both.
    if got == Match.ME | Match.HIM | Match.ANY:
        got = Match.ME | Match.HIM
    if got in USABLE or (got == Match.ME and secret.kind is SecretKind.PRIVATE_KEY):
        return got
    return Match.NONE


@dataclass(frozen=True, slots=True)
class Choice:
    """The record chosen, and whether another of the same rank holds something else."""

    secret: Secret
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class SecretStore:
    """All records in file order; never changes, a re-read makes a new one."""

    secrets: tuple[Secret, ...] = ()

    def psk(
        self,
        me: Identity | None,
        him: Identity | None,
        my_address: Address | None = None,
        his_address: Address | None = None,
    ) -> bytes | None:
        """The preshared key of a pair of identities, or None.

        An identity of None falls back on the address: that is who an end is when nothing else says so. `him` None and
        no address: the peer is not known yet, only %any and records without a peer serve.
        """
        choice = self.choose_psk(me, him, my_address, his_address)
        return choice.secret.shared if choice else None

    def choose_psk(
        self,
        me: Identity | None,
        him: Identity | None,
        my_address: Address | None = None,
        his_address: Address | None = None,
    ) -> Choice | None:
        """Like psk(), with the record, so that the log can say where it stands."""
        me, him = _fallback(me, my_address), _fallback(him, his_address)
        ranked = [(score(one, me, him), one) for one in self.secrets if one.kind is SecretKind.PSK]
        best = max((rank for rank, _ in ranked), default=Match.NONE)
        if not best:
            return None
        same = [one for rank, one in ranked if rank == best]
        return Choice(same[0], any(one.shared != same[0].shared for one in same))

    def ppks(
        self, me: Identity | None, him: Identity | None, names: tuple[str, ...] = ()
    ) -> tuple[tuple[bytes, bytes], ...]:
        """(name, secret) of the postquantum keys a pair of identities may use, best first.

        `names`: only these, in that order. Of two with one name the one that fits better counts.
        """
        found: dict[str, bytes] = {}
        ranked = [(score(one, me, him), one) for one in self.secrets if one.kind is SecretKind.PPK]
        for rank, one in sorted(ranked, key=lambda row: -row[0]):
            if rank and (not names or one.name in names):
                found.setdefault(one.name, one.shared)
        order = [name for name in names if name in found] if names else list(found)
        return tuple((name.encode(), found[name]) for name in order)

    def password(self, user: str) -> str | None:
        """The password of a user, or None; `DOMAIN\\user` is also looked for as `user`. %any names nobody here."""
        for name in filter(None, dict.fromkeys((user, user.rpartition("\\")[2]))):
            for one in self.secrets:
                if one.kind is SecretKind.XAUTH and any(index.user == name for index in one.indices):
                    return one.shared.decode("utf-8", "surrogateescape")
        return None

    def private_key(
        self, me: Identity | None, public: bytes | object | None = None, him: Identity | None = None
    ) -> SigningKey | None:
        """The private key that serves us, or None.

        `public` is what the configuration gave the peer to check us by: an RFC 3110 RSA key, a DER certificate, a DER
        SubjectPublicKeyInfo or a key object of `cryptography`. Only its private half will do then, whatever the
        indices say. Without it the indices decide.
        """
        wanted = spki(public) if public is not None else None
        if public is not None and wanted is None:
            return None
        best, chosen = Match.NONE, None
        for one in self.secrets:
            if one.key is None:
                continue
            rank = score(one, me, him)
            if wanted is not None:
                if spki(one.key.public_key()) != wanted:
                    continue
                rank |= Match.PUBLIC_KEY
            if rank > best:
                best, chosen = rank, one.key
        return chosen

    @property
    def private_keys(self) -> tuple[tuple[str, SigningKey], ...]:
        """(FILE:LINE, key) of every private key, for listings."""
        return tuple((one.where, one.key) for one in self.secrets if one.key is not None)

    @property
    def host_names(self) -> tuple[str, ...]:
        """Bare host names among the indices, each once: worth looking up, then with_addresses()."""
        return tuple(dict.fromkeys(index.name for one in self.secrets for index in one.indices if index.name))

    def with_addresses(self, addresses: Mapping[str, tuple[Address, ...]]) -> SecretStore:
        """The same store with host names resolved; a name not given keeps what it had."""

        def known(index: Index) -> Index:
            return replace(index, addresses=addresses[index.name]) if index.name in addresses else index

        return SecretStore(tuple(replace(one, indices=tuple(map(known, one.indices))) for one in self.secrets))


def _fallback(identity: Identity | None, address: Address | None) -> Identity | None:
    return identity if identity is not None or address is None else address_identity(address)


def spki(public: object) -> bytes | None:
    """The DER SubjectPublicKeyInfo of any of the forms private_key() takes, or None when it is none of them."""
    try:
        if isinstance(public, bytes):
            public = _from_octets(public)
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined,no-any-return]
    except (ValueError, TypeError, AttributeError, UnsupportedAlgorithm, CryptoError):
        return None


def _from_octets(octets: bytes) -> object:
    if octets[:1] != b"\x30":
        return decode_public(octets)
    try:
        return load_der_x509_certificate(octets).public_key()
    except ValueError:
        pass
    try:
        return load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        # An RFC 3110 key whose exponent happens to be 48 octets long also begins with 0x30.
        return decode_public(octets)
