# SPDX-License-Identifier: GPL-2.0-or-later
"""eroute, spi, spigrp, tncfg, look and auto --status tell the truth during a tunnel's whole life, as text and as JSON.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

import re

from tests.netns.conns import NET4, conn, setup
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.pair import pair
from tests.netns.traffic import assert_ping

EROUTE = re.compile(r"^(\d+) +(\S+) +-> (\S+) +=> (\S+)$")


def table(gateway: Gateway) -> list[tuple[int, str, str, str]]:
    """The lines of `ipsec eroute`, taken apart as the classic format says."""
    rows = []
    for line in gateway.ipsec("eroute").stdout.splitlines():
        found = EROUTE.match(line)
        assert found, f"not an eroute line: {line!r}"
        assert line[:10].rstrip().isdigit() and line[10] == " " and line[11:29].rstrip() == found[2], line
        rows.append((int(found[1]), found[2], found[3], found[4]))
    return rows


def spis(gateway: Gateway) -> set[str]:
    """SPIs of all ESP SAs in `ipsec spi`."""
    return set(re.findall(r"^esp\.?(?:0x)?([0-9a-f]+)@", gateway.ipsec("spi").stdout, re.M))


def story(gateway: Gateway, name: str = "net") -> str:
    """The routing story of a conn in `auto --status`."""
    line = next(line for line in gateway.status().splitlines() if f'"{name}": ' in line and "===" in line)
    return line.split(";")[1].strip()


def test_the_tables_follow_a_tunnel_from_the_cradle_to_the_grave(lab: Lab) -> None:
    both = pair(lab, conn("net", NET4, auto="add"))
    west = both.west
    assert table(west) == [] and story(west) == "unrouted"
    assert west.json("eroute") == [] and west.json("spi") == []

    west.ipsec("auto", "--route", "net")
    assert [row[1:] for row in table(west)] == [("10.1.0.0/24", "10.2.0.0/24", "%trap")]
    assert story(west) == "prospective erouted"
    assert west.ipsec("setup", "status").returncode == 0
    assert "No tunnels up" in west.ipsec("setup", "status").stdout

    both.up("net")
    assert story(west) == "erouted"
    before = table(west)[0][0]
    assert_ping(lab.sunset, "10.2.0.2", 5)
    count, src, dst, said = table(west)[0]
    assert count == before + 5 and (src, dst) == ("10.1.0.0/24", "10.2.0.0/24")
    assert re.fullmatch(r"(tun|esp)0x[0-9a-f]+@192\.0\.2\.2", said), said
    row = west.json("eroute")[0]
    assert row["packets"] == count and row["owner"] == "net", row

    lines = west.ipsec("spi").stdout.splitlines()
    esp = [line for line in lines if line.startswith("esp")]
    assert len(esp) == 2, lines
    out = next(line for line in esp if "dir=out" in line)
    into = next(line for line in esp if "dir=in" in line)
    assert "@192.0.2.2 " in out and "@192.0.2.1 " in into
    assert "src=192.0.2.1" in out and "src=192.0.2.2" in into
    counted = {d["direction"]: d for d in west.json("spi")}
    assert counted["out"]["packets"] >= 5 and counted["in"]["packets"] >= 5
    assert counted["out"]["octets"] >= 5 * 84
    near, far = spis(west), spis(both.east)
    assert near == far and len(near) == 2

    status = west.status()
    assert re.search(r'^000 #\d+: "net":\d+ .*IPsec SA established.*; eroute owner', status, re.M), status
    assert re.search(r'"net":   newest ISAKMP SA: #\d+; newest IPsec SA: #\d+;', status), status
    assert all(spi in status for spi in near), status
    assert "interface ipsec0/wan 192.0.2.1" in status
    assert west.json("auto", "--status")

    look = west.ipsec("look").stdout
    assert "10.1.0.0/24" in look and "10.2.0.0/24" in look and "ipsec0->wan" in look, look
    tncfg = west.ipsec("tncfg").stdout
    assert re.search(r"^ipsec0 -> wan mtu=\d+\(\d+\) -> 1500$", tncfg, re.M), tncfg
    assert len(west.ipsec("spigrp").stdout.splitlines()) >= 2
    assert "1 tunnels up" in west.ipsec("setup", "status").stdout

    west.ipsec("auto", "--down", "net")
    assert story(west) == "prospective erouted"
    assert table(west)[0][3] == "%trap"
    assert not [line for line in west.ipsec("spi").stdout.splitlines() if line.startswith("esp")]
    wait_for("the far side", lambda: not both.east.tunnels(), 5)

    west.ipsec("auto", "--unroute", "net")
    assert table(west) == [] and story(west) == "unrouted"
    west.ipsec("auto", "--delete", "net")
    assert '"net"' not in west.status()
    west.stop()
    assert west.ipsec("setup", "status", check=False).returncode == 3


def test_match_explains_a_packets_way(lab: Lab) -> None:
    both = pair(lab, conn("net", NET4, auto="add"))
    both.up("net")
    told = both.west.ipsec("eroute", "--match", "10.1.0.2", "10.2.0.2", "udp", "53").stdout
    assert '"net"' in told or "net" in told.split()
    assert "10.2.0.0/24" in told and "ipsec0" in told, told
    other = both.west.ipsec("eroute", "--match", "10.1.0.2", "203.0.113.9", check=False)
    assert "wan" in other.stdout, other.stdout + other.stderr


def test_the_progress_of_up_is_the_classic_story(lab: Lab) -> None:
    both = pair(lab, conn("net", NET4, auto="add"))
    lines = both.west.up("net").splitlines()
    assert all(re.match(r"\d{3} ", line) for line in lines), lines
    codes = [int(line[:3]) for line in lines]
    assert 133 in codes and 134 in codes and codes[-1] == 4, lines
    assert re.search(r"ESP.*=>0x[0-9a-f]+ <0x[0-9a-f]+", lines[-1]), lines[-1]
    assert both.west.ipsec("auto", "--up", "nobody", check=False).returncode == 21
    assert both.west.ipsec("auto", "--add", "net", check=False).returncode == 20


def test_commands_without_a_daemon_say_so(lab: Lab) -> None:
    west = Gateway(lab.west, setup() + conn("net", NET4))
    done = west.ipsec("auto", "--status", check=False)
    assert done.returncode == 1 and "Pluto is not running" in done.stderr + done.stdout
    assert west.ipsec("setup", "status", check=False).returncode == 3
