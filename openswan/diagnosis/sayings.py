# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of the log that name a cause, as a table: what the two ends have said to each other."""

from __future__ import annotations

import re
from dataclasses import dataclass

from openswan.diagnosis.finding import Kind

PEER, KEYS, CONFIG, MACHINE = Kind.PEER, Kind.KEYS, Kind.CONFIG, Kind.MACHINE


@dataclass(frozen=True, slots=True)
class Said:
    """A line of the log that names a cause."""

    pattern: re.Pattern[str]
    code: str
    kind: Kind
    weight: int
    cause: str
    """May use {conn} and the pattern's groups."""
    remedy: str


def _said(pattern: str, code: str, kind: Kind, weight: int, cause: str, remedy: str) -> Said:
    return Said(re.compile(pattern), code, kind, weight, cause, remedy)


SAID: tuple[Said, ...] = (
    _said(
        r"seems to speak IKEv(?P<version>[12]) alone: if so, (?P<what>.*)",
        "peer-version",
        CONFIG,
        76,
        "the peer speaks IKEv{version} alone",
        "{what}",
    ),
    _said(
        r"if \S+ speaks IKEv(?P<version>[12]) alone: (?P<what>.*)",
        "peer-version",
        CONFIG,
        60,
        "the peer may speak IKEv{version} alone",
        "{what}; or start IPsec on the peer, with a conn for this host",
    ),
    _said(
        r"PSK authentication failed|AUTH mismatch|received Hash Payload does not match|mismatch of preshared secrets",
        "psk-mismatch",
        KEYS,
        79,
        "the two ends have different preshared secrets",
        "make the PSK of both ends' ipsec.secrets the same; then on both: ipsec auto --rereadsecrets",
    ),
    _said(
        r"No matching PSK found|no preshared key found",
        "no-psk",
        KEYS,
        79,
        "ipsec.secrets has no PSK for the identities of this peer",
        'add a line `ME PEER : PSK "..."\' with the identities the log names; then: ipsec auto --rereadsecrets',
    ),
    _said(
        r"no suitable connection for peer '(?P<peer>[^']*)'",
        "id-mismatch",
        CONFIG,
        78,
        "the peer calls itself '{peer}', or proves itself in a way, that no conn here allows",
        "make the peer's id in this conn and its own leftid= there the same, and authby= too: rightid={peer}",
    ),
    _said(
        r"we require peer to have ID '(?P<want>[^']*)', but peer declares '(?P<peer>[^']*)'",
        "id-mismatch",
        CONFIG,
        79,
        "the peer calls itself '{peer}', the conn wants '{want}'",
        "write rightid={peer} (leftid= if the peer is left), or change the peer's own id to {want}",
    ),
    _said(
        r"initial \w*\s?\w*\s?message received on (?P<on>\S+) but no connection has been authorized",
        "no-conn-for-peer",
        CONFIG,
        76,
        "a peer calls for which no conn is loaded",
        "load a conn whose ends are these addresses: "
        "ipsec auto --add NAME; left= and right= must be {on} and the address the packet came from",
    ),
    _said(
        r"no acceptable IKE proposal|no acceptable Oakley Transform",
        "ike-mismatch",
        CONFIG,
        78,
        "the peer offers no IKE algorithms that ike= allows here",
        "make ike= of both ends name the same, or leave it out on both: ipsec algparse shows what a string offers",
    ),
    _said(
        r"no acceptable (ESP|AH) proposal|no acceptable Proposal in IPsec SA",
        "esp-mismatch",
        CONFIG,
        78,
        "the peer offers no ESP algorithms that esp= allows here",
        "make esp= (phase2alg=) of both ends name the same, or leave it out on both",
    ),
    _said(
        r"the peer offers no (?P<want>AH|ESP), which",
        "phase2-mismatch",
        CONFIG,
        79,
        "the conn wants {want}, the peer does not offer it",
        "make phase2= the same on both ends",
    ),
    _said(
        r"no connection is known for (?P<flow>\S+)",
        "subnet-mismatch",
        CONFIG,
        78,
        "the peer wants a tunnel for subnets that no conn here has",
        "make leftsubnet= and rightsubnet= of both ends the same pair, and type= too; the peer asks for {flow}",
    ),
    _said(
        r"less than our .* and narrowing=no",
        "subnet-mismatch",
        CONFIG,
        78,
        "the peer's subnets are not those of the conn",
        "make leftsubnet= and rightsubnet= of both ends the same, or write narrowing=yes",
    ),
    _said(
        r'is not what policy for "[^"]*" wants for PFS',
        "pfs-group-mismatch",
        CONFIG,
        82,
        "the peer wants a group for perfect forward secrecy that the conn does not take",
        "end esp= (phase2alg=) of both ends with the same group, as in aes256-sha2_256;modp2048",
    ),
    _said(
        r"we require PFS",
        "pfs-mismatch",
        CONFIG,
        75,
        "one end wants perfect forward secrecy, the other does not",
        "make pfs= the same on both ends",
    ),
    _said(
        r"certificate.* (has )?expired|expired on|is no longer valid",
        "peer-cert-expired",
        KEYS,
        79,
        "the peer's certificate has expired",
        "have it renewed, and look at the clocks of both ends",
    ),
    _said(
        r"not yet valid|not valid yet",
        "peer-cert-not-yet-valid",
        KEYS,
        79,
        "a certificate is not valid yet by this clock",
        "set the clock of this host or the peer's, or have the certificate issued anew",
    ),
    _said(
        r"does not vouch for identity '(?P<peer>[^']*)'",
        "peer-cert-name",
        KEYS,
        79,
        "the peer's certificate is not for the name it goes by, '{peer}'",
        "have one issued with {peer} among its subjectAltNames, or make rightid= (and its leftid=) the "
        "certificate's subject",
    ),
    _said(
        r"revoked",
        "peer-cert-revoked",
        KEYS,
        79,
        "the peer's certificate has been revoked",
        "have a new one issued to it",
    ),
    _said(
        r"no authority|no trusted|unknown issuer|no issuer|not.*trusted|candidates exhausted|chain",
        "peer-ca-unknown",
        KEYS,
        78,
        "the peer's certificate comes from an authority that is not known here",
        "put that authority's certificate into ipsec.d/cacerts; then: ipsec auto --rereadcacerts",
    ),
    _said(
        r"unable to locate my private key",
        "no-private-key",
        KEYS,
        80,
        "our private key is not in ipsec.secrets",
        "add it to ipsec.secrets (: RSA FILE); then: ipsec auto --rereadsecrets",
    ),
    _said(
        r"no RSA public key known|Signature check|signature.*(wrong|fail)|RSA authentication failed",
        "peer-key-mismatch",
        KEYS,
        78,
        "the peer's signature does not fit the public key that the conn has for it",
        "compare rightrsasigkey= with `ipsec showhostkey --left' of the peer",
    ),
    _said(
        r"refuses our proof of who we are|refuses.* with AUTHENTICATION_FAILED|AUTHENTICATION_FAILED",
        "peer-refuses-auth",
        PEER,
        72,
        "the peer does not believe who we are, or we did not believe it",
        "compare ipsec.secrets and the ids of both ends; ipsec diagnose on the peer says which of them it is",
    ),
    _said(
        r"refuses the child SA: NO_PROPOSAL_CHOSEN",
        "peer-refuses-esp",
        PEER,
        72,
        "the peer accepts none of our ESP proposals",
        "make esp= (phase2alg=), phase2= and pfs= of both ends the same",
    ),
    _said(
        r"refuses with NO_PROPOSAL_CHOSEN|NO_PROPOSAL_CHOSEN",
        "peer-refuses-ike",
        PEER,
        71,
        "the peer accepts none of our IKE proposals, or has no conn for our address",
        "make ike= of both ends the same; on the peer: ipsec auto --add NAME; ipsec diagnose there says which",
    ),
    _said(
        r"refuses.*TS_UNACCEPTABLE|INVALID_ID_INFORMATION",
        "peer-refuses-subnets",
        PEER,
        73,
        "the peer has no conn with our subnets",
        "make leftsubnet=, rightsubnet= and type= of both ends the same",
    ),
    _said(
        r"assigned no address|FAILED_CP_REQUIRED|INTERNAL_ADDRESS_FAILURE",
        "no-address-assigned",
        PEER,
        73,
        "the peer has assigned no address",
        "leftsourceip=%config here wants rightaddresspool= there, with addresses left",
    ),
    _said(
        r"unoriented|We cannot identify ourselves",
        "not-ours",
        CONFIG,
        70,
        "neither end of the conn is this host",
        "left= or right= must be an address of this host",
    ),
    _said(
        r"could not route|cannot route",
        "cannot-route",
        MACHINE,
        70,
        "the conn could not be routed",
        "see the line above; ip rule and ip route show table 50 must be free for us",
    ),
    _said(
        r"cannot install eroute|eroute.*in use|it is in use for",
        "eroute-conflict",
        CONFIG,
        74,
        "another conn already has this traffic",
        "give the two different subnets, or overlapip=yes for both",
    ),
    _said(
        r"updown.*(failed|status)|command exited with status",
        "updown-failed",
        MACHINE,
        68,
        "the updown command fails",
        "run it by hand with the environment the log shows, or leave leftupdown= out",
    ),
)
"""Patterns of log lines, the most telling first; what the two ends say to each other comes before what one guesses."""

