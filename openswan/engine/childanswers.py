# SPDX-License-Identifier: GPL-2.0-or-later
"""Which connection a peer means that wants something protected, and whether it may have it: the child's selectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from openswan.base.address import Address, host_subnet
from openswan.base.errors import IkeError
from openswan.base.log import Rc
from openswan.crypto.dnskey import raw_octets
from openswan.engine import virtualwords
from openswan.engine.conn import Conn, Kind
from openswan.engine.core import Core
from openswan.engine.delegations import Delegations
from openswan.engine.policies import Keyring, child_policy, selected_policy
from openswan.engine.router import Router
from openswan.ike.later import GatewaysJob, Unsettled
from openswan.ike.policy import ChildPolicy, ChildQuestion, IkePolicy
from openswan.policy.connection import Auth
from openswan.policy.groups import of_strangers, stance_of
from openswan.policy.identity import NOBODY, Identity, matches
from openswan.policy.selector import FlowKey, Selector, flow_keys
from openswan.policy.virtual import Virtual
from openswan.wire.v2.numbers import NotifyType


@dataclass(eq=False)
class ChildAnswers:
    """Asked for each child that a peer proposes."""

    core: Core
    keyring: Keyring
    router: Router
    decides: Callable[[Address, Address], Conn | None] = lambda src, dst: None
    """The line of a policy group that decides about two hosts, seen from us."""
    protected: Callable[[Address, Address], Conn | None] = lambda src, dst: None
    """The ordinary connection that packets of two hosts, seen from us, belong to."""
    objection: Callable[[Conn, Address, Address], str] = lambda conn, src, dst: ""
    """Why the peer that asks has not proved enough for a tunnel of a policy group; empty: it has."""
    delegations: Delegations | None = None
    """Which hosts peers may speak for beside themselves; None: none."""

    def line(self, me: Address, peer: Address) -> Conn | None:
        """The line of a policy group under which a peer may have a tunnel: the one that decides about it."""
        line = self.decides(me, peer)
        if line is None or line.never or not stance_of(line.policy).responds:
            return None
        return line if not of_strangers(line.policy) or self.protected(me, peer) is None else None

    def child(self, question: ChildQuestion) -> ChildPolicy:
        """The connection of this peer whose selectors fit best what it proposes."""
        exact = self._exact(question)
        if exact is not None:
            return self._unless_taken(exact, question)
        best: Conn | None = None
        best_score = 0
        for conn in self.core.conns.asked(question.local.address, question.remote.address):
            rank = self._covers(conn, question)
            if rank > best_score:
                best, best_score = conn, rank
        if best is None:
            asked = self.core.conns.unique.get(question.ike.name)
            assigns = question.ike.assigns and not question.ike.only_behind_nat
            if asked is not None and assigns and self._client(asked, question) is None:
                sizes = ", ".join(map(str, asked.oriented.theirs.pools)) if asked.oriented else ""
                raise IkeError(
                    f"no address of the right family is left in {sizes}", NotifyType.INTERNAL_ADDRESS_FAILURE
                )
            self._say_why_not(question)
            self._needs_address(self.line(_hosts(question)[0], question.remote.address), question)
            raise IkeError(self.unknown(question), NotifyType.TS_UNACCEPTABLE)
        return self._unless_taken(best, question)

    def _say_why_not(self, question: ChildQuestion) -> None:
        """When it is the client of a road warrior that no connection lets it have."""
        for conn in self.core.conns.asked(question.local.address, question.remote.address):
            virtual = conn.oriented.theirs.virtual if conn.oriented is not None else None
            if virtual is not None and conn.kind is Kind.TEMPLATE and self._same_peer(conn, question):
                self._say(conn, question, virtualwords.rejected(question.theirs[0], virtual))
                return

    def _say(self, conn: Conn, question: ChildQuestion, lines: Sequence[str]) -> None:
        """Lines of IKEv1 about what a peer asks for."""
        asking = self.core.asking
        if asking is not None and question.version == 1:
            for line in lines:
                self.core.say(asking.conn or conn, line, Rc.LOG, asking.serial)

    @staticmethod
    def unknown(question: ChildQuestion) -> str:
        """What the log says when there is no connection for what a peer wants to protect."""
        mine = " ".join(map(str, question.mine))
        theirs = " ".join(map(str, question.theirs))
        return (
            "cannot respond to IPsec SA request because no connection is known for "
            f"{mine}==={question.local.address}[{question.ike.my_id}]..."
            f"{question.remote.address}[{question.peer_id}]==={theirs}"
        )

    def _unless_taken(self, conn: Conn, question: ChildQuestion) -> ChildPolicy:
        """The child policy, unless its flow is another peer's already, or the peer has proved too little: better to
        refuse than to make and delete."""
        policy = self._child_policy(conn, question)
        why = self.objection(conn, policy.mine[0].first, policy.theirs[0].first) if conn.group is not None else ""
        if why:
            raise IkeError(f"no tunnel for {question.remote.address}: {why}", NotifyType.TS_UNACCEPTABLE)
        virtual = conn.oriented.theirs.virtual if conn.oriented is not None and conn.policy.tunnel else None
        if virtual is not None and not virtual.itself and not all(map(virtual.fits, policy.theirs)):
            raise IkeError(
                self.unknown(question), NotifyType.TS_UNACCEPTABLE
            )  # an instance begins with the peer itself
        peer_id = question.peer_id if conn.kind is Kind.TEMPLATE else conn.peer_id
        for mine in policy.mine:
            for theirs in policy.theirs:
                for key in flow_keys(mine, theirs):
                    holder = self.router.eroutes.get(key)
                    if holder is None:
                        continue
                    displaces = question.anonymous and self._proved(holder)
                    if displaces or not self.router.yields(holder, conn, peer_id, question.remote.address):
                        if virtual is not None:
                            self._say(conn, question, virtualwords.overlap(theirs, conn, holder, question.peer_id))
                        raise IkeError(f"{key} is in use for {holder.label}", NotifyType.TS_UNACCEPTABLE)
        return policy

    def _proved(self, conn: Conn) -> bool:
        """Has a connection an SA whose peer has proved who it is?"""
        children = (self.core.states.children.get(serial) for serial in conn.children)
        return any(child is not None and not child.ike.machine.anonymous for child in children)

    def _exact(self, question: ChildQuestion) -> Conn | None:
        """By hash: a connection with just these selectors, among thousands with the same peer.

        Of several with the same flow, one whose mode is what the peer asks for.
        """
        for key in _keys(question):
            able = [conn for conn in self.core.conns.with_flow(key) if self._same_peer(conn, question)]
            if able:
                return min(able, key=lambda conn: conn.policy.tunnel is question.transport)
        return None

    def _same_peer(self, conn: Conn, question: ChildQuestion) -> bool:
        """May the peer of this IKE SA use the connection? Same addresses, same identities, same means of proof."""
        if conn.oriented is None or conn.never or conn.oriented.me != question.local.address:
            return False
        if conn.policy.ike_version != question.version:
            return False
        if conn.peer not in (None, question.remote.address):
            return False
        if conn.group is not None:
            line = self.line(*_hosts(question))
            if line is None or line not in (conn, conn.template):
                return False
        elif question.anonymous and conn.kind is not Kind.PERMANENT and conn.oriented.theirs.subnet is not None:
            return False  # nobody has no network but its own address
        asked = self._asked(question)
        if not _is_let_in(conn, asked):
            return False
        if asked is conn or (conn.template is not None and conn.template is asked):
            return conn.peer_id is None or conn.peer_id == question.peer_id
        if asked is not None and asked.signature == conn.signature:
            return True
        policy = self.keyring.ike(conn, conn.signature)
        if policy.my_id != question.ike.my_id or policy.peer_auth != question.ike.peer_auth:
            return False
        known = policy.peer_keys == question.ike.peer_keys or self._has_shown_key(conn, question)
        known = known or _is_published(policy, asked, question)
        if not known or policy.peer_certificate != question.ike.peer_certificate:
            return False
        if policy.peer_by_certificate != question.ike.peer_by_certificate or policy.anchors != question.ike.anchors:
            return False
        if policy.peer_ca != question.ike.peer_ca:
            return False
        return may_be(policy, question.peer_id)

    def _asked(self, question: ChildQuestion) -> Conn | None:
        """The connection of the IKE SA; the instance that has begun it may have gone, and is still who was called."""
        asking = self.core.asking
        return self.core.conns.unique.get(question.ike.name) or (asking.conn if asking is not None else None)

    def _has_shown_key(self, conn: Conn, question: ChildQuestion) -> bool:
        """Has the peer that asks shown the very key that we call it by for this pair?"""
        asking, gateway = self.core.asking, conn.gateway
        if asking is None or gateway is None or gateway.key is None or gateway.address != question.remote.address:
            return False
        return raw_octets(gateway.key) == asking.machine.peer_key

    def _covers(self, conn: Conn, question: ChildQuestion) -> int:
        if not self._same_peer(conn, question) or conn.local is None:
            return 0
        mine, theirs = self._own_client(conn, question), self._client(conn, question)
        if mine is None or theirs is None:
            return 0
        if mine in question.mine and theirs in question.theirs:
            return 4
        if any(one.contains(mine) for one in question.mine) and any(one.contains(theirs) for one in question.theirs):
            return 3
        if conn.policy.narrowing and any(
            one.intersect(mine) and other.intersect(theirs) for one in question.mine for other in question.theirs
        ):
            return 2
        return 0

    def _client(self, conn: Conn, question: ChildQuestion) -> Selector | None:
        """What a peer may protect: its client, or just itself; None: an address that could not be assigned.

        Behind NAT "itself" is the one private address it has there, as long as that is nobody's here.
        """
        if conn.oriented is not None and conn.oriented.theirs.pools:
            given = _given(question, conn.local.first.version if conn.local is not None else 0)
            if given is not None or conn.group is None:
                return Selector.host(given) if given is not None else None
        if conn.group is not None:
            host = _hosts(question)[1]
            if host == question.remote.address and self._shares_address(question):
                return None
            # Whoever it is: its own address, or one that it can prove to be behind it.
            own = host == question.remote.address or self._delegated(host)
            return Selector.host(host) if own else None
        if conn.remote is not None:
            return conn.remote
        virtual = conn.oriented.theirs.virtual if conn.oriented is not None else None
        if virtual is not None and not question.transport and not question.anonymous:
            return self._virtual(conn, virtual, question)
        asking = self.core.asking
        # In transport mode the selectors have been put into our view of the addresses already.
        # Nobody has a private address: it could be that of somebody who does not know of us (RFC 7619 2.5).
        private = asking is not None and asking.machine.nat_there and not question.transport and not question.anonymous
        if private and conn.local is not None:
            for theirs in question.theirs:
                host = theirs.first
                single = host == theirs.last and host.is_private and not host.is_loopback and not host.is_link_local
                itself = Selector.host(host)
                if single and host not in self.core.plugs.addresses and not conn.local.intersect(itself):
                    return itself
        protocol, port = (conn.oriented.theirs.protocol, conn.oriented.theirs.port) if conn.oriented else (0, 0)
        if protocol and not port:
            # Any port of that protocol: the one the peer names.
            port = next((s.port for s in question.theirs if s.protocol == protocol and s.port), 0)
        return Selector.of(host_subnet(question.remote.address), protocol, port)

    def _shares_address(self, question: ChildQuestion) -> bool:
        """Does it come from behind NAT, whose address is anybody's there? Who is known may be that NAT, and say so."""
        asking = self.core.asking
        says_so = Selector.host(question.remote.address) in question.theirs and not question.anonymous
        return asking is not None and asking.machine.nat_there and not says_so

    def _needs_address(self, line: Conn | None, question: ChildQuestion) -> None:
        """IkeError when a line would be about the peer, but is not given an address to know it by."""
        if line is not None and line.group is not None and self._shares_address(question):
            raise IkeError(_needs_pool(line, question), NotifyType.TS_UNACCEPTABLE)

    def _virtual(self, conn: Conn, virtual: Virtual, question: ChildQuestion) -> Selector | None:
        """The client a peer asks for out of those it may have, which is neither ours nor an address of this host."""
        found = virtual.choose(question.theirs, conn.local) if conn.local is not None else None
        own = [Selector.host(one) for one in self.core.plugs.addresses]
        if found is not None and not any(one.intersect(found) for one in own):
            return found
        return Selector.host(question.remote.address) if virtual.itself else None

    @staticmethod
    def _own_client(conn: Conn, question: ChildQuestion) -> Selector | None:
        """Our side of a child: of a group's line just the host that the peer asks for."""
        return conn.local if conn.group is None else Selector.host(_hosts(question)[0])

    def _delegated(self, host: Address) -> bool:
        """May the peer who asks speak for that host? Unsettled while that is looked up."""
        asking = self.core.asking
        if asking is None or self.delegations is None:
            return False
        if self.delegations.allows(host, asking.machine):
            return True
        if asking.machine.peer_key and not asking.machine.peer_chain and not self.delegations.knows(host):
            self.delegations.start(host, lambda: None)
            raise Unsettled(GatewaysJob(host), f"the gateways of {host} are being looked up")
        return False

    def knows_gateways(self, host: Address) -> bool:
        """Is it known who a host's gateways are?"""
        return self.delegations is None or self.delegations.knows(host)

    def _child_policy(self, conn: Conn, question: ChildQuestion) -> ChildPolicy:
        if conn.remote is not None and conn.group is None and not (conn.oriented and conn.oriented.theirs.pools):
            return child_policy(conn)
        theirs = self._client(conn, question)
        mine = self._own_client(conn, question)
        if mine is None or theirs is None:
            self._needs_address(conn, question)
            raise IkeError(f'"{conn.name}" is not for what the peer asks for', NotifyType.TS_UNACCEPTABLE)
        return replace(child_policy_without_peer(conn, mine), theirs=(theirs,))


