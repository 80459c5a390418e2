# SPDX-License-Identifier: GPL-2.0-or-later
"""Routes into a TUN on a real kernel: what they do, what brings them back, and the script that does the same.

namespace G:   lan 10.1.0.1/24 fd01::1/64     wan 203.0.113.1/24 fd03::1/64     ipsec0 (a TUN we hold open)
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from pyroute2 import netns as namespaces

from openswan.base.errors import HostError
from openswan.cli.updown_script import script
from openswan.engine.effects import GuardEntry
from openswan.host.conntrack import Conntrack
from openswan.host.guard.guard import Guard
from openswan.host.guard.iptables import IptablesBackend
from openswan.host.netlink import changes, network_state
from openswan.host.routes import Routes
from openswan.host.rtnetlink import Rtnetlink
from openswan.host.updown import World, carry_out
from openswan.policy.selector import FlowKey

pytestmark = pytest.mark.netns
NAME = f"ofR{os.getpid() % 100000}"
FAR, WORLD, LAN = ip_network("10.2.0.0/24"), ip_network("0.0.0.0/0"), ip_network("10.1.0.0/24")
FAR6, LAN6 = ip_network("fd02::/64"), ip_network("fd01::/64")


def sh(command: str, check: bool = True) -> str:
    done = subprocess.run(
        f"ip netns exec {NAME} sh -c '{command}'", shell=True, capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@contextmanager
def inside() -> Iterator[None]:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        namespaces.setns(NAME)
        yield
    finally:
        namespaces.setns(home)
        os.close(home)


@pytest.fixture
def gateway() -> Iterator[None]:
    subprocess.run(f"ip netns del {NAME} 2>/dev/null; ip netns add {NAME}", shell=True, check=True)
    sh("ip link set lo up; sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv4.ip_forward=1")
    for device, addresses in {"lan": ("10.1.0.1/24", "fd01::1/64"), "wan": ("203.0.113.1/24", "fd03::1/64")}.items():
        sh(f"ip link add {device} type veth peer name {device}x; ip link set {device} up; ip link set {device}x up")
        for address in addresses:
            sh(f"ip addr add {address} dev {device}")
    sh("ip route add default via 203.0.113.2; ip -6 route add default via fd03::2")
    with inside():
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH", b"ipsec0", 0x1001))
    sh("sysctl -qw net.ipv6.conf.ipsec0.addr_gen_mode=1; ip link set ipsec0 up")
    yield
    os.close(tun)
    subprocess.run(f"ip netns del {NAME}", shell=True, check=True)


def way(target: str, more: str = "") -> str:
    return sh(f"ip route get {target} {more} 2>&1", check=False)


def test_what_goes_where(gateway: None) -> None:
    with inside():
        routes = Routes()
        routes.setup("ipsec0", ["wan"])
        routes.add("ipsec0", FAR, client=LAN, mtu=1400)
        routes.add("ipsec0", FAR6, client=LAN6)
        assert routes.check()
        assert "dev ipsec0" in way("10.2.0.9") and "src 10.1.0.1" in way("10.2.0.9") and "mtu 1400" in way("10.2.0.9")
        assert "dev ipsec0" in way("fd02::9") and "src fd01::1" in way("fd02::9")
        assert "dev wan" in way("10.2.0.9", "mark 0x1000") and "dev wan" in way("fd02::9", "mark 0x1000")
        assert "dev wan" in way("10.3.0.9")
        netlink = Rtnetlink()
        assert [netlink.way(ip_address(far)).table for far in ("10.2.0.9", "10.3.0.9", "fd02::9")] == [50, 254, 50]
        netlink.close()
        routes.add("ipsec0", WORLD, client=LAN)
        assert "dev ipsec0" in way("198.51.100.1") and "dev lan" in way("10.1.0.77")
        assert "dev ipsec0" in way("203.0.113.2") and "dev wan" in way("203.0.113.2", "mark 0x1000")
        routes.delete("ipsec0", WORLD)
        assert "dev wan" in way("198.51.100.1") and "dev ipsec0" in way("10.2.0.9")
        routes.teardown()
        assert sh("ip route show table 50; ip -6 route show table 50; ip rule | grep 5000", check=False) == ""
        routes.close()


def test_the_blackhole_holds_when_the_device_does_not(gateway: None) -> None:
    with inside():
        routes = Routes()
        for far in (FAR, FAR6):
            routes.add("ipsec0", far)
        sh("ip link set ipsec0 down")
        for target in ("10.2.0.9", "fd02::9"):
            assert "dev wan" not in way(target)
        assert not routes.check()
        with pytest.raises(HostError, match=r"10\.4\.0\.0/24: .*[Dd]own"):
            routes.add("ipsec0", ip_network("10.4.0.0/24"))
        assert "dev wan" not in way("10.4.0.9")
        sh("ip link set ipsec0 up")
        assert routes.restore() and routes.check() and "dev ipsec0" in way("10.4.0.9")
        routes.close()


async def until(condition: object, seconds: float = 3.0) -> float:
    begun = time.monotonic()
    while not condition():  # type: ignore[operator]
        assert time.monotonic() - begun < seconds, "nothing brought it back"
        await asyncio.sleep(0.02)
    return time.monotonic() - begun


MISHAPS = (
    "ip link set ipsec0 down; sleep 0.2; ip link set ipsec0 up",
    "ip route flush table 50",
    "ip -6 route flush table 50",
    "ip rule del pref 5000; ip -6 rule del pref 5000",
    "ip addr add 10.66.0.1/32 dev ipsec0; ip addr del 10.66.0.1/32 dev ipsec0",
)


@pytest.mark.parametrize("mishap", MISHAPS)
def test_what_is_taken_away_comes_back_by_itself(gateway: None, mishap: str) -> None:
    async def watched() -> None:
        routes = Routes()
        routes.add("ipsec0", FAR, client=LAN)
        routes.add("ipsec0", FAR6, client=LAN6)
        routes.start()
        await asyncio.sleep(0.1)
        sh(mishap)
        await until(routes.check, 1.5)
        routes.close()

    with inside():
        asyncio.run(watched())


def test_leftsourceip_is_given_to_the_device_and_taken_back(gateway: None) -> None:
    with inside():
        routes = Routes()
        for source, far in (("10.50.0.1", FAR), ("fd50::1", FAR6)):
            routes.add("ipsec0", far, source=ip_address(source))
            assert f"src {source}" in way(str(far[9])) and source in sh("ip addr show dev ipsec0")
        routes.add("ipsec0", ip_network("10.4.0.0/24"), client=LAN)
        routes.delete("ipsec0", FAR)
        assert "10.50.0.1" not in sh("ip addr show dev ipsec0") and "dev ipsec0" in way("10.4.0.9")
        routes.add("ipsec0", FAR, source=ip_address("10.1.0.1"))
        assert "10.1.0.1" not in sh("ip addr show dev ipsec0")
        routes.close()


def test_what_a_killed_daemon_left_is_kept_until_pruned(gateway: None) -> None:
    with inside():
        first = Routes()
        first.add("ipsec0", FAR)
        first.add("ipsec0", ip_network("10.4.0.0/24"))
        first.close()
        second = Routes()
        second.add("ipsec0", FAR)
        assert "dev ipsec0" in way("10.4.0.9")
        assert second.prune() == 2 and "dev wan" in way("10.4.0.9") and "dev ipsec0" in way("10.2.0.9")
        second.close()


def test_ten_thousand_routes_take_a_moment(gateway: None) -> None:
    with inside():
        routes = Routes()
        begun = time.monotonic()
        for n in range(2000):
            routes.add("ipsec0", ip_network(((11 << 24) + (n << 8), 24)))
        assert routes.check()
        assert time.monotonic() - begun < 20
        routes.teardown()
        assert sh("ip route show table 50") == ""
        routes.close()


BASE = {
    "PLUTO_VERSION": "2.0",
    "PLUTO_CONNECTION": "net",
    "PLUTO_INTERFACE": "ipsec0",
    "PLUTO_MY_CLIENT": "10.1.0.0/24",
    "PLUTO_PEER_CLIENT": "10.2.0.0/24",
}
CALLS = [
    {},
    {"PLUTO_MTU": "1400", "PLUTO_METRIC": "77"},
    {"PLUTO_MY_SOURCEIP": "10.1.0.200"},
    {"PLUTO_PEER_CLIENT": "0.0.0.0/0"},
    {"PLUTO_MY_CLIENT": "fd01::/64", "PLUTO_PEER_CLIENT": "fd02::/64"},
    {"PLUTO_MY_CLIENT": "fd01::/64", "PLUTO_PEER_CLIENT": "::/0"},
    {"PLUTO_MY_CLIENT": "fd01::/64", "PLUTO_PEER_CLIENT": "fd00::/8"},
    {"PLUTO_MY_CLIENT": "203.0.113.1/32", "PLUTO_PEER_CLIENT": "203.0.113.2/32"},
    {"PLUTO_MY_PROTOCOL": "17", "PLUTO_PEER_PROTOCOL": "17", "PLUTO_PEER_PORT": "53"},
]


def routing() -> str:
    return sh(
        "ip rule; ip -6 rule; ip route show table all | sort; ip -6 route show table 50 | sort; ip addr show ipsec0"
    )


def guarding() -> list[str]:
    """`nft list`, less who owns the table and which rules a daemon knows it by, and element lists in one order."""
    text = sh("nft -a list table inet openswan", check=False)
    text = re.sub(r"\tchain rules-[0-9a-f]+ \{.*\n\t\}\n", "", text)
    lines = []
    for line in text.replace(",\n", ",").splitlines():
        words = line.split("# handle")[0].split("# progname")[0].strip()
        if words.startswith("elements = {"):
            words = "elements " + " ; ".join(sorted(one.strip() for one in words[12:-1].split(",")))
        if words and not words.startswith(("flags owner", "comment ")):
            lines.append(words)
    return lines


@pytest.mark.matrix
@pytest.mark.parametrize("call", CALLS, ids=lambda call: " ".join(call.values()) or "plain")
def test_the_script_does_what_the_daemon_does(gateway: None, call: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "_updown"
    path.write_text(script())
    shim = tmp_path / "ipsec"
    root = Path(__file__).parents[2]
    shim.write_text(
        f'#!/bin/sh\n[ "$1" = _updown ] && shift\nPYTHONPATH={root} exec {root}/.venv/bin/python -c '
        "'import sys; from openswan.cli.updown import main; sys.exit(main(sys.argv[1:]))' \"$@\"\n"
    )
    shim.chmod(0o755)
    env = BASE | call
    suffix = "-host" if env["PLUTO_MY_CLIENT"].endswith("/32") else "-client"
    suffix += "-v6" if ":" in env["PLUTO_MY_CLIENT"] else ""
    exported = " ".join(f'{name}="{value}"' for name, value in env.items())

    def by_script(verb: str) -> None:
        sh(f"PATH={tmp_path}:$PATH {exported} PLUTO_VERB={verb}{suffix} sh {path} custom")

    untouched = routing()
    seen = {}
    with inside():
        routes = Routes()
        for who in ("daemon", "script"):
            for verb in ("prepare", "route", "up", "down", "unroute"):
                if who == "daemon":
                    assert carry_out(env | {"PLUTO_VERB": verb + suffix}, World(routes)) == (0, ())
                else:
                    by_script(verb)
                seen[who, verb] = routing()
            sh("ip rule del pref 5000; ip -6 rule del pref 5000; ip addr flush dev ipsec0 2>/dev/null", check=False)
            assert routing() == untouched
        routes.close()
        for verb in ("prepare", "route", "up"):
            assert seen["daemon", verb] == seen["script", verb]
        guard = Guard.open("nft", last=False)
        carry_out(env | {"PLUTO_VERB": "guard" + suffix}, World(routes, guard))
        ours, empty_of_ours = guarding(), None
        guard.delete("net")
        guard.close(False)
        by_script("guard")
        theirs = guarding()
        by_script("unguard")
        empty_of_ours = guarding()
    quotes = [line for line in ours if "@th," in line and "@" in line.split("@th,")[-1]]
    assert [line for line in ours if line not in quotes] == theirs
    assert [
        line.strip()[2:].replace("  ", " ") for line in script().splitlines() if line.strip().startswith("# @th,")
    ] == quotes
    assert not [line for line in empty_of_ours if line.startswith("elements") and "." in line]


def mangling() -> list[str]:
    """What iptables and ipset hold of the guard; whose socket a packet is for is not asked by the script."""
    text = sh("iptables-save -t mangle; ip6tables-save -t mangle; ipset save")
    lines = (line.split(" bucketsize")[0].split(" [")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and line[0] != "#" and "-m socket" not in line and "create" not in line]


@pytest.mark.parametrize("call", [CALLS[0], CALLS[6], CALLS[8]], ids=["plain", "ours inside theirs", "a port"])
def test_without_nft_the_script_guards_by_iptables_as_the_daemon_does(
    gateway: None, call: dict[str, str], tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "tr", "cut", "grep", "sed", "cat", "ip", "ipset", "iptables", "ip6tables"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    for tool in ("iptables-restore", "ip6tables-restore"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    env = BASE | call
    suffix = "-client-v6" if ":" in env["PLUTO_MY_CLIENT"] else "-client"
    path = tmp_path / "_updown"
    path.write_text(script())
    shim = tools / "ipsec"
    root = Path(__file__).parents[2]
    shim.write_text(
        f'#!/bin/sh\n[ "$1" = _updown ] && shift\nPYTHONPATH={root} exec {root}/.venv/bin/python -c '
        "'import sys; from openswan.cli.updown import main; sys.exit(main(sys.argv[1:]))' \"$@\"\n"
    )
    shim.chmod(0o755)
    exported = " ".join(f'{name}="{value}"' for name, value in env.items())
    with inside():
        guard = Guard(IptablesBackend(pairs=False), None, lambda line, serious: None)
        guard.backend.load(guard.model)
        carry_out(env | {"PLUTO_VERB": "guard" + suffix}, World(None, guard))  # type: ignore[arg-type]
        ours = mangling()
        guard.close(False)
        left = sh("iptables-save -t mangle; ip6tables-save -t mangle")
        assert "ipsec-" not in left
        sh(f"PATH={tools} {exported} PLUTO_VERB=guard{suffix} sh {path}")
        assert sorted(mangling()) == sorted(ours)
        assert any("-sel -s" in line for line in ours)
        sh(f"PATH={tools} {exported} PLUTO_VERB=unguard{suffix} sh {path}")
        assert not any("-sel -s" in line or line.startswith("add ipsec-far") for line in mangling())


def test_the_exemption_from_nat_follows_every_conn_and_stands_first(gateway: None) -> None:
    """Of the iptables back end: conns that come later, ports, foreign rules put before it, a killed daemon, the end."""

    def exempt() -> list[str]:
        lines = sh("iptables-save -t nat").splitlines()
        return [line for line in lines if line.startswith(("-A ipsec-nat", "-A POSTROUTING"))]

    jump, masquerade = "-A POSTROUTING -j ipsec-nat", "-A POSTROUTING -j MASQUERADE"
    plain = "-A ipsec-nat -s 10.1.0.0/24 -d 10.2.0.0/24 -o ipsec0 -j ACCEPT"
    port = "-A ipsec-nat -s 10.1.0.0/24 -d 10.3.0.0/24 -o ipsec0 -p udp -m udp --dport 53 -j ACCEPT"
    with inside():
        guard = Guard(IptablesBackend(pairs=False), None, lambda line, serious: None)
        guard.backend.load(guard.model)
        sh("iptables -t nat -A POSTROUTING -j MASQUERADE")
        guard.backend.follow_nat()
        assert exempt() == [jump, masquerade]
        guard.set("a", (GuardEntry(FlowKey(LAN, FAR), "ipsec0"),))
        guard.set("b", (GuardEntry(FlowKey(LAN, ip_network("10.3.0.0/24"), 17, 0, 53), "ipsec0"),))
        assert sorted(exempt()) == sorted([jump, masquerade, plain, port])
        guard.delete("a")
        assert exempt() == [jump, masquerade, port]
        sh("iptables -t nat -F ipsec-nat; iptables -t nat -I POSTROUTING 1 -j MASQUERADE")
        guard.backend.follow_nat()
        assert exempt() == [jump, masquerade, masquerade, port]
        heir = Guard(IptablesBackend(pairs=False), None, lambda line, serious: None)
        heir.backend.load(heir.model)
        heir.backend.follow_nat()
        assert exempt() == [jump, masquerade, masquerade]
        heir.close(False)
        assert exempt() == [masquerade, masquerade] and ":ipsec-nat" not in sh("iptables-save -t nat")


def test_conntrack_entries_of_a_selector_go_and_others_stay(gateway: None) -> None:
    sh("nft add table inet x; nft \"add chain inet x c { type filter hook output priority 0; }\";"
       " nft add rule inet x c ct state new counter")  # fmt: skip
    for source, target, port in (
        ("10.1.0.1", "10.2.0.9", 53),
        ("10.1.0.1", "10.2.0.9", 4500),
        ("10.1.0.1", "198.51.100.1", 53),
        ("fd01::1", "fd02::9", 53),
    ):
        sh(f"conntrack -I -s {source} -d {target} -p udp --sport 999 --dport {port} --timeout 100")
    with inside():
        assert Conntrack().flush([(LAN, FAR), (LAN6, FAR6)]) == 2
        assert Conntrack().flush([(LAN, FAR), (LAN6, FAR6)]) == 0
    left = sh("conntrack -L; conntrack -L -f ipv6")
    assert (
        "dport=4500" in left
        and "198.51.100.1" in left
        and "fd02::9" not in left
        and "dst=10.2.0.9 sport=999 dport=53" not in left
    )


def test_the_network_is_seen_and_so_are_its_changes(gateway: None) -> None:
    async def watch() -> None:
        state = await network_state(lambda name: name.startswith("ipsec"))
        assert {each.interface for each in state.defaults} == {"wan"}
        assert [str(each.source) for each in state.defaults] == ["203.0.113.1", "fd03::1"]
        lan = next(each for each in state.interfaces if each.name == "lan")
        assert {str(address) for address, _ in lan.addresses} == {"10.1.0.1", "fd01::1"}
        seen = 0

        async def count() -> None:
            nonlocal seen
            async for _ in changes():
                seen += 1

        task = asyncio.create_task(count())
        await until(lambda: seen == 1)
        await asyncio.sleep(0.3)
        before = seen
        await asyncio.to_thread(sh, "ip addr add 10.7.7.7/24 dev lan")
        await until(lambda: seen > before)
        task.cancel()

    with inside():
        asyncio.run(watch())


def test_a_foreign_flush_is_made_good_within_a_second(gateway: None) -> None:
    """Plain tables, as kernels before 6.9 have them; an owned one cannot be flushed at all."""

    async def watched() -> None:
        for owned in (True, False):
            guard = Guard.open("nft", last=False)
            if not owned:
                guard.close(False)
                guard = Guard.open("nft", last=False)
                guard.backend.clear()
                guard.backend.flags = 0  # type: ignore[attr-defined]
                guard.backend.load(guard.model)
            guard.set("net", (GuardEntry(FlowKey(LAN, FAR), "ipsec0"),))
            guard.start()
            await asyncio.sleep(0.1)
            for meddling in (
                "nft flush ruleset",
                "nft flush chain inet openswan out4",
                "nft flush set inet openswan rl4",
            ):
                await asyncio.to_thread(sh, meddling, False)
                assert not owned or guard.check(), meddling
                assert await until(guard.check, 1.0) < 1.0
            sh('nft add table ip n; nft "add chain ip n p { type nat hook postrouting priority 100; }"')
            await until(lambda guard=guard: guard.backend.nat, 1.0)
            sh("nft delete table ip n")
            guard.backend.follow_nat()
            assert guard.backend.nat, "its hook stays: the kernel would drop what waits in NFQUEUE"
            guard.close(False)

    with inside():
        asyncio.run(watched())
