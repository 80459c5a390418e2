# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec manual`: conns with keys of their own in ipsec.conf, brought up and taken down without a key exchange."""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from typing import Any

from openswan.base.address import Address, parse_address
from openswan.base.errors import ConfigError, HostError, IpsecError
from openswan.base.log import Rc
from openswan.cli.keyoptions import Parser, Usage
from openswan.cli.syntax import USAGE_ERROR
from openswan.cli.talk import request
from openswan.config.load import load
from openswan.config.manualkeys import build_manual, is_manual, union
from openswan.config.parser import FlatConn
from openswan.host.rtnetlink import Rtnetlink
from openswan.plane.manual import ManualPlan, command_line, make_plan, plan_to_plain
from openswan.plane.orders import Change, ErouteOrder

USAGE = """\
ipsec manual [OPTION...] --up|--down|--route|--unroute|--delete NAME
       ipsec manual [OPTION...] --up|--down|--route|--unroute|--delete --union PART...
       ipsec manual --status
OPTION is --config FILE, --show (say what is done), --showonly (say it and do nothing), --showkeys (with the keys),
--other (as the other end), --iam ADDRESS@INTERFACE (who we are); --version."""
OPERATIONS = ("up", "down", "route", "unroute", "delete")


def main(argv: list[str]) -> int:
    """Carry out one operation; exit 1 when it is refused, 3 when ipsec.conf cannot be read."""
    if "--help" in argv:
        print(f"Usage: {USAGE}")
        return 0
    try:
        given = _options(argv)
        if given.status:
            return _ask("status")
        return _operate(given)
    except Usage as why:
        print(why, file=sys.stderr)
        return why.status
    except IpsecError as why:
        print(f"ipsec manual: {why}", file=sys.stderr)
        return 1


def _options(argv: list[str]) -> Namespace:
    options = Parser("manual", USAGE, USAGE_ERROR)
    for name in (*OPERATIONS, "status", "show", "showonly", "showkeys", "other", "union"):
        options.add_argument(f"--{name}", action="store_true")
    options.add_argument("--config")
    options.add_argument("--iam", default="")
    options.add_argument("names", nargs="*")
    given = options.parse_args(argv)
    chosen = [name for name in (*OPERATIONS, "status") if getattr(given, name)]
    if len(chosen) != 1:
        options.error("one of --up, --down, --route, --unroute, --delete, --status is wanted")
    given.operation = chosen[0]
    if not given.status and (not given.names or (len(given.names) > 1 and not given.union)):
        options.error("the name of one conn is wanted; several parts go with --union")
    return given


def _operate(given: Namespace) -> int:
    needs_conn = given.operation in ("up", "route") or given.show or given.showonly
    plan = plan_of(given) if needs_conn else None
    if plan is not None and (given.show or given.showonly):
        for line in shown(plan, given.operation, secret=not given.showkeys):
            print(line)
    if given.showonly:
        return 0
    if given.operation in ("up", "route"):
        assert plan is not None
        return _ask(given.operation, plan=plan_to_plain(plan))
    return _ask(given.operation, name=given.names[0])


def _ask(operation: str, **arguments: Any) -> int:
    for code, text in request("manual", timeout=300.0, do=operation, **arguments):
        if code not in (Rc.COMMENT, Rc.LOG, Rc.SUCCESS):
            raise HostError(text)
        print(text)
    return 0


def plan_of(given: Namespace) -> ManualPlan:
    """The plan for the conn that was named."""
    conn = build_manual(_flat(given))
    iam = parse_address(given.iam.partition("@")[0]) if given.iam else None
    return make_plan(conn, _addresses() if iam is None else (), given.other, iam)


def _flat(given: Namespace) -> FlatConn:
    loaded = load(given.config)
    parts = []
    for name in given.names:
        found = next((flat for flat in loaded.flat if flat.name.lower() == name.lower()), None)
        if found is None:
            raise ConfigError(f'there is no conn "{name}"')
        # What is wrong with its syntax, not that the key exchange has no use for it.
        if complaint := next((one for one in found.complaints if one.fatal), None):
            raise ConfigError(str(complaint))
        parts.append(found)
    merged = union(parts)
    if not is_manual(merged):
        raise ConfigError(f'conn "{merged.name}" has no spi= or spibase=: it is not manually keyed, use ipsec auto')
    return merged


def _addresses() -> list[Address]:
    netlink = Rtnetlink()
    try:
        return [address for address, _ in netlink.addresses()]
    finally:
        netlink.close()


def shown(plan: ManualPlan, operation: str, secret: bool = True) -> list[str]:
    """The commands an operation amounts to; `secret` leaves keys out."""
    verbs = {
        "up": ("up", "prepare", "route"),
        "route": ("prepare", "route"),
        "down": ("down",),
        "unroute": ("down", "unroute"),
        "delete": ("down", "unroute"),
    }[operation]
    lines = []
    if operation == "up":
        lines = [shlex.join(command_line(order, secret)) for order in plan.orders]
    elif operation != "route":
        eroute = ErouteOrder(Change.DELETE, plan.flow)
        lines = [shlex.join(command_line(eroute))]
        lines += [f"ipsec spi --said {sa.said} --del" for sa in plan.sas]
    kind = "client" if plan.tunnel else "host"
    runs = [f"PLUTO_VERB={verb}-{kind} {plan.updown or ':'}" for verb in verbs]
    return lines + runs if operation in ("up", "route") else runs[:1] + lines + runs[1:]
