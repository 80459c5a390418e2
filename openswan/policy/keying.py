# SPDX-License-Identifier: GPL-2.0-or-later
"""Algorithms and keys as people type them for manual keying: classic names, key lengths, what is refused and why."""

from __future__ import annotations

import re
from dataclasses import dataclass

from openswan.base.errors import ConfigError
from openswan.crypto.registry import Algorithm, Kind, find, normal, of_kind

LOWEST_SPI = 0x100
"""SPIs below are reserved (RFC 4303 2.1)."""
HIGHEST_MANUAL_SPI = 0xFFF
"""The last one `ipsec manual` uses; those above are the key exchange's."""
DEFLATE_CPI = 2
"""The well-known CPI of deflate, RFC 2394."""
COMPRESSIONS = ("deflate",)

NOT_FRESH = (
    "the keys of a configuration file are used again after every restart, and a counter that starts again with the same"
    " key gives away what both lives of it protect: use esp=aes256-sha2_256 or another CBC cipher, or IKE"
)
"""Why manual keying refuses counter modes and ESN."""

_CUT = re.compile(r"[-_]")


@dataclass(frozen=True, slots=True)
class EspAlgorithms:
    """Canonical names of crypto.registry; `bits` is the key size the name asked for, 0 when it named none."""

    cipher: str
    integ: str
    bits: int = 0


def esp_algorithms(text: str) -> EspAlgorithms:
    """Read `3des-md5-96`, `aes128-sha1`, `aes_gcm_16`, `null-sha2_256` ...; ConfigError for what is not offered."""
    name = normal(text)
    cuts = [found.start() for found in _CUT.finditer(name)]
    # The longest cipher name wins: aes_gcm_16 is not `aes` with an integrity algorithm `gcm_16`.
    for cut in (len(name), *reversed(cuts)):
        cipher = _cipher(name[:cut])
        if cipher is None:
            continue
        row, bits = cipher
        rest = name[cut + 1 :]
        integ = _integrity(rest) if rest else None
        if rest and integ is None:
            continue
        return _pair(text, row, bits, integ)
    _explain(text, name)
    raise AssertionError  # _explain always raises


def ah_algorithm(text: str) -> str:
    """Read `hmac-sha1-96`, `sha2_256`, `aes-cmac-96` ...: a canonical name; ConfigError for what is not offered."""
    row = _integrity(normal(text))
    if row is None:
        known = ", ".join(each.name.replace("_", "-") for each in of_kind(Kind.INTEG) if each.ah)
        raise ConfigError(f"unknown AH algorithm '{text[:40]}': there are {known}")
    _refuse(row, "AH")
    return row.name


def _cipher(name: str) -> tuple[Algorithm, int] | None:
    if row := find(Kind.ENCR, name):
        return row, 0
    sized = re.fullmatch(r"(.+?)_?([0-9]{2,3})", name)
    if sized and (row := find(Kind.ENCR, sized[1])):
        return row, int(sized[2])
    return None


def _integrity(name: str) -> Algorithm | None:
    for spelling in (name, f"hmac_{name}", f"{name}_96"):
        if row := find(Kind.INTEG, spelling):
            return row
    return None


def _pair(text: str, row: Algorithm, bits: int, integ: Algorithm | None) -> EspAlgorithms:
    _refuse(row, "ESP")
    if integ is not None:
        _refuse(integ, "ESP")
        if row.aead:
            raise ConfigError(f"'{text[:40]}': {row.name} brings its own integrity protection; name no other")
    elif not row.aead:
        raise ConfigError(
            f"'{text[:40]}' has no integrity protection, so anybody could change packets: add one, {row.short}-sha2_256"
        )
    if bits and bits not in row.key_bits:
        sizes = ", ".join(map(str, sorted(row.key_bits)))
        raise ConfigError(f"'{text[:40]}': {row.name} has no {bits}-bit keys, only {sizes}")
    return EspAlgorithms(row.name, integ.name if integ else "", bits)


def _refuse(row: Algorithm, where: str) -> None:
    if row.name in ("des_cbc", "des_iv64"):
        raise ConfigError(f"unsupported ESP Transform ESP_DES: {row.refused}")
    if row.refused or not (row.esp if where == "ESP" else row.ah):
        raise ConfigError(f"'{row.name}' is refused for {where}: {row.refused or 'the packet engine does not have it'}")


def _explain(text: str, name: str) -> None:
    for cut in (len(name), *(found.start() for found in reversed(list(_CUT.finditer(name))))):
        if found := _cipher(name[:cut]):
            _refuse(found[0], "ESP")
            raise ConfigError(f"'{text[:40]}': '{name[cut + 1 :][:40]}' is not an integrity algorithm")
    known = ", ".join(each.name for each in of_kind(Kind.ENCR) if each.esp)
    raise ConfigError(f"unknown ESP algorithm '{text[:40]}': there are {known}")


def counters_repeat(cipher: str, integ: str) -> bool:
    """Would this cipher be broken by a second life of the same key, because its IVs are a counter?

    True of every AEAD of ESP and of AES-CTR (RFC 4106 2, RFC 7634 2, RFC 3686 2.1), and of GMAC.
    """
    row = find(Kind.ENCR, cipher) if cipher else None
    return (row is not None and (row.aead or row.name == "aes_ctr")) or "gmac" in integ


def check_keys(cipher: str, integ: str, enc_key: bytes, auth_key: bytes, bits: int = 0) -> None:
    """Are these keys of a length their algorithms have? ConfigError says what would be; never shows a key.

    `cipher` is empty for AH. An AEAD's key carries its salt at the end.
    """
    if cipher:
        row = find(Kind.ENCR, cipher)
        if row is None:
            raise ConfigError(f"unknown ESP algorithm '{cipher[:40]}'")
        sizes = [size // 8 + row.salt for size in sorted({bits} if bits else set(row.key_bits))]
        if len(enc_key) not in sizes:
            salt = f", the last {row.salt} of them salt" if row.salt else ""
            raise ConfigError(f"key for {row.name} is {len(enc_key)} octets, {_either(sizes)} expected{salt}")
        if row.name == "3des_cbc":
            _three_keys(enc_key)
    elif enc_key:
        raise ConfigError("an encryption key, but no encryption algorithm")
    if integ:
        found = find(Kind.INTEG, integ)
        if found is None:
            raise ConfigError(f"unknown integrity algorithm '{integ[:40]}'")
        octets = [size // 8 + found.salt for size in sorted(found.key_bits)]
        if len(auth_key) not in octets:
            raise ConfigError(
                f"authentication key for {found.name} is {len(auth_key)} octets, {_either(octets)} expected"
            )
    elif auth_key:
        raise ConfigError("an authentication key, but no integrity algorithm")


def _either(sizes: list[int]) -> str:
    return " or ".join(map(str, sizes))


def _three_keys(key: bytes) -> None:
    # Parity bits do not count: with two equal neighbours 3DES is single DES.
    first, second, third = (bytes(octet & 0xFE for octet in key[at : at + 8]) for at in (0, 8, 16))
    if first == second or second == third:
        raise ConfigError("the three parts of a 3DES key must differ: two equal neighbours make it single DES")


def check_spi(spi: int, text: str = "") -> None:
    """ConfigError in the classic words for an SPI that nobody may choose."""
    if not LOWEST_SPI <= spi <= 0xFFFFFFFF:
        raise ConfigError(f"Illegal reserved spi: {text or hex(spi)} => 0x{spi:x} Must be larger than 0x100.")
