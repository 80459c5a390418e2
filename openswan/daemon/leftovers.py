# SPDX-License-Identifier: GPL-2.0-or-later
"""What a daemon before this one left standing: guard and routes of its conns, until it is known whose they are."""

from __future__ import annotations

from collections.abc import Callable

from openswan.daemon.manual import PREFIX
from openswan.daemon.wanted import Wanted
from openswan.engine.bootguard import group_guards, guards
from openswan.engine.orient import Plugs, orient
from openswan.host.guard.guard import Guard
from openswan.host.guard.journal import conn_of
from openswan.host.routes import Routes
from openswan.policy.connection import Connection, Startup
from openswan.policy.groups import whoever_is_behind

STALE = 600.0
"""Seconds after which guard and routes of a road warrior that has not come back since a restart are given up."""


class Leftovers:
    """The predecessor's guard. `guarded` is what this daemon has put in force itself; `tell` what stands besides."""

    def __init__(
        self,
        guard: Guard,
        routes: Routes,
        tell: Callable[[set[str]], None],
        log: Callable[[str, bool], None],
    ) -> None:
        self.guarded: set[str] = set()
        self._guard = guard
        self._routes = routes
        self._tell = tell
        self._log = log

    def guard_ahead(self, wanted: Wanted, plugs: Plugs) -> None:
        """Guard what pluto does not route at once: conns whose addresses are not there yet, or that come up in turn."""
        held = self._guard.entries()
        connections = wanted.connections or ()

        def known(policy: Connection) -> bool:
            later = wanted.in_turn and policy.startup is Startup.START
            return not later and orient(policy, plugs, {})[0] is not None

        waiting = [each for each in connections if not known(each)]
        for each in (*guards(waiting), *group_guards(connections, dict(wanted.groups), known=known)):
            if each.connection not in held:
                self._guard.set(each.connection, each.entries, each.block_families)
        self.tell()

    def keep_named(self, wanted: Wanted) -> set[str]:
        """Give up what no conn of ipsec.conf stands for any more; the names of those that are there.

        One that has an error now is there too: a slip of the pen must not send its traffic out in clear.
        """
        names = {each.name for each in wanted.connections or ()} | {PREFIX + each.name for each in wanted.manual}
        # The lines of groups are read later than this.
        names |= {each.connection for each in group_guards(wanted.connections or (), dict(wanted.groups))}
        held = self._guard.entries()
        spread = {each.name for each in wanted.connections or () if whoever_is_behind(each)}
        keep = {each for each in held if each.partition("[")[0] in names or each.partition("#")[0] in spread}
        lost = {each for each in held if conn_of(each) in wanted.unusable}
        self._guard.prune(keep | lost | self.guarded)
        self.tell()
        return names | lost

    def prune(self, names: set[str]) -> None:
        """Give up instances that have not come back; STALE seconds after the start."""
        for name in self._guard.prune(names | self.guarded):
            self._log(f'"{name}" has not come back: its traffic is guarded no more', False)
        self.tell()
        self._routes.prune()

    def let_go(self, connection: str) -> None:
        """Undo what a daemon before this one left for a connection and its instances: guards, and unused routes."""
        held = self._guard.entries()
        left = {name for name in held.keys() - self.guarded if name.partition("[")[0].partition("/")[0] == connection}
        left |= {connection} & (held.keys() - self.guarded)
        if left:
            used = {entry.key.dst for name in held.keys() - left for entry in held[name].entries}
            self._guard.prune(held.keys() - left)
            self.tell()
            self._routes.prune({entry.key.dst for name in left for entry in held[name].entries} - used)

    def tell(self) -> None:
        """The status shows what stands, whoever put it there."""
        self._tell(self._guard.entries().keys() - self.guarded)
