# SPDX-License-Identifier: GPL-2.0-or-later
"""New child SAs, in IKE_AUTH and in CREATE_CHILD_SA, both sides (RFC 7296 1.3.1, 2.9, 2.17).

```
initiator                                          responder
HDR, SK {SA, Ni, [KEi], TSi, TSr}                  -->
                                                   <--  HDR, SK {SA, Nr, [KEr], TSi, TSr}
```
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from openswan.base.address import Endpoint
from openswan.base.errors import CryptoError, IkeError, WireError
from openswan.base.interval import Instant
from openswan.crypto import dh, keymat
from openswan.crypto.registry import Kind
from openswan.ike import rules
from openswan.ike.effects import ChildEstablished
from openswan.ike.events import CreateChild, RekeyChild
from openswan.ike.policy import ChildPolicy, ChildQuestion, ChosenEsp
from openswan.ike.rules import Shape
from openswan.ike.v2.child import Child
from openswan.ike.v2.core import Core, Task, error, first_error
from openswan.ike.v2.narrow import agree, from_wire, to_wire, verify
from openswan.ike.v2.negotiate import Dh, accept, choose, group_transform, number, offer, with_groups
from openswan.ike.v2.tasks import child_delete
from openswan.ike.v2.tasks.natd import encap
from openswan.policy.proposal import Proposal, Transform
from openswan.policy.selector import Selector
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.ke import Ke
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.numbers import DhId, ExchangeType, NotifyType, ProtocolId
from openswan.wire.v2.sa import Sa
from openswan.wire.v2.ts import TsI, TsR

NONCE_OCTETS = 32
REFUSED = NotifyType.NO_PROPOSAL_CHOSEN
FIRST_SPI = 256
"""Smaller SPIs are reserved (RFC 4303 2.1)."""


@dataclass(frozen=True, slots=True)
class Terms:
    """All that makes a child of an exchange."""

    policy: ChildPolicy
    chosen: ChosenEsp
    spi_in: int
    spi_out: int
    mine: tuple[Selector, ...]
    theirs: tuple[Selector, ...]
    ni: bytes
    nr: bytes
    shared: bytes = b""
    initiator: bool = True
    replaces: int = 0
    redundant: bool = False
    token: int = 0


def new_spi(sa: Core) -> int:
    """An inbound SPI nobody uses."""
    while True:
        spi = int.from_bytes(sa.rng.octets(4), "big")
        if spi >= FIRST_SPI and spi not in sa.children and not sa.ask.spi_in_use(spi):
            return spi


def establish(sa: Core, terms: Terms, now: Instant) -> Child:
    """Derive the keys, remember the child and have it installed."""
    prf, keys, _ = sa.need_keys()
    chosen = terms.chosen
    integ = chosen.integ.name if chosen.integ else ""
    made = keymat.child_keys(
        prf, keys.d, terms.ni, terms.nr, chosen.encr.name, chosen.encr.key_bits, integ, terms.shared
    )
    from_i = bytes(made.encr_i.data), bytes(made.integ_i.data)
    from_r = bytes(made.encr_r.data), bytes(made.integ_r.data)
    made.wipe()
    out, into = (from_i, from_r) if terms.initiator else (from_r, from_i)
    child = Child(
        terms.policy,
        terms.spi_in,
        terms.spi_out,
        chosen,
        terms.mine,
        terms.theirs,
        terms.initiator,
        now,
        redundant=terms.redundant,
    )
    sa.children[child.spi_in] = child
    sa.emit(
        ChildEstablished(
            policy=terms.policy,
            spi_in=terms.spi_in,
            spi_out=terms.spi_out,
            chosen=chosen,
            enc_in=into[0],
            auth_in=into[1],
            enc_out=out[0],
            auth_out=out[1],
            mine=terms.mine,
            theirs=terms.theirs,
            local=sa.local,
            remote=sa.remote,
            encap=encap(sa),
            initiator=terms.initiator,
            replaces=terms.replaces,
            redundant=terms.redundant,
            token=terms.token,
        )
    )
    return child


class ChildCreate(Task):
    """Our request for a new child outside IKE_AUTH."""

    exchange = ExchangeType.CREATE_CHILD_SA

    def __init__(self, request: CreateChild | RekeyChild, policy: ChildPolicy) -> None:
        super().__init__(request)
        self.policy = policy
        self.group: Transform | None = None
        self.tried: set[Transform] = set()
        self.pair: dh.DhPair | None = None
        self.offered: tuple[Proposal, ...] = ()
        self.spi = 0
        self.nonce = b""
        self.mine = policy.mine
        self.theirs = policy.theirs

    def build(self, sa: Core, now: Instant) -> Sequence[Payload] | None:
        """The request; everything in it is fresh, also after INVALID_KE_PAYLOAD."""
        if not sa.is_established:
            raise IkeError("the IKE SA is not established")
        _, _, ike = sa.need_keys()
        means = Dh.REQUIRED if self.policy.pfs else Dh.NEVER
        self.offered = with_groups(self.policy.proposals, means, ike.dh)
        self.spi, self.nonce = new_spi(sa), sa.rng.octets(NONCE_OCTETS)
        payloads: list[Payload] = [
            *self.preface(sa),
            offer(self.offered, ProtocolId.ESP, self.spi.to_bytes(4, "big")),
            Nonce(self.nonce),
        ]
        if self.policy.pfs:
            self.group = self.group or self.offered[0].dh[0]
            self.tried.add(self.group)
            self.pair = dh.generate(self.group.name, sa.rng)
            payloads.append(Ke(DhId(number(Kind.DH, self.group)), self.pair.public))
        return [*payloads, TsI(to_wire(self.mine)), TsR(to_wire(self.theirs))]

    def preface(self, sa: Core) -> Sequence[Payload]:
        """What stands in front: REKEY_SA when rekeying."""
        return ()

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """A child, a reason to try again, or a refusal."""
        refused = first_error(answer)
        if refused is not None:
            self.refused(sa, refused.kind, refused.data, now)
            return
        rules.check(Shape.CHILD_RESPONSE, answer.payloads, encrypted=True)
        try:
            terms = self.terms(sa, answer)
        except (IkeError, CryptoError) as why:
            # The peer has that child and we do not want it.
            sa.log(f"closing the child SA just made: {why}")
            child_delete.delete_unwanted(sa, self.spi, now)
            raise
        establish(sa, terms, now)

    def refused(self, sa: Core, kind: NotifyType, data: bytes, now: Instant) -> None:
        """An error notification instead of a child."""
        if kind == NotifyType.TEMPORARY_FAILURE:
            sa.defer(self, now)
            return
        if kind == NotifyType.INVALID_KE_PAYLOAD and self.policy.pfs and len(data) == 2:
            group = group_transform(int.from_bytes(data, "big"))
            if group is not None and group not in self.tried and any(group in p.dh for p in self.offered):
                self.group = group
                sa.submit(self, now, front=True)
                return
        # Many peers are set up without forward secrecy for children, which shows only at the first rekeying.
        hint = " (pfs=no if it wants no key exchange of its own)" if self.policy.pfs and kind == REFUSED else ""
        self.failed(sa, f"the peer refuses the child SA: {kind}{hint}", int(kind))

    def terms(self, sa: Core, answer: Message) -> Terms:
        """What was agreed; IkeError when it is not what we asked for."""
        body, nonce, ke = answer.first(Sa), answer.first(Nonce), answer.first(Ke)
        if body is None or nonce is None:
            raise WireError("CREATE_CHILD_SA response without SA or nonce")
        means = Dh.REQUIRED if self.policy.pfs else Dh.NEVER
        chosen, spi_out = accepted(body, self.offered, means)
        shared = b""
        if self.policy.pfs:
            if ke is None or self.pair is None or chosen.dh is None or chosen.dh != self.group:
                raise IkeError("the peer answers without the key exchange it chose", NotifyType.INVALID_KE_PAYLOAD)
            if ke.group != number(Kind.DH, chosen.dh):
                raise IkeError("the peer's key is of another group", NotifyType.INVALID_KE_PAYLOAD)
            shared = self.pair.shared(ke.data)
        mine, theirs = answered_selectors(answer, self.mine, self.theirs, self.policy.narrowing)
        return Terms(
            self.policy,
            chosen,
            self.spi,
            spi_out,
            mine,
            theirs,
            self.nonce,
            nonce.data,
            shared,
            token=self.token,
        )


def accepted(body: Sa, offered: Sequence[Proposal], means: Dh) -> tuple[ChosenEsp, int]:
    """What the responder chose for a child, and its SPI."""
    match = accept(body, offered, ProtocolId.ESP, means)
    return match.esp(), esp_spi(match.wire.spi)


def esp_spi(spi: bytes) -> int:
    """A peer's ESP SPI; IkeError when it is not one."""
    value = int.from_bytes(spi, "big")
    if len(spi) != 4 or value < FIRST_SPI:
        raise IkeError(f"the peer's ESP SPI 0x{spi.hex()} is not usable", NotifyType.NO_PROPOSAL_CHOSEN)
    return value


