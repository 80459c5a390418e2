# SPDX-License-Identifier: GPL-2.0-or-later
"""Authentication methods: by what each end proves itself in phase 1, and who is asked for a password after it.

RFC 2409 5.1 and 5.4, draft-beaulieu-ike-xauth-02 7.2, draft-ietf-ipsec-isakmp-hybrid-auth-05 3.
"""

from __future__ import annotations

from dataclasses import dataclass

from openswan.wire.v1.auth import Hash, Sig
from openswan.wire.v1.body import Payload
from openswan.wire.v1.numbers import AuthMethod


@dataclass(frozen=True, slots=True)
class Method:
    """One method. Hybrid: who is asked for a password has proved nothing before it."""

    by_secret: bool
    """SKEYID is made of a preshared key."""
    initiator: type[Payload]
    """What the initiator proves itself by: HASH_I, or SIG_I;"""
    responder: type[Payload]
    """and the responder."""
    asks_initiator: bool = False
    """XAUTH follows, and the initiator is the client;"""
    asks_responder: bool = False
    """or the responder is."""

    def proof(self, initiator: bool) -> type[Payload]:
        """The class of an end's proof."""
        return self.initiator if initiator else self.responder

    def is_client(self, initiator: bool) -> bool:
        """Is that end asked for its password?"""
        return self.asks_initiator if initiator else self.asks_responder

    def is_server(self, initiator: bool) -> bool:
        """Does that end ask?"""
        return self.is_client(not initiator)

    def proves_nothing(self, initiator: bool) -> bool:
        """Does that end's proof say nothing about who it is?"""
        return not self.by_secret and self.proof(initiator) is Hash


ECDSA = (AuthMethod.ECDSA_256, AuthMethod.ECDSA_384, AuthMethod.ECDSA_521)
"""By a key on the curve of that size (RFC 4754); their numbers are IKEv2's."""
METHODS: dict[AuthMethod, Method] = {
    AuthMethod.PRE_SHARED_KEY: Method(True, Hash, Hash),
    AuthMethod.RSA_SIG: Method(False, Sig, Sig),
    **dict.fromkeys(ECDSA, Method(False, Sig, Sig)),
    AuthMethod.XAUTH_INIT_PRE_SHARED: Method(True, Hash, Hash, asks_initiator=True),
    AuthMethod.XAUTH_RESP_PRE_SHARED: Method(True, Hash, Hash, asks_responder=True),
    AuthMethod.XAUTH_INIT_RSA: Method(False, Sig, Sig, asks_initiator=True),
    AuthMethod.XAUTH_RESP_RSA: Method(False, Sig, Sig, asks_responder=True),
    AuthMethod.HYBRID_INIT_RSA: Method(False, Hash, Sig, asks_initiator=True),
    AuthMethod.HYBRID_RESP_RSA: Method(False, Sig, Hash, asks_responder=True),
}
"""Those there is code for."""
WITH_XAUTH = {
    AuthMethod.PRE_SHARED_KEY: (AuthMethod.XAUTH_INIT_PRE_SHARED, AuthMethod.XAUTH_RESP_PRE_SHARED),
    AuthMethod.RSA_SIG: (AuthMethod.XAUTH_INIT_RSA, AuthMethod.XAUTH_RESP_RSA),
}
"""The same with XAUTH behind it: the initiator is the client, or the responder is."""
HYBRID = (AuthMethod.HYBRID_INIT_RSA, AuthMethod.HYBRID_RESP_RSA)
