# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiled packet engine: per-packet work without the interpreter lock; only openswan.klips imports it."""
