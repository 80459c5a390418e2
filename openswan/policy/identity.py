# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE identities: kinds, text forms, wildcard matching (RFC 7296 3.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

from openswan.base.address import Address
from openswan.base.errors import ConfigError
from openswan.base.numbers import OpenIntEnum
from openswan.policy.dn import dn_matches, dn_text, looks_like_dn, parse_dn


class IdKind(OpenIntEnum):
    """ID Type values (RFC 7296 3.5)."""

    IPV4_ADDR = 1
    FQDN = 2
    USER_FQDN = 3
    IPV6_ADDR = 5
    DER_ASN1_DN = 9
    DER_ASN1_GN = 10
    KEY_ID = 11
    NULL = 13


@dataclass(frozen=True, slots=True)
class Identity:
    """One identity: its kind and its body exactly as an ID payload carries it (address octets, UTF-8 name, DER)."""

    kind: IdKind
    body: bytes

    def __str__(self) -> str:
        """The form ipsec.conf takes; what a peer sent is shown without control characters."""
        return show(self)

    @property
    def address(self) -> Address | None:
        """The address an address identity holds."""
        if self.kind in ADDRESS_OCTETS and len(self.body) == ADDRESS_OCTETS[self.kind]:
            return ip_address(self.body)
        return None


NOBODY = Identity(IdKind.NULL, b"")
"""%null: what an end says it is that proves nothing (RFC 7619 2.2)."""
FROM_CERT = Identity(IdKind.DER_ASN1_DN, b"")
"""%fromcert: whatever subject the certificate has. Never sent; matches any certificate's subject."""
MY_ID = Identity(IdKind.FQDN, b"")
"""%myid where config setup has no myid=: whatever we turn out to be. Never sent; matches nobody."""

ADDRESS_OCTETS = {IdKind.IPV4_ADDR: 4, IdKind.IPV6_ADDR: 16}
NAME = re.compile(r"[A-Za-z0-9_*]([A-Za-z0-9_.*-]*[A-Za-z0-9_*])?\.?")
LONGEST = 1024
"""Characters of an identity that is not a distinguished name."""


def address_identity(address: Address) -> Identity:
    """The identity of an end that says nothing else: its address."""
    kind = IdKind.IPV4_ADDR if isinstance(address, IPv4Address) else IdKind.IPV6_ADDR
    return Identity(kind, address.packed)


def user_identity(name: str) -> Identity:
    """Who a user of that name is, as proved by a password: a mailbox, a name, or a key id for anything odd."""
    body = name.encode()
    if name.count("@") == 1 and name.isprintable() and " " not in name and not name.startswith("@"):
        return Identity(IdKind.USER_FQDN, body)
    return Identity(IdKind.FQDN if NAME.fullmatch(name) and "*" not in name else IdKind.KEY_ID, body)


def parse_identity(text: str) -> Identity:
    """Read leftid= and the like; ConfigError for what is no identity.

    `@name` is a literal name, `user@name` a mailbox, `@#hex` a key id, `@[text]` a key id given as text; anything with
    an attribute and a `=` is a distinguished name; then numeric addresses; a bare name is the same as `@name` (it is
    never looked up). `%fromcert` (also `%cert`) stands for the certificate's subject, `%null` for nobody.
    """
    text = text.strip()
    if not text:
        raise ConfigError("empty identity")
    if text in ("%fromcert", "%cert"):
        return FROM_CERT
    if text == "%null":
        return NOBODY
    if text.startswith("%"):
        raise ConfigError(f"'{text}' is not an identity")
    if looks_like_dn(text):
        return Identity(IdKind.DER_ASN1_DN, parse_dn(text))
    if len(text) > LONGEST:
        raise ConfigError(f"identity longer than {LONGEST} characters")
    if not text.isprintable():
        raise ConfigError(f"identity {text!r} has control characters")
    try:
        return _short_forms(text)
    except UnicodeEncodeError:
        raise ConfigError("identity is not UTF-8 text") from None


