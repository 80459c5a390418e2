# SPDX-License-Identifier: GPL-2.0-or-later
"""Which conns are IKEv1, and what of a conn that cannot mean."""

from __future__ import annotations

from dataclasses import replace

from openswan.config.offers import ikev1_alone
from openswan.config.opportunistic import is_opportunistic
from openswan.config.parser import Param
from openswan.config.setup import Setup
from openswan.config.values import Values
from openswan.policy.connection import EAP, Auth, Connection, PpkUse, TcpUse

PROOFS = Auth.PSK | Auth.RSASIG | Auth.ECDSA
"""What IKEv1 goes by: one of them, for both ends."""
IDLE = (
    "session-resumption",
    "childless",
    "intermediate",
    "mobike",
    "ppk",
    "send-redirect",
    "accept-redirect",
)
"""Keywords about what only IKEv2 has; leaving it out takes nothing from a tunnel."""


VERSIONS = {
    ("aggrmode", "yes"): 1,
    ("keyexchange", "ikev1"): 1,
    ("ikev2", "never"): 1,
    ("keyexchange", "ikev2"): 2,
    ("ikev2", "insist"): 2,
}


SIDES = ("", "left", "right")
HINTS = (
    "modecfgpull",
    "modecfgbanner",
    "modecfgwins1",
    "modecfgwins2",
    "xauthname",
    "xauthby",
    "xauthfail",
    "cisco-unity",
    "remote_peer_type",
)
"""Keywords about what only IKEv1 has: with one of them a conn that does not say its version is IKEv1."""


def ike_version(values: Values, setup: Setup, auth: Auth) -> int:
    """keyexchange=, ikev2= and what only IKEv1 has: 1 or 2; IKEv2 unless one of them says otherwise.

    `auth` is how either end may prove itself.
    """
    said = {name: VERSIONS.get((name, values.value(name))) for name in ("aggrmode", "keyexchange", "ikev2")}
    for name in ("xauthserver", "xauthclient"):
        if any(values.of_side(name, side) == "yes" for side in ("left", "right")):
            said[name] = 1
    if Auth.XAUTH in auth:
        said["auth"] = 1
    wanted = {version for version in said.values() if version}
    if len(wanted) == 2:
        given = [name for name, version in said.items() if version]
        text = f"{given[0]}= and {given[-1]}= contradict each other about the version of IKE: leave one out"
        values.error(text, values.param(given[0]))
    hint = None if wanted or setup.ikev1_kept_out or values.flat.implicit else _hint(values)
    if hint is not None:
        values.warn(hint[1], hint[0])
        return 1
    if wanted != {1} or values.flat.implicit:
        return 2
    if setup.ikev1_kept_out:
        name = next(name for name, version in said.items() if version)
        text = f"the conn is for IKEv1, which ikev1-policy={setup.ikev1} in config setup keeps out: say accept there"
        values.error(text, values.param(name))
    return 1


def _hint(values: Values) -> tuple[Param, str] | None:
    """Something that only IKEv1 has, if the conn says any such thing, and what to say of it.

    Algorithms count as well: a conn written for IKEv1 that names a group IKEv2 no longer takes goes on as it was.
    """
    given = (values.param(name, side) for name in HINTS for side in SIDES)
    for param in given:
        if param is not None and param.value.lower() not in NOTHING:
            name = param.spelled
            return param, f"{name}= is about IKEv1, so that is what this conn is: say ikev2=no, or leave {name}= out"
    only = ikev1_alone(values)
    return only and (only[0], f"{only[1]}; IKEv1 has it, so the conn is IKEv1: ikev2=yes keeps it IKEv2")


def _opportunistic(values: Values, conn: Connection) -> None:
    """Opportunistic conns over IKEv1 are as they were: Main Mode, RSA, and nobody is asked for anything else."""
    if conn.auth & PROOFS != Auth.RSASIG:
        text = "opportunistic conns over IKEv1 go by RSA keys or certificates: leave authby= out, or ikev2=no"
        values.error(text, values.param("authby"))
    if conn.aggressive:
        values.error("opportunistic conns use Main Mode: leave aggrmode= out", values.param("aggrmode"))
    if conn.left.xauth_client or conn.left.xauth_server or conn.right.xauth_client or conn.right.xauth_server:
        values.error("opportunistic conns ask nobody for a password: leave XAUTH out", values.param("xauthserver"))


NOTHING = ("", "no", "n", "false", "off", "0", "ietf")
"""Values that say that a thing is not wanted."""


