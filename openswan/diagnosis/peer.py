# SPDX-License-Identifier: GPL-2.0-or-later
"""Causes on the way to the peer, and in what it wants: routes, firewalls, answers, and what the log says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from openswan.base.address import Address
from openswan.base.numbers import IKE_PORT, NATT_PORT
from openswan.diagnosis import firewall
from openswan.diagnosis.facts import Facts, Peer
from openswan.diagnosis.finding import Finding, Kind
from openswan.diagnosis.firewall import Packet
from openswan.diagnosis.sayings import TELLING
from openswan.policy.connection import Auth, Connection, End

MACHINE, NETWORK, PEER = Kind.MACHINE, Kind.NETWORK, Kind.PEER


FAILURES = ("failed", "ike-failed", "no-answer", "notification", "retransmission", "cannot-initiate", "no-secret")
"""Events that show somebody has tried."""
REMARK = 25
DOUBLED_TIMES, DOUBLED_SECONDS = 3, 600.0
"""So often in so many seconds a client does not begin anew by itself."""


def _ends(facts: Facts) -> Iterator[tuple[Connection, End, Peer]]:
    """Conns that negotiate and are not up, our end, and what is known of the peer."""
    for conn in facts.config.conns:
        ends = facts.ours(conn)
        if ends is not None and not conn.auth & Auth.NEVER and conn.name in facts.peers:
            yield conn, ends[0], facts.peers[conn.name]


def _weight(facts: Facts, conn: Connection, weight: int) -> int:
    """Less than an alarm for a conn nobody has asked about or tried: its peer may be away, and call when it is not."""
    row = facts.loaded(conn.name)
    asked = facts.target or facts.address is not None or (row is not None and row["wanted"])
    tried = any(line.event in FAILURES and f'"{conn.name}"' in line.text for line in facts.lines(conn.name))
    return weight if asked or tried or row is None or row["routing"] != "unrouted" else min(weight, REMARK)


def nameless(facts: Facts) -> Iterator[Finding]:
    """The peer's name has no address."""
    for conn, _, peer in _ends(facts):
        if peer.name and peer.lookup and not facts.children(conn.name):
            if facts.machine.nameserver:
                yield Finding(
                    "dead-resolver",
                    NETWORK,
                    _weight(facts, conn, 84),
                    f"the name server does not answer, and {peer.name} is a name",
                    (facts.machine.nameserver, peer.lookup),
                    "name one that answers in /etc/resolv.conf, or the peer by its address",
                    conn.name,
                )
            else:
                yield Finding(
                    "peer-name",
                    NETWORK,
                    _weight(facts, conn, 83),
                    f"conn {conn.name}: the peer's name {peer.name} has no address",
                    (peer.lookup,),
                    "mend the name in ipsec.conf or its DNS, or name the peer by its address",
                    conn.name,
                )


def unroutable(facts: Facts) -> Iterator[Finding]:
    """No route to the peer, or no answer from the next hop."""
    for conn, _, peer in _ends(facts):
        if peer.way is not None and peer.way.error:
            yield Finding(
                "no-route",
                MACHINE,
                _weight(facts, conn, 82),
                f"there is no route to the peer {peer.address}",
                (peer.way.error,),
                f"ip route add {peer.address} via GATEWAY",
                conn.name,
            )
        elif peer.neighbour and not _heard(peer):
            hop = (peer.way.gateway if peer.way else None) or peer.address
            what = "the next hop" if peer.way and peer.way.gateway else "the peer"
            yield Finding(
                "no-neighbour",
                NETWORK,
                _weight(facts, conn, 80),
                f"{what} {hop} is not there: nobody has that address on {peer.way.device if peer.way else 'the link'}",
                (f"ip neigh: {peer.neighbour}",),
                f"look at the cable and at {hop} itself",
                conn.name,
            )


