# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies keep their secrets to themselves."""

from __future__ import annotations

from openswan.ike.v1.life import Life
from openswan.wire.v1.numbers import ProtocolId
from tests.unit.ike.v1.pair import Asked, by_rsa, mirrored, policy, quick


def test_secrets_are_not_shown() -> None:
    shown = repr(policy(psk=b"hunter2 and more", **{k: v for k, v in by_rsa(1, 2).items() if k != "psk"}))
    assert "hunter2" not in shown and "PrivateKey" not in shown
    assert "retransmit_timeout=60.0" in shown


def test_the_double_answers_as_an_owner_does() -> None:
    asked = Asked(policy())
    assert asked.policies[0].peer_id is not None and asked.questions == []


def test_a_quick_mode_has_a_life_beside_what_any_child_has() -> None:
    one = quick(life=Life(3600, 500), transport=True)
    assert (one.life, one.transport, one.protocol) == (Life(3600, 500), True, ProtocolId.ESP)
    assert mirrored(one).mine == one.theirs
