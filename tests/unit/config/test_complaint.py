# SPDX-License-Identifier: GPL-2.0-or-later
"""Complaints as lines."""

from openswan.config.complaint import Complaint, error, warning


def test_lines() -> None:
    assert str(error("is wrong", "f:3", "x")) == 'f:3: conn "x": is wrong'
    assert str(error("is wrong")) == "is wrong"
    assert str(warning("is odd", "f:3")) == "f:3: warning: is odd"
    assert str(warning("is odd", "f:3", "x")) == 'f:3: warning: conn "x": is odd'


def test_severity() -> None:
    assert error("x").fatal and not warning("x").fatal
    assert Complaint("x").fatal
