# SPDX-License-Identifier: GPL-2.0-or-later
"""What `config setup` tells pluto, and the engine's own constants with their units."""

from __future__ import annotations

from dataclasses import dataclass, field

from openswan.base.address import Address
from openswan.crypto.revocation import Demands, Fetching


@dataclass(frozen=True, slots=True)
class Settings:
    """Daemon-wide choices; times in seconds."""

    uniqueids: bool = True
    """A new IKE SA of a peer that says INITIAL_CONTACT replaces its older ones."""
    keep_alive: float = 20.0
    """Between NAT keepalives (RFC 3948 4); 0: none."""
    force_keepalive: bool = False
    """NAT keepalives also when the peer alone is behind a NAT."""
    shunt_lifetime: float = 900.0
    """shuntlifetime=: what was decided about a pair of hosts stays that long without use."""
    log_limit: bool = True
    """No more than so many lines a second about strangers."""
    force_busy: bool = False
    """Always ask initiators for a cookie (RFC 7296 2.6)."""
    never_busy: bool = False
    """ddos-mode=unlimited: never ask."""
    cookie_threshold: int = 128
    """Half-open IKE SAs of initiators that have shown no cookie from which on initiators are asked for one."""
    cookie_rate: float = 100.0
    """First messages a second from which on initiators are asked for a cookie, whether or not their IKE SAs last."""
    half_open_limit: int = 4096
    """Half-open IKE SAs we answer at most; further strangers are ignored."""
    half_open_per_peer: int = 600
    """The same per source address (IPv6: /64). They have shown a cookie, so they are really there: a gateway that
    brings up hundreds of tunnels at once, or as many peers behind one NAT, stay under it."""
    hide_tos: bool = True
    """hidetos=yes: the DSCP of outer packets is 0; no: it is the inner one's (RFC 4301 5.1.2)."""
    strangers: str = "ipsec1"
    """oe-interface=: what strangers send comes out there."""
    crash_secret: bytes = field(default=b"", repr=False)
    """What crash detection tokens are made with; empty: none are (RFC 6290)."""
    request_certs: bool = True
    """nocrsend=no: ask peers for their certificates."""
    hash_and_url: bool = False
    """Fetch certificates of peers from where ca sections say, and tell the peers (RFC 7296 3.6)."""
    demands: Demands = field(default_factory=Demands)
    """What must be known of a certificate's revocation."""
    fetching: Fetching = field(default_factory=Fetching)
    redirect: str = "no"
    """global-redirect: whether clients are sent elsewhere: no, yes, or auto: when there is much to do (RFC 5685)."""
    redirect_to: tuple[Address, ...] = ()
    ikev1: str = ""
    """ikev1-policy: accept, drop or reject; empty: what comes is for connections that are IKEv1, or dropped."""
    half_open_v1: int = 1024
    """Half-open ISAKMP SAs we answer at most: IKEv1 has no cookies that cost a stranger anything."""
    debug: frozenset[str] = frozenset()
    """plutodebug=: classes of debugging lines (openswan.base.debugclasses)."""
    ike_port: int = 500
    natt_port: int = 4500


FALL_BACK = 5.0
"""UDP has to answer within this where TCP may be tried: the first request is repeated three times."""
MOST_BRISK = 5.0
"""Seconds at most, whatever holdtimeout= is, for which requests are repeated faster because packets wait."""
ONCE = 2.0
"""Seconds for which the only first message that somebody's packet has begun may be answered."""
RETRY_FIRST = 5.0
"""Pause before the second keying attempt; doubles for each further one."""
RETRY_MOST = 300.0
RESOLVE_AGAIN = 60.0
"""A host name without addresses is asked for again after this; doubles up to RESOLVE_MOST."""
RESOLVE_MOST = 600.0
LEAST_TTL, MOST_TTL = 60.0, 86400.0
"""A host name is asked for again when its addresses have reached their age, but not sooner or later than this."""
LOOK_AGAIN = 10.0
"""And when its host does not answer, at most this often."""
LINGER = 5.0
"""An inbound SA that was replaced still accepts what is under way for this long."""
CONFIRM = 90.0
"""As responder of a rekey, the new outbound SA is used once the peer has used it or deleted the old one; without either
after this, which is longer than an initiator asks for an answer that gets lost."""
HELD = 2.0
"""The same for a first SA, and for one on another IKE SA than the older: packets are held meanwhile."""
SWITCH = 5.0
"""As initiator in IKEv1 we go over from an older pair to a new one when the peer does, or so long after it has last
shown that it lacks our last message, which may be slower than our packets, or get lost and be said again."""
UNDER_WAY = 0.1
"""The same for a first pair: packets are held meanwhile."""
ANSWER = 2.0
"""The peer waits this long at most for an answer while the updown commands of the child it asked for run."""
ADMIT = 5.0
"""Packets of a new pair wait this long at most for its updown commands: the packet engine keeps each for 6 seconds."""
SHUTDOWN_PATIENCE = 5.0
"""Updown commands may take this long at shutdown before pluto goes anyway."""
FAILURE_SHUNT_LIFETIME = 60.0
"""A failure shunt falls back to %trap after this, so that traffic tries again."""
