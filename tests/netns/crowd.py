# SPDX-License-Identifier: GPL-2.0-or-later
"""A crowd of pairs of hosts that meet for the first time, over a network that loses, with a DNS that misbehaves.

west ====wan==== [road] ====wan==== east    10.2.x: can; 10.3.x: refuse; 10.6.x: wait to be asked (our daemon)
10.1.0.1 ...        \\=====wan===== plain   10.4.x: deaf; 10.5.x, 10.7.x, 10.8.x: know nothing of it (no daemon)

The road loses that share of IKE both ways, and the resolver of questions; what is kept must arrive, so ESP is spared.
Every frame is looked at where it enters the road, and answers of IKE where they leave it: what a pair may do depends on
whether its peer was heard in time.
"""

from __future__ import annotations

import random
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from tests.netns.capture import QUIET, SO_RCVBUFFORCE, classify
from tests.netns.gateway import Gateway
from tests.netns.keys import pem
from tests.netns.lab import Host, Lab, alive, wait_for
from tests.netns.lyingdns import LyingDns, ipseckey, manner_of
from tests.netns.mesh import ETH_P_ALL, PACKET_STATISTICS, SOL_PACKET

PORT, MARK = 7001, b"<<crowd>>"
BURST = 3
"""Datagrams a pair sends at once, before anything is decided."""
HOLD, HANDSHAKE = 3.0, 10.0
"""holdtimeout=, and what a peer that has answered gets besides."""
REMEMBERED = 5.0
"""Seconds for which an answer with wrong signatures is."""
NEAR = 0.3
"""Seconds by which a busy machine may see an answer later than the wire: so near to the end it may go either way."""
SA_INIT, AUTH, RESPONSE = 34, 35, 0x20
REFUSAL = 140
"""Octets of an answer to IKE_AUTH that has no more in it than a refusal: a responder whose own questions to the DNS get
lost knows nobody."""
PACKET_OUTGOING = 4
GROUPS = {
    "private": "authby={auth}\n\tfailureshunt=drop",
    "private-or-clear": "authby={auth}\n\tfailureshunt=passthrough",
    "clear-or-private": "authby={auth}\n\ttype=passthrough",
    "clear": "authby=never\n\ttype=passthrough",
    "block": "authby=never\n\ttype=reject",
}
CURVE, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True, slots=True)
class Kind:
    """Hosts that are alike: where they are, how many, and what the caller's group for them is."""

    name: str
    net: str
    count: int
    group: str
    at: str = "plain"
    theirs: str = ""
    """The group that the caller is in, there."""

    def addresses(self) -> list[str]:
        """Of all of them."""
        return [f"{self.net}.{number}" for number in range(1, self.count + 1)]


KINDS = (
    Kind("capable", "10.2.0", 14, "private", "east", "private"),
    Kind("capable", "10.2.1", 14, "private-or-clear", "east", "private-or-clear"),
    Kind("refusing", "10.3.0", 4, "private", "east", "clear"),
    Kind("refusing", "10.3.1", 4, "private-or-clear", "east", "clear"),
    Kind("deaf", "10.4.0", 4, "private"),
    Kind("deaf", "10.4.1", 4, "private-or-clear"),
    Kind("incapable", "10.5.0", 4, "private"),
    Kind("incapable", "10.5.1", 4, "private-or-clear"),
    Kind("waiting", "10.6.0", 4, "clear-or-private", "east", "clear-or-private"),
    Kind("incapable", "10.7.0", 4, "clear"),
    Kind("incapable", "10.8.0", 4, "block"),
)
EACH = sum(kind.count for kind in KINDS)
"""Pairs of one caller."""


@dataclass(frozen=True, slots=True)
class World:
    """What one round is like."""

    seed: int
    loss: float = 0.0
    """Of IKE, each way, and of questions to the DNS."""
    manners: str = ""
    """Of the resolver; empty: nobody needs one (authby=null)."""
    callers: int = 16
    pace: float = 60.0
    """Pairs a second."""

    def __str__(self) -> str:
        auth = f"keys from a DNS that is {self.manners}" if self.manners else "null authentication"
        return f"{auth}, {100 * self.loss:.0f}% loss, seed {self.seed}"


