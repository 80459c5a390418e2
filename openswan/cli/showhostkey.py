# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec showhostkey`: this host's public key as ipsec.conf or a DNS zone wants it; never anything secret."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from openswan.base import paths
from openswan.base.address import Address, parse_address
from openswan.base.errors import ConfigError
from openswan.cli.keyoptions import Parser, Usage, host_name
from openswan.config.secrets import Index, Secret, SecretKind
from openswan.config.secretsfile import load_secrets
from openswan.crypto import rsakey
from openswan.policy.identity import IdKind, parse_identity

USAGE = """ipsec showhostkey FORMAT [--file FILE] [--keynum N | --id ID | --rsaid KEYID] [--verbose]
       FORMAT: --left | --right | --ipseckey [--precedence N] [--gateway GATEWAY] | --key | --txt GATEWAY |
               --dhclient [--gateway GATEWAY] | --list | --dump"""
BAD_OPERATION, BAD_ID, BAD_KEY, NO_KEYS = 1, 4, 5, 20
"""The classic exit statuses."""
TXT_OCTETS = 255
"""Longest character-string of a TXT record (RFC 1035 3.3)."""
KEYS = {SecretKind.PSK: "PSK", SecretKind.XAUTH: "XAUTH", SecretKind.PRIVATE_KEY: "RSA"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """The key to show and what goes with it."""

    public: bytes
    """RFC 3110 octets."""
    name: str
    """The host's name for DNS, without the final dot."""
    comment: str
    """What the secrets file says about the key: bits, host, date."""
    gateway: str
    precedence: int

    @property
    def base64(self) -> str:
        """The public key without its 0s."""
        return rsakey.to_text(self.public)[2:]


def conf_lines(side: str, key: Chosen) -> list[str]:
    """For ipsec.conf."""
    return [f"\t# rsakey {rsakey.keyid(key.public)}", f"\t{side}rsasigkey={rsakey.to_text(key.public)}"]


def ipseckey_lines(key: Chosen) -> list[str]:
    """An IPSECKEY record (RFC 4025); algorithm 2 is RSA, gateway type 0 none, 1 IPv4, 2 IPv6."""
    kind, gateway = 0, "."
    if key.gateway:
        address = _gateway_address(key.gateway)
        kind, gateway = (1 if address.version == 4 else 2), str(address)
    return [f'{key.name}.    IN    IPSECKEY  {key.precedence} {kind} 2 {gateway} "{key.base64}" ']


def key_lines(key: Chosen) -> list[str]:
    """A KEY record, as opportunistic encryption used it first."""
    return [f"; {key.comment}", f"{key.name}.\tIN\tKEY\t0x4200 4 1 {key.base64}"]


def txt_lines(key: Chosen) -> list[str]:
    """A TXT record (RFC 4322); @fqdn as gateway is for hosts that only initiate."""
    gateway = key.gateway
    if not gateway.startswith("@"):
        gateway = str(_gateway_address(gateway))
    text = key.base64
    strings = [text[at : at + TXT_OCTETS] for at in range(0, len(text), TXT_OCTETS)]
    quoted = " ".join(f'"{part}"' for part in strings)
    return [f"; {key.comment}", f'\tIN\tTXT\t"X-IPsec-Server(10)={gateway} " {quoted}']


def dhclient_lines(key: Chosen) -> list[str]:
    """For dhclient.conf: options 159 and 160 carry key and gateway."""
    lines = [f"# {key.comment}", "option oe-key code 159 = string;", "option oe-gateway code 160 = ip-address;"]
    lines.append(f'send oe-key "{rsakey.to_text(key.public)}";')
    return [*lines, f"send oe-gateway {_gateway_address(key.gateway)};"] if key.gateway else lines


FORMATS: dict[str, Callable[[Chosen], list[str]]] = {
    "left": lambda key: conf_lines("left", key),
    "right": lambda key: conf_lines("right", key),
    "ipseckey": ipseckey_lines,
    "key": key_lines,
    "txt": txt_lines,
    "dhclient": dhclient_lines,
}
OPERATIONS = (*FORMATS, "list", "dump")


def _gateway_address(text: str) -> Address:
    try:
        return parse_address(text)
    except ConfigError as why:
        raise Usage(f"ipsec showhostkey: gateway {why}", BAD_OPERATION) from None


def public_of(secret: Secret) -> bytes:
    """RFC 3110 octets of a record's key; Usage when it holds no RSA key."""
    if not isinstance(secret.key, rsa.RSAPrivateKey):
        raise Usage(f"ipsec showhostkey: {secret.where}: wrong kind of key, not RSA", BAD_KEY)
    return rsakey.encode_public(secret.key.public_key())


def show_index(index: Index) -> str:
    """One index as the secrets file has it."""
    if index.any:
        return "%any6" if index.version == 6 else "%any"
    return index.name or str(index.identity)


def keyid_of(secret: Secret) -> str:
    """The key ID of an RSA key, `(none)` for all others: nothing of a shared secret is shown."""
    if isinstance(secret.key, rsa.RSAPrivateKey):
        return rsakey.keyid(rsakey.encode_public(secret.key.public_key()))
    return "(none)"


def list_lines(secrets: Sequence[Secret], dump: bool) -> list[str]:
    """One line for each index of each record, with `dump` the public keys too."""
    lines = []
    for number, secret in enumerate(secrets, 1):
        kind = KEYS[secret.kind]
        if secret.key is not None and not isinstance(secret.key, rsa.RSAPrivateKey):
            kind = "ECDSA"
        for which, name in enumerate([show_index(index) for index in secret.indices] or ["%any"], 1):
            lines.append(f"{number}({which}): {kind} keyid: {keyid_of(secret)} with id: {name}")
        if dump and isinstance(secret.key, rsa.RSAPrivateKey):
            lines.append(f"\tpubkey={rsakey.to_text(public_of(secret))}")
    return lines


def select(secrets: Sequence[Secret], options: argparse.Namespace) -> Secret:
    """The record --keynum, --id or --rsaid names, else the first RSA key; Usage with the classic status otherwise."""
    number: int | None = options.keynum
    if number is not None:
        if not 1 <= number <= len(secrets):
            raise Usage(f"ipsec showhostkey: there is no key number {number}", BAD_KEY)
        return secrets[number - 1]
    asymmetric = [secret for secret in secrets if secret.kind is SecretKind.PRIVATE_KEY]
    if options.rsaid is not None:
        found = [secret for secret in asymmetric if keyid_of(secret) == options.rsaid]
        missing = f"no key with keyid {options.rsaid}"
    elif options.id is not None:
        try:
            identity = parse_identity(options.id)
        except ConfigError as why:
            raise Usage(f"ipsec showhostkey: {why}", BAD_ID) from None
        found = [secret for secret in asymmetric if any(index.covers(identity) for index in secret.indices)]
        missing = f"no key for id {options.id}"
    else:
        found, missing = asymmetric, "no RSA key"
    if not found:
        raise Usage(f"ipsec showhostkey: {missing} found", BAD_KEY)
    return found[0]


def comment_of(secret: Secret, public: bytes, host: str) -> str:
    """The comment rsasigkey put in front of that key, or bits and host when there is none."""
    path = secret.where.rpartition(":")[0]
    modulus = rsakey.decode_public(public).key_size
    try:
        text = Path(path).read_text(errors="replace")
    except (OSError, ValueError):
        text = ""
    at = text.find(f"#pubkey={rsakey.to_text(public)}")
    found = re.findall(r"^[ \t]*# (RSA \d+ bits.*)$", text[: max(at, 0)], re.MULTILINE)
    return found[-1].rstrip() if found else f"RSA {modulus} bits   {host}"


def name_of(secret: Secret) -> str:
    """The host's name: the first name among the record's indices, else what the system calls itself."""
    for index in secret.indices:
        if index.name:
            return index.name.rstrip(".")
        if index.identity is not None and index.identity.kind is IdKind.FQDN:
            return index.identity.body.decode("utf-8", "replace").rstrip(".")
    return host_name(None)


def parser() -> Parser:
    """All options of both generations."""
    parse = Parser("showhostkey", USAGE, BAD_OPERATION)
    for flag in ("left", "right", "ipseckey", "key", "dhclient", "list", "dump", "verbose"):
        parse.add_argument(f"--{flag}", action="store_true")
    parse.add_argument("--txt", metavar="GATEWAY")
    parse.add_argument("--gateway", metavar="GATEWAY", default="")
    parse.add_argument("--precedence", metavar="N", default="10")
    parse.add_argument("--file", metavar="FILE")
    parse.add_argument("--secretroot", metavar="DIRECTORY", default="")
    parse.add_argument("--keynum", metavar="N", type=int)
    parse.add_argument("--id", metavar="ID")
    parse.add_argument("--rsaid", metavar="KEYID")
    return parse


def show(options: argparse.Namespace) -> list[str]:
    """The lines to print; Usage otherwise."""
    wanted = [name for name in OPERATIONS if getattr(options, name)]
    if len(wanted) != 1:
        what = "must specify a format for the result" if not wanted else f"only one of {', '.join(wanted)} is possible"
        raise Usage(f"ipsec showhostkey: {what} (try --help)", BAD_OPERATION)
    if not re.fullmatch(r"[0-9]{1,3}", options.precedence) or int(options.precedence) > 255:
        raise Usage(f"ipsec showhostkey: precedence '{options.precedence}' is not 0 to 255", BAD_KEY)
    path = options.secretroot + (options.file or str(paths.secrets_file()))
    if options.verbose:
        print(f"ipsec showhostkey: reading {path}", file=sys.stderr)
    store, complaints = load_secrets(path)
    for line in complaints:
        print(f"ipsec showhostkey: {line}", file=sys.stderr)
    if not store.secrets:
        if complaints:
            raise Usage(f"ipsec showhostkey: no keys found in {path}", BAD_OPERATION)
        raise Usage("No keys found", NO_KEYS)
    if wanted[0] in ("list", "dump"):
        return list_lines(store.secrets, wanted[0] == "dump")
    secret = select(store.secrets, options)
    public, name = public_of(secret), name_of(secret)
    gateway = options.txt or options.gateway
    chosen = Chosen(public, name, comment_of(secret, public, name), gateway, int(options.precedence))
    return FORMATS[wanted[0]](chosen)


def main(argv: list[str]) -> int:
    """Print a public key; the classic exit statuses."""
    try:
        lines = show(parser().parse_args(argv))
    except Usage as why:
        print(why, file=sys.stderr)
        return why.status
    except SystemExit as leaving:  # --help and --version
        return int(leaving.code or 0)
    print("\n".join(lines))
    return 0
