# SPDX-License-Identifier: GPL-2.0-or-later
"""Informational exchanges behind a hash: deletions and notifications, one message each (RFC 2409 5.7, RFC 2408 3.14).

HDR*, HASH(1), N or D ->
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from openswan.base.errors import IkeError, WireError
from openswan.base.interval import Instant
from openswan.base.log import Rc
from openswan.ike.effects import Gone, ProbeAnswered
from openswan.ike.v1 import child as children
from openswan.ike.v1.child import Child
from openswan.ike.v1.core import Core
from openswan.ike.v1.effects import InitialContact
from openswan.ike.v1.states import PROVEN, State
from openswan.wire.v1.body import Payload
from openswan.wire.v1.delete import Delete
from openswan.wire.v1.message import Content
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import ExchangeType, NotifyType, ProtocolId

MOST_LINES = 10
"""About one message: it may hold dozens of payloads, a Delete thousands of SPIs."""
QUIET = (NotifyType.CONNECTED, NotifyType.REPLAY_STATUS, NotifyType.RESPONDER_LIFETIME)
"""What is said of SAs that are up already and changes nothing."""


def tell(sa: Core, payloads: Sequence[Payload]) -> bytes:
    """Send payloads in an exchange of their own; the datagram."""
    keys, message_id = sa.need_keys(), sa.new_message_id()
    header = sa.header(ExchangeType.INFORMATIONAL, message_id, encrypted=True)
    data, _ = keys.seal(header, keys.hashed(message_id, payloads), keys.exchange_iv(message_id))
    sa.send(data)
    return data


def delete(sa: Core, gone: Iterable[Child]) -> None:
    """Say that we no longer take packets of these pairs: our inbound SPIs, a payload for each protocol."""
    rows = sorted((int(one.protocol), one.spi_in) for one in gone)
    payloads = [
        Delete(ProtocolId(protocol), tuple(spi.to_bytes(4, "big") for _, spi in same))
        for protocol, same in groupby(rows, lambda row: row[0])
    ]
    if payloads:
        tell(sa, payloads)


def delete_self(sa: Core) -> None:
    """Say that this ISAKMP SA ends."""
    tell(sa, [Delete(ProtocolId.ISAKMP, (sa.cookie_i + sa.cookie_r,))])


def take(sa: Core, content: Content, now: Instant, refused: Callable[[Notify], None]) -> None:
    """Act on a message that is authentic; `refused` gets each error notification.

    Once the SA has ended nothing more of the message counts (CVE-2023-38712).
    """
    lines = Lines(sa)
    for one in content.payloads[1:]:
        if sa.state not in PROVEN:
            return
        if isinstance(one, Delete):
            _deleted(sa, one, lines)
        elif isinstance(one, Notify):
            _notified(sa, one, lines, refused)
        else:
            lines.say("received and ignored informational message")


class Lines:
    """MOST_LINES lines about one message."""

    def __init__(self, sa: Core) -> None:
        self.sa = sa
        self.left = MOST_LINES

    def say(self, text: str) -> None:
        """One more, if there is room."""
        self.left -= 1
        if self.left >= 0:
            self.sa.log(text, Rc.LOG_SERIOUS)


def _deleted(sa: Core, said: Delete, lines: Lines) -> None:
    """The peer no longer takes packets under its SPIs, or has ended this ISAKMP SA."""
    for spi in said.spis:
        if said.protocol == ProtocolId.ISAKMP:
            if spi == sa.cookie_i + sa.cookie_r:
                lines.say(f"received Delete SA payload: deleting ISAKMP State #{sa.serial}")
                if sa.state is State.XAUTH_I1:  # its "no" was lost, or comes later
                    sa.fail(
                        "XAUTH: the server does not let us in: compare name and password",
                        NotifyType.AUTHENTICATION_FAILED,
                    )
                else:
                    sa.end(Gone.PEER)
                return
            lines.say("ignoring Delete SA payload: ISAKMP SA not found (maybe expired)")
            continue
        number = int.from_bytes(spi, "big")
        child = children.by_spi_out(sa.children.values(), int(said.protocol), number)
        if child is not None:
            lines.say(f"received Delete SA(0x{number:08x}) payload: deleting IPSEC State{number_of(child)}")
            sa.lose(child, Gone.REPLACED if child.replaced_by in sa.children else Gone.PEER)
        elif said.protocol != ProtocolId.IPCOMP:
            ours = "our SPI - bogus implementation" if number in sa.children else "maybe expired"
            name = said.protocol.name
            lines.say(f"ignoring Delete SA payload: PROTO_IPSEC_{name} SA(0x{number:08x}) not found ({ours})")


def number_of(child: Child) -> str:
    """` #5`, when the owner has said which."""
    return f" #{child.token}" if child.token else ""


def _notified(sa: Core, said: Notify, lines: Lines, refused: Callable[[Notify], None]) -> None:
    try:
        if said.kind == NotifyType.R_U_THERE:
            if sa.need_policy().dpd:
                tell(sa, [sa.prober.take(said, sa.cookie_i + sa.cookie_r)])
            return
        if said.kind == NotifyType.R_U_THERE_ACK:
            for probe in sa.prober.answered(said, sa.cookie_i + sa.cookie_r):
                sa.emit(ProbeAnswered(probe.token))
            return
    except (IkeError, WireError) as why:
        lines.say(str(why))
        return
    if said.kind == NotifyType.INITIAL_CONTACT:
        sa.emit(InitialContact())
    elif said.kind not in QUIET:
        lines.say(f"ignoring informational payload, type {said.kind}")
        if said.is_error:
            refused(said)
