# SPDX-License-Identifier: GPL-2.0-or-later
"""Sections: also=, %default, duplicates, broken ones beside whole ones."""

import random

import pytest

from openswan.config.parser import FlatConn, Parsed, parse

FILES = {"more": "\tauto=add\nconn b\n\tleft=2.2.2.2\n"}


def reader(pattern: str, directory: str) -> list[tuple[str, str]]:
    return [(pattern, FILES[pattern])] if pattern in FILES else []


def read(text: str) -> Parsed:
    return parse(text, "f", reader)


def conn(parsed: Parsed, name: str) -> FlatConn:
    [found] = [one for one in parsed.conns if one.name == name]
    return found


def values(flat: FlatConn) -> dict[str, str]:
    return {side + name: param.value for (side, name), param in flat.params.items()}


def lines(flat: FlatConn) -> list[str]:
    return [str(one) for one in flat.complaints]


def test_sections() -> None:
    parsed = read('version 2.0\nconfig setup\n\tuniqueids=no\nconn a\n\tleft=1.1.1.1\n\tx-note="mine too"\nconn b\n')
    assert parsed.complaints == [] and parsed.version == "2.0"
    assert parsed.setup["uniqueids"].value == "no" and parsed.setup["uniqueids"].where == "f:3"
    assert [one.name for one in parsed.conns] == ["a", "b"]
    assert values(conn(parsed, "a")) == {"left": "1.1.1.1"}
    assert conn(parsed, "a").remarks == (("x-note", "mine too"),)


def test_include_continues_the_section() -> None:
    parsed = read("conn a\ninclude more\nconn c\n")
    assert values(conn(parsed, "a")) == {"auto": "add"}
    assert conn(parsed, "b").params["left", ""].where == "more:3"
    assert [one.name for one in parsed.conns] == ["a", "b", "c"]


def test_also_forward_nested_and_case() -> None:
    parsed = read("conn a\n\talso=B\n\tauto=add\nconn b\n\talso=c\n\tleft=1.1.1.1\nconn c\n\tright=2.2.2.2\n\talso=a\n")
    flat = conn(parsed, "a")
    assert lines(flat) == []
    assert values(flat) == {"auto": "add", "left": "1.1.1.1", "right": "2.2.2.2"}
    assert flat.splices == ("B",)


def test_exact_name_beats_another_case() -> None:
    parsed = read("conn a\n\talso=X\nconn x\n\tauto=add\nconn X\n\tauto=start\n")
    assert values(conn(parsed, "a")) == {"auto": "start"}


def test_alsoflip() -> None:
    parsed = read("conn a\n\talsoflip=b\nconn b\n\tleft=1.1.1.1\n\talsoflip=c\n\tpfs=no\nconn c\n\tleftid=@c\n")
    assert values(conn(parsed, "a")) == {"right": "1.1.1.1", "pfs": "no", "leftid": "@c"}


def test_default_gives_way_and_the_later_one_wins() -> None:
    text = "conn %default\n\tauto=add\n\tpfs=no\nconn a\n\tauto=start\nconn %default\n\tpfs=yes\n"
    parsed = read(text)
    assert values(conn(parsed, "a")) == {"auto": "start", "pfs": "yes"}
    parsed = read("conn a\n\talso=b\nconn b\n\tpfs=yes\nconn %default\n\tpfs=no\n")
    assert values(conn(parsed, "a")) == {"pfs": "yes"}


def test_empty_values_keep_the_default() -> None:
    parsed = read('conn a\n\tpfs=\n\tleftupdown=""\nconn %default\n\tpfs=no\n')
    assert values(conn(parsed, "a")) == {"pfs": "no", "leftupdown": ""}


