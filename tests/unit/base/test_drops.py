# SPDX-License-Identifier: GPL-2.0-or-later
"""Drop reasons have distinct, dense numbers: _fast indexes an array with them."""

from openswan.base.drops import Drop


def test_numbers_are_dense_and_distinct():
    assert sorted(Drop) == list(range(len(Drop)))


def test_zero_means_not_dropped():
    assert Drop(0) is Drop.NONE
