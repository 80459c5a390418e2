# SPDX-License-Identifier: GPL-2.0-or-later
"""From an opportunistic conn to the terms its pairs are dealt with by."""

from __future__ import annotations

from openswan.base.interval import Duration
from openswan.base.said import Shunt
from openswan.engine.oeevents import Terms
from openswan.engine.oestates import State
from openswan.policy.connection import Auth, Connection, ShuntPolicy
from openswan.policy.groups import group_end, stance_of

SHUNT_LIFETIME = 900.0
"""shuntlifetime= unless it is given."""
FAILURES = {ShuntPolicy.PASS: State.PASS, ShuntPolicy.REJECT: State.REJECT}
"""failureshunt=; anything else drops."""
NEGOTIATIONS = {ShuntPolicy.PASS: Shunt.PASS, ShuntPolicy.DROP: Shunt.DROP}
"""negotiationshunt=; anything else holds."""


def terms_of(connection: Connection, lifetime: Duration = SHUNT_LIFETIME) -> Terms:
    """The terms of a conn with %group, %opportunistic or %opportunisticgroup; `lifetime` is shuntlifetime=."""
    end = group_end(connection)
    assert end is not None, f'"{connection.name}" is not opportunistic'
    return Terms(
        connection.name,
        stance_of(connection),
        FAILURES.get(connection.failure_shunt, State.DROP),
        NEGOTIATIONS.get(connection.negotiation_shunt, Shunt.HOLD),
        connection.hold_timeout,
        connection.keying_tries,
        lifetime,
        connection.auth_grade,
        connection.keep_grade,
        asks_dns=end.dns_key,
        calls_directly=not end.dns_key or bool(connection.auth & (Auth.NULL | Auth.PSK)),
        behind=(connection.left if end is connection.right else connection.right).subnet is not None,
    )
