# SPDX-License-Identifier: GPL-2.0-or-later
"""Traffic between hosts of a lab: pings, counted datagrams, checked TCP transfers, steady flows."""

from __future__ import annotations

import hashlib
import itertools
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.netns.lab import Host


def family(address: str) -> socket.AddressFamily:
    """AF_INET6 for anything with a colon."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


_identities = itertools.count(os.getpid() * 97 & 0x3FFF)


def udp_socket(host: Host, address: str, port: int = 0) -> socket.socket:
    """A bound datagram socket on `host`."""
    with host.inside():
        s = socket.socket(family(address), socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)  # SO_RCVBUFFORCE
    s.bind((address, port))
    return s


@dataclass(frozen=True, slots=True)
class Pings:
    """What `ping` counted."""

    sent: int
    received: int
    text: str

    @property
    def lost(self) -> int:
        """Without an answer."""
        return self.sent - self.received


def ping(
    host: Host,
    target: str,
    count: int = 3,
    source: str = "",
    size: int = 56,
    interval: float = 0.03,
    wait: float = 2,
) -> Pings:
    """Echo requests with `size` octets of data, and their answers until `wait` seconds after the last; never fails.

    ping(8) gives up two round trips after the last request once anything was answered, which a busy machine exceeds.
    """
    v6 = ":" in target
    with host.inside():
        s = socket.socket(family(target), socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP)
    request, answer, head = (128, 129, 0) if v6 else (8, 0, 20)
    errors: dict[str, int] = {}
    answered: dict[int, float] = {}
    sent: dict[int, float] = {}
    identity = next(_identities)
    with s:
        s.bind((source, 0))
        last = time.monotonic()
        while len(answered) < count:
            now = time.monotonic()
            if len(sent) < count and now >= last:
                number = len(sent)
                body = struct.pack("!BBHHH", request, 0, 0, identity, number) + bytes(size)
                if not v6:
                    body = body[:2] + internet_checksum(body).to_bytes(2, "big") + body[4:]
                try:
                    s.sendto(body, (target, 0))
                except OSError as error:
                    errors[str(error)] = errors.get(str(error), 0) + 1
                sent[number], last = now, now + interval
            end = last if len(sent) < count else last - interval + wait
            if (left := end - time.monotonic()) <= 0:
                if len(sent) == count:
                    break
                continue
            s.settimeout(left)
            try:
                data = s.recv(1 << 16)[head:]
            except TimeoutError:
                continue
            if len(data) >= 8:
                kind, code, _, whose, number = struct.unpack_from("!BBHHH", data)
                if kind == answer and whose == identity:
                    answered.setdefault(number, time.monotonic() - sent.get(number, now))
                elif kind in ((1, 2, 3) if v6 else (3, 11)):
                    name = f"ICMP error type {kind} code {code}"
                    errors[name] = errors.get(name, 0) + 1
    text = f"{target}, {size} octets: {len(sent)} sent, {len(answered)} answered ({_times(answered)}) {errors or ''}"
    return Pings(len(sent), len(answered), text)


def _times(answered: dict[int, float]) -> str:
    return ", ".join(f"{number}: {1000 * took:.1f} ms" for number, took in sorted(answered.items()))


def internet_checksum(octets: bytes) -> int:
    """RFC 1071."""
    octets += b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def assert_ping(host: Host, target: str, count: int = 3, source: str = "", size: int = 56, **options: object) -> None:
    """Every ping must be answered."""
    seen = ping(host, target, count, source, size, **options)  # type: ignore[arg-type]
    assert seen.lost == 0 and seen.sent == count, seen.text


def learn_path(host: Host, target: str, size: int) -> None:
    """Send large packets until the path's MTU is known in both directions, as any host does in the beginning."""
    for _ in range(4):
        if ping(host, target, 2, size=size).lost == 0:
            return


class Receiver:
    """Collects datagrams on `address`:`port` and echoes them when `echo`."""

    def __init__(self, host: Host, address: str, port: int, echo: bool = False) -> None:
        self.socket = udp_socket(host, address, port)
        self.socket.settimeout(0.1)
        self.got: list[bytes] = []
        self._echo = echo
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        host.lab.at_close(self.close)

    def _read(self) -> None:
        while not self._stop.is_set():
            try:
                data, peer = self.socket.recvfrom(1 << 16)
            except (TimeoutError, OSError):
                continue
            self.got.append(data)
            if self._echo:
                with suppress(OSError):
                    self.socket.sendto(data, peer)

    def numbers(self, marker: bytes) -> list[int]:
        """Sequence numbers of a flow's datagrams, in order of arrival."""
        head = len(marker)
        return [int.from_bytes(d[head : head + 8], "big") for d in list(self.got) if d.startswith(marker)]

    def close(self) -> None:
        """Stop listening."""
        self._stop.set()
        self._thread.join(2)
        self.socket.close()


