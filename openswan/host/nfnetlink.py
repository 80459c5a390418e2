# SPDX-License-Identifier: GPL-2.0-or-later
"""The nf_tables messages the guard needs: tables, chains, sets, counters, rules and set elements, in atomic batches.

Numbers are those of linux/netfilter/nf_tables.h. Keys are in network byte order, every field of a concatenation padded
to four octets.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from openswan.base.errors import HostError
from openswan.host.nlmsg import (
    NETLINK_NETFILTER,
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_DUMP,
    Message,
    NetlinkSocket,
    attr,
    be32,
    nest,
    parse_attrs,
    zstr,
)

NFPROTO_INET, NFPROTO_IPV4, NFPROTO_NETDEV, NFPROTO_IPV6 = 1, 2, 5, 10
NFNLGRP_NFTABLES = 7
SUBSYS_NFTABLES = 10
BATCH_BEGIN, BATCH_END = 0x10, 0x11
NEWTABLE, GETTABLE, DELTABLE, NEWCHAIN, GETCHAIN, DELCHAIN = 0, 1, 2, 3, 4, 5
NEWRULE, GETRULE, DELRULE, NEWSET, GETSET, DELSET = 6, 7, 8, 9, 10, 11
NEWSETELEM, GETSETELEM, DELSETELEM, NEWOBJ, GETOBJ = 12, 13, 14, 18, 19
TABLE_OWNER, TABLE_PERSIST = 0x2, 0x4
SET_INTERVAL, SET_MAP, SET_TIMEOUT, SET_EVAL, SET_CONCAT = 0x4, 0x8, 0x10, 0x20, 0x80
NF_DROP, NF_ACCEPT, NFT_GOTO, NFT_JUMP, NFT_RETURN = 0, 1, -4, -3, -5
HOOKS = {"ingress": 0, "egress": 1, "prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}
OBJECT_COUNTER = 1
INTERVAL_END = 1
ELEMENTS_A_MESSAGE = 400
"""An attribute holds at most 65,535 octets."""


@dataclass(frozen=True, slots=True)
class SetType:
    """What a set's key is made of: (nft's own number of the datatype, octets) a field."""

    fields: tuple[tuple[int, int], ...]
    interval: bool = False
    data: tuple[int, int] | None = None
    """Of a map: what a key leads to."""
    size: int = 0
    """Most elements; 0: no end."""
    learns: bool = False
    """Packets add elements by themselves, which may have a timeout."""

    @property
    def key_length(self) -> int:
        """Octets; in a concatenation every field is padded to four."""
        if len(self.fields) == 1:
            return self.fields[0][1]
        return sum((size + 3) & ~3 for _, size in self.fields)


IFNAME, IPV4, IPV6, PROTO, SERVICE, MARK = (41, 16), (7, 4), (8, 16), (12, 1), (13, 2), (19, 4)


def device_key(name: str) -> bytes:
    """An interface name as registers and sets hold it."""
    return name.encode().ljust(IFNAME[1], b"\0")


def message(kind: int, family: int, body: bytes, flags: int = 0) -> Message:
    """A request about a family's tables."""
    return Message((SUBSYS_NFTABLES << 8) | kind, flags, struct.pack(">BBH", family, 0, 0) + body)


def _remark(comment: str) -> bytes:
    """User data that `nft list` shows: a list of (type, length, value), a comment being of type 0."""
    text = zstr(comment)
    return bytes((0, len(text))) + text


def _batch_edge(kind: int) -> Message:
    return Message(kind, 0, struct.pack(">BBH", 0, 0, SUBSYS_NFTABLES))


