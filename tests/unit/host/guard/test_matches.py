# SPDX-License-Identifier: GPL-2.0-or-later
"""Every question a rule may ask can be put to the kernel and said in words."""

from __future__ import annotations

from typing import get_args

from openswan.host.guard import expressions, text
from openswan.host.guard.matches import Test


def test_every_back_end_knows_every_question() -> None:
    questions = set(get_args(Test))
    for backend in (expressions.COMPILE, expressions.BY_MARK), (text.TEXT, text.BY_MARK):
        assert questions == {*backend[0], *backend[1]}