@dataclass(slots=True)
class Meeting:
    """One pair: what was sent and seen."""

    src: str
    dst: str
    kind: Kind
    sent: float = 0.0
    got: list[int] = field(default_factory=list)
    """Numbers of datagrams as they came."""
    clear: int = 0
    """Packets on the wire that are not ours, either way."""
    init: float = 0.0
    """When the first answer to IKE_SA_INIT left the road for the caller,"""
    auth: float = 0.0
    """and the first one to IKE_AUTH that lets it in."""

    def heard(self) -> bool | None:
        """Was the peer heard in time? None: so near the end that it may go either way."""
        ends = (self.sent + HOLD, self.sent + HOLD + HANDSHAKE)
        times = [when or float("inf") for when in (self.init, self.auth)]
        if all(when < end - NEAR for when, end in zip(times, ends, strict=True)):
            return True
        return False if any(when > end + NEAR for when, end in zip(times, ends, strict=True)) else None

    def let_in(self) -> bool:
        """Has the caller heard that it is let in, while first packets may still wait for what becomes of that?"""
        return 0.0 < self.auth < self.sent + HOLD + HANDSHAKE - NEAR


class Road:
    """Loses, and looks at every frame."""

    def __init__(self, host: Host, loss: float, meetings: dict[tuple[str, str], Meeting]) -> None:
        self.meetings = meetings
        self.kinds: Counter[str] = Counter()
        self.strange: list[str] = []
        """What belongs to no pair."""
        self._nft(host, loss)
        with host.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 128 << 20)
        self._socket.settimeout(0.2)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        host.lab.at_close(self.close)

    @staticmethod
    def _nft(host: Host, loss: float) -> None:
        rules = ["add table ip road", "add chain ip road pass { type filter hook forward priority 0; }"]
        rules.append("add rule ip road pass ip daddr 10.4.0.0/16 udp dport { 500, 4500 } drop")
        if percent := round(100 * loss):
            lost = f"numgen random mod 100 < {percent} drop"
            rules += [
                f"add rule ip road pass udp dport 500 {lost}",
                f"add rule ip road pass udp dport 4500 @th,64,32 0 {lost}",
            ]
        host.run("nft", "; ".join(rules))

    def close(self) -> None:
        """Stop; AssertionError when frames were lost here."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join(10)
            lost = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
            self._socket.close()
            assert not lost, f"the witness itself lost {lost} frames: it proves nothing"

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                frame, where = self._socket.recvfrom(1 << 16)
            except TimeoutError:
                continue
            if where[2] == PACKET_OUTGOING:
                self._answer(frame)
            elif where[0] != "lo":
                self._seen(frame)

    def _seen(self, frame: bytes) -> None:
        kind, src, dst, protocol = classify(frame)
        self.kinds[kind] += 1
        if kind in QUIET and MARK not in frame:
            return
        meeting = self.meetings.get((src, dst)) or self.meetings.get((dst, src))
        if meeting is not None:
            meeting.clear += 1
        else:
            self.strange.append(f"{kind} {src} > {dst} proto {protocol}: {frame[14:80].hex()}")

    def _answer(self, frame: bytes) -> None:
        """An answer of IKE on its way to who asked."""
        if len(frame) < 66 or frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_UDP:
            return
        ports = struct.unpack_from("!HH", frame, 34)
        ike = frame[46:] if 4500 in ports and frame[42:46] == bytes(4) else frame[42:]
        if not {500, 4500} & set(ports) or len(ike) < 28 or not ike[19] & RESPONSE:
            return
        meeting = self.meetings.get((socket.inet_ntoa(frame[30:34]), socket.inet_ntoa(frame[26:30])))
        if meeting is None:
            return
        if ike[18] == SA_INIT:
            meeting.init = meeting.init or time.monotonic()
        elif ike[18] == AUTH and len(ike) > REFUSAL:
            meeting.auth = meeting.auth or time.monotonic()


class Crowd:
    """One round, set up and ready."""

    def __init__(self, lab: Lab, world: World) -> None:
        self.lab, self.world = lab, world
        self.callers = [f"10.1.0.{number}" for number in range(1, world.callers + 1)]
        self.meetings = {
            (src, dst): Meeting(src, dst, kind) for src in self.callers for kind in KINDS for dst in kind.addresses()
        }
        self.errors: Counter[str] = Counter()
        """What applications were told, but for those of `block`."""
        self._network()
        self.road = Road(lab.road, world.loss, self.meetings)
        if world.manners:
            wrong = ipseckey(OTHER)
            self.dns = LyingDns(lab.west, record_of, world.manners, wrong, world.loss, world.seed)
            LyingDns(lab.east, record_of, loss=world.loss, seed=world.seed)
        self.west = self._gateway("west", self._west())
        self.east = self._gateway("east", self._east())
        self._listen()

    # -- set up -------------------------------------------------------------------------------------------------------

    def _network(self) -> None:
        lab = self.lab
        for name in ("road", "west", "east", "plain"):
            lab.hosts[name] = Host(lab, name)
            lab[name].sysctl(ipv6__conf__default__disable_ipv6=1, ipv6__conf__all__disable_ipv6=1)
        for number, name in enumerate(("west", "east", "plain"), 1):
            lab.wire(name, "wan", "road", name)
            lab.address(name, "wan", f"192.0.{number}.1/24")
            lab.address("road", name, f"192.0.{number}.254/24")
            lab[name].ip("route", "add", "default", "via", f"192.0.{number}.254")
            lab.make_router(name)
        lab.make_router("road")
        nets = {"10.1.0.0/16": 1, "10.2.0.0/16": 2, "10.3.0.0/16": 2, "10.6.0.0/16": 2}
        nets |= {f"10.{number}.0.0/16": 3 for number in (4, 5, 7, 8)}
        for net, number in nets.items():
            lab.road.ip("route", "add", net, "via", f"192.0.{number}.1")
            if number == 3:
                lab.plain.ip("route", "add", "local", net, "dev", "lo")
        for address in self.callers:
            lab.west.ip("addr", "add", f"{address}/32", "dev", "wan")
        for kind in KINDS:
            for address in kind.addresses() if kind.at == "east" else ():
                lab.east.ip("addr", "add", f"{address}/32", "dev", "wan")

    def _auth(self) -> str:
        return "rsasig,ecdsa,eddsa" if self.world.manners else "null"

    def _conn(self, name: str, group: str, left: str) -> str:
        side = "%opportunisticgroup" if "{auth}" in GROUPS[group] else "%group"
        body = GROUPS[group].format(auth=self._auth())
        return f"conn {name}\n\tleft={left}\n\tright={side}\n\t{body}\n\tkeyingtries=1\n\tauto=route\n\n"

    def _west(self) -> dict[str, tuple[str, str]]:
        """Name -> its conn and its file."""
        found = {}
        for number, left in enumerate(self.callers, 1):
            for group in GROUPS:
                nets = "".join(f"{kind.net}.0/24\n" for kind in KINDS if kind.group == group)
                found[f"{group}-{number}"] = self._conn(f"{group}-{number}", group, left), nets
        return found

    def _east(self) -> dict[str, tuple[str, str]]:
        found = {}
        for kind in KINDS:
            for left in kind.addresses() if kind.at == "east" else ():
                name = "h" + left.replace(".", "-")
                found[name] = self._conn(name, kind.theirs, left), "10.1.0.0/24\n"
        return found

    def _gateway(self, name: str, conns: dict[str, tuple[str, str]]) -> Gateway:
        text = "".join(conn for conn, _ in conns.values())
        resolv = "nameserver 127.0.0.1\n" if self.world.manners else None
        gateway = Gateway(self.lab[name], text, f": ECDSA {name}.pem\n", resolv=resolv)
        private = gateway.dir / f"ipsec.d/private/{name}.pem"
        private.touch(mode=0o600)
        private.write_bytes(pem(CURVE))
        for each, (_, nets) in conns.items():
            (gateway.dir / "ipsec.d/policies" / each).write_text(nets)
        gateway.start()
        lines = sum(len(nets.split()) for _, nets in conns.values())
        wait_for(f"{lines} lines of {name}", lambda: len(gateway.eroutes()) >= lines, 60, 0.2)
        return gateway

    def _listen(self) -> None:
        self._heard = []
        for name in ("east", "plain"):
            with self.lab[name].inside():
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
            s.bind(("", PORT))
            s.setblocking(False)
            self._heard.append(s)
            self.lab.at_close(s.close)
        self._callers: dict[str, socket.socket] = {}
        for address in self.callers:
            with self.lab.west.inside():
                self._callers[address] = s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((address, PORT))
            s.setblocking(False)
            self.lab.at_close(s.close)
        self._order = list(self.meetings.values())

    # -- run ----------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """All pairs meet, in an order of the seed's; returns when what can still come has come."""
        order = list(range(len(self._order)))
        random.Random(self.world.seed).shuffle(order)
        begun = time.monotonic()
        for place, number in enumerate(order):
            while (left := begun + place / self.world.pace - time.monotonic()) > 0:
                self._take(left)
            self._send(number)
            self._take(0.0)
        last = time.monotonic()
        while (waited := time.monotonic() - last) < HOLD + HANDSHAKE + 2 * NEAR:
            self._take(0.1)
            if waited > HOLD + 2 * NEAR and not any(self._may_come(each) for each in self._order):
                break
        self.road.close()

    def _may_come(self, meeting: Meeting) -> bool:
        return len(meeting.got) < BURST and self.may_be_delivered(meeting) and self.must(meeting) is not False

    def _send(self, number: int) -> None:
        meeting = self._order[number]
        meeting.sent = time.monotonic()
        for sequence in range(BURST):
            data = MARK + struct.pack("!IH", number, sequence) + bytes(100 + 400 * sequence)
            try:
                self._callers[meeting.src].sendto(data, (meeting.dst, PORT))
            except OSError as why:
                if meeting.kind.group != "block":
                    self.errors[f"{meeting.kind.group}: {why.strerror}"] += 1

    def _take(self, patience: float) -> None:
        for s in select.select(self._heard, [], [], patience)[0]:
            try:
                while True:
                    data, (source, _) = s.recvfrom(2048)
                    number, sequence = struct.unpack_from("!IH", data, len(MARK))
                    assert self._order[number].src == source
                    self._order[number].got.append(sequence)
            except BlockingIOError:
                pass

    # -- judge --------------------------------------------------------------------------------------------------------

    def keyed(self, meeting: Meeting) -> bool | None:
        """Can the DNS tell the peer's right key? None: it says that what it has is forged."""
        if not self.world.manners:
            return True
        manner = manner_of(self.world.manners, meeting.dst)
        if manner == "bogus":
            # Without an answer in time it is as good as no record.
            return None if self._forged(meeting, -NEAR) else False
        return manner in ("good", "slow", "other-question")

    def _forged(self, meeting: Meeting, more: float) -> bool:
        """Was there an answer with wrong signatures when it counted, give or take so many seconds?"""
        first, last = meeting.sent - REMEMBERED - more, meeting.sent + HOLD + more
        forged = self.world.manners and manner_of(self.world.manners, meeting.dst) == "bogus"
        return bool(forged) and any(first < when < last for when in self.dns.answered[meeting.dst])

    def must(self, meeting: Meeting) -> bool | None:
        """Must it be encrypted (and so arrive)? False: it cannot be; None: its peer may not have been in time."""
        if meeting.kind.name != "capable" or not self.keyed(meeting):
            return False
        heard = meeting.heard()
        return heard if heard is not False else None

    def may_be_delivered(self, meeting: Meeting) -> bool:
        """Is there any way for it?"""
        group, forged = meeting.kind.group, self.keyed(meeting) is None
        if group in ("clear", "clear-or-private"):
            return True
        if group == "private-or-clear":
            return not forged
        return group == "private" and meeting.kind.name == "capable" and bool(self.keyed(meeting))

    def may_be_clear(self, meeting: Meeting) -> bool:
        """May anything of it be seen on the wire?"""
        group = meeting.kind.group
        if group == "private-or-clear":
            return self.keyed(meeting) is not None and self.must(meeting) is not True
        return group in ("clear", "clear-or-private")

    def has_to_arrive(self, meeting: Meeting) -> bool:
        """Nothing is in its way: neither loss, nor a peer that has a tunnel already and takes nothing else.

        A peer that has answered IKE_SA_INIT may have one before we hear of it, as what says so gets lost, or comes when
        first packets wait no longer.
        """
        if meeting.kind.name == "capable" and meeting.kind.group == "private-or-clear" and meeting.init:
            return self.must(meeting) is True or (self.keyed(meeting) is False and meeting.let_in())
        if meeting.kind.group == "private":
            return self.must(meeting) is True
        looks = meeting.kind.group in ("private", "private-or-clear")
        return self.may_be_delivered(meeting) and not (looks and self._forged(meeting, NEAR))

    def verdict(self) -> Verdict:
        """What became of all of them."""
        found = Verdict(self.world, len(self._order), errors=self.errors, kinds=self.road.kinds)
        for each in self._order:
            name = f"{each.kind.name}, {each.kind.group}"
            # In clear the first one may be overtaken: at the other end it waits until pluto has seen it.
            got = each.got if self.must(each) else sorted(each.got)
            whole = got == list(range(BURST))
            found.outcomes[name, "delivered" if whole else "partly" if each.got else "nothing"] += 1
            if each.clear and not self.may_be_clear(each):
                found.faults.append(f"{name} {each.src} > {each.dst}: {each.clear} packets in clear; {times(each)}")
            if not self.may_be_delivered(each) and each.got:
                found.faults.append(f"{name} {each.src} > {each.dst}: delivered")
            if self.has_to_arrive(each):
                found.owed += 1
                if not whole:
                    found.missing.append(f"{name} {each.src} > {each.dst}: {each.got}; {times(each)}")
            if each.kind.name == "capable" and self.keyed(each) and each.kind.group != "clear":
                found.answers["in time" if each.heard() else "near the end" if each.heard() is None else "late"] += 1
                found.encrypted += whole and not each.clear
        found.faults += self.road.strange
        for gateway in (self.west, self.east):
            log = gateway.log(100_000)
            if not alive(gateway.pid) or "EXPECTATION FAILED" in log or "Traceback" in log:
                found.faults.append(f"{gateway.host.name}: {log[-3000:]}")
        return found


