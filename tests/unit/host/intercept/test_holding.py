# SPDX-License-Identifier: GPL-2.0-or-later
"""What waits goes on in order, oldest first, within its room."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest

from openswan.base.marks import Marks
from openswan.engine.effects import Decision
from openswan.host.intercept.holding import MOST_A_PAIR, Holding, read_head
from openswan.host.nfqueue import Queued

MARKS = Marks()
A, B, C = "10.1.0.2", "192.0.2.2", "192.0.2.3"
A6, B6 = "2001:db8:1::2", "2001:db8::2"
Said = tuple[int, int, bool, int | None]


def packet(src: str, dst: str, protocol: int = 17, rest: bytes = bytes(8), fragment: int = 0) -> bytes:
    one, other = ip_address(src), ip_address(dst)
    if one.version == 6:
        return struct.pack(">IHBB", 6 << 28, len(rest), protocol, 64) + one.packed + other.packed + rest
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(rest), 0, fragment, 64, protocol, 0)
    return head + one.packed + other.packed + rest


def tcp(port: int, flags: int) -> bytes:
    return struct.pack(">HHIIBBHHH", port, 80, 0, 0, 0x50, flags, 0, 0, 0)


def made(**more: int) -> tuple[Holding, list[Said]]:
    said: list[Said] = []
    return Holding(lambda *verdict: said.append(verdict), **more), said


def take(holding: Holding, number: int, data: bytes, mark: int = 0) -> bool:
    return holding.take(1, Queued(number, 0, mark, data)) is not None


def hosts(src: str = A, dst: str = B) -> tuple[object, object]:
    return ip_address(src), ip_address(dst)


@pytest.mark.parametrize(("src", "dst"), [(A, B), (A6, B6)], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize(("decision", "mark"), [(Decision.PASS, MARKS.clear), (Decision.TUNNEL, MARKS.tunnel)])
def test_in_order_and_only_the_last_one_teaches(src: str, dst: str, decision: Decision, mark: int) -> None:
    holding, said = made()
    assert [take(holding, n, packet(src, dst), 0x50) for n in range(4)] == [True, False, False, False]
    assert said == [] and holding.count == 4
    assert holding.decide((ip_address(src), ip_address(dst)), decision)
    assert said == [(1, n, True, 0x50 | mark | (MARKS.learn if n == 3 else 0)) for n in range(4)], "others' bits stay"
    assert holding.count == 0 and not holding.held
    assert not holding.decide((ip_address(src), ip_address(dst)), decision)


@pytest.mark.parametrize("decision", [Decision.DROP, Decision.FORGET])
def test_dropped(decision: Decision) -> None:
    holding, said = made()
    take(holding, 1, packet(A, B))
    take(holding, 2, packet(A, C))
    assert holding.decide((ip_address(A), ip_address(B)), Decision.HOLD) and said == []
    assert holding.decide((ip_address(A), ip_address(B)), decision)
    assert said == [(1, 1, False, None)] and holding.count == 1, "the other pair waits on"


def test_none_of_our_business() -> None:
    holding, said = made()
    take(holding, 1, packet(A, B))
    holding.decide((ip_address(A), ip_address(B)), Decision.LEAVE)
    assert said == [(1, 1, True, None)]


def test_what_a_lost_queue_held_is_gone() -> None:
    """Its numbers may come again, for other packets."""
    holding, said = made()
    take(holding, 1, packet(A, B))
    holding.take(2, Queued(1, 0, 0, packet(A, B)))
    take(holding, 2, packet(A, C))
    holding.forget(1)
    assert said == [] and holding.count == 1 and holding.drops == 2
    assert not holding.decide((ip_address(A), ip_address(C)), Decision.DROP)
    assert holding.decide((ip_address(A), ip_address(B)), Decision.DROP) and said == [(2, 1, False, None)]


def test_a_pair_has_its_room_and_the_oldest_goes() -> None:
    holding, said = made()
    for number in range(MOST_A_PAIR + 3):
        take(holding, number, packet(A, B))
    assert said == [(1, n, False, None) for n in range(3)] and holding.drops == 3
    assert holding.count == MOST_A_PAIR


def test_all_of_them_have_theirs_and_nobody_pushes_others_out() -> None:
    holding, said = made(most=3)
    take(holding, 1, packet(A, B))
    take(holding, 2, packet(A, B))
    take(holding, 3, packet(A, C))
    assert not take(holding, 4, packet(B, C)), "no room for another pair"
    assert said == [(1, 4, False, None)]
    take(holding, 5, packet(A, B))
    assert said[1:] == [(1, 1, False, None)] and holding.count == 3


def test_the_newest_syn_stands_for_its_connection() -> None:
    holding, said = made()
    take(holding, 1, packet(A, B, 6, tcp(1000, 0x02)))
    take(holding, 2, packet(A, B, 6, tcp(1001, 0x02)))
    take(holding, 3, packet(A, B, 6, tcp(1000, 0x02)))
    take(holding, 4, packet(A, B, 6, tcp(1000, 0x12)))
    take(holding, 5, packet(A, B, 6, tcp(1000, 0x10)))
    assert said == [(1, 1, False, None)]
    assert [held.number for held in holding.held[ip_address(A), ip_address(B)]] == [2, 3, 4, 5]
    assert read_head(packet(A6, B6, 6, tcp(7, 0x02))).ports  # type: ignore[union-attr]
    assert not read_head(packet(A, B, 6, tcp(7, 0x02), fragment=5)).ports  # type: ignore[union-attr]


def test_what_is_no_packet_is_dropped() -> None:
    holding, said = made()
    whole = packet(A, B)
    for data in (b"", whole[:19], b"\x00" + whole[1:], packet(A6, B6)[:39], b"\x55" * 60):
        assert not take(holding, 9, data)
    assert said == [(1, 9, False, None)] * 5 and holding.count == 0
    for length in range(len(packet(A, B, 6, tcp(1, 2)))):
        read_head(packet(A, B, 6, tcp(1, 2))[:length])


IKE, NATT = (500).to_bytes(2, "big") * 2, (4500).to_bytes(2, "big") * 2


@pytest.mark.parametrize(("src", "dst"), [(A, B), (A6, B6)], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("decision", [Decision.DROP, Decision.REFUSE])
def test_what_a_host_has_encrypted_itself_passes_where_no_tunnel_can_be_had(
    src: str, dst: str, decision: Decision
) -> None:
    """ESP, and UDP from and to one of IKE's ports; nothing of it where some line closes all."""
    for spared in (True, False):
        said: list[Said] = []
        holding = Holding(lambda *verdict: said.append(verdict), spares=lambda to: spared and str(to) == dst)  # noqa: B023
        own = [packet(src, dst, 50), packet(src, dst, 17, IKE + bytes(9)), packet(src, dst, 17, NATT + bytes(9))]
        others = [
            packet(src, dst, 51),
            packet(src, dst, 17, IKE[:2] + NATT[:2] + bytes(9)),
            packet(src, dst, 17, bytes((2, 0)) + IKE[:2]),
            packet(src, dst, 6, IKE + bytes(20)),
            packet(src, dst, 17, IKE[:3]),
        ]
        for number, data in enumerate([*own, *others]):
            take(holding, number, data, 0x50)
        assert holding.decide((ip_address(src), ip_address(dst)), decision)
        passed = {number: mark for _, number, accept, mark in said if accept and mark == 0x50 | MARKS.spared}
        assert len(passed) == (len(own) if spared else 0) and set(passed) <= {0, 1, 2}
        if decision is Decision.DROP:
            assert sum(accept for _, _, accept, _ in said) == len(passed)


def test_a_later_fragment_is_nobodys_ike() -> None:
    """What stands where ports would be is the sender's to choose."""
    later = read_head(packet(A, B, 17, IKE + bytes(9), fragment=185))
    first = read_head(packet(A, B, 17, IKE + bytes(9), fragment=0x2000))
    assert later is not None and first is not None and first.itself and not later.itself
    esp = read_head(packet(A, B, 50, bytes(20), fragment=185))
    assert esp is not None and esp.itself, "the protocol is that of the whole"
