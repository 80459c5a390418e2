# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec newhostkey`: makes an RSA key for this host as a whole ipsec.secrets record."""

from __future__ import annotations

import os
import stat
import sys

from openswan.base.errors import CryptoError
from openswan.cli.keyoptions import Parser, Usage, date, host_name
from openswan.cli.rsasigkey import add_options, bits_of, body, check_options
from openswan.crypto import rsakey
from openswan.host.progress import working

USAGE = "ipsec newhostkey --output FILE [--bits N] [--random DEVICE] [--hostname NAME] [--quiet] [--verbose]"
DEFAULT_BITS = "2192"


def record(bits: int, host: str) -> str:
    """A record of a new key; its closing brace must stay indented."""
    return f': RSA\t{{\n{body(rsakey.generate(bits), host, date())}\t}}\n# do not change the indenting of that "}}"\n'


def append(path: str, text: str, quiet: bool) -> None:
    """Write to the end of a file only its owner can read; Usage when it cannot be, or others can read it."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as why:
        raise Usage(f"ipsec newhostkey: cannot write '{path}': {why.strerror}", 1) from None
    with os.fdopen(descriptor, "w") as file:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
            raise Usage(
                f"ipsec newhostkey: '{path}' is refused: others can read it (mode {status.st_mode & 0o777:04o}); "
                f"run: chmod 600 {path}",
                1,
            )
        if status.st_size and not quiet:
            print(f"WARNING: file `{path}' exists, appending to it", file=sys.stderr)
        file.write(text)
        file.flush()
        if stat.S_ISREG(status.st_mode):
            os.fsync(descriptor)


def main(argv: list[str]) -> int:
    """Make the key; 0, 1 when something cannot be done, 2 when the options are wrong."""
    parser = Parser("newhostkey", USAGE, 2)
    add_options(parser)
    parser.add_argument("--output", metavar="FILE", help="where the record goes; - is standard output")
    parser.add_argument("--bits", metavar="N", default=DEFAULT_BITS, help=f"default {DEFAULT_BITS}")
    parser.add_argument("--quiet", action="store_true", help="no warning about an existing file")
    try:
        options = parser.parse_args(argv)
        if options.output is None:
            parser.error("--output is missing")
        bits = bits_of(options.bits)
        check_options(options.random, options.configdir, options.password, "newhostkey")
        if options.verbose:
            print(f"making an RSA key of {bits} bits", file=sys.stderr)
        with working(f"making an RSA key of {bits} bits"):
            text = record(bits, host_name(options.hostname))
        if options.output == "-":
            sys.stdout.write(text)
        else:
            append(options.output, text, options.quiet)
    except Usage as why:
        print(why, file=sys.stderr)
        return why.status
    except (CryptoError, OSError) as why:
        print(f"ipsec newhostkey: {why}", file=sys.stderr)
        return 1
    except SystemExit as leaving:  # --help and --version
        return int(leaving.code or 0)
    return 0
