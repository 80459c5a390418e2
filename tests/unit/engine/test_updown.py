# SPDX-License-Identifier: GPL-2.0-or-later
"""The updown contract."""

import re
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from openswan.engine.conn import Conn, Oriented
from openswan.engine.effects import RunUpdown
from openswan.engine.events import UpdownDone
from openswan.engine.updown import UpdownQueue, Verb, environment, outcome, quoted, remedy, verb_name
from openswan.policy.connection import Auth, Host, HostKind
from openswan.policy.grade import Grade
from openswan.policy.identity import Identity, IdKind
from openswan.policy.modecfg import Assigned
from openswan.policy.selector import FlowKey, Selector
from tests.sim.pair import EAST, EAST_NET, WEST, WEST_NET, conn, end


def placed(policy, me: str = WEST, peer: str = EAST, nexthop: str = "192.0.2.254") -> Conn:  # type: ignore[no-untyped-def]
    it = Conn(policy)
    it.orient(
        Oriented(
            policy.left, policy.right, True, ip_address(me), "eth0", "ipsec0", ip_address(peer), ip_address(nexthop)
        )
    )
    return it


def test_the_whole_environment() -> None:
    left = end(WEST, WEST_NET, "@west", source_ips=(ip_address("10.1.0.1"), ip_address("2001:db8:1::1")))
    policy = conn("net-net", left, end(EAST, EAST_NET, "@east"), metric=7, mtu=1400)
    env = environment(placed(policy), Verb.UP)
    assert env["PLUTO_VERSION"] == "2.0"
    assert env["PLUTO_VERB"] == "up-client"
    assert env["PLUTO_CONNECTION"] == "net-net"
    assert env["PLUTO_NEXT_HOP"] == "192.0.2.254"
    assert env["PLUTO_INTERFACE"] == "ipsec0"
    assert env["PLUTO_ME"] == WEST
    assert env["PLUTO_MY_ID"] == "@west"
    assert env["PLUTO_MY_CLIENT"] == "10.1.0.0/16"
    assert env["PLUTO_MY_CLIENT_NET"] == "10.1.0.0"
    assert env["PLUTO_MY_CLIENT_MASK"] == "255.255.0.0"
    assert env["PLUTO_MY_PORT"] == env["PLUTO_MY_PROTOCOL"] == "0"
    assert env["PLUTO_PEER"] == EAST
    assert env["PLUTO_PEER_ID"] == "@east"
    assert env["PLUTO_PEER_CLIENT"] == "10.2.0.0/16"
    assert env["PLUTO_STACK"] == "klips"
    assert env["PLUTO_MY_SOURCEIP"] == "10.1.0.1"
    assert (env["PLUTO_METRIC"], env["PLUTO_MTU"]) == ("7", "1400")
    assert env["PLUTO_CONN_ADDRFAMILY"] == env["PLUTO_CONN_CLIENTFAMILY"] == "ipv4"
    assert env["PLUTO_CONN_POLICY"].startswith("PSK+ENCRYPT+TUNNEL+PFS")


def documented() -> set[str]:
    """The variables of docs/UPDOWN.md; `_NET` after PLUTO_MY_CLIENT is PLUTO_MY_CLIENT_NET."""
    text = (Path(__file__).resolve().parents[3] / "docs/UPDOWN.md").read_text()
    found: set[str] = set()
    for row in text[text.index("## Variables") : text.index("## What the default command does")].splitlines():
        last = ""
        for word in re.findall(r"\b_?[A-Z_]{3,}|_[A-Z]+", row.split("|")[1]) if row.startswith("| ") else []:
            if word.startswith("_"):
                found |= {last + word, last.rpartition("_")[0] + word}
            else:
                last = word
                found.add(word)
    return found


def test_the_documentation_has_every_variable() -> None:
    left = end(WEST, WEST_NET, source_ips=(ip_address("10.1.0.1"),))
    env = environment(placed(conn("n", left, end(EAST, EAST_NET), metric=7, mtu=1400)), Verb.UP)
    assert sorted(set(env) - documented()) == []


