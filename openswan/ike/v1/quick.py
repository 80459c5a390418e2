# SPDX-License-Identifier: GPL-2.0-or-later
"""Quick Mode: a step for each message of either end (RFC 2409 5.5).

    initiator                                                responder
    HDR*, HASH(1), SA, Ni, [KE], IDci, IDcr, [NAT-OAs]   QI1 ->
                                                             <- QR1  HDR*, HASH(2), SA, Nr, [KE], IDci, IDcr, [NAT-OAs]
    HDR*, HASH(3)                                        QI2 ->

A step gets a message that is authentic and gives the payloads of the next one, without their hash. It changes the SA
last, when nothing can fail any more. Packets wait for the responder's SAs once QR1 is out (SpiOffered), and those are
whole with QI2; they wait for the initiator's as soon as QI1 is, which are installed before QI2 goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from openswan.base.address import Address
from openswan.base.errors import CryptoError, IkeError, WireError
from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.crypto import dh, oakley, registry
from openswan.crypto.registry import Kind
from openswan.ike.effects import ChildEstablished, SpiOffered
from openswan.ike.events import RekeyChild
from openswan.ike.policy import Extras
from openswan.ike.v1 import child as children
from openswan.ike.v1 import clients, life, names, natt, phase2
from openswan.ike.v1.child import Child
from openswan.ike.v1.clients import Clients
from openswan.ike.v1.core import Core
from openswan.ike.v1.exchange import Agreement, Quick
from openswan.ike.v1.parts import NONCE_OCTETS, Shape
from openswan.ike.v1.phase2 import ChosenIpsec, Terms
from openswan.ike.v1.policy import QuickPolicy, QuickQuestion
from openswan.plane.commands import Encap
from openswan.policy.proposal import Transform
from openswan.wire.v1.auth import Hash
from openswan.wire.v1.body import Payload
from openswan.wire.v1.ident import Id
from openswan.wire.v1.ke import Ke
from openswan.wire.v1.message import Content
from openswan.wire.v1.natd import NatOa, NatOaDraft
from openswan.wire.v1.nonce import Nonce
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import Encapsulation, IpsecAttribute, NotifyType, ProtocolId
from openswan.wire.v1.sa import Sa
from openswan.wire.v2.numbers import ProtocolId as Protocol

P = TypeVar("P", bound=Payload)

PROPOSING = Shape((Hash, Sa, Nonce), (Ke, Id, NatOa, NatOaDraft))
CONFIRMING = Shape((Hash,))
TRANSPORT = (Encapsulation.TRANSPORT, Encapsulation.UDP_TRANSPORT, Encapsulation.UDP_TRANSPORT_DRAFT)
LIFE = (IpsecAttribute.SA_LIFE_TYPE, IpsecAttribute.SA_LIFE_DURATION)
AT_ONCE: Duration = 4.0
"""Nobody replaces a pair as young as that."""
OVERDUE: Duration = 60.0
"""So long after the peer should have deleted what it has replaced we do: its Delete may have been lost."""
MOST_DRAWS = 1000
"""Random SPIs or CPIs that may all be taken before we give up."""


# --- the initiator


def begin(sa: Core, quick: Quick, policy: QuickPolicy) -> list[Payload]:
    """QI1; IkeError when Quick Mode cannot say what is wanted, or the path cannot carry it."""
    wanted = clients.of_policy(policy)
    ids = [clients.to_id(wanted.mine), clients.to_id(wanted.theirs)]
    terms = _terms(sa, policy, group=_group(sa, policy))
    _passes_nat(sa, terms)
    quick.policy, quick.nonce = policy, sa.rng.octets(NONCE_OCTETS)
    quick.spi, quick.cpi = new_spi(sa), new_cpi(sa) if policy.compress else 0
    quick.offered = phase2.offer(terms, quick.spi, quick.cpi)
    payloads: list[Payload] = [quick.offered, Nonce(quick.nonce)]
    if terms.group is not None:
        quick.pair = dh.generate_ikev1(terms.group.name, sa.rng)
        payloads.append(Ke(quick.pair.public))
    older = sa.children.get(quick.request.spi_in) if isinstance(quick.request, RekeyChild) else None
    replacing = f" to replace #{older.token}" if older is not None else ""
    sa.log(
        f"initiating Quick Mode {policy.words}{replacing} {{using isakmp#{sa.serial} msgid:{quick.message_id:08x}"
        f" proposal={_words(policy)} pfsgroup={_group_words(terms.group)}}}"
    )
    # Some responders send by the new pair before QR1 is here, libreswan before it has left.
    _expect(sa, quick)
    return [*payloads, *ids, *_originals(sa, policy.transport, first=sa.local.address, second=sa.remote.address)]


def take_qr1(sa: Core, quick: Quick, content: Content, now: Instant) -> Sequence[Payload]:
    """The responder has chosen: the SAs stand; what is left is to confirm."""
    policy, offered = quick.policy, quick.offered
    assert policy is not None and offered is not None
    PROPOSING.check(content, None)
    _in_order(content)
    chosen = phase2.accept(_one(content, Sa), offered, _terms(sa, policy, group=_group(sa, policy)))
    theirs = _one(content, Nonce).data
    shared = _shared(quick.pair, _ke(content, chosen)) if chosen.child.dh else b""
    wanted = clients.of_policy(policy)
    seen, original = wanted, None
    if policy.transport:
        seen = clients.as_we_see(wanted, sa.nat, sa.local.address, sa.remote.address)
        said = content.all(Id)
        answered = Clients(clients.from_id(said[0]), clients.from_id(said[1])) if len(said) == 2 else wanted
        original = clients.originals(content, answered, seen, by_initiator=False) if _is_nated(sa) else None
    if not (policy.transport and _is_nated(sa)):
        _same_clients(content, wanted, sa)
    chosen = _cut(chosen, _told_life(sa, content))
    quick.agreement = Agreement(policy, chosen, seen, policy.transport, original, quick.nonce, theirs, shared)
    return []


# --- the responder


def take_qi1(sa: Core, quick: Quick, content: Content, now: Instant) -> Sequence[Payload]:
    """Whose clients are these, and which of the proposals will do?"""
    PROPOSING.check(content, None)
    _in_order(content)
    if len(sa.children) >= sa.need_policy().max_children:
        raise IkeError(f"this ISAKMP SA has {len(sa.children)} pairs of IPsec SAs", NotifyType.NO_PROPOSAL_CHOSEN)
    offered, theirs = _one(content, Sa), _one(content, Nonce).data
    asked = clients.proposed(content, sa.local.address, sa.remote.address)
    for line in clients.of_a_name(content):
        sa.log(line, Rc.LOG_SERIOUS)
    sa.log(f"the peer proposed: {clients.words(asked.mine)} -> {clients.words(asked.theirs)}")
    transport = _asks_transport(offered)
    seen, original = asked, None
    if transport:
        seen = clients.as_we_see(asked, sa.nat, sa.local.address, sa.remote.address)
        original = clients.originals(content, asked, seen, by_initiator=True) if _is_nated(sa) else None
    policy = _policy(sa, seen, transport)
    clients.check_fit(policy, seen)
    terms = _terms(sa, policy, insists=policy.pfs and not policy.pfs_optional)
    _passes_nat(sa, terms)
    outcome = phase2.choose(offered, terms)
    for line in outcome.refused:
        sa.log(line, Rc.LOG_SERIOUS)
    chosen = outcome.chosen
    if chosen is None:
        raise IkeError("no acceptable Proposal in IPsec SA", NotifyType.NO_PROPOSAL_CHOSEN)
    group = chosen.child.dh
    pair = dh.generate_ikev1(group.name, sa.rng) if group else None
    shared = _shared(pair, _ke(content, chosen)) if pair else b""
    nonce, spi, cpi = sa.rng.octets(NONCE_OCTETS), new_spi(sa), new_cpi(sa) if chosen.cpi else 0
    sa.log(f"responding to Quick Mode proposal {{msgid:{quick.message_id:08x}}}")
    sa.log(f"    us: {clients.words(seen.mine)}")
    sa.log(f"  them: {clients.words(seen.theirs)}")
    quick.policy, quick.nonce, quick.spi, quick.cpi = policy, nonce, spi, cpi
    quick.agreement = Agreement(policy, chosen, seen, transport, original, theirs, nonce, shared)
    _expect(sa, quick)
    return [
        chosen.answer(spi, cpi),
        Nonce(nonce),
        *([Ke(pair.public)] if pair else []),
        *content.all(Id),
        *_originals(sa, transport, first=sa.remote.address, second=sa.local.address),
        *_tell_life(chosen, offered, spi),
    ]


def take_qi2(sa: Core, quick: Quick, content: Content, now: Instant) -> Sequence[Payload]:
    """The initiator has confirmed, and nothing has to be said any more."""
    CONFIRMING.check(content, None)
    return []


# --- both


def proof(sa: Core, quick: Quick) -> Hash:
    """HASH(3)."""
    made, keys = quick.agreement, sa.need_keys()
    assert made is not None
    return Hash(oakley.hash_3(keys.oakley, keys.skeyid.a, quick.message_id, made.nonce_i, made.nonce_r))


def establish(sa: Core, quick: Quick, now: Instant, settled: Instant) -> Child:
    """Derive the keys, remember the pair and have it installed; at `settled` what it replaces goes."""
    made = quick.agreement
    assert made is not None
    chosen, agreed = made.chosen, made.chosen.child
    policy = replace(made.policy, life=chosen.life)
    inward, outward = (_keys(sa, made, spi) for spi in (quick.spi, chosen.spi))
    request = quick.request
    new = Child(
        policy,
        quick.spi,
        chosen.spi,
        agreed,
        (made.clients.mine,),
        (made.clients.theirs,),
        quick.is_initiator,
        now,
        Extras(made.transport, quick.cpi if chosen.cpi else 0, chosen.cpi, made.original),
        quick.token,
    )
    older = sa.children.get(request.spi_in) if isinstance(request, RekeyChild) else None
    if older is not None:
        older.replaced_by, older.delete_at = new.spi_in, settled
    if quick.is_initiator:
        rival = children.newest_like(sa.children.values(), new)
        if rival is not None and not rival.initiator and rival.established >= quick.begun:
            _choose(new, rival, settled)
    else:
        older = children.newest_like(sa.children.values(), new)
        if older is not None:
            _make_way(older, new, settled, sa.created)
    # Others are left over, as a Delete may get lost. Not so the one that has won: it was there when this one began.
    stays = new.replaced_by or new.spi_in
    for other in sa.children.values():
        left = other.established < quick.begun and other.spi_in != stays
        if left and other.is_like(new) and not other.replaced_by:
            other.replaced_by, other.delete_at = stays, settled + OVERDUE
    sa.children[new.spi_in] = new
    sa.emit(
        ChildEstablished(
            policy=policy,
            spi_in=new.spi_in,
            spi_out=new.spi_out,
            chosen=agreed,
            enc_in=inward[0],
            auth_in=inward[1],
            enc_out=outward[0],
            auth_out=outward[1],
            mine=new.mine,
            theirs=new.theirs,
            local=sa.local,
            remote=sa.remote,
            encap=encap(sa) if agreed.encr is not None else None,
            initiator=quick.is_initiator,
            replaces=older.spi_in if older else 0,
            token=new.token,
            extras=new.extras,
            yields=new.replaced_by,
        )
    )
    return new


def _choose(mine: Child, theirs: Child, settled: Instant) -> None:
    """Both ends have made a pair for the same clients at once: whoever made the one that loses deletes it."""
    if mine.loses_to(theirs):
        mine.replaced_by, mine.delete_at = theirs.spi_in, settled
    else:
        theirs.replaced_by, theirs.delete_at = mine.spi_in, settled + OVERDUE


def _make_way(older: Child, new: Child, settled: Instant, begun: Instant) -> None:
    """The peer has made a pair where there is one: a successor, unless that is ours and so young that it cannot be.

    Whoever has begun an ISAKMP SA for it when the older pair was there knew that one, however young it is.
    """
    at_once = begun <= older.established and new.established - older.established < AT_ONCE
    if older.initiator and at_once:
        _choose(older, new, settled)
    else:
        older.replaced_by, older.delete_at = new.spi_in, settled + OVERDUE


def withdraw(sa: Core, quick: Quick) -> None:
    """Nothing will come under the SPI we have named."""
    if quick.is_open and quick.policy is not None and quick.spi:
        _expect(sa, quick, withdrawn=True)
    quick.close()


def _expect(sa: Core, quick: Quick, *, withdrawn: bool = False) -> None:
    """Packets may come under the SPI we name, or no more."""
    assert quick.policy is not None
    sa.emit(SpiOffered(Protocol(quick.policy.proposals[0].protocol), quick.spi, sa.local, withdrawn))


def encap(sa: Core) -> Encap | None:
    """The ports ESP uses at this moment; None for raw protocol 50."""
    return Encap(sa.local.port, sa.remote.port) if sa.encapsulate else None


def new_spi(sa: Core) -> int:
    """An inbound SPI nobody uses."""
    for _ in range(MOST_DRAWS):
        spi = int.from_bytes(sa.rng.octets(4), "big")
        named = spi in sa.children or any(quick.spi == spi for quick in sa.quicks.values())
        if spi >= phase2.LEAST_SPI and not named and not sa.ask.spi_in_use(spi):
            return spi
    raise IkeError("no SPI is free", NotifyType.NO_PROPOSAL_CHOSEN)


def new_cpi(sa: Core) -> int:
    """An inbound CPI nobody uses."""
    taken = {one.extras.cpi_in for one in sa.children.values()} | {one.cpi for one in sa.quicks.values()}
    for _ in range(MOST_DRAWS):
        span = phase2.MOST_CPI - phase2.LEAST_SPI + 1
        cpi = phase2.LEAST_SPI + int.from_bytes(sa.rng.octets(4), "big") % span
        if cpi not in taken and not sa.ask.cpi_in_use(cpi):
            return cpi
    raise IkeError("no Compression Parameter Index is free", NotifyType.NO_PROPOSAL_CHOSEN)


# --- their parts


def _one(content: Content, cls: type[P]) -> P:
    """The payload of that class, which the message's shape has shown to be there."""
    found = content.first(cls)
    assert found is not None
    return found


