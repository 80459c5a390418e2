# SPDX-License-Identifier: GPL-2.0-or-later
"""Every pair of inner and outer ECN of RFC 6040 figure 4, both families."""

from __future__ import annotations

import pytest

from _fast.ecn import inward
from openswan.base.drops import Drop
from tests.fast.rig import HERE, THERE, udp

NOT_ECT, ECT1, ECT0, CE = range(4)
FIGURE_4 = {
    (NOT_ECT, NOT_ECT): (NOT_ECT, False),
    (NOT_ECT, ECT0): (NOT_ECT, True),
    (NOT_ECT, ECT1): (NOT_ECT, True),
    (NOT_ECT, CE): (None, True),
    (ECT0, NOT_ECT): (ECT0, False),
    (ECT0, ECT0): (ECT0, False),
    (ECT0, ECT1): (ECT1, False),
    (ECT0, CE): (CE, False),
    (ECT1, NOT_ECT): (ECT1, False),
    (ECT1, ECT0): (ECT1, True),
    (ECT1, ECT1): (ECT1, False),
    (ECT1, CE): (CE, False),
    (CE, NOT_ECT): (CE, False),
    (CE, ECT0): (CE, False),
    (CE, ECT1): (CE, True),
    (CE, CE): (CE, False),
}


@pytest.mark.parametrize(("inner", "outer"), sorted(FIGURE_4))
@pytest.mark.parametrize("ends", [(HERE, THERE), ("fd01::5", "fd02::7")])
@pytest.mark.parametrize("dscp", [0, 0xB8])
def test_figure_4(inner: int, outer: int, ends: tuple[str, str], dscp: int) -> None:
    result, alarm = FIGURE_4[inner, outer]
    why, packet, alarms = inward(udp(*ends, 1, 2, tos=dscp | inner), 0x48 | outer)
    assert alarms == alarm
    if result is None:
        assert (why, packet) == (Drop.CONGESTED, b"")
    else:
        assert (why, packet) == (0, udp(*ends, 1, 2, tos=dscp | result))


@pytest.mark.parametrize("ends", [(HERE, THERE), ("fd01::5", "fd02::7")])
@pytest.mark.parametrize("outer", [0, 0x48, 0x4B, 0xB8, 0xFC])
@pytest.mark.parametrize("inner", [0xB8, 0xBA, 0x02])
def test_the_dscp_goes_inside_where_that_is_wanted(inner: int, outer: int, ends: tuple[str, str]) -> None:
    ecn, _ = FIGURE_4[inner & 3, outer & 3]
    why, packet, _ = inward(udp(*ends, 1, 2, tos=inner), outer, dscp=True)
    if ecn is None:
        assert (why, packet) == (Drop.CONGESTED, b"")
    else:
        assert (why, packet) == (0, udp(*ends, 1, 2, tos=(outer & 0xFC) | ecn))


def test_what_is_no_packet() -> None:
    assert inward(b"\x45" + bytes(10), 3)[0] == Drop.MALFORMED
