# SPDX-License-Identifier: GPL-2.0-or-later
"""DNS records that name a host's gateway and its key: IPSECKEY, TXT X-IPsec-Server and KEY; record data only.

IPSECKEY (RFC 4025 2.1, RFC 9373):

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+---------------+---------------+---------------+
|  precedence   | gateway type  |   algorithm   |   gateway ... |
+---------------+---------------+---------------+---------------+
|            gateway: none, 4 or 16 octets, or a name           |
+---------------------------------------------------------------+
|                   public key, to the end                      |
+---------------------------------------------------------------+
```

KEY (RFC 2535 3.1): flags of two octets, protocol, algorithm, key. TXT (RFC 1035 3.3.14, RFC 4322): character-strings of
a length octet and up to 255 octets, which together read `X-IPsec-Server(10)=GATEWAY KEY`.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

from openswan.base.address import Address
from openswan.base.errors import WireError
from openswan.base.numbers import OpenIntEnum
from openswan.wire.cursor import Reader

Gateway: TypeAlias = Address | str | None
"""An address, a host name without its final dot, or None: the owner of the record itself."""


class KeyKind(OpenIntEnum):
    """Public key algorithms of IPSECKEY (IANA IPSECKEY Resource Record Parameters)."""

    NONE = 0
    DSA = 1
    RSA = 2
    ECDSA = 3
    EDDSA = 4


class GatewayKind(OpenIntEnum):
    """Gateway types of IPSECKEY (RFC 4025 2.3)."""

    NONE = 0
    IPV4 = 1
    IPV6 = 2
    NAME = 3


@dataclass(frozen=True, slots=True)
class OeRecord:
    """What one record says."""

    source: str
    """IPSECKEY, TXT or KEY."""
    preference: int
    """Lower ones are tried first; 0 to 255 of IPSECKEY, to 65535 of TXT."""
    gateway: Gateway
    kind: KeyKind
    key: bytes = b""
    """As the algorithm has it: RFC 3110 for RSA, RFC 6605 for ECDSA, RFC 8080 for EdDSA; empty: it is elsewhere."""


MOST_KEY = 2048
"""Octets; twice what the largest RSA key that is used has."""
LONGEST_NAME = 255
LONGEST_ADDRESS = 45
"""Characters of an IPv6 address that ends in a dotted one."""
ATTRIBUTE = "X-IPsec-Server"
TEXT = re.compile(rf"{ATTRIBUTE}[ \t]*(.*)", re.IGNORECASE | re.DOTALL)
LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
DIGITS = re.compile(r"[0-9]{1,10}")
NO_KEY = 0xC000
"""Flags of a KEY record: both set says there is no key (RFC 2535 3.1.2); the first alone forbids authentication."""
NO_AUTHENTICATION = 0x8000
RESERVED = 0x2CF0
"""Flags that must be clear."""
KEY_PROTOCOL_IPSEC = 4
KEY_RSA = (1, 5)
"""RSA/MD5, which every such record says, and RSA/SHA-1: the key is the same."""


def parse_ipseckey(data: bytes) -> OeRecord:
    """Read an IPSECKEY record; WireError says what is malformed."""
    reader = Reader(data)
    precedence, gateway_kind, kind = reader.u8(), GatewayKind(reader.u8()), KeyKind(reader.u8())
    gateway = _gateway(reader, gateway_kind)
    key = reader.rest()
    if kind is KeyKind.NONE and key:
        raise WireError(f"IPSECKEY of algorithm 0 (no key) has {len(key)} octets of key")
    if kind is not KeyKind.NONE and not key:
        raise WireError(f"IPSECKEY of algorithm {int(kind)} has no key")
    return OeRecord("IPSECKEY", precedence, gateway, kind, _bounded(key))


def _gateway(reader: Reader, kind: GatewayKind) -> Gateway:
    if kind is GatewayKind.NONE:
        return None
    if kind is GatewayKind.IPV4:
        return _specified(IPv4Address(reader.octets(4)))
    if kind is GatewayKind.IPV6:
        return _specified(IPv6Address(reader.octets(16)))
    if kind is GatewayKind.NAME:
        return _name(reader)
    raise WireError(f"IPSECKEY gateway type {int(kind)} is not known: 0 to 3 are")


def _specified(address: Address) -> Address:
    if address.is_unspecified:
        raise WireError("gateway address must not be 0.0.0.0 or 0::0")
    return address


def _name(reader: Reader) -> str | None:
    """A name in wire format, never compressed here (RFC 4025 2.5); the root stands for none."""
    labels: list[str] = []
    octets = 0
    while length := reader.u8():
        octets += length + 1
        if length > 63:
            raise WireError("IPSECKEY gateway name is compressed, or a label of it longer than 63 octets")
        if octets >= LONGEST_NAME:
            raise WireError(f"IPSECKEY gateway name is longer than {LONGEST_NAME} octets")
        labels.append(reader.octets(length).decode("ascii", "replace"))
    return _checked_name(labels, "IPSECKEY gateway name") if labels else None


def _checked_name(labels: list[str], what: str) -> str:
    for label in labels:
        if not LABEL.fullmatch(label):
            raise WireError(f"{what} has a label that no host has: {label[:70]!r}")
    return ".".join(labels).lower()


def _bounded(key: bytes) -> bytes:
    if len(key) > MOST_KEY:
        raise WireError(f"key data larger than {MOST_KEY} bytes")
    return key


def parse_key(data: bytes) -> OeRecord:
    """Read a KEY record of IPsec; it says nothing about a gateway. WireError when it is malformed or for other uses."""
    reader = Reader(data)
    flags, protocol, algorithm = reader.u16(), reader.u8(), reader.u8()
    if flags & NO_KEY == NO_KEY:
        raise WireError("KEY record says that there is no key")
    if flags & NO_AUTHENTICATION:
        raise WireError("KEY record may not be used for authentication")
    if flags & RESERVED:
        raise WireError(f"KEY record has reserved flags set (0x{flags:04x})")
    if protocol != KEY_PROTOCOL_IPSEC:
        raise WireError(f"KEY record is for protocol {protocol}, not for IPsec (4)")
    if algorithm not in KEY_RSA:
        raise WireError(f"KEY record of algorithm {algorithm}: only RSA (1) is used")
    key = reader.rest()
    if not key:
        raise WireError("KEY record has no key")
    return OeRecord("KEY", 0, None, KeyKind.RSA, _bounded(key))


def parse_txt(data: bytes) -> OeRecord | None:
    """Read a TXT record; None when it is about something else. WireError when it is ours and malformed."""
    reader = Reader(data)
    strings = []
    while reader.remaining:
        strings.append(reader.octets(reader.u8()))
    found = TEXT.fullmatch(b"".join(strings).decode("latin-1"))
    if found is None:
        return None
    preference, rest = _preference(found[1])
    return _gateway_and_key(preference, rest)


def _preference(text: str) -> tuple[int, str]:
    """`(10)=`, and what is behind it."""
    if not text.startswith("("):
        raise WireError(f"{ATTRIBUTE} missing '('")
    text = text[1:].lstrip(" \t")
    digits = DIGITS.match(text)
    if digits is None:
        raise WireError(f"malformed {ATTRIBUTE} priority")
    text = text[digits.end() :].lstrip(" \t")
    if not text.startswith(")"):
        raise WireError(f"{ATTRIBUTE} priority missing ')'")
    if int(digits[0]) > 0xFFFF:
        raise WireError(f"{ATTRIBUTE} priority larger than 0xFFFF")
    text = text[1:].lstrip(" \t")
    if not text.startswith("="):
        raise WireError(f"{ATTRIBUTE} priority missing '='")
    return int(digits[0]), text[1:].strip(" \t")


def _gateway_and_key(preference: int, text: str) -> OeRecord:
    word, *rest = re.split(r"[ \t]+", text, maxsplit=1)
    key_text = rest[0] if rest else ""
    if not word:
        raise WireError(f"TXT {ATTRIBUTE} badly formed (no gateway specified)")
    gateway: Gateway
    if word == ".":
        gateway = None
    elif word.startswith("@"):
        gateway = _checked_name(_labels(word[1:]), f"malformed FQDN in TXT {ATTRIBUTE}: it")
    else:
        address, glued = _address(word)
        gateway, key_text = _specified(address), glued + key_text
    key = _base64(key_text)
    return OeRecord("TXT", preference, gateway, KeyKind.RSA if key else KeyKind.NONE, key)


def _labels(name: str) -> list[str]:
    if len(name) > LONGEST_NAME:
        raise WireError(f"malformed FQDN in TXT {ATTRIBUTE}: longer than {LONGEST_NAME} characters")
    return name.removesuffix(".").split(".")


def _address(word: str) -> tuple[Address, str]:
    """A numeric address, and a key that follows it without a blank: every RSA key begins with A in base64."""
    longest = min(len(word), LONGEST_ADDRESS)
    for end in [len(word), *(at for at in range(longest, 1, -1) if word[at : at + 1] == "A")]:
        try:
            address = ip_address(word[:end])
        except ValueError:
            continue
        if getattr(address, "scope_id", None):
            break
        return address, word[end:]
    raise WireError(f"malformed IP address in TXT {ATTRIBUTE}: {word[:60]!r}")


def _base64(text: str) -> bytes:
    """A key; blanks in it are what a zone file's line breaks became."""
    digits = "".join(text.split())
    digits = digits[2:] if digits[:2].lower() == "0s" else digits
    if len(digits) > MOST_KEY * 4 // 3 + 4:
        raise WireError(f"key data larger than {MOST_KEY} bytes")
    try:
        return _bounded(base64.b64decode(digits, validate=True))
    except (binascii.Error, ValueError):
        raise WireError("malformed key data: not base64") from None


PARSERS = {"IPSECKEY": parse_ipseckey, "TXT": parse_txt, "KEY": parse_key}
"""By record type: data to record; None for a TXT record about something else."""
