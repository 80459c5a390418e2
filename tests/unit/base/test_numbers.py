# SPDX-License-Identifier: GPL-2.0-or-later
"""Unknown numbers travel with their value and a printable name."""

import pytest

from openswan.base.numbers import IpProtocol


def test_known_number_has_its_name():
    assert str(IpProtocol(50)) == "ESP"


def test_unknown_number_is_kept_and_printed():
    number = IpProtocol(99)
    assert number == 99
    assert str(number) == "IpProtocol(99)"


@pytest.mark.parametrize("bad", [-1, "fifty", None])
def test_what_is_no_number_is_refused(bad):
    with pytest.raises(ValueError):
        IpProtocol(bad)
