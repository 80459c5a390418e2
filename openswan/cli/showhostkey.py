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

from openswan.base.address import Address, parse_address
from openswan.base.errors import ConfigError
from openswan.cli.keyoptions import Parser, Usage, host_name
from openswan.cli.syntax import USAGE_ERROR
from openswan.config import places
from openswan.config.secrets import Index, Secret, SecretKind
from openswan.config.secretsfile import load_secrets
from openswan.crypto import rsakey
from openswan.crypto.rsakey import PublicKey
from openswan.policy.identity import IdKind, parse_identity
from openswan.policy.ownrecords import ipseckey_words, key_data, key_text, txt_data

USAGE = """ipsec showhostkey FORMAT [--file FILE] [--keynum N | --id ID | --rsaid KEYID] [--verbose]
       FORMAT: --left | --right | --dhclient [--gateway GATEWAY] | --list | --dump, or for the DNS any of
               --ipseckey [--precedence N] [--gateway GATEWAY], --key and --txt GATEWAY"""
BAD_OPERATION, BAD_ID, BAD_KEY, NO_KEYS = 1, 4, 5, 20
"""The classic exit statuses."""
KEYS = {SecretKind.PSK: "PSK", SecretKind.XAUTH: "XAUTH", SecretKind.PRIVATE_KEY: "RSA"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """The key to show and what goes with it."""

    key: PublicKey
    name: str
    """The host's name for DNS, without the final dot."""
    comment: str
    """What the secrets file says about the key: bits, host, date."""
    gateway: str
    precedence: int

    @property
    def public(self) -> bytes:
        """RFC 3110 octets; Usage when it is no RSA key."""
        return rsa_octets(self.key)


def conf_lines(side: str, key: Chosen) -> list[str]:
    """For ipsec.conf."""
    return [f"\t# rsakey {rsakey.keyid(key.public)}", f"\t{side}rsasigkey={rsakey.to_text(key.public)}"]


def ipseckey_lines(chosen: Chosen) -> list[str]:
    """An IPSECKEY record (RFC 4025)."""
    gateway = _gateway_address(chosen.gateway) if chosen.gateway and not chosen.gateway.startswith("@") else None
    words = ipseckey_words(chosen.key, gateway, chosen.precedence)
    return [f'{chosen.name}.    IN    IPSECKEY  {words} "{key_text(chosen.key)}" ']


def key_lines(chosen: Chosen) -> list[str]:
    """A KEY record, as opportunistic encryption used it first."""
    rsa_octets(chosen.key)
    return [f"; {chosen.comment}", f"{chosen.name}.\tIN\tKEY\t{key_data(chosen.key)}"]


def txt_lines(chosen: Chosen) -> list[str]:
    """A TXT record (RFC 4322); @fqdn as gateway is for hosts that only initiate."""
    rsa_octets(chosen.key)
    gateway: Address | str = chosen.gateway
    if not chosen.gateway.startswith("@"):
        gateway = _gateway_address(chosen.gateway)
    return [f"; {chosen.comment}", f"\tIN\tTXT\t{txt_data(chosen.key, gateway)}"]


def dhclient_lines(key: Chosen) -> list[str]:
    """For dhclient.conf: options 159 and 160 carry key and gateway."""
    lines = [f"# {key.comment}", "option oe-key code 159 = string;", "option oe-gateway code 160 = ip-address;"]
    lines.append(f'send oe-key "{rsakey.to_text(key.public)}";')
    return [*lines, f"send oe-gateway {_gateway_address(key.gateway)};"] if key.gateway else lines


RECORDS = {"ipseckey": ipseckey_lines, "txt": txt_lines, "key": key_lines}
"""For a zone, in the order in which they are printed: a TXT record's owner is the one before it."""
FORMATS: dict[str, Callable[[Chosen], list[str]]] = {
    "left": lambda key: conf_lines("left", key),
    "right": lambda key: conf_lines("right", key),
    **RECORDS,
    "dhclient": dhclient_lines,
}
OPERATIONS = (*FORMATS, "list", "dump")


def _gateway_address(text: str) -> Address:
    try:
        return parse_address(text)
    except ConfigError as why:
        raise Usage(f"ipsec showhostkey: gateway {why}", BAD_OPERATION) from None


def public_of(secret: Secret) -> PublicKey:
    """The public half of a record's key; Usage when it holds none."""
    if secret.key is None:
        raise Usage(f"ipsec showhostkey: {secret.where}: wrong kind of key, not RSA", BAD_KEY)
    return secret.key.public_key()


def rsa_octets(key: PublicKey) -> bytes:
    """RFC 3110 octets; Usage when it is no RSA key."""
    if not isinstance(key, rsa.RSAPublicKey):
        raise Usage("ipsec showhostkey: wrong kind of key, not RSA: only --ipseckey has others", BAD_KEY)
    return rsakey.encode_public(key)


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
            lines.append(f"\tpubkey={rsakey.to_text(rsa_octets(public_of(secret)))}")
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


def comment_of(secret: Secret, key: PublicKey, host: str) -> str:
    """The comment rsasigkey put in front of that key, or bits and host when there is none."""
    if not isinstance(key, rsa.RSAPublicKey):
        return f"{type(key).__name__.removesuffix('PublicKey')}   {host}"
    public = rsa_octets(key)
    path = secret.where.rpartition(":")[0]
    try:
        text = Path(path).read_text(errors="replace")
    except (OSError, ValueError):
        text = ""
    at = text.find(f"#pubkey={rsakey.to_text(public)}")
    found = re.findall(r"^[ \t]*# (RSA \d+ bits.*)$", text[: max(at, 0)], re.MULTILINE)
    return found[-1].rstrip() if found else f"RSA {key.key_size} bits   {host}"


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
    parse = Parser("showhostkey", USAGE, USAGE_ERROR)
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
    if len(wanted) != 1 and not (wanted and set(wanted) <= set(RECORDS)):
        what = "must specify a format for the result" if not wanted else f"only one of {', '.join(wanted)} is possible"
        raise Usage(f"ipsec showhostkey: {what} (try --help)", BAD_OPERATION)
    if not re.fullmatch(r"[0-9]{1,3}", options.precedence) or int(options.precedence) > 255:
        raise Usage(f"ipsec showhostkey: precedence '{options.precedence}' is not 0 to 255", BAD_KEY)
    path = options.secretroot + (options.file or str(places.secrets_file()))
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
    key, name = public_of(secret), name_of(secret)
    gateway = options.txt or options.gateway
    chosen = Chosen(key, name, comment_of(secret, key, name), gateway, int(options.precedence))
    return [line for each in wanted for line in FORMATS[each](chosen)]


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
