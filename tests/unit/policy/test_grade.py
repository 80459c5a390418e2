# SPDX-License-Identifier: GPL-2.0-or-later
"""Grades: their order, their words, what may use a configured conn's device."""

import itertools

import pytest

from openswan.base.errors import ConfigError
from openswan.policy.grade import ATTACKS, Grade, parse_grade


def test_order() -> None:
    ordered = [Grade.NULL, Grade.DNS, Grade.GROUP, Grade.DNSSEC, Grade.PSK]
    for low, high in itertools.pairwise(ordered):
        assert high.beats(low) and high.meets(low) and not low.meets(high) and not low.beats(high)
    for one in (Grade.PSK, Grade.RAW_KEY, Grade.CERT):
        for other in (Grade.PSK, Grade.RAW_KEY, Grade.CERT):
            assert one.meets(other) and not one.beats(other)


def test_strangers() -> None:
    assert [grade for grade in Grade if grade.authenticated] == [Grade.PSK, Grade.RAW_KEY, Grade.CERT]


def test_words() -> None:
    assert [parse_grade(str(grade)) for grade in Grade] == list(Grade)
    assert parse_grade(" RAW ") is Grade.RAW_KEY
    with pytest.raises(ConfigError) as caught:
        parse_grade("good")
    assert str(caught.value) == "'good' is not a grade: there are null, dns, group, dnssec, psk, raw-key, cert"


def test_each_says_what_an_attacker_could_still_do() -> None:
    assert set(ATTACKS) == set(Grade) and all(grade.story for grade in Grade)
