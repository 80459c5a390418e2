# SPDX-License-Identifier: GPL-2.0-or-later
"""The leak matrix: whatever happens to west, not one packet of a protected selector is seen in clear on its wire.

    sunset ----lan---- west =======wan======= east ----lan---- sunrise
                        ^^^ disturbed   ^ witness

Every disturbance meets all flows at once: {local, forwarded} x {IPv4, IPv6} x {new flows, flows and TCP connections
established before the start, source-NATed flows, fragments, ICMP errors that quote decrypted packets}.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, NET4, NET6, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.pair import Pair, pair
from tests.netns.test_hostile import inject
from tests.netns.traffic import Flow, Receiver, Stream, assert_ping, internet_checksum, ping, udp_socket

ENDS = [
    ("forwarded", "sunset", "10.1.0.2", "10.2.0.2"),
    ("forwarded", "sunset", "2001:db8:1::2", "2001:db8:2::2"),
    ("local", "west", "10.1.0.1", "10.2.0.2"),
    ("local", "west", "2001:db8:1::1", "2001:db8:2::2"),
]
NEW, OLD, NATTED, FRAGMENTS, ECHO = 7001, 7002, 7003, 7004, 7005
CLOSED = 7009
MARK = b"<<secret>>"


class ErrorSource:
    """Provokes ICMP errors about packets that came through the tunnel.

    Sunrise sends to a closed port of the near end, which answers with port unreachable; and sunset's side speaks for a
    router whose address no selector covers, as a LAN of several hops would.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.provoked = 0
        self._provokers = [
            (udp_socket(lab.sunrise, far), near)
            for near, far in (
                ("10.1.0.2", "10.2.0.2"),
                ("10.1.0.1", "10.2.0.2"),
                ("2001:db8:1::2", "2001:db8:2::2"),
                ("2001:db8:1::1", "2001:db8:2::2"),
            )
        ]
        with lab.sunset.inside():
            self._raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        with lab.west.inside():
            self._near = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def once(self) -> None:
        """One round of errors."""
        for s, near in self._provokers:
            with suppress(OSError):
                s.sendto(MARK + b"error", (near, CLOSED))
        quoted = _ip(17, "10.2.0.2", "10.1.0.2", struct.pack("!HHHH", CLOSED, CLOSED, 8 + len(MARK), 0) + MARK)
        error = _icmp(11, 0, quoted)
        for s, speaker in ((self._raw, "10.9.0.1"), (self._near, "192.0.2.1")):
            with suppress(OSError):
                s.sendto(_ip(1, speaker, "10.2.0.2", error), ("10.2.0.2", 0))
        self.provoked += 1

    def close(self) -> None:
        """Let go of the sockets."""
        for s, _ in self._provokers:
            s.close()
        self._raw.close()
        self._near.close()


def _ip(protocol: int, src: str, dst: str, body: bytes) -> bytes:
    return (
        struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 7, 0, 64, protocol, 0)
        + socket.inet_aton(src) + socket.inet_aton(dst) + body
    )  # fmt: skip


def forged(victim: Host, src: str, dst: str, payload: bytes) -> bytes:
    """A frame to the victim's wan with a datagram to port 7001 that nobody behind `src` has sent."""
    mac = victim.ip("-o", "link", "show", "wan").split("link/ether ")[1].split()[0]
    version = socket.AF_INET6 if ":" in src else socket.AF_INET
    ends = socket.inet_pton(version, src) + socket.inet_pton(version, dst)
    length = 8 + len(payload)
    pseudo = ends + struct.pack("!II", length, 17)
    udp = struct.pack("!HHH", 7001, 7001, length)
    udp += internet_checksum(pseudo + udp + b"\0\0" + payload).to_bytes(2, "big") + payload
    if version == socket.AF_INET6:
        packet, kind = struct.pack("!IHBB", 6 << 28, length, 17, 64) + ends + udp, b"\x86\xdd"
    else:
        head = struct.pack("!BBHHHBB", 0x45, 0, 20 + length, 7, 0, 64, 17)
        packet, kind = head + internet_checksum(head + ends).to_bytes(2, "big") + ends + udp, b"\x08\x00"
    return bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("020000000001") + kind + packet


def _icmp(kind: int, code: int, quoted: bytes) -> bytes:
    body = struct.pack("!BBHI", kind, code, 0, 0) + quoted
    return body[:2] + internet_checksum(body).to_bytes(2, "big") + body[4:]


