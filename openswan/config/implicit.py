# SPDX-License-Identifier: GPL-2.0-or-later
"""The conns that exist without being written when oe=yes: traffic of no other conn, and the policy groups."""

from __future__ import annotations

_HERE = {"left": "%defaultroute", "leftnexthop": "%defaultroute", "auto": "route"}
_ANYWHERE = {"rightsubnet": "0.0.0.0/0"}
_GROUP = {"right": "%opportunisticgroup", **_ANYWHERE}
_SHORT = {"salifetime": "1800", "keyingtries": "3", "ikelifetime": "3600"}
_LAZY = {"rekey": "no"}

IMPLICIT: dict[str, dict[str, str]] = {
    "packetdefault": {
        **_HERE,
        "leftsubnet": "0.0.0.0/0",
        "right": "%opportunistic",
        **_ANYWHERE,
        **_SHORT,
        **_LAZY,
        "type": "tunnel",
        "authby": "rsasig",
        "failureshunt": "passthrough",
    },
    "clear": {**_HERE, "right": "%group", **_ANYWHERE, "type": "passthrough"},
    "clear-or-private": {**_HERE, **_GROUP, **_SHORT, "type": "passthrough"},
    "private-or-clear": {
        **_HERE,
        **_GROUP,
        **_SHORT,
        **_LAZY,
        "type": "tunnel",
        "authby": "rsasig",
        "failureshunt": "passthrough",
    },
    "private": {**_HERE, **_GROUP, **_SHORT, **_LAZY, "type": "tunnel", "authby": "rsasig", "failureshunt": "drop"},
    "block": {**_HERE, **_GROUP, "type": "reject"},
}
"""Name to keywords, in the order they are appended; a conn of the user's with such a name takes its place."""
