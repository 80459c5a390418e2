# SPDX-License-Identifier: GPL-2.0-or-later
"""The only code that touches sockets, clock, entropy, subprocesses and netlink."""
