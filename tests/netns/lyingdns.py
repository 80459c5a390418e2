# SPDX-License-Identifier: GPL-2.0-or-later
"""A small resolver that misbehaves as it is told, on a loopback address, so that its AD bit is believed.

It knows one key for each reverse name that has one. Manners: `good`, `slow` (a quarter of a second to two), `failing`
(a third each: SERVFAIL, silence, refusal) and `lying` (a quarter each: signatures that are said to be wrong, the key
of somebody else, rubbish in the record, and an answer to another question before the right one).
"""

from __future__ import annotations

import base64
import random
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.netns.lab import Host

TTL = 2
SLOW = (0.25, 2.0)
FAILURES = ("servfail", "silent", "refused")
LIES = ("bogus", "wrong-key", "rubbish", "other-question")
RecordOf = Callable[[str], str | None]
"""Address -> its IPSECKEY record as in a zone's file; None: it has none."""


def ipseckey(key: ec.EllipticCurvePrivateKey, gateway: str = "") -> str:
    """Such a record (RFC 4025, RFC 6605): itself, or who is behind a gateway."""
    octets = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
    return f"10 {1 if gateway else 0} 3 {gateway or '.'} {base64.b64encode(octets).decode()}"


def manner_of(manners: str, address: str) -> str:
    """What this resolver does about one address: the same whenever it is asked."""
    number = int(address.rpartition(".")[2])
    if manners == "failing":
        return FAILURES[number % len(FAILURES)]
    return LIES[number % len(LIES)] if manners == "lying" else manners


class LyingDns:
    """Runs from the start to `close`; it loses that share of the questions besides."""

    def __init__(
        self, host: Host, record_of: RecordOf, manners: str = "good", wrong: str = "", loss: float = 0.0, seed: int = 0
    ) -> None:
        self.manners, self.record_of, self.wrong, self.loss = manners, record_of, wrong, loss
        self.answered: defaultdict[str, list[float]] = defaultdict(list)
        """When, by the address that was asked about."""
        self._dice = random.Random(seed)
        with host.inside():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        self._socket.settimeout(0.2)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        host.lab.at_close(self.close)

    def close(self) -> None:
        """Be silent for good."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join(5)
            self._socket.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                data, peer = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            if self._dice.random() >= self.loss:
                self._answer(dns.message.from_wire(data), peer)

    def _answer(self, query: dns.message.Message, peer: tuple[str, int]) -> None:
        name = query.question[0].name.to_text()
        address = ".".join(reversed(name.split(".")[:4]))
        manner = manner_of(self.manners, address)
        reply = dns.message.make_response(query, recursion_available=True)
        reply.flags |= dns.flags.AD
        if manner == "silent":
            return
        self.answered[address].append(time.monotonic())
        if manner in ("servfail", "refused", "bogus"):
            reply.flags &= ~dns.flags.AD
            reply.set_rcode(dns.rcode.REFUSED if manner == "refused" else dns.rcode.SERVFAIL)
            if manner == "bogus":
                reply.use_edns(0, 0, 1232, options=[dns.edns.EDEOption(dns.edns.EDECode.DNSSEC_BOGUS)])
            self._send(reply.to_wire(), peer)
            return
        if manner == "other-question":
            other = dns.message.make_response(dns.message.make_query("elsewhere.example.", "TXT"))
            other.id = query.id
            self._send(other.to_wire(), peer)
        self._fill(reply, name, address, manner)
        delay = self._dice.uniform(*SLOW) if manner == "slow" else 0.0
        if delay:
            threading.Timer(delay, self._send, (reply.to_wire(), peer)).start()
        else:
            self._send(reply.to_wire(), peer)

    def _fill(self, reply: dns.message.Message, name: str, address: str, manner: str) -> None:
        known = self.record_of(address)
        if known is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
            return
        if reply.question[0].rdtype != dns.rdatatype.IPSECKEY:
            return
        answer = dns.rrset.from_text(name, TTL, "IN", "IPSECKEY", self.wrong if manner == "wrong-key" else known)
        if manner == "rubbish":
            broken = dns.rdata.GenericRdata(dns.rdataclass.IN, dns.rdatatype.IPSECKEY, b"\x0a\xff\x02")
            answer = dns.rrset.from_rdata(name, TTL, broken)
        reply.answer.append(answer)

    def _send(self, data: bytes, peer: tuple[str, int]) -> None:
        try:
            self._socket.sendto(data, peer)
        except OSError:
            pass  # who asked is gone, or we are
