# SPDX-License-Identifier: GPL-2.0-or-later
"""The kept inputs of the coverage-guided fuzzers: tests/fuzz/corpus/TARGET.txt, one input a line,
deflated and in base64.

Lines after `# found` were crashes or complaints once and stay for good; the others are a minimised set that reaches all
code the fuzzer ever reached, and are replaced as a whole.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable
from hashlib import sha1
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "corpus"
HEAD = "# SPDX-License-Identifier: GPL-2.0-or-later\n"
FOUND = "# found"


def _line(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode() + "\n"


def load(target: str) -> tuple[list[bytes], list[bytes]]:
    """(kept for coverage, found to fail once) of one target."""
    path = FOLDER / f"{target}.txt"
    kept: list[bytes] = []
    found: list[bytes] = []
    into = kept
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.startswith(FOUND):
            into = found
        elif not line.startswith("#"):
            into.append(zlib.decompress(base64.b64decode(line)))
    return kept, found


def store(target: str, kept: Iterable[bytes], found: Iterable[bytes]) -> None:
    """Write one target's file, shortest inputs first."""
    FOLDER.mkdir(exist_ok=True)
    lines = [_line(each) for each in sorted(set(kept), key=lambda data: (len(data), data))]
    failed = [_line(each) for each in dict.fromkeys(found)]
    (FOLDER / f"{target}.txt").write_text("".join([HEAD, *lines, FOUND + "\n", *failed]))


def unpack(inputs: Iterable[bytes], folder: Path) -> None:
    """A file for each input, as libFuzzer wants them."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in inputs:
        (folder / sha1(data).hexdigest()).write_bytes(data)