def _in_order(content: Content) -> None:
    """The SA payload stands right behind the hash (RFC 2409 5.5)."""
    if not isinstance(content.payloads[1], Sa):
        raise IkeError("the SA payload does not follow the HASH in Quick Mode", NotifyType.PAYLOAD_MALFORMED)


def _is_nated(sa: Core) -> bool:
    return sa.nat is not None and sa.nat.any


def _passes_nat(sa: Core, terms: Terms) -> None:
    """AH protects the addresses that a NAT changes (RFC 3715 2.1)."""
    if terms.protocol == ProtocolId.AH and _is_nated(sa):
        raise IkeError(
            "AH cannot pass the NAT between us and the peer, which changes what AH protects: use phase2=esp",
            NotifyType.NO_PROPOSAL_CHOSEN,
        )


def _terms(sa: Core, policy: QuickPolicy, *, group: Transform | None = None, insists: bool = False) -> Terms:
    return Terms(
        policy.name,
        str(sa.remote.address),
        policy.proposals,
        natt.modes(sa.method, udp=sa.encapsulate, transport=policy.transport),
        policy.life,
        group,
        policy.compress,
        insists,
        tuple(dict.fromkeys(one for proposal in policy.proposals for one in proposal.dh)),
        sa.need_chosen().dh,
    )


