# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec publish`: this host's records for opportunistic encryption into the DNS, by signed dynamic update."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from openswan.base.address import Address
from openswan.base.errors import ConfigError, HostError
from openswan.cli.ourmarks import configured
from openswan.cli.ownhost import own_host
from openswan.cli.syntax import Given, Misuse, Option, Syntax, run
from openswan.config import places
from openswan.host import process
from openswan.host.dnsupdate import DNS_PORT, Updater, read_key
from openswan.host.machine import Machine
from openswan.host.naming import addresses_of
from openswan.policy.ownrecords import PRECEDENCE, OwnRecord

SYNTAX = Syntax(
    "publish",
    "put this host's records for opportunistic encryption into the DNS",
    (
        Option("--server", "the authoritative server: a name or an address", "HOST"),
        Option("--port", "its port, instead of 53", "PORT"),
        Option("--key", "the file of the TSIG key that signs the update, as BIND or Knot has it", "FILE"),
        Option("--zone", "the zone to change, instead of the one that the server has for each name", "NAME"),
        Option("--ip", "the address to publish, instead of this host's", "ADDRESS", many=True),
        Option("--host", "the host name to publish, instead of this host's", "NAME"),
        Option("--gateway", "the gateway that peers call, instead of the address itself", "ADDRESS"),
        Option("--precedence", "of several gateways the one with the lowest is called first, 10 unless given", "N"),
        Option("--ttl", "seconds that the records may be believed, 3600 unless given", "SECONDS"),
        Option("--remove", "take the records out of the DNS"),
        Option("--print", "print the records as zones have them, and ask nobody"),
    ),
    details=(
        "The records are those that `ipsec verify --oe' looks for: under the reverse name of each of the host's "
        "addresses IPSECKEY and TXT, which say whom to call and which key it has to show; under its name, if that has "
        "a domain, IPSECKEY and KEY. The key is the one of ipsec.secrets that serves the address or name; TXT and KEY "
        "are for RSA keys alone.",
        "They take the place of those of the same name that say so of the same gateway: a new key follows the old one, "
        "and records of other gateways, or about something else, stay. A name that is a CNAME has them where it leads "
        "(RFC 2317). The update (RFC 2136) goes to the server by TCP "
        "and is signed (TSIG, RFC 8945) with HMAC-SHA-2; the key's file must be readable for its owner alone. "
        "Signing the zone is the server's business: peers believe a record that names another gateway than its own "
        "address only when it is signed.",
        "A server of BIND lets a host change its own records by `update-policy { grant KEY. name NAME. ANY; };', Knot "
        "by an acl with `action: update' and `update-owner: name'.",
    ),
    statuses={0: "the records are in the DNS, or out of it", 1: "they are not", 2: "usage error"},
    see=("ipsec_verify(8)", "ipsec_showhostkey(8)", "ipsec_policies(5)"),
)
TTL = 3600
LONGEST_TTL = 86400


def _address(given: Given, option: str) -> Address | None:
    return None if option not in given else _read(option, given.value(option))


def _read(option: str, text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError:
        raise Misuse(f"{option}: `{text[:60]}' is no address") from None


def records_of(given: Given) -> tuple[OwnRecord, ...]:
    """The records that a command line is about; HostError when there is no key for any."""
    name = given.value("--host") or process.hostname()
    gateway = _address(given, "--gateway")
    precedence = given.number("--precedence", PRECEDENCE, 0, 255)
    machine = Machine()
    wanted: list[Address | None] = [_read("--ip", text) for text in given.values.get("--ip", [])]
    hosts = [own_host(machine, name, address) for address in wanted or [None]]
    for line in hosts[0].complaints:
        print(f"ipsec publish: {line}", file=sys.stderr)
    found = tuple(dict.fromkeys(record for host in hosts for record in host.records(gateway, precedence)))
    if not found:
        path = places.secrets_file()
        raise HostError(f"{path} has no private key for this host: ipsec newhostkey --output {path} makes one")
    return found


def change(updater: Updater, records: Iterable[OwnRecord], zone: str, ttl: int, remove: bool) -> bool:
    """Change one zone after the other and say so; has every one gone well?"""
    by_zone: dict[str, list[OwnRecord]] = {}
    well = True
    for record in records:
        try:
            known, owner = (zone, record.owner) if zone else updater.place_of(record.owner)
        except HostError as why:
            print(f"ipsec publish: {record.owner}: {why}", file=sys.stderr)
            well = False
            continue
        by_zone.setdefault(known, []).append(replace(record, owner=owner))
    for name, mine in by_zone.items():
        try:
            if remove:
                updater.remove(name, mine)
            else:
                updater.publish(name, mine, ttl)
        except HostError as why:
            print(f"ipsec publish: {why}", file=sys.stderr)
            well = False
            continue
        for record in mine:
            print(f"{'removed' if remove else 'published'} {record.kind} of {record.owner} (zone {name})")
    return well


def _act(given: Given) -> int:
    port = given.number("--port", DNS_PORT, 1, 65535)
    ttl = given.number("--ttl", TTL, 1, LONGEST_TTL)
    try:
        records = records_of(given)
        if "--print" in given:
            print("\n".join(record.line() for record in records))
            return 0
        for option in ("--server", "--key"):
            if option not in given:
                raise Misuse(f"{option} is missing")
        key = read_key(Path(given.value("--key")))
        server = str(addresses_of(given.value("--server"), marks=configured())[0])
        updater = Updater(server, key, port)
        return 0 if change(updater, records, given.value("--zone"), ttl, "--remove" in given) else 1
    except (ConfigError, HostError) as why:
        print(f"ipsec publish: {why}", file=sys.stderr)
        return 1


def main(argv: list[str]) -> int:
    """Publish, or take back; 1 when a zone could not be changed."""
    return run(SYNTAX, argv, _act)
