# SPDX-License-Identifier: GPL-2.0-or-later
"""`auto --status`; its JSON twin, statusjson, is made of the same facts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from openswan.base.numbers import NATT_PORT
from openswan.engine.children import xfrm
from openswan.engine.conn import Conn
from openswan.engine.identities import identity_of
from openswan.engine.names import CHILD_STAGES, connection_policy
from openswan.engine.statedb import ChildState, IkeState
from openswan.engine.timers import Timer
from openswan.ike.v1.phase1 import ChosenIsakmp
from openswan.policy.connection import End, HostKind, SendCert
from openswan.policy.proposal import AH, proposals_text
from openswan.policy.selector import Selector

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

SEND_MARKS = {SendCert.NEVER: "S-C", SendCert.IF_ASKED: "S?C", SendCert.ALWAYS: "S=C"}
HOST_MAGIC = {
    HostKind.ANY: "%any",
    HostKind.GROUP: "%group",
    HostKind.OPPORTUNISTIC: "%opportunistic",
    HostKind.OPPORTUNISTIC_GROUP: "%opportunisticgroup",
    HostKind.DEFAULTROUTE: "%defaultroute",
}


def seconds(value: float) -> str:
    """Whole seconds without a decimal point."""
    return str(round(value))


def host_text(end: End, address: object) -> str:
    """A host: its address when known, else how it will be known."""
    if address is not None:
        return str(address)
    host = end.host
    if host.kind is HostKind.NAME:
        return f"%dns<{host.name}>"
    if host.kind is HostKind.INTERFACE:
        return f"%{host.name}"
    return HOST_MAGIC.get(host.kind, str(host.address))


def _client(selector: Selector | None, address: object) -> str:
    """The client part, empty when it is just the host."""
    if selector is None:
        return ""
    net = "+".join(map(str, selector.subnets()))
    return "" if net in (f"{address}/32", f"{address}/128") else net


def _marks(conn: Conn, end: End, other: End) -> str:
    """How an end's certificate is sent; of IKEv1 whether it is server or client of Mode Config (MS, MC) and XAUTH (XS,
    XC)."""
    words = [SEND_MARKS[end.send_cert]] if end.cert else []
    if conn.policy.ike_version == 1:
        asks, gives = (bool(one.ask_addresses or one.pools) for one in (end, other))
        does = {"MS": gives, "MC": asks, "XS": end.xauth_server, "XC": end.xauth_client}
        words[:0] = [word for word, yes in does.items() if yes]
    return "+".join(words)


def end_text(conn: Conn, end: End, other: End, mine: bool) -> str:
    """`10.1.0.0/16===192.0.2.1[@gw1]` for our end, mirrored for the peer's."""
    address = (conn.me if mine else conn.peer) if conn.oriented else end.host.address
    selector = conn.local if mine else conn.remote
    host = host_text(end, address)
    if mine and end.host.address is not None:
        host += f"<{end.host.address}>"
    identity = (None if mine else conn.peer_id) or identity_of(end, None)
    marks = _marks(conn, end, other)
    if identity is not None and str(identity) != str(address):
        host += f"[{identity},{marks}]" if marks else f"[{identity}]"
    if end.protocol or end.port:
        host += f":{end.protocol}/{end.port}"
    net = _client(selector, address)
    if not net and end.subnet is not None and selector is None:
        net = str(end.subnet)
    hop = f"---{end.nexthop}" if end.nexthop is not None else ""
    if mine:
        return f"{net}==={host}{hop}" if net else f"{host}{hop}"
    return (
        f"{hop[3:]}---{host}==={net}"
        if hop and net
        else f"{hop[3:]}---{host}"
        if hop
        else (f"{host}==={net}" if net else host)
    )


def topology(conn: Conn) -> str:
    """The whole connection on one line; the left side is always ours once that is known."""
    ours, theirs = (
        (conn.oriented.ours, conn.oriented.theirs) if conn.oriented else (conn.policy.left, conn.policy.right)
    )
    return f"{end_text(conn, ours, theirs, True)}...{end_text(conn, theirs, ours, False)}"