def test_moves_are_told() -> None:
    it = placed(conn("n", end(WEST, WEST_NET), end(EAST, EAST_NET)))
    assert environment(it, Verb.UP)["PLUTO_MOBIKE_EVENT"] == ""
    assert environment(it, Verb.UP, moving=True)["PLUTO_MOBIKE_EVENT"] == "yes"
    ran: list[RunUpdown] = []
    queue = UpdownQueue(ran.append)
    queue.run(it, Verb.DOWN, lambda event: None, moving=True)
    assert ran[0].environment["PLUTO_MOBIKE_EVENT"] == "yes"


def test_optional_variables_are_absent_when_not_set() -> None:
    env = environment(placed(conn("n", end(WEST, WEST_NET), end(EAST, EAST_NET))), Verb.ROUTE)
    assert not {"PLUTO_MY_SOURCEIP", "PLUTO_METRIC", "PLUTO_MTU"} & env.keys()


def test_verbs_say_host_and_v6() -> None:
    assert verb_name(placed(conn("n", end(WEST), end(EAST))), Verb.ROUTE) == "route-host"
    six = placed(conn("n", end("2001:db8::1", WEST_NET), end("2001:db8::2", EAST_NET)), "2001:db8::1", "2001:db8::2")
    assert verb_name(six, Verb.DOWN) == "down-client-v6"
    assert environment(six, Verb.DOWN)["PLUTO_CONN_CLIENTFAMILY"] == "ipv4"


def test_ports_and_protocol_are_told() -> None:
    left, right = end(WEST, WEST_NET, protocol=6), end(EAST, EAST_NET, protocol=6, port=443)
    env = environment(placed(conn("n", left, right)), Verb.UP)
    assert (env["PLUTO_MY_PROTOCOL"], env["PLUTO_PEER_PROTOCOL"], env["PLUTO_PEER_PORT"]) == ("6", "6", "443")


def test_what_a_tunnel_covers_is_told_where_it_is_not_one_selector() -> None:
    it = placed(conn("n", end(WEST, WEST_NET), end(EAST, EAST_NET)))
    assert "PLUTO_FLOWS" not in environment(it, Verb.UP)
    one, other = (FlowKey(ip_network(net), ip_network(EAST_NET), 6, 0, 443) for net in ("10.1.0.0/25", "10.1.1.0/24"))
    it.tunnel_keys = (one, other)
    queue = UpdownQueue(lambda effect: None)
    queue.run(it, Verb.UP, lambda event: None)
    told = "10.1.0.0/25,10.2.0.0/16,6,0,443 10.1.1.0/24,10.2.0.0/16,6,0,443"
    assert environment(it, Verb.UP)["PLUTO_FLOWS"] == told
    # What was opened is closed, whatever has become of the tunnel meanwhile.
    it.tunnel_keys = (one,)
    assert environment(it, Verb.DOWN)["PLUTO_FLOWS"] == told
    assert environment(it, Verb.UP)["PLUTO_FLOWS"] == told.split()[0]


def test_nothing_a_peer_is_called_can_act_in_a_shell() -> None:
    assert quoted("a'b\"c`d$e\\f") == "a\\047b\\042c\\140d\\044e\\134f"
    assert quoted("x\ny\x1b") == "x\\012y\\033"
    evil = Identity(IdKind.FQDN, b"$(reboot)`id`")
    policy = conn("n", end(WEST, WEST_NET), end(EAST, EAST_NET))
    policy = replace(policy, right=replace(policy.right, id=evil))
    assert environment(placed(policy), Verb.UP)["PLUTO_PEER_ID"] == "@\\044(reboot)\\140id\\140"


