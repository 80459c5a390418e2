# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m openswan.cli.manpage DIRECTORY`: manual pages of the commands whose syntax is described in one place."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from openswan import RELEASED
from openswan.cli.commands import COMMANDS
from openswan.cli.syntax import Syntax


def syntaxes() -> Iterator[Syntax]:
    """Every command that is described so, by name."""
    modules = sorted({command.module for command in COMMANDS.values() if command.module})
    found = {
        one.name: one
        for module in modules
        for one in vars(import_module(module)).values()
        if isinstance(one, Syntax) and one.name in COMMANDS
    }
    return (found[name] for name in sorted(found))


def escaped(text: str) -> str:
    """As roff takes it: no backslash, hyphens that are hyphens, no control line by accident."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text


def page(syntax: Syntax) -> str:
    """The page in man(7) macros."""
    lines = [
        '.\\" SPDX-License-Identifier: GPL-2.0-or-later',
        f'.TH IPSEC_{syntax.name.upper()} 8 "{RELEASED}" "Openswan 3.0" "IPsec"',
        ".SH NAME",
        # One word, as whatis(1) wants it.
        f"ipsec_{escaped(syntax.name)} \\- {escaped(syntax.summary)}",
        ".SH SYNOPSIS",
        ".nf",
        escaped(syntax.usage.removeprefix("Usage: ")),
        ".fi",
        ".SH DESCRIPTION",
        escaped(f"{syntax.summary[:1].upper()}{syntax.summary[1:]}."),
    ]
    for paragraph in syntax.details:
        lines += [".PP", escaped(paragraph)]
    if syntax.options:
        lines.append(".SH OPTIONS")
        for option in syntax.options:
            value = f" \\fI{escaped(option.value)}\\fR" if option.value else ""
            lines += [".TP", f"\\fB{escaped(option.name)}\\fR{value}", escaped(option.text)]
    lines.append(".SH EXIT STATUS")
    lines.append(escaped("; ".join(f"{status} {meaning}" for status, meaning in syntax.statuses.items()) + "."))
    lines += [".SH SEE ALSO", ", ".join(escaped(each) for each in ("ipsec(8)", *syntax.see))]
    return "\n".join(lines) + "\n"


def file_of(syntax: Syntax) -> str:
    """Its name in the directory of pages."""
    return f"ipsec_{syntax.name}.8"


def main(argv: list[str]) -> int:
    """Write them all."""
    for syntax in syntaxes():
        (Path(argv[0]) / file_of(syntax)).write_text(page(syntax))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
