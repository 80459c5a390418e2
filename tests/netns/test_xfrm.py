# SPDX-License-Identifier: GPL-2.0-or-later
"""Against a stock Linux kernel keyed by `ip xfrm`: every ESP algorithm, both families in both, ESN, replay windows.

The whole cross product is `make soak-xfrm`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.netns.capture import Capture, Seen
from tests.netns.conns import INNER
from tests.netns.lab import Lab
from tests.netns.traffic import udp_socket
from tests.netns.xfrm import HOSTS, OUTER, Case, KernelPeer, bundles, sample

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600), pytest.mark.xdist_group("kernelpeer")]


def is_order(seen: Seen) -> bool:
    """Is it TCP from or to port 7 of the guest?"""
    return seen.kind == "tcp" and {seen.src, seen.dst} == {"192.0.2.1", "192.0.2.2"} and b"\0\7" in seen.data[34:38]


@pytest.fixture(scope="module")
def peer() -> Iterator[KernelPeer]:
    with Lab("vm") as lab:
        yield KernelPeer(lab)


@pytest.mark.matrix
@pytest.mark.parametrize("case", [*sample(), *bundles()], ids=str)
def test_traffic(peer: KernelPeer, case: Case) -> None:
    peer.install(case)
    try:
        with Capture(peer.lab.west, "tap0") as wire:
            peer.prove(case)
            wire.close()
            # The orders to the guest are TCP between the outer addresses; nothing else may be seen.
            alone = {"tcp", "icmp", "udp"} if case.kind == "comp" else set()
            hidden = {"proto-51", "proto-108", *alone, *({"proto-4", "proto-41"} if alone and case.tunnel else ())}
            seen = [s for s in wire.leaks(INNER) if s.kind not in hidden and not is_order(s)]
            assert not seen, seen
            kinds = wire.count()
            assert kinds["esp"] + kinds["proto-51"] + kinds["proto-108"] > (20 if case.kind != "comp" else 8), kinds
    except BaseException:
        print(peer.state(), peer.west.log(), sep="\n")
        raise


def traffic_class(packet: bytes) -> int:
    """DSCP and ECN of the IP packet in a frame."""
    first, second = packet[14:16]
    return second if first >> 4 == 4 else (first & 15) << 4 | second >> 4


@pytest.mark.parametrize("version", [4, 6])
def test_ecn_goes_outside_and_dscp_stays_inside(peer: KernelPeer, version: int) -> None:
    peer.install(Case("aes_gcm_16-128", version, version))
    here, there = HOSTS[version]
    marked = 0xBA  # expedited forwarding, ECT(0)
    level, option = (socket.IPPROTO_IP, socket.IP_TOS) if version == 4 else (socket.IPPROTO_IPV6, 67)
    with Capture(peer.lab.west, "tap0") as wire, Capture(peer.lab.sunset, "lan") as lan:
        with udp_socket(peer.lab.sunset, here) as s:
            s.settimeout(4)
            s.setsockopt(level, option, marked)
            s.sendto(b"marked", (there, 7001))
            assert s.recv(100) == b"marked", peer.state()
        peer.guest.sh(f"ping -n -c 1 -w 6 -Q {marked} -I {there} {here}")
        wire.close()
        lan.close()
        outer = {traffic_class(s.data) for s in wire.packets(lambda s: s.kind == "esp" and s.src == OUTER[version][0])}
        assert outer <= {0x02, 0x00} and 0x02 in outer, outer
        theirs = {traffic_class(s.data) for s in lan.packets(lambda s: s.src == there)}
        assert marked in theirs, theirs


@pytest.mark.parametrize("version", [4, 6])
def test_options_and_extension_headers_pass_both_ways(peer: KernelPeer, version: int) -> None:
    """Router alert in IPv4's options, or a hop-by-hop and a destination options header."""
    peer.install(Case("aes128-sha2_256", version, version))
    here, there = HOSTS[version]
    with udp_socket(peer.lab.sunset, here) as s:
        s.settimeout(4)
        if version == 4:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes((1, 1, 1, 1)))
        else:
            padding = bytes((0, 0, 1, 4, 0, 0, 0, 0))
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, padding)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, padding)
        for size in (10, 1200):
            s.sendto(bytes(size), (there, 7001))
            assert s.recv(2000) == bytes(size), peer.state()


@pytest.mark.parametrize("version", [4, 6])
def test_port_selectors(peer: KernelPeer, version: int) -> None:
    """Only UDP to port 7001 has an SA: other traffic of the same hosts has none, and finds no way out in clear."""
    peer.install(Case("aes_gcm_16-128", version, version, port=7001))
    here, there = HOSTS[version]
    with Capture(peer.lab.west, "tap0") as wire:
        with udp_socket(peer.lab.sunset, here) as s:
            s.settimeout(4)
            s.sendto(b"to this port", (there, 7001))
            assert s.recv(100) == b"to this port", peer.state()
            s.settimeout(0.5)
            s.sendto(b"to another", (there, 7002))
            with pytest.raises(TimeoutError):
                s.recv(100)
        wire.close()
        assert not [s for s in wire.leaks(INNER) if not is_order(s)]
        assert wire.count()["esp"] == 2