@dataclass(slots=True)
class Verdict:
    """Of one round."""

    world: World
    pairs: int
    faults: list[str] = field(default_factory=list)
    """Plaintext and deliveries that may not be, surprises of a daemon."""
    missing: list[str] = field(default_factory=list)
    """Pairs whose first packets had a way and did not all arrive in order,"""
    owed: int = 0
    """of so many."""
    encrypted: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.world}: {self.pairs} pairs, {self.encrypted} encrypted; who can answer did {dict(self.answers)}"
        yield f"  owed {self.owed}, missing {len(self.missing)}; errors {dict(self.errors) or 'none'}"
        yield f"  on the wire: {dict(self.kinds)}"
        yield from (f"  MISSING {line}" for line in self.missing[:20])
        yield from (f"  FAULT {line}" for line in self.faults[:20])


def times(meeting: Meeting) -> str:
    """When its peer was heard, from the first packet on."""
    shown = [f"{when - meeting.sent:.2f} s" if when else "never" for when in (meeting.init, meeting.auth)]
    return f"IKE_SA_INIT answered after {shown[0]}, IKE_AUTH {shown[1]}"


def record_of(address: str) -> str | None:
    """Who knows nothing of us has no record; the deaf and the refusing have."""
    return None if address.startswith(("10.5.", "10.7.", "10.8.")) else ipseckey(CURVE)