def test_one_command_at_a_time_per_route_and_others_beside_it() -> None:
    started: list[RunUpdown] = []
    done: list[tuple[str, int]] = []
    queue = UpdownQueue(started.append)
    a = placed(conn("a", end(WEST, WEST_NET), end(EAST, EAST_NET)))
    b = placed(conn("b", end(WEST, WEST_NET), end(EAST, "10.3.0.0/16")))
    queue.run(a, Verb.PREPARE, lambda e: done.append(("prepare", e.status)))
    queue.run(a, Verb.ROUTE, lambda e: done.append(("route", e.status)))
    queue.run(b, Verb.UP, lambda e: done.append(("b", e.status)))
    assert [run.environment["PLUTO_VERB"] for run in started] == ["prepare-client", "up-client"]
    assert queue.done(UpdownDone(started[0].token, 7, ()))
    assert [run.environment["PLUTO_VERB"] for run in started][2:] == ["route-client"]
    assert queue.done(UpdownDone(started[2].token, 0, ()))
    assert not queue.idle
    assert queue.done(UpdownDone(started[1].token, 0, ()))
    assert done == [("prepare", 7), ("route", 0), ("b", 0)]
    assert queue.idle
    assert not queue.done(UpdownDone(started[1].token, 0, ()))


def test_whoever_waits_for_some_hears_when_all_of_theirs_are_done() -> None:
    started: list[RunUpdown] = []
    heard: list[str] = []
    queue = UpdownQueue(started.append)
    for name, net in (("a", EAST_NET), ("b", "10.3.0.0/16"), ("other", "10.4.0.0/16")):
        one = placed(conn(name, end(WEST, WEST_NET), end(EAST, net)))
        for verb in (Verb.PREPARE, Verb.ROUTE):
            queue.run(one, verb, lambda e, name=name: heard.append(name))  # type: ignore[misc]
    queue.after({"a", "b"}, lambda: heard.append("all"))
    queue.after({"nobody"}, lambda: heard.append("at once"))
    for number in (0, 1, 3, 4):
        assert "all" not in heard
        assert queue.done(UpdownDone(started[number].token, 0, ()))
    assert heard == ["at once", "a", "b", "a", "b", "all"]
    assert not queue.idle


def test_an_empty_command_counts_as_done() -> None:
    done: list[int] = []
    queue = UpdownQueue(lambda _: done.append(99))
    queue.run(
        placed(conn("a", end(WEST, WEST_NET, updown=""), end(EAST, EAST_NET))),
        Verb.UP,
        lambda e: done.append(e.status),
    )
    assert done == [0]
    assert queue.idle


def test_outcomes_in_classic_words() -> None:
    assert outcome("route-client", 0) == ""
    assert outcome("route-client", 7) == "route-client command exited with status 7"
    assert outcome("up-host", -9) == "up-host command exited with signal 9"


@pytest.mark.parametrize(
    ("status", "output", "hint"),
    [
        (0, ("RTNETLINK answers: File exists",), ""),
        (7, ("RTNETLINK answers: File exists",), "`ip route replace'"),
        (2, ("Error: Nexthop has invalid gateway.",), "leftnexthop="),
        (1, ("route-client: route to 10.2.0.0/24: Network is down",), "ip link set ipsec3 up"),
        (1, ('Cannot find device "ipsec3"',), "there is no ipsec3"),
        (2, ("RTNETLINK answers: Operation not permitted",), "systemctl edit ipsec"),
        (127, ("/bin/sh: 1: nix: not found",), "with a full path"),
        (126, (), "nothing that can be run"),
        (-9, ("so far", "killed: it took longer than 120 s"), "into the background"),
        (7, ("we do not serve him",), "its output above says why"),
        (7, (), "set -x"),
    ],
)
def test_the_cause_of_a_failure_and_what_to_change(status: int, output: tuple[str, ...], hint: str) -> None:
    found = remedy("ipsec3", UpdownDone(1, status, output))
    assert hint in found and bool(found) == bool(hint)


