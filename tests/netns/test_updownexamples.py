# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples of docs/UPDOWN.md do what it says there, in shells that know little.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
 guest ----lan2---'    `---wan2--- isp2
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns.capture import Capture, Seen, assert_quiet
from tests.netns.conns import INNER, NET4, NET6, SECRETS, USER_CLIENT, USER_SERVER, conn
from tests.netns.gateway import IPSEC, Gateway
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.pair import pair
from tests.netns.traffic import assert_ping, ping

EXAMPLES = Path(__file__).resolve().parents[2] / "initscripts" / "updown"
SHELLS = {"dash": ("dash",), "busybox": ("busybox", "sh")}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The words before a script."""
    return SHELLS[request.param]


def killswitch(host: Host, shell: tuple[str, ...], *words: str, status: int = 0) -> str:
    done = host.run(*shell, EXAMPLES / "killswitch", *words, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.mark.matrix
def test_a_kill_switch_lets_nothing_out_but_what_makes_the_tunnel(lab: Lab, shell: tuple[str, ...]) -> None:
    west = lab.west
    killswitch(west, shell, "on", "lan")
    text = conn("net4", NET4, auto="start") + conn("net6", NET6, auto="start")
    both = pair(lab, text, text.replace("auto=start", "auto=add"))
    both.settle(2)
    with Capture(west) as wire:
        for target in ("10.2.0.2", "2001:db8:2::2"):
            assert_ping(lab.sunset, target)
        assert_ping(lab.sunset, "10.1.0.1")
        both.west.kill()
        with lab.sunset.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind(("", 68))
            client.sendto(b"DHCP, but not this host's", ("192.0.2.2", 67))
        for target in ("192.0.2.2", "2001:db8::2", "10.2.0.2"):
            for host in (west, lab.sunset):
                assert not ping(host, target, 1, wait=0.2).received
        assert_quiet(wire, INNER)
        assert wire.count()["esp-udp"] + wire.count()["esp"] > 0
    assert west.run("nft", "list", "table", "inet", "killswitch").stdout.count("drop") == 3
    both.west.start()
    both.west.wait_tunnels(2)
    assert_ping(lab.sunset, "10.2.0.2")
    assert killswitch(west, shell, "status") == "kill switch: on\n"
    killswitch(west, shell, "off")
    assert killswitch(west, shell, "status", status=3) == "kill switch: off\n"
    assert_ping(west, "192.0.2.2")
    killswitch(west, shell, "of", status=2)


def test_a_kill_switch_lets_dhcp_pass(lab: Lab, shell: tuple[str, ...]) -> None:
    killswitch(lab.west, shell, "on")
    with lab.east.inside():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.settimeout(3)
    server.bind(("", 67))
    with lab.west.inside():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"wan")
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.settimeout(3)
    client.bind(("", 68))
    client.sendto(b"discover", ("255.255.255.255", 67))
    heard, who = server.recvfrom(100)
    server.sendto(b"offer", who)
    assert heard == b"discover" and client.recv(100) == b"offer"
    with pytest.raises(PermissionError):
        client.sendto(b"anything", ("192.0.2.2", 69))


def by_shell(lab: Lab, name: str, shell: tuple[str, ...]) -> str:
    """`leftupdown=` for an example, run by that shell and with a log of the lab's."""
    return f'"PATH={IPSEC.parent}:$PATH IPSEC_ACCOUNTING={lab.dir}/log {" ".join(shell)} {EXAMPLES / name}"'


