# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE_AUTH with EAP, both sides: the initiator proves itself in as many rounds as it takes (RFC 7296 2.16, RFC 5998).

```
initiator                                          responder
HDR, SK {IDi, [CERTREQ], [IDr], SAi2, TSi, TSr}    -->   (no AUTH: EAP is wanted)
                                                   <--  HDR, SK {IDr, [CERT], AUTH, EAP(request)}
HDR, SK {EAP(response)}                            -->
                                                   <--  HDR, SK {EAP(request)} ...
                                                   <--  HDR, SK {EAP(success)}
HDR, SK {AUTH}                                     -->   (by the key that the method has made)
                                                   <--  HDR, SK {AUTH, SAr2, TSi, TSr}
```
The responder proves itself first, by its own key, so that no password is tried against a stranger. Only a method that
proves both ends lets it do without (EAP-TLS, with N(EAP_ONLY_AUTHENTICATION)).
"""

from __future__ import annotations

from functools import partial

from cryptography.x509 import Certificate

from openswan.base.errors import IkeError, WireError
from openswan.base.interval import Instant
from openswan.crypto import x509
from openswan.crypto.tls import TlsEnd
from openswan.crypto.tokenkey import TokenKey
from openswan.ike import rules
from openswan.ike.eap import mschapv2, tls
from openswan.ike.eap.method import PATIENCE, EapError, PeerMethod, ServerMethod
from openswan.ike.eap.peer import EapPeer
from openswan.ike.eap.server import EapServer
from openswan.ike.policy import IkePolicy
from openswan.ike.rules import Shape
from openswan.ike.v2.core import Core, first_error
from openswan.ike.v2.tasks import auth, cert, ppk
from openswan.policy.connection import EAP
from openswan.policy.connection import Auth as Means
from openswan.policy.identity import Identity, user_identity
from openswan.wire.message import Message
from openswan.wire.v2.auth import Auth
from openswan.wire.v2.body import Payload
from openswan.wire.v2.eap import Eap, EapCode, EapType
from openswan.wire.v2.ident import IdI, IdR
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import AuthMethod, NotifyType

REFUSED = NotifyType.AUTHENTICATION_FAILED
TYPES = {Means.EAP_TLS: EapType.TLS, Means.EAP_MSCHAPV2: EapType.MSCHAPV2}
"""The methods in the order they are offered."""
KINDS = {kind: means for means, kind in TYPES.items()}


def wanted(accepted: Means) -> list[EapType]:
    """The methods a policy means; EAP-only is EAP-TLS."""
    accepted |= Means.EAP_TLS if Means.EAP_ONLY in accepted and not accepted & (EAP & ~Means.EAP_ONLY) else Means(0)
    return [kind for means, kind in TYPES.items() if means in accepted]


def _tls(sa: Core, policy: IkePolicy, server: bool, now: Instant) -> TlsEnd:
    if policy.private_key is None:
        raise IkeError("unable to locate my private key for EAP-TLS", REFUSED)
    if isinstance(policy.private_key, TokenKey):
        raise IkeError("a private key in a token cannot be used for EAP-TLS: it wants one in a file", REFUSED)
    return TlsEnd(
        server=server,
        certificates=policy.certificates,
        key=policy.private_key,
        anchors=policy.anchors,
        at=sa.ask.wall_clock(now),
    )


class ClientRounds:
    """The initiator's side of the rounds."""

    def __init__(self, sa: Core, policy: IkePolicy, me: IdI, now: Instant) -> None:
        self.policy, self.me = policy, me
        self.identity: Identity | None = None
        """Whom the responder has claimed to be, and proved if `proved` says so."""
        self.proved = Means(0)
        self._him: IdR | None = None
        self._chain: tuple[Certificate, ...] = ()
        """What the TLS server has shown."""
        self._last = False
        self._until = now + PATIENCE
        user = policy.eap_identity or auth.name_of(policy.my_id)
        makers = {EapType.TLS: partial(self._make_tls, sa, now), EapType.MSCHAPV2: partial(self._make_mschap, sa, user)}
        self._eap = EapPeer({kind: makers[kind] for kind in wanted(policy.my_auth)}, user)

    @property
    def shared(self) -> bytes:
        """The key that the method has made."""
        return self._eap.msk

    @property
    def mine(self) -> Means:
        """The method that was run."""
        return KINDS.get(self._eap.kind, Means.EAP_ONLY)

    def _make_tls(self, sa: Core, now: Instant) -> PeerMethod:
        return tls.TlsPeer(_tls(sa, self.policy, False, now), partial(self._judge, sa, now))

    def _make_mschap(self, sa: Core, user: str) -> PeerMethod:
        if not self.proved:
            raise EapError("the server has not proved itself: it does not get an answer made of our password")
        password = sa.ask.password(user)
        if password is None:
            raise EapError(f"no password of '{user}' in ipsec.secrets: write '{user} : EAP \"...\"'")
        return mschapv2.MschapPeer(user, password, sa.rng)

    def _judge(self, sa: Core, now: Instant, chain: tuple[bytes, ...]) -> str:
        """The TLS server's certificate; where nothing else proves the responder, it must be the responder's."""
        self._chain = cert.check_chain(self.policy, chain, sa.ask.wall_clock(now))
        leaf = self._chain[0]
        if not self.proved and self.identity is not None:
            cert.require_name(leaf, self.identity)
        return x509.describe(leaf)

    def take(self, sa: Core, answer: Message, now: Instant) -> list[Payload] | None:
        """The next request after a response; None when the responder's last AUTH is good. IpsecError: it is over."""
        refused = first_error(answer)
        packet, proof = answer.first(Eap), answer.first(Auth)
        if refused is not None and packet is None and (proof is None or not self._last):
            raise IkeError(f"the peer refuses IKE_AUTH: {refused.kind}", refused.kind)
        if self._last:
            self._finish(sa, answer, now)
            return None
        if now > self._until:
            raise IkeError(f"EAP has not ended within {PATIENCE:g} seconds", REFUSED)
        if self._him is None:
            self._first(sa, answer, now)
        rules.check(Shape.EAP_RESPONSE, answer.payloads, encrypted=True)
        if packet is None:
            raise WireError("IKE_AUTH response without EAP")
        response = self._eap.take(packet)
        if response is not None:
            return [response]
        self._last = True
        return ppk.prove(sa, self.policy, partial(auth.by_shared_key, sa, self.shared, self.me))

    def _first(self, sa: Core, answer: Message, now: Instant) -> None:
        """Who the responder is, and its proof unless the method will give that."""
        rules.check(Shape.EAP_FIRST_RESPONSE, answer.payloads, encrypted=True)
        him, proof = answer.first(IdR), answer.first(Auth)
        if him is None:
            raise WireError("IKE_AUTH response without identity")
        if proof is None:
            if Means.EAP_ONLY not in self.policy.peer_auth:
                raise IkeError("the peer wants to be believed by EAP alone, which auth=eaponly allows", REFUSED)
            self.identity = auth.claimed_by(sa, him)
        else:
            self.identity = auth.claimed(sa, proof, him)
            if proof.method == AuthMethod.NULL:
                # RFC 7619 2: a responder may not be nobody where EAP is run.
                raise IkeError("the peer proves nothing and wants us to prove ourselves by EAP", REFUSED)
            self.proved = auth.check(sa, self.policy, proof, him, self.identity, answer, now)
        auth.require_identity(self.policy, self.identity)
        self._him = him

    def _finish(self, sa: Core, answer: Message, now: Instant) -> None:
        rules.check(Shape.AUTH_LAST_RESPONSE, answer.payloads, encrypted=True)
        proof = answer.first(Auth)
        if proof is None or self._him is None:
            raise WireError("last IKE_AUTH response without AUTH")
        ppk.accepted(sa, self.policy, answer)
        auth.check_shared_key(sa, self.shared, proof, self._him)
        cert.require_unrevoked(sa, self._chain, now)
        sa.peer_chain = sa.peer_chain or self._chain
        self.proved = self.proved or Means.EAP_ONLY


