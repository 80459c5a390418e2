# SPDX-License-Identifier: GPL-2.0-or-later
"""Plutos on the simulated network: each with a packet engine that only keeps books, and an updown that always works."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from openswan.base.address import Address, Endpoint
from openswan.base.entropy import SeededRng
from openswan.base.said import Said, Shunt
from openswan.config.plain import connection_to_plain
from openswan.config.secrets import Index, Secret, SecretKind, SecretStore
from openswan.crypto.revocation import Places
from openswan.engine.effects import (
    CountPackets,
    CountUse,
    Decide,
    Decision,
    DelGuard,
    Effect,
    Fetch,
    FlushConntrack,
    HaveDevice,
    Intercept,
    KeepPeers,
    KlipsCommand,
    LearnGateways,
    LearnKeys,
    Listen,
    Log,
    Login,
    OpenFlows,
    OpenStream,
    ReadCertificates,
    ReadGroups,
    ReadSecrets,
    Resolve,
    RunUpdown,
    SendDatagram,
    SendKeepalive,
    SetGuard,
    Shutdown,
    WhackDone,
    WhackLine,
)
from openswan.engine.events import (
    CertificatesRead,
    Datagram,
    DefaultRoute,
    EngineEvent,
    Fetched,
    FlowsUsed,
    GatewaysLearned,
    GroupFile,
    GroupsRead,
    HostResolved,
    Interface,
    KeysLearned,
    LoggedIn,
    NetworkState,
    PacketsCounted,
    SecretsRead,
    TimerDue,
    UpdownDone,
    WhackRequest,
)
from openswan.engine.oeevents import Learned
from openswan.engine.pluto import Pluto
from openswan.engine.settings import Settings
from openswan.plane.commands import (
    AddSa,
    DelEroute,
    DelSa,
    DetachStream,
    Direction,
    Encap,
    ExpectSpi,
    GroupSas,
    MoveSa,
    SendDummy,
    SetEroute,
    SetPathMtu,
)
from openswan.plane.events import Acquire, IkeDatagram, NewMapping, SaFirstUse, UnknownSpi
from openswan.policy.connection import Auth, Connection, End, Host, HostKind
from openswan.policy.gateways import Published
from openswan.policy.groups import stance_of
from openswan.policy.identity import Identity, parse_identity
from openswan.policy.known import KnownPeer
from openswan.policy.proposal import Proposal, Transform
from openswan.policy.selector import FlowKey
from tests.sim.net import PERFECT, STEADY, Faults, Nat, Net, Packet
from tests.sim.streams import Streams

IKE = (
    Proposal(
        1,
        (Transform("aes_gcm_16", 128),),
        (),
        (Transform("prf_hmac_sha2_256"),),
        (Transform("x25519"),),
    ),
)
ESP = (Proposal(3, (Transform("aes_gcm_16", 128),), (), (), (), (False,)),)
KEEPALIVE = object()


@dataclass(frozen=True)
class Inner:
    """A packet of an application."""

    src: Address
    dst: Address
    number: int


@dataclass(frozen=True)
class Esp:
    """An inner packet under way in an SA; whoever has the same key can read it."""

    spi: int
    key: bytes
    sequence: int
    inner: Inner | None
    """None: a dummy packet (RFC 4303 2.6)."""


class FakeKlips:
    """Keeps SAs and eroutes, matches, holds and delivers packets as the real engine promises to."""

    def __init__(self, host: SimHost) -> None:
        self.host = host
        self.sas: dict[Said, AddSa] = {}
        self.encaps: dict[Said, tuple[Endpoint, Endpoint]] = {}
        self.sequences: dict[Said, int] = {}
        self.used: set[Said] = set()
        self.received: dict[Said, int] = {}
        self.heard: set[Said] = set()
        """SAs a dummy packet came by."""
        self.mtus: dict[Said, int] = {}
        self.expected: dict[Said, list[Packet]] = {}
        self.groups: list[tuple[Said, ...]] = []
        self.by_spi: dict[int, Said] = {}
        self.eroutes: dict[FlowKey, SetEroute] = {}
        self.held: dict[FlowKey, list[Inner]] = {}
        self.trapped: dict[FlowKey, set[tuple[Address, Address]]] = {}
        self.met: dict[FlowKey, None] = {}
        """Eroutes that have met packets since they were last counted,"""
        self.came: set[Said] = set()
        """and SAs that packets came in by."""
        self.delivered: list[Inner] = []
        self.dropped: list[tuple[str, Inner]] = []
        self.refusals: list[str] = []
        self.history: list[str] = []

    def do(self, command: Any) -> None:
        """Carry out a command; what the real engine would refuse is noted as a mistake."""
        self.history.append(type(command).__name__)
        if isinstance(command, ExpectSpi):
            early = self.expected.pop(command.said, [])
            if command.withdrawn:
                for packet in early:
                    self._drop("unknown SPI", packet.body.inner)
            else:
                self.expected[command.said] = []
        elif isinstance(command, GroupSas):
            for said in command.saids:
                if said not in self.sas or self.sas[said].direction is not self.sas[command.saids[0]].direction:
                    self.refusals.append(f"{said} cannot be in a bundle")
            self.groups.append(command.saids)
        elif isinstance(command, AddSa):
            if command.said in self.sas:
                self.refusals.append(f"{command.said} exists")
            self.sas[command.said] = command
            self.by_spi[command.said.spi] = command.said
            encap = command.encap or Encap(0, 0)
            self.encaps[command.said] = (
                Endpoint(command.src, encap.src_port, encap.stream),
                Endpoint(command.said.dst, encap.dst_port, encap.stream),
            )
            for packet in self.expected.pop(command.said, []):
                self.receive(packet)
        elif isinstance(command, DelSa):
            if self.sas.pop(command.said, None) is None:
                self.refusals.append(f"{command.said} does not exist")
            self.by_spi.pop(command.said.spi, None)
        elif isinstance(command, MoveSa):
            if command.said not in self.sas:
                self.refusals.append(f"{command.said} does not exist")
            self.encaps[command.said] = (command.src, command.dst)
        elif isinstance(command, SendDummy):
            self._encrypt(command.said, None)
        elif isinstance(command, SetPathMtu):
            if command.said not in self.sas or self.sas[command.said].direction is not Direction.OUT:
                self.refusals.append(f"{command.said} has no path")
            self.mtus[command.said] = command.mtu
        elif isinstance(command, SetEroute):
            if isinstance(command.target, Said) and command.target not in self.sas:
                self.refusals.append(f"eroute to {command.target}, which does not exist")
            self.eroutes[command.key] = command
            waiting = self.held.pop(command.key, []) + self._narrow(command.key)
            self.trapped.pop(command.key, None)
            for inner in waiting:
                self.send(inner)
        elif isinstance(command, DetachStream):
            self.host.net.streams.close(command.local, command.remote, self.host)
        elif isinstance(command, DelEroute):
            if self.eroutes.pop(command.key, None) is None:
                self.refusals.append(f"no eroute {command.key}")
            for inner in self.held.pop(command.key, []):
                self.dropped.append(("held", inner))

    def _narrow(self, key: FlowKey) -> list[Inner]:
        """What wider eroutes keep of two hosts that have one of their own now."""
        if key.src.num_addresses * key.dst.num_addresses > 1:
            return []
        found = []
        for pairs in self.trapped.values():
            pairs.discard((key.src.network_address, key.dst.network_address))
        for packets in self.held.values():
            found += [inner for inner in packets if inner.src in key.src and inner.dst in key.dst]
            packets[:] = [inner for inner in packets if inner not in found]
        return found

    def match(self, src: Address, dst: Address) -> SetEroute | None:
        """The most specific eroute: source first, then destination."""
        found = [e for k, e in self.eroutes.items() if src in k.src and dst in k.dst]
        return max(found, key=lambda e: (e.key.src.prefixlen, e.key.dst.prefixlen), default=None)

    def send(self, inner: Inner) -> None:
        """An application's packet comes out of the virtual interface."""
        eroute = self.match(inner.src, inner.dst)
        if eroute is not None:
            self.met[eroute.key] = None
        if eroute is None:
            self.dropped.append(("no eroute", inner))
        elif isinstance(eroute.target, Said):
            self._encrypt(eroute.target, inner)
        elif eroute.target in (Shunt.HOLD, Shunt.TRAP):
            self.held.setdefault(eroute.key, []).append(inner)
            pairs = self.trapped.setdefault(eroute.key, set())
            if eroute.target is Shunt.TRAP and (inner.src, inner.dst) not in pairs:
                pairs.add((inner.src, inner.dst))
                flow = FlowKey(ip_network(inner.src), ip_network(inner.dst))
                self.host.post(Acquire(flow, eroute.key, eroute.device, eroute.owner))
        elif eroute.target is Shunt.PASS:
            self.host.clear.append(inner)
        else:
            self.dropped.append((str(eroute.target), inner))

    def _drop(self, why: str, inner: Inner | None) -> None:
        if inner is not None:
            self.dropped.append((why, inner))

    def _encrypt(self, said: Said, inner: Inner | None) -> None:
        sa = self.sas.get(said)
        if sa is None:
            self._drop("no SA", inner)
            return
        self.sequences[said] = self.sequences.get(said, 0) + 1
        src, dst = self.encaps[said]
        if src.stream and not self.host.net.streams.there(src, dst):
            self.dropped.append(("no stream", inner))
            return
        if inner is not None and sa.alias is not None and inner.src == sa.alias[0]:
            inner = replace(inner, src=sa.alias[1])
        esp = Esp(said.spi, sa.enc_key, self.sequences[said], inner)
        self.host.net.send(src, dst, esp, 100, aside=inner is None)

    def receive(self, packet: Packet) -> None:
        """An ESP packet from the wire."""
        esp: Esp = packet.body
        said = self.by_spi.get(esp.spi)
        sa = self.sas.get(said) if said is not None else None
        if said is None or sa is None:
            for waiting, packets in self.expected.items():
                if waiting.spi == esp.spi:
                    packets.append(packet)
                    return
            self._drop("unknown SPI", esp.inner)
            self.host.post(UnknownSpi(packet.dst, packet.src, esp.spi))
            return
        if sa.enc_key != esp.key:
            self._drop("auth failed", esp.inner)
            return
        if esp.inner is None:
            self.heard.add(said)
            self._first_use(said)
            return
        if sa.selectors and not any(
            s.first <= esp.inner.src <= s.last and d.first <= esp.inner.dst <= d.last  # type: ignore[operator]
            for s, d in sa.selectors
        ):
            self.dropped.append(("selector mismatch", esp.inner))
            return
        inner = esp.inner
        if sa.alias is not None and inner.dst == sa.alias[1]:
            inner = replace(inner, dst=sa.alias[0])
        self.delivered.append(inner)
        self.came.add(said)
        self.received[said] = self.received.get(said, 0) + 1
        self._first_use(said)
        if self.encaps[said][0] != packet.src and sa.encap is not None:
            self.host.post(NewMapping(said, packet.src))

    def _first_use(self, said: Said) -> None:
        if said not in self.used:
            self.used.add(said)
            self.host.post(SaFirstUse(said))

    def keys(self, direction: Direction) -> set[tuple[int, bytes]]:
        """SPI and key of all SAs of one direction."""
        return {(said.spi, sa.enc_key) for said, sa in self.sas.items() if sa.direction is direction}


