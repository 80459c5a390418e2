# SPDX-License-Identifier: GPL-2.0-or-later
"""THE table of event codes: what programs may rely on in log lines, whatever their wording (docs/EVENTS.md)."""

from __future__ import annotations

from openswan.base.log import Rc

EVENTS: dict[str, str] = {
    "acquire": "a packet met a trap: its connection is being negotiated",
    "acquire-orphan": "a packet met a trap that no connection owns",
    "bad-packet": "somebody unknown sent what cannot be used; the line says why",
    "cannot-initiate": "a negotiation could not begin; the line says why",
    "cert-fetched": "a certificate named by hash and URL was fetched",
    "certificates": "certificates and revocation lists of ipsec.d were read",
    "child-established": "a pair of IPsec SAs is up",
    "child-expired": "a pair of IPsec SAs has come to its end",
    "child-rekey": "a pair of IPsec SAs is being replaced",
    "conn-added": "a connection was loaded",
    "conn-deleted": "a connection was forgotten",
    "conn-gone": "a peer has proved itself for a connection that is not loaded any more",
    "crl-fetched": "a certificate revocation list was fetched",
    "debug": "a line of debugging (plutodebug=); `ipsec whack --events' has none of them",
    "delete-again": "a peer has not heard that a pair of IPsec SAs was replaced, and is told once more",
    "disoriented": "neither end of a loaded connection is an address of this host any more",
    "dns-record": "a DNS record of opportunistic encryption cannot be used",
    "dpd-clear": "a dead peer's connection was cleared",
    "dpd-heard": "a peer taken for silent has been heard",
    "dpd-hold": "a dead peer's connection waits for traffic",
    "dpd-restart": "a dead peer's connection begins anew",
    "dpd-silent": "a peer does not answer; a new negotiation begins beside the old SAs",
    "eroute-conflict": "another connection has the same traffic",
    "esp-blocked": "IKE passes, ESP does not",
    "failed": "a negotiation has failed; the line says why",
    "fetch": "a certificate, revocation list or OCSP answer could not be fetched or used",
    "first-packet": "the first packet of a pair of hosts in a policy group",
    "group": "a policy group's file was read",
    "ike": "what an IKE SA has to say about its course",
    "ike-expired": "an IKE SA has come to its end",
    "ike-failed": "the negotiation of an IKE SA has failed; the line says why",
    "ike-rekey": "an IKE SA is being replaced",
    "ike-rekeyed": "an IKE SA has been replaced",
    "klips-refused": "the packet engine refused an SA or an eroute",
    "listen": "IKE is listened for",
    "moving": "our address has changed and the SAs move",
    "network-error": "the network says that a message of ours did not arrive; anybody can forge that",
    "no-answer": "a peer has not answered in all the time it had",
    "no-interfaces": "there is no address to listen on",
    "no-secret": "ipsec.secrets has nothing to prove ourselves with",
    "notification": "an exchange was refused by the peer or by us; the line names the notification",
    "ocsp": "what an OCSP responder says about a certificate",
    "offload": "the kernel refuses to take packets in batches",
    "pair": "what has become of a pair of hosts in a policy group",
    "pool-share": "as many peers that prove nothing have addresses behind one address as may",
    "redirect-refused": "a peer's wish to send us elsewhere was not followed",
    "redirected": "a peer has sent us elsewhere",
    "remedy": "what a failure is likely to come from, and what to do about it",
    "reread": "what is wrong with a file that was read again",
    "retransmission": "a request is repeated",
    "revoked": "a peer's certificate has been revoked",
    "route-failed": "a connection could not be routed",
    "shutdown": "the daemon ends",
    "stranded": "our address is gone; traffic waits for another",
    "tcp": "a TCP connection that carries IKE and ESP, opened, lost or closed",
    "tcp-fallback": "nobody answers in UDP: TCP is tried",
    "trigger": "a host of a policy group sends in clear, and is asked for a tunnel",
    "unknown-spi": "a peer sends ESP of an SA we do not have",
    "unlisten": "IKE is no longer listened for",
    "unresolved": "a host name of a connection cannot be resolved",
    "updown-failed": "an updown command has failed",
}
"""Code -> what has happened. A code is never given another meaning."""

BY_REPLY = {Rc.RETRANSMISSION: "retransmission", Rc.NORETRANSMISSION: "no-answer"}
"""Reply codes that say it already."""


def of_reply(code: int) -> str:
    """The event a line with this reply code is when it names none itself; empty: none."""
    if code > Rc.NOTIFICATION:
        return "notification"
    return next((event for reply, event in BY_REPLY.items() if reply == code), "")
