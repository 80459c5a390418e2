# SPDX-License-Identifier: GPL-2.0-or-later
"""The ipsec command and its subcommands."""
