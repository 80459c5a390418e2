# SPDX-License-Identifier: GPL-2.0-or-later
"""What `ipsec verify` says of one check: a line with a verdict, and lines below it."""

from __future__ import annotations

from dataclasses import dataclass

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
