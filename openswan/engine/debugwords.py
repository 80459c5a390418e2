# SPDX-License-Identifier: GPL-2.0-or-later
"""THE table of debugging: what pluto is told, orders and hears of its machines -> classes that tell of it, and words.

Everything that happens to pluto is an event and everything it does an effect, so a row for each type is all there is.
Rows name fields one by one: what a type gains later is not in the log by accident, and nothing secret ever is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from openswan.engine import effects as do
from openswan.engine import events as ev
from openswan.ike import effects as ike
from openswan.ike import events as ask
from openswan.ike.later import SignJob
from openswan.ike.v1 import effects as v1
from openswan.plane import events as plane

Row: TypeAlias = tuple[str, Callable[[Any], str]]
"""(classes, words)."""
LONGEST = 400
"""Characters of what a packet engine's command looks like."""


def _shown(thing: object) -> str:
    """A plain dataclass in one line; its repr leaves keys out."""
    return repr(thing)[:LONGEST]


def _fixed(text: str) -> Callable[[Any], str]:
    return lambda _: text


EVENTS: dict[type[Any], Row] = {
    ev.TimerDue: ("controlmore", _fixed("timers are due")),
    ev.SendFailed: ("control", lambda e: f"sending from {e.local} to {e.remote} failed: {e.reason}"),
    ev.StreamOpened: ("natt", lambda e: f"TCP connection from {e.local} to {e.remote} is open"),
    ev.StreamRefused: ("natt", lambda e: f"no TCP connection: {e.reason}"),
    plane.StreamClosed: ("natt", lambda e: f"TCP connection from {e.local} to {e.remote} has ended: {e.reason}"),
    ev.PathTooBig: ("controlmore", lambda e: f"ICMP says that the path from {e.local} to {e.remote} takes {e.mtu}"),
    ev.WhackRequest: ("control", lambda e: f"whack asks: {e.verb} {_named(e.args)}".rstrip()),
    ev.WhackGone: ("controlmore", lambda e: f"whack {e.client} has hung up"),
    ev.NetworkState: ("control", lambda e: f"{len(e.interfaces)} interfaces: {_interfaces(e)}"),
    ev.RoutesSeen: ("controlmore", lambda e: f"{len(e.homes)} nets have routes"),
    ev.SecretsRead: ("control", lambda e: f"{len(e.store.secrets)} secrets read"),
    ev.GroupsRead: ("oppo", lambda e: f"files of policy groups read: {', '.join(one.name for one in e.files)}"),
    ev.CertificatesRead: ("x509", lambda e: f"{len(e.anchors)} authorities and {len(e.crls)} CRLs read"),
    ev.Fetched: ("x509", lambda e: f"fetched {len(e.data)} octets" if not e.reason else f"not fetched: {e.reason}"),
    ev.Signed: ("crypt", lambda e: f"a token has not signed: {e.reason}" if e.reason else "a token has signed"),
    ev.LoggedIn: ("control", lambda e: f"password is not right: {e.reason}" if e.reason else "password is right"),
    ev.HostResolved: ("dns", lambda e: f"{e.name} is {', '.join(map(str, e.addresses)) or e.reason}"),
    ev.GatewaysLearned: (
        "dns oppo",
        lambda e: f"the DNS has told of {e.learned.destination} {_complaints(e)}".rstrip(),
    ),
    ev.KeysLearned: ("dns", lambda e: f"the DNS has told of keys of {e.name} {_complaints(e)}".rstrip()),
    ev.PacketsCounted: ("controlmore dpd", lambda e: f"{e.sent} packets sent and {e.received} received so far"),
    ev.FlowsUsed: ("controlmore", lambda e: f"{len(e.flows)} flows in use"),
    ev.Intercepted: ("oppoinfo", lambda e: f"packet {e.src} -> {e.dst} {'came in clear' if e.inbound else 'waits'}"),
    ev.PeersRecalled: ("oppo", lambda e: f"{len(e.known)} peers are known from before"),
    ev.UpdownDone: ("control", lambda e: f"updown command ended with status {e.status}"),
    ev.EffectFailed: ("klips pfkey", lambda e: f"the packet engine refuses: {e.reason}"),
    plane.Acquire: ("oppo klips pfkey", lambda e: f"acquire: {e.flow} has met the trap {e.trap} of {e.owner}"),
    plane.SaExpired: ("lifecycle klips pfkey", lambda e: f"{e.said} {'is used up' if e.hard else 'ends soon'}"),
    plane.SaFirstUse: ("klips pfkey", lambda e: f"first packet on {e.said}"),
    plane.NewMapping: ("natt", lambda e: f"{e.said} comes from {e.remote} now"),
    plane.UnknownSpi: ("klips pfkey", lambda e: f"ESP from {e.remote} with the unknown SPI 0x{e.spi:08x}"),
    plane.OffloadRefused: ("klips pfkey", lambda e: f"{e.where} refuses {e.what}"),
}
"""What pluto is told; datagrams are openswan.engine.debugwire's."""

