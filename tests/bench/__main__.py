# SPDX-License-Identifier: GPL-2.0-or-later
"""`make bench`: everything that is measured, one after the other."""

from __future__ import annotations

from tests.bench import engine, flood, many, oe, scale, tables, throughput

engine.main()
tables.main()
throughput.main()
scale.main()
many.main([])
flood.main()
oe.main([])
