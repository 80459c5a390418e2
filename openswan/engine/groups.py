# SPDX-License-Identifier: GPL-2.0-or-later
"""Policy groups at run time: each line of a group's file is a connection of its own, and the group leads them.

A line's eroute is as wide as the line says, so the most specific of all lines and conns decides about a packet. What a
group routes or gives up, its lines do; they follow their file, the names in it and the group's conn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from openswan.base.address import Address, Subnet
from openswan.config.groupfile import SINGLE_SERVICE, read_group
from openswan.engine.conn import Conn, Kind
from openswan.engine.effects import DelGuard, ReadGroups
from openswan.engine.events import GroupsRead, RoutesSeen
from openswan.engine.oepolicy import nets_behind, outer_interfaces
from openswan.engine.routing import RouteEvent
from openswan.policy.connection import Connection
from openswan.policy.flowtable import Flow, FlowTable, Rule
from openswan.policy.groups import (
    Target,
    group_end,
    group_file,
    lines_of,
    named,
    own_targets,
    settle,
    stance_of,
    whoever_is_behind,
)
from openswan.policy.selector import FlowKey

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

MOST_LINES = 10_000
"""Of all groups together: each is an eroute, and perhaps a route and a guard, of its own."""
MOST_HOLES = 128
"""Nets left open inside one guarded line; what goes beyond cannot come back in clear."""


class Groups:
    """Owner of the lines of all groups."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.targets: dict[str, tuple[Target, ...]] = {}
        """By the name of a file."""
        self.lines: dict[str, dict[str, Conn]] = {}
        """By the names of a group's conn and of a line."""
        self.names: set[str] = set()
        """Host names in files."""
        self.homes: tuple[tuple[Subnet, str], ...] | None = None
        """Where nets live by the routing tables; None: that has not been said yet."""
        self._behind: dict[str, tuple[Subnet, ...]] = {}
        """By the name of a group for whoever is behind this host: their nets as its lines have them."""
        self.table = FlowTable()
        """Lines in force,"""
        self._in_force: dict[FlowKey, tuple[str, Connection]] = {}
        """and by key whose each is, and on which terms."""

    # -- files --------------------------------------------------------------------------------------------------------

    def read(self, client: int = 0, only: Conn | None = None) -> None:
        """Have the files read; GroupsRead answers."""
        groups = [only] if only is not None else self._all()
        names = tuple(dict.fromkeys(name for conn in groups if (name := group_file(conn.policy))))
        if names or client:
            self.core.emit(ReadGroups(names, client))

    def files_read(self, event: GroupsRead) -> tuple[str, ...]:
        """The files are these now: lines come and go; answers with what is to be complained about."""
        complaints: list[str] = []
        files = {file.name: file for file in event.files}
        parsed: set[str] = set()
        changed: list[Conn] = []
        for group in self._all():
            name = group_file(group.policy)
            file = files.get(name)
            if file is None:
                continue
            if file.reason:
                story = stance_of(group.policy).story
                complaints.append(f"{file.reason}; group {name} stays as it was ({story})")
                continue
            if name not in parsed:
                parsed.add(name)
                self.targets[name], found = read_group(file.text or "", file.path, group.policy)
                complaints += map(str, found)
            changed.append(group)
        self._look_up()
        # A line may have moved from one file to another.
        for group in changed:
            self._prune(group)
        for group in changed:
            complaints += self._follow(group)
        self._settled()
        return tuple(complaints)

    def renamed(self, name: str) -> None:
        """A host name has other addresses; the lines that have it follow."""
        if name not in self.names:
            return
        for group in self._all():
            if name in named(self.targets.get(group_file(group.policy), ())):
                self._complain(self._follow(group))
        self._settled()

    def routes_seen(self, event: RoutesSeen) -> None:
        """Nets live there now."""
        self.homes = event.homes
        self.placed()

    def placed(self) -> None:
        """Routes or interfaces have changed: whoever is behind this host may have other nets."""
        moved = [
            group
            for group in self._all()
            if whoever_is_behind(group.policy) and self._nets_of(group) != self._behind.get(group.name)
        ]
        for group in moved:
            self._complain(self._follow(group))
        if moved:
            self._settled()
        self._take_over()

    def _take_over(self) -> None:
        """The guard of a group's lines takes the place of the one put in ahead, when nobody knew who is behind us."""
        kept = self.brain.router.kept
        for group in self._all() if self.homes is not None and kept else ():
            if group.on_demand and group.oriented is not None and whoever_is_behind(group.policy):
                for target in own_targets(group.policy) or self.targets.get(group_file(group.policy), ()):
                    for name in {line.name for line in lines_of(group.policy, target)} & kept:
                        kept.discard(name)
                        self.core.emit(DelGuard(name))

    # -- conns --------------------------------------------------------------------------------------------------------

    def added(self, group: Conn) -> None:
        """A group's conn is there, or has taken another's place."""
        self._complain(self._follow(group))
        self._settled()
        if self.core.listening:
            self.read(only=group)

    def deleted(self, group: Conn) -> None:
        """A group's conn goes, and so do its lines."""
        self._behind.pop(group.name, None)
        for line in self.lines.pop(group.name, {}).values():
            self.brain.loader.drop(line)
        name = group_file(group.policy)
        if not any(other is not group and group_file(other.policy) == name for other in self._all()):
            self.targets.pop(name, None)
        self._look_up()
        self._settled()

    def route(self, group: Conn, then: Callable[[], None]) -> None:
        """What the lines say is in force from now on; `then` is called when all their routes are there."""
        group.on_demand = True
        for line in self.lines.get(group.name, {}).values():
            self._complain(self._enforce(line))
        self._settled()
        self._take_over()
        self._after(group, then)

    def unroute(self, group: Conn, then: Callable[[], None]) -> None:
        """It is no longer; `then` is called when all their routes have gone."""
        group.on_demand = False
        for line in self.lines.get(group.name, {}).values():
            line.on_demand = False
            for user in (*line.instances.values(), line):
                self.brain.negotiator.stop(user)
            if not self.brain.router.happen(line, RouteEvent.UNROUTE):
                self.brain.router.unguard(line)
        self._settled()
        self._after(group, then)

    def _after(self, group: Conn, then: Callable[[], None]) -> None:
        names = {line.name for line in self.lines.get(group.name, {}).values()}
        self.brain.router.updowns.after(names, then)

    def terminate(self, group: Conn) -> None:
        """End the tunnels of all lines and forget what was decided; what the lines say stays in force."""
        for line in self.lines.get(group.name, {}).values():
            for instance in list(line.instances.values()):
                self.brain.negotiator.stop(instance)
            self.brain.pairs.drop_of(line)

    def decides(self, src: Address, dst: Address) -> Conn | None:
        """The line that decides about all traffic of two hosts, seen outbound; None: no line does."""
        rule = self.table.match(Flow(src, dst))
        return self.core.conns.named.get(rule.owner) if rule is not None else None

    # -- lines --------------------------------------------------------------------------------------------------------

    def _all(self) -> list[Conn]:
        return [conn for conn in self.core.conns.named.values() if conn.kind is Kind.GROUP]

    def _look_up(self) -> None:
        names = {name for targets in self.targets.values() for name in named(targets)}
        for name in names - self.names:
            self.brain.network.resolve(name)
        gone, self.names = self.names - names, names
        for name in gone:
            self.brain.network.forget_name(name)

    def _nets_of(self, group: Conn) -> tuple[Subnet, ...]:
        """The nets of whoever is behind this host; while nobody can tell, they are what they were."""
        end = group_end(group.policy)
        ours = group.policy.left if end is group.policy.right else group.policy.right
        outer = outer_interfaces(ours, self.core.plugs)
        if self.homes is None or not outer:
            # Without an uplink all that has routes would seem to be behind us; and a guard must outlast its flapping.
            return self._behind.get(group.name, ())
        return nets_behind(self.homes, outer)

    def _wanted(self, group: Conn) -> dict[str, tuple[Connection, str]]:
        """What the lines of a group should be, by name, with FILE:LINE."""
        listed = own_targets(group.policy) or self.targets.get(group_file(group.policy), ())
        targets = settle(listed, self.core.names)
        behind = self._nets_of(group) if whoever_is_behind(group.policy) else None
        lines = ((policy, target.where) for target in targets for policy in lines_of(group.policy, target, behind))
        return {policy.name: (policy, where) for policy, where in lines}

    def _prune(self, group: Conn) -> dict[str, Conn]:
        """Drop the lines that a group's file has no more; answers with the others."""
        lines, wanted = self.lines.setdefault(group.name, {}), self._wanted(group)
        for name in [name for name in lines if name not in wanted]:
            self.brain.loader.drop(lines.pop(name))
        return lines

    def _follow(self, group: Conn) -> Iterator[str]:
        """Make a group's lines what its file says; yields what is to be complained about."""
        wanted, lines = self._wanted(group), self._prune(group)
        complaints: list[str] = []
        for name, (policy, where) in wanted.items():
            end = group_end(policy)
            if end is not None and end.protocol and stance_of(policy).responds:
                complaints.append(f"{where}: {SINGLE_SERVICE}")
                continue
            known = lines.get(name)
            if known is None and name in self.core.conns.named:
                complaints.append(f'{where}: there is another conn "{name}": the line is left out')
                continue
            if known is None and sum(map(len, self.lines.values())) >= MOST_LINES:
                complaints.append(f"{where}: more than {MOST_LINES} lines: this one and all after it are left out")
                break
            if known is None or known.policy != policy:
                known = lines[name] = self.brain.loader.replace(policy, group=group)
            known.group = group
            complaints += [f"{where}: {text}" for text in self._enforce(known)]
        self.core.say(group, f"{len(lines)} lines", event="group")
        if whoever_is_behind(group.policy):
            self._behind[group.name] = self._nets_of(group)
        return iter(dict.fromkeys(complaints))  # a service's port, a name and each net behind us make several of a line

    def _enforce(self, line: Conn) -> list[str]:
        """Put a line in force if its group is; says why it cannot be."""
        group = line.group
        if group is None or not group.on_demand or not self.core.listening:
            return []
        for holder in [self.brain.router.eroutes.get(key) for key in line.keys]:
            if holder is not None and holder.kind is Kind.INSTANCE and holder.group and holder.template is not line:
                self.brain.pairs.forget(holder)
        problem = self.brain.router.obstacle(line) if line.oriented is not None else None
        if problem is not None:
            line.on_demand = False
            return [f"{line.label}: {problem[1]}"]
        line.on_demand = True
        self.brain.network.resume(line)
        return []

    def _complain(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.core.log(text, True, "group")

    def _settled(self) -> None:
        """Lines have changed: which decides about what, and what is left open in the guard of wider ones."""
        for line in [line for lines in self.lines.values() for line in lines.values() if not line.on_demand]:
            self._enforce(line)  # what stood in its way may have gone
        self.table = FlowTable()
        in_force: dict[FlowKey, tuple[str, Connection]] = {}
        guarded: dict[Subnet, list[Conn]] = {}
        open_nets: set[Subnet] = set()
        for line in [line for lines in self.lines.values() for line in lines.values() if line.on_demand]:
            for key in line.keys:
                if self.table.add(Rule(key, line.name)) is None:
                    in_force[key] = (line.name, line.policy)
                if stance_of(line.policy).permits_clear:
                    open_nets.add(key.dst)
                else:
                    guarded.setdefault(key.dst, []).append(line)
        holes: dict[str, list[Subnet]] = {}
        for net in sorted(open_nets, key=lambda each: (each.version, each)):
            for length in range(net.prefixlen):
                for line in guarded.get(net.supernet(new_prefix=length), ()):
                    holes.setdefault(line.name, []).append(net)
        for line in [line for lines in guarded.values() for line in lines]:
            for net in self._behind.get(line.group.name, ()) if line.group is not None else ():
                # Those behind this host go on talking to each other.
                if net.version == line.keys[0].dst.version and net.subnet_of(line.keys[0].dst):  # type: ignore[arg-type]
                    holes.setdefault(line.name, []).append(net)
            found = tuple(holes.get(line.name, ())[:MOST_HOLES])
            if line.holes != found:
                line.holes = found
                self.brain.router.guard(line)
        self.brain.exemptions.stale = self.brain.interception.stale = True
        before, self._in_force = self._in_force, in_force
        both = before.keys() | in_force.keys()
        self.brain.pairs.recheck({key.dst for key in both if before.get(key) != in_force.get(key)})