def _proofs(values: Values, conn: Connection) -> Connection:
    """How the ends prove themselves: alike, or hybrid, one by RSA and the other by a password alone.

    draft-ietf-ipsec-isakmp-hybrid-auth-05: who is asked for a password has proved nothing before it.
    """
    proofs = [conn.proof(conn.left), conn.proof(conn.right)]
    if Auth.XAUTH not in proofs[0] | proofs[1]:
        if conn.left.auth is not None or conn.right.auth is not None:
            values.error(
                "IKEv1 has one way to prove oneself for both ends: give authby=, or say ikev2=yes. The exception is "
                "hybrid authentication: auth=rsasig at one end and auth=xauth at the other"
            )
        return conn
    client = proofs.index(Auth.XAUTH) if Auth.XAUTH in proofs else 0
    if proofs[client] != Auth.XAUTH or not proofs[1 - client] & Auth.RSASIG:
        values.error("auth=xauth is for one end, which has a password and nothing else: the other has auth=rsasig")
        return conn
    if conn.xauth_soft:
        values.error("xauthfail=soft with auth=xauth would let in anybody", values.param("xauthfail"))
    ends = [conn.left, conn.right]
    ends[client] = replace(ends[client], auth=Auth.XAUTH, xauth_client=True)
    ends[1 - client] = replace(ends[1 - client], auth=Auth.RSASIG, xauth_server=True)
    return replace(conn, auth=Auth.RSASIG, left=ends[0], right=ends[1])


def _signatures(values: Values, conn: Connection) -> Connection:
    """ECDSA (RFC 4754) where it is asked for by name: what goes without saying is RSA, as it always was."""
    asks = any((end.xauth_client, end.xauth_server) != (False, False) for end in (conn.left, conn.right))
    rsa_alone = asks or is_opportunistic(values.canonical)
    if asks and conn.auth & PROOFS == Auth.ECDSA:
        values.error("XAUTH goes with a preshared key or RSA: give authby=secret or rsasig", values.param("authby"))
    if Auth.RSASIG in conn.auth and (rsa_alone or values.param("authby") is None):
        return replace(conn, auth=conn.auth & ~Auth.ECDSA)
    return conn


def checked(values: Values, conn: Connection) -> Connection:
    """An IKEv1 conn as IKEv1 can have it, with complaints about what it cannot."""
    if conn.ike_version != 1 or conn.auth & Auth.NEVER:
        return conn
    conn = _signatures(values, _proofs(values, conn))
    if is_opportunistic(values.canonical):
        _opportunistic(values, conn)
    if conn.auth & EAP or not conn.auth & PROOFS:
        text = "IKEv1 goes by a preshared key or signatures: give authby=secret, rsasig or ecdsa, or say ikev2=yes"
        values.error(text, values.param("authby"))
    if conn.ppk is PpkUse.INSIST:
        values.error("ppk=insist needs IKEv2, say ikev2=yes", values.param("ppk"))
    if conn.tcp is not TcpUse.NO:
        values.error(f"enable-tcp={conn.tcp.value} needs IKEv2, say ikev2=yes", values.param("enable-tcp"))
    if conn.aggressive and len({group for one in conn.ike_proposals for group in one.dh}) > 1 and not conn.ike_text:
        text = "aggrmode=yes fixes the group with the first message: name one in ike=, such as aes256-sha2_256-modp2048"
        values.error(text, values.param("aggrmode"))
    if conn.aggressive and conn.auth & Auth.PSK:
        text = "Aggressive Mode with a preshared key lets anybody guess the key offline: use Main Mode or certificates"
        values.warn(text, values.param("aggrmode"))
    if conn.esn == "yes":
        values.error("IKEv1 does not negotiate extended sequence numbers: leave esn=yes out", values.param("esn"))
    if (conn.left.xauth_client or conn.right.xauth_server) and (conn.left.xauth_server or conn.right.xauth_client):
        values.error("XAUTH has one server and one client: both ends are said to be both", values.param("xauthserver"))
    # IKEv1 gives an address of one family, unless both are asked for by name.
    left, right = (replace(end, ask_addresses=end.ask_addresses[:1]) for end in (conn.left, conn.right))
    for name in IDLE:
        if values.param(name) is not None and values.value(name) not in ("no", "allow"):
            values.warn(f"{name}= is about IKEv2 and is not acted on in an IKEv1 conn", values.param(name))
    return replace(conn, auth=conn.auth & PROOFS, mobike=False, esn="no", left=left, right=right)
