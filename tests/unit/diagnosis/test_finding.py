# SPDX-License-Identifier: GPL-2.0-or-later
"""The classes of causes are exit statuses."""

from openswan.diagnosis.finding import Finding, Kind


def test_exit_statuses_are_distinct_from_the_usual_ones() -> None:
    assert [int(kind) for kind in Kind] == [10, 11, 12, 13, 14, 15, 16]
    assert Finding("x", Kind.PEER, 50, "because").remedy == ""
