# SPDX-License-Identifier: GPL-2.0-or-later
"""The outcome of a check of `ipsec verify`, and what checks look at."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from openswan.base.address import Address
from openswan.host.machine import Machine

OK, FAILED, WARNING, NOTHING = "OK", "FAILED", "WARNING", "N/A"
DISABLED, MISSING, NOT_FOUND = "DISABLED", "MISSING", "NOT FOUND"
COLOURS = {OK: 32, FAILED: 31, NOTHING: 0, DISABLED: 0}
"""Of SGR sequences; whatever is not here is yellow."""
WIDTH = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    text: str
    verdict: str
    hints: tuple[str, ...] = ()
    """What was found, and what to do."""

    def line(self, colour: bool = False) -> str:
        """`TEXT padded to 50 columns, a tab, [VERDICT]`."""
        verdict = f"[{self.verdict}]"
        if colour and (code := COLOURS.get(self.verdict, 33)):
            verdict = f"\033[{code}m{verdict}\033[0m"
        return f"{self.text:<{WIDTH}}\t{verdict}"


@dataclass(frozen=True, slots=True)
class Scene:
    """What the checks look at."""

    machine: Machine
    name: str
    """Of this host."""
    address: Address | None
    """To look for in the DNS; None: those of the interfaces."""
    asked: bool
    """Did the command line ask for the DNS checks?"""


Check: TypeAlias = Callable[[Scene], Iterator[Finding]]


def show(findings: Iterable[Finding], colour: bool = False) -> bool:
    """Print each as soon as it is there; has none failed?"""
    failed = False
    for finding in findings:
        print(finding.line(colour))
        for hint in finding.hints:
            print(f"    {hint}")
        sys.stdout.flush()
        failed |= finding.verdict == FAILED
    return not failed


def report(checks: Iterable[tuple[str, Check]], scene: Scene, colour: bool = False) -> bool:
    """Print every check below its heading, if it has one; has none failed?"""
    failed = False
    for heading, check in checks:
        if heading:
            print(heading)
        failed |= not show(check(scene), colour)
    return not failed
