# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m openswan.cli.completion`: the bash completion, made of the table of commands and their own --help."""

from __future__ import annotations

import io
import re
import sys
from contextlib import redirect_stdout
from importlib import import_module

from openswan.cli.commands import COMMANDS, Command, listed

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
VERBS = re.compile(r"Usage: ipsec \w+ ([a-z-]+(?: \| [a-z-]+)+)")
CONN = re.compile(r"\bCONN\b|\bNAME\b|\[CONN")
HEAD = """\
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Completion for ipsec(8); `make man' writes it from the table of commands.

_ipsec_conns() {
    awk '$1 == "conn" && $2 !~ /^%/ { print $2 }' "${IPSEC_CONFS:-/etc}/ipsec.conf" \\
        "${IPSEC_CONFS:-/etc}"/ipsec.d/*.conf 2>/dev/null
}

_ipsec() {
    local word=${COMP_WORDS[COMP_CWORD]} words='' conns=''
    if [ "$COMP_CWORD" -eq 1 ]; then
        words='@COMMANDS@'
    else
        case ${COMP_WORDS[1]} in
"""
TAIL = """\
        esac
    fi
    [ -z "$conns" ] || words="$words $(_ipsec_conns)"
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    case $word in
        */*) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    esac
}

complete -F _ipsec ipsec
"""
BESIDE = {"--help", "--asynchronous", "--config", "--verbose"}
"""Options of auto that are no verbs."""
OWN = ("--help", "--version", "--versioncode", "--copyright", "--directory", "--confdir")
"""Of ipsec itself."""


def help_of(name: str) -> str:
    """What `ipsec NAME --help` prints."""
    command: Command = COMMANDS[name]
    out = io.StringIO()
    with redirect_stdout(out):
        import_module(command.module).main([*command.prefix, "--help"])
    return out.getvalue()


def options_of(name: str) -> list[str]:
    """Every option a command's help names; of a modern spelling, those that it takes beside its own meaning."""
    command = COMMANDS[name]
    found = set(OPTION.findall(help_of(name))) | {"--help"}
    if command.option and command.classic == "auto":
        found &= BESIDE
    return sorted(found - set(command.prefix))


def words_of(name: str) -> tuple[list[str], bool]:
    """(words, conns too?): what may stand behind a command."""
    text = help_of(name)
    verbs = VERBS.search(text)
    words = options_of(name) + (verbs[1].split(" | ") if verbs and not COMMANDS[name].prefix else [])
    return words, CONN.search(text) is not None


def script() -> str:
    """The whole file."""
    cases: dict[tuple[str, bool], list[str]] = {}
    for name in listed():
        words, conns = words_of(name)
        cases.setdefault((" ".join(words), conns), []).append(name)
    text = HEAD.replace("@COMMANDS@", " ".join([*listed(), *OWN]))
    for (words_text, conns), names in cases.items():
        text += f"            {' | '.join(names)})\n                words='{words_text}'\n"
        text += "                conns=yes\n" if conns else ""
        text += "                ;;\n"
    return text + TAIL


if __name__ == "__main__":
    sys.stdout.write(script())