class Nftables:
    """A netlink socket that speaks nf_tables of one table; its family is inet unless said otherwise."""

    def __init__(
        self,
        table: str,
        groups: Sequence[int] = (),
        family: int = NFPROTO_INET,
        inherited: socket.socket | None = None,
    ) -> None:
        """`inherited`: the socket that the table may belong to."""
        self.family = family
        self.socket = NetlinkSocket(NETLINK_NETFILTER, groups, inherited)
        self.table = table
        self._name = attr(1, zstr(table))

    def close(self) -> None:
        """Close the socket; a table this socket owns is on its own from now on."""
        self.socket.close()

    def commit(self, messages: Iterable[Message]) -> None:
        """Carry out all messages or none; HostError says what the kernel minded first."""
        inner = list(messages)
        if not inner:
            return
        try:
            refusals = self.socket.send([_batch_edge(BATCH_BEGIN), *inner, _batch_edge(BATCH_END)])
        except OSError as why:
            raise HostError(f"nftables refused a batch of {len(inner)} messages: {why.strerror}") from None
        if refusals:
            index = refusals[0].index - 1
            kind = inner[index].kind & 0xFF if 0 <= index < len(inner) else -1
            error = HostError(f"nftables refused message {index + 1} of {len(inner)} (type {kind}): {refusals[0]}")
            error.__cause__ = OSError(refusals[0].error, str(refusals[0]))
            raise error

    def new_table(self, flags: int) -> Message:
        """Create (or adopt, or change the flags of) the table."""
        return message(NEWTABLE, self.family, self._name + attr(2, be32(flags)), NLM_F_CREATE)

    def delete_table(self) -> Message:
        """Delete the table with all it holds."""
        return message(DELTABLE, self.family, self._name)

    def base_chain(self, name: str, kind: str, hook: str, priority: int, device: str = "") -> Message:
        """Create a chain that the kernel calls; policy accept. `device`: of family netdev. One that is there stays."""
        below = [attr(3, zstr(device))] if device else []
        where = nest(4, attr(1, be32(HOOKS[hook])), attr(2, struct.pack(">i", priority)), *below)
        body = self._name + attr(3, zstr(name)) + where + attr(5, be32(NF_ACCEPT)) + attr(7, zstr(kind))
        return message(NEWCHAIN, self.family, body, NLM_F_CREATE)

    def chain(self, name: str) -> Message:
        """Create a chain that rules jump to."""
        return message(NEWCHAIN, self.family, self._name + attr(3, zstr(name)), NLM_F_CREATE)

    def delete_chain(self, name: str) -> Message:
        """Delete a chain and its rules."""
        return message(DELCHAIN, self.family, self._name + attr(3, zstr(name)))

    def flush_chain(self, name: str = "") -> Message:
        """Delete all rules of a chain, or of all chains."""
        return message(DELRULE, self.family, self._name + (attr(2, zstr(name)) if name else b""))

    def counter(self, name: str) -> Message:
        """Create a named counter."""
        body = self._name + attr(2, zstr(name)) + attr(3, be32(OBJECT_COUNTER)) + nest(4)
        return message(NEWOBJ, self.family, body, NLM_F_CREATE)

    def new_set(self, name: str, number: int, kind: SetType) -> Message:
        """Create a set; `number` is any number no other set of the same batch has."""
        concat = len(kind.fields) > 1
        key_type = 0
        for number_of_type, _ in kind.fields:
            key_type = (key_type << 6) | number_of_type
        flags = (SET_INTERVAL if kind.interval else 0) | (SET_CONCAT if concat and kind.interval else 0)
        flags |= (SET_MAP if kind.data else 0) | (SET_TIMEOUT | SET_EVAL if kind.learns else 0)
        body = self._name + attr(2, zstr(name)) + attr(3, be32(flags)) + attr(4, be32(key_type))
        body += attr(5, be32(kind.key_length)) + attr(10, be32(number))
        if kind.data:
            body += attr(6, be32(kind.data[0])) + attr(7, be32(kind.data[1]))
        most = [attr(1, be32(kind.size))] if kind.size else []
        if flags & SET_CONCAT:
            most.append(nest(2, *(nest(1, attr(1, be32(size))) for _, size in kind.fields)))
        if most:
            body += nest(9, *most)
        if kind.data:
            body += attr(13, bytes((1, 4)) + struct.pack("=I", 1))  # the same of data
        if kind.fields[0] == IFNAME:
            # User data for `nft list`: names are in host byte order.
            body += attr(13, bytes((0, 4)) + struct.pack("=I", 1))
        return message(NEWSET, self.family, body, NLM_F_CREATE)

    def delete_set(self, name: str) -> Message:
        """Delete a set that no rule looks into any more."""
        return message(DELSET, self.family, self._name + attr(2, zstr(name)))

    def elements(
        self, name: str, keys: Iterable[tuple[bytes, bytes | None]], delete: bool = False
    ) -> Iterator[Message]:
        """Add (or delete) elements: (first key, last key) of intervals, (key, None) of plain sets."""
        packed: list[bytes] = []
        for first, last in keys:
            end = nest(10, attr(1, last)) if last is not None else b""
            packed.append(nest(1, nest(1, attr(1, first)) + end))
            if len(packed) == ELEMENTS_A_MESSAGE:
                yield self._element_message(name, packed, delete)
                packed = []
        if packed:
            yield self._element_message(name, packed, delete)

    def spans(self, name: str, ends: Iterable[tuple[bytes, bytes | None]]) -> Iterator[Message]:
        """Add ranges to a set of intervals of one field: (first key, key after the last one; None: no end)."""
        packed: list[bytes] = []
        for first, after in ends:
            packed.append(nest(1, nest(1, attr(1, first))))
            if after is not None:
                packed.append(nest(1, nest(1, attr(1, after)), attr(3, be32(INTERVAL_END))))
        for start in range(0, len(packed), ELEMENTS_A_MESSAGE):
            yield self._element_message(name, packed[start : start + ELEMENTS_A_MESSAGE], False)

    def entries(self, name: str, entries: Iterable[tuple[bytes, bytes, int]]) -> Iterator[Message]:
        """Add to a map: (key, data, milliseconds until it is forgotten; 0: never)."""
        packed: list[bytes] = []
        for key, data, timeout in entries:
            until = attr(4, struct.pack(">Q", timeout)) if timeout else b""
            packed.append(nest(1, nest(1, attr(1, key)), nest(2, attr(1, data)), until))
            if len(packed) == ELEMENTS_A_MESSAGE:
                yield self._element_message(name, packed, False)
                packed = []
        if packed:
            yield self._element_message(name, packed, False)

    def _element_message(self, name: str, packed: list[bytes], delete: bool) -> Message:
        body = self._name + attr(2, zstr(name)) + nest(3, *packed)
        return message(DELSETELEM if delete else NEWSETELEM, self.family, body, 0 if delete else NLM_F_CREATE)

    def rule(self, chain: str, expressions: Iterable[bytes], comment: str = "", first: bool = False) -> Message:
        """Append a rule, or put it `first`. The comment is shown by `nft list`."""
        body = self._name + attr(2, zstr(chain)) + nest(4, *expressions)
        if comment:
            body += attr(7, _remark(comment))
        return message(NEWRULE, self.family, body, NLM_F_CREATE | (0 if first else NLM_F_APPEND))

    def delete_rule(self, chain: str, handle: int) -> Message:
        """Delete the rule of a chain that has this handle."""
        body = self._name + attr(2, zstr(chain)) + attr(3, struct.pack(">Q", handle))
        return message(DELRULE, self.family, body)

    def table_flags(self) -> int | None:
        """Flags of the table, or None when there is none."""
        try:
            answers = self.socket.ask(message(GETTABLE, self.family, self._name))
        except OSError:
            return None
        return int.from_bytes(dict(parse_attrs(answers[0][1][4:])).get(2, b""), "big")

    def dump_elements(self, name: str) -> set[tuple[bytes, bytes | None]]:
        """What a set holds, in the form elements() takes; OSError when there is no such set."""
        found: set[tuple[bytes, bytes | None]] = set()
        for _, body in self.socket.ask(message(GETSETELEM, self.family, self._name + attr(2, zstr(name)), NLM_F_DUMP)):
            for kind, value in parse_attrs(body[4:]):
                if kind != 3:
                    continue
                for _, element in parse_attrs(value):
                    parts = dict(parse_attrs(element))
                    found.add((_key(parts[1]), _key(parts[10]) if 10 in parts else None))
        return found

    def dump_counters(self) -> dict[str, tuple[int, int]]:
        """Packets and octets of every named counter of the table."""
        found = {}
        for _, body in self.socket.ask(message(GETOBJ, self.family, self._name, NLM_F_DUMP)):
            parts = dict(parse_attrs(body[4:]))
            if bytes(parts.get(1, b"")).rstrip(b"\0").decode() != self.table or 4 not in parts:
                continue
            data = dict(parse_attrs(parts[4]))
            octets, packets = (int.from_bytes(data.get(n, b""), "big") for n in (1, 2))
            found[bytes(parts[2]).rstrip(b"\0").decode()] = (packets, octets)
        return found


