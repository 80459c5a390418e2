# SPDX-License-Identifier: GPL-2.0-or-later
"""A network that exists only in one process: a virtual clock, links with faults drawn from a seed, and a NAT box."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from openswan.base.address import Address, Endpoint


@dataclass(frozen=True)
class Faults:
    """What a link does to datagrams; probabilities from 0 to 1, times in seconds."""

    loss: float = 0.0
    delay: tuple[float, float] = (0.005, 0.02)
    reorder: float = 0.0
    """Chance of a further delay of up to half a second."""
    duplicate: float = 0.0
    corrupt: float = 0.0
    mtu: int = 1500
    """A larger datagram travels in fragments, each of which may be lost."""


PERFECT = Faults()
STEADY = Faults(delay=(0.01, 0.01))
"""Nothing is lost and nothing overtakes."""


@dataclass(frozen=True)
class Packet:
    """One datagram on the way; `body` is octets for IKE and an object for ESP."""

    src: Endpoint
    dst: Endpoint
    body: Any
    octets: int


Receiver = Callable[[Packet], None]


class Net:
    """Clock, hosts and the links between them; everything follows from the seed."""

    def __init__(self, seed: int | str, faults: Faults = PERFECT, esp: Faults = STEADY) -> None:
        self.random = random.Random(f"net {seed}")
        self.aside = random.Random(f"aside {seed}")
        """For what a story is not about: the rest goes the same way with it and without."""
        self.faults, self.esp = faults, esp
        self.now = 0.0
        self.queue: list[tuple[float, int, Callable[[], None]]] = []
        self.counter = 0
        self.hosts: dict[Address, Receiver] = {}
        self.nats: dict[Address, Nat] = {}
        """NAT boxes by the inside addresses they serve and by their own outside address."""
        self.cut: set[Address] = set()
        """Hosts that neither send nor receive."""
        self.transcript: list[tuple[float, str, str, int]] = []
        """Every datagram sent, but those aside: when, from, to, octets. Two runs of a seed have the same one."""
        self.lost = 0
        self.undelivered: list[Any] = []
        """Bodies of datagrams other than IKE's that the network had no way to deliver: a NAT mapping or a host that is
        gone."""
        self.blocks: Callable[[Packet], bool] = lambda packet: False
        """What a firewall on the way drops."""
        self.streams: Any = None
        """TCP connections (tests.sim.streams), once there are hosts."""
        self.narrow = 65535
        """Whole IP packets with DF that are larger are lost."""

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do something at an instant."""
        self.counter += 1
        heapq.heappush(self.queue, (max(when, self.now), self.counter, action))

    def attach(self, address: Address, receiver: Receiver) -> None:
        """A host is at this address."""
        self.hosts[address] = receiver

    def detach(self, address: Address) -> None:
        """Nobody is at this address any more."""
        self.hosts.pop(address, None)

    def send(self, src: Endpoint, dst: Endpoint, body: Any, octets: int, aside: bool = False) -> None:
        """A host puts a datagram on its link; `aside`: not in the transcript, and nothing is drawn from the
        story's dice for it."""
        if src.address in self.cut:
            return
        if not aside:
            self.transcript.append((round(self.now, 6), str(src), str(dst), octets))
        nat = self.nats.get(src.address)
        packet = Packet(src, dst, body, octets)
        if nat is not None and nat.outside != src.address:
            packet = nat.outward(packet)
        self._carry(packet, self.aside if aside else self.random)

    def _carry(self, packet: Packet, dice: random.Random) -> None:
        faults = self.faults if isinstance(packet.body, bytes) else self.esp
        copies = 1 + (dice.random() < faults.duplicate)
        pieces = -(-packet.octets // faults.mtu)
        for _ in range(copies):
            if self.blocks(packet):
                self.lost += 1
                continue
            if any(dice.random() < faults.loss for _ in range(pieces)):
                self.lost += 1
                continue
            delay = dice.uniform(*faults.delay)
            if dice.random() < faults.reorder:
                delay += dice.uniform(0.0, 0.5)
            sent = packet
            if isinstance(packet.body, bytes) and packet.body and dice.random() < faults.corrupt:
                body = bytearray(packet.body)
                body[dice.randrange(len(body))] ^= 1 << dice.randrange(8)
                sent = Packet(packet.src, packet.dst, bytes(body), packet.octets)
            self.at(self.now + delay, lambda sent=sent: self._arrive(sent))  # type: ignore[misc]

    def _arrive(self, packet: Packet) -> None:
        nat = self.nats.get(packet.dst.address)
        if nat is not None and packet.dst.address == nat.outside:
            inside = nat.inward(packet)
            if inside is None:
                self._nowhere(packet)
                return
            packet = inside
        if packet.dst.address in self.cut:
            return
        receiver = self.hosts.get(packet.dst.address)
        if receiver is not None:
            receiver(packet)
        else:
            self._nowhere(packet)

    def _nowhere(self, packet: Packet) -> None:
        if not isinstance(packet.body, bytes):
            self.undelivered.append(packet.body)

    def step(self) -> bool:
        """Do the next thing; False when there is none."""
        if not self.queue:
            return False
        when, _, action = heapq.heappop(self.queue)
        self.now = when
        action()
        return True

    def run(self, until: float, done: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass until an instant or until `done`; whether `done` was reached."""
        while self.queue and self.queue[0][0] <= until:
            if done():
                return True
            self.step()
        if not done():
            self.now = until
        return done()


@dataclass
class Nat:
    """A masquerading router: inside endpoints appear as ports of one outside address, one mapping per destination."""

    outside: Address
    net: Net
    ports: dict[tuple[Endpoint, Endpoint], int] = field(default_factory=dict)
    back: dict[tuple[int, Endpoint], Endpoint] = field(default_factory=dict)
    following: int = 20000

    def serve(self, inside: Address) -> None:
        """Stand between that address and the world."""
        self.net.nats[inside] = self
        self.net.nats[self.outside] = self

    def outward(self, packet: Packet) -> Packet:
        """Give a packet the outside address and its mapping's port."""
        flow = (packet.src, packet.dst)
        if flow not in self.ports:
            self.following += 1
            self.ports[flow] = self.following
            self.back[(self.following, packet.dst)] = packet.src
        return Packet(Endpoint(self.outside, self.ports[flow]), packet.dst, packet.body, packet.octets)

    def inward(self, packet: Packet) -> Packet | None:
        """Find the inside endpoint an answer belongs to."""
        inside = self.back.get((packet.dst.port, packet.src))
        return Packet(packet.src, inside, packet.body, packet.octets) if inside is not None else None

    def rebind(self) -> None:
        """Forget all mappings, as a router that was restarted."""
        self.ports.clear()
        self.back.clear()
