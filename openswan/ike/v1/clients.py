# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients: selectors as Quick Mode's identities, and what a NAT makes of them (RFC 2407 4.6.2, RFC 3947 5.2).

Each side has one: a host, a subnet or a range of addresses, with a protocol and a port or any. Without identities the
hosts IKE runs between are meant (RFC 2409 5.5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from openswan.base.address import Address
from openswan.base.errors import IkeError
from openswan.ike.v1 import natt
from openswan.ike.v1.policy import QuickPolicy
from openswan.policy.selector import Selector
from openswan.wire.v1.ident import Id
from openswan.wire.v1.message import Content
from openswan.wire.v1.natd import NatOa
from openswan.wire.v1.numbers import IdType, NotifyType

ANY_PORT = (0, 65535)


@dataclass(frozen=True, slots=True)
class Clients:
    """Whose traffic a pair of SAs is for, seen from us."""

    mine: Selector
    theirs: Selector

    def __str__(self) -> str:
        """`10.1.0.0/16 -> 10.2.0.0/16`."""
        return f"{self.mine} -> {self.theirs}"


def words(selector: Selector) -> str:
    """A client as the log has always shown it: `10.1.0.0/16:17/1701`."""
    return f"{replace(selector, protocol=0)}:{selector.protocol}/{selector.port}"


def host(address: Address) -> Selector:
    """All traffic of one host."""
    return Selector(address, address)


def of_policy(policy: QuickPolicy) -> Clients:
    """What a policy asks for; IkeError when Quick Mode cannot say it."""
    if len(policy.mine) != 1 or len(policy.theirs) != 1:
        raise IkeError(
            f'Quick Mode has one selector on each side, "{policy.name}" has more: use IKEv2, or several conns'
        )
    return Clients(policy.mine[0], policy.theirs[0])


def to_id(selector: Selector) -> Id:
    """IDci or IDcr of a selector; IkeError for some ports out of many, which has no form in IKEv1."""
    port = selector.port
    if not port and (selector.first_port, selector.last_port) not in (ANY_PORT, (0, 0)):
        raise IkeError(f"Quick Mode cannot say ports {selector.first_port}-{selector.last_port}: one port, or all")
    nets = selector.subnets()
    six = selector.first.version == 6
    if selector.first == selector.last:
        kind, body = (IdType.IPV6_ADDR if six else IdType.IPV4_ADDR), selector.first.packed
    elif len(nets) == 1:
        kind = IdType.IPV6_ADDR_SUBNET if six else IdType.IPV4_ADDR_SUBNET
        body = selector.first.packed + nets[0].netmask.packed
    else:
        kind = IdType.IPV6_ADDR_RANGE if six else IdType.IPV4_ADDR_RANGE
        body = selector.first.packed + selector.last.packed
    return Id(kind, body, selector.protocol, port)


def from_id(said: Id) -> Selector:
    """The selector an identity stands for; IkeError, WireError (INVALID_ID_INFORMATION) when it stands for none."""
    between = said.addresses()
    if between is None:
        raise _refused(f"unsupported ID type {said.kind} in Phase 2 ID Payload")
    if said.port and not said.protocol:
        raise _refused(f"port {said.port} without a protocol in Phase 2 ID Payload")
    return Selector(*between, said.protocol, said.port, said.port or ANY_PORT[1])


def proposed(content: Content, local: Address, remote: Address) -> Clients:
    """What a first message of the peer's asks for.

    A name, which some peers behind a NAT send, means the address that stands beside it as its original one.
    """
    said = content.all(Id)
    if not said:
        return Clients(host(local), host(remote))
    if len(said) != 2:
        raise _refused(f"Quick Mode message with {len(said)} ID payloads where two or none are wanted")
    first, second = said
    original = content.first(NatOa)
    if first.kind == IdType.FQDN and original is not None:
        kind = IdType.IPV4_ADDR if original.address.version == 4 else IdType.IPV6_ADDR
        first = replace(first, kind=kind, body=original.address.packed)
    theirs, mine = from_id(first), from_id(second)
    if theirs.first.version != mine.first.version:
        raise _refused("clients of two address families in Phase 2 ID Payloads")
    return Clients(mine, theirs)


def of_a_name(content: Content) -> tuple[str, ...]:
    """What is said of a first message whose sender calls itself by a name: Microsoft's clients do, behind a NAT."""
    said, original = content.first(Id), content.first(NatOa)
    if said is None or said.kind != IdType.FQDN or original is None:
        return ()
    name = said.body.decode("ascii", "replace")
    return (
        "Applying workaround for MS-818043 NAT-T bug",
        "peer client type is FQDN",
        f"IDci was FQDN: {name}, using NAT_OA={original.address} 0 as IDci",
    )


def check_fit(policy: QuickPolicy, clients: Clients) -> None:
    """IkeError (INVALID_ID_INFORMATION) unless these are a policy's clients, or with narrowing some of them."""
    ours = of_policy(policy)
    within = ours.mine.contains(clients.mine) and ours.theirs.contains(clients.theirs)
    if clients != ours and not (policy.narrowing and within):
        raise _refused(f'the clients {clients} are not those of "{policy.name}", {ours}')


def as_we_see(clients: Clients, nat: natt.Found | None, local: Address, remote: Address) -> Clients:
    """The clients of transport mode by the addresses we know the hosts by; IkeError unless each side is that host."""
    seen = clients
    if nat is not None and nat.here:
        seen = replace(seen, mine=replace(seen.mine, first=local, last=local))
    if nat is not None and nat.there:
        seen = replace(seen, theirs=replace(seen.theirs, first=remote, last=remote))
    if (
        _ends(clients.mine) != 1
        or _ends(clients.theirs) != 1
        or (seen.mine.first, seen.theirs.first) != (local, remote)
    ):
        raise _refused(f"transport mode is between {local} and {remote} alone, where IKE runs, not for {clients}")
    return seen


def originals(
    content: Content, clients: Clients, seen: Clients, *, by_initiator: bool
) -> tuple[Address, Address] | None:
    """(The peer's address, ours) as the peer writes them in packets, None when that is what we see.

    From its NAT-OA payloads, the initiator's address first (RFC 3947 5.2; early drafts: the sender's alone);
    without any from its identities.
    """
    said = [one.address for one in content.all(NatOa)]
    if len(said) >= 2:
        theirs, ours = said[:2] if by_initiator else (said[1], said[0])
    elif said:
        theirs, ours = said[0], clients.mine.first
    else:
        theirs, ours = clients.theirs.first, clients.mine.first
    return None if (theirs, ours) == (seen.theirs.first, seen.mine.first) else (theirs, ours)


def _ends(selector: Selector) -> int:
    return len({selector.first, selector.last})


def _refused(why: str) -> IkeError:
    return IkeError(why, NotifyType.INVALID_ID_INFORMATION)
