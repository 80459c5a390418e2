# SPDX-License-Identifier: GPL-2.0-or-later
"""Every question a rule may ask can be put to the kernel and said in words."""

from __future__ import annotations

from typing import get_args

from openswan.host.guard.expressions import COMPILE
from openswan.host.guard.matches import Test
from openswan.host.guard.text import TEXT


def test_every_back_end_knows_every_question() -> None:
    assert set(get_args(Test)) == set(COMPILE) == set(TEXT)
