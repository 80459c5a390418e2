# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec lwdnsq`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from openswan.cli import lwdnsq
from openswan.cli.lwdnsq import Session, data_text, main
from openswan.policy.dnsanswer import DnsAnswer, DnsStatus

TXT = b'\x05hello\x03a"b'


def answers(questions: list[tuple[str, str]]) -> list[DnsAnswer]:
    """alias leads to host, which has A and TXT; bad is signed wrongly; lost is not answered about."""
    made = []
    for name, kind in questions:
        if name == "lost":
            made.append(DnsAnswer(name, kind, DnsStatus.FAILED, reason="no server"))
        elif name == "bad":
            made.append(DnsAnswer(name, kind, DnsStatus.BOGUS, reason="wrong signature"))
        elif kind in ("A", "TXT") and name in ("alias", "1.2.0.192.in-addr.arpa"):
            data = bytes((192, 0, 2, 1)) if kind == "A" else TXT
            made.append(DnsAnswer(name, kind, DnsStatus.FOUND, (data,), kind == "A", 60.0, ("host",)))
        else:
            made.append(DnsAnswer(name, kind, DnsStatus.ABSENT, reason="no such name"))
    return made


def conversation(*lines: str) -> list[str]:
    out = io.StringIO()
    session = Session(out, answers, regress=True)
    assert all(session.line(line) for line in lines)
    return out.getvalue().splitlines()


def test_a_trail_to_validated_records() -> None:
    assert conversation("A 7 alias.") == [
        "7 0 0 START",
        "7 0 0 DNSSEC OKAY",
        "7 0 0 CNAME host",
        "7 0 0 CNAMEFROM alias",
        "7 0 0 NAME host",
        "7 0 0 AD-A 192.0.2.1",
        "7 0 0 DONE",
    ]


def test_reverse_names_of_addresses() -> None:
    lines = conversation("oe4 x 192.0.2.1")
    assert "x 0 0 DNSSEC not present" in lines and lines[-2:] == ['x 0 0 TXT "hello" "a\\034b"', "x 0 0 DONE"]
    assert conversation("TXT6 x 192.0.2.1") == ["x 0 0 FATAL `192.0.2.1' is no IPv6 address"]


def test_ends_without_records() -> None:
    assert conversation("A 1 lost")[-1] == "1 0 0 RETRY no server"
    assert conversation("A 1 bad")[-1] == "1 0 0 FATAL wrong signature"
    assert conversation("AAAA 1 alias")[-1] == "1 0 0 FATAL no such name"


def test_lines_that_make_no_sense() -> None:
    assert conversation("", "DEBUG 3") == []
    assert "FATAL `FROB' not understood" in conversation("FROB 1 x")[0]
    assert "FATAL" in conversation("A 1 " + "x" * 5000)[0]
    assert conversation("help")[0].startswith("commands: ")
    assert not Session(io.StringIO(), answers).line("quit")


def test_data_that_is_not_what_its_type_says_is_shown_in_base64() -> None:
    assert data_text("A", b"abc") == "YWJj" and data_text("TXT", b"\x09a") == "CWE=" and data_text("KEY", b"") == ""


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(lwdnsq, "records", answers)
    monkeypatch.setattr("sys.stdin", io.StringIO("A 1 lost\nQUIT\nA 2 lost\n"))
    assert main(["--log", str(tmp_path / "log"), "--prompt"]) == 0
    assert "1 0 0" not in (out := capsys.readouterr().out) and out.count("RETRY") == 1 and out.startswith("lwdnsq> ")
    assert "A 1 lost" in (tmp_path / "log").read_text()
    assert main(["--log", str(tmp_path / "none/log")]) == 1