def facts(brain: Brain, conn: Conn) -> dict[str, Any]:
    """A connection as JSON data."""
    policy, oriented = conn.policy, conn.oriented
    return {
        "name": conn.name,
        "instance": conn.instance,
        "label": conn.label,
        "kind": conn.kind.value,
        "topology": topology(conn),
        "oriented": oriented is not None,
        "me": str(conn.me) if conn.me else None,
        "peer": str(conn.peer) if conn.peer else None,
        "interface": oriented.interface if oriented else None,
        "device": conn.device if oriented else None,
        "local": str(conn.local) if conn.local else None,
        "remote": str(conn.remote) if conn.remote else None,
        "routing": conn.routing.story,
        "eroute_owner": conn.owner,
        "shunt": str(conn.shunt) if conn.shunt is not None else None,
        "guarded": _guarded(brain, conn),
        "on_demand": conn.on_demand,
        "wanted": conn.wanted,
        "policy": connection_policy(conn),
        "ike_life": policy.ike_lifetime,
        "ipsec_life": policy.ipsec_lifetime,
        "rekey_margin": policy.rekey_margin,
        "rekey_fuzz": policy.rekey_fuzz,
        "keyingtries": policy.keying_tries,
        "newest_ike": conn.newest_ike,
        "newest_child": conn.newest_child,
        "aliases": list(policy.aliases),
        "attempts": conn.attempt,
        "assigned": [str(address) for address in conn.assigned.addresses],
        "dns": [str(server) for server in conn.assigned.dns],
        "domains": list(conn.assigned.domains),
    }


def _guarded(brain: Brain, conn: Conn) -> bool:
    return conn.guarded or conn.unique in brain.router.kept


def _prio(conn: Conn) -> str:
    def length(selector: Selector | None) -> int:
        return selector.subnets()[0].prefixlen if selector is not None else 0

    return f"{length(conn.local)},{length(conn.remote)}"


def connection_lines(brain: Brain, conn: Conn) -> Iterator[str]:
    """The block of one connection."""
    policy, label = conn.policy, conn.label
    owner = f"#{conn.owner}"
    yield f"{label}: {topology(conn)}; {conn.routing.story}; eroute owner: {owner}"
    sources = conn.sources
    his = conn.oriented.theirs.source_ips if conn.oriented else ()
    updown = conn.oriented.ours.updown if conn.oriented else policy.left.updown
    yield (
        f"{label}:     myip={','.join(map(str, sources)) or 'unset'}; hisip={','.join(map(str, his)) or 'unset'};"
        f" myup={updown};"
    )
    yield (
        f"{label}:   ike_life: {seconds(policy.ike_lifetime)}s; ipsec_life: {seconds(policy.ipsec_lifetime)}s; "
        f"rekey_margin: {seconds(policy.rekey_margin)}s; rekey_fuzz: {round(policy.rekey_fuzz * 100)}%; "
        f"keyingtries: {policy.keying_tries}"
    )
    interface = conn.oriented.interface if conn.oriented else ""
    yield (
        f"{label}:   policy: {connection_policy(conn)}; prio: {_prio(conn)}; interface: {interface}; "
        f"kind={conn.kind.value}"
    )
    yield from _assignment_lines(brain, conn)
    if policy.metric or policy.mtu:
        yield f"{label}:   network params: metric:{policy.metric}; mtu:{policy.mtu};"
    if policy.dpd_delay:
        yield (
            f"{label}:   dpd: action:{policy.dpd_action.value}; delay:{seconds(policy.dpd_delay)}; "
            f"timeout:{seconds(policy.dpd_timeout)};"
        )
    if brain.debugging.conns.get(conn.name):
        yield f"{label}:   debug: {brain.debugging.text(conn).upper()}"
    guard = "in place" if _guarded(brain, conn) else "off (leakguard=no)" if not policy.leak_guard else "not in place"
    yield f"{label}:   leak guard: {guard}; negotiates: {'on demand' if conn.on_demand else 'when asked'};"
    yield (
        f"{label}:   newest ISAKMP SA: #{conn.newest_ike}; newest IPsec SA: #{conn.newest_child}; "
        f"eroute owner: {owner};"
    )
    if policy.aliases:
        yield f"{label}:   aliases: {' '.join(policy.aliases)}"
    if policy.ike_text:
        yield f"{label}:   IKE algorithms wanted: {policy.ike_text}"
    yield f"{label}:   IKE algorithms found: {proposals_text(policy.ike_proposals)}"
    if ike := brain.core.states.ikes.get(conn.newest_ike):
        chosen = ike.machine.chosen
        yield f"{label}:   IKE algorithm newest: {chosen.suite if isinstance(chosen, ChosenIsakmp) else chosen}"
    protocol = "AH" if any(p.protocol == AH for p in policy.esp_proposals) else "ESP"
    if policy.esp_text:
        yield f"{label}:   {protocol} algorithms wanted: {policy.esp_text}"
    yield f"{label}:   {protocol} algorithms loaded: {proposals_text(policy.esp_proposals)}"
    if child := brain.core.states.children.get(conn.newest_child):
        pfs = str(child.chosen.dh.name) if child.chosen.dh else "<Phase1>" if policy.pfs else "<N/A>"
        extras = "; esn=yes" * child.chosen.esn + "; ipcomp=deflate" * (child.comp_in is not None)
        yield f"{label}:   {protocol} algorithm newest: {xfrm(child)}; pfsgroup={pfs}{extras}"