LIKELY: tuple[Said, ...] = (
    _said(
        r"network error report .*Connection refused",
        "not-listening",
        PEER,
        0,
        "the host is there, but nothing listens for IKE on it, or its firewall rejects us",
        "start IPsec there, and let UDP 500 and 4500 in",
    ),
    _said(
        r"network error report .*(No route to host|Network is unreachable|Host is down)",
        "no-way",
        PEER,
        0,
        "a router on the way, or this host, has no way to the peer",
        "see with ip route get and ping where it ends",
    ),
    _said(
        r"reached STATE_(MAIN|AGGR)_I1",
        "no-answer",
        PEER,
        0,
        "the peer is not there, has no conn for our address, or a firewall drops UDP port 500",
        "see that it runs and has the conn, and let UDP 500 and 4500 pass both ways; ipsec diagnose looks closer",
    ),
    _said(
        r"reached STATE_MAIN_(I2|R1|R2)|reached STATE_AGGR_R1",
        "answers-stop",
        PEER,
        0,
        "the first messages pass, later ones do not: a firewall drops larger packets or UDP port 4500",
        "let UDP 500 and 4500 pass both ways, fragments too; ike_frag=yes on both ends keeps packets small",
    ),
    _said(
        r"reached STATE_MAIN_I3",
        "proof-refused",
        KEYS,
        72,
        "the peer does not believe who we are (another secret, key or id), or UDP port 4500 does not pass",
        "compare ipsec.secrets and the ids of both ends, and let UDP 4500 pass; the log of the peer says which it is",
    ),
    _said(
        r"reached STATE_QUICK_I1|refuses our Quick Mode: NO_PROPOSAL_CHOSEN",
        "quick-refused",
        PEER,
        74,
        "the peer takes none of our ESP proposals, or has no conn with our subnets",
        "make esp= (phase2alg=), pfs=, leftsubnet= and rightsubnet= of both ends the same; the peer's log says which",
    ),
    _said(
        r"reached STATE_QUICK_R1",
        "quick-unconfirmed",
        PEER,
        0,
        "the peer has begun something and does not go on: our answer does not reach it, or it does not like it",
        "look into the log of the peer; let UDP 500 and 4500 pass both ways",
    ),
    _said(
        r"(?P<what>(OAKLEY|ESP|AH)_\w+) is not supported|unsupported (ESP|AH) \w+ (alg )?(?P<other>\S+)",
        "weak-algorithm",
        CONFIG,
        77,
        "the peer offers an algorithm that is too weak or not known here",
        "have the peer offer AES with SHA-2 and a group of 2048 bits or more; ipsec algparse shows what ike= can name",
    ),
    _said(
        r"OAKLEY_GROUP \S+ not supported",
        "weak-group",
        CONFIG,
        76,
        "the peer wants a Diffie-Hellman group that ike= or esp= does not allow here",
        "have it use modp2048 (group 14) or better, or name its group in ike= and esp=, as in ike=aes128-sha1;modp1024",
    ),
    _said(
        r"policy does not allow (?P<what>OAKLEY_\w+) authentication",
        "auth-mismatch",
        CONFIG,
        77,
        "the two ends want to prove themselves in different ways",
        "make authby= the same on both ends",
    ),
    _said(
        r'message received on \S+ but "(?P<shunt>[^"]*)" forbids connection',
        "shunt-forbids",
        CONFIG,
        76,
        "a peer calls that conn {shunt} lets nothing be negotiated with (type=passthrough, drop or reject)",
        "if it is to have a tunnel, load a conn for the two beside {shunt}, with other subnets or in its place",
    ),
    _said(
        r"peer requested \S+ seconds which exceeds our limit",
        "life-too-long",
        CONFIG,
        60,
        "the peer wants its SA to live longer than is allowed here",
        "make ikelifetime= of the peer a day (24h) or less",
    ),
    _said(
        r"whose policy does not allow it \(aggrmode=no\)",
        "aggressive-refused",
        CONFIG,
        77,
        "the peer wants Aggressive Mode, the conn does not",
        "have the peer use Main Mode; if it cannot, write aggrmode=yes and one ike= in conn {conn}",
    ),
    _said(
        r"type (PAYLOAD_MALFORMED|INVALID_HASH_INFORMATION|INVALID_PAYLOAD_TYPE)",
        "peer-cannot-read",
        KEYS,
        74,
        "the peer cannot read what we send: most often the two ends have different preshared secrets",
        "make the PSK of both ends the same; then on both: ipsec auto --rereadsecrets",
    ),
    _said(
        r"client subnet returned does not match",
        "subnets-differ",
        CONFIG,
        76,
        "the peer answers with other subnets than ours",
        "make leftsubnet= and rightsubnet= of both ends the same",
    ),
    _said(
        r"XAUTH: (User .*: )?Authentication [Ff]ailed",
        "xauth-failed",
        KEYS,
        78,
        "name or password of XAUTH is wrong",
        "compare the client's XAUTH entry in ipsec.secrets with ipsec.d/passwd of the server (or PAM, by xauthby=)",
    ),
)
"""Lines of IKEv1. Of those without a weight `ipsec diagnose` looks for the causes itself."""

TELLING = (*(said for said in LIKELY if said.weight), *SAID)
"""What `ipsec diagnose` reads."""


def likely(text: str) -> tuple[Said, dict[str, str]] | None:
    """What a line is likely to come from, with the words it names; None when it names no failure."""
    for said in (*LIKELY, *SAID):
        if match := said.pattern.search(text):
            return said, {name: value or "" for name, value in match.groupdict().items()}
    return None
