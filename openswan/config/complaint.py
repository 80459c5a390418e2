# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with a configuration, one line each, collected instead of raised: one mistake never hides the next."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How much a complaint matters."""

    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Complaint:
    """One line for the operator."""

    text: str
    where: str = ""
    """FILE:LINE, or empty when no line is to blame."""
    severity: Severity = Severity.ERROR
    conn: str = ""
    """The connection that is not loaded because of it (ERROR) or that it is about; empty: none in particular."""

    def __str__(self) -> str:
        text = f'conn "{self.conn}": {self.text}' if self.conn else self.text
        if self.severity is Severity.WARNING:
            text = f"warning: {text}"
        return f"{self.where}: {text}" if self.where else text

    @property
    def fatal(self) -> bool:
        """Is it an error?"""
        return self.severity is Severity.ERROR


def warning(text: str, where: str = "", conn: str = "") -> Complaint:
    """A complaint that stops nothing."""
    return Complaint(text, where, Severity.WARNING, conn)


def error(text: str, where: str = "", conn: str = "") -> Complaint:
    """A complaint that keeps its connection from loading."""
    return Complaint(text, where, Severity.ERROR, conn)
