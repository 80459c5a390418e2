# SPDX-License-Identifier: GPL-2.0-or-later
"""The journal survives what crashes do to files."""

from __future__ import annotations

import json
from ipaddress import ip_network
from pathlib import Path

import pytest

from openswan.base.errors import HostError
from openswan.engine.effects import GuardEntry
from openswan.host.guard import journal
from openswan.host.guard.model import Held
from openswan.policy.selector import FlowKey

KEY = FlowKey(ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24"), 6, 0, 80)
ONE, TWO = Held((GuardEntry(KEY, "ipsec0"),)), Held((), (6,))


def test_the_last_line_counts(tmp_path: Path) -> None:
    path = tmp_path / "run" / "guard.journal"
    book = journal.Journal(path)
    held = {"a": ONE}
    book.note("a", ONE, held)
    book.note("b", TWO, held | {"b": TWO})
    book.note("a", None, {"b": TWO})
    book.close()
    assert journal.read(path) == journal.Recovered({"b": TWO}, ())
    assert path.stat().st_mode & 0o777 == 0o600


def test_every_truncation_is_readable(tmp_path: Path) -> None:
    path = tmp_path / "j"
    book = journal.Journal(path)
    book.rewrite({"a": ONE, "b": TWO})
    book.close()
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        found = journal.read(path)
        assert ("a" in found.held) == (cut >= first - 1) and ("b" in found.held) == (cut >= len(whole) - 1)


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "[]",
        "null",
        "x" * 100,
        '{"connection": 5, "entries": [], "block": []}',
        '{"connection": "a", "entries": [["10.1.0.0/24"]], "block": []}',
        '{"connection": "a", "entries": [["10.1.0.1/24", "10.2.0.0/24", 0, 0, 0, "ipsec0"]], "block": []}',
        '{"connection": "a", "entries": [["10.1.0.0/24", "fd00::/8", 0, 0, 0, "ipsec0"]], "block": []}',
        '{"connection": "a", "entries": [["10.1.0.0/24", "10.2.0.0/24", 99999, 0, 0, "ipsec0"]], "block": []}',
        '{"connection": "a", "entries": [["10.1.0.0/24", "10.2.0.0/24", 0, 0, 0, "ipsec00000000000"]], "block": []}',
        '{"connection": "a", "entries": [], "block": [5]}',
        "[" * 100000,
    ],
)
def test_nonsense_is_one_complaint_and_no_harm(tmp_path: Path, line: str) -> None:
    path = tmp_path / "j"
    good = json.dumps({"connection": "b", **journal.to_plain(TWO)})
    path.write_text(f"{line}\n{good}\n")
    found = journal.read(path)
    assert found.held == {"b": TWO} and len(found.complaints) == 1 and ":1:" in found.complaints[0]


def test_it_is_written_afresh_when_it_has_grown(tmp_path: Path) -> None:
    path = tmp_path / "j"
    book = journal.Journal(path)
    for _ in range(journal.SLACK + 50):
        book.note("a", ONE, {"a": ONE})
    book.close()
    assert len(path.read_text().splitlines()) < 100
    assert journal.read(path).held == {"a": ONE}


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot write what is guarded"):
        journal.Journal(tmp_path / "file" / "j").rewrite({})


def test_the_conn_behind_a_name() -> None:
    for held in ("a", "a[7]", "a/1x2", "a/1x2[3]", "a#10.0.0.0/8", "%manual/a"):
        assert journal.conn_of(held) == "a"
