# SPDX-License-Identifier: GPL-2.0-or-later
"""Plain-Python twins of every structure in _fast: the tests' oracle."""
