# SPDX-License-Identifier: GPL-2.0-or-later
"""leftupdown= runs a script with the whole PLUTO_* environment, in the classic order.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.netns.conns import NET4, NET6, SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.pair import Pair, pair
from tests.netns.traffic import assert_ping, ping

EXPECTED = {
    "PLUTO_VERSION": "2.0",
    "PLUTO_CONNECTION": "net",
    "PLUTO_INTERFACE": "ipsec0",
    "PLUTO_ME": "192.0.2.1",
    "PLUTO_MY_ID": "@west",
    "PLUTO_MY_CLIENT": "10.1.0.0/24",
    "PLUTO_MY_CLIENT_NET": "10.1.0.0",
    "PLUTO_MY_CLIENT_MASK": "255.255.255.0",
    "PLUTO_MY_PORT": "0",
    "PLUTO_MY_PROTOCOL": "0",
    "PLUTO_PEER": "192.0.2.2",
    "PLUTO_PEER_ID": "@east",
    "PLUTO_PEER_CLIENT": "10.2.0.0/24",
    "PLUTO_PEER_CLIENT_NET": "10.2.0.0",
    "PLUTO_PEER_CLIENT_MASK": "255.255.255.0",
    "PLUTO_PEER_PORT": "0",
    "PLUTO_PEER_PROTOCOL": "0",
    "PLUTO_STACK": "klips",
    "PLUTO_CONN_ADDRFAMILY": "ipv4",
}


def scripted(lab: Lab, base: dict[str, str], status: int = 0, **more: str) -> tuple[Pair, str]:
    """West with a script that notes its environment; the notes' path."""
    notes = lab.dir / "notes"
    script = lab.dir / "updown"
    script.write_text(f"#!/bin/sh\n(echo @@@; env) >>{notes}\necho said $PLUTO_VERB $*\nexit {status}\n")
    script.chmod(0o755)
    ids = {"leftid": "@west", "rightid": "@east", "auto": "add"}
    both = pair(lab, conn("net", base, leftupdown=f'"{script} custom"', **ids, **more), conn("net", base, **ids))
    return both, str(notes)


def calls(notes: str) -> list[dict[str, str]]:
    """The environment of each call so far."""
    try:
        with open(notes) as f:
            text = f.read()
    except FileNotFoundError:
        return []
    return [dict(line.split("=", 1) for line in part.splitlines() if "=" in line) for part in text.split("@@@\n")[1:]]


def test_the_script_sees_a_tunnels_life(lab: Lab) -> None:
    both, notes = scripted(lab, NET4, leftsourceip="10.1.0.1")
    both.west.ipsec("auto", "--route", "net")
    wait_for("two calls", lambda: len(calls(notes)) >= 2, 5)
    assert [c["PLUTO_VERB"] for c in calls(notes)] == ["prepare-client", "route-client"]
    both.up("net")
    wait_for("up", lambda: len(calls(notes)) >= 3, 5)
    both.west.ipsec("auto", "--down", "net")
    wait_for("down", lambda: len(calls(notes)) >= 4, 5)
    both.west.ipsec("auto", "--unroute", "net")
    wait_for("unroute", lambda: len(calls(notes)) >= 5, 5)
    seen = calls(notes)
    assert [c["PLUTO_VERB"] for c in seen][2:] == ["up-client", "down-client", "unroute-client"]
    for call in seen:
        for name, value in EXPECTED.items():
            assert call.get(name) == value, (call["PLUTO_VERB"], name, call.get(name))
        assert call["PLUTO_MY_SOURCEIP"] == "10.1.0.1"
        assert "TUNNEL" in call["PLUTO_CONN_POLICY"] and call["PATH"]


def test_ipv6_verbs_have_their_suffix(lab: Lab) -> None:
    both, notes = scripted(lab, NET6)
    both.west.ipsec("auto", "--route", "net")
    wait_for("two calls", lambda: len(calls(notes)) >= 2, 5)
    assert [c["PLUTO_VERB"] for c in calls(notes)] == ["prepare-client-v6", "route-client-v6"]
    assert calls(notes)[0]["PLUTO_MY_CLIENT"] == "2001:db8:1::/64"


