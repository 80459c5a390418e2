# SPDX-License-Identifier: GPL-2.0-or-later
"""Openswan: an IPsec gateway with its own packet engine."""

__version__ = "3.0.0"
RELEASED = "2026-11-29"
"""Of the manual pages; that of debian/changelog."""
