# SPDX-License-Identifier: GPL-2.0-or-later
"""Key Exchange payload (RFC 2408 3.7, RFC 2409 5).

```
+---------------------------------------------------------------+
|          public value, as long as its group wants it          |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from openswan.wire.v1.body import Opaque
from openswan.wire.v1.numbers import PayloadType


@dataclass(frozen=True, slots=True)
class Ke(Opaque):
    """g^xi or g^xr of the group the SA payload names; crypto.dh checks its length and range."""

    TYPE: ClassVar[PayloadType] = PayloadType.KE