def filtered(facts: Facts) -> Iterator[Finding]:
    """Our own firewall drops IKE or ESP."""
    for conn, mine, peer in _ends(facts):
        local = mine.host.address or (peer.way.source if peer.way else None)
        if local is None or peer.address is None or local.version != peer.address.version:
            continue
        device = peer.way.device if peer.way else ""
        up = bool(facts.children(conn.name))
        for protocol, port, what in (
            (firewall.UDP, IKE_PORT, "IKE"),
            (firewall.UDP, NATT_PORT, "IKE and ESP in UDP"),
            (firewall.ESP, 0, "ESP"),
        ):
            if protocol == firewall.ESP and conn.encapsulation == "yes":
                continue
            name = f"UDP port {port}" if port else "protocol 50"
            outbound = Packet(protocol, local, peer.address, port, outward=device)
            inbound = Packet(protocol, peer.address, local, port, inward=device)
            for hook, packet, way in (("output", outbound, "out"), ("input", inbound, "in")):
                rule = facts.firewall.stops(hook, packet)
                if rule is None:
                    continue
                weight = (40 if up else 81) if port or not up else 62
                weight -= 0 if port == IKE_PORT else 2 if port else (35 if not facts.ikes(conn.name) else 0)
                yield Finding(
                    f"firewall-{way}-{port or 'esp'}",
                    MACHINE,
                    max(weight, 31),
                    f"this host's firewall drops {name} ({what}) {'to' if way == 'out' else 'from'} the peer",
                    (rule.text,),
                    rule.remove or "let it pass",
                    conn.name,
                )


def _heard(peer: Peer) -> bool:
    return any(peer.answers.values())


def unanswered(facts: Facts) -> Iterator[Finding]:
    """Nobody speaks IKE at the peer's address."""
    for conn, _, peer in _ends(facts):
        if peer.address is None or not peer.answers or facts.children(conn.name):
            continue
        if IKE_PORT in peer.errors and not peer.answers.get(IKE_PORT):
            why = peer.errors[IKE_PORT]
            if "refused" in why.lower():
                yield Finding(
                    "peer-port-closed",
                    PEER,
                    _weight(facts, conn, 77),
                    f"nothing listens on UDP port 500 of the peer {peer.address}",
                    (f"ICMP: {why}",),
                    "start IPsec on the peer (ipsec setup start), and see that it listens",
                    conn.name,
                )
            else:
                yield Finding(
                    "peer-unreachable",
                    NETWORK,
                    _weight(facts, conn, 77),
                    f"the peer {peer.address} cannot be reached",
                    (f"sending to UDP port 500: {why}",),
                    f"ping {peer.address}; look at the routes there and back",
                    conn.name,
                )
        elif not peer.answers.get(IKE_PORT, True) and not peer.answers.get(NATT_PORT):
            yield Finding(
                "peer-silent",
                NETWORK,
                _weight(facts, conn, 73),
                f"the peer {peer.address} does not answer on UDP port 500",
                ("neither on 4500; no ICMP says why",),
                "see that the peer is up and that no firewall on the way drops UDP 500 and 4500, in or out: "
                f"tcpdump -ni any udp port 500 and host {peer.address}, here and there",
                conn.name,
            )
        elif not peer.answers.get(IKE_PORT, True):
            yield Finding(
                "udp-500-blocked",
                NETWORK,
                _weight(facts, conn, 74),
                f"UDP port 500 of the peer {peer.address} is blocked on the way",
                ("port 4500 answers, 500 does not",),
                "let UDP port 500 pass, both ways",
                conn.name,
            )
        elif not peer.answers.get(NATT_PORT, True):
            yield Finding(
                "udp-4500-blocked",
                NETWORK,
                _weight(facts, conn, 74),
                f"UDP port 4500 of the peer {peer.address} is blocked on the way",
                (
                    "port 500 answers, 4500 does not; behind a NAT, and between two of this Openswan, IKE and ESP "
                    "go by 4500",
                ),
                "let UDP port 4500 pass, both ways",
                conn.name,
            )


