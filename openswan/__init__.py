# SPDX-License-Identifier: GPL-2.0-or-later
"""Openswan: an IPsec gateway with its own packet engine."""

__version__ = "3.0.0"
