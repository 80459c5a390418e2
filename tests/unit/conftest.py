# SPDX-License-Identifier: GPL-2.0-or-later
"""A network namespace for the length of a function: what it opens there stays there, and all is gone afterwards."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import pytest

CLONE_NEWNET = 0x40000000


@pytest.fixture
def namespace() -> Callable[[Callable[[], Any]], Any]:
    """`namespace(function)` runs it in a thread with a network namespace of its own (lo is up), returns its result."""
    assert os.geteuid() == 0, "network namespaces need root: sudo make test"

    def run(function: Callable[[], Any]) -> Any:
        result: list[Any] = []
        failure: list[BaseException] = []

        def work() -> None:
            try:
                if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "unshare")
                subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
                result.append(function())
            except BaseException as why:
                failure.append(why)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if failure:
            raise failure[0]
        return result[0]

    return run
