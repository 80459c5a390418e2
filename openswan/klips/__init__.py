# SPDX-License-Identifier: GPL-2.0-or-later
"""The packet engine's Python face: SA database, eroute table, counters and events."""
