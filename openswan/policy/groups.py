# SPDX-License-Identifier: GPL-2.0-or-later
"""Policy groups: what a conn with %group, %opportunistic or %opportunisticgroup says about flows, and about which.

A group's conn has a file of its name in ipsec.d/policies; each line of it is a target. Target and client (what stands
on our side) together are the key of a rule in the flow table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from openswan.base.address import ANY4, ANY6, Address, Subnet, host_subnet
from openswan.policy.connection import Auth, Connection, End, Host, HostKind, ShuntPolicy, Startup
from openswan.policy.flowtable import Rule
from openswan.policy.selector import FlowKey

GROUPS = (HostKind.GROUP, HostKind.OPPORTUNISTIC_GROUP)
"""Whose targets come from a file."""
OPPORTUNISTIC = (HostKind.OPPORTUNISTIC, *GROUPS)
PLURAL = re.compile(r"/[0-9]+x[0-9]+$")
"""What leftsubnets= puts behind a conn's name."""
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class Stance(Enum):
    """What a group does about a flow."""

    CLEAR = ("always in clear", False, False)
    CLEAR_OR_PRIVATE = ("in clear unless the peer asks for encryption", False, True)
    PRIVATE_OR_CLEAR = ("in clear where no tunnel can be had", True, True)
    PRIVATE = ("dropped where no tunnel can be had", True, True)
    REFUSE = ("refused where no tunnel can be had", True, True)
    DROP = ("always dropped", False, False)
    BLOCK = ("always refused", False, False)

    def __init__(self, story: str, initiates: bool, responds: bool) -> None:
        self.story = story
        """What becomes of traffic: the group's fail mode."""
        self.initiates = initiates
        """Does a packet make us look for a tunnel?"""
        self.responds = responds
        """May a peer have a tunnel if it asks?"""

    @property
    def permits_clear(self) -> bool:
        """May traffic ever go in clear?"""
        return self in (Stance.CLEAR, Stance.CLEAR_OR_PRIVATE, Stance.PRIVATE_OR_CLEAR)


ALWAYS = {ShuntPolicy.PASS: Stance.CLEAR, ShuntPolicy.DROP: Stance.DROP, ShuntPolicy.REJECT: Stance.BLOCK}
FAILED = {ShuntPolicy.PASS: Stance.PRIVATE_OR_CLEAR, ShuntPolicy.REJECT: Stance.REFUSE}


@dataclass(frozen=True, slots=True)
class Target:
    """What one line of a group's file is about; a name's line has a target for each address once it is looked up."""

    net: Subnet | None
    """None: `name` has not been looked up."""
    name: str = ""
    protocol: int = 0
    """0: any."""
    our_port: int = 0
    their_port: int = 0
    where: str = ""
    """FILE:LINE."""


def group_end(connection: Connection) -> End | None:
    """The end that stands for whoever is found, or None when the conn is none of these."""
    for end in (connection.right, connection.left):
        if end.host.kind in OPPORTUNISTIC:
            return end
    return None


def stance_of(connection: Connection) -> Stance:
    """What the conn does about its flows; failureshunt=none drops, for a trap that is set again lets nothing out."""
    end = group_end(connection)
    if connection.prospective is ShuntPolicy.PASS and not connection.auth & Auth.NEVER:
        return Stance.CLEAR_OR_PRIVATE
    if connection.prospective in ALWAYS:
        return ALWAYS[connection.prospective]
    assert end is not None, f'"{connection.name}" is no group'
    return FAILED.get(connection.failure_shunt, Stance.PRIVATE)


def of_strangers(connection: Connection) -> bool:
    """May peers of the conn be people who prove nothing, or whose keys the DNS has?

    What a signed record says is proved when it is too late to choose another interface, so those are among them.
    """
    end = group_end(connection)
    return end is not None and stance_of(connection).responds and (end.dns_key or bool(connection.auth & Auth.NULL))


def group_file(connection: Connection) -> str:
    """The name of the conn's file in ipsec.d/policies; empty: it has none, or its name cannot be a file's."""
    end = group_end(connection)
    if end is None or end.host.kind not in GROUPS:
        return ""
    name = PLURAL.sub("", connection.name)
    return name if FILE_NAME.fullmatch(name) else ""


def own_targets(connection: Connection) -> tuple[Target, ...]:
    """What a conn with %opportunistic is about, which has no file: its subnet=, else everything; nothing of others."""
    end = group_end(connection)
    if end is None or end.host.kind is not HostKind.OPPORTUNISTIC:
        return ()
    return tuple(Target(net) for net in ((ANY4, ANY6) if end.subnet is None else (end.subnet,)))


def named(targets: Iterable[Target]) -> tuple[str, ...]:
    """The host names that are to be looked up, each once."""
    return tuple(dict.fromkeys(each.name for each in targets if each.name))


