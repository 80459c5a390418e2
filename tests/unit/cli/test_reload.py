# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec setup reload`: what is asked and said; with living daemons in tests/netns/test_reload.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openswan.cli.reload import follow
from openswan.config.load import load

CONF = """\
conn a
    left=192.0.2.1
    right=192.0.2.2
    auto=start
conn b
    left=192.0.2.1
    right=192.0.2.3
    auto=route
conn asleep
    left=192.0.2.1
    right=192.0.2.4
"""


@pytest.fixture(autouse=True)
def _answers(pluto: Any) -> None:
    known = [{"name": name} for name in ("a", "b", "old", "block#10.0.0.0/8")]
    pluto.answers["status"] = ["000 " + json.dumps({"connections": known})]
    pluto.answers["setup"] = ["000 {}"]
    pluto.answers["add"] = ['000 "a" is as it was']
    pluto.answers["pairs"] = ["000 {}"]
    pluto.answers["rereadall"] = ["002 loading secrets", "000 done"]


def followed(places: Path, text: str) -> tuple[bool, list[str]]:
    (places / "ipsec.conf").write_text(text)
    lines: list[str] = []
    return follow(load(), lines.append), lines


def test_every_conn_is_offered_and_the_daemon_tells_what_has_changed(places: Path, pluto: Any) -> None:
    assert followed(places, CONF) == (True, ["0 added, 0 replaced, 2 unchanged, 0 refused"])
    adds = [each for each in pluto.asked if each["verb"] == "add"]
    assert [each["connection"]["name"] for each in adds] == ["a", "b"] and all(each["renew"] for each in adds)
    assert pluto.asked[1]["verb"] == "rereadall", "keys are there before a conn needs them"
    assert pluto.asked[-2] == {"verb": "retain", "names": ["a", "asleep", "b"]}
    pluto.answers["add"] = ['002 added connection description "a"']
    more = CONF + "conn c\n\tleft=192.0.2.1\n\tright=192.0.2.5\n\tauto=add\n"
    assert followed(places, more) == (True, ["1 added, 2 replaced, 0 unchanged, 0 refused"])
    pluto.answers["add"] = ["037 attempt to load incomplete connection: no"]
    good, lines = followed(places, CONF)
    assert not good and lines[-1].endswith("2 refused") and lines[0].endswith(": no")


def test_a_conn_with_an_error_stays_as_it_was(places: Path, pluto: Any) -> None:
    good, lines = followed(places, CONF.replace("right=192.0.2.3", "rihgt=192.0.2.3"))
    assert not good and any("unknown keyword 'rihgt" in line for line in lines)
    assert 'conn "b" stays as it was' in lines
    assert pluto.asked[-2] == {"verb": "retain", "names": ["a", "asleep", "b"]}
    assert [each["connection"]["name"] for each in pluto.asked if each["verb"] == "add"] == ["a"]


def test_what_the_file_has_no_more_is_named(places: Path, pluto: Any) -> None:
    pluto.answers["retain"] = ["000 old"]
    _, lines = followed(places, CONF)
    assert lines[0] == 'conn "old" is in ipsec.conf no more but in use: ipsec auto --delete old takes it down'


def test_config_setup_is_for_the_next_restart(places: Path, pluto: Any) -> None:
    pluto.answers["setup"] = ['000 {"uniqueids": "yes", "nhelpers": "1"}']
    good, lines = followed(places, f"config setup\n\tuniqueids=no\n\n{CONF}")
    assert good and lines[0] == (
        "config setup: what has changed (nhelpers, uniqueids) is for the next ipsec setup restart"
    )


def test_secrets_that_cannot_be_read_are_a_failure(places: Path, pluto: Any) -> None:
    pluto.answers["rereadall"] = ["003 ipsec.secrets:1: what is this?"]
    good, lines = followed(places, CONF)
    assert not good and lines[0] == "ipsec.secrets:1: what is this?"


NETS = """\
conn net
    left=192.0.2.1
    leftsubnets={%s}
    right=192.0.2.2
    rightsubnet=10.9.0.0/24
    auto=start
"""


@pytest.fixture
def three(pluto: Any) -> Any:
    """A daemon with three pairs."""
    runs = {f"net/{n}x0": [f"10.{n}.0.0/24", "10.9.0.0/24"] for n in (1, 2, 3)}
    pluto.answers["status"] = ["000 " + json.dumps({"connections": [{"name": name} for name in runs]})]
    pluto.answers["pairs"] = ["000 " + json.dumps(runs)]
    return pluto


def test_pairs_are_matched_by_what_they_protect_and_those_that_are_gone_go(places: Path, three: Any) -> None:
    three.answers["add"] = []
    good, lines = followed(places, NETS % "10.2.0.0/24 10.3.0.0/24 10.4.0.0/24")
    assert good and lines[0] == 'conn "net/1x0" (10.1.0.0/24 === 10.9.0.0/24) is no more, it is taken down'
    adds = [each for each in three.asked if each["verb"] == "add"]
    assert [(each["connection"]["name"], "check" in each) for each in adds] == [
        (name, check) for check in (True, False) for name in ("net/2x0", "net/3x0", "net/4x0")
    ]
    names = ["net/2x0", "net/3x0", "net/4x0"]
    assert {"verb": "prune", "name": "net", "names": names, "fresh": ["net/4x0"]} in three.asked
    assert three.asked[-2] == {"verb": "retain", "names": ["net/1x0", *names]}, "what is in use is not named twice"


def test_a_conn_of_which_one_pair_is_refused_is_not_touched(places: Path, three: Any) -> None:
    three.answers["add"] = ['028 "net/2x0" stays as it was: no key']
    good, lines = followed(places, NETS % "10.2.0.0/24 10.3.0.0/24")
    assert not good and lines == ['"net/2x0" stays as it was: no key', "0 added, 0 replaced, 0 unchanged, 2 refused"]
    assert all("check" in each for each in three.asked if each["verb"] == "add")
    assert not any(each["verb"] == "prune" for each in three.asked)
    assert three.asked[-2]["names"] == ["net/1x0", "net/2x0", "net/3x0"], "nor is it taken for what is left over"


def test_pairs_of_a_conn_with_an_error_stay(places: Path, three: Any) -> None:
    good, lines = followed(places, NETS % "10.2.0.0/24 10.3.0.0/")
    assert not good
    assert [line for line in lines if "stays as it was" in line] == [
        f'conn "net/{n}x0" stays as it was' for n in (1, 2, 3)
    ]
    assert not any(each["verb"] in ("add", "prune") for each in three.asked)


@pytest.mark.parametrize("gone", ["rightsubnet=10.9.0.0/24", "leftsubnets={10.2.0.0/24}"])
def test_a_conn_that_has_none_of_its_pairs_any_more_keeps_them(places: Path, three: Any, gone: str) -> None:
    """So a file does that is cut off before its lists."""
    good, lines = followed(places, (NETS % "10.2.0.0/24").replace(gone, ""))
    assert not good and lines[0] == (
        'conn "net" has none of its pairs any more, they stay: ipsec auto --replace net takes them down'
    )
    assert not any(each["verb"] in ("add", "prune") for each in three.asked)
    assert set(three.asked[-2]["names"]) >= {"net/1x0", "net/2x0", "net/3x0"}
