# SPDX-License-Identifier: GPL-2.0-or-later
"""Words of the classic listings: policy names and IKEv2 states."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from openswan.engine.conn import Conn
from openswan.policy.connection import Auth, Connection, HostKind, ShuntPolicy
from openswan.policy.groups import group_end, of_strangers
from openswan.policy.proposal import AH

AUTH_NAMES = {
    Auth.PSK: "PSK",
    Auth.RSASIG: "RSASIG",
    Auth.ECDSA: "ECDSA",
    Auth.EDDSA: "EDDSA",
    Auth.EAP_TLS: "EAP_TLS",
    Auth.EAP_MSCHAPV2: "EAP_MSCHAPV2",
    Auth.EAP_ONLY: "EAP_ONLY",
    Auth.NULL: "AUTH_NULL",
}
SHUNT_NAMES = {
    ShuntPolicy.PASS: "PASS",
    ShuntPolicy.DROP: "DROP",
    ShuntPolicy.REJECT: "REJECT",
}


def connection_policy(conn: Conn) -> str:
    """The policy bits joined by `+`, as `auto --status` and PLUTO_CONN_POLICY show them."""
    policy = conn.policy
    kinds = {policy.left.host.kind, policy.right.host.kind}
    words = [name for bit, name in AUTH_NAMES.items() if policy.auth & bit]
    negotiates = not conn.never
    ah = any(proposal.protocol == AH for proposal in policy.esp_proposals)
    words += ["AUTHENTICATE" if ah else "ENCRYPT"] if negotiates else []
    words += ["COMPRESS"] if policy.compress and negotiates else []
    words += ["TUNNEL"] if policy.tunnel else []
    words += ["PFS"] if policy.pfs and negotiates else []
    words += [] if policy.arrival_check else ["DISABLEARRIVALCHECK"]
    words += [] if policy.rekey else ["DONTREKEY"]
    words += ["OPPORTUNISTIC"] if kinds & {HostKind.OPPORTUNISTIC, HostKind.OPPORTUNISTIC_GROUP} else []
    words += ["GROUP"] if kinds & {HostKind.GROUP, HostKind.OPPORTUNISTIC_GROUP} else []
    words += ["UP"] if conn.wanted else []
    words += openings(conn) if negotiates else []
    words += _words_of_ikev1(policy) if negotiates and policy.ike_version == 1 else []
    words += ["OVERLAPIP"] if policy.overlap_ip else []
    words += ["!IKEv1", "IKEv2ALLOW", "IKEv2Init"] if negotiates and policy.ike_version == 2 else []
    words += ["IKEv2ALLOW_NARROWING"] if policy.narrowing else []
    if policy.prospective in SHUNT_NAMES:
        words.append(SHUNT_NAMES[policy.prospective])
    if policy.failure_shunt in SHUNT_NAMES:
        words.append("failure" + SHUNT_NAMES[policy.failure_shunt])
    if policy.auth & Auth.NEVER:
        words.append("NEVER_NEGOTIATE")
    return "+".join(words)


def openings(conn: Conn) -> list[str]:
    """What updown commands are to open in the packet filter: nothing for peers who may be anybody."""
    ours = conn.oriented.ours if conn.oriented else None
    if ours is None or not (ours.firewall or ours.host_access) or not _proves_itself(conn):
        return []
    return ["FIREWALL"] * ours.firewall + ["HOSTACCESS"] * ours.host_access


def _proves_itself(conn: Conn) -> bool:
    """Are the conn's peers those it is configured for? Of a policy group's, those of an authenticated grade are."""
    policy = (conn.template or conn).policy
    if conn.group is not None or group_end(policy) is not None:
        return not of_strangers(policy) and conn.grade is not None and conn.grade.authenticated
    theirs = conn.oriented.theirs if conn.oriented else None
    return theirs is not None and not theirs.dns_key and not policy.proof(theirs) & Auth.NULL


def _words_of_ikev1(policy: Connection) -> list[str]:
    ends = (policy.left, policy.right)
    words = ["XAUTH"] if any(end.xauth_server or end.xauth_client for end in ends) else []
    asks = any(end.ask_addresses or end.pools for end in ends)
    words += ["MODECFGPULL"] if asks and policy.config_pull else []
    return [*words, "AGGRESSIVE"] if policy.aggressive else words


CHILD_STAGES = {
    (2, True): ("STATE_PARENT_I3", "PARENT SA established"),
    (2, False): ("STATE_PARENT_R2", "received v2I2, PARENT SA established"),
    (1, True): ("STATE_QUICK_I2", "sent QI2, IPsec SA established"),
    (1, False): ("STATE_QUICK_R2", "IPsec SA established"),
}
"""State and story of an established child by IKE version and whether we are its initiator."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a version of IKE calls its SAs, and says of their end."""

    ike: str
    child: str
    over: str
    """`{what} expired`, with why that is told or not."""


WORDS = {1: Words("ISAKMP SA", "IPsec SA", "{what} expired ({why})"), 2: Words("IKE SA", "child SA", "{what} expired")}
"""By IKE version."""


class V2State(IntEnum):
    """IKEv2 states with the numbers operators know (133 and 134 are these plus 100)."""

    PARENT_I1 = 33
    PARENT_I2 = 34
    PARENT_I3 = 35
    PARENT_R1 = 36
    PARENT_R2 = 37
    CHILD_C0_KEYING = 38
    CHILD_C1_KEYED = 39
    CHILD_C1_REKEY = 40
    IKESA_DEL = 41
    CHILDSA_DEL = 42

    def __str__(self) -> str:
        return f"STATE_{self.name}"

    @property
    def story(self) -> str:
        """What the state is, in a few words."""
        return STATE_STORIES[self]


STATE_STORIES = {
    V2State.PARENT_I1: "sent v2I1, expected v2R1",
    V2State.PARENT_I2: "sent v2I2, expected v2R2",
    V2State.PARENT_I3: "PARENT SA established",
    V2State.PARENT_R1: "received v2I1, sent v2R1",
    V2State.PARENT_R2: "received v2I2, PARENT SA established",
    V2State.CHILD_C0_KEYING: "CHILD SA keying",
    V2State.CHILD_C1_KEYED: "IPsec SA established",
    V2State.CHILD_C1_REKEY: "IPsec SA established, being rekeyed",
    V2State.IKESA_DEL: "PARENT SA being deleted",
    V2State.CHILDSA_DEL: "CHILD SA being deleted",
}