@pytest.mark.matrix
def test_what_a_user_sends_and_receives_is_counted(lab: Lab, shell: tuple[str, ...]) -> None:
    server = conn("users", USER_SERVER, xauthby="alwaysok", leftupdown=by_shell(lab, "accounting", shell))
    east = Gateway(lab.east, server, SECRETS)
    # On a busy machine the script takes longer than it takes to believe that ESP is blocked.
    west = Gateway(lab.west, conn("home", USER_CLIENT, encapsulation="no"), f'{SECRETS}\n@carla : XAUTH "open sesame"')
    east.start()
    west.start()
    log = lab.dir / "log"
    environment = {**east.env, "IPSEC_ACCOUNTING": str(log)}

    def report() -> tuple[int, int]:
        """Octets from carla and to her."""
        said = lab.east.run(*shell, EXAMPLES / "accounting", "report", env=environment).stdout.split()
        assert (said[0], said[1], said[3]) == ("carla", "in", "out")
        return int(said[2]), int(said[4])

    for turn in (1, 2):
        west.up("home")
        # Its peer has a script to run before it can answer.
        wait_for("an answer", lambda: not ping(lab.west, "10.2.0.2", 1).lost, 40, 0.1)
        before = report()
        assert ping(lab.west, "10.2.0.2", 5, size=472).received == 5
        after = report()
        assert [now - then for now, then in zip(after, before, strict=True)] == [2500, 2500]
        west.ipsec("auto", "--down", "home")
        wait_for("the log's line", lambda: log.exists() and len(log.read_text().splitlines()) == turn, 20)  # noqa: B023
        when, user, name, client, octets_in, octets_out = log.read_text().splitlines()[-1].split()
        assert int(when) > 0 and (user, name, client) == ("carla", "users", "10.9.0.1/32")
        assert int(octets_in) >= 2500 and int(octets_out) >= 2500
        assert report() == after, "nothing is lost between here and gone"
    assert "packets" not in lab.east.run("nft", "list", "table", "inet", "ipsec_accounting").stdout


def test_what_a_killed_daemon_has_counted_is_nobody_elses(lab: Lab, shell: tuple[str, ...]) -> None:
    """The script by itself, as pluto calls it."""
    (lab.dir / "ipsec").write_text("#!/bin/sh\n")
    (lab.dir / "ipsec").chmod(0o755)
    environment = {
        "PATH": f"{lab.dir}:/usr/sbin:/usr/bin:/sbin:/bin",
        "IPSEC_RUNDIR": str(lab.dir),
        "IPSEC_ACCOUNTING": str(lab.dir / "log"),
        "PLUTO_CONNECTION": "users",
        "PLUTO_PEER_CLIENT": "2001:db8:9::/64",
    }

    def call(verb: str, user: str, moving: str = "", **more: str) -> str:
        more |= {"PLUTO_VERB": f"{verb}-client-v6", "PLUTO_PEER_ID": user, "PLUTO_MOBIKE_EVENT": moving}
        return lab.east.run(*shell, EXAMPLES / "accounting", env=environment | more).stdout

    call("up", "CN=carla, O=X")
    call("up", "dave")
    call("down", "dave", "yes")
    call("up", "dave")
    full = call("down", "dave", IPSEC_ACCOUNTING="/dev/full")
    assert full == "accounting: /dev/full cannot be written, dave's octets stay with their counters\n"
    call("down", "dave")
    lines = [line.split() for line in (lab.dir / "log").read_text().splitlines()]
    assert [line[1:] for line in lines] == [
        [user, "users", "2001:db8:9::/64", "0", "0"] for user in ("CN=carla,_O=X", "dave")
    ]


GUESTS = {**NET4, "leftsubnet": "10.7.0.0/24", "rightsubnet": "0.0.0.0/0"}


@pytest.fixture
def uplinks(lab: Lab) -> Iterator[Lab]:
    """West has a second network behind it and a second provider, for packets with mark 2."""
    lab.add_host("guest", "west", "lan2", "10.7.0", "2001:db8:7")
    lab.add_host("isp2", "west", "wan2", "10.8.0", "2001:db8:8")
    lab["isp2"].ip("addr", "add", "198.51.100.9/32", "dev", "lo")
    lab.east.ip("addr", "add", "198.51.100.9/32", "dev", "lo")
    lab.east.ip("route", "add", "10.1.0.0/24", "via", "192.0.2.1")
    lab.west.ip("route", "add", "default", "via", "10.8.0.2", "dev", "wan2", "table", "77")
    lab.west.ip("rule", "add", "pref", "4000", "fwmark", "0x2", "lookup", "77")
    yield lab


