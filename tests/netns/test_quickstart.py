# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/QUICKSTART.md as a new user follows it.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.traffic import assert_ping

TEXT = (Path(__file__).resolve().parents[2] / "docs/QUICKSTART.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_its_blocks_make_a_tunnel(lab: Lab) -> None:
    [conf], [secrets], [start, look] = blocks("conf"), blocks("secrets"), blocks("sh")
    assert len(conf.splitlines()) <= 8
    both = [Gateway(lab[side]) for side in ("west", "east")]
    for gateway in both:
        (gateway.dir / "ipsec.conf").write_text(conf)
        gateway.configure(secrets=secrets)
        assert gateway.ipsec("checkconfig").stdout == ""
        gateway.ipsec(*start.split()[1:])
    west = both[0]
    for gateway in both:
        gateway.wait_tunnels()
    assert_ping(lab.sunset, "10.2.0.2", 2)
    said = [west.ipsec(*line.split()[1:]).stdout for line in look.splitlines()]
    assert '"office"' in said[0] and "inBytes=" in said[1]
    wait_for("a clean diagnosis", lambda: west.ipsec("diagnose", "office", check=False).stdout
             == "nothing wrong was found; up: office\n", 10)  # fmt: skip
