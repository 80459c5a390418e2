# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices and sockets: what is refused, devices that move."""

from __future__ import annotations

from openswan.plane.commands import (
    AttachDevice,
    AttachSocket,
    DetachDevice,
    DetachSocket,
    MoveDevice,
    SetSelectors,
)
from tests.fast.rig import Rig


def test_descriptors_are_refused_by_name(rig: Rig) -> None:
    assert "ipsec0 is already attached" in rig.refused(AttachDevice("ipsec0", "lo", (0,), 1500))
    assert "ipsec7 is not attached" in rig.refused(DetachDevice("ipsec7"))
    assert "already attached" in rig.refused(AttachSocket(rig.local, (rig.sock.fileno(),)))
    assert "is not attached" in rig.refused(DetachSocket(rig.remote))
    assert "socket cannot be duplicated" in rig.refused(AttachSocket(rig.remote, (9999,)))


def test_a_device_moves_to_another_physical_interface(rig: Rig) -> None:
    rig.do(MoveDevice("ipsec0", "ppp0", 1492))
    (device,) = rig.klips.devices()
    assert (device.physical, device.physical_mtu) == ("ppp0", 1492)
    assert "ipsec7 is not attached" in rig.refused(MoveDevice("ipsec7", "ppp0"))
    assert "does not exist" in rig.refused(SetSelectors(rig.in_said, ()))
