# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration back out: as plain data for the control socket, and as ipsec.conf text."""

from __future__ import annotations

from openswan.config.plain import connection_from_plain, connection_to_plain

__all__ = ["connection_from_plain", "connection_to_plain"]
