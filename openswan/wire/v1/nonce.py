# SPDX-License-Identifier: GPL-2.0-or-later
"""Nonce payload (RFC 2408 3.13, RFC 2409 5).

```
+---------------------------------------------------------------+
|                    8 to 256 octets of nonce                   |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from openswan.wire.v1.body import Opaque
from openswan.wire.v1.numbers import PayloadType


@dataclass(frozen=True, slots=True)
class Nonce(Opaque):
    """Ni_b or Nr_b of a phase 1 or Quick Mode."""

    TYPE: ClassVar[PayloadType] = PayloadType.NONCE
    LEAST: ClassVar[int] = 8
    MOST: ClassVar[int] = 256
