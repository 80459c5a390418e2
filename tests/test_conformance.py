# SPDX-License-Identifier: GPL-2.0-or-later
"""Configurations nobody here wrote: the figures of `make conformance`, and the kinds of conn they tell apart."""

from pathlib import Path

import pytest

from tests.conformance.__main__ import main
from tests.conformance.survey import Outcome, survey

SAMPLE = """\
conn good
	left=192.0.2.1
	right=198.51.100.7
	authby=secret
	auto=add
conn listed=yes
	left-subnet=10.1.0.0/16,fd01::/64
	rightsubnet=fd02::/64,10.2.0.0/16
	also=good
conn part
	leftcert=any
conn vague
	also=good
	priority=7
conn strict
	also=good
	keyexchange=ikev1
	aggrmode=maybe
conn bad
	also=good
	esp=rot13
conn yours
	also=good
	leftrsasigkey=0sAQ....xx
"""


def test_shared_samples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "17 of 17 files parse as their own parser says (100.0%)" in out
    assert "5 of 5 readwriteconf outputs reproduced" in out and "8 of 8 ipsec.secrets load" in out


def test_what_becomes_of_each_conn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.conf").write_text(SAMPLE)
    (tmp_path / "b.conf").write_text("conn x\n\tlefft=1\n")
    found = survey([tmp_path / "a.conf", tmp_path / "b.conf"], tmp_path)
    assert found.files == {"a.conf": True, "b.conf": False} and "lefft" in found.why_not["b.conf"]
    assert {one.name: one.outcome for one in found.results} == {
        "good": Outcome.LOADED,
        "listed=yes": Outcome.LOADED,
        "part": Outcome.TEMPLATE,
        "vague": Outcome.PARTLY,
        "strict": Outcome.IKEV1,
        "bad": Outcome.REFUSED,
        "yours": Outcome.TEMPLATE,
    }
    assert found.share == 0.5
    assert main([str(tmp_path)]) == 1
    assert "1 of 2 files parse" in capsys.readouterr().out
