# SPDX-License-Identifier: GPL-2.0-or-later
"""`make soak-interop`: every combination with other implementations, of path MTUs and rekeyings; all that takes long.

`make test` takes a sample of them.

`python -m tests.soak.interop [PYTEST_ARGUMENT...]`
"""

from __future__ import annotations

import os
import sys

import pytest


def main() -> int:
    """All of the peer tests, the matrices and the long ones, one after the other."""
    os.environ["SAMPLE"] = "all"
    return int(pytest.main(["-m", "peer or matrix or long", "tests/netns", *sys.argv[1:]]))


if __name__ == "__main__":
    sys.exit(main())