def seen(wire: Capture, source: str) -> list[Seen]:
    """Packets of a host in clear."""
    return wire.packets(lambda packet: packet.src == source)


@pytest.mark.matrix
def test_a_tunnel_for_some_sources_beside_a_second_uplink(uplinks: Lab, shell: tuple[str, ...]) -> None:
    lab, west = uplinks, uplinks.west
    mine = conn("guests", GUESTS, leftupdown=by_shell(lab, "policyrouting", shell), auto="start")
    both = pair(lab, mine, conn("guests", GUESTS, auto="add"))
    both.settle()
    # The tunnel stands before the shell has done its part.
    wait_for("the conn's rule", lambda: "4900:" in west.ip("rule"), 10)
    with Capture(west) as wire, Capture(west, "wan2") as second:
        for target in ("10.2.0.2", "198.51.100.9"):
            assert_ping(lab["guest"], target)
        assert not seen(wire, "10.7.0.2") and not seen(second, "10.7.0.2")
        assert_ping(lab.sunset, "198.51.100.9")
        assert seen(wire, "10.1.0.2"), "others go as they always did"
        west.run("iptables", "-t", "mangle", "-A", "PREROUTING", "-s", "10.1.0.2", "-j", "MARK", "--set-mark", "2")
        second.clear()
        assert_ping(lab.sunset, "198.51.100.9")
        assert seen(second, "10.1.0.2"), "and where the mark leads them"
        # Somebody's rule that comes before those of the conn leads the guests astray: nothing of it gets out.
        west.run("iptables", "-t", "mangle", "-A", "PREROUTING", "-s", "10.7.0.2", "-j", "MARK", "--set-mark", "2")
        assert not ping(lab["guest"], "198.51.100.9", 2, wait=0.2).received
        west.run("iptables", "-t", "mangle", "-D", "PREROUTING", "-s", "10.7.0.2", "-j", "MARK", "--set-mark", "2")
        assert_ping(lab["guest"], "198.51.100.9")
        west.ip("link", "set", "ipsec0", "down")
        assert not ping(lab["guest"], "198.51.100.9", 1, wait=0.2).received
        assert not seen(wire, "10.7.0.2") and not seen(second, "10.7.0.2")
    both.west.ipsec("auto", "--delete", "guests")
    wait_for("the end of the conn's rules", lambda: "from 10.7.0.0/24" not in west.ip("rule"), 5)
    assert "4000" in west.ip("rule")


def test_rules_before_ours_win_and_those_behind_lose(lab: Lab) -> None:
    """Of the default command: `ip rule` 5000 is a place in an order, and the guard is behind all of it."""
    text = conn("net", NET4, auto="start")
    both = pair(lab, text, text.replace("auto=start", "auto=add"))
    both.settle()
    lab.west.ip("route", "add", "default", "via", "192.0.2.2", "table", "77")
    with Capture(lab.west) as wire:
        lab.west.ip("rule", "add", "pref", "5001", "to", "10.2.0.0/24", "lookup", "77")
        assert_ping(lab.sunset, "10.2.0.2")
        lab.west.ip("rule", "add", "pref", "4999", "to", "10.2.0.0/24", "lookup", "77")
        assert not ping(lab.sunset, "10.2.0.2", 2, wait=0.2).received
        dropped = lab.west.run("nft", "list", "counter", "inet", "openswan", "out4").stdout
        assert "packets 2 " in dropped, dropped
        lab.west.ip("rule", "del", "pref", "4999")
        assert_ping(lab.sunset, "10.2.0.2")
        assert_quiet(wire, INNER)
