# SPDX-License-Identifier: GPL-2.0-or-later
"""New child SAs: what makes one, and asking for it in CREATE_CHILD_SA (RFC 7296 1.3.1, 2.9, 2.17).

```
initiator                                          responder
HDR, SK {[N], SA, Ni, [KEi], TSi, TSr}             -->
                                                   <--  HDR, SK {[N], SA, Nr, [KEr], TSi, TSr}
```
N stands for USE_TRANSPORT_MODE and IPCOMP_SUPPORTED (see `options`). The responder's side is in `child_answer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from openswan.base.errors import CryptoError, IkeError, WireError
from openswan.base.interval import Instant
from openswan.crypto import dh, keymat
from openswan.crypto.registry import Kind
from openswan.ike import rules
from openswan.ike.effects import ChildEstablished, SpiOffered
from openswan.ike.events import CreateChild, RekeyChild
from openswan.ike.policy import NO_EXTRAS, ChildPolicy, ChosenChild, Extras
from openswan.ike.rules import Shape
from openswan.ike.v2 import options
from openswan.ike.v2.child import Child
from openswan.ike.v2.core import Core, first_error
from openswan.ike.v2.narrow import from_wire, to_wire, verify
from openswan.ike.v2.negotiate import Dh, accept, group_transform, number, offer, with_groups
from openswan.ike.v2.task import Task
from openswan.ike.v2.tasks import child_delete, config, followup
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
    chosen: ChosenChild
    spi_in: int
    spi_out: int
    mine: tuple[Selector, ...]
    theirs: tuple[Selector, ...]
    ni: bytes
    nr: bytes
    shared: bytes = b""
    more: bytes = b""
    """Secrets of additional key exchanges (RFC 9370)."""
    initiator: bool = True
    replaces: int = 0
    redundant: bool = False
    token: int = 0
    extras: Extras = NO_EXTRAS


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
        prf,
        keys.d,
        terms.ni,
        terms.nr,
        chosen.encr.name if chosen.encr else "",
        chosen.encr.key_bits if chosen.encr else 0,
        integ,
        terms.shared,
        terms.more,
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
        extras=terms.extras,
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
            encap=encap(sa) if chosen.protocol == ProtocolId.ESP else None,
            initiator=terms.initiator,
            replaces=terms.replaces,
            redundant=terms.redundant,
            token=terms.token,
            extras=terms.extras,
        )
    )
    return child


def named(policy: ChildPolicy) -> tuple[tuple[Selector, ...], tuple[Selector, ...]]:
    """What a new child asks for: TSi and TSr, the packet's own selectors first where the peer may choose a part."""
    if policy.trigger is None or not policy.narrowing:
        return policy.mine, policy.theirs
    return (policy.trigger[0], *policy.mine), (policy.trigger[1], *policy.theirs)


def means_of(policy: ChildPolicy) -> Dh:
    """What a fresh key exchange is to a child we ask for outside IKE_AUTH."""
    if not policy.pfs:
        return Dh.NEVER
    return Dh.PREFERRED if policy.pfs_optional else Dh.REQUIRED


def without_group(sa: Core, policy: ChildPolicy, chosen: ChosenChild) -> None:
    """Say so when a child is made without the key exchange its connection would like."""
    if policy.pfs and chosen.dh is None:
        sa.log("no key exchange of its own for this child SA: the peer names no group (pfs=yes would insist on one)")


