# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists of proposals and of transforms inside an SA payload, framed alike in both IKE versions (RFC 2408 3.5, 3.6).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+---------------+-------------------------------+
| 0 last, or 2  |   reserved    |   length of header and body   |
| or 3 for more |               |                               |
+---------------+---------------+-------------------------------+
```
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer

LAST, MORE_PROPOSALS, MORE_TRANSFORMS = 0, 2, 3
HEADER_OCTETS = 4

Part = TypeVar("Part")


def parse_list(
    reader: Reader, name: str, parse: Callable[[Reader], Part], more: int, limit: int, *, strict: bool = False
) -> tuple[Part, ...]:
    """Read parts up to the reader's end; `parse` gets a reader that ends with the part.

    WireError when there are more than `limit`, a length is wrong, the first octet does not agree with what follows,
    or (`strict`) the reserved octet is not zero. `name` is for the message.
    """
    found: list[Part] = []
    while reader.remaining:
        if len(found) >= limit:
            raise WireError(f"more than {limit} {name}s")
        last, reserved, length = reader.u8(), reader.u8(), reader.u16()
        if length < HEADER_OCTETS:
            raise WireError(f"{name} of length {length}")
        if strict and reserved:
            raise WireError(f"{name} {len(found) + 1} with a reserved octet that is not zero")
        with reader.restrict_to(length - HEADER_OCTETS):
            found.append(parse(reader))
        if last != (more if reader.remaining else LAST):
            raise WireError(f"{name} {len(found)} says {last} where its list says otherwise")
    return tuple(found)


def emit_list(bodies: Sequence[bytes], more: int) -> bytes:
    """The bodies with their headers."""
    out = Writer()
    for index, body in enumerate(bodies, 1):
        out.u8(more if index < len(bodies) else LAST).u8(0).u16(len(body) + HEADER_OCTETS).octets(body)
    return out.done()