def _group(sa: Core, policy: QuickPolicy) -> Transform | None:
    """What we ask for: the first group named, or phase 1's."""
    if not policy.pfs:
        return None
    return next(iter(policy.proposals[0].dh), sa.need_chosen().dh)


def _group_words(group: Transform | None) -> str:
    return names.group(registry.get_ikev1(Kind.DH, group.name).ikev1) if group else "no-pfs"


def _words(policy: QuickPolicy) -> str:
    """The proposals for a log line: `aes_cbc_128-hmac_sha1_96`."""
    found = (
        "-".join(one.name + (f"_{one.key_bits}" if one.key_bits else "") for one in pair)
        for proposal in policy.proposals
        for pair in [(*proposal.encr[:1], *proposal.integ[:1])]
    )
    return ", ".join(list(found)[:4])


def _asks_transport(offered: Sa) -> bool:
    """Does the first proposal ask for transport mode?"""
    said = offered.proposals[0].transforms[0].attributes
    return any(one.type == IpsecAttribute.ENCAPSULATION_MODE and life.number(one) in TRANSPORT for one in said)


def _policy(sa: Core, asked: Clients, transport: bool) -> QuickPolicy:
    isakmp, peer = sa.need_policy(), sa.peer_id
    assert peer is not None
    given = sa.granted.addresses if sa.granted is not None else ()
    return sa.ask.quick_policy(
        QuickQuestion(isakmp, peer, sa.local, sa.remote, asked.mine, asked.theirs, transport, given)
    )


