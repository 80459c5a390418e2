# SPDX-License-Identifier: GPL-2.0-or-later
"""Vendor ID payload, and the IDs that announce what this project speaks (RFC 2408 3.16).

```
+---------------------------------------------------------------+
|                           vendor ID                           |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from openswan.wire.v1.body import Opaque
from openswan.wire.v1.numbers import PayloadType


@dataclass(frozen=True, slots=True)
class VendorId(Opaque):
    """What implementation speaks, or which extension it knows."""

    TYPE: ClassVar[PayloadType] = PayloadType.VENDOR
    LEAST: ClassVar[int] = 0


NATT_RFC = bytes.fromhex("4a131c81070358455c5728f20e95452f")
"""MD5 of "RFC 3947" (RFC 3947 3.1)."""
NATT_DRAFT_03 = bytes.fromhex("7d9419a65310ca6f2c179d9215529d56")
NATT_DRAFT_02_N = bytes.fromhex("90cb80913ebb696e086381b5ec427b1f")
"""MD5 of the draft's name and a line feed, which is what its authors' own code sends."""
NATT_DRAFT_02 = bytes.fromhex("cd60464335df21f87cfdb2fc68b6a448")
DPD = bytes.fromhex("afcad71368a1f1c96b8696fc77570100")
"""RFC 3706 5.1: the last two octets are the version, 1.0."""
OWN = bytes.fromhex("3c6b14ff45bfd0952c0613f48e8e63eb")
"""Ours: MD5 of "Openswan, many Quick Modes at once, 1"."""
XAUTH = bytes.fromhex("09002689dfd6b712")
"""draft-beaulieu-ike-xauth-02 2."""
UNITY = bytes.fromhex("12f5f28c457168a9702d9fe274cc0100")
"""Cisco's."""
FRAGMENTATION = bytes.fromhex("4048b7d56ebce88525e7de7f00d6c2d3")
"""MD5 of "FRAGMENTATION"; four octets of capabilities may follow."""
FRAGMENTATION_MAIN = FRAGMENTATION + bytes.fromhex("80000000")
"""With the one that all of phase 1 may come in pieces, as strongSwan wants it; libreswan wants it without."""