def test_host_verbs(lab: Lab) -> None:
    both, notes = scripted(lab, {"left": "192.0.2.1", "right": "192.0.2.2", "authby": "secret"})
    both.up("net")
    wait_for("three calls", lambda: len(calls(notes)) >= 3, 5)
    assert {c["PLUTO_VERB"] for c in calls(notes)} == {"up-host", "prepare-host", "route-host"}


def test_a_script_that_fails_keeps_the_conn_from_being_routed(lab: Lab) -> None:
    both, _ = scripted(lab, NET4, status=7)
    done = both.west.ipsec("auto", "--route", "net", check=False)
    assert done.returncode == 25, done.stdout
    assert "route-client command exited with status 7" in done.stdout, done.stdout
    assert both.west.ipsec("eroute").stdout == ""


def test_a_route_command_that_fails_is_logged_with_what_the_kernel_said_and_what_to_change(lab: Lab) -> None:
    """Status 7, as route(8) ended with when its next hop was wrong; and the default command, by itself and printed."""
    command = "ip route add 10.2.0.0/24 via 198.51.100.9 || exit 7"
    script = lab.dir / "updown"
    script.write_text(f"#!/bin/sh\ncase $PLUTO_VERB in route-*) {command} ;; esac\n")
    script.chmod(0o755)
    west = Gateway(lab.west, conn("net", NET4, leftupdown=str(script), auto="add"), SECRETS)
    west.start()
    done = west.ipsec("auto", "--route", "net", check=False)
    assert done.returncode == 25
    lines = [line.partition('"net": ')[2] for line in done.stdout.splitlines()]
    assert any(line.startswith("route-client output: ") and "invalid gateway" in line for line in lines), lines
    assert "route-client command exited with status 7" in lines
    assert "route-client: the next hop is on no link of this host: correct leftnexthop=, or leave it out" in lines
    printed = lab.dir / "default"
    printed.write_text(west.ipsec("_updown", "--print").stdout)
    printed.chmod(0o755)
    for updown in ("", str(printed)):
        west.configure(conn("net", NET4, auto="add", leftupdown=updown))
        west.ipsec("auto", "--replace", "net")
        lab.west.ip("link", "set", "ipsec0", "down")
        said = west.ipsec("auto", "--route", "net", check=False).stdout
        lab.west.ip("link", "set", "ipsec0", "up")
        assert "route-client: ipsec0 is down: ip link set ipsec0 up" in said, said
        assert "10.2.0.0/24" in said and ("`ip -4 route replace 10.2.0.0/24 dev ipsec0" in said or not updown), said


def test_the_guard_stands_whatever_the_script_does(lab: Lab) -> None:
    """A script that does nothing makes no route, but nothing leaves in clear either."""
    both, _ = scripted(lab, NET4)
    assert_ping(lab.sunset, "10.2.0.2")
    both.west.ipsec("auto", "--route", "net")
    done = lab.sunset.run("ping", "-c", "2", "-i", "0.1", "-W", "0.5", "10.2.0.2", check=False)
    assert " 0 received" in done.stdout, done.stdout


def test_what_comes_in_while_a_script_makes_the_route_is_answered_by_the_tunnel(lab: Lab) -> None:
    """West initiates, so that east may send at once; an answer without a route would meet the guard."""
    script = lab.dir / "updown"
    script.write_text(
        "#!/bin/sh\n[ $PLUTO_VERB = route-client ] || exit 0\n"
        "sleep 0.4\nexec ip route replace $PLUTO_PEER_CLIENT dev $PLUTO_INTERFACE\n"
    )
    script.chmod(0o755)
    both = pair(lab, conn("net", NET4, auto="add", leftupdown=str(script)), conn("net", NET4, auto="add"))
    with ThreadPoolExecutor() as pool:
        pings = pool.submit(ping, lab.sunrise, "10.1.0.2", 150, interval=0.01)
        both.west.up("net")
        assert pings.result().received > 50
    came, went = (row["packets"] for row in both.west.json("spi"))
    assert min(came, went) > 50 and abs(came - went) < 9, "dummies are in it"
    assert both.west.json("status")["guard"]["dropped"]["out4"] == 0
