# SPDX-License-Identifier: GPL-2.0-or-later
"""Tickets that resume an IKE SA without a key exchange or a proof (RFC 5723): what they stand for, and who seals them.

The responder keeps nothing but a key and the marks of used tickets: all the rest is inside the ticket, sealed. Whoever
learns SK_d of the first IKE SA can read all that are resumed from it: that is the price, and why it is off by default.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from openswan.base.entropy import Rng
from openswan.base.interval import Duration, Instant
from openswan.ike.policy import ChosenIke
from openswan.policy.connection import Auth
from openswan.policy.identity import Identity, IdKind
from openswan.policy.proposal import Transform

LIFETIME: Duration = 3600.0
"""How long a ticket may be used."""
MOST_OCTETS = 4096
"""Octets of a ticket that are kept or looked at."""
MOST_SPENT = 50_000
"""Marks of used tickets; when there are more, all tickets so far are void."""
NAME_OCTETS, NONCE_OCTETS, KEY_OCTETS = 4, 12, 32


@dataclass(frozen=True, slots=True)
class Session:
    """What both ends remember of an IKE SA; each from its own side."""

    connection: str
    sk_d: bytes = field(repr=False)
    chosen: ChosenIke
    my_id: Identity
    peer_id: Identity
    mine: Auth
    """How we proved ourselves."""
    proved: Auth
    """How the peer did."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A client's ticket."""

    opaque: bytes = field(repr=False)
    until: Instant
    session: Session


class TicketBox:
    """The responder's keys: one that seals, and the one before."""

    __slots__ = ("_keys", "_rng", "_since", "_spent")

    def __init__(self, rng: Rng, now: Instant) -> None:
        self._rng = rng
        self._keys: list[tuple[bytes, AESGCM]] = []
        self._spent: dict[bytes, Instant] = {}
        self._since = now
        self._renew(now)

    def issue(self, session: Session, now: Instant) -> bytes:
        """A ticket for `session`, good for LIFETIME."""
        if now - self._since >= LIFETIME:
            self._renew(now)
        name, key = self._keys[0]
        nonce = self._rng.octets(NONCE_OCTETS)
        return name + nonce + key.encrypt(nonce, _pack(session, now + LIFETIME), name)

    def redeem(self, opaque: bytes, now: Instant) -> Session | None:
        """What a ticket stands for; None when it is not ours, too old or used."""
        name, nonce, sealed = opaque[:NAME_OCTETS], opaque[NAME_OCTETS:16], opaque[16:MOST_OCTETS]
        key = next((key for known, key in self._keys if known == name), None)
        if key is None or nonce in self._spent:
            return None
        try:
            return _unpack(key.decrypt(nonce, sealed, name), now)
        except (InvalidTag, ValueError):
            return None

    def spend(self, opaque: bytes, now: Instant) -> None:
        """An IKE SA stands that was resumed by this ticket: nobody uses it again (RFC 5723 4.3.1)."""
        if self._full():
            self._spent = {nonce: until for nonce, until in self._spent.items() if until > now}
        if self._full():
            self._keys.clear()
            self._renew(now)
        self._spent[opaque[NAME_OCTETS:16]] = now + LIFETIME

    def _full(self) -> bool:
        return len(self._spent) >= MOST_SPENT

    def _renew(self, now: Instant) -> None:
        if not self._keys:
            self._spent.clear()
        self._since = now
        self._keys[:0] = [(self._rng.octets(NAME_OCTETS), AESGCM(self._rng.octets(KEY_OCTETS)))]
        del self._keys[2:]


def _pack(session: Session, until: Instant) -> bytes:
    chosen = session.chosen
    rows = [chosen.encr, chosen.integ, chosen.prf, chosen.dh, *chosen.addke]
    return json.dumps(
        {
            "until": until,
            "connection": session.connection,
            "sk_d": session.sk_d.hex(),
            "chosen": [[row.name, row.key_bits] if row is not None else None for row in rows],
            "ids": [[int(one.kind), one.body.hex()] for one in (session.my_id, session.peer_id)],
            "auth": [session.mine.value, session.proved.value],
        },
        separators=(",", ":"),
    ).encode()


def _unpack(data: bytes, now: Instant) -> Session | None:
    """Nobody but us has written this."""
    plain: dict[str, Any] = json.loads(data)
    if now > plain["until"]:
        return None
    encr, integ, prf, dh, *addke = (Transform(*row) if row is not None else None for row in plain["chosen"])
    assert encr is not None and prf is not None and dh is not None
    more: Sequence[Transform] = [one for one in addke if one is not None]
    mine, peer = (Identity(IdKind(kind), bytes.fromhex(body)) for kind, body in plain["ids"])
    ours, theirs = (Auth(value) for value in plain["auth"])
    chosen = ChosenIke(encr, integ, prf, dh, tuple(more))
    return Session(plain["connection"], bytes.fromhex(plain["sk_d"]), chosen, mine, peer, ours, theirs)