def _originals(sa: Core, transport: bool, *, first: Address, second: Address) -> list[NatOa]:
    """The initiator's and the responder's address as we see them (RFC 3947 5.2)."""
    if not transport or sa.method is None or not sa.encapsulate:
        return []
    return [sa.method.natoa(one) for one in (first, second)]


def _ke(content: Content, chosen: ChosenIpsec) -> bytes:
    found = content.all(Ke)
    if len(found) != 1:
        why = f"Quick Mode message with {len(found)} KE payloads where PFS wants one"
        raise IkeError(why, NotifyType.INVALID_KEY_INFORMATION)
    return found[0].data


def _shared(pair: dh.DhPair | None, theirs: bytes) -> bytes:
    assert pair is not None
    try:
        return pair.shared(theirs)
    except CryptoError as why:
        raise IkeError(str(why), NotifyType.INVALID_KEY_INFORMATION) from None


def _same_clients(content: Content, wanted: Clients, sa: Core) -> None:
    """The responder repeats what we asked for; without identities it means the hosts."""
    said = content.all(Id)
    answered = Clients(clients.host(sa.local.address), clients.host(sa.remote.address))
    if len(said) == 2:
        answered = Clients(clients.from_id(said[0]), clients.from_id(said[1]))
    if len(said) not in (0, 2) or answered != wanted:
        raise IkeError(
            f"our client subnet returned does not match my proposal - us:{clients.words(answered.mine)}"
            f" vs them:{clients.words(answered.theirs)}",
            NotifyType.INVALID_ID_INFORMATION,
        )


