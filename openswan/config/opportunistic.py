# SPDX-License-Identifier: GPL-2.0-or-later
"""What a conn with %group, %opportunistic or %opportunisticgroup may say, and what goes for those alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from openswan.base.address import ANY4, ANY6, Subnet
from openswan.config.ends import HOST_WORDS
from openswan.config.keywords import OE_LATER
from openswan.policy.connection import EAP, SIGNATURES, Auth, Connection, End, Host, HostKind, ShuntPolicy
from openswan.policy.groups import OPPORTUNISTIC, group_end, stance_of
from openswan.policy.identity import Identity

ONLY_THESE = ("holdtimeout", "authgrade", "keepgrade")
"""Keywords that mean nothing to other conns."""
Key = tuple[str, str]
"""(`left`, `right` or nothing, keyword)."""


def is_opportunistic(values: Mapping[Key, str]) -> bool:
    """Is one end of a conn found on the way? `values` are what its keywords say."""
    return any(HOST_WORDS.get(values.get((side, ""), "").lower()) in OPPORTUNISTIC for side in ("left", "right"))


def may_negotiate(ours: Host, theirs: Host, prospective: ShuntPolicy) -> bool:
    """Does a shunt conn answer peers that ask for a tunnel? clear-or-private does."""
    return prospective is ShuntPolicy.PASS and HostKind.OPPORTUNISTIC_GROUP in (ours.kind, theirs.kind)


def limits(kind: HostKind, subnet: Subnet | None, family: str) -> Subnet | None:
    """What an end found on the way may be: 0/0 means everything, of both families unless connaddrfamily= names one."""
    everything = kind in OPPORTUNISTIC and not family and subnet in (ANY4, ANY6)
    return None if everything else subnet


def completed(end: End, other: End, auth: Auth, mine: Identity) -> End:
    """One end of a conn, with what goes without saying when one of the two is found on the way: who we are, and that
    keys are looked up unless they are given."""
    if not {end.host.kind, other.host.kind} & set(OPPORTUNISTIC):
        return end
    far = end.host.kind in OPPORTUNISTIC
    if end.id is None and not far and auth != Auth.NULL and not auth & Auth.NEVER:
        end = replace(end, id=mine)
    if auth & SIGNATURES and not (end.rsa_keys or end.use_cert_key or other.use_cert_key):
        end = replace(end, dns_key=True)
    return end


def unavailable(conn: Connection) -> str:
    """Why an opportunistic conn is not loaded in this release; empty: it is."""
    end = group_end(conn)
    assert end is not None
    if not stance_of(conn).responds:
        return ""
    if end.protocol:
        return f"{OE_LATER} for single services: leave protoport= out"
    return ""


def problems(conn: Connection, given: Collection[Key]) -> Iterator[tuple[Key, str]]:
    """What is wrong with a conn, as the keyword to blame and the reason; `given` are the keywords that were written."""
    end = group_end(conn)
    if end is None:
        for name in ONLY_THESE:
            if ("", name) in given:
                yield ("", name), f"{name}= is for conns with %group, %opportunistic or %opportunisticgroup"
        for name, each in (("left", conn.left), ("right", conn.right)):
            if (name, "cat") in given and each.cat:
                yield (
                    (name, "cat"),
                    f"{name}cat=yes is for opportunistic conns: here what the peer assigns becomes an address of this "
                    f"host ({name}sourceip=%config)",
                )
        return
    side = "right" if end is conn.right else "left"
    kind = end.host.kind
    negotiates = not conn.auth & Auth.NEVER
    if conn.left.host.kind in OPPORTUNISTIC and conn.right.host.kind in OPPORTUNISTIC:
        yield ("", ""), "left and right are both found on the way: one of them must be us, as %defaultroute"
    if kind is HostKind.GROUP and negotiates:
        yield (
            (side, ""),
            f"{side}=%group is for type=passthrough, drop or reject: {side}=%opportunisticgroup negotiates",
        )
    if kind is HostKind.OPPORTUNISTIC and conn.prospective is not ShuntPolicy.TRAP:
        yield (side, ""), f"{side}=%opportunistic is for type=tunnel: {side}=%group takes shunts"
    if not negotiates:
        return
    if not conn.tunnel:
        yield ("", "type"), "opportunistic conns use tunnel mode: leave type= out"
    if not conn.pfs:
        yield ("", "pfs"), "opportunistic conns want fresh keys each time: leave pfs=no out"
    if end.pools and conn.ike_version == 1:
        yield (
            (side, "addresspool"),
            f"{side}addresspool= gives addresses to hosts behind NAT by IKEv2 alone: leave it out",
        )
    if end.nexthop is not None:
        yield (side, "nexthop"), f"{side}nexthop= is not known of a peer that is found on the way: leave it out"
    if conn.auth & EAP:
        yield ("", "authby"), "opportunistic conns do not use EAP: give rsasig, ecdsa, eddsa, secret or null"
