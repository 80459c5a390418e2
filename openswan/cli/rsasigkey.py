# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec rsasigkey`: makes an RSA key pair and prints it as ipsec.secrets wants it between the braces."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from openswan.base.errors import CryptoError
from openswan.cli.keyoptions import NSS, Parser, Usage, date, host_name
from openswan.crypto import rsakey
from openswan.crypto.rsakey import MAX_BITS, MIN_BITS, NAMES, RsaFields
from openswan.host.progress import working

USAGE = """ipsec rsasigkey [--verbose] [--random DEVICE] [--rounds N] [--hostname NAME] [--noopt] NBITS
       ipsec rsasigkey [--verbose] [--hostname NAME] --oldkey FILE"""
MOST_OCTETS = 1 << 16
"""Of an old key's file."""


def body(fields: RsaFields, host: str, when: str) -> str:
    """The key as lines indented by a tab, the secret part marked."""
    public = rsakey.to_text(rsakey.encode_public(rsakey.public_key(fields.modulus, fields.public_exponent)))
    numbers = fields.lines()
    lines = [
        f"# RSA {fields.modulus.bit_length()} bits   {host}   {when}",
        "# for signatures only, UNSAFE FOR ENCRYPTION",
        f"#pubkey={public}",
        *numbers[:2],
        "# everything after this point is secret",
        *numbers[2:],
    ]
    return "".join(f"\t{line}\n" for line in lines)


def old_key(path: str) -> RsaFields:
    """The key of a file that rsasigkey wrote, or of a PEM file; CryptoError says what is wrong with it."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_OCTETS)
    except OSError as why:
        raise CryptoError(f"cannot read '{path}': {why.strerror}") from None
    if b"-----BEGIN" in data:
        key = rsakey.load_private(data)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise CryptoError(f"'{path}' holds no RSA key")
        return RsaFields.of(key)
    found = dict(re.findall(rf"^\s*({'|'.join(NAMES.values())}):\s*(0[xX][0-9A-Fa-f_]+)", data.decode("latin-1"), re.M))
    fields = RsaFields.named({name: int(value, 16) for name, value in found.items()})
    fields.check()
    return fields


def bits_of(text: str | None) -> int:
    """NBITS as a number; Usage when it is missing, no multiple of 16, or out of range."""
    if text is None:
        raise Usage(f"ipsec rsasigkey: how many bits? Usage: {USAGE.splitlines()[0]}", 1)
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) % 16:
        raise Usage(f"ipsec rsasigkey: '{text}' is not a multiple of 16 (a number of bits)", 1)
    if not MIN_BITS <= int(text) <= MAX_BITS:
        raise Usage(f"ipsec rsasigkey: {text} bits are out of range, {MIN_BITS} to {MAX_BITS} are possible", 1)
    return int(text)


def add_options(parser: Parser) -> None:
    """The options newhostkey shares."""
    parser.add_argument("--verbose", action="store_true", help="tell progress on standard error")
    parser.add_argument(
        "--random", metavar="DEVICE", help="must be readable; the key itself comes from the kernel's generator"
    )
    parser.add_argument("--hostname", metavar="NAME", help="put this name into the comment")
    parser.add_argument("--configdir", help=NSS)
    parser.add_argument("--password", help=NSS)


def check_options(random: str | None, configdir: str | None, password: str | None, command: str) -> None:
    """Usage when the random device cannot be read; a line on standard error about what is not used."""
    if random is not None:
        try:
            with Path(random).open("rb", buffering=0) as device:
                device.read(1)
        except OSError as why:
            raise Usage(f"ipsec {command}: cannot read '{random}': {why.strerror}", 1) from None
    if configdir is not None or password is not None:
        print(f"ipsec {command}: {NSS}", file=sys.stderr)


def main(argv: list[str]) -> int:
    """Print a key; 0, or 1 with one line about what is wrong."""
    parser = Parser("rsasigkey", USAGE, 1)
    add_options(parser)
    parser.add_argument("--rounds", metavar="N", type=int, default=30, help="accepted for old scripts")
    parser.add_argument("--noopt", action="store_true", help="accepted for old scripts")
    parser.add_argument("--oldkey", metavar="FILE", help="print the key of FILE instead of a new one")
    parser.add_argument("nbits", metavar="NBITS", nargs="?")
    try:
        options = parser.parse_args(argv)
        check_options(options.random, options.configdir, options.password, "rsasigkey")
        if options.oldkey is not None:
            fields = old_key(options.oldkey)
        else:
            bits = bits_of(options.nbits)
            if options.verbose:
                print(f"looking for two primes of {bits // 2} bits", file=sys.stderr)
            with working(f"looking for two primes of {bits // 2} bits"):
                fields = rsakey.generate(bits)
        if options.verbose:
            print("computing and checking d, dP, dQ and qInv", file=sys.stderr)
            fields.check()
        sys.stdout.write(body(fields, host_name(options.hostname), date()))
    except Usage as why:
        print(why, file=sys.stderr)
        return why.status
    except CryptoError as why:
        print(f"ipsec rsasigkey: {why}", file=sys.stderr)
        return 1
    except SystemExit as leaving:  # --help and --version
        return int(leaving.code or 0)
    return 0
