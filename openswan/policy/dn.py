# SPDX-License-Identifier: GPL-2.0-or-later
"""Distinguished names: operator's text to DER and back, and comparing them with wildcards (RFC 5280 4.1.2.4).

Text keeps the order of the DER, country usually first, as ipsec.conf always wrote it: `C=CA, O=Example, CN=east`, or
`/C=CA/O=Example/CN=east`. A `+` binds the parts of a multi-valued RDN. The value `*` stands for any value.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

from openswan.base.errors import ConfigError

Part: TypeAlias = tuple[str, str]
"""Dotted object identifier and value."""
Rdn: TypeAlias = tuple[Part, ...]

LONGEST = 4096
"""Characters of a name's text and octets of its DER; more is refused."""

# Canonical spelling first; what follows are other spellings operators use.
NAMES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("2.5.4.6", ("C",)),
    ("2.5.4.8", ("ST", "S")),
    ("2.5.4.7", ("L",)),
    ("2.5.4.9", ("STREET",)),
    ("2.5.4.10", ("O",)),
    ("2.5.4.11", ("OU",)),
    ("2.5.4.3", ("CN",)),
    ("0.9.2342.19200300.100.1.25", ("DC",)),
    ("1.2.840.113549.1.9.1", ("E", "EMAIL", "EMAILADDRESS")),
    ("0.9.2342.19200300.100.1.1", ("UID", "USERID")),
    ("2.5.4.4", ("SN", "SURNAME")),
    ("2.5.4.42", ("G", "GN", "GIVENNAME")),
    ("2.5.4.43", ("I", "INITIALS")),
    ("2.5.4.12", ("T", "TITLE")),
    ("2.5.4.5", ("serialNumber", "SERIALNUMBER")),
    ("2.5.4.46", ("DNQUALIFIER",)),
    ("2.5.4.65", ("PSEUDONYM",)),
    ("2.5.4.17", ("POSTALCODE",)),
    ("2.5.4.13", ("D", "DESCRIPTION")),
)
OID_BY_NAME = {spelling.upper(): oid for oid, spellings in NAMES for spelling in spellings}
NAME_BY_OID = {oid: spellings[0] for oid, spellings in NAMES}
SPECIAL = re.compile(r'([,+"\\])')
DOTTED = re.compile(r"[0-2](\.[0-9]{1,10}){1,20}")

SEQUENCE, SET, OID = 0x30, 0x31, 0x06
UTF8, PRINTABLE, T61, IA5, UNIVERSAL, BMP = 0x0C, 0x13, 0x14, 0x16, 0x1C, 0x1E
DECODERS = {UTF8: "utf-8", PRINTABLE: "ascii", T61: "latin-1", IA5: "ascii", UNIVERSAL: "utf-32-be", BMP: "utf-16-be"}
# What certificate authorities usually pick, so that what we send often equals the certificate's own subject.
STRING_TYPES = {
    "2.5.4.6": PRINTABLE,
    "2.5.4.5": PRINTABLE,
    "2.5.4.46": PRINTABLE,
    "1.2.840.113549.1.9.1": IA5,
    "0.9.2342.19200300.100.1.25": IA5,
}
PRINTABLE_CHARACTERS = re.compile(r"[A-Za-z0-9 '()+,./:=?-]*")


def looks_like_dn(text: str) -> bool:
    """Does the text start as a distinguished name does?"""
    return re.match(r"\s*/?\s*([A-Za-z][A-Za-z0-9]*|[0-9]+(\.[0-9]+)+)\s*=", text) is not None


def parse_dn(text: str) -> bytes:
    """The DER of a name's text; ConfigError says which part is wrong."""
    if len(text) > LONGEST:
        raise ConfigError(f"distinguished name longer than {LONGEST} characters")
    rdns: list[list[bytes]] = []
    for piece, joins in _split(text):
        attribute = _attribute(piece, text)
        if joins and rdns:
            rdns[-1].append(attribute)
        else:
            rdns.append([attribute])
    if not rdns:
        raise ConfigError("empty distinguished name")
    # DER orders the members of a SET by their encoding (X.690 11.6).
    return _tlv(SEQUENCE, b"".join(_tlv(SET, b"".join(sorted(parts))) for parts in rdns))


def _split(text: str) -> list[tuple[str, bool]]:
    """Cut at unquoted separators; each piece with True when a `+` ties it to the one before."""
    separator = ","
    if text.lstrip().startswith("/"):
        separator, text = "/", text.lstrip()[1:]
    pieces: list[tuple[str, bool]] = []
    current: list[str] = []
    quoted = escaped = joins = False
    for char in text:
        if escaped:
            escaped = False
            current.append("\\" + char)
        elif char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char in (separator, "+") and not quoted:
            pieces.append(("".join(current), joins))
            current, joins = [], char == "+"
        else:
            current.append("\\" + char if quoted and char in " \\" else char)
    if quoted or escaped:
        raise ConfigError(f"distinguished name '{text}' ends inside a quotation")
    pieces.append(("".join(current), joins))
    return [(piece, joins) for piece, joins in pieces if piece.strip()]