class SimHost:
    """One machine: a Pluto and everything that carries out its effects."""

    def __init__(
        self,
        net: Net,
        name: str,
        address: str,
        seed: int | str = 0,
        secrets: SecretStore | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.net, self.name, self.seed = net, name, seed
        net.streams = net.streams or Streams(net)
        net.streams.hosts[ip_address(address)] = self
        self.address = ip_address(address)
        self.secrets = secrets or SecretStore()
        self.settings = settings
        self.updown_status: Callable[[dict[str, str]], int] = lambda env: 0
        self.updown_delay = 0.0
        """Seconds an updown command takes."""
        self.births = 0
        self.extra: tuple[Address, ...] = ()
        self.resolvers: tuple[Address, ...] = ()
        self.names: dict[str, tuple[Address, ...]] = {}
        self.dns: dict[str, Learned | Published] = {}
        """What the DNS says about a destination, and which keys a name has,"""
        self.dns_delay = 0.05
        self.devices = {"ipsec0"}
        self.plan = Intercept()
        """For whom packets are to be stopped,"""
        self.decisions: list[tuple[str, str, Decision]] = []
        """and what was said of them."""
        """and how long that takes; what is not there is never answered."""
        self.questions: list[str] = []
        self.authorities: tuple[bytes, ...] = ()
        """ipsec.d/cacerts, DER,"""
        self.places: tuple[tuple[bytes, Places], ...] = ()
        """and what ca sections say of them."""
        self.users: dict[str, bytes] = {}
        """XAUTH's, with their passwords."""
        self.pages: dict[str, bytes] = {}
        """What web servers have; there is no other page,"""
        self.fetch_delay = 0.05
        """and how long they take: past the request's own end nothing comes."""
        self.fetched: list[str] = []
        self.policies: dict[str, str] = {}
        """What the files of policy groups say."""
        self.alarm: float | None = None
        self.listens_tcp = False
        self.boot()

    def boot(self) -> None:
        """Start with a fresh Pluto and empty tables, as after a power cut."""
        self.births += 1
        self.pluto = Pluto(SeededRng(f"{self.name} {self.seed} {self.births}"), self.settings)
        self.klips = FakeKlips(self)
        self.guards: dict[str, SetGuard] = {}
        self.open: tuple[FlowKey, ...] = ()
        self.gaps: list[str] = []
        self.clear: list[Inner] = []
        self.updowns: list[str] = []
        self.environments: list[dict[str, str]] = []
        """Of each of them."""
        self.lines: list[str] = []
        self.events: list[str] = []
        self.whack: dict[int, list[tuple[int, str]]] = {}
        self.finished: set[int] = set()
        self.client = 0
        self.listening: tuple[tuple[Address, str], ...] = ()
        self.keepalives = 0
        self.ended: Shutdown | None = None
        self.kept: tuple[KnownPeer, ...] = ()
        """What pluto wants the next daemon to know of peers."""
        self.pending: list[EngineEvent] = []
        self.busy = False
        self.net.attach(self.address, self.receive)
        self.post(self.network())

    def network(self) -> NetworkState:
        addresses = tuple((a, 24) for a in (self.address, *self.extra))
        nexthop = ip_address("192.0.2.254") if self.address.version == 4 else ip_address("2001:db8::ffff")
        return NetworkState(
            (Interface("eth0", "ipsec0", addresses),), (DefaultRoute("eth0", self.address, nexthop),), self.resolvers
        )

    # -- events -------------------------------------------------------------------------------------------------------

    def receive(self, packet: Packet) -> None:
        """A datagram has arrived, or ESP in a stream."""
        if packet.body is KEEPALIVE:
            return
        if isinstance(packet.body, Esp):
            self.klips.receive(packet)
        elif packet.dst.port == 4500:
            self.post(IkeDatagram(packet.dst, packet.src, packet.body))
        else:
            self.post(Datagram(packet.dst, packet.src, packet.body))

    def post(self, event: EngineEvent) -> None:
        """Let pluto handle an event; what its effects cause is handled afterwards."""
        self.pending.append(event)
        if self.busy:
            return
        self.busy = True
        while self.pending:
            following = self.pending.pop(0)
            for effect in self.pluto.handle(following, self.net.now):
                self.perform(effect)
        self.busy = False
        self._arm()

    def _arm(self) -> None:
        when = self.pluto.next_timer()
        if when is not None and when != self.alarm:
            self.alarm = when
            born = self.births
            self.net.at(when, lambda: self._ring(when, born))

    def _ring(self, when: float, born: int) -> None:
        if self.alarm == when and self.births == born:
            self.alarm = None
            self.post(TimerDue())

    def request(self, verb: str, **args: Any) -> int:
        """A whack request; the client's number."""
        self.client += 1
        self.whack[self.client] = []
        self.post(WhackRequest(self.client, verb, args))
        return self.client

    def say(self, verb: str, **args: Any) -> list[tuple[int, str]]:
        """A whack request that is answered at once."""
        client = self.request(verb, **args)
        assert client in self.finished, (verb, args, self.whack[client])
        return self.whack[client]

    def load_one(self, connection: Connection) -> None:
        """Load a connection."""
        answer = self.say("add", connection=connection_to_plain(connection))
        assert all(code in (0, 2) for code, _ in answer), answer

    def load(self, *connections: Connection) -> None:
        """Load connections and listen."""
        for connection in connections:
            self.load_one(connection)
        self.say("listen")

    # -- effects ------------------------------------------------------------------------------------------------------

    def perform(self, effect: Effect) -> None:
        """Carry out one effect."""
        if isinstance(effect, SendDatagram) and effect.whole and self._octets(effect) > self.net.narrow:
            self.net.lost += 1
        elif isinstance(effect, SendDatagram) and effect.local.stream:
            self.net.streams.send(effect.local, effect.remote, effect.data)
        elif isinstance(effect, SendDatagram):
            self.net.send(effect.local, effect.remote, effect.data, len(effect.data) + 32)
        elif isinstance(effect, SendKeepalive):
            self.keepalives += 1
            self.net.send(effect.local, effect.remote, KEEPALIVE, 29)
        elif isinstance(effect, KlipsCommand):
            self._check_guard(effect.command)
            self.klips.do(effect.command)
        elif isinstance(effect, OpenStream):
            self.net.streams.open(self, effect)
        elif isinstance(effect, CountPackets):
            sent, got = self.klips.sequences.get(effect.out, 0), self.klips.received.get(effect.into, 0)
            self.pending.append(PacketsCounted(effect.token, sent, got or int(effect.into in self.klips.heard)))
        elif isinstance(effect, CountUse):
            used, self.klips.met = self.klips.met, {}
            used.update((key, None) for key, said in effect.tunnels if said in self.klips.came)
            self.klips.came.clear()
            self.pending.append(FlowsUsed(tuple(used)))
        elif isinstance(effect, SetGuard):
            self.guards[effect.connection] = effect
        elif isinstance(effect, DelGuard):
            if self.guards.pop(effect.connection, None) is None:
                self.gaps.append(f"DelGuard of unknown {effect.connection}")
        elif isinstance(effect, OpenFlows):
            self.open = effect.flows
        elif isinstance(effect, RunUpdown):
            verb = effect.environment["PLUTO_VERB"]
            self.updowns.append(f"{verb} {effect.environment['PLUTO_CONNECTION']}")
            self.environments.append(effect.environment)
            done, born = UpdownDone(effect.token, self.updown_status(effect.environment), ()), self.births
            if self.updown_delay:
                self.net.at(self.net.now + self.updown_delay, lambda: self.post(done) if self.births == born else None)
            else:
                self.pending.append(done)
        elif isinstance(effect, Resolve):
            self.pending.append(HostResolved(effect.name, self.names.get(effect.name, ())))
        elif isinstance(effect, LearnGateways | LearnKeys):
            self._ask_dns(effect)
        elif isinstance(effect, ReadSecrets):
            self.pending.append(SecretsRead(self.secrets, (), effect.client))
        elif isinstance(effect, ReadGroups):
            files = tuple(GroupFile(name, f"policies/{name}", self.policies.get(name)) for name in effect.names)
            self.pending.append(GroupsRead(files, effect.client))
        elif isinstance(effect, ReadCertificates):
            self.pending.append(CertificatesRead(self.authorities, (), (), effect.client, (), self.places))
        elif isinstance(effect, Fetch):
            self._fetch(effect)
        elif isinstance(effect, HaveDevice):
            self.devices.add(effect.device)
        elif isinstance(effect, Intercept):
            self.plan = effect
        elif isinstance(effect, KeepPeers):
            self.kept = effect.known
        elif isinstance(effect, Decide):
            self.decisions.append((str(effect.src), str(effect.dst), effect.decision))
        elif isinstance(effect, Login):
            good = self.users.get(effect.user) == effect.password
            self.pending.append(LoggedIn(effect.token, "" if good else "Incorrect Username or Password"))
        elif isinstance(effect, Listen):
            self.listening = effect.addresses
        elif isinstance(effect, WhackLine):
            assert effect.client not in self.finished, effect
            self.whack[effect.client].append((effect.code, effect.text))
        elif isinstance(effect, WhackDone):
            assert effect.client not in self.finished, effect
            self.finished.add(effect.client)
        elif isinstance(effect, Log):
            self.lines.append(effect.text)
            self.events.append(effect.event)
        elif isinstance(effect, Shutdown):
            self.ended = effect
        else:
            assert isinstance(effect, FlushConntrack), effect

    def _ask_dns(self, effect: LearnGateways | LearnKeys) -> None:
        name = effect.name if isinstance(effect, LearnKeys) else str(effect.destination)
        said, born = self.dns.get(name), self.births
        self.questions.append(name)
        if said is None:
            return
        event = GatewaysLearned(said) if isinstance(said, Learned) else KeysLearned(name, said)
        self.net.at(self.net.now + self.dns_delay, lambda: self.post(event) if self.births == born else None)

    def _fetch(self, effect: Fetch) -> None:
        self.fetched.append(effect.uri)
        page, born = self.pages.get(effect.uri), self.births
        event = Fetched(effect.token, page or b"", "" if page is not None else "the server says 404", page is None)
        if self.fetch_delay > effect.timeout:
            event = Fetched(effect.token, b"", f"no answer within {effect.timeout:g} s")
        delay = min(self.fetch_delay, effect.timeout)
        self.net.at(self.net.now + delay, lambda: self.post(event) if self.births == born else None)

    def _octets(self, effect: SendDatagram) -> int:
        """Of the whole IP packet."""
        marker = 0 if effect.local.port == 500 else 4
        return (28 if effect.local.address.version == 4 else 48) + marker + len(effect.data)

    def _check_guard(self, command: Any) -> None:
        """Nothing is keyed or routed before it is guarded."""
        if isinstance(command, AddSa) and command.owner not in self.guards:
            self.gaps.append(f"{command.said} of {command.owner} without a guard")
        if isinstance(command, SetEroute) and command.owner not in self.guards and command.target is not Shunt.PASS:
            if self._open(command.owner) and isinstance(command.target, Shunt):
                return
            self.gaps.append(f"eroute {command.key} of {command.owner} without a guard")

    def _open(self, owner: str) -> bool:
        """Is it a line of a group that goes in clear where no tunnel can be had?"""
        conn = self.pluto.core.conns.named.get(owner)
        return conn is not None and conn.group is not None and stance_of(conn.policy).permits_clear

    # -- views --------------------------------------------------------------------------------------------------------

    def up(self) -> bool:
        """Does an eroute point at an SA?"""
        return any(isinstance(e.target, Said) for e in self.klips.eroutes.values())

    def empty(self) -> bool:
        """No SA of any kind is left, nor anything half open."""
        states = self.pluto.core.states
        return not (self.klips.sas or states.ikes or states.children or states.half_open_total or states.tokens)

    def sane(self) -> None:
        """What must hold at any time."""
        assert not self.klips.refusals, self.klips.refusals
        assert not self.gaps, self.gaps
        states = self.pluto.core.states
        assert states.half_open_total == sum(states.half_open.values())
        for child in states.children.values():
            assert child.ike.serial in states.ikes, child
        for token, ike in states.tokens.items():
            assert token in ike.attempts and ike.serial in states.ikes


def psk(me: str, him: str, shared: bytes = b"a phrase nobody guesses") -> SecretStore:
    """A store with one preshared key; identities as ipsec.secrets writes them, `%any` for anybody."""
    indices = tuple(Index(version=4) if text == "%any" else Index(parse_identity(text)) for text in (me, him))
    return SecretStore((Secret(SecretKind.PSK, indices, "test:1", shared),))


@lru_cache
def rsa_key(number: int) -> rsa.RSAPrivateKey:
    """A 2048-bit key, made once per process."""
    return rsa.generate_private_key(65537, 2048)


def rfc3110(key: rsa.RSAPrivateKey) -> bytes:
    """The public half as leftrsasigkey= has it."""
    numbers = key.public_key().public_numbers()
    modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
    return b"\x03\x01\x00\x01" + modulus


def rsa_secrets(number: int) -> SecretStore:
    """A store with one private key."""
    return SecretStore((Secret(SecretKind.PRIVATE_KEY, (), "test:1", b"", rsa_key(number)),))


def end(address: str = "", net: str = "", identity: str = "", **more: Any) -> End:
    """An end of a connection; address `%any`, `%defaultroute` or a host name also."""
    if address == "%any":
        host = Host(HostKind.ANY)
    elif address == "%defaultroute":
        host = Host(HostKind.DEFAULTROUTE)
    elif address[:1].isdigit() or ":" in address:
        host = Host(HostKind.ADDRESS, ip_address(address))
    else:
        host = Host(HostKind.NAME, name=address)
    name: Identity | None = parse_identity(identity) if identity else None
    return End(host, name, ip_network(net) if net else None, **more)


def conn(name: str, left: End, right: End, **more: Any) -> Connection:
    """A connection with cheap algorithms."""
    made = Connection(name, left, right, auth=Auth.PSK, ike_proposals=IKE, esp_proposals=ESP)
    return replace(made, **more)


@dataclass
class Pair:
    """Two gateways, east and west, and a network between them."""

    net: Net
    west: SimHost
    east: SimHost
    number: int = 0
    sent: list[tuple[SimHost, Inner]] = field(default_factory=list)

    def up(self) -> bool:
        """Do both ends have a tunnel?"""
        return self.west.up() and self.east.up()

    def run(self, seconds: float, done: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass."""
        return self.net.run(self.net.now + seconds, done)

    def send(self, host: SimHost, src: str, dst: str) -> Inner:
        """An application on a host's side sends a packet."""
        self.number += 1
        inner = Inner(ip_address(src), ip_address(dst), self.number)
        other = self.east if host is self.west else self.west
        self.sent.append((other, inner))
        host.klips.send(inner)
        return inner

    def missing(self) -> list[Inner]:
        """What was sent and has not arrived."""
        return [inner for host, inner in self.sent if inner not in host.klips.delivered]

    def agreed(self) -> bool:
        """Can each end read everything the other sends?"""
        return self.west.klips.keys(Direction.OUT) <= self.east.klips.keys(Direction.IN) and (
            self.east.klips.keys(Direction.OUT) <= self.west.klips.keys(Direction.IN)
        )

    def sane(self) -> None:
        """Nothing impossible was asked of anybody."""
        for host in (self.west, self.east):
            host.sane()

    def digest(self) -> str:
        """A fingerprint of all that happened on the wire."""
        return hashlib.sha256(repr(self.net.transcript).encode()).hexdigest()


WEST, EAST, OUTSIDE = "192.0.2.1", "198.51.100.7", "203.0.113.5"
WEST_NET, EAST_NET = "10.1.0.0/16", "10.2.0.0/16"


def make_pair(
    seed: int | str = 0,
    faults: Faults = PERFECT,
    esp: Faults = STEADY,
    nat: bool = False,
    settings: Settings | None = None,
    west_secrets: SecretStore | None = None,
    east_secrets: SecretStore | None = None,
) -> Pair:
    """West at 192.0.2.1 (or behind a NAT box at 203.0.113.5), east at 198.51.100.7; they share a key."""
    net = Net(seed, faults, esp)
    west = SimHost(net, "west", WEST, seed, west_secrets or psk("@west", "@east"), settings)
    east = SimHost(net, "east", EAST, seed, east_secrets or psk("@east", "@west"), settings)
    if nat:
        Nat(ip_address(OUTSIDE), net).serve(west.address)
    return Pair(net, west, east)


def tunnel(name: str = "net-net", nat: bool = False, **more: Any) -> tuple[Connection, Connection]:
    """The same connection as each end writes it; behind NAT the west end is %any for the east."""
    left, right = end(WEST, WEST_NET, "@west"), end(EAST, EAST_NET, "@east")
    seen = end("%any", WEST_NET, "@west") if nat else left
    return conn(name, left, right, **more), conn(name, seen, right, **more)