EFFECTS: dict[type[Any], Row] = {
    do.SendKeepalive: ("natt", lambda e: f"NAT keepalive from {e.local} to {e.remote}"),
    do.OpenStream: ("natt", lambda e: f"opening a TCP connection from {e.local} to {e.remote}"),
    do.KlipsCommand: ("klips pfkey", lambda e: _shown(e.command)),
    do.CountPackets: ("controlmore dpd", lambda e: f"counting packets of {e.out} and {e.into}"),
    do.CountUse: ("controlmore", _fixed("looking which eroutes are in use")),
    do.SetGuard: ("klips", lambda e: f"guard of {e.connection}: {', '.join(str(one.key) for one in e.entries)}"),
    do.DelGuard: ("klips", lambda e: f"no guard of {e.connection} any more"),
    do.OpenFlows: ("klips oppo", lambda e: f"left open: {', '.join(map(str, e.flows))}"),
    do.HaveDevice: ("oppo", lambda e: f"{e.device} beside what stands on {e.interface}"),
    do.Intercept: ("oppo", lambda e: f"packets to {len(e.nets)} nets are stopped"),
    do.Decide: ("oppoinfo", lambda e: f"packets {e.src} -> {e.dst}: {e.decision.value}"),
    do.KeepPeers: ("oppo", lambda e: f"{len(e.known)} peers written down"),
    do.RunUpdown: ("control", lambda e: f"executing {e.environment.get('PLUTO_VERB', '')}: {e.command}"),
    do.Resolve: ("dns", lambda e: f"looking up {e.name}"),
    do.LearnGateways: ("dns oppo", lambda e: f"asking the DNS about {e.destination}"),
    do.LearnKeys: ("dns", lambda e: f"asking the DNS for keys of {e.name}"),
    do.ReadSecrets: ("control", _fixed("reading ipsec.secrets")),
    do.ReadGroups: ("oppo", lambda e: f"reading policy groups {', '.join(e.names)}"),
    do.ReadCertificates: ("x509", _fixed("reading certificates and CRLs of ipsec.d")),
    do.Fetch: ("x509", lambda e: f"fetching {e.uri}"),
    do.Sign: ("crypt", lambda e: f"a token is to sign {len(e.octets)} octets"),
    do.Login: ("control", lambda e: f"the password of {e.user} is to be judged"),
    do.Listen: ("control", lambda e: f"listening on {', '.join(str(one) for one, _ in e.addresses)}"),
    do.FlushConntrack: ("controlmore", lambda e: f"connection tracking of {len(e.flows)} flows is forgotten"),
    do.Shutdown: ("control", _fixed("the end")),
}
"""What pluto orders; datagrams are openswan.engine.debugwire's."""

OF_MACHINES: dict[type[Any], Row] = {
    ike.Work: ("crypt", lambda e: _job(e.job)),
    ike.IkeEstablished: ("lifecycle crypt", lambda e: f"IKE SA with {e.peer_id}: {e.chosen}"),
    v1.IsakmpEstablished: ("lifecycle crypt", lambda e: f"ISAKMP SA with {e.peer_id}: {e.chosen}"),
    v1.IsakmpReplaced: ("lifecycle", _fixed("another ISAKMP SA has taken its place")),
    v1.InitialContact: ("lifecycle", _fixed("the peer remembers no other SA")),
    v1.Unconfirmed: ("lifecycle", lambda e: f"SPI 0x{e.spi_in:08x}: the last message may be lost"),
    ike.ChildEstablished: (
        "lifecycle crypt natt",
        lambda e: f"SAs >0x{e.spi_out:08x} <0x{e.spi_in:08x}: {e.chosen}; {e.encap or 'not in UDP'}",
    ),
    ike.SpiOffered: ("lifecycle", lambda e: f"SPI 0x{e.spi_in:08x} {'withdrawn' if e.withdrawn else 'offered'}"),
    ike.ChildGone: ("lifecycle", lambda e: f"SAs >0x{e.spi_out:08x} <0x{e.spi_in:08x}: {e.reason.value}"),
    ike.RequestFailed: ("control", lambda e: f"{type(e.request).__name__} came to nothing: {e.reason}"),
    ike.ProbeAnswered: ("dpd", _fixed("the peer lives")),
    ike.Silent: ("dpd", _fixed("the peer is silent")),
    ike.Heard: ("dpd", _fixed("the peer has been heard again")),
    ike.TicketReceived: ("crypt", _fixed("a ticket for session resumption")),
    ike.PathProbed: ("controlmore", lambda e: f"the path takes {e.octets} octets, not {e.refused}"),
    ike.Redirected: ("control", lambda e: f"redirected to {e.gateway}"),
    ike.InitAnswered: ("control oppo", _fixed("somebody answers the first message")),
    ike.Hinted: ("control oppo", lambda e: f"said without proof: {e.hint}"),
    ike.SpiUnknown: ("lifecycle", lambda e: f"the peer does not know SPI 0x{e.spi:08x}"),
    ike.NewSuccessor: ("lifecycle", _fixed("a rekeyed IKE SA exists")),
    ike.IkeRekeyed: ("lifecycle", _fixed("the rekeyed IKE SA has inherited")),
    ike.PeerMoved: ("natt", lambda e: f"{e.local} <-> {e.remote} from now on ({e.why})"),
    ike.IkeFailed: ("lifecycle", lambda e: f"failed: {e.reason}"),
    ike.IkeGone: ("lifecycle", lambda e: e.reason.value),
    ike.Forget: ("lifecycle", _fixed("forgotten")),
}
"""What the machines of IKE SAs tell; their lines are in the log anyway, their datagrams are effects."""

REQUESTS: dict[type[Any], Row] = {
    ask.Probe: ("dpd", _fixed("asking whether the peer lives")),
    ask.ProbePath: ("controlmore", lambda e: f"probing the path with {e.sizes}"),
}
"""What is asked of machines; of all others `control` tells the name."""


def _named(args: dict[str, Any]) -> str:
    name = args.get("name")
    return repr(name) if isinstance(name, str) else ""


def _interfaces(event: ev.NetworkState) -> str:
    return ", ".join(f"{one.name} {' '.join(str(address) for address, _ in one.addresses)}" for one in event.interfaces)


def _complaints(event: Any) -> str:
    return f"({'; '.join(event.complaints)})" if event.complaints else ""


def _job(job: object) -> str:
    return "waiting for a token to sign" if isinstance(job, SignJob) else f"waiting for {job}"
