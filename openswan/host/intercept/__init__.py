# SPDX-License-Identifier: GPL-2.0-or-later
"""Interception: which packets meet policy groups undecided, what has been decided of them, and who waits.

spans turns groups' nets into disjoint ranges, holding keeps what waits, table is what the kernel has of it, intercept
is what the daemon talks to.
"""