def no_esp(facts: Facts) -> Iterator[Finding]:
    """IKE passes, ESP does not."""
    for conn, _, peer in _ends(facts):
        blocked = next(
            (
                line
                for line in facts.log[::-1]
                if line.event == "esp-blocked" and line.text.startswith((f'"{conn.name}"', f'"{conn.name}['))
            ),
            None,
        )
        outward, inward = facts.counted(conn.name, "out"), facts.counted(conn.name, "in")
        encapsulated = any(row["encapsulated"] for row in facts.children(conn.name))
        if not facts.children(conn.name) or inward or encapsulated:
            continue
        if blocked is not None:
            yield Finding(
                "esp-blocked",
                NETWORK,
                76,
                f"IKE passes, but protocol 50 (ESP) to or from {peer.address} does not",
                (blocked.text, f"{outward} packets out, {inward} in"),
                f"let protocol 50 pass on the way, or write encapsulation=yes in conn {conn.name} on both ends",
                conn.name,
            )


def told(facts: Facts) -> Iterator[Finding]:
    """What the log says, for conns that are not up; the first pattern that fits a line, the newest line first."""
    for conn in facts.config.conns:
        if facts.children(conn.name) or conn.auth & Auth.NEVER or facts.ours(conn) is None:
            continue
        found: set[str] = set()
        for line in facts.lines(conn.name):
            # What the daemon has made of a line by this very table says nothing new.
            if "likely cause: " in line.text or not _concerns(facts, line.text, conn):
                continue
            for said in TELLING:
                if said.code in found or (match := said.pattern.search(line.text)) is None:
                    continue
                found.add(said.code)
                words = {"conn": conn.name, **match.groupdict()}
                # Old lines may be about what has been mended since.
                weight = said.weight - min(3 * (len(found) - 1), 20)
                yield Finding(
                    said.code,
                    said.kind,
                    weight,
                    f"conn {conn.name}: {said.cause.format(**words)}",
                    (line.text,),
                    said.remedy.format(**words),
                    conn.name,
                )
                break


def large(facts: Facts) -> Iterator[Finding]:
    """The first exchange passes and the second, whose messages are larger, does not; small ones pass on both ports."""
    for conn, _, peer in _ends(facts):
        if facts.children(conn.name) or not peer.answers or not all(peer.answers.values()):
            continue
        line = next((one for one in facts.lines(conn.name) if one.event == "no-answer"), None)
        if line is None or not SECOND.search(line.text) or not _about(line.text, conn.name, peer.address):
            continue
        remedy = "let larger packets pass, fragments too; smaller certificates (ECDSA) help"
        if not conn.fragmentation:
            remedy = f"fragmentation=yes in conn {conn.name} on both ends; or let larger packets pass, fragments too"
        yield Finding(
            "large-ike",
            NETWORK,
            70,
            f"conn {conn.name}: small IKE messages reach the peer {peer.address} and large ones do not: something on "
            "the way drops them, or their fragments",
            (line.text, "ports 500 and 4500 answer an IKE ping"),
            remedy,
            conn.name,
        )


SECOND = re.compile(r"reached STATE_(PARENT_I2|MAIN_I3)")


def doubled(facts: Facts) -> Iterator[Finding]:
    """Clients with one identity throw each other out."""
    for conn in facts.config.conns:
        lines = [
            line
            for line in facts.log
            if line.text.startswith((f'"{conn.name}"', f'"{conn.name}['))
            and "says INITIAL_CONTACT on a newer SA" in line.text
        ]
        recent = [line for line in lines if line.time > facts.now - DOUBLED_SECONDS]
        if len(recent) >= DOUBLED_TIMES:
            yield Finding(
                "duplicate-id",
                Kind.CONFIG,
                58,
                f"conn {conn.name}: clients that go by one identity throw each other out",
                (recent[-1].text, f"{len(recent)} times in {DOUBLED_SECONDS / 60:g} minutes"),
                "give each client an id of its own (leftid=, and its own secret or certificate), or write uniqueids=no",
                conn.name,
            )


