# SPDX-License-Identifier: GPL-2.0-or-later
"""Private keys that stay where they are, in a PKCS#11 token: here is only what names them (RFC 7512)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

from openswan.base.errors import CryptoError
from openswan.crypto.rsakey import PrivateKey, PublicKey

SCHEME = "pkcs11:"
PATH = ("token", "manufacturer", "serial", "model", "object", "id", "type", "slot-id")
QUERY = ("module-path", "pin-value", "pin-source")
LONGEST = 2048
"""Characters of a URI."""


@dataclass(frozen=True, slots=True)
class TokenUri:
    """What a `pkcs11:` URI says; an attribute that is empty was not given."""

    token: str = ""
    manufacturer: str = ""
    serial: str = ""
    model: str = ""
    slot: int = -1
    label: str = ""
    """object="""
    id: bytes = b""
    module: str = ""
    """module-path: the shared library that speaks for the token."""
    pin: str = field(default="", repr=False)
    """pin-value"""
    pin_source: str = ""
    """A file that holds the PIN: a path or a file: URI."""


def parse_uri(text: str) -> TokenUri:
    """Read a `pkcs11:` URI; CryptoError says what is wrong with it. Attributes nobody here knows are refused:

    they would narrow down what is meant (RFC 7512 2.3).
    """
    if not text.startswith(SCHEME) or len(text) > LONGEST:
        raise CryptoError(f"a PKCS#11 URI begins with {SCHEME} and has at most {LONGEST} characters")
    path, _, query = text[len(SCHEME) :].partition("?")
    found = {**_attributes(path, ";", PATH), **_attributes(query, "&", QUERY)}
    if found.get("type", b"private") not in (b"private", b"cert", b"public"):
        raise CryptoError("type= of a key in a token is private")
    slot = found.get("slot-id", b"")
    if slot and not re.fullmatch(rb"[0-9]{1,10}", slot):
        raise CryptoError("slot-id= is a number")
    texts = {name: _text(found.get(name, b""), name) for name in (*PATH, *QUERY) if name not in ("id", "slot-id")}
    uri = TokenUri(
        texts["token"],
        texts["manufacturer"],
        texts["serial"],
        texts["model"],
        int(slot or -1),
        texts["object"],
        found.get("id", b""),
        texts["module-path"],
        texts["pin-value"],
        texts["pin-source"].removeprefix("file:"),
    )
    if not uri.label and not uri.id:
        raise CryptoError("the URI names no key: object= or id= is wanted")
    return uri


def _attributes(text: str, separator: str, known: tuple[str, ...]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for item in filter(None, text.split(separator)):
        name, equals, value = item.partition("=")
        if name not in known or not equals or name in found:
            raise CryptoError(f"'{name[:40]}' is no attribute of a PKCS#11 URI here, or stands there twice")
        found[name] = unquote_to_bytes(value)
    return found


def _text(value: bytes, name: str) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise CryptoError(f"{name}= is not UTF-8") from None
    if not text.isprintable():
        raise CryptoError(f"{name}= has control characters")
    return text


@dataclass(frozen=True, slots=True, eq=False)
class TokenKey:
    """A private key in a token. Only whoever speaks to the token can sign with it, and that takes time."""

    uri: TokenUri
    public: PublicKey

    def public_key(self) -> PublicKey:
        """Its public half, as keys of `cryptography` give it."""
        return self.public


SigningKey: TypeAlias = PrivateKey | TokenKey
"""Whatever can prove who we are."""
