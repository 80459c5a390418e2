# SPDX-License-Identifier: GPL-2.0-or-later
"""Constants that depend on each other."""

from openswan.engine import settings
from openswan.engine.settings import Settings


def test_bounds_on_strangers_are_ordered() -> None:
    it = Settings()
    assert 0 < it.cookie_threshold < it.half_open_per_peer < it.half_open_limit


def test_a_confirmation_outlasts_every_retransmission() -> None:
    from openswan.policy.connection import Connection

    longest = Connection.__dataclass_fields__["retransmit_timeout"].default
    assert longest < settings.CONFIRM
    assert settings.RETRY_FIRST < settings.RETRY_MOST