def _keys(sa: Core, made: Agreement, spi: int) -> tuple[bytes, bytes]:
    """Keys of the SA that has this SPI: encryption's and integrity's."""
    keys, child = sa.need_keys(), made.chosen.child
    encr = registry.get_ikev1(Kind.ENCR, child.encr.name).keymat_octets(child.encr.key_bits) if child.encr else 0
    integ = registry.get_ikev1(Kind.INTEG, child.integ.name).keymat_octets() if child.integ else 0
    found = oakley.keymat(
        keys.oakley,
        keys.skeyid.d,
        int(child.protocol),
        spi.to_bytes(4, "big"),
        made.nonce_i,
        made.nonce_r,
        encr + integ,
        made.shared,
    )
    both = bytes(found.data)
    found.wipe()
    return both[:encr], both[encr:]


def _tell_life(chosen: ChosenIpsec, offered: Sa, spi: int) -> list[Notify]:
    """RESPONDER_LIFETIME, when ours is shorter than what the peer's transform says (RFC 2407 4.6.3.1)."""
    said = life.read(chosen.bundle[0].transforms[0].attributes, *LIFE)
    if chosen.life == said:
        return []
    data = b"".join(one.emit() for one in life.emit(chosen.life, *LIFE))
    protocol = ProtocolId(int(chosen.child.protocol))
    return [Notify(NotifyType.RESPONDER_LIFETIME, data, protocol, spi.to_bytes(4, "big"))]


def _told_life(sa: Core, content: Content) -> life.Life:
    """What the responder's notification says; nothing when it is none."""
    for one in content.all(Notify):
        if one.kind == NotifyType.RESPONDER_LIFETIME:
            try:
                return life.read(one.attributes(), *LIFE)
            except (WireError, IkeError) as why:
                sa.log(f"ignoring RESPONDER_LIFETIME: {why}", Rc.LOG_SERIOUS)
    return life.UNSAID


def _cut(chosen: ChosenIpsec, told: life.Life) -> ChosenIpsec:
    return replace(chosen, life=chosen.life.within(told))