def test_a_side_of_several_parts_has_a_command_for_each_and_one_outcome() -> None:
    started: list[RunUpdown] = []
    done: list[UpdownDone] = []
    queue = UpdownQueue(started.append)
    it = placed(conn("a", end(WEST, WEST_NET), end(EAST, "10.0.0.0/8")))
    it.parts = tuple(Selector.of(ip_network(net)) for net in ("10.2.0.0/16", "10.3.0.0/16"))
    queue.run(it, Verb.ROUTE, done.append)
    assert [run.environment["PLUTO_PEER_CLIENT"] for run in started] == ["10.2.0.0/16", "10.3.0.0/16"]
    assert queue.done(UpdownDone(started[0].token, 7, ("no",))) and not done
    assert queue.done(UpdownDone(started[1].token, 0, ("yes",)))
    assert [(one.status, one.output) for one in done] == [(7, ("no", "yes"))] and queue.idle


def test_the_peers_dns_servers_can_be_kept_from_it() -> None:
    for ignored in (False, True):
        it = placed(conn("net-net", end(WEST, WEST_NET, "@west"), end(EAST, EAST_NET, "@east"), ignore_dns=ignored))
        it.assigned = Assigned(dns=(ip_address("10.2.0.53"),), domains=("corp.example",))
        env = environment(it, Verb.UP)
        told = (env["PLUTO_PEER_DNS_INFO"], env["PLUTO_PEER_DOMAIN_INFO"], env["PLUTO_CISCO_DNS_INFO"])
        assert told == (("", "", "") if ignored else ("10.2.0.53", "corp.example", "10.2.0.53"))


def openings(authgrade: Grade | None = None, **more: object) -> set[str]:
    """The words about openings that a script sees, of a conn whose left end, ours, wants both."""
    theirs = end(EAST, EAST_NET, dns_key=bool(more.pop("dns_key", False)))
    kind = more.pop("kind", None)
    policy = conn("n", end(WEST, WEST_NET, firewall=True, host_access=True), theirs, **more)
    it = placed(policy)
    if kind is not None:
        line = replace(policy, right=replace(theirs, host=Host(kind)))
        it.template, it.grade = Conn(line), authgrade
    return {"FIREWALL", "HOSTACCESS"} & set(environment(it, Verb.UP)["PLUTO_CONN_POLICY"].split("+"))


def test_openings_are_told_in_the_policy_of_our_end_alone() -> None:
    assert openings() == {"FIREWALL", "HOSTACCESS"}
    policy = conn("n", end(WEST, WEST_NET), end(EAST, EAST_NET, firewall=True, host_access=True))
    env = environment(placed(policy), Verb.UP)
    assert not {"FIREWALL", "HOSTACCESS"} & set(env["PLUTO_CONN_POLICY"].split("+"))
    assert "PLUTO_HOST_ACCESS" not in env
    ours = conn("n", end(WEST, WEST_NET, host_access=True), end(EAST, EAST_NET))
    assert environment(placed(ours), Verb.UP)["PLUTO_HOST_ACCESS"] == "1"


@pytest.mark.parametrize("grade", list(Grade), ids=str)
def test_only_peers_of_an_authenticated_grade_have_openings(grade: Grade) -> None:
    assert bool(openings(grade, kind=HostKind.OPPORTUNISTIC_GROUP, auth=Auth.RSASIG)) == grade.authenticated
    # Among people of whom some prove nothing, nobody has: they share a device.
    assert not openings(grade, kind=HostKind.OPPORTUNISTIC_GROUP, auth=Auth.RSASIG | Auth.NULL)


def test_peers_of_no_grade_have_no_openings() -> None:
    assert not openings(None, kind=HostKind.OPPORTUNISTIC_GROUP, auth=Auth.RSASIG)
    assert not openings(auth=Auth.NULL)
    assert not openings(auth=Auth.PSK | Auth.NULL)
    assert not openings(auth=Auth.RSASIG, dns_key=True)
