# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.dh promises."""

from __future__ import annotations

from typing import Any

import pytest

from openswan.base.entropy import SeededRng
from openswan.base.errors import CryptoError
from openswan.crypto import dh, modp, registry
from openswan.crypto.registry import Kind
from tests.shareddata import strongswan

GROUPS = [row.name for row in registry.of_kind(Kind.DH) if not row.kem]
RELICS = ["modp1536", "modp1024"]
"""IKEv1's alone."""
MODPS = [name for name in GROUPS if name.startswith("modp")]
ECPS = [name for name in GROUPS if name.startswith("ecp")]
METHODS = {
    **{f"MODP_{bits}_BIT": f"modp{bits}" for bits in modp.OFFSETS if f"modp{bits}" not in RELICS},
    **{f"ECP_{bits}_BIT": f"ecp{bits}" for bits in (256, 384, 521)},
    "CURVE_25519": "x25519",
}
CASES = [case for file in ("modp", "ecp", "curve25519") for case in strongswan(file) if case["method"] in METHODS]


class Drawn:
    """An Rng that gives one prepared value, of whatever width it has."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def octets(self, count: int) -> bytes:
        return self.data


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_vectors(case: dict[str, Any]) -> None:
    """The seeds are both private values, one after the other."""
    group, seed = METHODS[case["method"]], case["seed"]
    half = len(seed) // 2
    for private, own, other in ((seed[:half], "pub_i", "pub_r"), (seed[half:], "pub_r", "pub_i")):
        # ECP scalars are drawn as "remainder, plus one".
        drawn = (int.from_bytes(private, "big") - 1).to_bytes(half, "big") if group in ECPS else private
        pair = dh.generate(group, Drawn(drawn))
        assert pair.public == case[own]
        assert pair.shared(case[other]) == case["shared"]


def test_every_group_had_a_vector() -> None:
    assert {METHODS[case["method"]] for case in CASES} == set(GROUPS)


@pytest.mark.parametrize("group", GROUPS)
def test_both_ends_agree_and_runs_replay(group: str) -> None:
    ours, theirs = dh.generate(group, SeededRng(1)), dh.generate(group, SeededRng(2))
    row = registry.get(Kind.DH, group)
    assert ours.shared(theirs.public) == theirs.shared(ours.public)
    assert (len(ours.public), len(ours.shared(theirs.public))) == (row.public, row.output)
    assert dh.generate(group, SeededRng(1)).public == ours.public != theirs.public


@pytest.mark.parametrize("group", MODPS)
def test_modp_arithmetic_against_python(group: str) -> None:
    rng = SeededRng(5)
    exponent = int.from_bytes(SeededRng(5).octets(dh.EXPONENT_OCTETS), "big")
    pair = dh.generate(group, rng)
    prime = modp.prime(len(pair.public) * 8)
    assert int.from_bytes(pair.public, "big") == pow(2, exponent, prime)
    peer = 123456789
    assert int.from_bytes(pair.shared(peer.to_bytes(len(pair.public), "big")), "big") == pow(peer, exponent, prime)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("delta", [-1, 1, 65535])
def test_wrong_length(group: str, delta: int) -> None:
    """CVE-2023-41913."""
    pair = dh.generate(group, SeededRng(1))
    octets = 65535 if delta == 65535 else len(pair.public) + delta
    for value in (bytes(octets), b"\x02" * octets):
        with pytest.raises(CryptoError, match=f"public value of {octets} octets"):
            pair.shared(value)
    with pytest.raises(CryptoError, match="octets, not"):
        pair.shared(b"")


@pytest.mark.parametrize("group", MODPS)
def test_modp_values_outside_the_group(group: str) -> None:
    """CVE-2015-3240: 0, 1, p-1, p, p+1."""
    pair = dh.generate(group, SeededRng(1))
    octets = len(pair.public)
    prime = modp.prime(octets * 8)
    for value in (0, 1, prime - 1, prime, prime + 1, 2 ** (octets * 8) - 1):
        with pytest.raises(CryptoError, match=r"not in 2\.\.p-2"):
            pair.shared(value.to_bytes(octets, "big"))


@pytest.mark.parametrize("group", ECPS)
def test_points_off_the_curve(group: str) -> None:
    """RFC 6989 2.3."""
    pair = dh.generate(group, SeededRng(1))
    good = dh.generate(group, SeededRng(2)).public
    half = len(good) // 2
    for bad in (
        bytes(len(good)),
        b"\xff" * len(good),
        good[:-1] + bytes([good[-1] ^ 1]),
        good[half:] + good[:half],
        good[:half] + bytes(half),
    ):
        with pytest.raises(CryptoError, match="not a point on the curve"):
            pair.shared(bad)


@pytest.mark.parametrize(
    "value",
    [
        bytes(32),
        b"\1" + bytes(31),
        (2**255 - 19).to_bytes(32, "little"),
        (2**255 - 20).to_bytes(32, "little"),
        bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    ],
)
def test_x25519_values_of_small_order(value: bytes) -> None:
    """RFC 7748 6.1: an all-zero result is refused."""
    with pytest.raises(CryptoError, match="small order"):
        dh.generate("x25519", SeededRng(1)).shared(value)


@pytest.mark.parametrize("group", GROUPS)
def test_our_own_value_is_not_a_peers(group: str) -> None:
    pair = dh.generate(group, SeededRng(1))
    with pytest.raises(CryptoError, match="our own"):
        pair.shared(pair.public)


@pytest.mark.parametrize("group", ["modp768", "modp1024", "modp1536", "dh22", "x448", "ml_kem_512", "nothing"])
def test_groups_that_are_not_used(group: str) -> None:
    with pytest.raises(CryptoError):
        dh.generate(group, SeededRng(1))


@pytest.mark.parametrize("group", ECPS)
def test_the_orders_of_the_curves(group: str) -> None:
    """(order - 1) times the base point is the base point mirrored: same x, other y."""
    order = dh.ORDERS[group]
    octets = (order.bit_length() + 7) // 8
    base = dh.generate(group, Drawn(bytes(octets))).public
    mirrored = dh.generate(group, Drawn((order - 2).to_bytes(octets, "big"))).public
    assert mirrored[:octets] == base[:octets]
    assert mirrored[octets:] != base[octets:]


KEMS = {"ml_kem_768": (1184, 1088), "ml_kem_1024": (1568, 1568)}
"""Octets of the encapsulation key and of the ciphertext (FIPS 203 table 3)."""


@pytest.mark.parametrize("group", KEMS)
def test_key_encapsulation(group: str) -> None:
    pair = dh.generate(group, SeededRng(1))
    assert pair.public == dh.generate(group, SeededRng(1)).public != dh.generate(group, SeededRng(2)).public
    ciphertext, secret = dh.respond(group, pair.public, SeededRng(3))
    assert (len(pair.public), len(ciphertext), len(secret)) == (*KEMS[group], 32)
    assert pair.shared(ciphertext) == secret
    assert pair.shared(bytes(len(ciphertext))) != secret, "a forged ciphertext is rejected by another secret"


@pytest.mark.parametrize("group", KEMS)
@pytest.mark.parametrize("delta", [-1, 1])
def test_key_encapsulation_of_wrong_length(group: str, delta: int) -> None:
    pair = dh.generate(group, SeededRng(1))
    with pytest.raises(CryptoError, match="octets"):
        dh.respond(group, bytes(KEMS[group][0] + delta), SeededRng(2))
    with pytest.raises(CryptoError, match="octets"):
        pair.shared(bytes(KEMS[group][1] + delta))
    with pytest.raises(CryptoError):
        dh.respond(group, b"\xff" * KEMS[group][0], SeededRng(2))


@pytest.mark.parametrize("group", ["x25519", "ecp256", "modp2048"])
def test_a_responders_half(group: str) -> None:
    pair = dh.generate(group, SeededRng(1))
    public, secret = dh.respond(group, pair.public, SeededRng(2))
    assert pair.shared(public) == secret


def test_ikev1_has_two_groups_more() -> None:
    """strongSwan's vectors, RFC 2409 6.2, RFC 3526 2."""
    seen = set()
    for case in strongswan("modp"):
        group, half = f"modp{case['method'].split('_')[1]}", len(case["seed"]) // 2
        if group in RELICS:
            for private, own, other in (
                (case["seed"][:half], "pub_i", "pub_r"),
                (case["seed"][half:], "pub_r", "pub_i"),
            ):
                pair = dh.generate_ikev1(group, Drawn(private))
                assert pair.public == case[own]
                assert pair.shared(case[other]) == case["shared"]
            seen.add(group)
    assert seen == set(RELICS)


@pytest.mark.parametrize("group", RELICS)
def test_ikev2_does_not_get_them(group: str) -> None:
    with pytest.raises(CryptoError, match="is refused"):
        dh.generate(group, SeededRng(1))
    prime = modp.prime(registry.get_ikev1(Kind.DH, group).public * 8)
    pair = dh.generate_ikev1(group, SeededRng(1))
    for value in (0, 1, prime - 1, prime, prime + 1):
        with pytest.raises(CryptoError, match=r"not in 2\.\.p-2"):
            pair.shared(value.to_bytes(pair.group.public, "big"))


@pytest.mark.parametrize("group", ["modp768", "dh22", "x448", "ml_kem_768"])
def test_some_groups_nobody_gets(group: str) -> None:
    with pytest.raises(CryptoError, match="is refused"):
        dh.generate_ikev1(group, SeededRng(1))