class ServerRounds:
    """The responder's side of the rounds; `request` is the initiator's first one, which says what it wants."""

    def __init__(self, sa: Core, policy: IkePolicy, request: Message, him: IdI, me: IdR, now: Instant) -> None:
        self.policy, self.request, self.him, self.me = policy, request, him, me
        self._claimed = auth.claimed_by(sa, him)
        self._named: Identity | None = None
        self._chain: tuple[Certificate, ...] = ()
        """What the TLS client has shown."""
        makers = {EapType.TLS: partial(self._make_tls, sa, now), EapType.MSCHAPV2: partial(self._make_mschap, sa)}
        methods = {kind: makers[kind] for kind in wanted(policy.peer_auth)}
        if not methods:
            raise IkeError(f"the peer wants EAP, the connection {policy.name} does not allow it", REFUSED)
        self._eap = EapServer(methods, sa.rng.octets(1)[0])
        self.over = False
        """Is EAP over, so that AUTH must follow?"""

    @property
    def shared(self) -> bytes:
        """The key that the method has made."""
        return self._eap.msk

    @property
    def proved(self) -> Means:
        """The method that was run."""
        return KINDS.get(self._eap.kind, Means.EAP_ONLY)

    def begin(self) -> Eap:
        """The first question."""
        return self._eap.begin()

    def _make_tls(self, sa: Core, now: Instant, user: str) -> ServerMethod:
        return tls.TlsServer(_tls(sa, self.policy, True, now), partial(self._judge, sa, now, user))

    def _make_mschap(self, sa: Core, user: str) -> ServerMethod:
        name = auth.name_of(self.policy.my_id)
        return mschapv2.MschapServer(name, sa.ask.password, sa.rng, self.policy.eap_identity)

    def _judge(self, sa: Core, now: Instant, user: str, chain: tuple[bytes, ...]) -> str:
        """Who the certificate says the initiator is: what it has claimed if that is so, else the subject."""
        self._chain = cert.check_chain(self.policy, chain, sa.ask.wall_clock(now))
        leaf = self._chain[0]
        claims = [self._claimed, *([user_identity(user)] if user else [])]
        named = next((claim for claim in claims if cert.carries_name(leaf, claim)), cert.subject_identity(leaf))
        auth.require_identity(self.policy, named)
        self._named = named
        return str(named)

    def take(self, sa: Core, request: Message) -> list[Payload]:
        """The answer to one round; IkeError when the initiator has failed, WireError when that is no round."""
        rules.check(Shape.EAP_REQUEST, request.payloads, encrypted=True)
        packet = request.first(Eap)
        if packet is None or self.over:
            raise WireError("IKE_AUTH request without what was asked for")
        answer = self._eap.take(packet)
        if answer.code == EapCode.SUCCESS:
            self.over = True
            sa.log(f"EAP method {self._eap.kind} succeeded, user is '{self._eap.user}'")
        return [answer]

    @property
    def trouble(self) -> str:
        """Why the method was about to fail, when the initiator ends it first."""
        return self._eap.trouble

    @property
    def failure(self) -> str:
        """Why EAP has failed; empty as long as it has not."""
        return self._eap.failure

    def finish(self, sa: Core, request: Message, now: Instant) -> tuple[Identity, list[Payload]]:
        """Whom the initiator has proved to be, and what we say last; IkeError when its own is not by the shared key."""
        rules.check(Shape.AUTH_LAST_REQUEST, request.payloads, encrypted=True)
        proof = request.first(Auth)
        if proof is None or not self.shared:
            raise WireError("last IKE_AUTH request without AUTH")
        proof, tail = ppk.judge(sa, self.policy, request, proof)
        auth.check_shared_key(sa, self.shared, proof, self.him)
        cert.require_unrevoked(sa, self._chain, now)
        sa.peer_chain = self._chain
        identity = self._named or user_identity(self._eap.user)
        return identity, [auth.by_shared_key(sa, self.shared, self.me), *tail]


def eap_only(policy: IkePolicy) -> list[Payload]:
    """The initiator's word that the responder need not sign (RFC 5998 3)."""
    return [Notify(NotifyType.EAP_ONLY_AUTHENTICATION)] if Means.EAP_ONLY in policy.peer_auth else []


def need_not_sign(policy: IkePolicy, request: Message) -> bool:
    """May we as responder leave our proof to the method? Only if both want that, and only EAP-TLS can (RFC 5998 4)."""
    if Means.EAP_ONLY not in policy.my_auth or wanted(policy.peer_auth) != [EapType.TLS]:
        return False
    return request.notify(NotifyType.EAP_ONLY_AUTHENTICATION) is not None
