# SPDX-License-Identifier: GPL-2.0-or-later
"""A fleet on one switch: hosts with the very same files, each talking to every other all the time.

h1 ---\\                   192.0.2.1
h2 ----+== switch          192.0.2.2
 ...   |   (a bridge; the witness sees what every port sends)
hN ---/                    192.0.2.N
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from tests.netns.capture import QUIET, SO_RCVBUFFORCE, classify
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, Lab, alive, wait_for

CONF = "conn fleet\n\talso=private\n\tauthby=null\n"
POLICY = "192.0.2.0/24\n"
PORT, MARK = 7001, b"<<mesh>>"
ETH_P_ALL, SOL_PACKET, PACKET_IGNORE_OUTGOING, PACKET_STATISTICS = 3, 263, 23, 6
BAD_KEPT = 20
Flow = tuple[int, int]
"""Numbers of sender and receiver."""


class Witness:
    """Sees every frame that enters the switch: counts them by kind, and keeps the first that should not be there."""

    def __init__(self, host: Host) -> None:
        self.kinds: Counter[str] = Counter()
        self.bad: list[str] = []
        with host.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 128 << 20)
        self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self._socket.settimeout(0.2)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                frame = self._socket.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError:
                if self._stop.is_set():
                    return
                continue
            kind, src, dst, protocol = classify(frame)
            self.kinds[kind] += 1
            if (kind not in QUIET or MARK in frame) and len(self.bad) < BAD_KEPT:
                self.bad.append(f"{kind} {src} > {dst} proto {protocol}: {frame[14:80].hex()}")

    def close(self) -> None:
        """Stop; AssertionError when it has lost frames itself."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join(5)
            lost = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
            self._socket.close()
            assert not lost, f"the witness itself lost {lost} frames: it proves nothing"


class Talk:
    """Every host that takes part sends a datagram to every other, again and again; who has been heard, and when."""

    def __init__(self, hosts: dict[int, Host], pause: float) -> None:
        self.hosts, self.pause = hosts, pause
        self.sockets: dict[int, socket.socket] = {}
        self.first_sent: dict[Flow, float] = {}
        self.first_heard: dict[Flow, float] = {}
        self.heard: dict[Flow, float] = {}
        self.sent = self.got = 0
        self.errors: Counter[str] = Counter()
        """What applications were told."""
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def join(self, number: int) -> None:
        """One host more takes part."""
        with self.hosts[number].inside():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((address(number), PORT))
        s.setblocking(False)
        with self._lock:
            self.sockets[number] = s

    def _talk(self) -> None:
        sequence = 0
        while not self._stop.is_set():
            with self._lock:
                sockets = dict(self.sockets)
            sequence += 1
            begun = time.monotonic()
            for mine, s in sockets.items():
                for other in self.hosts:
                    if other != mine:
                        self._send(s, mine, other, sequence)
                self._listen(sockets, 0.0)
            while (left := begun + self.pause - time.monotonic()) > 0 and not self._stop.is_set():
                self._listen(sockets, left)

    def _send(self, s: socket.socket, mine: int, other: int, sequence: int) -> None:
        self.first_sent.setdefault((mine, other), time.monotonic())
        try:
            s.sendto(MARK + struct.pack("!HHQ", mine, other, sequence), (address(other), PORT))
            self.sent += 1
        except OSError as why:
            self.errors[why.strerror or str(why)] += 1

    def _listen(self, sockets: dict[int, socket.socket], patience: float) -> None:
        if not sockets:
            time.sleep(patience)
            return
        numbers = {s.fileno(): number for number, s in sockets.items()}
        for descriptor in select.select(list(numbers), [], [], patience)[0]:
            s = sockets[numbers[descriptor]]
            with contextlib.suppress(OSError):
                while True:
                    data, (source, _) = s.recvfrom(2048)
                    mine, other, _ = struct.unpack("!HHQ", data[len(MARK) :])
                    assert (source, other) == (address(mine), numbers[descriptor])
                    now = time.monotonic()
                    self.first_heard.setdefault((mine, other), now)
                    self.heard[mine, other] = now
                    self.got += 1

    def silent(self, since: float) -> list[Flow]:
        """Flows of which nothing has been heard since then."""
        everybody = [(one, other) for one in self.hosts for other in self.hosts if one != other]
        return [flow for flow in everybody if self.heard.get(flow, 0.0) <= since]

    def close(self) -> None:
        """Be silent."""
        self._stop.set()
        self._thread.join(5)
        for s in self.sockets.values():
            s.close()


