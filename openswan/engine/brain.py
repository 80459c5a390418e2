# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of pluto's brain, wired together: each part knows the others through this one object."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from openswan.base.entropy import Rng
from openswan.base.interval import Instant
from openswan.engine.acquire import Acquires
from openswan.engine.answers import Answers
from openswan.engine.certificates import Certificates
from openswan.engine.children import Children
from openswan.engine.conn import Conn
from openswan.engine.core import Core
from openswan.engine.debugging import Debugging
from openswan.engine.delegations import Delegations
from openswan.engine.demux import Demux
from openswan.engine.dialect import Dialect
from openswan.engine.dpd import Liveness
from openswan.engine.endings import Endings
from openswan.engine.exemptions import Exemptions
from openswan.engine.fetches import Fetches
from openswan.engine.groups import Groups
from openswan.engine.ikesas import IkeSas
from openswan.engine.ikev1 import IkeV1
from openswan.engine.ikev2 import IkeV2
from openswan.engine.interception import Interception
from openswan.engine.isakmp import Isakmp
from openswan.engine.launches import Launches
from openswan.engine.leakguard import LeakGuard
from openswan.engine.lingering import Lingering
from openswan.engine.loading import Loader
from openswan.engine.logins import Logins
from openswan.engine.mobility import Mobility
from openswan.engine.negotiate import Negotiator
from openswan.engine.network import Network
from openswan.engine.oeevents import Pair as OePair
from openswan.engine.oememory import Memory
from openswan.engine.pairs import Pairs
from openswan.engine.pairverbs import PairVerbs
from openswan.engine.pairviews import PairViews
from openswan.engine.pathmtu import PathMtus
from openswan.engine.peerkeys import PeerKeys
from openswan.engine.policies import Keyring
from openswan.engine.proof import Proofs
from openswan.engine.redirects import Redirects
from openswan.engine.rekey import Lifetimes
from openswan.engine.revocation import Revocation
from openswan.engine.router import Router
from openswan.engine.settings import Settings
from openswan.engine.signing import Signing
from openswan.engine.streams import Streams
from openswan.engine.successions import Successions
from openswan.engine.triggers import Triggers


class Brain:
    """Everything pluto thinks with; no part holds state of another."""

    def __init__(self, rng: Rng, settings: Settings, clock: Callable[[Instant], datetime]) -> None:
        self.core = Core(rng, settings)
        self.debugging = Debugging(self.core)
        self.core.states.on_new = self.debugging.watch
        self.clock = clock
        self.keyring = Keyring(request_certs=settings.request_certs)
        self.router = Router(self.core)
        self.router.on_move = self.debugging.moved
        self.fetches = Fetches(self.core)
        self.revocation = Revocation(self, clock)
        self.certificates = Certificates(self.core, self.fetches)
        self.signing = Signing(self.core)
        self.logins = Logins(self.core)
        self.peerkeys = PeerKeys(self.core)
        self.answers = Answers(self.core, self.keyring, self.router, clock, self.revocation)
        self.answers.published = self.peerkeys.published
        self.answers.named = self.certificates.certificate
        self.delegations = Delegations(self.core)
        self.answers.children.delegations = self.delegations
        self.lifetimes = Lifetimes(self)
        self.liveness = Liveness(self)
        self.children = Children(self)
        self.lingering = Lingering(self)
        self.pathmtus = PathMtus(self)
        self.proofs = Proofs(self)
        self.redirects = Redirects(self)
        self.successions = Successions(self)
        self.endings = Endings(self)
        self.ikes = IkeSas(self)
        self.isakmp = Isakmp(self.answers)
        self.dialects: dict[int, Dialect] = {1: IkeV1(self), 2: IkeV2(self)}
        """By IKE version."""
        self.streams = Streams(self)
        self.launches = Launches(self)
        self.negotiator = Negotiator(self)
        self.acquires = Acquires(self)
        self.network = Network(self)
        self.loader = Loader(self)
        self.groups = Groups(self)
        self.pairs = Pairs(self)
        self.memory = Memory(self)
        self.pairviews = PairViews(self)
        self.pairverbs = PairVerbs(self)
        self.exemptions = Exemptions(self)
        self.router.on_change = self.exemptions.touched
        self.interception = Interception(self)
        self.leakguard = LeakGuard()
        self.triggers = Triggers(self)
        self.answers.children.decides = self.groups.decides
        self.answers.children.protected = lambda src, dst: self.interception.protected(OePair(src, dst))
        self.answers.children.objection = self.pairs.objection
        self.mobility = Mobility(self)
        self.answers.others = self.mobility.others
        self.answers.elsewhere = self.redirects.in_auth
        self.demux = Demux(self)

    def dialect(self, conn: Conn) -> Dialect:
        """How a connection negotiates."""
        return self.dialects[conn.policy.ike_version]