def may_be(policy: IkePolicy, claimed: Identity) -> bool:
    """May the peer be who it claims?"""
    if claimed == NOBODY:
        return bool(policy.peer_auth & Auth.NULL)
    named = policy.peer_name is not None and matches(policy.peer_name, claimed)
    return named or policy.peer_id is None or matches(policy.peer_id, claimed)


def child_policy_without_peer(conn: Conn, local: Selector) -> ChildPolicy:
    """Like child_policy for a template whose peer, and so its client, is not known yet."""
    return selected_policy(conn, (local,), ())


def _is_let_in(conn: Conn, asked: Conn | None) -> bool:
    """A connection that asks for a password (XAUTH) is for those alone who have given it one, under its own name."""
    if conn.oriented is None or not conn.oriented.asks_password:
        return True
    known = asked is not None and asked.oriented is not None and asked.oriented.asks_password
    return known and asked is not None and asked.policy.family == conn.policy.family


def _is_published(policy: IkePolicy, asked: Conn | None, question: ChildQuestion) -> bool:
    """Is the key of whom we have called one that a line takes which wants it from the DNS?

    For hosts behind it their own records are asked; for itself it has to be its own record that we called it by.
    """
    if not policy.peer_published or asked is None or asked.gateway is None or asked.remote is None:
        return False
    host = _hosts(question)[1]
    return host != question.remote.address or asked.remote.first == host