def answered_selectors(
    answer: Message, mine: Sequence[Selector], theirs: Sequence[Selector], narrowing: bool
) -> tuple[tuple[Selector, ...], tuple[Selector, ...]]:
    """The initiator's look at TSi and TSr of a response."""
    tsi, tsr = answer.first(TsI), answer.first(TsR)
    if tsi is None or tsr is None:
        raise WireError("response without traffic selectors")
    return verify(from_wire(tsi), mine, narrowing), verify(from_wire(tsr), theirs, narrowing)


@dataclass(frozen=True, slots=True)
class Answer:
    """A responder's agreement: the child and the payloads that say so."""

    terms: Terms
    payloads: tuple[Payload, ...]


def agree_to(
    sa: Core,
    request: Message,
    means: Dh,
    ni: bytes,
    nr: bytes,
    local: Endpoint,
    remote: Endpoint,
    replaces: Child | None = None,
    shared_nonce: bool = False,
) -> Answer:
    """The responder's side of a child; IkeError says what to refuse with. `replaces`: rekeying, its policy stays.

    `shared_nonce`: inside IKE_AUTH, where nonces are those of IKE_SA_INIT and none is sent.
    """
    body, tsi, tsr, ke = request.first(Sa), request.first(TsI), request.first(TsR), request.first(Ke)
    if body is None or tsi is None or tsr is None:
        raise WireError("request for a child SA without SA or traffic selectors")
    theirs, mine = from_wire(tsi), from_wire(tsr)
    if replaces is not None:
        policy = replaces.policy
        mine, theirs = (
            agree(mine, replaces.mine, policy.narrowing),
            agree(theirs, replaces.theirs, policy.narrowing),
        )
    else:
        ike = sa.need_policy()
        if sa.peer_id is None:
            raise IkeError("the peer is not authenticated", NotifyType.AUTHENTICATION_FAILED)
        policy = sa.ask.child(ChildQuestion(ike, sa.peer_id, local, remote, mine, theirs))
        mine, theirs = agree(mine, policy.mine, policy.narrowing), agree(theirs, policy.theirs, policy.narrowing)
    _, _, ike_chosen = sa.need_keys()
    if means is not Dh.NEVER:
        means = Dh.REQUIRED if policy.pfs else Dh.WELCOME
    proposals = with_groups(policy.proposals, means, ike_chosen.dh) if means is not Dh.WELCOME else policy.proposals
    match = choose(body, proposals, ProtocolId.ESP, means, int(ke.group) if ke else 0)
    if match is None:
        raise IkeError("no acceptable ESP proposal", NotifyType.NO_PROPOSAL_CHOSEN)
    chosen, spi_out = match.esp(), esp_spi(match.wire.spi)
    shared, exchange = b"", _exchange(sa, chosen, ke)
    spi_in = new_spi(sa)
    payloads: list[Payload] = [Sa((replace(match.wire, spi=spi_in.to_bytes(4, "big")),))]
    if not shared_nonce:
        payloads.append(Nonce(nr))
    if exchange is not None:
        shared, public = exchange
        payloads.append(public)
    payloads += [TsI(to_wire(theirs)), TsR(to_wire(mine))]
    terms = Terms(
        policy,
        chosen,
        spi_in,
        spi_out,
        mine,
        theirs,
        ni,
        nr,
        shared,
        initiator=False,
        replaces=replaces.spi_in if replaces else 0,
    )
    return Answer(terms, tuple(payloads))


