# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec algparse`: what an ike=, esp= or ah= string offers, or why it will not do."""

from __future__ import annotations

import sys
from collections.abc import Callable

from openswan.base.errors import ConfigError
from openswan.policy.algorithms import DEFAULT_AH, DEFAULT_ESP, DEFAULT_IKE, Parsed, parse_ah, parse_esp, parse_ike
from openswan.policy.proposal import Proposal, proposal_text

USAGE = """\
Usage: ipsec algparse [ike=STRING] [esp=STRING] [phase2alg=STRING] [ah=STRING] ...
Shows the proposals each string stands for, in the order they are offered; a bare keyword, or none at all, shows what
is offered by default. Exit status: 0; 1 a string that will not do, 2 usage."""

KINDS: dict[str, tuple[str, Callable[[str], Parsed], tuple[Proposal, ...]]] = {
    "ike": ("IKE", parse_ike, DEFAULT_IKE),
    "esp": ("ESP", parse_esp, DEFAULT_ESP),
    "phase2alg": ("ESP", parse_esp, DEFAULT_ESP),
    "phase2": ("ESP", parse_esp, DEFAULT_ESP),
    "ah": ("AH", parse_ah, DEFAULT_AH),
}
BAD, USAGE_ERROR = 1, 2


def main(argv: list[str]) -> int:
    """Print proposals to standard output, complaints to standard error."""
    if any(word in ("--help", "-h") for word in argv):
        print(USAGE)
        return 0
    status = 0
    for word in argv or ["ike", "esp", "ah"]:
        name, equals, text = word.lstrip("-").partition("=")
        kind = KINDS.get(name)
        if kind is None:
            print(f"algparse: '{word}' is no ike=, esp=, phase2alg= or ah= string\n{USAGE}", file=sys.stderr)
            return USAGE_ERROR
        label, parse, default = kind
        try:
            parsed = parse(text) if equals else Parsed(default)
        except ConfigError as why:
            print(f"algparse: {why.reason}", file=sys.stderr)
            status = BAD
            continue
        print(f"{word}" if equals else f"{name}, by default")
        for number, proposal in enumerate(parsed.proposals, 1):
            print(f"  {number}. {label}: {proposal_text(proposal)}")
        for warning in parsed.warnings:
            print(f"algparse: {warning}", file=sys.stderr)
    return status
