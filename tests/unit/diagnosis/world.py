# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts of a healthy gateway, for the tests of what is found when something is changed in them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from openswan.config.load import Loaded, load_text
from openswan.diagnosis.facts import Config, Daemon, Facts, Line, Link, Machine, Peer, Way
from openswan.diagnosis.finding import Finding
from openswan.diagnosis.judge import judge

NOW = 1_795_000_000.0
ME, HIM = ip_address("192.0.2.1"), ip_address("198.51.100.7")
CONF = """\
conn net
	left=192.0.2.1
	leftsubnet=10.1.0.0/24
	right=198.51.100.7
	rightsubnet=10.2.0.0/24
	authby=secret
	auto=add
"""


def loaded(text: str = CONF) -> Loaded:
    """A configuration."""
    return load_text(text, "/etc/ipsec.conf", lambda pattern, directory: [], lambda name: (b"",))


def config(text: str = CONF) -> Config:
    """What the gatherer makes of one."""
    found = loaded(text)
    return Config(
        complaints=found.complaints,
        conns=found.connections,
        names=tuple(flat.name for flat in found.flat),
        automatic={flat.name: flat.text("auto") or "ignore" for flat in found.flat},
    )


ROW = {
    "name": "net", "instance": 0, "oriented": True, "me": str(ME), "peer": str(HIM), "device": "ipsec0",
    "local": "10.1.0.0/24", "remote": "10.2.0.0/24", "routing": "erouted", "wanted": True, "kind": "CK_PERMANENT",
    "policy": "PSK+ENCRYPT+TUNNEL+PFS", "ike_life": 3600.0, "ipsec_life": 28800.0, "guarded": True,
}  # fmt: skip
CHILD = {"serial": 2, "connection": "net", "ike": 1, "age": 60.0, "encapsulated": False}
COUNTS = {"packets": 9, "idle": 1.0, "replays": 0, "auth_failures": 0, "selector_failures": 0, "path_mtu": 1500}


def up() -> Facts:
    """A tunnel that is up and carries packets both ways."""
    return Facts(
        now=NOW,
        config=config(),
        daemon=Daemon(started=NOW - 100),
        machine=Machine(
            addresses=((ME, "wan"), (ip_address("10.1.0.1"), "lan"), (ip_address("127.0.0.1"), "lo")),
            links={"wan": Link("wan", True), "lan": Link("lan", True)},
            tunnels={"ipsec0": Link("ipsec0", True)},
            routed=("10.2.0.0/24",),
        ),
        peers={"net": Peer(address=HIM, way=Way("wan", source=ME), answers={500: True, 4500: True})},
        connections=(ROW,),
        ike_sas=({"serial": 1, "connection": "net", "established": True},),
        child_sas=(CHILD,),
        eroutes=({"serial": 2, "owner": "net", "dst": "10.2.0.0/24"},),
        sas=tuple({"serial": 2, "direction": way, **COUNTS} for way in ("in", "out")),
    )


def down(*lines: tuple[str, str], **row: Any) -> Facts:
    """The same, not up, with these (event, text) in its log."""
    return replace(
        up(),
        connections=({**ROW, "routing": "unrouted", **row},),
        ike_sas=(),
        child_sas=(),
        sas=(),
        eroutes=(),
        log=tuple(Line(NOW - 10 + n, event, text) for n, (event, text) in enumerate(lines)),
    )


def first(facts: Facts) -> Finding:
    """What is found first."""
    return judge(facts)[0]


def codes(facts: Facts) -> list[str]:
    """All that is found, in order."""
    return [one.code for one in judge(facts)]
