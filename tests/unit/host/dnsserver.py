# SPDX-License-Identifier: GPL-2.0-or-later
"""DNS servers of the tests' own, on loopback addresses that share a port, UDP and TCP; what they say is a function."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Say = Callable[[dns.message.Message, bool], dns.message.Message | bytes | None]
"""say(query, by TCP) -> the answer; None: none."""


class Server(asyncio.DatagramProtocol):
    """One server; `asked` lists what it was asked, as (name, type, by TCP)."""

    def __init__(self, say: Say, delay: float = 0.0) -> None:
        self.say = say
        self.delay = delay
        self.asked: list[tuple[str, str, bool]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def answer(self, data: bytes, tcp: bool) -> bytes | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        self.asked.append((question.name.to_text(), dns.rdatatype.to_text(question.rdtype), tcp))
        said = self.say(query, tcp)
        return said if said is None or isinstance(said, bytes) else said.to_wire(max_size=65535)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if (wire := self.answer(data, False)) is not None:
            asyncio.get_running_loop().call_later(self.delay, self.transport.sendto, wire, addr)

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        if (wire := self.answer(data, True)) is not None:
            writer.write(len(wire).to_bytes(2, "big") + wire)
        writer.close()


@asynccontextmanager
async def serving(**servers: Server) -> AsyncIterator[int]:
    """Run servers at 127.0.0.N, N from `sN`; yields their port."""
    loop = asyncio.get_running_loop()
    port = 0
    udp, tcp = [], []
    for name, server in servers.items():
        address = f"127.0.0.{name[1:]}"
        transport, _ = await loop.create_datagram_endpoint(lambda server=server: server, (address, port))
        udp.append(transport)
        port = transport.get_extra_info("sockname")[1]
        tcp.append(await asyncio.start_server(server.stream, address, port))
    try:
        yield port
    finally:
        for transport in udp:
            transport.close()
        for one in tcp:
            one.close()


def reply(
    query: dns.message.Message, *records: str, code: int = dns.rcode.NOERROR, ad: bool = False
) -> dns.message.Message:
    """An answer with these records, each `NAME TTL TYPE DATA`; an SOA goes into the authority section."""
    message = dns.message.make_response(query)
    message.set_rcode(dns.rcode.Rcode(code))
    if ad:
        message.flags |= dns.flags.AD
    for record in records:
        name, ttl, kind, data = record.split(None, 3)
        section = message.authority if kind == "SOA" else message.answer
        made = dns.rrset.from_text(name, int(ttl), "IN", kind, data)
        old = next((each for each in section if each.match(made.name, made.rdclass, made.rdtype, made.covers)), None)
        if old is not None:
            old.update(made)
        else:
            section.append(made)
    return message
