# SPDX-License-Identifier: GPL-2.0-or-later
"""Has the kernel the hook of the last guard? Tried by a child process, in a network namespace of its own.

Where a hook goes the kernel drops all that waits in NFQUEUE, so none is tried where a daemon may be at work.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

from openswan.base.errors import HostError
from openswan.host import nfnetlink as nf

TABLE = "openswan_trial"
CLONE_NEWNET = 0x40000000
PATIENCE = 10.0


def supported() -> str:
    """Empty if it has, else why not."""
    words = (sys.executable, "-m", "openswan.host.guard.trial")
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as why:
        return str(why)
    if done.returncode:
        return (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
    return done.stdout.strip()


def attempt() -> str:
    """The same, tried here: this process is in a new network namespace afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        return f"no network namespace to try it in: {os.strerror(ctypes.get_errno())}"
    try:
        nft = nf.Nftables(TABLE, family=nf.NFPROTO_NETDEV)
    except OSError as why:
        return str(why)
    try:
        nft.commit([nft.new_table(0), nft.base_chain("trial", "filter", "egress", 0, "lo")])
    except HostError as why:
        return str(why)
    finally:
        nft.close()
    return ""


if __name__ == "__main__":
    print(attempt())
