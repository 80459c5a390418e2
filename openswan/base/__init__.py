# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors, numbers, addresses, intervals and drop reasons: what every layer may import."""
