# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of the log that name a cause, as a table: what the two ends have said to each other."""

from __future__ import annotations

from openswan.diagnosis.finding import Kind
from openswan.diagnosis.saying import Said, saying
from openswan.diagnosis.sayingsv1 import LIKELY

PEER, KEYS, CONFIG, MACHINE = Kind.PEER, Kind.KEYS, Kind.CONFIG, Kind.MACHINE


SAID: tuple[Said, ...] = (
    saying(
        r"seems to speak IKEv(?P<version>[12]) alone: if so, (?P<what>.*)",
        "peer-version",
        CONFIG,
        76,
        "the peer speaks IKEv{version} alone",
        "{what}",
    ),
    saying(
        r"if \S+ speaks IKEv(?P<version>[12]) alone: (?P<what>.*)",
        "peer-version",
        CONFIG,
        60,
        "the peer may speak IKEv{version} alone",
        "{what}; or start IPsec on the peer, with a conn for this host",
    ),
    saying(
        r"PSK authentication failed|AUTH mismatch|received Hash Payload does not match|mismatch of preshared secrets",
        "psk-mismatch",
        KEYS,
        79,
        "the two ends have different preshared secrets",
        "make the PSK of both ends' ipsec.secrets the same; then on both: ipsec auto --rereadsecrets",
    ),
    saying(
        r"No matching PSK found|no preshared key found",
        "no-psk",
        KEYS,
        79,
        "ipsec.secrets has no PSK for the identities of this peer",
        'add a line `ME PEER : PSK "..."\' with the identities the log names; then: ipsec auto --rereadsecrets',
    ),
    saying(
        r"no suitable connection for peer '(?P<peer>[^']*)'",
        "id-mismatch",
        CONFIG,
        78,
        "the peer calls itself '{peer}', or proves itself in a way, that no conn here allows",
        "make the peer's id in this conn and its own leftid= there the same, and authby= too: rightid={peer}",
    ),
    saying(
        r"we require peer to have ID '(?P<want>[^']*)', but peer declares '(?P<peer>[^']*)'",
        "id-mismatch",
        CONFIG,
        79,
        "the peer calls itself '{peer}', the conn wants '{want}'",
        "write rightid={peer} (leftid= if the peer is left), or change the peer's own id to {want}",
    ),
    saying(
        r"initial \w*\s?\w*\s?message received on (?P<on>\S+) but no connection has been authorized",
        "no-conn-for-peer",
        CONFIG,
        76,
        "a peer calls for which no conn is loaded",
        "load a conn whose ends are these addresses: "
        "ipsec auto --add NAME; left= and right= must be {on} and the address the packet came from",
    ),
    saying(
        r"no acceptable IKE proposal|no acceptable Oakley Transform",
        "ike-mismatch",
        CONFIG,
        78,
        "the peer offers no IKE algorithms that ike= allows here",
        "make ike= of both ends name the same, or leave it out on both: ipsec algparse shows what a string offers",
    ),
    saying(
        r"no acceptable (ESP|AH) proposal|no acceptable Proposal in IPsec SA",
        "esp-mismatch",
        CONFIG,
        78,
        "the peer offers no ESP algorithms that esp= allows here",
        "make esp= (phase2alg=) of both ends name the same, or leave it out on both",
    ),
    saying(
        r"the peer offers no (?P<want>AH|ESP), which",
        "phase2-mismatch",
        CONFIG,
        79,
        "the conn wants {want}, the peer does not offer it",
        "make phase2= the same on both ends",
    ),
    saying(
        r"no connection is known for (?P<flow>\S+)",
        "subnet-mismatch",
        CONFIG,
        78,
        "the peer wants a tunnel for subnets that no conn here has",
        "make leftsubnet= and rightsubnet= of both ends the same pair, and type= too; the peer asks for {flow}",
    ),
    saying(
        r"less than our .* and narrowing=no",
        "subnet-mismatch",
        CONFIG,
        78,
        "the peer's subnets are not those of the conn",
        "make leftsubnet= and rightsubnet= of both ends the same, or write narrowing=yes",
    ),
    saying(
        r'is not what policy for "[^"]*" wants for PFS',
        "pfs-group-mismatch",
        CONFIG,
        82,
        "the peer wants a group for perfect forward secrecy that the conn does not take",
        "end esp= (phase2alg=) of both ends with the same group, as in aes256-sha2_256;modp2048",
    ),
    saying(
        r"we require PFS",
        "pfs-mismatch",
        CONFIG,
        75,
        "one end wants perfect forward secrecy, the other does not",
        "make pfs= the same on both ends",
    ),
    saying(
        r"no current revocation list of '(?P<authority>[^']*)'",
        "crl-expired",
        KEYS,
        80,
        "the revocation list of {authority} is missing or out of date, and strictcrlpolicy insists on one",
        "put a current one into ipsec.d/crls (then: ipsec auto --rereadcrls), and have it renewed in time; or "
        "write strictcrlpolicy=no",
    ),
    saying(
        r"certificate.* (has )?expired|expired on|is no longer valid",
        "peer-cert-expired",
        KEYS,
        79,
        "the peer's certificate has expired",
        "have it renewed, and look at the clocks of both ends",
    ),
    saying(
        r"not yet valid|not valid yet",
        "peer-cert-not-yet-valid",
        KEYS,
        79,
        "a certificate is not valid yet by this clock",
        "set the clock of this host or the peer's, or have the certificate issued anew",
    ),
    saying(
        r"does not vouch for identity '(?P<peer>[^']*)'",
        "peer-cert-name",
        KEYS,
        79,
        "the peer's certificate is not for the name it goes by, '{peer}'",
        "have one issued with {peer} among its subjectAltNames, or make rightid= (and its leftid=) the "
        "certificate's subject",
    ),
    saying(
        r"revoked",
        "peer-cert-revoked",
        KEYS,
        79,
        "the peer's certificate has been revoked",
        "have a new one issued to it",
    ),
    saying(
        r"no authority|no trusted|unknown issuer|no issuer|not.*trusted|candidates exhausted|chain",
        "peer-ca-unknown",
        KEYS,
        78,
        "the peer's certificate comes from an authority that is not known here",
        "put that authority's certificate into ipsec.d/cacerts; then: ipsec auto --rereadcacerts",
    ),
    saying(
        r"unable to locate my private key",
        "no-private-key",
        KEYS,
        80,
        "our private key is not in ipsec.secrets",
        "add it to ipsec.secrets (: RSA FILE); then: ipsec auto --rereadsecrets",
    ),
    saying(
        r"no RSA public key known|Signature check|signature.*(wrong|fail)|RSA authentication failed",
        "peer-key-mismatch",
        KEYS,
        78,
        "the peer's signature does not fit the public key that the conn has for it",
        "compare rightrsasigkey= with `ipsec showhostkey --left' of the peer",
    ),
    saying(
        r"refuses our proof of who we are|refuses.* with AUTHENTICATION_FAILED|AUTHENTICATION_FAILED",
        "peer-refuses-auth",
        PEER,
        72,
        "the peer does not believe who we are, or we did not believe it",
        "compare ipsec.secrets and the ids of both ends; ipsec diagnose on the peer says which of them it is",
    ),
    saying(
        r"refuses the child SA: NO_PROPOSAL_CHOSEN",
        "peer-refuses-esp",
        PEER,
        72,
        "the peer accepts none of our ESP proposals",
        "make esp= (phase2alg=), phase2= and pfs= of both ends the same",
    ),
    saying(
        r"refuses with NO_PROPOSAL_CHOSEN|NO_PROPOSAL_CHOSEN",
        "peer-refuses-ike",
        PEER,
        71,
        "the peer accepts none of our IKE proposals, speaks the other version of IKE, or has no conn for our address",
        "make ike= of both ends the same, and ikev2=; on the peer: ipsec auto --add NAME; diagnose it there",
    ),
    saying(
        r"refuses.*TS_UNACCEPTABLE|INVALID_ID_INFORMATION",
        "peer-refuses-subnets",
        PEER,
        73,
        "the peer has no conn with our subnets",
        "make leftsubnet=, rightsubnet= and type= of both ends the same",
    ),
    saying(
        r"assigned no address|FAILED_CP_REQUIRED|INTERNAL_ADDRESS_FAILURE",
        "no-address-assigned",
        PEER,
        73,
        "the peer has assigned no address",
        "leftsourceip=%config here wants rightaddresspool= there, with addresses left",
    ),
    saying(
        r"unoriented|We cannot identify ourselves",
        "not-ours",
        CONFIG,
        70,
        "neither end of the conn is this host",
        "left= or right= must be an address of this host",
    ),
    saying(
        r"could not route|cannot route",
        "cannot-route",
        MACHINE,
        70,
        "the conn could not be routed",
        "see the line above; ip rule and ip route show table 50 must be free for us",
    ),
    saying(
        r"cannot install eroute|eroute.*in use|it is in use for",
        "eroute-conflict",
        CONFIG,
        74,
        "another conn already has this traffic",
        "give the two different subnets, or overlapip=yes for both",
    ),
    saying(
        r"updown.*(failed|status)|command exited with status",
        "updown-failed",
        MACHINE,
        68,
        "the updown command fails",
        "run it by hand with the environment the log shows, or leave leftupdown= out",
    ),
)
"""Patterns of log lines, the most telling first; what the two ends say to each other comes before what one guesses."""

TELLING = (*(said for said in LIKELY if said.weight), *SAID)
"""What `ipsec diagnose` reads."""


def likely(text: str) -> tuple[Said, dict[str, str]] | None:
    """What a line is likely to come from, with the words it names; None when it names no failure."""
    for said in (*LIKELY, *SAID):
        if match := said.pattern.search(text):
            return said, {name: value or "" for name, value in match.groupdict().items()}
    return None
