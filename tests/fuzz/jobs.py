# SPDX-License-Identifier: GPL-2.0-or-later
"""How much of the machine fuzzers take: FUZZ_JOBS targets side by side (as many as there are cores), each at FUZZ_NICE
(19, the lowest priority).
"""

from __future__ import annotations

import os


def jobs() -> int:
    """Targets side by side."""
    return int(os.environ.get("FUZZ_JOBS") or os.cpu_count() or 1)


def nice(*argv: str) -> list[str]:
    """The command `argv` at a fuzzer's priority."""
    return ["nice", "-n", os.environ.get("FUZZ_NICE") or "19", *argv]
