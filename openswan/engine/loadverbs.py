# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests of the control socket that load connections and take them out. True: the answer is complete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from openswan.base.errors import ConfigError
from openswan.base.log import Rc
from openswan.config.plain import connection_from_plain
from openswan.engine.policies import bad_authority
from openswan.policy.connection import Connection
from openswan.policy.pairnames import base_of, clients_of

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

Arguments = dict[str, Any]


class LoadVerbs:
    """The handlers."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core

    def add(self, client: int, args: Arguments) -> bool:
        """A conn whose name is free; with `replace` or `renew` also one whose name is not; `check`: would it be?"""
        if args.get("replace") is True:
            return self.replace(client, args)
        policy = self._policy(client, args)
        if policy is None:
            return True
        if args.get("check") is True:
            if (answer := self.brain.loader.refusal(policy)) is not None:
                self.core.reply(client, *answer)
            return True
        if args.get("renew") is True:
            if (answer := self.brain.loader.renew(policy, client)) is not None:
                self.core.reply(client, *answer)
            return True
        if policy.name in self.core.conns.named:
            self.core.reply(client, Rc.DUPNAME, f'attempt to redefine connection "{policy.name}"')
            return True
        self.brain.loader.load(policy, client)
        return True

    def replace(self, client: int, args: Arguments) -> bool:
        """A conn in the place of one of its name."""
        policy = self._policy(client, args)
        if policy is not None:
            self.brain.loader.replace(policy, client)
        return True

    def retain(self, client: int, args: Arguments) -> bool:
        """Take out conns without one of these `names`; answers with those of them that are in use, and stay."""
        if (names := self._names(client, args)) is not None:
            for conn in self.brain.loader.retain(names):
                self.core.reply(client, Rc.COMMENT, conn.name)
        return True

    def prune(self, client: int, args: Arguments) -> bool:
        """Of the parts of the conn `name` those that are not among `names` go; `fresh` came in their place."""
        if (names := self._names(client, args)) is not None:
            fresh = args.get("fresh")
            self.brain.loader.prune(str(args.get("name")), names, fresh if isinstance(fresh, list) else names)
        return True

    def pairs(self, client: int, _args: Arguments) -> bool:
        """JSON: what each pair of leftsubnets= and rightsubnets= protects, by name."""
        conns = self.core.conns.named.values()
        found = {each.name: clients_of(each.policy) for each in conns if base_of(each.name) != each.name}
        self.core.reply(client, Rc.COMMENT, json.dumps(found))
        return True

    def _names(self, client: int, args: Arguments) -> set[str] | None:
        names = args.get("names")
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return set(names)
        self.core.reply(client, Rc.FATAL, "a list of names is wanted")
        return None

    def _policy(self, client: int, args: Arguments) -> Connection | None:
        try:
            plain = args.get("connection")
            # The daemon hands over its own connections as they are; from outside comes JSON alone.
            policy = plain if isinstance(plain, Connection) else connection_from_plain(plain)
        except ConfigError as why:
            self.core.reply(client, Rc.FATAL, f"attempt to load incomplete connection: {why}")
            return None
        if trouble := bad_authority(policy):
            self.core.reply(client, Rc.FATAL, f"attempt to load incomplete connection: {trouble}")
            return None
        if not policy.name.isprintable():
            self.core.reply(client, Rc.FATAL, "attempt to load incomplete connection: name is not printable")
            return None
        if policy.ike_version == 1 and self.core.settings.ikev1 in ("drop", "reject"):
            text = f'"{policy.name}": it is for IKEv1, which ikev1-policy={self.core.settings.ikev1} keeps out'
            self.core.reply(client, Rc.NOALGO, text)
            return None
        return policy
