# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec ranbits`: prints random bits in the hexadecimal form of ipsec.conf and ipsec.secrets."""

from __future__ import annotations

import re
import sys

from openswan.cli.keyoptions import Parser, Usage
from openswan.host.entropy import SystemRng

USAGE = "ipsec ranbits [--quick] [--continuous] [--bytes] N"
MOST_OCTETS = 1 << 16


def show(data: bytes, continuous: bool) -> str:
    """`0x` and hexadecimal digits, by eights with underscores between unless `continuous`."""
    digits = data.hex()
    groups = [digits] if continuous else [digits[at : at + 8] for at in range(0, len(digits), 8)]
    return "0x" + "_".join(groups)


def main(argv: list[str]) -> int:
    """Print them; 0, or 2 when the options are wrong."""
    parser = Parser("ranbits", USAGE, 2)
    parser.add_argument("--quick", action="store_true", help="accepted: the kernel's generator is always quick")
    parser.add_argument("--continuous", action="store_true", help="no underscores")
    parser.add_argument("--bytes", action="store_true", help="N counts octets, not bits")
    parser.add_argument("count", metavar="N", nargs="?", help="bits, rounded up to whole octets")
    try:
        options = parser.parse_args(argv)
        if options.count is None:
            parser.error("N is missing: how many bits?")
        if not re.fullmatch(r"[0-9]{1,9}", options.count) or not int(options.count):
            parser.error(f"'{options.count}' is not a number of {'octets' if options.bytes else 'bits'}")
        octets = int(options.count) if options.bytes else (int(options.count) + 7) // 8
        if octets > MOST_OCTETS:
            parser.error(f"{options.count} is too much: at most {MOST_OCTETS} octets")
    except Usage as why:
        print(why, file=sys.stderr)
        return why.status
    except SystemExit as leaving:  # --help and --version
        return int(leaving.code or 0)
    print(show(SystemRng().octets(octets), options.continuous))
    return 0