STRANGER = re.compile(r"packet from (?P<who>[0-9a-fA-F.:]+):[0-9]+: .*received on (?P<on>\S+):[0-9]+ but no connection")


def strangers(facts: Facts) -> Iterator[Finding]:
    """Somebody calls for whom there is no conn; only said where nothing in particular was asked about."""
    if facts.target or facts.address is not None:
        return
    known = {str(peer.address) for peer in facts.peers.values()}
    for line in facts.log[::-1]:
        found = STRANGER.match(line.text)
        if found is not None and found["who"] not in known:
            yield Finding(
                "no-conn-for-peer",
                Kind.CONFIG,
                60,
                f"{found['who']} calls, and no loaded conn is with it",
                (line.text,),
                f"load a conn with left={found['on']} and right={found['who']} (or %any): ipsec auto --add NAME",
            )
            return


def unexplained(facts: Facts) -> Iterator[Finding]:
    """It was tried and failed, for a reason no rule knows."""
    for conn, _, _ in _ends(facts):
        if facts.children(conn.name):
            continue
        lines = [line for line in facts.lines(conn.name) if line.event in FAILURES and f'"{conn.name}"' in line.text]
        if lines:
            yield Finding(
                "negotiation-failed",
                PEER,
                45,
                f"conn {conn.name}: the negotiation does not come to an end",
                (lines[0].text,),
                "ipsec diagnose on the peer; the line above, and ipsec whack --events, say how far it got",
                conn.name,
            )


def _concerns(facts: Facts, text: str, conn: Connection) -> bool:
    """Is a line about the conn? Where its peer may be anybody, what strangers get to hear is, if it was asked about."""
    peer = facts.peers.get(conn.name)
    if peer is not None:
        return _about(text, conn.name, peer.address)
    if _about(text, conn.name, None) or not text.startswith("packet from "):
        return _about(text, conn.name, None)
    if f'"{conn.name}"' in text:
        return True
    known = any(text.startswith(f"packet from {one.address}:") for one in facts.peers.values())
    return bool(facts.target or facts.address) and not known


def _about(text: str, conn: str, peer: Address | None) -> bool:
    """Is a line about the conn, or about a packet of its peer's?"""
    if text.startswith((f'"{conn}"', f'"{conn}[')):
        return True
    return peer is not None and text.startswith(f"packet from {peer}:")


def quiet(facts: Facts) -> Iterator[Finding]:
    """Loaded, not up, and nobody has asked for it."""
    for conn in facts.config.conns:
        row = facts.loaded(conn.name)
        if row is None or facts.children(conn.name) or conn.auth & Auth.NEVER or row["kind"] != "CK_PERMANENT":
            continue
        tried = [line for line in facts.lines(conn.name) if line.event in FAILURES and f'"{conn.name}"' in line.text]
        if not tried and not row["wanted"] and row["routing"] == "unrouted":
            weight = 50 if facts.target or facts.address is not None else 10
            yield Finding(
                "not-up",
                Kind.DAEMON,
                weight,
                f"conn {conn.name} is loaded, and nobody has brought it up",
                (f"auto={facts.config.automatic.get(conn.name) or 'ignore'}",),
                f"ipsec auto --up {conn.name}",
                conn.name,
            )
        elif not tried and row["routing"] == "prospective erouted":
            yield Finding(
                "waiting",
                Kind.DAEMON,
                5,
                f"conn {conn.name} waits for traffic to begin it",
                (),
                f"ipsec auto --up {conn.name}, or send something through it",
                conn.name,
            )


RULES = (nameless, unroutable, filtered, unanswered, no_esp, told, large, doubled, strangers, unexplained, quiet)