@dataclass
class Flow:
    """Numbered datagrams from a socket at a steady pace, until stopped; errors are counted by name, never raised."""

    host: Host
    source: str
    target: str
    port: int
    marker: bytes
    size: int = 100
    """Octets of payload; more than the MTU makes fragments."""
    pace: float = 0.01
    """Seconds between datagrams."""
    new_each: bool = False
    """A new source port for every datagram: each one is a new flow."""
    sent: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> Flow:
        """Begin sending."""
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()
        self.host.lab.at_close(self.stop)
        return self

    def _socket(self) -> socket.socket:
        s = udp_socket(self.host, self.source)
        if family(self.source) == socket.AF_INET:
            s.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER, DONT: fragment what does not fit
        return s

    def _send(self) -> None:
        s: socket.socket | None = None
        filler = b"." * max(0, self.size - len(self.marker) - 8)
        while not self._stop.is_set():
            try:
                s = s or self._socket()
                s.sendto(self.marker + self.sent.to_bytes(8, "big") + filler, (self.target, self.port))
            except OSError as error:
                name = error.strerror or str(error)
                self.errors[name] = self.errors.get(name, 0) + 1
            self.sent += 1
            if self.new_each and s:
                s.close()
                s = None
            self._stop.wait(self.pace)
        if s:
            s.close()

    def stop(self) -> None:
        """Send no more."""
        self._stop.set()
        if self._thread:
            self._thread.join(5)


class Stream:
    """A TCP connection that carries numbered, marked lines in one direction until stopped."""

    def __init__(self, client: Host, server: Host, source: str, target: str, port: int, marker: bytes) -> None:
        with server.inside():
            listener = socket.create_server((target, port), family=family(target))
        with client.inside():
            self.client = socket.socket(family(source), socket.SOCK_STREAM)
        self.client.bind((source, 0))
        self.client.settimeout(5)
        self.client.connect((target, port))
        self.server, _ = listener.accept()
        listener.close()
        self.server.settimeout(0.1)
        self.client.settimeout(0.2)
        self.marker = marker
        self.received = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()
        client.lab.at_close(self.stop)

    def _send(self) -> None:
        number = 0
        while not self._stop.is_set():
            with suppress(OSError):
                self.client.send(self.marker + number.to_bytes(8, "big") + b"\n")
                number += 1
            self._stop.wait(0.05)

    def _receive(self) -> None:
        while not self._stop.is_set():
            with suppress(OSError):
                self.received += len(self.server.recv(4096))

    def stop(self) -> None:
        """Close both ends without lingering."""
        self._stop.set()
        for thread in self._threads:
            thread.join(2)
        for s in (self.client, self.server):
            with suppress(OSError):
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()


@dataclass(frozen=True, slots=True)
class Transfer:
    """A finished TCP transfer."""

    octets: int
    seconds: float
    intact: bool

    @property
    def megabits(self) -> float:
        """A second."""
        return self.octets * 8e-6 / self.seconds


def transfer(
    client: Host,
    server: Host,
    target: str,
    octets: int = 4 << 20,
    source: str = "",
    port: int = 5555,
    timeout: float = 30,
) -> Transfer:
    """Send random octets over TCP and compare SHA-256 at the far end; OSError when they do not get there in time."""
    with server.inside():
        listener = socket.create_server((target, port), family=family(target))
    listener.settimeout(timeout)
    seen: list[bytes] = []

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(timeout)
                digest, count = hashlib.sha256(), 0
                while count < octets and (piece := connection.recv(1 << 16)):
                    digest.update(piece)
                    count += len(piece)
                seen.append(digest.digest())
                connection.sendall(digest.digest())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    block = os.urandom(min(octets, 1 << 20))
    data = (block * (octets // len(block) + 1))[:octets]
    try:
        with client.inside():
            s = socket.socket(family(target), socket.SOCK_STREAM)
        with s:
            s.settimeout(timeout)
            if source:
                s.bind((source, 0))
            begin = time.monotonic()
            s.connect((target, port))
            s.sendall(data)
            answer = s.recv(32)
            took = time.monotonic() - begin
    finally:
        thread.join(timeout)
        listener.close()
    return Transfer(octets, took, answer == hashlib.sha256(data).digest())


def iperf3(
    client: Host, server: Host, target: str, seconds: float = 5, port: int = 5201, options: tuple[str, ...] = ()
) -> float:
    """TCP throughput in Mbit/s as the receiver counted it."""
    import json

    daemon = server.start("iperf3", "-s", "-1", "-p", str(port), "-B", target)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if f":{port}" in server.run("ss", "-Hltn").stdout:
            break
        time.sleep(0.05)
    done = client.run("iperf3", "-c", target, "-p", str(port), "-t", str(seconds), "-J", *options, timeout=seconds + 30)
    daemon.wait(10)
    return float(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"]) / 1e6


def in_thread(work: Callable[[], object]) -> threading.Thread:
    """Run `work` beside the test."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
