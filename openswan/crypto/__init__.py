# SPDX-License-Identifier: GPL-2.0-or-later
"""Algorithms over the cryptography library, and the one table that names them."""
