# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections come, are replaced and go; the guard of what is replaced never has a gap."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from typing import TYPE_CHECKING

from openswan.base.debugclasses import classes_of
from openswan.base.log import Rc
from openswan.engine.conn import Conn, Kind, kind_of
from openswan.policy.connection import Connection, Startup
from openswan.policy.groups import own_targets
from openswan.policy.pairnames import base_of

if TYPE_CHECKING:
    from openswan.engine.brain import Brain


class Loader:
    """Enters descriptions into the database and takes them out."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core

    def load(self, policy: Connection, client: int = 0, group: Conn | None = None, routed: bool = False) -> Conn:
        """Enter one whose name is free; `group` is the conn of the policy group it is a line of."""
        conn = Conn(policy, _kind(policy, group), group=group, on_demand=routed)
        self.core.conns.add(conn)
        if policy.debug and group is None:
            self.brain.debugging.change(policy.name, classes_of(policy.debug))
        for name in self.brain.network.names_of(conn):
            self.brain.network.resolve(name)
        oriented, why = self.brain.network.orientation(conn)
        self.core.conns.reorient(conn, oriented)
        if group is not None:
            return conn
        self.core.log(f'added connection description "{policy.name}"', event="conn-added")
        self.core.reply(client, Rc.LOG, f'added connection description "{policy.name}"')
        if oriented is None and self.core.listening and not self.brain.network.names_of(conn):
            self.core.say(conn, why, Rc.COMMENT, clients=(client,) if client else ())
        if conn.kind is Kind.GROUP:
            self.brain.groups.added(conn)
        return conn

    def replace(self, policy: Connection, client: int = 0, group: Conn | None = None) -> Conn:
        """Swap a description for another of the same name, all or nothing; the guard never has a gap."""
        old = self.core.conns.named.get(policy.name)
        if old is None:
            return self.load(policy, client, group)
        guards = [old, *old.instances.values()]
        heir = Conn(policy, _kind(policy, group), group=group)
        oriented, _ = self.brain.network.orientation(heir)
        heir.orient(oriented)
        if heir.kind is not Kind.TEMPLATE and any(one.guarded for one in guards):
            self.brain.router.inherit_guard(old, heir)
        self.drop(old, replaced=heir.kind is Kind.GROUP)
        routed = policy.startup is Startup.ROUTE and self.core.listening
        conn = self.load(policy, client, group, routed)
        if conn.unique in self.brain.router.guards:
            self.brain.router.inherit_guard(heir, conn)
        self._begin(conn, policy.startup is Startup.ROUTE, policy.startup is Startup.START)
        return conn

    def renew(self, policy: Connection, client: int = 0) -> tuple[Rc, str] | None:
        """Follow a description of the configuration; or the reply that tells why what runs goes on.

        What is new comes up as its auto= says; what has changed keeps besides what the operator has ordered. Another
        auto= or debug= alone touches nothing that runs, and what could never come up takes nothing down.
        """
        old = self.core.conns.named.get(policy.name)
        if old is not None and old.policy == policy:
            return Rc.COMMENT, f'"{policy.name}" is as it was'
        routed, wanted = policy.startup is Startup.ROUTE, policy.startup is Startup.START
        if old is None:
            self._begin(self.load(policy, client, routed=routed and self.core.listening), routed, wanted)
            return None
        routed, wanted = routed or old.on_demand, wanted or old.wanted
        alike = replace(policy, startup=old.policy.startup, debug=old.policy.debug)
        if old.policy == alike and old.kind is not Kind.GROUP:
            old.policy = policy
            self.brain.debugging.change(policy.name, classes_of(policy.debug))
            self._begin(old, routed, wanted)
            return Rc.COMMENT, f'"{policy.name}" goes on; auto={policy.startup.value}'
        if (refusal := self.refusal(policy)) is not None:
            return refusal
        self._begin(self.replace(policy, client), routed, wanted)
        return None

    def refusal(self, policy: Connection) -> tuple[Rc, str] | None:
        """Why a description would not take the place of what runs under its name; None: it would."""
        old = self.core.conns.named.get(policy.name)
        if old is not None and old.policy != policy and old.children and (why := self._lacks(policy)):
            return Rc.NOKEY, f'"{policy.name}" stays as it was: {why}'
        return None

    def _lacks(self, policy: Connection) -> str:
        """What is missing for a description ever to come up; empty: nothing that is known here."""
        heir = Conn(policy, _kind(policy, None))
        heir.orient(self.brain.network.orientation(heir)[0])
        if heir.oriented is None or heir.peer is None or heir.never:
            return ""
        # What is known of keys is kept by name: first of the one that runs, then of the one that would.
        self.brain.keyring.forget()
        try:
            return self.brain.dialect(heir).lacks(heir)
        finally:
            self.brain.keyring.forget()

    def _begin(self, conn: Conn, routed: bool, wanted: bool) -> None:
        if (routed or wanted) and self.core.listening:
            conn.on_demand, conn.wanted = routed, wanted
            self.brain.network.resume(conn)

    def retain(self, names: Container[str]) -> list[Conn]:
        """Take out what has none of these names and is not in use; answers with what has none of them and is."""
        used: list[Conn] = []
        for conn in [each for each in self.core.conns.named.values() if each.group is None and each.name not in names]:
            if conn.guarded or conn.on_demand or conn.wanted or conn.children or conn.instances:
                used.append(conn)
            else:
                self.drop(conn)
        return used

    def prune(self, name: str, names: Container[str], fresh: Container[str]) -> None:
        """Of a conn that was replaced, forget what its leftsubnets= and rightsubnets= make no more.

        What came in their place (`fresh`) is guarded before, and wanted as they were; it may have to wait for their
        routes. The others of `names` go on as they are.
        """
        parts = [each for each in self.core.conns.named.values() if base_of(each.name) == name]
        gone = [each for each in parts if each.name not in names and each.group is None]
        routed, wanted = any(each.on_demand for each in gone), any(each.wanted for each in gone)
        heirs = [each for each in parts if each.name in names and each.name in fresh]
        for conn in heirs:
            self._begin(conn, conn.on_demand or routed, conn.wanted or wanted)
        for conn in gone:
            self.drop(conn)
        for conn in heirs if gone else ():
            self.brain.network.resume(conn)

    def drop(self, conn: Conn, replaced: bool = False) -> None:
        """Take one out for good; `replaced`: the lines of a group stay for the group that takes its name."""
        if conn.group is None:
            self.core.log(f'deleting connection "{conn.name}"', event="conn-deleted")
        if conn.kind is Kind.GROUP and not replaced:
            self.brain.groups.deleted(conn)
        self.brain.debugging.change(conn.name, frozenset())
        self.brain.negotiator.remove(conn)
        self.brain.network.forget(conn)
        self.brain.keyring.forget()


def _kind(policy: Connection, group: Conn | None) -> Kind:
    """A conn with %opportunistic is a group without a file; lines of groups have the same word at their far end."""
    kind = kind_of(policy)
    return Kind.GROUP if kind is Kind.TEMPLATE and group is None and own_targets(policy) else kind
