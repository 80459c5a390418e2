# SPDX-License-Identifier: GPL-2.0-or-later
"""What a gateway is asked for when it is asked for nothing."""

from __future__ import annotations

from pathlib import Path

from openswan.daemon.wanted import Places, Wanted


def test_nothing_is_brought_up_by_itself() -> None:
    here = Path("/nowhere")
    wanted = Wanted(Places(here, here, here, here))
    assert wanted.connections is None and not wanted.manual and not wanted.interfaces and not wanted.override_mtu