def test_equal_duplicates_are_harmless() -> None:
    parsed = read("conn a\n\tpfs=yes\n\tpfs=on\n\talso=b\nconn b\n\tpfs=y\n")
    assert lines(conn(parsed, "a")) == []


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("conn a\n\tlefft=1\n", "f:2: conn \"a\": unknown keyword 'lefft=1' (did you mean 'left'?)"),
        ("conn a\n\tqqqqqqq=1\n", "f:2: conn \"a\": unknown keyword 'qqqqqqq=1'"),
        (
            "conn a\n\tplutodebug=all\n",
            "f:2: conn \"a\": keyword 'plutodebug' belongs in config setup, it is not valid here",
        ),
        ("conn a\n\tpfs=yes\n\tpfs=no\n", "f:3: conn \"a\": duplicate key 'pfs': it has another value at f:2"),
        (
            "conn a\n\tpfs=yes\n\talso=b\nconn b\n\tpfs=no\n",
            "f:2: conn \"a\": duplicate key 'pfs': f:2 and f:5 differ, only %default gives way",
        ),
        ("conn a\n\talso=zz\n", 'f:2: conn "a": also=zz: there is no conn of that name'),
        ("conn a\n\talsoflip=zz\n", 'f:2: conn "a": alsoflip=zz: there is no conn of that name'),
        ("conn a\nconn a\n", 'f:2: conn "a": defined twice, first at f:1; that one counts'),
        ("conn a\n\tleft 1.2.3.4\n", "f:2: conn \"a\": 'left 1.2.3.4' is not a parameter: keyword=value is wanted"),
        ("conn a\nleft=1.2.3.4\n", "f:2: conn \"a\": parameter 'left=1.2.3.4' must be indented"),
        ("conn a\n\talso=b\nconn b\n\tlefft=1\n", 'f:1: conn "a": also=b: that conn is broken, see f:4'),
        ("conn %default\n\tlefft=1\nconn a\n", 'f:3: conn "a": conn %default is broken, see f:2'),
        ("conn a;b\n", "f:1: conn \"a;b\": 'a;b' cannot name a conn"),
        ('conn ""\n', "f:1: '' cannot name a conn"),
        ("conn %zz\n", "f:1: conn \"%zz\": '%zz' cannot name a conn"),
        ("conn " + "x" * 200 + "\n", "cannot name a conn"),
        ("conn a\n\t" + "k" * 90_000 + "=1\n", "unknown keyword 'kkkk"),
    ],
)
def test_errors_of_a_conn(text: str, want: str) -> None:
    found = [line for one in read(text).conns for line in lines(one)]
    assert any(line.startswith(want) or want in line for line in found), found
    assert all(len(line) < 500 for line in found)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("version 3\n", "f:1: version '3' is not known: 2 is"),
        ("config other\n\tleft=1\n", "f:1: 'config other' is not known: config setup is"),
        ("\tleft=1\n\tright=2\n", "f:1: 'left=' stands outside any section"),
        ("config setup\n\tleft=1\n", "f:2: config setup: keyword 'left' belongs in conn, it is not valid here"),
        (
            "config setup\n\tplutodebgu=1\n",
            "f:2: config setup: unknown keyword 'plutodebgu=1' (did you mean 'plutodebug'?)",
        ),
        ("config setup\n\toe=no\n\toe=yes\n", "f:3: config setup: duplicate key 'oe': it has another value at f:2"),
        ("conn %default\n\talso=a\nconn a\n", "f:2: conn %default: also= is not valid in section '%default'"),
        ("some text\n", "f:1: 'some text' is no section header"),
    ],
)
def test_errors_of_nobody_in_particular(text: str, want: str) -> None:
    found = [str(one) for one in read(text).complaints]
    assert len(found) == 1 and found[0].startswith(want), found


def test_a_mistyped_header_does_not_break_the_conn_before_it() -> None:
    parsed = read("conn a\n\tleft=1.1.1.1\nkonn b\n\tleft=2.2.2.2\nconn c\n")
    assert values(conn(parsed, "a")) == {"left": "1.1.1.1"} and lines(conn(parsed, "a")) == []
    assert [str(one) for one in parsed.complaints] == [
        "f:3: 'konn b' is no section header: config setup, conn NAME or include FILE"
    ]
    assert [one.name for one in parsed.conns] == ["a", "c"]


def test_an_unreadable_line_breaks_the_conn_it_stands_in() -> None:
    parsed = read("conn a\n\tleft=1.1.1.1\nrightsubnet 10.0.0.0/8\n\tright=2.2.2.2\nconn b\n")
    assert len(lines(conn(parsed, "a"))) == 1 and lines(conn(parsed, "b")) == []


def test_also_limits() -> None:
    wide = "conn a\n" + "".join(f"\talso=b{n}\n" for n in range(40)) + "".join(f"conn b{n}\n" for n in range(40))
    assert lines(conn(read(wide), "a")) == ['f:34: conn "a": too many also=: more than 32']
    loop = "conn a\n\talso=b\nconn b\n\talso=a\n\talso=b\n"
    assert lines(conn(read(loop), "a")) == []


def test_implicit_conns() -> None:
    parsed = read("config setup\n\toe=yes\nconn Private\n\tauto=ignore\n")
    assert [one.name for one in parsed.conns] == [
        "Private", "packetdefault", "clear", "clear-or-private", "private-or-clear", "block"
    ]  # fmt: skip
    assert all(one.implicit for one in parsed.conns[1:])
    assert [one.name for one in read("config setup\n\toe=perhaps\n").conns] == []
    spliced = read("conn a\n\tleftsubnet=10.0.0.0/8\n\talso=private-or-clear\n")
    assert values(conn(spliced, "a"))["right"] == "%opportunisticgroup"


def test_implicit_conns_give_way_to_what_is_written() -> None:
    text = "conn a\n\tauthby=null\n\talso=private\n\talso=b\nconn b\n\tsalifetime=7m\nconn %default\n\tkeyingtries=9\n"
    found = conn(read(text), "a")
    got = values(found)
    assert (got["auth"], got["ipsec_lifetime"]) == ("null", "7m") if "auth" in got else got
    assert lines(found) == [] and got["right"] == "%opportunisticgroup" and got["keyingtries"] == "3"


def test_implicit_conns_ignore_the_users_defaults() -> None:
    parsed = read("config setup\n\toe=yes\nconn %default\n\tmtu=1400\nconn %oedefault\n\tmetric=7\n")
    assert "mtu" not in values(conn(parsed, "block")) and values(conn(parsed, "block"))["metric"] == "7"


def test_random_configurations_never_raise() -> None:
    dice = random.Random(11)
    pieces = ["conn a\n", "conn b\n", "conn %default\n", "config setup\n", "\talso=a\n", "\talsoflip=b\n",
            "\tleft=%any\n",
              "\tpfs=no\n", "\tpfs=yes\n", "\toe=yes\n", "junk\n", "\tjunk\n", "include more\n", "\tx-y=z\n",
              "konn c\n", '\tleftid="', "\n", "\t", "version 2\n"]  # fmt: skip
    for _ in range(3000):
        parsed = read("".join(dice.choices(pieces, k=dice.randrange(1, 20))))
        for line in [*parsed.complaints, *(one for flat in parsed.conns for one in flat.complaints)]:
            assert "\n" not in str(line)
