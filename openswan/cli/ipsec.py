# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec`: finds the subcommand in the table, or an executable of that name in $IPSEC_EXECDIR, and runs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from openswan import __version__
from openswan.base.errors import ConfigError, IpsecError
from openswan.cli.commands import COMMANDS, RETIRED, Command, listed

EXECDIR = "/usr/local/libexec/ipsec"
LIBDIR = "/usr/local/lib/ipsec"

COPYRIGHT = """\
Openswan {version}, an IPsec gateway.
This program is free software: you may redistribute and modify it under the terms of the GNU General Public License,
version 2 or (at your option) any later version. It comes WITHOUT ANY WARRANTY; the file LICENSE tells the details."""


def _usage() -> str:
    lines = [
        "Usage: ipsec COMMAND ARGUMENT...",
        "       ipsec --help | --version | --versioncode | --copyright | --directory | --confdir",
        "where COMMAND is one of:",
    ]
    lines += [f"\t{name:<14} {COMMANDS[name].summary}" for name in listed()]
    lines.append("Each COMMAND takes --help; see also ipsec(8) and ipsec_COMMAND(8).")
    return "\n".join(lines)


def _version() -> str:
    return f"Linux Openswan {__version__} (klips)\nSee `ipsec --copyright' for copyright information."


def _confdir() -> str:
    return os.environ.get("IPSEC_CONFS", "/etc")


def execdir() -> str:
    """Where commands of the administrator are looked for first."""
    return os.environ.get("IPSEC_EXECDIR", EXECDIR)


def libdir() -> str:
    """Where they are looked for after that."""
    return os.environ.get("IPSEC_LIBDIR", LIBDIR)


OPTIONS: dict[str, Callable[[], str]] = {
    "--help": _usage,
    "--version": _version,
    "version": _version,
    "--versioncode": lambda: f"{__version__} (klips)",
    "--copyright": lambda: COPYRIGHT.format(version=__version__),
    "_copyright": lambda: COPYRIGHT.format(version=__version__),
    "--directory": libdir,
    "--confdir": _confdir,
}


def _external(name: str) -> Path | None:
    """An executable of that name the administrator has put beside ours, or None."""
    if "/" in name or name.startswith("."):
        return None
    for directory in (execdir(), libdir()):
        candidate = Path(directory, name)
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    return None


def _environment() -> dict[str, str]:
    """What an external command finds in its environment."""
    sbindir = os.environ.get("IPSEC_SBINDIR", str(Path(sys.argv[0]).resolve().parent))
    return {
        **os.environ,
        "IPSEC_VERSION": __version__,
        "IPSEC_EXECDIR": execdir(),
        "IPSEC_LIBDIR": libdir(),
        "IPSEC_DIR": libdir(),
        "IPSEC_SBINDIR": sbindir,
        "IPSEC_CONFS": _confdir(),
        "PATH": f"{sbindir}:{os.environ.get('PATH', '/usr/sbin:/usr/bin:/sbin:/bin')}",
    }


def _main_of(command: Command) -> Callable[[list[str]], int]:
    return cast(Callable[[list[str]], int], import_module(command.module).main)


def run(argv: list[str]) -> int:
    """Carry out one command line without the leading `ipsec`; returns the exit status."""
    if not argv:
        print(_usage())
        return 0
    name, arguments = argv[0], argv[1:]
    if name in OPTIONS:
        print(OPTIONS[name]())
        return 0
    if name.startswith("-"):
        print(f"unknown option `{name}' (perhaps command name was omitted?)", file=sys.stderr)
        return 1
    if command := COMMANDS.get(name):
        if "--help" in arguments and command.option:
            print(f"ipsec {name} ARGUMENT... does the same as ipsec {command.classic} {command.option} ARGUMENT...")
        return _main_of(command)([*command.prefix, *arguments])
    if external := _external(name):
        os.execve(external, [str(external), *arguments], _environment())
    if name in RETIRED:
        print(f"ipsec {name} is no more: {RETIRED[name]}", file=sys.stderr)
        return 0 if "--help" in arguments else 1
    print(f"unknown IPsec command `{name}' (`ipsec --help' for list)", file=sys.stderr)
    return 1


def main() -> int:
    """Entry point of the console script: errors become one line, a closed pipe or ^C no traceback."""
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
    except ConfigError as why:
        print(f"ipsec: {why}", file=sys.stderr)
        return 3
    except IpsecError as why:
        print(f"ipsec: {why}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has gone; pointing stdout elsewhere keeps the interpreter's own flush quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    return status


if __name__ == "__main__":
    sys.exit(main())