def _exchange(sa: Core, chosen: ChosenEsp, ke: Ke | None) -> tuple[bytes, Ke] | None:
    """The responder's half of a fresh key exchange: the secret and our KE payload."""
    if chosen.dh is None:
        return None
    group = number(Kind.DH, chosen.dh)
    if ke is None or ke.group != group:
        raise IkeError(f"wanting group {group}", NotifyType.INVALID_KE_PAYLOAD, group.to_bytes(2, "big"))
    pair = dh.generate(chosen.dh.name, sa.rng)
    try:
        return pair.shared(ke.data), Ke(DhId(group), pair.public)
    except CryptoError as why:
        raise IkeError(str(why), NotifyType.INVALID_SYNTAX) from None


def respond(sa: Core, request: Message, local: Endpoint, remote: Endpoint, now: Instant) -> tuple[Payload, ...]:
    """The answer to a request for a new child."""
    if len(sa.children) >= sa.need_policy().max_children:
        return (error(NotifyType.NO_ADDITIONAL_SAS),)
    nonce = request.first(Nonce)
    if nonce is None:
        raise WireError("CREATE_CHILD_SA request without nonce")
    answer = agree_to(sa, request, Dh.WELCOME, nonce.data, sa.rng.octets(NONCE_OCTETS), local, remote)
    establish(sa, answer.terms, now)
    return answer.payloads