def _assignment_lines(brain: Brain, conn: Conn) -> Iterator[str]:
    """Pools a connection gives addresses from, or what its peer has assigned."""
    if conn.oriented is None or conn.instance:
        return
    for pool in conn.oriented.theirs.pools:
        book = brain.core.leases.books.get(pool)
        used, kept = (book.in_use, len(book.released)) if book is not None else (0, 0)
        yield f"{conn.label}:   address pool: {pool}; size {pool.size}; {used} in use; {kept} kept for absent peers;"
    if conn.oriented.theirs.pools and (refused := brain.core.leases.refused):
        yield f"{conn.label}:   {refused} requests refused of more peers behind one address than may have one each;"
    if conn.virtual:
        given = conn.assigned
        dns = f"; dns: {' '.join(map(str, given.dns))}" if given.dns else ""
        domains = f"; domains: {' '.join(given.domains)}" if given.domains else ""
        yield f"{conn.label}:   assigned address: {' '.join(map(str, given.addresses)) or 'none yet'}{dns}{domains};"


def lease_lines(brain: Brain) -> Iterator[str]:
    """`whack --addresspoolstatus`: every pool and who has which address of it."""
    for pool, book in brain.core.leases.books.items():
        yield f"{pool}: size {pool.size}; {book.in_use} in use; {len(book.released)} kept for absent peers"
        for lease in book.owners.values():
            users = " ".join(f"#{serial}" for serial in sorted(lease.holders)) or "released"
            yield f"  {lease.address} '{lease.owner}' {users}"


def _event(brain: Brain, serial: int, timers: tuple[Timer, ...]) -> str:
    """The next deadline of a state: `EVENT_SA_REPLACE in 27891s`."""
    found = [(brain.core.timers.left((timer, serial), brain.core.now), timer) for timer in timers]
    left = [(when, timer.value.strip()) for timer, when in ((t, w) for w, t in found) if when is not None]
    if not left:
        return "EVENT_NULL in -1s"
    when, name = min(left)
    return f"{name} in {int(when)}s"


def child_line(brain: Brain, child: ChildState) -> Iterator[str]:
    """The two lines of a child SA."""
    conn = child.conn
    state, story = CHILD_STAGES[child.ike.version, child.initiator]
    if child.ike.version == 2:
        story += ", IPsec SA established"
    newest = "; newest IPSEC" if conn.newest_child == child.serial else ""
    owner = "; eroute owner" if conn.owner == child.serial else ""
    event = _event(brain, child.serial, (Timer.REKEY_CHILD, Timer.EXPIRE_CHILD))
    yield (
        f"#{child.serial}: {conn.label}:{child.remote.port} IKEv{child.ike.version}.0 {state} ({story}); "
        f"{event}{newest}{owner}; isakmp#{child.ike.serial}; idle; "
        f"import:{'admin initiate' if child.initiator else 'respond to stranger'}"
    )
    yield f"#{child.serial}: {conn.label} {child.said_out} {child.said_in} ref=0 refhim=0"


