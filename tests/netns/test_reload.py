# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec setup reload` and `ipsec auto --replace` with files in every state, while traffic flows.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, NET4, NET6, SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.pair import Pair, pair
from tests.netns.traffic import Flow, Receiver, assert_ping

FOUR, SIX = conn("net4", NET4, auto="start"), conn("net6", NET6, auto="start")
EAST = (FOUR + SIX).replace("auto=start", "auto=add")
MARK = b"<<secret>>"


def sas(gateway: Gateway, name: str) -> list[tuple[str, str]]:
    """The SAs of a conn, in and out."""
    return [(each["in"], each["out"]) for each in gateway.json("status")["child_sas"] if each["connection"] == name]


def reload(gateway: Gateway, text: str) -> tuple[int, str]:
    """Write ipsec.conf and have it followed."""
    gateway.configure(text)
    done = gateway.ipsec("setup", "reload", check=False)
    return done.returncode, done.stderr


@contextmanager
def flowing(lab: Lab) -> Iterator[tuple[Pair, Capture]]:
    """Two tunnels with traffic in both, of which nothing may be seen in clear and, at the end, all arrives."""
    both = pair(lab, FOUR + SIX, EAST)
    both.settle(2)
    heard = [Receiver(lab.sunrise, "10.2.0.2", 7001), Receiver(lab.sunrise, "2001:db8:2::2", 7001)]
    flows = [
        Flow(lab.sunset, "10.1.0.2", "10.2.0.2", 7001, MARK, pace=0.01).start(),
        Flow(lab.sunset, "2001:db8:1::2", "2001:db8:2::2", 7001, MARK, pace=0.01).start(),
    ]
    with Capture(lab.west) as wire:
        yield both, wire
        for each in heard:
            each.got.clear()
        wait_for("both flows", lambda: all(each.got for each in heard), 10)
        for flow in flows:
            flow.stop()
        wire.close()
        assert_quiet(wire, INNER, [MARK])
    for each in heard:
        each.close()


def test_only_what_has_changed_is_replaced(lab: Lab) -> None:
    with flowing(lab) as (both, _wire):
        west = both.west
        pid, four, six = west.pid, sas(west, "net4"), sas(west, "net6")
        assert reload(west, FOUR + SIX)[1].endswith("0 added, 0 replaced, 2 unchanged, 0 refused\n")
        more = conn("host", {**NET4, "leftsubnet": "10.1.0.0/24", "rightsubnet": "10.9.0.0/24"}, auto="route")
        status, said = reload(west, FOUR + SIX.replace("auto=start", "metric=7\n    auto=start") + more)
        assert status == 0 and said.endswith("1 added, 1 replaced, 1 unchanged, 0 refused\n"), said
        west.wait_tunnels(2)
        assert sas(west, "net4") == four and west.pid == pid
        wait_for("new SAs", lambda: sas(west, "net6") and not set(six) & set(sas(west, "net6")), 10)
        routes = {each["name"]: each["routing"] for each in west.json("status")["connections"]}
        assert routes["host"] == "prospective erouted"


@pytest.mark.long
def test_a_file_that_is_half_written_takes_nothing_down(lab: Lab) -> None:
    """Cut at every line: what makes no sense, is missing, or could not come up, stays as it was."""
    lines = f"version 2.0\nconfig setup\n    uniqueids=yes\n\n{FOUR}{SIX}".splitlines(keepends=True)
    with flowing(lab) as (both, _wire):
        west = both.west
        before = sas(west, "net4"), sas(west, "net6")
        for count in range(len(lines)):
            (west.dir / "ipsec.conf").write_text("".join(lines[:count])[:-1])
            west.ipsec("setup", "reload", check=False)
            assert (sas(west, "net4"), sas(west, "net6")) == before, "".join(lines[:count])
            if "conn net6\n" not in lines[:count] or "right" not in "".join(lines[lines.index("conn net6\n") : count]):
                assert west.ipsec("auto", "--replace", "net6", check=False).returncode
        (west.dir / "ipsec.conf").unlink()
        assert west.ipsec("setup", "reload", check=False).returncode == 6
        assert (sas(west, "net4"), sas(west, "net6")) == before


