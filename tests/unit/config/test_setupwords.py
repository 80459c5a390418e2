# SPDX-License-Identifier: GPL-2.0-or-later
"""Keywords of config setup."""

import pytest

from openswan.base.errors import ConfigError
from openswan.config.keyword import Section
from openswan.config.keywords import find
from openswan.config.setupwords import ROWS


def value(name: str, text: str) -> str:
    found = find(Section.SETUP, name)
    assert found is not None
    return found[0].canonical(text)


def test_all_rows_are_of_config_setup() -> None:
    assert {row.section for row in ROWS} == {Section.SETUP}


@pytest.mark.parametrize(
    ("name", "text", "canonical"),
    [
        ("strictcrlpolicy", "TRUE", "yes"),
        ("protostack", "xfrm", "netkey"),
        ("plutodebug", "parsing,control", "parsing control"),
        ("keep_alive", "%forever", "0"),
        ("shuntlifetime", "15m", "900"),
    ],
)
def test_values(name: str, text: str, canonical: str) -> None:
    assert value(name, text) == canonical


def test_a_debug_word_nobody_knows() -> None:
    with pytest.raises(ConfigError, match="plutodebug, invalid value: pasing"):
        value("plutodebug", "pasing")
