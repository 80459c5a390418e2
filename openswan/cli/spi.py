# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec spi`: the packet engine's SA table, and making and deleting SAs by hand."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import fields

from openswan.base.errors import ConfigError
from openswan.base.numbers import IpProtocol
from openswan.base.octets import parse_octets
from openswan.base.said import Said, Shunt, parse_said
from openswan.cli.keyoptions import Usage
from openswan.cli.tableoptions import (
    EVERYWHERE,
    add_sa_options,
    address_of,
    complain,
    expand,
    give,
    number,
    parser,
    said_of,
)
from openswan.cli.talk import table
from openswan.plane.commands import Mode
from openswan.plane.orders import ClearSas, DropSa, Limits, NewSa, Order
from openswan.policy.keying import ah_algorithm, check_keys, esp_algorithms

IGNORED = "--saref, --sarefme, --sarefhim, --dumpsaref, --listenreply and --iv are accepted and not used"
USAGE = f"""\
ipsec spi [--json]
       ipsec spi SA [--src ADDRESS] --esp ALGORITHM --enckey KEY [--authkey KEY] [--mode tunnel|transport]
       ipsec spi SA [--src ADDRESS] --ah ALGORITHM --authkey KEY
       ipsec spi SA [--src ADDRESS] --comp deflate
       ipsec spi SA --ip4|--ip6 --src ADDRESS --dst ADDRESS
       ipsec spi SA --del
       ipsec spi --clear
SA is --said SAID, or --af inet|inet6 --edst ADDRESS --spi SPI --proto ah|esp|comp|tun.
Also: --replay_window N, --life LIMIT=N,..., --natt nonesp --sport N --dport N, --esn, --fresh-keys, --outif ipsecN.
Keys begin with 0x, 0s or 0t. {IGNORED}.
{EVERYWHERE}"""
STATUS = 255
"""Exit status for options that make no sense."""
KINDS = ("esp", "ah", "comp", "ip4", "ip6")
ALONE = ("delete", "clear")


def main(argv: list[str]) -> int:
    """Print the table or carry out one order; exit 1 when refused, 255 for options that make no sense."""
    if not set(argv) - {"--json"} or "--help" in argv:
        return table("spi", argv, f"Usage: {USAGE}")
    try:
        given = _options(expand(argv))
    except Usage as why:
        print(why, file=sys.stderr)
        return STATUS
    except ConfigError as why:
        return complain("spi", why, status=STATUS)
    try:
        order = _order(given)
    except ConfigError as why:
        return complain("spi", why, given.label, STATUS)
    return give("spi", order, given.label)


def _options(argv: list[str]) -> Namespace:
    options = parser("spi", USAGE, STATUS)
    add_sa_options(options)
    for name in ("src", "dst", "esp", "ah", "comp", "enckey", "authkey", "iv", "replay_window", "life", "natt"):
        options.add_argument(f"--{name}", default="")
    for name in ("sport", "dport", "outif", "mode", "saref", "sarefme", "sarefhim"):
        options.add_argument(f"--{name}", default="")
    for name in ("ip4", "ip6", "esn", "fresh-keys", "clear", "dumpsaref", "listenreply"):
        options.add_argument(f"--{name}", action="store_true")
    options.add_argument("--del", action="store_true", dest="delete")
    return options.parse_args(argv)


def _order(given: Namespace) -> Order:
    wanted = [kind for kind in (*KINDS, *ALONE) if getattr(given, kind)]
    if len(wanted) != 1:
        raise ConfigError("one of --esp, --ah, --comp, --ip4, --ip6, --del, --clear is wanted (try --help)")
    kind = wanted[0]
    if kind == "clear":
        return ClearSas()
    said = _said(given, kind)
    if kind == "delete":
        return DropSa(said)
    expected = {"ip4": IpProtocol.IPIP, "ip6": IpProtocol.IPIP}.get(kind) or IpProtocol[kind.upper()]
    if said.proto is not expected:
        raise ConfigError(f"--{kind} does not make an SA like {said}")
    return _new_sa(given, kind, said)


