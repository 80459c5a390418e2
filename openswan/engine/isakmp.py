# SPDX-License-Identifier: GPL-2.0-or-later
"""What ISAKMP SAs need to know of connections: policies of both phases, and answers to what they ask (RFC 2409).

Main Mode leads from addresses to a connection before anybody has said who he is: what is agreed then must fit one of
those the addresses allow, and the identity that follows says which. A preshared key is looked up by the addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from datetime import datetime
from hmac import compare_digest
from ipaddress import IPv4Network
from itertools import islice

from cryptography.x509 import Certificate

from openswan.base.address import Address, Endpoint
from openswan.base.errors import IkeError
from openswan.base.interval import Instant
from openswan.crypto.revocation import Question
from openswan.crypto.sign import METHOD_RSA, best_method
from openswan.engine.answers import MOST_CANDIDATES, Answers
from openswan.engine.conn import Conn
from openswan.engine.names import connection_policy
from openswan.ike.policy import AddressQuestion, ChildPolicy, ChildQuestion, IkePolicy
from openswan.ike.v1.life import Life
from openswan.ike.v1.methods import ECDSA, HYBRID, WITH_XAUTH
from openswan.ike.v1.methods import METHODS as BY_METHOD
from openswan.ike.v1.phase1 import Terms
from openswan.ike.v1.policy import IdQuestion, IsakmpPolicy, LeaseQuestion, NotYet, QuickPolicy, QuickQuestion
from openswan.policy.connection import Auth, Connection
from openswan.policy.gateways import Published
from openswan.policy.identity import Identity, address_identity, matches
from openswan.policy.modecfg import Assigned, ConfigRole
from openswan.wire.v1.numbers import AuthMethod, NotifyType

METHODS = ((Auth.RSASIG, AuthMethod.RSA_SIG), (Auth.PSK, AuthMethod.PRE_SHARED_KEY))
"""authby= as authentication methods, the better first."""
LOOKED_UP = 43
"""What answers.child says of hosts whose gateways are being looked up (IKEv2's TEMPORARY_FAILURE)."""
OCTETS = 1024
"""Of a kilobyte of an SA's life (RFC 2407 4.5)."""


class Isakmp:
    """openswan.ike.v1.policy.Owner over the connection database and the secrets."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.core = answers.core

    # --- policies

    def ike(self, conn: Conn, remote: Address | None, first: bool = False) -> IkePolicy:
        """What both versions have in common; somebody of whom nothing is known yet is his address."""
        there = conn.peer if conn.peer is not None else remote
        theirs = conn.oriented.theirs if conn.oriented is not None else None
        nameless = conn.peer_id is None and theirs is not None and theirs.id is None and not theirs.cert
        claimed = address_identity(there) if nameless and there is not None else None
        return self.answers.keyring.ike(conn, conn.signature, claimed, first)

    def policy(self, conn: Conn, remote: Address | None, first: bool = False, initiator: bool = False) -> IsakmpPolicy:
        """How an oriented connection negotiates its ISAKMP SA; `first`: we know no other SA with the peer."""
        found = replace(isakmp_policy(self.ike(conn, remote, first), conn.policy), unknown_peer=conn.peer is None)
        return further(found, conn, self.answers.keyring.secrets.password, initiator) if conn.oriented else found

    def login(self, conn: Conn) -> tuple[str, str]:
        """Who an oriented connection is as XAUTH's client, and its password; empty: none is known."""
        return conn.credentials or xauth_login(
            conn, self.answers.keyring.secrets.password, self.ike(conn, conn.peer).my_id
        )

    def quick(self, conn: Conn, child: ChildPolicy) -> QuickPolicy:
        """A child policy of a connection as Quick Mode wants it."""
        life = Life(int(conn.policy.ipsec_lifetime), conn.policy.max_bytes // OCTETS)
        values = {field.name: getattr(child, field.name) for field in fields(ChildPolicy)}
        return QuickPolicy(**values, life=life, words=connection_policy(conn))

    # --- questions

    def isakmp_policy(self, local: Endpoint, remote: Endpoint) -> IsakmpPolicy:
        """What any of the connections of these addresses would agree to."""
        conns = list(self.candidates(local.address, remote.address))
        if not conns:
            raise IkeError(
                f"initial Main Mode message received on {local.address}:{local.port} but no connection has been"
                " authorized",
                NotifyType.NO_PROPOSAL_CHOSEN,
            )
        if self.core.asking is not None:
            self.core.asking.led_to = conns[0]
        policies = [self.policy(conn, remote.address) for conn in conns]
        first = policies[0]
        if len(policies) == 1:
            return first
        terms = Terms(
            tuple(dict.fromkeys(one for policy in policies for one in policy.terms.proposals)),
            tuple(dict.fromkeys(one for policy in policies for one in policy.terms.methods)),
            Life(max(policy.terms.life.seconds for policy in policies)),
            tuple(dict.fromkeys(one for policy in policies for one in policy.terms.unable)),
        )
        psk = next((policy.psk for policy in policies if policy.psk), b"")
        usable = tuple(one for one in terms.unable if one[0] not in terms.methods)
        return replace(first, terms=replace(terms, unable=usable), psk=psk)

    def candidates(self, me: Address, peer: Address) -> Iterator[Conn]:
        """One IKEv1 connection of every way these addresses may open an ISAKMP SA, with a secret if there is one."""
        found = 0
        for answering in self.core.conns.answering(me, peer):
            for conns in answering.ways.values():
                some = list(islice(conns.values(), MOST_CANDIDATES))
                if some[0].policy.ike_version == 1 and found < MOST_CANDIDATES:
                    found += 1
                    yield next((conn for conn in some if self.policy(conn, peer).terms.methods), some[0])

    def refine(self, question: IdQuestion) -> IsakmpPolicy:
        """The connection of whom the peer says it is."""
        found = [
            (self._leads(conn, question), policy)
            for conn, policy in self._claimed(question.local, question.remote, question.peer_id)
            if _fits(policy, question)
        ]
        if not found:
            raise IkeError(f"no suitable connection for peer '{question.peer_id}'", NotifyType.INVALID_ID_INFORMATION)
        return max(found, key=lambda one: one[0])[1]

    def published(self, identity: Identity, remote: Address) -> Published | str:
        """The keys the DNS has for a peer, or the name to be looked up first."""
        return self.answers.published(identity, remote)

    def _leads(self, conn: Conn, question: IdQuestion) -> bool:
        """Could the certificates the peer has sent come from the authority a connection wants?"""
        return self.answers.keyring.may_lead_to(self.ike(conn, question.remote.address), question.issuers)

    def _claimed(self, local: Endpoint, remote: Endpoint, peer_id: Identity) -> list[tuple[Conn, IsakmpPolicy]]:
        """The connections that let an identity in: exact ones before wildcards, known hosts before others."""
        found = []
        for answering in self.core.conns.answering(local.address, remote.address):
            for claimed in answering.claimed(peer_id):
                conn = self._line(claimed, local.address, remote.address)
                if conn is None or conn.policy.ike_version != 1:
                    continue
                policy = self.policy(conn, remote.address)
                if matches(policy.peer_id, peer_id):
                    found.append((conn, policy))
        return sorted(found, key=lambda one: (one[1].peer_id != peer_id, one[0].peer is None))

    def _line(self, conn: Conn, me: Address, peer: Address) -> Conn | None:
        """The connection itself; of a policy group the line that decides about the two, None when it does not answer.

        A line about hosts behind us waits until the peer says which one it means.
        """
        if conn.group is None:
            return conn
        line = self.answers.children.line(me, peer)
        if (line or conn).signature != conn.signature or (line is None and not conn.behind):
            return None
        return line or conn

    def aggressive_policy(self, local: Endpoint, remote: Endpoint, peer_id: Identity) -> IsakmpPolicy:
        """The connection of whom a peer says it is in its very first message."""
        found = self._claimed(local, remote, peer_id)
        if not found:
            raise IkeError(
                f"initial Aggressive Mode message received on {local.address}:{local.port} from '{peer_id}' but no"
                " connection has been authorized",
                NotifyType.NO_PROPOSAL_CHOSEN,
            )
        conn, policy = next((one for one in found if one[1].aggressive), found[0])
        if self.core.asking is not None:
            self.core.asking.led_to = conn
        return policy

    def quick_policy(self, question: QuickQuestion) -> QuickPolicy:
        """The connection of this peer that has these clients."""
        conns, remote = self.core.conns.unique, question.remote.address
        asked = conns.get(question.isakmp.name)
        if asked is None:
            raise IkeError(f"no connection {question.isakmp.name!r} any more", NotifyType.INVALID_ID_INFORMATION)
        ike, clients = self.ike(asked, remote), ((question.mine,), (question.theirs,))
        whose = ChildQuestion(
            ike,
            question.peer_id,
            question.local,
            question.remote,
            *clients,
            transport=question.transport,
            assigned=question.assigned,
            version=1,
        )
        try:
            child = self.answers.child(whose)
        except IkeError as why:
            if why.notify == LOOKED_UP:
                raise NotYet(str(why), 0) from None
            raise IkeError(str(why), NotifyType.INVALID_ID_INFORMATION) from None
        conn = conns[child.name]
        if not _covers(child, question):
            raise IkeError(self.answers.children.unknown(whose), NotifyType.INVALID_ID_INFORMATION)
        return self.quick(conn, child)

    def lease(self, question: LeaseQuestion) -> Assigned:
        """Addresses out of the connection's pools, and what else its clients are told."""
        conn = self.core.conns.unique.get(question.isakmp.name)
        if conn is None:
            raise IkeError(f"no connection {question.isakmp.name!r} any more", NotifyType.INVALID_ID_INFORMATION)
        wishes = (question.wish,) if question.wish is not None else ()
        asked = AddressQuestion(
            self.ike(conn, question.remote), question.peer_id, question.versions, wishes, question.user
        )
        given, policy = self.answers.addresses(asked), conn.policy
        # Of two ends only the one behind a network of its own has something to split off.
        ours = conn.oriented.ours if conn.oriented is not None else None
        net = ours.subnet if ours is not None else None
        routes = (net,) if isinstance(net, IPv4Network) and net.prefixlen else ()
        return replace(given, wins=policy.wins, banner=policy.banner, routes=routes)

    def number(self) -> int:
        """The next number of a state."""
        return self.core.states.serial()

    def knows_another(self, local: Endpoint, remote: Endpoint) -> bool:
        """Is there an established ISAKMP SA with this peer already?"""
        return self.answers.knows_another(local.address, remote.address)

    def spi_in_use(self, spi: int) -> bool:
        """Is this inbound ESP or AH SPI taken?"""
        return self.answers.spi_in_use(spi)

    def cpi_in_use(self, cpi: int) -> bool:
        """Is this inbound Compression Parameter Index taken?"""
        return self.answers.cpi_in_use(cpi)

    def revocation(self, chain: Sequence[Certificate], at: datetime) -> tuple[Question, ...]:
        """What has to be fetched before a chain can be judged."""
        return self.answers.revocation(chain, at)

    def wall_clock(self, now: Instant) -> datetime:
        """The calendar time of an instant."""
        return self.answers.wall_clock(now)


def isakmp_policy(ike: IkePolicy, policy: Connection) -> IsakmpPolicy:
    """The part of it that IKEv1 knows."""
    hybrid = Auth.XAUTH in ike.my_auth | ike.peer_auth
    key = ike.private_key
    mine = best_method(key) if key is not None else None
    allowed = [method for auth, method in METHODS if (ike.my_auth | ike.peer_auth if hybrid else ike.my_auth) & auth]
    unable = {}
    if AuthMethod.PRE_SHARED_KEY in allowed and not ike.psk:
        unable[AuthMethod.PRE_SHARED_KEY] = f"Can't authenticate: no preshared key found for `{ike.my_id}'"
    if ike.my_auth & Auth.ECDSA and mine in ECDSA:
        allowed = [AuthMethod(mine), *allowed]
    elif ike.my_auth & Auth.ECDSA:
        unable[AuthMethod.ECDSA_256] = f"unable to locate my private key for ECDSA Signature of '{ike.my_id}'"
    if AuthMethod.RSA_SIG in allowed and mine != METHOD_RSA and Auth.XAUTH not in ike.my_auth:
        unable[AuthMethod.RSA_SIG] = f"unable to locate my private key for RSA Signature of '{ike.my_id}'"
    methods = tuple(method for method in allowed if method not in unable)
    return IsakmpPolicy(
        name=ike.name,
        terms=Terms(policy.ike_proposals, methods, Life(int(policy.ike_lifetime)), tuple(unable.items())),
        my_id=ike.my_id,
        peer_id=ike.peer_id,
        psk=ike.psk,
        private_key=ike.private_key,
        peer_keys=ike.peer_keys,
        peer_published=ike.peer_published,
        certificates=ike.certificates,
        send_cert=ike.send_cert,
        peer_certificate=ike.peer_certificate,
        peer_by_certificate=ike.peer_by_certificate,
        anchors=ike.anchors,
        peer_ca=ike.peer_ca,
        request_certs=ike.request_certs,
        aggressive=policy.aggressive,
        fragmentation=ike.fragmentation,
        fragment_size=ike.fragment_size,
        nat_traversal=ike.encapsulation != "no",
        force_nat=ike.encapsulation == "yes",
        initial_contact=ike.initial_contact,
        retransmit_interval=ike.retransmit_interval,
        retransmit_timeout=ike.retransmit_timeout,
        first_patience=ike.init_timeout if ike.init_once else 0.0,
        max_children=ike.max_children,
    )


def further(policy: IsakmpPolicy, conn: Conn, password: Callable[[str], str | None], initiator: bool) -> IsakmpPolicy:
    """With what follows phase 1: XAUTH, and Mode Config."""
    assert conn.oriented is not None
    ours, theirs, terms = conn.oriented.ours, conn.oriented.theirs, policy.terms
    client = conn.oriented.answers_password
    if client or conn.oriented.asks_password:
        # Who is the client: the initiator, or the responder?
        which = 0 if client == initiator else 1
        hybrid = Auth.XAUTH in conn.policy.proof(ours) | conn.policy.proof(theirs)
        forms = {AuthMethod.RSA_SIG: HYBRID} if hybrid else WITH_XAUTH
        methods = tuple(forms[method][which] for method in terms.methods if method in forms)
        unable = tuple((forms[method][which], why) for method, why in terms.unable if method in forms)
        policy = replace(policy, terms=replace(terms, methods=methods, unable=unable))
    if client:
        user, word = conn.credentials or xauth_login(conn, password, policy.my_id)
        policy = replace(policy, xauth_user=user, xauth_password=word.encode())
    families = tuple(sorted({pool.version for pool in theirs.pools}))
    if families:
        policy = replace(policy, config=ConfigRole.SERVER, assigns=families)
    elif ours.ask_addresses:
        policy = replace(policy, config=ConfigRole.CLIENT, ask_addresses=ours.ask_addresses)
    return replace(
        policy, config_pull=conn.policy.config_pull, unity=conn.policy.unity, xauth_soft=conn.policy.xauth_soft
    )


def xauth_login(conn: Conn, password: Callable[[str], str | None], me: Identity) -> tuple[str, str]:
    """The name and the password that the configuration has for us as XAUTH's client; an empty password: none."""
    assert conn.oriented is not None
    user = conn.oriented.ours.xauth_name or str(me).removeprefix("@")
    return user, password(user) or ""


def _fits(policy: IsakmpPolicy, question: IdQuestion) -> bool:
    """Does a connection agree to what is agreed so far?"""
    if not policy.terms.allow(question.chosen):
        return False
    return not BY_METHOD[question.chosen.method].by_secret or compare_digest(policy.psk, question.policy.psk)


def _covers(child: ChildPolicy, question: QuickQuestion) -> bool:
    """Are these the clients asked for, or with narrowing wider ones?"""
    pairs = ((child.mine, question.mine), (child.theirs, question.theirs))
    if child.narrowing:
        return all(any(one.contains(asked) for one in ours) for ours, asked in pairs)
    return all(asked in ours for ours, asked in pairs)
