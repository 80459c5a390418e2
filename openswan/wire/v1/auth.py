# SPDX-License-Identifier: GPL-2.0-or-later
"""Hash and Signature payloads (RFC 2408 3.11, 3.12).

```
+---------------------------------------------------------------+
|                       hash, or signature                      |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from openswan.wire.v1.body import Opaque
from openswan.wire.v1.numbers import PayloadType


@dataclass(frozen=True, slots=True)
class Hash(Opaque):
    """HASH_I, HASH_R or HASH(1) to HASH(3) (RFC 2409 5); compare in constant time."""

    TYPE: ClassVar[PayloadType] = PayloadType.HASH
    MOST: ClassVar[int] = 64


@dataclass(frozen=True, slots=True)
class Sig(Opaque):
    """SIG_I or SIG_R over HASH_I or HASH_R (RFC 2409 5.1)."""

    TYPE: ClassVar[PayloadType] = PayloadType.SIG
