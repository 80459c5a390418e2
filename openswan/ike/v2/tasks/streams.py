# SPDX-License-Identifier: GPL-2.0-or-later
"""An IKE SA over TCP (RFC 9329): what is different there, and what happens when the connection is another one.

TCP repeats what is lost, so requests are not (6.2); their time runs all the same. A connection that breaks is opened
again by who opened the first one, and unanswered requests are sent once more in it; the other end goes over to it with
the first authentic message that comes that way (6.1).
"""

from __future__ import annotations

from openswan.base.address import Endpoint
from openswan.base.interval import Instant
from openswan.ike.effects import PeerMoved
from openswan.ike.events import Probe
from openswan.ike.v2.core import Core
from openswan.ike.v2.states import State
from openswan.ike.v2.tasks.liveness import Liveness

TCP = "TCP"
"""PeerMoved.why"""


def resume(sa: Core, local: Endpoint, remote: Endpoint, now: Instant) -> None:
    """A new connection of ours is there: what is unanswered goes on in it, else a question, to show it to the peer."""
    if sa.state in (State.LINGER, State.GONE):
        return
    _go_over(sa, local, remote)
    if sa.is_established and not sa.flights:
        sa.submit(Liveness(Probe()), now)


def follow(sa: Core, local: Endpoint, remote: Endpoint) -> None:
    """An authentic message came by another connection: the peer has opened it in place of ours."""
    sa.log(f"TCP connection from {remote} takes the place of the one from {sa.remote}")
    _go_over(sa, local, remote)


def _go_over(sa: Core, local: Endpoint, remote: Endpoint) -> None:
    sa.local, sa.remote = local, remote
    if sa.established is not None:
        sa.emit(PeerMoved(local, remote, TCP))
    for flight in sa.flights.values():
        sa.dispatch(flight.outstanding.datagrams)
