# SPDX-License-Identifier: GPL-2.0-or-later
"""One conn out of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from openswan.base.errors import ConfigError
from openswan.cli.loading import find

CONF = """\
version 2.0

conn good
    left=192.0.2.1
    right=192.0.2.2
    authby=secret

conn many
    left=192.0.2.1
    leftsubnets={10.1.0.0/24 10.3.0.0/24}
    right=192.0.2.2
    authby=secret

conn bad
    left=192.0.2.1
    right=192.0.2.2
    lefft=192.0.2.3
"""


def test_by_name_by_alias_and_not_at_all(places: Path) -> None:
    conf = places / "ipsec.conf"
    conf.write_text(CONF)
    assert [each["name"] for each in find(conf, "good").connections] == ["good"]
    assert len(find(conf, "many").connections) == 2
    bad = find(conf, "bad")
    assert not bad.connections and bad.reason == 'conn "bad" has errors and is not loaded'
    assert "lefft" in "".join(bad.complaints) and f"{conf}:17" in "".join(bad.complaints)
    absent = find(conf, "absent")
    assert absent.reason == f'no connection named "absent" in {conf}' and not absent.complaints
    with pytest.raises(ConfigError, match="can not load config"):
        find(places / "none", "x")
