# SPDX-License-Identifier: GPL-2.0-or-later
"""Things looked at side by side, with one end for all of them."""

from __future__ import annotations

from threading import Barrier, Event

import pytest

from openswan.base.errors import HostError
from openswan.host.errands import MARGIN, Errands


def test_they_run_side_by_side() -> None:
    errands, meeting = Errands(5.0), Barrier(3)
    sent = [errands.send(str(number), lambda: meeting.wait(5.0)) for number in range(3)]
    assert sorted(one.result(-1) for one in sent) == [0, 1, 2] and errands.late == []


def test_who_is_late_is_named() -> None:
    errands, never = Errands(0.1), Event()
    slow = errands.send("slow", never.wait)
    quick = errands.send("quick", lambda: True)
    assert quick.result(False) and not slow.result(False)
    never.set()
    assert errands.late == ["slow"] and errands.left() == 0.0


def test_who_gives_up_in_time_was_late_as_well() -> None:
    def give_up() -> int:
        raise TimeoutError

    errands = Errands(5.0)
    assert errands.send("nft", give_up).result(7) == 7 and errands.late == ["nft"]


def test_what_a_task_raises_comes_out() -> None:
    def fail() -> None:
        raise HostError("no")

    with pytest.raises(HostError, match="no"):
        Errands(5.0).send("x", fail).result(None)


def test_nobody_waits_beyond_the_end() -> None:
    assert Errands(5.0).patience(1.0) == 1.0 and Errands(1.0).patience() <= 1.0 - MARGIN
    assert Errands(0.0).patience(1.0) == MARGIN
