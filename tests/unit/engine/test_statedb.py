# SPDX-License-Identifier: GPL-2.0-or-later
"""Look-ups of SAs."""

from __future__ import annotations

from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

from openswan.base.address import Endpoint
from openswan.engine.conn import Conn
from openswan.engine.statedb import IkeState, StateDb
from openswan.policy.identity import parse_identity
from openswan.wire.header import NO_SPI
from tests.sim.pair import EAST, WEST, tunnel

ME, PEER = ip_address(WEST), ip_address(EAST)


def ike(db: StateDb, spi: bytes = b"12345678", **more: Any) -> IkeState:
    machine: Any = SimpleNamespace(my_spi=spi, local=Endpoint(ME, 500), remote=Endpoint(PEER, 500), state="x")
    it = IkeState(db.serial(), machine, True, 0.0, **more)
    db.add_ike(it)
    return it


def test_serials_count_up() -> None:
    db = StateDb()
    assert [db.serial() for _ in range(3)] == [1, 2, 3]


def test_a_responder_is_found_once_it_has_chosen_its_spi() -> None:
    db = StateDb()
    it = ike(db, NO_SPI)
    assert db.by_spi == {}
    it.machine.my_spi = b"abcdefgh"  # type: ignore[misc]
    db.learn(it)
    assert db.by_spi == {b"abcdefgh": it}
    db.remove_ike(it)
    assert not (db.by_spi or db.by_machine or db.pairs or db.ikes)


def test_sharing_prefers_what_is_established_and_skips_what_is_closing_or_silent() -> None:
    db = StateDb()
    one, two, three = ike(db, b"1" * 8), ike(db, b"2" * 8), ike(db, b"3" * 8)
    for it in (one, two, three):
        db.share(it, ME, PEER, "sig")
    two.established = 1.0
    assert db.sharable(ME, PEER, "sig") is two
    two.doubtful = True
    assert db.sharable(ME, PEER, "sig") is three
    two.doubtful, two.closing = False, True
    assert db.sharable(ME, PEER, "sig") is three
    assert db.sharable(ME, PEER, "another") is None
    for it in (one, two, three):
        db.remove_ike(it)
    assert db.shared == {}


def test_half_open_counts_go_up_and_down_once() -> None:
    db = StateDb()
    it = ike(db)
    db.opened(it, Endpoint(PEER, 500), b"i" * 8)
    assert (db.half_open_total, db.half_open) == (1, {PEER: 1})
    db.closed(it)
    db.closed(it)
    assert (db.half_open_total, db.half_open) == (0, {})
    assert db.by_init != {}, "a repetition must still find it"
    db.remove_ike(it)
    assert db.by_init == {}


def test_tokens_begin_and_end() -> None:
    db = StateDb()
    it, conn = ike(db), Conn(tunnel()[0])
    db.begin(it, 7, conn)
    assert conn.negotiating == 7 and db.tokens == {7: it}
    assert db.end(7) is conn
    assert db.end(7) is None
    assert it.attempts == {}


def test_a_successor_takes_the_place() -> None:
    db = StateDb()
    conn = Conn(tunnel()[0])
    old, new = ike(db, b"1" * 8, conn=conn), ike(db, b"2" * 8, conn=conn)
    db.share(old, ME, PEER, "sig")
    db.enter_peer(old, parse_identity("@a"), parse_identity("@b"))
    db.inherit(old, new)
    assert db.sharable(ME, PEER, "sig") is new
    assert db.with_same_peer(new) == [new]
    assert conn.ikes == {old.serial, new.serial}
    db.remove_ike(old)
    db.remove_ike(new)
    assert db.peers == {} and conn.ikes == set()
    assert repr(old) == "<IKE SA #1 x>"