def ike_line(brain: Brain, ike: IkeState) -> str:
    """The line of an IKE SA."""
    machine = ike.machine
    conn = ike.conn or ike.led_to
    label = conn.label if conn is not None else '"?"'
    newest = "; newest ISAKMP" if ike.conn is not None and ike.conn.newest_ike == ike.serial else ""
    settled = ike.version == 1 and ike.established is not None and not machine.busy
    event = _event(brain, ike.serial, (*(() if settled else (Timer.IKE,)), Timer.REKEY_IKE, Timer.EXPIRE_IKE))
    event = event.replace("_v2_", "_") if ike.version == 1 else event
    heard = round(brain.core.now - machine.last_heard) if ike.established is not None else -1
    return (
        f"#{ike.serial}: {label}:{machine.remote.port} IKEv{ike.version}.0 {machine.state} ({machine.state.story}); "
        f"{event}{newest}; "
        f"lastdpd={heard}s(seq in:0 out:0); idle; import:{'admin initiate' if ike.initiator else 'respond to stranger'}"
    )


def _under_way(brain: Brain, ike: IkeState) -> Iterator[tuple[str, int, list[str]]]:
    """Quick Modes of an ISAKMP SA that have not made their pair yet, and those that wait for it to be established."""
    if ike.version == 1 and ike.established is None:
        for conn in ike.attempts.values():
            yield conn.unique, ike.serial, [f"#{ike.serial}: pending Phase 2 for {conn.label} replacing #0"]
    for one in brain.dialects[ike.version].under_way(ike):
        conns = ike.attempts.get(one.number), brain.core.states.renewals.get(one.number), ike.conn
        conn = next(conn for conn in conns if conn is not None)
        yield (
            conn.unique,
            one.number,
            [
                f"#{one.number}: {conn.label}:{ike.machine.remote.port} IKEv1.0 {one.state} ({one.story}); "
                f"EVENT_RETRANSMIT in {max(0, int(one.due - brain.core.now))}s; nodpd; idle; "
                f"import:{'admin initiate' if one.initiator else 'respond to stranger'}"
            ],
        )


def state_lines(brain: Brain) -> Iterator[str]:
    """All states, sorted by connection and serial; an SA that has ended and only answers repetitions is none."""
    states = brain.core.states
    rows: list[tuple[str, int, list[str]]] = []
    for child in states.children.values():
        if not child.closing:
            rows.append((child.conn.unique, child.serial, list(child_line(brain, child))))
    for ike in states.ikes.values():
        if not ike.machine.ended:
            rows.append((ike.conn.unique if ike.conn else "", ike.serial, [ike_line(brain, ike)]))
            rows += _under_way(brain, ike)
    for _, _, lines in sorted(rows, key=lambda row: row[:2]):
        yield from lines


def interface_lines(brain: Brain) -> Iterator[str]:
    """Interfaces and the ports pluto listens on."""
    for interface in brain.core.network.interfaces:
        for address, _ in interface.addresses:
            if address.is_loopback or not interface.up:
                continue
            for port in (brain.core.settings.ike_port, NATT_PORT):
                yield f"interface {interface.virtual or 'ipsec0'}/{interface.name} {address} (UDP {port})"


def status_lines(brain: Brain) -> Iterator[str]:
    """Everything `auto --status` prints, without the reply code."""
    yield "using kernel interface: klips"
    yield f"listening for IKE messages: {'yes' if brain.core.listening else 'no'}"
    yield from interface_lines(brain)
    if open_to := brain.exemptions.open_to():
        yield f"asked for names in clear, whatever groups say: {' '.join(map(str, open_to))} (ports 53 and 853)"
    yield from brain.leakguard.lines()
    yield from brain.interception.lines()
    yield "%myid = (none)"
    yield f"debug {brain.debugging.text()}"
    yield ""
    for conn in brain.core.conns:
        yield from connection_lines(brain, conn)
    yield ""
    yield from state_lines(brain)
    yield ""
    if brain.pairviews.count:
        yield from brain.pairviews.lines()
        yield ""
