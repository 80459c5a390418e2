# SPDX-License-Identifier: GPL-2.0-or-later
"""`make soak-interop`: every combination with other implementations, of which `make test` takes a sample.

`python -m tests.soak.interop [PYTEST_ARGUMENT...]`
"""

from __future__ import annotations

import os
import sys

import pytest


def main() -> int:
    """All of the peer tests, one after the other."""
    os.environ["SAMPLE"] = "all"
    return int(pytest.main(["-m", "peer", "tests/netns", *sys.argv[1:]]))


if __name__ == "__main__":
    sys.exit(main())
