# SPDX-License-Identifier: GPL-2.0-or-later
"""The resolver against a DNS server of the test's own, a dead one, and /etc/hosts."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from openswan.base.marks import DEFAULT_MARKS
from openswan.host.resolver import Resolver, from_hosts

Namespace = Callable[[Callable[[], Any]], Any]
RECORDS = {
    ("gw.example.org.", "A"): ["192.0.2.7", "192.0.2.8"],
    ("gw.example.org.", "AAAA"): ["2001:db8::7"],
    ("six.example.org.", "AAAA"): ["2001:db8::6"],
}


@contextmanager
def server(answering: bool = True) -> Iterator[int]:
    """A DNS server on a loopback port; one that does not answer just swallows."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def work() -> None:
        while True:
            data, address = sock.recvfrom(4096)
            if not data:
                return
            if answering:
                sock.sendto(answer(data), address)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield sock.getsockname()[1]
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", sock.getsockname())
        thread.join()
        sock.close()


def answer(data: bytes) -> bytes:
    query = dns.message.from_wire(data)
    reply = dns.message.make_response(query)
    name, kind = query.question[0].name.to_text(), dns.rdatatype.to_text(query.question[0].rdtype)
    if not any(name == known for known, _ in RECORDS):
        reply.set_rcode(dns.rcode.NXDOMAIN)
    elif found := RECORDS.get((name, kind)):
        reply.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *found))
    return reply.to_wire()


def look_up(tmp_path: Path, port: int, name: str, version: int = 0, lifetime: float = 2.0) -> tuple[list[str], str]:
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\n")

    async def run() -> tuple[list[str], str]:
        resolver = Resolver(tmp_path / "hosts", conf, lifetime)
        current = resolver._current()
        current.port = port
        addresses, reason, ttl = await resolver.look_up(name, version)
        assert (0 < ttl <= 300) if addresses else ttl == 0
        return sorted(str(each) for each in addresses), reason

    return asyncio.run(run())


def test_both_families_or_one(tmp_path: Path) -> None:
    with server() as port:
        assert look_up(tmp_path, port, "gw.example.org") == (["192.0.2.7", "192.0.2.8", "2001:db8::7"], "")
        assert look_up(tmp_path, port, "gw.example.org", 6) == (["2001:db8::7"], "")
        assert look_up(tmp_path, port, "six.example.org") == (["2001:db8::6"], "")
        assert look_up(tmp_path, port, "six.example.org", 4) == ([], "six.example.org has no address")


def test_a_name_that_does_not_exist(tmp_path: Path) -> None:
    with server() as port:
        assert look_up(tmp_path, port, "no.example.org") == ([], "no.example.org does not exist in the DNS")


def test_a_dead_server_ends_in_time(tmp_path: Path) -> None:
    with server(answering=False) as port:
        addresses, reason = look_up(tmp_path, port, "gw.example.org", 4, lifetime=0.3)
    assert (addresses, reason) == ([], "no DNS server answered about gw.example.org within 0.3 s")


def test_where_everything_belongs_into_a_tunnel_it_asks_with_our_mark(namespace: Namespace, tmp_path: Path) -> None:
    def work() -> None:
        with server() as port:
            rule = f"type filter hook output priority 0;\n udp dport {port} meta mark != {DEFAULT_MARKS.own} drop"
            subprocess.run(["nft", f"table inet t {{\n chain c {{\n {rule}\n }}\n}}"], check=True)
            found = look_up(tmp_path, port, "gw.example.org", 4)
            # The server's end is a datagram too.
            subprocess.run(["nft", "flush", "ruleset"], check=True)
        assert found == (["192.0.2.7", "192.0.2.8"], "")

    namespace(work)


def test_a_name_that_is_none(tmp_path: Path) -> None:
    with server() as port:
        addresses, reason = look_up(tmp_path, port, "a" * 70 + ".example.org")
    assert not addresses and "look-up of" in reason


def test_missing_resolv_conf_is_a_reason(tmp_path: Path) -> None:
    async def run() -> tuple[tuple[object, ...], str, float]:
        return await Resolver(tmp_path / "hosts", tmp_path / "absent").look_up("gw.example.org", 4)

    addresses, reason, _ = asyncio.run(run())
    assert addresses == () and reason.startswith("DNS look-up of gw.example.org failed")


def test_hosts_file_comes_first(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("# c\n192.0.2.1 a.example Alias # x\n2001:db8::1\ta.example\nrubbish a.example\n")
    assert from_hosts("A.example.", 0, hosts) == (ip_address("192.0.2.1"), ip_address("2001:db8::1"))
    assert from_hosts("alias", 4, hosts) == (ip_address("192.0.2.1"),)
    assert from_hosts("x", 0, hosts) == ()
    assert from_hosts("a.example", 0, tmp_path / "absent") == ()
    assert look_up(tmp_path, 1, "alias") == (["192.0.2.1"], "")