def test_what_cannot_be_followed_is_said(lab: Lab) -> None:
    with flowing(lab) as (both, _wire):
        west = both.west
        before = sas(west, "net4"), sas(west, "net6")
        status, said = reload(west, FOUR + SIX.replace("rightsubnet=", "rightsubent="))
        assert status == 3 and "did you mean 'rightsubnet'?" in said and 'conn "net6" stays as it was' in said
        status, said = reload(west, FOUR)
        assert status == 0 and 'conn "net6" is in ipsec.conf no more but in use: ipsec auto --delete net6' in said
        status, said = reload(west, "config setup\n    frob=yes\n\n" + FOUR)
        assert status == 3 and "pluto goes on as it was" in said
        (west.dir / "ipsec.conf").write_text("include more/*.conf\n")
        done = west.ipsec("setup", "reload")
        assert "matches no file" in done.stderr or "no more but in use" in done.stderr
        (west.dir / "ipsec.secrets").write_text("what is this\n")
        assert reload(west, FOUR + SIX)[0] == 3
        (west.dir / "ipsec.secrets").write_text(SECRETS + "\n")
        assert (sas(west, "net4"), sas(west, "net6")) == before
    west.ipsec("auto", "--delete", "net6")
    assert reload(west, FOUR + SIX)[1].endswith("1 added, 0 replaced, 1 unchanged, 0 refused\n")
    west.wait_tunnels(2)
    assert_ping(lab.sunset, "2001:db8:2::2")


LISTS = {**NET4, "rightsubnet": "10.2.0.0/24"}


def nets(*subnets: str, **more: str) -> str:
    """A conn with a pair for each of these networks behind west; 10.1.0.0/24 is the one with a host in it."""
    return conn("nets", {**LISTS, "leftsubnet": "", "leftsubnets": f"{{{' '.join(subnets)}}}"}, **more)


@contextmanager
def steady(lab: Lab, *subnets: str) -> Iterator[tuple[Pair, list[tuple[str, str]]]]:
    """Pairs that are up, with numbered datagrams over the second one, of which none may be lost; and its SAs."""
    started = nets(*subnets, auto="start")
    both = pair(lab, started, started.replace("auto=start", "auto=add"))
    both.settle(len(subnets))
    assert_ping(lab.sunset, "10.2.0.2")
    heard = Receiver(lab.sunrise, "10.2.0.2", 7002)
    flow = Flow(lab.sunset, "10.1.0.2", "10.2.0.2", 7002, MARK, pace=0.005).start()
    wait_for("the flow", lambda: len(heard.got) > 10, 5)
    yield both, sas(both.west, "nets/2x0")
    flow.stop()
    wait_for("all that was sent", lambda: len(heard.got) >= flow.sent, 5)
    assert heard.numbers(MARK) == list(range(flow.sent)) and not flow.errors
    heard.close()


FIRST, MIDDLE, LAST, FRESH = "10.4.0.0/24", "10.1.0.0/24", "10.5.0.0/24", "10.6.0.0/24"


def protected(gateway: Gateway) -> set[tuple[str, str]]:
    """Name and network behind west of every pair that is up."""
    return {
        (each["connection"], selector)
        for each in gateway.json("status")["child_sas"]
        for selector in (FIRST, MIDDLE, LAST, FRESH)
        if selector in str(each)
    }


def test_pairs_come_and_go_beside_one_that_loses_nothing(lab: Lab) -> None:
    """One goes from the front of the list, another comes in: at a reload, then by auto --replace and back."""
    with steady(lab, FIRST, MIDDLE, LAST) as (both, before):
        both.east.configure(nets(FIRST, MIDDLE, LAST, FRESH, auto="add"))
        both.east.ipsec("setup", "reload")
        last = sas(both.west, "nets/3x0")
        status, said = reload(both.west, nets(MIDDLE, LAST, FRESH, auto="start"))
        assert status == 0 and f'"nets/1x0" ({FIRST} === 10.2.0.0/24) is no more' in said, said
        assert said.endswith("1 added, 0 replaced, 2 unchanged, 0 refused\n")
        wait_for("the new pair", lambda: len(sas(both.west, "nets/4x0")) == 1, 10)
        assert sas(both.west, "nets/1x0") == [] and sas(both.west, "nets/3x0") == last
        both.west.configure(nets(LAST, MIDDLE, auto="start"))
        both.west.ipsec("auto", "--replace", "nets")
        assert sas(both.west, "nets/4x0") == [] and sas(both.west, "nets/3x0") == last
        assert sas(both.west, "nets/2x0") == before
        done = both.west.ipsec("auto", "--up", "nets/1x0", check=False)
        assert done.returncode == 21, "what is gone has no name"


def test_half_a_list_takes_no_pair_down(lab: Lab) -> None:
    """A file cut within its list, with an error in it, and with a key that is missing: nothing is touched."""
    with steady(lab, FIRST, MIDDLE) as (both, before):
        west = both.west
        first = sas(west, "nets/1x0")
        whole = nets(FIRST, MIDDLE, auto="start")
        signed = whole.replace("authby=secret", "authby=rsasig")
        for text in (whole[: whole.index(MIDDLE) + 5], whole.replace(MIDDLE, "10.1.0.0/240"), signed):
            assert reload(west, text)[0], text
            assert west.ipsec("auto", "--replace", "nets", check=False).returncode, text
            assert (sas(west, "nets/1x0"), sas(west, "nets/2x0")) == (first, before), text
