# SPDX-License-Identifier: GPL-2.0-or-later
"""`make fuzz`: every fuzzer in turn, `python -m tests.fuzz [SECONDS [SEED]]` seconds in all (default 60)."""

from __future__ import annotations

import sys

from tests.fuzz import fuzz_esp, wire

TARGETS = {"IKE parsers": wire.main, "packet engine": fuzz_esp.main}

seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
seed = sys.argv[2:3]
failed = 0
for name, target in TARGETS.items():
    print(f"{name}: {seconds / len(TARGETS):.0f} s", flush=True)
    failed |= target([str(seconds / len(TARGETS)), *seed])
sys.exit(failed)