def _key(value: memoryview) -> bytes:
    return bytes(dict(parse_attrs(value)).get(1, b""))


def expression(name: str, *attrs: bytes) -> bytes:
    """One expression of a rule."""
    return nest(1, attr(1, zstr(name)), nest(2, *attrs))


META = {
    "protocol": 1,
    "mark": 3,
    "iif": 4,
    "iifname": 6,
    "oifname": 7,
    "skuid": 10,
    "nfproto": 15,
    "l4proto": 16,
    "pkttype": 19,
}


def meta(key: str, register: int) -> bytes:
    """Load packet metadata into a register."""
    return expression("meta", attr(2, be32(META[key])), attr(1, be32(register)))


def meta_set_mark(register: int) -> bytes:
    """Store a register as the packet's mark."""
    return expression("meta", attr(2, be32(META["mark"])), attr(3, be32(register)))


def payload(base: str, offset: int, length: int, register: int) -> bytes:
    """Load octets counted from the network or transport header."""
    where = {"network": 1, "transport": 2}[base]
    return expression(
        "payload", attr(1, be32(register)), attr(2, be32(where)), attr(3, be32(offset)), attr(4, be32(length))
    )


def extension_header(kind: int, offset: int, length: int, register: int) -> bytes:
    """Load octets of an IPv6 extension header; the rule ends here when the packet has none."""
    return expression(
        "exthdr", attr(1, be32(register)), attr(2, bytes((kind,))), attr(3, be32(offset)), attr(4, be32(length))
    )


