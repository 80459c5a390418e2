# SPDX-License-Identifier: GPL-2.0-or-later
"""Values of each form: canonical spelling and complaints."""

import pytest

from openswan.base.errors import ConfigError
from openswan.config.keyword import Form, Halves, Keyword, Status, split_list

CHOICES = {"route": "route", "ondemand": "route", "add": "add"}


def row(form: Form, default: str = "", **more: object) -> Keyword:
    return Keyword("key", form, Status.ACTED, default, "Says something.", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keyword", "text", "want"),
    [
        (row(Form.BOOL), "Yes", "yes"),
        (row(Form.BOOL), "y", "yes"),
        (row(Form.BOOL), "true", "yes"),
        (row(Form.BOOL), "on", "yes"),
        (row(Form.BOOL), "OFF", "no"),
        (row(Form.BOOL), "n", "no"),
        (row(Form.BOOL), "false", "no"),
        (row(Form.NUMBER), "007", "7"),
        (row(Form.NUMBER), "%forever", "0"),
        (row(Form.NUMBER, "-1"), "-1", "-1"),
        (row(Form.NUMBER), "4294967295", "4294967295"),
        (row(Form.TIME), "1h", "3600"),
        (row(Form.TIME), "500ms", "0.5s"),
        (row(Form.PERCENT), "050%", "50%"),
        (row(Form.CHOICE, choices=CHOICES), "OnDemand", "route"),
        (row(Form.LIST), "a, b  c", "a b c"),
        (row(Form.LIST, choices=CHOICES), "add,ONDEMAND add", "route add"),
        (row(Form.TEXT), "As It Is", "As It Is"),
    ],
)
def test_canonical(keyword: Keyword, text: str, want: str) -> None:
    assert keyword.canonical(text) == want
    assert keyword.canonical(want) == want


@pytest.mark.parametrize(
    ("keyword", "text", "why"),
    [
        (row(Form.BOOL), "maybe", "key=maybe: yes or no is wanted"),
        (row(Form.NUMBER), "x", "key=x: a number is wanted"),
        (row(Form.NUMBER), "٣", "a number is wanted"),
        (row(Form.NUMBER), "-1", "key=-1: a number of 0 or more is wanted"),
        (row(Form.NUMBER), "4294967296", "key=4294967296: number too large, at most 4294967295"),
        (row(Form.NUMBER, most=10), "11", "number too large, at most 10"),
        (row(Form.TIME), "x", 'key: bad duration value "x"'),
        (row(Form.TIME), "1y", 'key: bad duration multiplier "y" on 1y'),
        (row(Form.TIME), "99999999999", "key: duration too large"),
        (row(Form.TIME, most=86400.0), "2d", "key=2d: at most 86400 seconds"),
        (row(Form.PERCENT), "50", "bad percent value key=50: write for instance 50%"),
        (row(Form.CHOICE, choices=CHOICES), "never", "keyword key, invalid value: never (there are route, add)"),
        (row(Form.LIST, choices=CHOICES), "add bad", "keyword key, invalid value: bad"),
        (row(Form.BOOL), "x" * 1000, "..."),
    ],
)
def test_refused(keyword: Keyword, text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        keyword.canonical(text)
    assert why in str(caught.value) and len(str(caught.value)) < 200


def test_sides_are_named_in_complaints() -> None:
    half = row(Form.BOOL, halves=Halves.YES)
    assert half.spelled("left") == "leftkey"
    with pytest.raises(ConfigError, match="leftkey=maybe"):
        half.canonical("maybe", "left")


def test_split_list() -> None:
    assert split_list(" a,b c ,, ") == ["a", "b", "c"]
