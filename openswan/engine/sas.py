# SPDX-License-Identifier: GPL-2.0-or-later
"""What a negotiated child is in the packet engine: an SA each way, or with compression a bundle of two.

With IPComp the compressing SA is the inner one and does what the child's mode says; the ESP or AH SA around it is then
in transport mode, as it protects a packet that has its outer header already (RFC 3173 2, RFC 4301 4.5).
"""

from __future__ import annotations

from collections.abc import Iterator

from openswan.base.address import Address, Endpoint
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said
from openswan.engine.manners import Manners
from openswan.engine.statedb import ChildState
from openswan.ike.effects import ChildEstablished
from openswan.plane.commands import AddSa, Direction, Encap, GroupSas, Mode
from openswan.policy.selector import Selector
from openswan.wire.v2.numbers import ProtocolId

PROTOCOLS = {ProtocolId.ESP: IpProtocol.ESP, ProtocolId.AH: IpProtocol.AH}
TRUNCATED = {"hmac_sha2_256_128": "hmac_sha2_256_96"}
"""What sha2_truncbug=yes makes of an integrity algorithm after it has been negotiated."""
Pairs = tuple[tuple[Selector, Selector], ...]


def said(protocol: ProtocolId, spi: int, address: Address) -> Said:
    """An SA's identifier in the packet engine."""
    return Said(PROTOCOLS[protocol], spi, address)


def compressor(cpi: int, address: Address) -> Said | None:
    """The identifier of the IPComp SA with that CPI; None without compression (0)."""
    return Said(IpProtocol.COMP, cpi, address) if cpi else None


def inbound(child: ChildState, effect: ChildEstablished, manners: Manners) -> Iterator[AddSa | GroupSas]:
    """Install what receives."""
    pairs = tuple((theirs, mine) for mine in effect.mine for theirs in effect.theirs)
    encap = effect.encap
    back = Encap(encap.dst_port, encap.src_port, encap.stream) if encap else None
    yield from _way(child, effect, Direction.IN, pairs if child.conn.policy.arrival_check else (), back, manners)


def outbound(child: ChildState, effect: ChildEstablished, manners: Manners) -> Iterator[AddSa | GroupSas]:
    """Install what sends."""
    pairs = tuple((mine, theirs) for mine in effect.mine for theirs in effect.theirs)
    yield from _way(child, effect, Direction.OUT, pairs, effect.encap, manners)


def _way(
    child: ChildState,
    effect: ChildEstablished,
    direction: Direction,
    selectors: Pairs,
    encap: Encap | None,
    manners: Manners,
) -> Iterator[AddSa | GroupSas]:
    inward = direction is Direction.IN
    conn, chosen = child.conn, effect.chosen
    integ = chosen.integ.name if chosen.integ else ""
    if conn.policy.sha2_truncbug:
        integ = TRUNCATED.get(integ, integ)
    mode = Mode.TRANSPORT if effect.extras.transport else Mode.TUNNEL
    src = effect.remote.address if inward else effect.local.address
    outer, other = (child.said_in, child.said_out) if inward else (child.said_out, child.said_in)
    inner = child.comp_in if inward else child.comp_out
    original = effect.extras.original if inward else None
    yield AddSa(
        said=outer,
        src=src,
        direction=direction,
        cipher=chosen.encr.name if chosen.encr else "",
        enc_key=effect.enc_in if inward else effect.enc_out,
        integ=integ,
        auth_key=effect.auth_in if inward else effect.auth_out,
        esn=chosen.esn,
        replay_window=conn.policy.replay_window,
        encap=encap,
        device=conn.device,
        selectors=() if inner else selectors,
        owner=conn.unique,
        serial=child.serial,
        peer_said=other,
        mode=Mode.TRANSPORT if inner else mode,
        bundled=inward and inner is not None,
        original=None if inner else original,
        alias=None if inner else child.alias,
        life=manners.life,
        copy_dscp=manners.take_dscp if inward else manners.copy_dscp,
        tfc=0 if inward or mode is Mode.TRANSPORT or inner or effect.extras.unpadded else manners.tfc,
        mtu=manners.mtu,
        unproven=manners.unproven and not inward,
    )
    if inner is None:
        return
    yield AddSa(
        said=inner,
        src=src,
        direction=direction,
        cipher="deflate",
        enc_key=b"",
        device=conn.device,
        selectors=selectors,
        owner=conn.unique,
        serial=child.serial,
        peer_said=child.comp_out if inward else child.comp_in,
        mode=mode,
        original=original,
        alias=child.alias,
        copy_dscp=manners.take_dscp if inward else manners.copy_dscp,
        mtu=manners.mtu,
        unproven=manners.unproven and not inward,
    )
    yield GroupSas((inner, outer))


def moved(child: ChildState, local: Endpoint, remote: Endpoint) -> Iterator[tuple[Said, Endpoint, Endpoint]]:
    """Every SA of a child with the source and destination it has from now on; port 0 is raw."""
    if child.encap is None:
        local, remote = Endpoint(local.address, 0), Endpoint(remote.address, 0)
    for one in (child.said_in, child.comp_in):
        if one is not None:
            yield one, remote, local
    for one in (child.said_out, child.comp_out):
        if one is not None:
            yield one, local, remote
