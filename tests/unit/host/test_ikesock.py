# SPDX-License-Identifier: GPL-2.0-or-later
"""Outer sockets in a namespace: marks, markers, following addresses, refusals."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any

import pytest

from openswan.base.address import Address, Endpoint
from openswan.base.errors import HostError
from openswan.base.marks import DEFAULT_MARKS
from openswan.base.numbers import SO_MARK
from openswan.host.ikesock import Kind, Outer, OuterSockets, PortInUseError, open_pass_socket, open_socket

Namespace = Callable[[Callable[[], Any]], Any]
V4, V6 = ip_address("127.0.0.1"), ip_address("::1")


class Events:
    """Notes what the sockets report."""

    def __init__(self) -> None:
        self.datagrams: list[tuple[Endpoint, Endpoint, bytes]] = []
        self.errors: list[tuple[Endpoint, Endpoint | None, str]] = []
        self.attached: list[Endpoint] = []
        self.detached: list[Endpoint] = []

    def sockets(self) -> OuterSockets:
        return OuterSockets(
            lambda local, messages: self.datagrams.extend((local, *each) for each in messages),
            lambda *args: self.errors.append(args),
            lambda outer: self.attached.append(outer.local),
            self._detach,
        )

    def _detach(self, outer: Outer) -> None:
        assert outer.sock.fileno() >= 0, "detached after it was closed"
        self.detached.append(outer.local)


def run(namespace: Namespace, conversation: Callable[[Events, OuterSockets], Awaitable[None]]) -> Events:
    def work() -> Events:
        async def go() -> Events:
            events = Events()
            sockets = events.sockets()
            await conversation(events, sockets)
            sockets.close()
            return events

        return asyncio.run(go())

    result: Events = namespace(work)
    return result


async def until(condition: Callable[[], object]) -> None:
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("waited 2 s in vain")


@pytest.mark.parametrize("address", [V4, V6])
@pytest.mark.parametrize("kind", list(Kind))
def test_sockets_are_marked_and_never_block(namespace: Namespace, kind: Kind, address: Address) -> None:
    def work() -> None:
        with open_socket(kind, address, 0 if kind.protocol else 4500) as sock:
            assert sock.getsockopt(socket.SOL_SOCKET, SO_MARK) == DEFAULT_MARKS.own
            assert not sock.getblocking()
            assert sock.getsockname()[0] == str(address)
            level, option = (socket.IPPROTO_IP, 10) if address.version == 4 else (socket.IPPROTO_IPV6, 23)
            assert sock.getsockopt(level, option) == 5

    namespace(work)


def test_one_socket_of_each_kind_per_address_and_only_the_difference_changes(namespace: Namespace) -> None:
    async def conversation(events: Events, sockets: OuterSockets) -> None:
        assert sockets.follow({V4: "lo"}) == []
        assert events.attached == [Endpoint(V4, 500), Endpoint(V4, 4500), *[Endpoint(V4, 0)] * 3]
        assert [outer.kind.protocol for outer in sockets] == [None, None, 50, 51, 108]
        assert sockets.follow({V4: "lo", V6: "lo"}) == []
        assert len(events.attached) == 10 and events.detached == []
        assert sockets.follow({V6: "lo"}) == []
        assert set(events.detached) == {Endpoint(V4, 500), Endpoint(V4, 4500), Endpoint(V4, 0)}
        assert {outer.local.address for outer in sockets} == {V6}
        # IP in IP only where somebody waits for it.
        assert sockets.want_bare(V6) == []
        assert [outer.kind.protocol for outer in sockets] == [None, None, 50, 51, 108, 4, 41]
        assert sockets.follow({V4: "lo", V6: "lo"}) == [] and len(tuple(sockets)) == 12

    run(namespace, conversation)


@pytest.mark.parametrize("address", [V4, V6])
def test_ike_comes_in_on_500_and_goes_out_with_the_marker_on_4500(namespace: Namespace, address: Address) -> None:
    async def conversation(events: Events, sockets: OuterSockets) -> None:
        sockets.follow({address: "lo"})
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM) as peer:
            peer.bind((str(address), 0))
            peer.settimeout(2)
            remote = Endpoint(address, peer.getsockname()[1])
            peer.sendto(b"hello", (str(address), 500))
            await until(lambda: events.datagrams)
            assert events.datagrams == [(Endpoint(address, 500), remote, b"hello")]
            sockets.send(Endpoint(address, 500), remote, b"plain")
            assert peer.recv(100) == b"plain"
            sockets.send(Endpoint(address, 4500), remote, b"marked")
            assert peer.recv(100) == b"\0\0\0\0marked"
            sockets.send_raw(Endpoint(address, 4500), remote, b"\xff")
            assert peer.recv(100) == b"\xff"

    run(namespace, conversation)


def test_a_refusal_whose_details_the_kernel_has_no_room_for(namespace: Namespace) -> None:
    async def go(events: Events, sockets: OuterSockets) -> None:
        assert sockets.follow({V4: "lo"}) == []
        here = Endpoint(V4, 500)
        ours = next(outer.sock for outer in sockets if outer.local == here)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            for _ in range(20):
                flood.sendto(bytes(1000), ("127.0.0.1", 500))
        sockets.send(here, Endpoint(V4, 999), b"to nobody")
        await until(lambda: events.errors)
        assert events.errors == [(here, None, "Connection refused")]

    run(namespace, go)


def test_errors_are_reported_with_the_peer_they_concern(namespace: Namespace) -> None:
    closed = Endpoint(V4, 9)

    async def conversation(events: Events, sockets: OuterSockets) -> None:
        sockets.follow({V4: "lo"})
        sockets.send(Endpoint(V4, 500), closed, b"anyone?")
        await until(lambda: events.errors)
        local, remote, why = events.errors[0]
        assert (local, remote) == (Endpoint(V4, 500), closed)
        words = "Connection refused [errno 111, origin ICMP type 3 code 3 (not authenticated)]"
        assert why == f"complainant {V4}: {words}"
        sockets.send(Endpoint(ip_address("192.0.2.1"), 500), closed, b"x")
        assert "not an address we listen on" in events.errors[-1][2]
        sockets.send(Endpoint(V4, 500), Endpoint(ip_address("198.51.100.1"), 500), b"x")
        assert events.errors[-1][1] == Endpoint(ip_address("198.51.100.1"), 500)

    run(namespace, conversation)


def test_a_port_in_use_and_a_lost_address_are_one_clear_line_each(namespace: Namespace) -> None:
    async def conversation(events: Events, sockets: OuterSockets) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 500))
            complaints = sockets.follow({V4: "lo"})
        (complaint,) = complaints
        assert isinstance(complaint, PortInUseError)
        assert str(complaint) == (
            "cannot listen on UDP 127.0.0.1:500 for IKE: port in use by another program (ss -ulpn shows it)"
        )
        assert events.attached == [Endpoint(V4, 4500), *[Endpoint(V4, 0)] * 3]
        assert sockets.follow({V4: "lo"}) == []

    run(namespace, conversation)
    with pytest.raises(HostError, match=r"192\.0\.2\.1:500 for IKE: the address has just gone"):
        namespace(lambda: open_socket(Kind.IKE, ip_address("192.0.2.1"), 500))


@pytest.mark.parametrize("version", [4, 6])
def test_packets_in_clear_leave_by_a_marked_socket_of_their_own(namespace: Namespace, version: int) -> None:
    def work() -> None:
        with open_pass_socket(version) as sock:
            assert sock.getsockopt(socket.SOL_SOCKET, SO_MARK) == DEFAULT_MARKS.own
            level, option = (socket.IPPROTO_IP, 3) if version == 4 else (socket.IPPROTO_IPV6, 36)
            assert sock.getsockopt(level, option) == 1

    namespace(work)


def test_the_buffers_of_ike_are_as_large_as_said(namespace: Namespace) -> None:
    """ike-socket-bufsize=; the kernel counts its own bookkeeping in, so it tells twice as many octets."""

    def sizes(octets: int) -> dict[Kind, set[int]]:
        sockets = OuterSockets(lambda *_: None, lambda *_: None, lambda _: None, lambda _: None, ike_buffer=octets)
        assert sockets.follow({V4: "lo"}) == []
        found = {
            each.kind: {
                each.sock.getsockopt(socket.SOL_SOCKET, option) for option in (socket.SO_RCVBUF, socket.SO_SNDBUF)
            }
            for each in sockets
        }
        sockets.close()
        return found

    def work() -> tuple[dict[Kind, set[int]], dict[Kind, set[int]]]:
        async def go() -> tuple[dict[Kind, set[int]], dict[Kind, set[int]]]:
            return sizes(0), sizes(123_456)

        return asyncio.run(go())

    usual, said = namespace(work)
    assert said[Kind.IKE] == {2 * 123_456} != usual[Kind.IKE]
    assert said[Kind.NATT] == usual[Kind.NATT], "ESP's are another matter"
