# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies keep their secrets to themselves."""

from __future__ import annotations

from tests.unit.ike.v1.pair import Asked, by_rsa, policy


def test_secrets_are_not_shown() -> None:
    shown = repr(policy(psk=b"hunter2 and more", **{k: v for k, v in by_rsa(1, 2).items() if k != "psk"}))
    assert "hunter2" not in shown and "PrivateKey" not in shown
    assert "retransmit_timeout=60.0" in shown


def test_the_double_answers_as_an_owner_does() -> None:
    asked = Asked(policy())
    assert asked.policies[0].peer_id is not None and asked.questions == []
