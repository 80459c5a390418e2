# SPDX-License-Identifier: GPL-2.0-or-later
"""`status --json`, as docs/STATUS.md describes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from openswan.engine.children import xfrm
from openswan.engine.status import facts

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

VERSION = 1
"""Of the JSON form; docs/STATUS.md. A key that is taken away or means something else makes it another one."""


def _children(brain: Brain) -> list[dict[str, Any]]:
    return [
        {
            "serial": child.serial,
            "connection": child.conn.unique,
            "ike": child.ike.serial,
            "in": str(child.said_in),
            "out": str(child.said_out),
            "protocol": str(child.chosen.protocol).lower(),
            "mode": "transport" if child.transport else "tunnel",
            "xfrm": xfrm(child),
            "esn": child.chosen.esn,
            "compression": "deflate" if child.comp_in is not None else None,
            "local": [str(s) for s in child.mine],
            "remote": [str(s) for s in child.theirs],
            "initiator": child.initiator,
            "eroute_owner": child.conn.owner == child.serial,
            "age": round(brain.core.now - child.established, 3),
            "encapsulated": child.encap is not None,
        }
        for child in brain.core.states.children.values()
        if not child.closing
    ]


def _ikes(brain: Brain) -> list[dict[str, Any]]:
    return [
        {
            "serial": ike.serial,
            "connection": ike.conn.unique if ike.conn else None,
            "state": str(ike.machine.state),
            "local": str(ike.machine.local),
            "remote": str(ike.machine.remote),
            "initiator": ike.initiator,
            "established": ike.established is not None,
            "peer_id": str(ike.machine.peer_id) if ike.machine.peer_id is not None else None,
            "algorithms": str(ike.machine.chosen) if ike.machine.chosen is not None else None,
            "children": sorted(ike.children),
        }
        for ike in brain.core.states.ikes.values()
        if not ike.machine.ended
    ]


def _pool_facts(brain: Brain) -> list[dict[str, Any]]:
    return [
        {
            "first": str(pool.first),
            "last": str(pool.last),
            "size": pool.size,
            "in_use": book.in_use,
            "leases": [
                {"address": str(lease.address), "owner": str(lease.owner), "ike_sas": sorted(lease.holders)}
                for lease in book.owners.values()
            ],
        }
        for pool, book in brain.core.leases.books.items()
    ]


def status_json(brain: Brain) -> str:
    """The same as one JSON document."""
    core = brain.core
    document = {
        "version": VERSION,
        "listening": core.listening,
        "connections": [facts(brain, conn) for conn in core.conns],
        "ike_sas": _ikes(brain),
        "child_sas": _children(brain),
        "pools": _pool_facts(brain),
        "pairs": brain.pairviews.rows(),
        "pair_count": brain.pairviews.count,
        "guard": brain.leakguard.facts(),
        "interception": brain.interception.facts(),
        "exempt_resolvers": [str(server) for server in brain.exemptions.open_to()],
    }
    return json.dumps(document, separators=(",", ":"))
