# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/QUICKSTART.md in two bare roots, by the clock: what the machine needs, and what typing takes a person."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests.deb.root import Root
from tests.netns.lab import Lab, wait_for
from tests.netns.test_quickstart import blocks
from tests.netns.traffic import ping

KEYS_A_SECOND = 3.0
"""Of somebody who looks at each word: half as fast as people copy text."""
MOST = 300.0
"""Five minutes."""


def follow(lab: Lab, roots: Sequence[Root], installed: float) -> str:
    """Configure, start and look as the page says, then stop; what it took. `installed`: seconds one root's apt took."""
    begun = time.monotonic()
    [conf], [secrets], [start, look] = blocks("conf"), blocks("secrets"), blocks("sh")
    before = [(root.path / "etc/ipsec.conf").read_text() for root in roots]
    kept = [(root.path / "etc/ipsec.secrets").read_text() for root in roots]
    for root in roots:
        (root.path / "etc/ipsec.conf").write_text(conf)
        (root.path / "etc/ipsec.secrets").write_text(secrets)
        assert root.run("ipsec", "checkconfig").stdout == ""
        root.run(*start.split())
    wait_for("traffic", lambda: ping(lab.sunset, "10.2.0.2", 1).received, 30, 0.2)
    took = time.monotonic() - begun
    for line in look.splitlines():
        roots[0].run(*line.split())
    assert roots[0].run("ipsec", "diagnose", "office").stdout == "nothing wrong was found; up: office\n"
    for root, text, secret in zip(roots, before, kept, strict=True):
        root.run("ipsec", "setup", "stop")
        (root.path / "etc/ipsec.conf").write_text(text)
        (root.path / "etc/ipsec.secrets").write_text(secret)
    # The other end has the same file: it is copied there.
    typed = (len(conf) + len(secrets) + 2 * len(start) + len(look)) / KEYS_A_SECOND
    whole = 2 * installed + took + typed
    assert whole < MOST, f"{whole:.0f} s"
    return (
        f"docs/QUICKSTART.md: {installed:.1f} s to install, {took:.1f} s from the first command to traffic; "
        f"with both installed one after the other and {typed:.0f} s of typing {whole:.0f} s"
    )
