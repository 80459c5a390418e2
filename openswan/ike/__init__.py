# SPDX-License-Identifier: GPL-2.0-or-later
"""Pure IKE state machines: events in, effects out, time and entropy as arguments."""
