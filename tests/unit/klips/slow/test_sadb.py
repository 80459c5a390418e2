# SPDX-License-Identifier: GPL-2.0-or-later
"""The oracle itself."""

from __future__ import annotations

from openswan.klips.slow.sadb import Sadb


def test_add_find_remove() -> None:
    db = Sadb()
    assert db.add(5, 1) and not db.add(5, 1) and not db.add(5, 2) and db.find(5) == 1 and len(db) == 1
    assert db.remove(5) and not db.remove(5) and db.find(5) is None and len(db) == 0