class Everything:
    """All flows of the matrix, running."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.heard: dict[tuple[str, int], Receiver] = {}
        for target in ("10.2.0.2", "2001:db8:2::2"):
            for port in (NEW, OLD, NATTED, FRAGMENTS):
                self.heard[target, port] = Receiver(lab.sunrise, target, port, echo=port in (OLD, NATTED))
        self.flows: list[Flow] = []
        self.streams: list[Stream] = []
        self.errors = ErrorSource(lab)
        for number, (_, name, source, target) in enumerate(ENDS):
            for port in (OLD, NATTED):
                self._flow(lab[name], source, target, port)
            self.streams.append(Stream(lab[name], lab.sunrise, source, target, 7100 + number, MARK))
        wait_for("the flows that come first", lambda: all(r.got for (_, p), r in self.heard.items() if p == OLD), 5)

    def _flow(self, host: Host, source: str, target: str, port: int, **more: object) -> None:
        self.flows.append(Flow(host, source, target, port, MARK, pace=0.02, **more).start())  # type: ignore[arg-type]

    def add_new(self) -> None:
        """The flows that begin after the start."""
        for _, name, source, target in ENDS:
            self._flow(self.lab[name], source, target, NEW, new_each=True)
            self._flow(self.lab[name], source, target, FRAGMENTS, size=4000)

    def clear(self) -> None:
        """Forget what arrived."""
        for heard in self.heard.values():
            heard.got.clear()

    def silent(self) -> list[tuple[str, int]]:
        """(target, port) pairs at which nothing has arrived since."""
        return [key for key, heard in self.heard.items() if not heard.got]

    def run(self, seconds: float) -> None:
        """Let everything flow for a while, errors included."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.errors.once()
            time.sleep(0.05)

    def wait_back(self, what: str, timeout: float = 20) -> None:
        """Every kind of flow arrives again."""
        self.clear()

        def arrived() -> bool:
            self.errors.once()
            return not self.silent()

        try:
            wait_for(f"traffic {what}", arrived, timeout, 0.1)
        except AssertionError as error:
            raise AssertionError(f"{error}; silent: {self.silent()}") from None

    def stop(self) -> None:
        """End all flows."""
        for flow in self.flows:
            flow.stop()
        for stream in self.streams:
            stream.stop()
        self.errors.close()
        for heard in self.heard.values():
            heard.close()


CONF = conn("net4", NET4, auto="start") + conn("net6", NET6, auto="start")


def masquerade(host: Host) -> None:
    """What people's gateways have: everything that leaves to the world takes the gateway's address."""
    for tool in ("iptables", "ip6tables"):
        host.run(
            tool, "-t", "nat", "-A", "POSTROUTING", "-o", "wan", "-p", "udp", "--dport", str(NATTED), "-j", "MASQUERADE"
        )


@contextmanager
def storm(lab: Lab) -> Iterator[tuple[Pair, Everything, Capture]]:
    """All flows through a tunnel that came up after some of them, and a witness on west's wire."""
    masquerade(lab.west)
    everything = Everything(lab)
    both = pair(lab, CONF, CONF.replace("auto=start", "auto=add"))
    both.settle(2)
    everything.add_new()
    everything.wait_back("through the tunnels at first")
    with Capture(lab.west) as wire:
        yield both, everything, wire
        everything.stop()
        wire.close()
        sent = wire.count()
        assert sent["esp"] + sent["esp-udp"] > 50, f"nothing was protected either: {sent}"
        assert_quiet(wire, INNER, [MARK])


def kill(west: Gateway, everything: Everything) -> None:
    west.kill()
    everything.run(2)
    west.start()


def restart(west: Gateway, everything: Everything) -> None:
    west.ipsec("setup", "restart")


def replace(west: Gateway, everything: Everything) -> None:
    for name in ("net4", "net6"):
        west.ipsec("auto", "--replace", name)
    everything.run(1)
    for name in ("net4", "net6"):
        west.up(name)


def device(west: Gateway, everything: Everything) -> None:
    west.host.ip("link", "set", "ipsec0", "down")
    everything.run(1)
    west.host.ip("link", "set", "ipsec0", "up")


def flush(west: Gateway, everything: Everything) -> None:
    west.host.run("nft", "flush", "ruleset", check=False)
    for tool in ("iptables", "ip6tables"):
        for tables in ("filter", "mangle", "nat"):
            west.host.run(tool, "-t", tables, "-F", check=False)
    everything.run(1)


def foreign_rule(west: Gateway, everything: Everything) -> None:
    for family, via in (("-4", "192.0.2.2"), ("-6", "2001:db8::2")):
        west.host.ip(family, "route", "add", "default", "via", via, "dev", "wan", "table", "77")
        west.host.ip(family, "rule", "add", "pref", "5", "lookup", "77")
    everything.run(1.5)
    for family in ("-4", "-6"):
        west.host.ip(family, "rule", "del", "pref", "5")


def move(west: Host, old: str, new: str) -> None:
    """West's wan gets another IPv4 and another IPv6 address (last octets `old` and `new`)."""
    for family, net, length in (("-4", "192.0.2.", "/24"), ("-6", "2001:db8::", "/64")):
        west.ip("addr", "del", f"{net}{old}{length}", "dev", "wan")
        west.ip("addr", "add", f"{net}{new}{length}", "dev", "wan", *(["nodad"] if family == "-6" else []))
        west.ip(family, "route", "replace", "default", "via", f"{net}2", "dev", "wan")


def address(west: Gateway, everything: Everything) -> None:
    move(west.host, "1", "11")
    everything.run(2)
    move(west.host, "11", "1")


DISTURBANCES: list[Callable[[Gateway, Everything], None]] = [
    kill, restart, replace, device, flush, foreign_rule, address,
]  # fmt: skip


