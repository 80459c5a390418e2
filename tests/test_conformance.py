# SPDX-License-Identifier: GPL-2.0-or-later
"""Configurations nobody here wrote: the figures of `make conformance`, and the kinds of conn they tell apart."""

from pathlib import Path

import pytest

from tests.conformance.__main__ import main
from tests.conformance.survey import Outcome, configurations, survey

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
        "strict": Outcome.REFUSED,
        "bad": Outcome.REFUSED,
        "yours": Outcome.TEMPLATE,
    }
    assert found.share == 2 / 5
    assert main([str(tmp_path)]) == 1
    assert "1 of 2 files parse" in capsys.readouterr().out


def test_a_tree_is_its_configurations_each_read_once(tmp_path: Path) -> None:
    files = {
        "a.conf": "include parts/*.conf\ninclude /etc/more.conf\n",
        "parts/b.conf": "conn b\n\talso=common\n\tright=192.0.2.2\n",
        "parts/common.conf": "conn common\n\tleft=192.0.2.1\n\tauthby=secret\n",
        "a/etc/more.conf": "conn more\n\talso=b\n",
        "resolv.conf": "nameserver 192.0.2.3\n",
        "strongswan.conf": "include other.conf\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    paths = configurations(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in paths] == [
        "a/etc/more.conf", "a.conf", "parts/b.conf", "parts/common.conf"
    ]  # fmt: skip
    found = survey(paths, tmp_path, str(tmp_path))
    assert list(found.files) == ["a.conf"] and found.share == 1.0
    assert {one.name for one in found.results if one.outcome is Outcome.LOADED} == {"b", "more"}