def _said(given: Namespace, kind: str) -> Said:
    if given.said:
        if given.af or given.edst or given.spi or given.proto:
            raise ConfigError("--said says what --af, --edst, --spi and --proto say: give one or the others")
        found = parse_said(given.said)
        if isinstance(found, Shunt):
            raise ConfigError(f"{found} is not an SA")
        return found
    implied = {"ip4": "tun", "ip6": "tun", "delete": ""}.get(kind, kind)
    return said_of(given.af, given.edst or (given.dst if implied == "tun" else ""), given.spi, given.proto or implied)


def _new_sa(given: Namespace, kind: str, said: Said) -> NewSa:
    version = {"ip4": 4, "ip6": 6}.get(kind, 0)
    src = address_of(given.src, version, "--src") if given.src else None
    if version:
        if src is None or not given.dst:
            raise ConfigError(f"--{kind} wants --src and --dst")
        if address_of(given.dst, version, "--dst") != said.dst:
            raise ConfigError(f"--dst {given.dst} is not where the SA {said} leads")
    elif given.dst:
        raise ConfigError("--dst goes with --ip4 and --ip6 only")
    enc_key, auth_key = (_key(given, name) for name in ("enckey", "authkey"))
    cipher = integ = ""
    if kind == "esp":
        algorithms = esp_algorithms(given.esp)
        cipher, integ = algorithms.cipher, algorithms.integ
        check_keys(cipher, integ, enc_key, auth_key, algorithms.bits)
    elif kind == "ah":
        integ = ah_algorithm(given.ah)
    elif kind == "comp":
        cipher = given.comp
    window = number(given.replay_window, "--replay_window", 4096) if given.replay_window else 64
    return NewSa(
        said,
        src,
        cipher,
        enc_key,
        integ,
        auth_key,
        window,
        _mode(given.mode),
        given.esn,
        given.fresh_keys,
        _natt(given),
        _limits(given.life),
        given.outif.partition(":")[0],
    )


def _key(given: Namespace, name: str) -> bytes:
    text = getattr(given, name)
    try:
        # The classic way to say that NULL encryption has no key.
        return parse_octets(text) if text not in ("", "0x", "0") else b""
    except ConfigError as why:
        raise ConfigError(f"--{name}: {why.reason}") from None


def _mode(text: str) -> Mode:
    if text not in ("", "tunnel", "transport"):
        raise ConfigError(f"--mode {text[:40]}: there are tunnel and transport")
    return Mode(text or "transport")


def _natt(given: Namespace) -> tuple[int, int] | None:
    if not given.natt:
        if given.sport or given.dport:
            raise ConfigError("--sport and --dport go with --natt")
        return None
    if given.natt == "nonike":
        raise ConfigError("--natt nonike is the form of drafts nobody speaks any more: use nonesp")
    if given.natt not in ("nonesp", "none"):
        raise ConfigError(f"--natt {given.natt[:40]}: there is nonesp")
    if given.natt == "none":
        return None
    ports = tuple(
        number(text or "4500", f"--{name}", 65535) for name, text in (("sport", given.sport), ("dport", given.dport))
    )
    return ports[0], ports[1]


def _limits(text: str) -> Limits:
    known = {each.name: each.name.replace("_", "-") for each in fields(Limits)}
    values: dict[str, int] = {}
    for item in filter(None, text.split(",")):
        name, equals, value = item.partition("=")
        spelled = name.strip().replace("-", "_")
        if not equals or spelled not in known:
            raise ConfigError(f"--life: '{item[:60]}' is not LIMIT=NUMBER with one of {', '.join(known.values())}")
        values[spelled] = number(value.strip(), f"--life {name}")
    return Limits(**values)
