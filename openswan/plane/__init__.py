# SPDX-License-Identifier: GPL-2.0-or-later
"""The language pluto and the packet engine speak: commands, events and table rows as plain frozen data."""