def _short_forms(text: str) -> Identity:
    if text.startswith("@#"):
        try:
            body = bytes.fromhex(text[2:].removeprefix("0x"))
        except ValueError:
            raise ConfigError(f"'{text}' is not a key id: hexadecimal octets must follow '@#'") from None
        if not body:
            raise ConfigError("'@#' is not a key id: hexadecimal octets must follow")
        return Identity(IdKind.KEY_ID, body)
    if text.startswith("@["):
        if not text.endswith("]") or len(text) == 3:
            raise ConfigError(f"'{text}' is not a key id: it must end in ']' and hold something")
        return Identity(IdKind.KEY_ID, text[2:-1].encode())
    if text.startswith("@"):
        # An empty name would match nothing; Openswan read '@@' as a mailbox and '@~' as a DN in hexadecimal.
        if len(text) == 1 or " " in text:
            raise ConfigError(f"'{text}' is not a name")
        return Identity(IdKind.FQDN, text[1:].encode())
    if "@" in text:
        user, _, host = text.rpartition("@")
        if not user or not host or " " in text:
            raise ConfigError(f"'{text}' is not of the form user@name")
        return Identity(IdKind.USER_FQDN, text.encode())
    try:
        return address_identity(ip_address(text))
    except ValueError:
        pass
    if not NAME.fullmatch(text) or re.fullmatch(r"[0-9.]+", text):
        raise ConfigError(f"'{text}' is neither an address nor a name (write @name for a literal one)")
    return Identity(IdKind.FQDN, text.encode())


def show(identity: Identity) -> str:
    """Text for logs and status: an address, `@name`, `user@name`, a distinguished name, `@#hex`, `%fromcert`."""
    if identity == FROM_CERT:
        return "%fromcert"
    if identity == MY_ID:
        return "%myid"
    if identity.kind in ADDRESS_OCTETS:
        address = identity.address
        return str(address) if address is not None else f"@#{identity.body.hex()}"
    if identity.kind is IdKind.NULL:
        return "ID_NULL"
    if identity.kind is IdKind.DER_ASN1_DN:
        try:
            return dn_text(identity.body)
        except ConfigError:
            return f"@#{identity.body.hex()}"
    if identity.kind in (IdKind.FQDN, IdKind.USER_FQDN):
        name = identity.body.decode("utf-8", "backslashreplace")
        name = "".join(char if char.isprintable() else f"\\{ord(char):02x}" for char in name)
        return f"@{name}" if identity.kind is IdKind.FQDN else name
    return f"@#{identity.body.hex()}"


def matches(wanted: Identity | None, got: Identity) -> bool:
    """May a peer that proved to be `got` stand where the configuration wants `wanted`? None wants nobody in particular.

    Names compare without case; `*` as a whole value of a distinguished name matches any value there. A FQDN or mailbox
    of the configuration may begin with `*`, which then stands for one or more leading labels or any user.
    """
    if wanted is None:
        return True
    if wanted == FROM_CERT:
        return got.kind is IdKind.DER_ASN1_DN
    if wanted == MY_ID:
        return False
    if wanted.kind is not got.kind:
        return False
    if wanted.kind is IdKind.DER_ASN1_DN:
        return wanted.body == got.body or dn_matches(wanted.body, got.body)
    if wanted.kind in (IdKind.FQDN, IdKind.USER_FQDN):
        pattern, name = wanted.body.lower().rstrip(b"."), got.body.lower().rstrip(b".")
        if wanted.kind is IdKind.FQDN and pattern.startswith(b"*."):
            return name.endswith(pattern[1:]) and len(name) > len(pattern) - 1
        if wanted.kind is IdKind.USER_FQDN and pattern.startswith(b"*@"):
            return name.endswith(pattern[1:]) and len(name) > len(pattern) - 1 and name.count(b"@") == 1
        return pattern == name
    return wanted.body == got.body