def settle(targets: Iterable[Target], names: Mapping[str, tuple[Address, ...]]) -> tuple[Target, ...]:
    """Targets with addresses for names, of both families where a name has both; names without any are left out."""
    settled: list[Target] = []
    for target in targets:
        if not target.name:
            settled.append(target)
        else:
            settled += [replace(target, net=host_subnet(address)) for address in names.get(target.name, ())]
    return tuple(settled)


def rules_of(connection: Connection, clients: Iterable[Subnet], targets: Iterable[Target] = ()) -> Iterator[Rule]:
    """The rules of one conn; its opportunistic end's subnet= limits what targets may name.

    `clients` are the nets on our side, see clients_of(). %opportunistic has no file, its target is subnet=, else
    everything. Pairs of different families make no rule.
    """
    end = group_end(connection)
    assert end is not None, f'"{connection.name}" is no group'
    targets = own_targets(connection) or targets
    ours = connection.left if end is connection.right else connection.right
    clients = tuple(dict.fromkeys(clients))
    for target in targets:
        net = target.net
        protocol = target.protocol or end.protocol
        if net is None or outside(end, net) or end.protocol not in (0, protocol):
            continue
        for client in clients:
            if client.version == net.version:
                ports = (target.our_port or ours.port, target.their_port or end.port)
                yield Rule(FlowKey(client, net, protocol, *ports), connection.name, where=target.where)


def whoever_is_behind(connection: Connection) -> bool:
    """Does it look for tunnels for everybody behind this host, whatever their nets: subnet=0/0?"""
    end = group_end(connection)
    if end is None or not stance_of(connection).responds:
        return False
    return (connection.left if end is connection.right else connection.right).subnet in (ANY4, ANY6)


def lines_of(connection: Connection, target: Target, behind: Iterable[Subnet] | None = None) -> Iterator[Connection]:
    """A group's conn for one target alone, once for each of our nets that is of the target's family.

    Its name is the group's with the target behind it; ports are shown as `-(PROTOCOL-OURS-THEIRS)`. `behind` are
    the nets of whoever is behind this host, each of which has a line `GROUP#NET===TARGET`; None: nobody knows them yet.
    """
    end = group_end(connection)
    assert end is not None, f'"{connection.name}" is no group'
    right = end is connection.right
    ours = connection.left if right else connection.right
    net, protocol = target.net, target.protocol or end.protocol
    if net is None or outside(end, net) or end.protocol not in (0, protocol):
        return
    mine, its = target.our_port or ours.port, target.their_port or end.port
    far = replace(end, host=Host(HostKind.OPPORTUNISTIC), subnet=net, protocol=protocol, port=its)
    rest = f"{net}" + (f"-({protocol}-{mine}-{its})" if protocol else "")
    spread = behind is not None and whoever_is_behind(connection)
    clients = tuple(behind or ()) if spread else clients_of(connection, ())
    for client in (None,) if ours.subnet is None else clients:
        name = f"{connection.name}#{client}==={rest}" if spread else f"{connection.name}#{rest}"
        if client is None or client.version == net.version:
            near = replace(ours, subnet=client, protocol=protocol, port=mine)
            left, right_end = (near, far) if right else (far, near)
            yield replace(
                connection,
                name=name,
                aliases=(),
                left=left,
                right=right_end,
                startup=Startup.ADD,
                other_family_clear=True,
            )


def clients_of(connection: Connection, own: Iterable[Address]) -> tuple[Subnet, ...]:
    """The nets on our side: subnet=, or the host itself with each of its addresses; 0/0 means both families."""
    end = connection.left if group_end(connection) is connection.right else connection.right
    if end.subnet is None:
        return tuple(host_subnet(address) for address in dict.fromkeys(own))
    return (ANY4, ANY6) if end.subnet in (ANY4, ANY6) else (end.subnet,)


def outside(end: End, net: Subnet) -> bool:
    """Is a target's net outside the opportunistic end's subnet=? Without one everything is inside."""
    limit = end.subnet
    return limit is not None and (limit.version != net.version or not net.subnet_of(limit))  # type: ignore[arg-type]


def open_family(connection: Connection, targets: Iterable[Target]) -> int:
    """The address family a fail-closed group forgets while it covers all of the other one; 0: none."""
    if stance_of(connection).permits_clear:
        return 0
    everything = {target.net.version for target in targets if target.net in (ANY4, ANY6) and not target.protocol}
    single = stance_of(connection).responds  # then lines for a single service are left out
    seen = {target.net.version for target in targets if target.net is not None and not (single and target.protocol)}
    return 10 - next(iter(everything)) if len(everything) == 1 and len(seen) == 1 else 0
