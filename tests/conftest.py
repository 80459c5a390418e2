# SPDX-License-Identifier: GPL-2.0-or-later
"""What all tests need of the place they run in."""

from __future__ import annotations

import os

import pytest

from tests.shareddata import DATA


def pytest_configure() -> None:
    """One line instead of a hundred failures when the vectors and captures nobody here wrote are not there."""
    if not DATA.is_dir():
        raise pytest.UsageError(f"the test data is missing: it belongs into {DATA}, beside this tree")
    if wanted := os.environ.get("OPENSWAN_FAST"):
        import _fast.cipher

        if os.path.dirname(_fast.cipher.__file__) != wanted:
            raise pytest.UsageError(f"the packet engine of {wanted} was to be tested, not {_fast.cipher.__file__}")
        # The sanitizers are in this process now. Programs that tests run, ip(8) for one, are not theirs to judge.
        os.environ.pop("LD_PRELOAD", None)


FULL_SIZES = (
    ("simulated handshakes", "1,200 seeds of 20,000", "make soak-sim"),
    ("simulated lives with rekeyings", "40 seeds of 400", "make soak-sim"),
    ("simulated lives with everything at once", "60 seeds of 5,000", "make soak-sim"),
    ("simulated gateways that lose lines and memory", "60 seeds of 5,000", "make soak-sim"),
    ("simulated lives of IKEv1", "40 seeds of 3,000", "make soak-ikev1"),
    ("floods of bad packets", "3,000 of each kind of 1,000,000", "make soak-badinput"),
    ("a kernel keyed by hand", "37 SAs and bundles of 1,514", "make soak-xfrm"),
    ("faults for ipsec diagnose", "7 of 133, and 2 of 70 healthy set-ups", "make soak-diagnose"),
    ("pairs of hosts that meet for the first time", "256 of 20,480, with loss and a lying DNS", "make soak-oe"),
    ("what can happen to gateways with closed groups", "4 disturbances of 200", "make soak-unrest"),
    ("a fleet with one identical file, under churn", "5 hosts of 30, for seconds", "make soak-mesh"),
    (
        "combinations with strongSwan and libreswan, of links, families, path MTUs and rekeyings",
        "a quarter, SAMPLE=1 of them",
        "make soak-interop, or SAMPLE=2 make test",
    ),
    (
        "network tests that take more than some seconds each",
        "a half, SAMPLE=1 of them",
        "make soak-interop, or SAMPLE=2 make test",
    ),
    ("random input", "seconds for each parser and the packet engine", "make fuzz, FUZZ_SECONDS=600 and more"),
    ("input guided by coverage", "what earlier runs kept", "make fuzz, FUZZ_MINUTES=30"),
    ("the packet engine under ASan, UBSan and LeakSanitizer", "nothing", "make asan"),
    ("the Debian package", "its sources, scripts, samples and examples", "make deb test-deb"),
    ("throughput, many connections, memory", "nothing: a test must not depend on a machine's speed", "make bench"),
)
"""What is too long for every run: what is taken of it here, and what runs all of it."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what this run left out, and how to run it."""
    terminalreporter.section("left out because it takes too long (results in docs/BENCHMARKS.md)")
    for what, taken, command in FULL_SIZES:
        terminalreporter.line(f"{what}: {taken}; all of it: {command}")
