# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of commands with classic exit statuses: which word is wrong, and the usage."""

from __future__ import annotations

import argparse
import platform
from datetime import datetime
from typing import NoReturn

from openswan import __version__

NSS = "there is no NSS database here: --configdir and --password are accepted and not used"


class Usage(Exception):
    """Options that make no sense; main() prints the text and returns the status."""

    def __init__(self, text: str, status: int) -> None:
        self.status = status
        super().__init__(text)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises Usage with the command's own exit status instead of leaving the process."""

    def __init__(self, command: str, usage: str, status: int) -> None:
        super().__init__(prog=f"ipsec {command}", usage=usage, allow_abbrev=False)
        self._status = status
        self._shown = usage
        self.add_argument("--version", action="version", version=f"ipsec {command} Openswan {__version__}")

    def error(self, message: str) -> NoReturn:
        """Raise Usage with what is wrong and the usage."""
        raise Usage(f"{self.prog}: {message}\nUsage: {self._shown.strip()}", self._status)


def host_name(given: str | None) -> str:
    """What --hostname says, or this host's name."""
    return given or platform.node() or "localhost"


def date() -> str:
    """Now, as key files carry it: `Tue Mar  4 10:11:12 2003`."""
    return datetime.now().strftime("%a %b %e %H:%M:%S %Y")
