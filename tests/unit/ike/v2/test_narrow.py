# SPDX-License-Identifier: GPL-2.0-or-later
"""Traffic selectors in common, and when less is not enough."""

from __future__ import annotations

import pytest

from openswan.base.address import parse_subnet
from openswan.base.entropy import SeededRng
from openswan.base.errors import IkeError
from openswan.ike.v2.narrow import MOST, agree, common, covers, from_wire, to_wire, verify
from openswan.policy.selector import Selector
from openswan.wire.v2.ts import TsI


def net(text: str, protocol: int = 0, port: int = 0) -> Selector:
    return Selector.of(parse_subnet(text), protocol, port)


def test_wire_round_trip() -> None:
    selectors = (net("10.0.0.0/8"), net("2001:db8::/32", 17, 53))
    assert from_wire(TsI(to_wire(selectors))) == selectors


def test_only_unknown_families_is_unacceptable() -> None:
    with pytest.raises(IkeError) as caught:
        from_wire(TsI((), skipped=1))
    assert caught.value.notify == 38


def test_parts_inside_other_parts_go() -> None:
    # A first packet's own addresses come before the whole range (RFC 7296 2.9).
    proposed = (net("10.1.2.3/32", 6, 80), net("10.1.0.0/16"))
    assert common(proposed, (net("10.1.0.0/16"),)) == (net("10.1.0.0/16"),)


def test_families_do_not_mix() -> None:
    assert common((net("0.0.0.0/0"),), (net("::/0"),)) == ()


def test_opaque_ports_meet_nothing() -> None:
    opaque = Selector(net("10.0.0.0/8").first, net("10.0.0.0/8").last, 6, 65535, 0)
    assert common((opaque,), (net("10.0.0.0/8", 6),)) == ()


@pytest.mark.parametrize(
    ("proposed", "allowed", "narrowing", "expected"),
    [
        ("10.1.0.0/16", "10.1.0.0/16", False, "10.1.0.0/16"),
        ("0.0.0.0/0", "10.1.0.0/16", False, "10.1.0.0/16"),
        ("10.1.1.0/24", "10.1.0.0/16", False, None),
        ("10.1.1.0/24", "10.1.0.0/16", True, "10.1.1.0/24"),
        ("10.3.0.0/16", "10.1.0.0/16", True, None),
    ],
)
def test_agree(proposed: str, allowed: str, narrowing: bool, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(IkeError) as caught:
            agree((net(proposed),), (net(allowed),), narrowing)
        assert caught.value.notify == 38
    else:
        assert agree((net(proposed),), (net(allowed),), narrowing) == (net(expected),)


def test_verify() -> None:
    ours = (net("10.1.0.0/16"),)
    assert verify(ours, ours, False) == ours
    assert verify((net("10.1.1.0/24"),), ours, True) == (net("10.1.1.0/24"),)
    with pytest.raises(IkeError, match="narrows"):
        verify((net("10.1.1.0/24"),), ours, False)
    with pytest.raises(IkeError, match="more than our"):
        verify((net("10.0.0.0/8"),), ours, True)


def test_too_many_parts() -> None:
    many = tuple(net(f"10.{i}.0.0/17") for i in range(MOST + 1))
    with pytest.raises(IkeError):
        common(many, (net("10.0.0.0/8"),))
    with pytest.raises(IkeError):
        from_wire(TsI(to_wire(many)))


def test_common_is_exactly_what_both_cover() -> None:
    rng = SeededRng("narrow")

    def some() -> tuple[Selector, ...]:
        found = []
        for _ in range(1 + rng.octets(1)[0] % 3):
            a, b, protocol, low, high = rng.octets(5)
            first, last = sorted((a % 32, b % 32))
            base = net("10.0.0.0/8").first
            low, high = sorted((low % 8, high % 8))
            found.append(Selector(base + first, base + last, (0, 6, 17)[protocol % 3], low, high))
        return tuple(found)

    base = net("10.0.0.0/8").first
    for _ in range(300):
        left, right = some(), some()
        both = common(left, right)
        assert covers(left, both) and covers(right, both)
        for _ in range(40):
            host, protocol, port = rng.octets(3)
            point = Selector(base + host % 32, base + host % 32, (6, 17, 50)[protocol % 3], port % 8, port % 8)
            assert covers(both, (point,)) == (covers(left, (point,)) and covers(right, (point,)))
