# SPDX-License-Identifier: GPL-2.0-or-later
"""pluto's brain: connections, states, routing and rekeying; pure."""