@pytest.mark.parametrize("disturb", DISTURBANCES, ids=lambda f: f.__name__)
def test_nothing_leaves_in_clear(lab: Lab, disturb: Callable[[Gateway, Everything], None]) -> None:
    with storm(lab) as (both, everything, wire):
        everything.run(0.5)
        disturb(both.west, everything)
        try:
            everything.wait_back(f"after {disturb.__name__}")
        except AssertionError as error:
            assert_quiet(wire, INNER, [MARK])
            raise AssertionError(f"{error}\n{both.logs()}") from None
        assert both.west.pid


def test_stop_and_start_and_then_the_flows_are_in_clear_and_back(lab: Lab) -> None:
    """`setup stop` is the one that opens: the witness must see plaintext then, or it proves nothing."""
    with storm(lab) as (both, everything, wire):
        before = len(wire.leaks(INNER, [MARK]))
        assert before == 0
        both.west.stop()
        both.east.stop()
        everything.run(0.5)
        assert {s.kind for s in wire.leaks(INNER, [MARK])} >= {"udp", "tcp"}
        both.east.start()
        both.west.start()
        both.settle(2)
        everything.wait_back("after stop and start")
        wire.clear()
        everything.run(0.5)


def test_clear_packets_from_the_wire_enter_nowhere(lab: Lab) -> None:
    """Someone on the wire sends packets that claim to come from behind the peer."""
    both = pair(lab, CONF, CONF.replace("auto=start", "auto=add"))
    both.settle(2)
    heard = [Receiver(lab.sunset, "10.1.0.2", 7001), Receiver(lab.west, "10.1.0.1", 7001)]
    heard += [Receiver(lab.sunset, "2001:db8:1::2", 7001), Receiver(lab.west, "2001:db8:1::1", 7001)]
    with Capture(lab.west) as wire:
        for near, far in (
            ("10.1.0.2", "10.2.0.9"), ("10.1.0.1", "10.2.0.9"),
            ("2001:db8:1::2", "2001:db8:2::9"), ("2001:db8:1::1", "2001:db8:2::9"),
        ):  # fmt: skip
            inject(lab.east, [forged(lab.west, far, near, b"<<forged>>")] * 5)
        wait_for("the forgeries on the wire", lambda: len(wire.leaks([], [b"<<forged>>"])) >= 20, 3)
        time.sleep(0.2)
    assert [r.got for r in heard] == [[], [], [], []]
    both.west.stop()
    inject(lab.east, [forged(lab.west, "10.2.0.9", "10.1.0.2", b"<<forged>>")])
    wait_for("a forgery that nothing stops any more", lambda: heard[0].got, 2)


def test_a_world_policy_in_one_family_blocks_the_other(lab: Lab) -> None:
    world = conn("net", NET4, rightsubnet="0.0.0.0/0", auto="start")
    both = pair(lab, world, world.replace("auto=start", "auto=add"))
    both.settle()
    assert_ping(lab.sunset, "10.2.0.2")
    assert ping(lab.sunset, "2001:db8:2::2", 2, wait=0.3).received == 0
    both.west.configure(world.replace("auto=start", "otherfamily=clear\n    auto=start"))
    both.west.ipsec("auto", "--replace", "net")
    both.west.up("net")
    assert_ping(lab.sunset, "10.2.0.2")
    assert_ping(lab.sunset, "2001:db8:2::2")


def test_leakguard_no_leaves_it_to_the_routes(lab: Lab) -> None:
    text = conn("net", NET4, leakguard="no", auto="start")
    both = pair(lab, text, text.replace("auto=start", "auto=add"))
    both.settle()
    assert_ping(lab.sunset, "10.2.0.2")
    assert "10.2.0.0" not in lab.west.run("nft", "list", "ruleset").stdout


def test_other_peoples_ipsec_passes_the_guard(lab: Lab) -> None:
    """Forwarded IKE and ESP of a host behind us is ordinary traffic: protected when a selector says so, else let by."""
    lab.add_host("guest", "west", "lan2", "10.7.0", "2001:db8:7")
    lab.east.ip("route", "add", "10.7.0.0/24", "via", "192.0.2.1")
    both = pair(lab, CONF, CONF.replace("auto=start", "auto=add"))
    both.settle(2)
    heard = Receiver(lab.sunrise, "10.2.0.2", 4500)
    s = udp_socket(lab.sunset, "10.1.0.2", 4500)
    with Capture(lab.west) as wire:
        s.sendto(b"\1\2\3\4<<theirs>>" + bytes(40), ("10.2.0.2", 4500))
        wait_for("their packet", lambda: heard.got, 3)
        assert_quiet(wire, INNER, [b"<<theirs>>"])
        guest = udp_socket(lab["guest"], "10.7.0.2", 4500)
        guest.sendto(b"\1\2\3\4<<guest>>" + bytes(40), ("192.0.2.2", 4501))
        wait_for("a stranger's packet in clear", lambda: wire.leaks([], [b"<<guest>>"]), 3)
        guest.close()
    s.close()