def address(number: int) -> str:
    """Of host `number`."""
    return f"192.0.2.{number}"


class Mesh:
    """So many hosts, ready to be started."""

    def __init__(self, lab: Lab, count: int, pause: float = 0.5) -> None:
        self.lab = lab
        lab.hosts["switch"] = switch = Host(lab, "switch")
        switch.sysctl(ipv6__conf__default__disable_ipv6=1)
        switch.ip("link", "add", "name", "sw0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        switch.ip("link", "set", "sw0", "up")
        self.gateways: dict[int, Gateway] = {}
        for number in range(1, count + 1):
            self._host(number)
        self.witness = Witness(switch)
        lab.at_close(self.witness.close)
        self.talk = Talk({number: lab[f"h{number}"] for number in self.gateways}, pause)
        lab.at_close(self.talk.close)

    def _host(self, number: int) -> None:
        name = f"h{number}"
        self.lab.hosts[name] = host = Host(self.lab, name)
        self.lab.wire(name, "wan", "switch", f"p{number}")
        self.lab["switch"].ip("link", "set", f"p{number}", "master", "sw0", "up")
        host.sysctl(ipv6__conf__default__disable_ipv6=1, ipv6__conf__all__disable_ipv6=1)
        self.lab.address(name, "wan", f"{address(number)}/24")
        host.ip("route", "add", "default", "via", "192.0.2.254")
        gateway = self.gateways[number] = Gateway(host, CONF)
        (gateway.dir / "ipsec.d/policies/fleet").write_text(POLICY)

    def start(self, numbers: Iterable[int] = (), patience: float = 120.0) -> None:
        """Start all of them, or these, at once; each talks as soon as its policy is in force."""
        chosen = list(numbers) or list(self.gateways)
        with ThreadPoolExecutor(len(chosen)) as pool:
            list(pool.map(lambda number: self._start(number, patience), chosen))

    def _start(self, number: int, patience: float) -> None:
        gateway = self.gateways[number]
        gateway.ipsec("setup", "start", timeout=patience)
        wait_for(
            f"the policy of h{number}",
            lambda: POLICY.strip() in gateway.ipsec("eroute", check=False).stdout,
            patience,
            0.5,
        )
        if number not in self.talk.sockets:
            self.talk.join(number)

    def kill(self, number: int) -> None:
        """kill -9."""
        self.gateways[number].kill()

    def all_talk(self, patience: float) -> float:
        """Wait until every host has heard every other anew; the seconds that took. AssertionError names who has not."""
        begun = time.monotonic()
        while silent := self.talk.silent(begun):
            if time.monotonic() > begun + patience:
                raise AssertionError(
                    f"{len(silent)} flows are silent after {patience:g} s: {silent[:12]}\n{self.why(silent[0])}"
                )
            time.sleep(0.1)
        return time.monotonic() - begun

    def why(self, flow: Flow) -> str:
        """What both ends have to say about a flow."""
        said = ""
        for mine, other in (flow, flow[::-1]):
            gateway = self.gateways[mine]
            said += gateway.ipsec("eroute", "--match", address(mine), address(other), check=False).stdout
            lines = (line for line in gateway.log(4000).splitlines() if f"{address(other)}" in line)
            said += "\n".join(list(lines)[-25:]) + "\n"
        return said

    def slowest(self) -> float:
        """Seconds from the first datagram of a flow that it may take to be heard, of the slowest flow."""
        pairs = self.talk.first_heard
        return max(pairs[flow] - max(self.talk.first_sent[flow], self.talk.first_sent[flow[::-1]]) for flow in pairs)

    def sound(self) -> None:
        """No plaintext on any wire, nobody crashed, nobody was surprised."""
        assert not self.witness.bad, "\n".join(self.witness.bad)
        for number, gateway in self.gateways.items():
            assert alive(gateway.pid), f"h{number} has ended\n{gateway.log()}"
            log = gateway.log(100_000)
            assert "EXPECTATION FAILED" not in log and "Traceback" not in log, log[-4000:]

    def encrypted(self) -> int:
        """How many pairs of hosts have a tunnel, counted at both ends."""
        return sum(gateway.tunnels() for gateway in self.gateways.values())
