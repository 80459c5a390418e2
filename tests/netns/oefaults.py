# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of opportunistic encryption for `ipsec diagnose`, with a DNS of real servers: see faults.py and test_oedns.py.

What west has in its group `private` is advertised by a signed DNS; the fault is at who is advertised.
"""

from __future__ import annotations

from typing import Any

from tests.netns.conns import setup
from tests.netns.diagnosing import Fault, Step, World
from tests.netns.faultsteps import rule
from tests.netns.keys import Key, pem
from tests.netns.lab import LabError, wait_for
from tests.netns.test_oedns import CONF, EAST, FIRST, LOCAL, SECOND, WEST, ipseckey, txt, world_of

ABSENT = "192.0.2.66"
KEYS: dict[str, Key] = {"west": FIRST, "east": SECOND}
TEXT = dict.fromkeys(("west", "east"), setup() + CONF)


def advertised(records: str, group: str = "private", far: str = EAST, started: str = "west east") -> Step:
    """A step: the DNS has these records and west's, each gateway that is started its key, and each the other in a
    group."""

    def step(world: World) -> None:
        world_of(world.lab, records)
        for side, other in (("west", far), ("east", WEST)):
            if side not in started:
                continue
            folder = world.gateway(side).dir
            path = folder / f"ipsec.d/private/{side}.pem"
            path.touch(mode=0o600)
            path.write_bytes(pem(KEYS[side]))
            world.gateway(side).configure(secrets=f": RSA {side}.pem\n")
            (folder / "ipsec.d/policies" / group).write_text(f"{other}\n")

    return step


def meets(far: str, word: str) -> Step:
    """A step: west sends something, and waits until the pair meets what `word` says, for what the DNS advertises.

    On a busy machine the DNS may answer later than first packets wait, or say that it cannot: west forgets that and
    asks again, as the fault is what the record says.
    """

    def step(world: World) -> None:
        wait_for("the group", lambda: "%trap" in world.west.ipsec("eroute").stdout, 8)

        def heard() -> bool:
            rows = [row for row in world.west.json("status")["pairs"] if row["dst"] == far]
            if not any(row["meets"] for row in rows):
                world.lab.west.run("ping", "-c", "1", "-W", "1", far, check=False)
            elif any(row["state"] in ("drop", "pass") and not row["advertised"] for row in rows):
                world.west.ipsec("whack", "--deletepair", "--oppohere", WEST, "--oppothere", far, check=False)
            return any(row["meets"] == word and row["advertised"] for row in rows)

        try:
            wait_for(f"{word}, and the record", heard, 30)
        except LabError as why:
            raise LabError(f"{why}: {world.west.json('status')['pairs']}\n{world.west.log(60)}") from why

    return step


def advertising(name: str, records: str, codes: str = "", remedy: str = "", far: str = EAST, **more: Any) -> Fault:
    """A world in which west has sent something to `far`, and diagnoses it."""
    started = more.pop("started", "west east")
    return Fault(
        name,
        codes,
        remedy,
        text=TEXT,
        resolv=LOCAL,
        east_resolv=LOCAL,
        up=False,
        started=started,
        target=far,
        before=advertised(records, far=far, started=started),
        late=meets(far, "%drop" if codes else "tunnel"),
        **more,
    )


DNS = (
    advertising(
        "the DNS advertises a dead host",
        ipseckey(66, SECOND),
        "dead-record",
        r"publish --remove.*move the line 192\.0\.2\.66/32 of ipsec\.d/policies/private into",
        far=ABSENT,
        started="west",
    ),
    advertising(
        "the DNS advertises a host where IPsec does not run",
        txt(2, SECOND, EAST),
        "dead-record",
        r"at 192\.0\.2\.2: ipsec setup start",
        started="west",
    ),
    advertising(
        "our own firewall keeps IKE from a host that the DNS advertises",
        ipseckey(2, SECOND),
        "firewall-out-500",
        "iptables -D OUTPUT",
        after=rule("west", "-A", "OUTPUT", "-p", "udp", "--dport", "500", "-j", "DROP"),
    ),
    advertising("the DNS advertises another key than the peer has", ipseckey(2, FIRST), "record-key", "ipsec publish"),
)
ALIVE = (advertising("the DNS advertises a host that answers", ipseckey(2, SECOND)),)
"""The same DNS, and nothing wrong."""
