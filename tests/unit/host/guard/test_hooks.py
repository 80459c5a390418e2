# SPDX-License-Identifier: GPL-2.0-or-later
"""No hook goes while the guard is in use: the kernel would drop all that waits in NFQUEUE."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from openswan.base.errors import HostError
from openswan.base.marks import Marks
from openswan.engine.effects import GuardEntry
from openswan.host import nfnetlink as nf
from openswan.host.guard.guard import Guard
from openswan.host.guard.last import in_force, physical
from openswan.host.machine import Machine
from openswan.host.nfqueue import NfQueue
from openswan.host.nftables import rule_counts
from openswan.policy.selector import FlowKey

Namespace = Callable[[Callable[[], Any]], Any]
SITE = (GuardEntry(FlowKey(ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24")), "ipsec0"),)
NAT = "add table ip theirs; add chain ip theirs c { type nat hook postrouting priority 100; }"
MANY = 5


def ip(*words: str) -> None:
    subprocess.run(["ip", "link", *words], check=True, capture_output=True)


def nft(text: str) -> None:
    subprocess.run(["nft", text], check=True, capture_output=True)


def have_it_wait(table: nf.Nftables) -> None:
    """What goes to port 7001 does, natively or by iptables' target, as the kernel can."""
    to_port = [nf.payload("transport", 2, 2, 1), nf.compare(1, (7001).to_bytes(2, "big"))]
    for native in (True, False):
        rule = table.rule("c", [*to_port, nf.queue(7, False, native)])
        with suppress(HostError):
            table.commit([table.new_table(0), table.base_chain("c", "filter", "output", 0), rule])
            return
    raise AssertionError("no NFQUEUE")


@contextmanager
def waiting() -> Iterator[Callable[[], int]]:
    """Packets that wait in a queue meanwhile; the function lets them go and tells how many were still there."""
    queue, table = NfQueue(7, 100, fail_open=False), nf.Nftables("waiting", family=nf.NFPROTO_IPV4)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard, socket.socket(type=socket.SOCK_DGRAM) as said:
        have_it_wait(table)
        heard.bind(("127.0.0.1", 7001))
        heard.setblocking(False)
        for number in range(MANY):
            said.sendto(bytes((number,)), ("127.0.0.1", 7001))

        def release() -> int:
            for queued in queue.read():
                queue.verdict(queued.id, accept=True)
            queue.flush()
            got = 0
            while True:
                try:
                    heard.recv(100)
                    got += 1
                except BlockingIOError:
                    return got

        yield release
    table.close()
    queue.close()


def wires() -> None:
    for name, peer in (("wan", "ipsec7"), ("port", "ipsec8")):
        ip("add", name, "type", "veth", "peer", "name", peer)
    ip("add", "br0", "type", "bridge")


def test_a_hook_that_goes_takes_with_it_what_waits(namespace: Namespace) -> None:
    """What all this is about, and that these tests would see it."""

    def work() -> None:
        nft("add table inet other; add chain inet other c { type filter hook input priority 0; }")
        with waiting() as release:
            nft("delete table inet other")
            assert release() == 0

    namespace(work)


def into_a_bridge(guard: Guard) -> None:
    ip("set", "port", "master", "br0")
    guard.follow_devices()
    assert in_force() == physical() == {"wan", "br0"}
    ip("set", "port", "nomaster")
    guard.follow_devices()
    assert in_force() == physical() == {"wan", "br0", "port"}


def verify(_guard: Guard) -> None:
    assert Machine().last_guard().guarded


def refill(guard: Guard) -> None:
    """As after `nft flush table` on a kernel that knows no owners."""
    for table in (guard.backend, guard.last):
        table.nft.commit([table.nft.flush_chain()])  # type: ignore[union-attr]
    assert not guard.check() and guard.restore() and guard.check()


@pytest.mark.parametrize("act", [into_a_bridge, verify, refill], ids=lambda act: act.__name__)
def test_what_waits_survives_what_the_guard_does(namespace: Namespace, act: Callable[[Guard], None]) -> None:
    def work() -> None:
        wires()
        guard = Guard.open()
        guard.set("site", SITE)
        with waiting() as release:
            act(guard)
            assert release() == MANY
        assert guard.check()
        guard.close(keep=False)

    namespace(work)


def successor(guard: Guard, rundir: Path) -> Guard:
    """With other rules."""
    guard.close(keep=True)
    return Guard.open(rundir=rundir, marks=Marks(0xF00000))


def test_what_waits_survives_an_upgrade(namespace: Namespace, tmp_path: Path) -> None:
    """A successor with other rules fills the tables anew, where they are."""

    def work() -> None:
        wires()
        first = Guard.open(rundir=tmp_path)
        first.set("site", SITE)
        with waiting() as release:
            second = successor(first, tmp_path)
            assert second.check() and in_force() == physical()
            assert release() == MANY
        shown = subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=True, text=True).stdout
        assert "0x00001000" not in shown and shown.count("chain rules-") == 2
        second.close(keep=False)

    namespace(work)


def test_a_table_whose_chains_are_hooked_elsewhere_is_replaced(namespace: Namespace, tmp_path: Path) -> None:
    def work() -> None:
        nft("add table inet openswan; add chain inet openswan out { type filter hook output priority 5; }")
        guard = Guard.open(rundir=tmp_path)
        assert guard.check()
        guard.close(keep=False)

    namespace(work)


def test_the_exemption_from_nat_stays(namespace: Namespace, tmp_path: Path) -> None:
    """When nobody translates any more it is the last to need connection tracking, whose hooks would go with it."""

    def work() -> None:
        nft(NAT)
        first = Guard.open(rundir=tmp_path)
        first.set("site", SITE)
        table = nf.Nftables("openswan")
        assert rule_counts(table)["keep"]
        nft("delete table ip theirs")
        with waiting() as release:
            first.backend.follow_nat()
            first.close(keep=True)
            second = Guard.open(rundir=tmp_path)
            second.backend.follow_nat()
            assert rule_counts(table)["keep"] and second.check()
            third = successor(second, tmp_path)
            time.sleep(0.1)  # what the kernel frees it frees later
            assert rule_counts(table)["keep"] and third.check() and release() == MANY
        third.close(keep=False)
        table.close()

    namespace(work)


def test_a_trial_is_made_somewhere_else(namespace: Namespace) -> None:
    """Where nobody has the guard, `ipsec verify` tries whether there can be one."""

    def work() -> None:
        with waiting() as release:
            assert Machine().last_guard().why == ""
            assert release() == MANY

    namespace(work)
