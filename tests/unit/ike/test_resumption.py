# SPDX-License-Identifier: GPL-2.0-or-later
"""Tickets: there and back, changed, old, used, of another gateway, too many."""

from __future__ import annotations

import pytest

from openswan.base.entropy import SeededRng
from openswan.ike import resumption
from openswan.ike.policy import ChosenIke
from openswan.ike.resumption import LIFETIME, Session, TicketBox
from openswan.policy.connection import Auth
from openswan.policy.identity import parse_identity
from openswan.policy.proposal import Transform

CHOSEN = ChosenIke(
    Transform("aes_cbc", 256),
    Transform("hmac_sha2_256_128"),
    Transform("prf_hmac_sha2_256"),
    Transform("x25519"),
    (Transform("ml_kem_768"),),
)
SESSION = Session(
    "road", b"d" * 32, CHOSEN, parse_identity("@gw"), parse_identity("joe@x"), Auth.RSASIG, Auth.EAP_MSCHAPV2
)


def box() -> TicketBox:
    return TicketBox(SeededRng(1), 0.0)


def test_there_and_back() -> None:
    it = box()
    ticket = it.issue(SESSION, 10.0)
    assert it.redeem(ticket, 11.0) == SESSION and it.redeem(ticket, 12.0) == SESSION
    assert it.issue(SESSION, 10.0) != ticket and len(ticket) < 1000
    assert b"road" not in ticket and "dddd" not in repr(SESSION)


def test_every_octet_counts() -> None:
    it = box()
    ticket = it.issue(SESSION, 0.0)
    for at in range(0, len(ticket), 7):
        assert it.redeem(ticket[:at] + bytes([ticket[at] ^ 1]) + ticket[at + 1 :], 1.0) is None
    for cut in range(0, len(ticket), 5):
        assert it.redeem(ticket[:cut], 1.0) is None
    assert it.redeem(ticket + b"x", 1.0) is None and it.redeem(bytes(100_000), 1.0) is None


def test_old_used_and_foreign_ones() -> None:
    it = box()
    ticket = it.issue(SESSION, 0.0)
    assert it.redeem(ticket, LIFETIME + 1) is None
    assert TicketBox(SeededRng(2), 0.0).redeem(ticket, 1.0) is None
    it.spend(ticket, 1.0)
    assert it.redeem(ticket, 2.0) is None


def test_keys_change_and_the_last_one_stays_good() -> None:
    it = box()
    late = it.issue(SESSION, LIFETIME - 1)
    it.issue(SESSION, LIFETIME + 1)
    assert it.redeem(late, LIFETIME + 2) == SESSION
    it.issue(SESSION, 2 * LIFETIME + 2)
    assert it.redeem(late, LIFETIME + 3) is None


def test_marks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumption, "MOST_SPENT", 3)
    it = box()
    tickets = [it.issue(SESSION, 0.0) for _ in range(5)]
    for ticket in tickets[:3]:
        it.spend(ticket, 1.0)
    assert it.redeem(tickets[4], 2.0) == SESSION
    it.spend(tickets[3], 2.0)
    assert all(it.redeem(ticket, 3.0) is None for ticket in tickets), "none can be told from a used one any more"
    assert it.redeem(it.issue(SESSION, 3.0), 4.0) == SESSION