class ChildCreate(Task):
    """Our request for a new child outside IKE_AUTH."""

    exchange = ExchangeType.CREATE_CHILD_SA
    soon = 3

    def __init__(self, request: CreateChild | RekeyChild, policy: ChildPolicy) -> None:
        super().__init__(request)
        self.policy = policy
        self.group: Transform | None = None
        self.tried: set[Transform] = set()
        self.pair: dh.DhPair | None = None
        self.offered: tuple[Proposal, ...] = ()
        self.spi = 0
        self.cpi = 0
        self.nonce = b""
        self.mine, self.theirs = named(policy)

    def build(self, sa: Core, now: Instant) -> Sequence[Payload] | None:
        """The request; everything in it is fresh, also after INVALID_KE_PAYLOAD."""
        if not sa.is_established:
            raise IkeError("the IKE SA is not established")
        _, _, ike = sa.need_keys()
        if sa.assigned is not None:
            self.policy = config.translated(sa, sa.need_policy(), self.policy)
            self.mine, self.theirs = named(self.policy)
        protocol = self.policy.protocol
        options.passes_nat(sa, protocol)
        self.offered = with_groups(self.policy.proposals, means_of(self.policy), ike.dh)
        self.spi, self.nonce = new_spi(sa), sa.rng.octets(NONCE_OCTETS)
        extras, self.cpi = options.ask(sa, self.policy)
        payloads: list[Payload] = [
            *self.preface(sa),
            *extras,
            offer(self.offered, protocol, self.spi.to_bytes(4, "big")),
            Nonce(self.nonce),
        ]
        sa.emit(SpiOffered(protocol, self.spi, sa.local))
        if self.policy.pfs:
            self.group = self.group or self.offered[0].dh[0]
            self.tried.add(self.group)
            self.pair = dh.generate(self.group.name, sa.rng)
            payloads.append(Ke(DhId(number(Kind.DH, self.group)), self.pair.public))
        return [*payloads, TsI(to_wire(self.mine)), TsR(to_wire(self.theirs))]

    def preface(self, sa: Core) -> Sequence[Payload]:
        """What stands in front: REKEY_SA when rekeying."""
        return ()

    def failed(self, sa: Core, reason: str, notify: int = 0) -> None:
        """Nothing will come under the SPI we offered."""
        self.withdraw(sa)
        super().failed(sa, reason, notify)

    def withdraw(self, sa: Core) -> None:
        """Wait no longer for packets under the SPI of an offer that has come to nothing."""
        if self.spi:
            sa.emit(SpiOffered(self.policy.protocol, self.spi, sa.local, withdrawn=True))
            self.spi = 0

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """A child, a reason to try again, or a refusal."""
        refused = first_error(answer)
        if refused is not None:
            self.withdraw(sa)
            self.refused(sa, refused.kind, refused.data, now)
            return
        rules.check(Shape.CHILD_RESPONSE, answer.payloads, encrypted=True)
        try:
            terms = self.terms(sa, answer)
        except (IkeError, CryptoError) as why:
            # The peer has that child and we do not want it.
            sa.log(f"closing the child SA just made: {why}")
            child_delete.delete_unwanted(sa, self.policy.protocol, self.spi, now)
            raise
        if not terms.chosen.addke:
            self.conclude(sa, terms, now)
            return

        def finish(more: bytes, later: Instant) -> None:
            self.conclude(sa, replace(self.settled(sa, terms), more=more), later)

        sa.submit(followup.FollowUp(self, terms.chosen.addke, answer, finish), now, front=True)

    def settled(self, sa: Core, terms: Terms) -> Terms:
        """The terms as they stand when all key exchanges are done."""
        return terms

    def conclude(self, sa: Core, terms: Terms, now: Instant) -> None:
        """All is agreed: the child."""
        if (self.policy.protocol, terms.spi_out) in sa.closed_early:
            self.failed(sa, "the peer has closed the child SA already")
            return
        without_group(sa, self.policy, terms.chosen)
        establish(sa, terms, now)

    def refused(self, sa: Core, kind: NotifyType, data: bytes, now: Instant) -> None:
        """An error notification instead of a child."""
        if kind == NotifyType.TEMPORARY_FAILURE:
            sa.defer(self, now)
            return
        if kind == NotifyType.SINGLE_PAIR_REQUIRED and self.ask_for_one_pair():
            sa.submit(self, now, front=True)
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

    def ask_for_one_pair(self) -> bool:
        """The peer makes a child for one pair of addresses only: that of the packet, if there is one (RFC 7296 2.9)."""
        one = self.policy.trigger
        if one is None or not self.policy.narrowing or (self.mine, self.theirs) == ((one[0],), (one[1],)):
            return False
        self.mine, self.theirs = (one[0],), (one[1],)
        return True

    def terms(self, sa: Core, answer: Message) -> Terms:
        """What was agreed; IkeError when it is not what we asked for."""
        body, nonce, ke = answer.first(Sa), answer.first(Nonce), answer.first(Ke)
        if body is None or nonce is None:
            raise WireError("CREATE_CHILD_SA response without SA or nonce")
        chosen, spi_out = accepted(body, self.offered, means_of(self.policy))
        extras = options.accept(sa, self.policy, answer, self.cpi)
        shared = b""
        if chosen.dh is not None or (self.policy.pfs and not self.policy.pfs_optional):
            if ke is None or self.pair is None or chosen.dh is None or chosen.dh != self.group:
                raise IkeError("the peer answers without the key exchange it chose", NotifyType.INVALID_KE_PAYLOAD)
            if ke.group != number(Kind.DH, chosen.dh):
                raise IkeError("the peer's key is of another group", NotifyType.INVALID_KE_PAYLOAD)
            shared = self.pair.shared(ke.data)
        mine, theirs, extras = answered_selectors(sa, answer, self.policy, self.mine, self.theirs, extras)
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
            extras=extras,
        )


def accepted(body: Sa, offered: Sequence[Proposal], means: Dh) -> tuple[ChosenChild, int]:
    """What the responder chose for a child, and its SPI."""
    match = accept(body, offered, ProtocolId(offered[0].protocol), means)
    return match.child(), peer_spi(match.wire.spi)


def peer_spi(spi: bytes) -> int:
    """A peer's ESP or AH SPI; IkeError when it is not one."""
    value = int.from_bytes(spi, "big")
    if len(spi) != 4 or value < FIRST_SPI:
        raise IkeError(f"the peer's SPI 0x{spi.hex()} is not usable", NotifyType.NO_PROPOSAL_CHOSEN)
    return value


def answered_selectors(
    sa: Core,
    answer: Message,
    policy: ChildPolicy,
    mine: Sequence[Selector],
    theirs: Sequence[Selector],
    extras: Extras,
) -> tuple[tuple[Selector, ...], tuple[Selector, ...], Extras]:
    """The initiator's look at TSi and TSr of a response; in transport mode with what a NAT made of the addresses."""
    tsi, tsr = answer.first(TsI), answer.first(TsR)
    if tsi is None or tsr is None:
        raise WireError("response without traffic selectors")
    ours, its = from_wire(tsi), from_wire(tsr)
    if extras.transport:
        ours, its, original = options.as_we_see(sa, ours, its, sa.local.address, sa.remote.address)
        extras = replace(extras, original=original)
    ours = config.leased(sa, verify(ours, mine, True)) if policy.virtual else verify(ours, mine, policy.narrowing)
    return ours, verify(its, theirs, policy.narrowing), extras
