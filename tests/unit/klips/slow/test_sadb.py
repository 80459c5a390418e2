# SPDX-License-Identifier: GPL-2.0-or-later
"""The dictionary of SAs."""

from __future__ import annotations

from openswan.klips.slow.sadb import Sadb

HERE, THERE = bytes([192, 0, 2, 1]), bytes(16)


def test_a_name_is_protocol_spi_and_address() -> None:
    db = Sadb()
    assert db.add(50, 7, HERE, 70) and not db.add(50, 7, HERE, 71)
    assert db.add(51, 7, HERE, 72) and db.add(50, 7, THERE, 73)
    assert db.find(50, 7, HERE) == 70 and db.find(51, 7, HERE) == 72 and db.find(50, 7, THERE) == 73 and len(db) == 3
    assert db.find_any(50, 7, 4) == {70} and db.find_any(50, 7, 6) == {73} and db.find_any(50, 8, 4) == set()
    assert db.remove(50, 7, HERE) and not db.remove(50, 7, HERE) and db.find(50, 7, HERE) is None
