# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of IKEv1 that name a cause, as a table."""

from __future__ import annotations

from openswan.diagnosis.finding import Kind
from openswan.diagnosis.saying import Said, saying

PEER, KEYS, CONFIG = Kind.PEER, Kind.KEYS, Kind.CONFIG

LIKELY: tuple[Said, ...] = (
    saying(
        r"network error report .*Connection refused",
        "not-listening",
        PEER,
        0,
        "the host is there, but nothing listens for IKE on it, or its firewall rejects us",
        "start IPsec there, and let UDP 500 and 4500 in",
    ),
    saying(
        r"network error report .*(No route to host|Network is unreachable|Host is down)",
        "no-way",
        PEER,
        0,
        "a router on the way, or this host, has no way to the peer",
        "see with ip route get and ping where it ends",
    ),
    saying(
        r"reached STATE_(MAIN|AGGR)_I1",
        "no-answer",
        PEER,
        0,
        "the peer is not there, has no conn for our address, or a firewall drops UDP port 500",
        "see that it runs and has the conn, and let UDP 500 and 4500 pass both ways; ipsec diagnose looks closer",
    ),
    saying(
        r"reached STATE_MAIN_(I2|R1|R2)|reached STATE_AGGR_R1",
        "answers-stop",
        PEER,
        0,
        "the first messages pass, later ones do not: a firewall drops larger packets or UDP port 4500",
        "let UDP 500 and 4500 pass both ways, fragments too; ike_frag=yes on both ends keeps packets small",
    ),
    saying(
        r"reached STATE_MAIN_I3",
        "proof-refused",
        KEYS,
        72,
        "the peer does not believe who we are (another secret, key or id), or UDP port 4500 does not pass",
        "compare ipsec.secrets and the ids of both ends, and let UDP 4500 pass; the log of the peer says which it is",
    ),
    saying(
        r"reached STATE_QUICK_I1|refuses our Quick Mode: NO_PROPOSAL_CHOSEN",
        "quick-refused",
        PEER,
        74,
        "the peer takes none of our ESP proposals, or has no conn with our subnets",
        "make esp= (phase2alg=), pfs=, leftsubnet= and rightsubnet= of both ends the same; the peer's log says which",
    ),
    saying(
        r"reached STATE_QUICK_R1",
        "quick-unconfirmed",
        PEER,
        0,
        "the peer has begun something and does not go on: our answer does not reach it, or it does not like it",
        "look into the log of the peer; let UDP 500 and 4500 pass both ways",
    ),
    saying(
        r"(?P<what>(OAKLEY|ESP|AH)_\w+) is not supported|unsupported (ESP|AH) \w+ (alg )?(?P<other>\S+)",
        "weak-algorithm",
        CONFIG,
        77,
        "the peer offers an algorithm that is too weak or not known here",
        "have the peer offer AES with SHA-2 and a group of 2048 bits or more; ipsec algparse shows what ike= can name",
    ),
    saying(
        r"OAKLEY_GROUP \S+ not supported",
        "weak-group",
        CONFIG,
        76,
        "the peer wants a Diffie-Hellman group that ike= or esp= does not allow here",
        "have it use modp2048 (group 14) or better, or name its group in ike= and esp=, as in ike=aes128-sha1;modp1024",
    ),
    saying(
        r"policy does not allow (?P<what>OAKLEY_\w+) authentication",
        "auth-mismatch",
        CONFIG,
        77,
        "the two ends want to prove themselves in different ways",
        "make authby= the same on both ends",
    ),
    saying(
        r'message received on \S+ but "(?P<shunt>[^"]*)" forbids connection',
        "shunt-forbids",
        CONFIG,
        76,
        "a peer calls that conn {shunt} lets nothing be negotiated with (type=passthrough, drop or reject)",
        "if it is to have a tunnel, load a conn for the two beside {shunt}, with other subnets or in its place",
    ),
    saying(
        r"peer requested \S+ seconds which exceeds our limit",
        "life-too-long",
        CONFIG,
        60,
        "the peer wants its SA to live longer than is allowed here",
        "make ikelifetime= of the peer a day (24h) or less",
    ),
    saying(
        r"whose policy does not allow it \(aggrmode=no\)",
        "aggressive-refused",
        CONFIG,
        77,
        "the peer wants Aggressive Mode, the conn does not",
        "have the peer use Main Mode; if it cannot, write aggrmode=yes and one ike= in conn {conn}",
    ),
    saying(
        r"type (PAYLOAD_MALFORMED|INVALID_HASH_INFORMATION|INVALID_PAYLOAD_TYPE)",
        "peer-cannot-read",
        KEYS,
        74,
        "the peer cannot read what we send: most often the two ends have different preshared secrets",
        "make the PSK of both ends the same; then on both: ipsec auto --rereadsecrets",
    ),
    saying(
        r"client subnet returned does not match",
        "subnets-differ",
        CONFIG,
        76,
        "the peer answers with other subnets than ours",
        "make leftsubnet= and rightsubnet= of both ends the same",
    ),
    saying(
        r"XAUTH: (User .*: )?Authentication [Ff]ailed",
        "xauth-failed",
        KEYS,
        78,
        "name or password of XAUTH is wrong",
        "compare the client's XAUTH entry in ipsec.secrets with ipsec.d/passwd of the server (or PAM, by xauthby=)",
    ),
)
"""Lines of IKEv1. Of those without a weight `ipsec diagnose` looks for the causes itself."""
