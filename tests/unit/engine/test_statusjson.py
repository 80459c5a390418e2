# SPDX-License-Identifier: GPL-2.0-or-later
"""The JSON form of status, and that its documentation has every key."""

from __future__ import annotations

import json
import re
from pathlib import Path

from openswan.engine.events import GuardSeen
from tests.sim.pair import make_pair, tunnel


def test_json_says_the_same() -> None:
    pair = make_pair(1)
    west, east = tunnel()
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up)
    document = json.loads(pair.east.say("status", json=True)[0][1])
    (child,) = document["child_sas"]
    (ike,) = document["ike_sas"]
    assert child["connection"] == "net-net" and child["eroute_owner"] and not child["initiator"]
    assert child["ike"] == ike["serial"] and ike["peer_id"] == "@west" and ike["established"]
    (only,) = document["connections"]
    assert only["routing"] == "erouted" and only["guarded"] and only["eroute_owner"] == child["serial"]


def test_the_documentation_has_every_key() -> None:
    pair = make_pair(1)
    west, east = tunnel()
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up)
    pair.west.pluto.brain.leakguard.seen(GuardSeen("nft", {"out4": 1}, ("eth0",), {"last4": 2}))
    document = json.loads(pair.west.say("status", json=True)[0][1])
    text = (Path(__file__).resolve().parents[3] / "docs/STATUS.md").read_text()
    head, *parts = re.split(r"^## An? ", text, flags=re.MULTILINE)
    tables = [
        {
            key
            for row in part.splitlines()
            if row.startswith("| `")
            for key in re.findall(r"`([a-z_]+)`", row.split("|")[1])
        }
        for part in parts
    ]
    assert tables == [set(document[name][0]) for name in ("connections", "ike_sas", "child_sas")]
    assert set(document) <= set(re.findall(r"`([a-z_]+)`", head)) and document["version"] == 1
    guard = document["guard"]
    assert {*guard, *guard["dropped"], *guard["last"], *guard["last"]["dropped"]} <= set(re.findall(r"`(\w+)`", head))
