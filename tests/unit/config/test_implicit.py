# SPDX-License-Identifier: GPL-2.0-or-later
"""The conns that exist without being written."""

from openswan.config.implicit import IMPLICIT
from openswan.config.keyword import Section
from openswan.config.keywords import find


def test_names_and_keywords() -> None:
    assert list(IMPLICIT) == ["packetdefault", "clear", "clear-or-private", "private-or-clear", "private", "block"]
    for values in IMPLICIT.values():
        for keyword, value in values.items():
            found = find(Section.CONN, keyword)
            assert found is not None
            found[0].canonical(value)


def test_what_happens_when_encryption_fails() -> None:
    shunts = {name: values.get("failureshunt") for name, values in IMPLICIT.items()}
    assert shunts["private"] == "drop" and shunts["private-or-clear"] == "passthrough"
    assert IMPLICIT["block"]["type"] == "reject" and IMPLICIT["clear"]["type"] == "passthrough"
