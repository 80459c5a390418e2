# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections, selectors, proposals and identities as plain frozen data."""