def _hosts(question: ChildQuestion) -> tuple[Address, Address]:
    """The two hosts that a peer wants a tunnel of an opportunistic group for, seen from us.

    The gateways themselves if what it proposes has them, else those it names singly.
    """
    peer = _host(question.theirs, question.remote.address)
    # What we call a host behind NAT says nothing about who decides about it.
    return _host(question.mine, question.local.address), question.remote.address if peer in question.assigned else peer


def _given(question: ChildQuestion, version: int) -> Address | None:
    """The address of one family that we have given the peer."""
    return next((address for address in question.assigned if address.version == version), None)


def _needs_pool(line: Conn, question: ChildQuestion) -> str:
    """Why a host behind NAT gets nothing: its own address is anybody's, and it has not been given another."""
    end = "right" if line.oriented is not None and line.oriented.left_is_ours else "left"
    if line.oriented is not None and line.oriented.theirs.pools:
        return f'no tunnel for {question.remote.address}: it is behind NAT and asks "{line.name}" for no address'
    return (
        f'no tunnel for {question.remote.address}: it is behind NAT, and "{line.name}" has no addresses to know such '
        f"hosts by ({end}addresspool=)"
    )


def _host(selectors: Sequence[Selector], gateway: Address) -> Address:
    itself = Selector.host(gateway)
    if any(one.contains(itself) for one in selectors):
        return gateway
    return next((one.first for one in selectors if one.first == one.last), gateway)


def _keys(question: ChildQuestion) -> list[FlowKey]:
    """Eroute keys of what is proposed, when it is plain subnets; the first selector may be that of one packet."""
    keys = []
    wanted = [(theirs, theirs.subnets()) for theirs in question.theirs[:4]]
    for mine in question.mine[:4]:
        ours = mine.subnets()
        for theirs, its in wanted:
            if len(ours) == len(its) == 1:
                keys.append(FlowKey(ours[0], its[0], mine.protocol or theirs.protocol, mine.port, theirs.port))
    return keys
