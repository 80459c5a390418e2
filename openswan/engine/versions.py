# SPDX-License-Identifier: GPL-2.0-or-later
"""Peers that may speak the other version of IKE alone: what the log says then, with the remedy.

None of it is certain, as whatever leads here is unauthenticated: these are hints, and nothing else comes of them.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from openswan.base.address import Address
from openswan.base.log import Rc
from openswan.engine.conn import Conn
from openswan.ike.effects import IkeFailed
from openswan.wire.header import NO_SPI
from openswan.wire.v2.numbers import NotifyType

if TYPE_CHECKING:
    from openswan.engine.core import Core
    from openswan.engine.statedb import IkeState

REMEDIES = {2: "say ikev2=no in this conn", 1: "leave ikev2=no (keyexchange=ikev1, aggrmode=yes) out of this conn"}
"""By the version that a conn has and its peer does not."""
OTHER = {1: 2, 2: 1}
MOST_LOOKED_AT = 64
"""Connections among which one of a version is looked for."""


def seems(core: Core, ike: IkeState) -> None:
    """A peer has answered our first message by saying that it does not know this version."""
    assert ike.conn is not None
    peer, other = ike.machine.remote.address, OTHER[ike.version]
    text = f"{peer} seems to speak IKEv{other} alone: if so, {REMEDIES[ike.version]}"
    core.say(ike.conn, text, Rc.LOG_SERIOUS, ike.serial, event="remedy")


def failed(core: Core, ike: IkeState, effect: IkeFailed) -> None:
    """A first attempt of ours came to nothing before the peer took any proposal of it."""
    conn = ike.conn
    if conn is None or conn.group is not None or conn.attempt or not ike.initiator or ike.replaces is not None:
        return
    # NO_PROPOSAL_CHOSEN has one number in both versions.
    silent_or_refused = effect.timeout or effect.notify == NotifyType.NO_PROPOSAL_CHOSEN
    if ike.machine.spi_r == NO_SPI and silent_or_refused:
        peer = ike.machine.remote.address
        text = f"if {peer} speaks IKEv{OTHER[ike.version]} alone: {REMEDIES[ike.version]}"
        if effect.timeout:
            text = f"see whether {peer} runs and UDP 500 and 4500 pass (ipsec diagnose {conn.name}); {text}"
        core.say(conn, text, Rc.LOG, ike.serial, event="remedy")


def of_version(core: Core, version: int, me: Address, peer: Address) -> Conn | None:
    """A connection of a version between two addresses."""
    some = islice(core.conns.candidates(me, peer), MOST_LOOKED_AT)
    return next((conn for conn in some if conn.policy.ike_version == version), None)
