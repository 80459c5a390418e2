# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine's table of algorithms says what the registry says."""

from __future__ import annotations

from _fast.suite import CIPHERS, INTEGS, sizes
from openswan.crypto.registry import Kind, of_kind


def test_every_algorithm_of_the_registry_is_there_with_its_sizes() -> None:
    ciphers = {row.name: row for row in of_kind(Kind.ENCR) if row.esp}
    assert set(CIPHERS) == set(ciphers)
    for name, row in ciphers.items():
        keys, salt, iv, align, icv = sizes(name, "" if row.aead else "hmac_sha1_96")
        assert set(keys) == {bits // 8 for bits in row.key_bits if bits}
        assert (salt, iv, icv) == (row.salt, row.iv, row.icv or 12)
        # RFC 4303 2.4: the trailer ends on four octets, whatever the cipher's block.
        assert align == max(4, row.block)


def test_every_integrity_algorithm_too() -> None:
    integs = {row.name: row for row in of_kind(Kind.INTEG)}
    assert set(INTEGS) == {"", *integs}
    for name, row in integs.items():
        assert sizes("null", name)[4] == row.icv


def test_numbers_are_distinct() -> None:
    assert len(set(CIPHERS.values())) == len(CIPHERS) and len(set(INTEGS.values())) == len(INTEGS)
