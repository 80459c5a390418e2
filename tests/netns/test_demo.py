# SPDX-License-Identifier: GPL-2.0-or-later
"""The demonstration holds what it claims, in time, and leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.netns.lab import PREFIX, namespaces, run

ROOT = Path(__file__).resolve().parents[2]


def remains() -> tuple[str, str]:
    """What a demonstration could leave outside its namespaces: devices and rules."""
    return run("ip", "-o", "link").stdout, run("nft", "list", "ruleset", check=False).stdout


def test_the_demonstration() -> None:
    before = remains()
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.netns.demo"], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )
    took = time.monotonic() - begin
    assert done.returncode == 0, done.stdout + done.stderr
    assert took < 30, f"{took:.1f} s"
    assert done.stdout.count("[ok]") >= 12 and "namespaces left: 0" in done.stdout
    assert remains() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demonstration_puts_everything_away(number: signal.Signals) -> None:
    before = remains()
    demo = subprocess.Popen(
        [sys.executable, "-u", "-m", "tests.netns.demo"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout
    for line in demo.stdout:
        if "Openswan IPsec started" in line:
            break
    demo.send_signal(number)
    _, said = demo.communicate(timeout=30)
    assert demo.returncode == 130 and "interrupted" in said and "Traceback" not in said, said
    assert not [name for name in namespaces() if name.startswith(f"{PREFIX}{demo.pid}x")]
    assert remains() == before
