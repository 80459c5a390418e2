# SPDX-License-Identifier: GPL-2.0-or-later
"""Which bits of the firewall mark are ours, for commands: what the daemon tells updown commands, else ipsec.conf."""

from __future__ import annotations

import os

from openswan.base import paths
from openswan.base.errors import ConfigError
from openswan.base.marks import DEFAULT_MARKS, Marks, parse_marks
from openswan.config.places import setup_of

KEYWORD = "fwmark-mask"
VARIABLE = "PLUTO_FWMARK_MASK"
"""In an updown command's environment."""


def configured() -> Marks:
    """Those in force; the usual ones when ipsec.conf cannot be read or says nothing."""
    try:
        if VARIABLE in os.environ:
            return parse_marks(os.environ[VARIABLE])
        found = setup_of(paths.conf_file()).get(KEYWORD)
        return parse_marks(found.value) if found is not None else DEFAULT_MARKS
    except ConfigError:
        return DEFAULT_MARKS
