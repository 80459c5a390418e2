# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec diagnose`: what it prints, and its exit status."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from openswan.cli import diagnose
from openswan.diagnosis.facts import Daemon, Facts
from openswan.diagnosis.finding import ALARM, Finding, Kind
from tests.unit.diagnosis.world import config, down, up


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Root, and the facts a test puts in here."""
    found: dict[str, Any] = {"facts": up()}

    def gather(target: str, address: object, ping: bool) -> Facts:
        found.update(target=target, address=address, ping=ping)
        return found["facts"]  # type: ignore[no-any-return]

    monkeypatch.setattr(diagnose, "gather", gather)
    monkeypatch.setattr(diagnose.process, "is_root", lambda: True)
    return found


def test_nothing_wrong(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert diagnose.main([]) == 0
    assert capsys.readouterr().out == "nothing wrong was found; up: net\n"
    assert (given["target"], given["address"], given["ping"]) == ("", None, True)


def test_causes_in_order_with_evidence_and_remedy(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    given["facts"] = replace(down(), daemon=Daemon(alive=False, orphan=True))
    assert diagnose.main(["net"]) == 12
    assert capsys.readouterr().out == (
        "1. pluto has died: its pid file is there, its process is not [daemon-died]\n"
        "   - what it protected stays guarded: nothing of it leaves in clear\n"
        "   -> ipsec setup restart\n"
    )
    assert given["target"] == "net"


def test_json_and_quiet(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    given["facts"] = replace(up(), config=config("nonsense\n"))
    assert diagnose.main(["--json", "10.2.0.9", "--no-ping"]) == 10
    said = json.loads(capsys.readouterr().out)
    assert said["version"] == 1 and said["findings"][0]["kind"] == "config"
    assert set(said["findings"][0]) == {"code", "kind", "weight", "cause", "evidence", "remedy", "conn"}
    assert given["address"] == ip_address("10.2.0.9") and not given["ping"]
    assert diagnose.main(["--quiet"]) == 10
    assert capsys.readouterr().out == ""


def test_what_there_was_no_time_for_is_said(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    given["facts"] = replace(up(), unseen=("nft", "the peers"))
    assert diagnose.main([]) == 0
    assert capsys.readouterr().out.endswith("up: net\nnot looked at in time: nft, the peers\n")
    assert diagnose.main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unseen"] == ["nft", "the peers"]


def test_remarks_only_on_request(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    given["facts"] = down(wanted=False)
    assert diagnose.main([]) == 0 and "nothing wrong" in capsys.readouterr().out
    assert diagnose.main(["--all"]) == 0
    assert "[not-up]" in capsys.readouterr().out


def test_five_and_more(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    text = "".join(f"conn c{n}\n\tleft=192.0.2.1\n\tright=x y\n\tauto=add\n" for n in range(8))
    given["facts"] = replace(down(), config=config(text))
    assert diagnose.main([]) == 10
    out = capsys.readouterr().out
    assert "\n5. " in out and "\n6. " not in out and "more: --all)" in out


@pytest.mark.parametrize("argv", [["a", "b"], ["--loud"]])
def test_usage(given: dict[str, Any], argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert diagnose.main(argv) == 2
    assert "Usage: ipsec diagnose" in capsys.readouterr().err


def test_only_root(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(diagnose.process, "is_root", lambda: False)
    assert diagnose.main([]) == 1
    assert "permission denied" in capsys.readouterr().err


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name.lower())
def test_every_class_has_an_exit_status_that_the_page_tells(kind: Kind) -> None:
    findings = [Finding("x", kind, ALARM, "because"), Finding("y", Kind.TRAFFIC, ALARM - 1, "perhaps")]
    assert diagnose.status(findings) == int(kind) and int(kind) in diagnose.SYNTAX.statuses
    assert diagnose.status(findings[1:]) == 0


def test_the_json_form_is_what_the_page_says(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Names and types of everything; remarks are in it too."""
    given["facts"] = replace(down(wanted=False), target="net")
    diagnose.main(["--json", "net"])
    said = json.loads(capsys.readouterr().out)
    assert {name: type(value) for name, value in said.items()} == {
        "version": int, "target": str, "unseen": list, "findings": list
    }  # fmt: skip
    [page] = [text for text in diagnose.SYNTAX.details if "JSON" in text]
    for finding in said["findings"]:
        assert {name: type(value) for name, value in finding.items()} == {
            "code": str, "kind": str, "weight": int, "cause": str, "evidence": list, "remedy": str, "conn": str
        }  # fmt: skip
        assert finding["kind"] in {kind.name.lower() for kind in Kind} and all(name in page for name in finding)
    assert said["findings"] and all(name in page for name in said)