def compare(register: int, value: bytes, operation: str = "==") -> bytes:
    """Go on only when the register compares so with `value`."""
    code = {"==": 0, "!=": 1, "<=": 3, ">=": 5}[operation]
    return expression("cmp", attr(1, be32(register)), attr(2, be32(code)), nest(3, attr(1, value)))


def bitwise(register: int, mask: bytes, xor: bytes) -> bytes:
    """register = (register & mask) ^ xor."""
    return expression(
        "bitwise",
        attr(1, be32(register)),
        attr(2, be32(register)),
        attr(3, be32(len(mask))),
        nest(4, attr(1, mask)),
        nest(5, attr(1, xor)),
    )


def lookup(set_name: str, register: int, into: int = 0, absent: bool = False) -> bytes:
    """Go on only when the key that starts in `register` is in the set (or `absent`: is not).

    What a map's key leads to is loaded into the register `into`.
    """
    data = attr(3, be32(into)) if into else b""
    return expression("lookup", attr(1, zstr(set_name)), attr(2, be32(register)), data, attr(5, be32(int(absent))))


def learn(set_name: str, register: int, data: int = 0, timeout: int = 0) -> bytes:
    """Add the key that starts in `register`, or begin its milliseconds anew; to a map with register `data`."""
    value = attr(5, be32(data)) if data else b""
    until = attr(6, struct.pack(">Q", timeout)) if timeout else b""
    return expression("dynset", attr(1, zstr(set_name)), attr(3, be32(1)), attr(4, be32(register)), value, until)


def load(register: int, value: bytes) -> bytes:
    """Load a constant into a register."""
    return expression("immediate", attr(1, be32(register)), nest(2, attr(1, value)))


def limit(rate: int, burst: int) -> bytes:
    """Go on for so many packets a second only, and so many at once."""
    numbers = attr(1, struct.pack(">Q", rate)) + attr(2, struct.pack(">Q", 1))
    return expression("limit", numbers, attr(3, be32(burst)), attr(4, be32(0)), attr(5, be32(0)))


QUEUE_BYPASS = 1
"""Accept what nobody listens for."""


def queue(number: int, bypass: bool, native: bool) -> bytes:
    """Hand the packet to a queue; not `native`: by the target of iptables, in tables of family ip and ip6."""
    if native:
        flags = attr(3, struct.pack(">H", QUEUE_BYPASS if bypass else 0))
        return expression("queue", attr(1, struct.pack(">H", number)), attr(2, struct.pack(">H", 1)), flags)
    info = struct.pack("=HHHH", number, 1, QUEUE_BYPASS if bypass else 0, 0)
    return expression("target", attr(1, zstr("NFQUEUE")), attr(2, be32(3)), attr(3, info))


def fib_type(register: int) -> bytes:
    """Load the route type (RTN_LOCAL is 2) of the destination address."""
    return expression("fib", attr(1, be32(register)), attr(2, be32(3)), attr(3, be32(2)))


def socket_mark(register: int) -> bytes:
    """Load the mark of the socket a packet is for; a packet for none, or one that is not whole yet, does not match."""
    return expression("socket", attr(1, be32(1)), attr(2, be32(register)))


def count(name: str) -> bytes:
    """Add the packet to a named counter."""
    return expression("objref", attr(1, be32(OBJECT_COUNTER)), attr(2, zstr(name)))


def verdict(code: int, chain: str = "") -> bytes:
    """End the rule: NF_DROP, NF_ACCEPT, or NFT_JUMP and NFT_GOTO with a chain."""
    target = [attr(1, struct.pack(">i", code))] + ([attr(2, zstr(chain))] if chain else [])
    return expression("immediate", attr(1, be32(0)), nest(2, nest(2, *target)))


def snat_to(family: int, register: int) -> bytes:
    """Source NAT to the address a register holds."""
    return expression("nat", attr(1, be32(0)), attr(2, be32(family)), attr(3, be32(register)))