def _attribute(piece: str, whole: str) -> bytes:
    kind, equals, value = piece.partition("=")
    kind = kind.strip()
    if not equals:
        raise ConfigError(f"distinguished name '{whole}': '{piece.strip()}' has no '='")
    oid = OID_BY_NAME.get(kind.upper(), kind)
    if not DOTTED.fullmatch(oid):
        raise ConfigError(f"distinguished name '{whole}': unknown attribute '{kind}'")
    plain = re.sub(r"\\(.)", r"\1", _strip(value))
    if not plain:
        raise ConfigError(f"distinguished name '{whole}': '{kind}' has no value")
    tag = STRING_TYPES.get(oid, UTF8)
    if (tag == PRINTABLE and not PRINTABLE_CHARACTERS.fullmatch(plain)) or not plain.isascii():
        tag = UTF8
    try:
        return _tlv(SEQUENCE, _tlv(OID, _encode_oid(oid)) + _tlv(tag, plain.encode()))
    except UnicodeEncodeError:
        raise ConfigError(f"distinguished name '{whole}': '{kind}' is not UTF-8 text") from None


def _strip(value: str) -> str:
    value = value.lstrip(" \t")
    stripped = value.rstrip(" \t")
    # A blank that an odd number of backslashes escapes belongs to the value.
    if len(stripped) < len(value) and (len(stripped) - len(stripped.rstrip("\\"))) % 2:
        stripped += value[len(stripped)]
    return stripped


def _tlv(tag: int, body: bytes) -> bytes:
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + body


def _encode_oid(dotted: str) -> bytes:
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    out = bytearray()
    for arc in (40 * first + second, *rest):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(0x80 | arc & 0x7F)
        out += bytes(reversed(septets))
    return bytes(out)


def _decode_oid(body: bytes) -> str:
    arcs: list[int] = []
    arc = 0
    for octet in body:
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    if not arcs or len(body) > 64 or body[-1] & 0x80:
        raise ConfigError("not a distinguished name: bad object identifier")
    first = min(arcs[0] // 40, 2)
    return ".".join(str(part) for part in (first, arcs[0] - 40 * first, *arcs[1:]))


def _items(data: bytes, expected: int | None) -> list[tuple[int, bytes]]:
    """The TLVs that `data` consists of; `expected` is the tag all must have, None for any."""
    items: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data):
        if len(data) - at < 2:
            raise ConfigError("not a distinguished name: truncated")
        tag, size = data[at], data[at + 1]
        at += 2
        if size & 0x80:
            octets = size & 0x7F
            if not 1 <= octets <= 2 or len(data) - at < octets:
                raise ConfigError("not a distinguished name: bad length")
            size = int.from_bytes(data[at : at + octets], "big")
            at += octets
        if len(data) - at < size or expected not in (None, tag):
            raise ConfigError("not a distinguished name: wrong structure")
        items.append((tag, data[at : at + size]))
        at += size
    return items


@lru_cache(maxsize=1024)
def read_dn(der: bytes) -> tuple[Rdn, ...]:
    """The parts of a DER name in its own order; ConfigError when it is not one."""
    if len(der) > LONGEST:
        raise ConfigError(f"distinguished name longer than {LONGEST} octets")
    outer = _items(der, SEQUENCE)
    if len(outer) != 1:
        raise ConfigError("not a distinguished name: wrong structure")
    return tuple(
        tuple(_read_part(attribute) for _, attribute in _items(members, SEQUENCE))
        for _, members in _items(outer[0][1], SET)
    )


def _read_part(attribute: bytes) -> Part:
    pair = _items(attribute, None)
    if len(pair) != 2 or pair[0][0] != OID:
        raise ConfigError("not a distinguished name: wrong structure")
    tag, body = pair[1]
    try:
        value = body.decode(DECODERS[tag])
    except (KeyError, UnicodeDecodeError):
        # Kept and shown as RFC 4514 2.4 says: a hash sign and the octets in hexadecimal.
        value = "#" + body.hex()
    return _decode_oid(pair[0][1]), value


def dn_text(der: bytes) -> str:
    """`C=CA, O=Example, CN=east`; control characters are shown as \\xx so that a log line stays one line."""
    return ", ".join(
        "+".join(f"{NAME_BY_OID.get(oid, oid)}={_show(value)}" for oid, value in rdn) for rdn in read_dn(der)
    )


def _show(value: str) -> str:
    escaped = SPECIAL.sub(r"\\\1", value)
    return "".join(char if char.isprintable() else f"\\{ord(char):02x}" for char in escaped)


def dn_matches(wanted: bytes, got: bytes) -> bool:
    """Do two names say the same? `*` in `wanted` stands for any one value; case and runs of blanks do not count.

    Parts must stand in the same order, or all of them in the reverse one, as RFC 4514 writes names.
    """
    try:
        left, right = read_dn(wanted), read_dn(got)
    except ConfigError:
        return False
    if len(left) != len(right):
        return False
    return any(all(map(_same_rdn, left, order)) for order in (right, tuple(reversed(right))))


def wildcards(der: bytes) -> int:
    """How many values of a name are `*`."""
    return sum(value == "*" for rdn in read_dn(der) for _, value in rdn)


def _same_rdn(wanted: Rdn, got: Rdn) -> bool:
    if len(wanted) != len(got):
        return False
    return all(
        a[0] == b[0] and (a[1] == "*" or _fold(a[1]) == _fold(b[1]))
        for a, b in zip(sorted(wanted), sorted(got), strict=True)
    )


def _fold(value: str) -> str:
    return " ".join(value.casefold().split())
