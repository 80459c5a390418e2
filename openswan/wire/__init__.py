# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes to dataclasses and back; no state, no I/O, no cryptography."""
