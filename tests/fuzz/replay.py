# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m tests.fuzz.replay TARGET [FILE ...]`: run the kept inputs, or these files, through one target."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.fuzz import corpus, native
from tests.fuzz.seeds import seeds


def main(argv: list[str]) -> int:
    """0 when nothing complained; without a target, its names."""
    if not argv or not argv[0]:
        print(*native.NAMES)
        return 0
    target = argv[0]
    kept, found = corpus.load(target)
    inputs = [Path(name).read_bytes() for name in argv[1:]] or [*kept, *found, *seeds(target)]
    for data in inputs:
        if why := native.replay(target, data):
            print(f"{target}: {why}: {data.hex()}")
            return 1
    print(f"{target}: {len(inputs)} inputs")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
