# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/FLEET.md as a new user follows it: without DNS, and with keys in it.

west 192.0.2.1 ===wan=== 192.0.2.2 east
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.netns.capture import Capture
from tests.netns.gateway import Gateway
from tests.netns.knotworld import BIND_KEY, KnotWorld
from tests.netns.lab import Lab
from tests.netns.test_oe import trapped
from tests.netns.test_oedns import EAST, REVERSE, SERVER, WEST, clear_between, world_of
from tests.netns.traffic import ping

TEXT = (Path(__file__).resolve().parents[2] / "docs/FLEET.md").read_text()


def block(language: str) -> str:
    """The one fenced block of a language."""
    [found] = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return str(found)


def hosts(lab: Lab, conf: str, group: str, policy: str, resolv: str | None = None) -> list[Gateway]:
    """West and east with the same files."""
    found = [Gateway(lab[side], resolv=resolv) for side in ("west", "east")]
    for each in found:
        (each.dir / "ipsec.conf").write_text(conf)
        (each.dir / "ipsec.secrets").unlink()
        (each.dir / "ipsec.d/policies" / group).write_text(policy)
    return found


def follow(each: Gateway, commands: str) -> list[str]:
    """What the commands of a block print; the files of the page are those of the gateway."""
    lines = [line.replace("/etc/", f"{each.dir}/").split()[1:] for line in commands.splitlines()]
    return [each.ipsec(*line).stdout for line in lines]


def test_three_lines_and_a_net_encrypt_a_fleet(lab: Lab) -> None:
    lines = [line for line in block("conf").splitlines() if line.startswith("    ")]
    assert len(lines) == 3, "of policy"
    both = hosts(lab, block("conf"), "fleet", block("policy"))
    for each in both:
        assert each.ipsec("checkconfig").stdout == ""
        follow(each, block("sh"))
        trapped(each)
    with Capture(lab.west) as wire:
        assert ping(lab.west, EAST, 3, wait=4).received == 3
        assert clear_between(wire, WEST, EAST) == []


@pytest.mark.long
def test_keys_in_the_dns(lab: Lab) -> None:
    world_of(lab, zones={REVERSE: ""}, servers=KnotWorld)
    both = hosts(lab, block("dns-conf"), "private-or-clear", block("dns-policy"), "nameserver 127.0.0.1\n")
    assert SERVER in block("dns-sh")
    for each, address in zip(both, (WEST, EAST), strict=True):
        (each.dir / "ipsec.d/tsig.key").touch(mode=0o600)
        (each.dir / "ipsec.d/tsig.key").write_text(BIND_KEY)
        # Of the addresses that a host of a lab has only one is in a zone.
        said = follow(each, block("dns-sh").replace("tsig.key\n", f"tsig.key --ip {address} --host gw\n"))
        assert f"IPSECKEY: {address}, precedence 10, signed" in said[-1], said
        trapped(each, 1)
    with Capture(lab.west) as wire:
        assert ping(lab.west, EAST, 3, wait=5).received == 3, both[0].log()
        assert clear_between(wire, WEST, EAST) == []
