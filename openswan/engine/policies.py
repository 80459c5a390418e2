# SPDX-License-Identifier: GPL-2.0-or-later
"""From connections and secrets to what an IKE SA needs to know; built once and kept until secrets change."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from openswan.base.address import Address, any_subnet
from openswan.base.errors import ConfigError, CryptoError
from openswan.base.hashed import Hashed
from openswan.config.secrets import SecretKind, SecretStore
from openswan.crypto.tokenkey import SigningKey
from openswan.crypto.trust import MAX_DEPTH
from openswan.crypto.x509 import chain_to_send as x509_chain
from openswan.crypto.x509 import der, load
from openswan.engine.conn import Conn
from openswan.engine.identities import identity_of
from openswan.engine.settings import FALL_BACK, MOST_BRISK, ONCE
from openswan.ike.certificates import carries_name, trust_store
from openswan.ike.policy import ChildPolicy, IkePolicy
from openswan.ike.resumption import TicketBox
from openswan.policy.connection import EAP, SAME_CA, SIGNATURES, Auth, Connection, End, PpkUse, SendCa, TcpUse
from openswan.policy.dn import dn_matches, parse_dn
from openswan.policy.gateways import Gateway
from openswan.policy.identity import Identity, IdKind, address_identity
from openswan.policy.selector import Selector

MAX_CHILDREN = 8192
"""Children on one IKE SA; as many as conns between two gateways are plausible."""


@lru_cache(maxsize=1024)
def chain_to_send(leaf: bytes, more: tuple[bytes, ...], anchors: tuple[bytes, ...], which: SendCa) -> tuple[bytes, ...]:
    """Our certificate and the intermediate ones the peer needs, DER; from the certificate's own file and cacerts."""
    try:
        candidates = [load(data) for data in (*more, *anchors)] if which is not SendCa.NONE else []
        chain = x509_chain(load(leaf), candidates)
    except CryptoError:
        return (leaf,)  # it was read when the connection was loaded; another's mistake must not keep ours back
    return tuple(der(cert) for cert in chain[: None if which is SendCa.ALL else 2])


def required_authority(ours: End, theirs: End) -> bytes:
    """DER of the name that the peer's chain must lead through; empty when any authority of cacerts will do."""
    if theirs.ca != SAME_CA:
        return parse_dn(theirs.ca) if theirs.ca else b""
    if ours.ca and ours.ca != SAME_CA:
        return parse_dn(ours.ca)
    known = ours.cert or theirs.cert
    return issuer(known) if known else b""


def bad_authority(policy: Connection) -> str:
    """What is wrong with the authorities a connection names; empty: nothing."""
    for end in (policy.left, policy.right):
        if end.ca and end.ca != SAME_CA:
            try:
                parse_dn(end.ca)
            except ConfigError as why:
                return str(why)
    return ""


@lru_cache(maxsize=4096)
def issuer(certificate: bytes) -> bytes:
    """DER of the name a certificate was issued under; CryptoError when it cannot be read."""
    return load(certificate).issuer.public_bytes()


def signature(conn: Conn) -> Hashed | None:
    """What two connections must have in common to share an IKE SA: who talks to whom, and how."""
    policy, oriented = conn.policy, conn.oriented
    if oriented is None:
        return None
    ours, theirs = oriented.ours, oriented.theirs
    return Hashed(
        identity_of(ours, oriented.me),
        conn.peer_id or identity_of(theirs, oriented.peer),
        policy.proof(ours),
        policy.proof(theirs),
        policy.ike_version,
        policy.aggressive,
        policy.ike_proposals,
        ours.cert,
        ours.ca,
        ours.send_ca,
        ours.rsa_keys,
        ours.use_cert_key,
        theirs.cert,
        theirs.rsa_keys,
        theirs.dns_key,
        called_by(conn.gateway),
        theirs.use_cert_key,
        theirs.ca,
        policy.mobike,
        theirs.pools,
        ours.ask_addresses,
        conn.asks_behind_nat,
        *((end.xauth_server, end.xauth_client, end.xauth_name) for end in (ours, theirs)),
        policy.dns,
        policy.wins,
        policy.banner,
        policy.config_pull,
        policy.xauth_by,
        policy.domains,
        policy.resumption,
        policy.childless,
        policy.intermediate,
        policy.ppk,
        policy.ppk_ids,
        policy.eap_identity,
        conn.encapsulation,
        conn.in_stream,
        policy.accept_redirect,
        policy.send_redirect,
        policy.redirect_to,
        policy.tcp_port,
        policy.ike_lifetime,
        policy.retransmit_timeout,
        policy.retransmit_interval,
    )


def called_by(gateway: Gateway | None) -> Identity | None:
    """The name the DNS has for a gateway we call, which it may go by."""
    return Identity(IdKind.FQDN, gateway.name.encode()) if gateway is not None and gateway.name else None


def exact_claim(identity: Identity | None) -> Hashable:
    """A key that equals another's when two identities match; None for those that can match in other ways."""
    if identity is None or identity.kind in (IdKind.DER_ASN1_DN, IdKind.DER_ASN1_GN, IdKind.NULL):
        return None
    if identity.kind in (IdKind.FQDN, IdKind.USER_FQDN):
        return None if b"*" in identity.body else (identity.kind, identity.body.lower().rstrip(b"."))
    return identity.kind, identity.body


class PskIndex:
    """Finds the few records of ipsec.secrets that can serve a peer, among thousands that cannot."""

    def __init__(self, store: SecretStore) -> None:
        self.store = store
        self.open: list[int] = []
        """Records that may serve peers they do not name: without index, with one, with %any or a host name."""
        self.naming: dict[Hashable, list[int]] = {}
        for number, secret in enumerate(store.secrets):
            if secret.kind is not SecretKind.PSK:
                continue
            claims = [exact_claim(index.identity) for index in secret.indices]
            if len(claims) < 2 or None in claims:
                self.open.append(number)
            else:
                for claim in dict.fromkeys(claims):
                    self.naming.setdefault(claim, []).append(number)

    def psk(self, me: Identity, him: Identity | None, my_address: Address, his_address: Address | None) -> bytes | None:
        """SecretStore.psk of those records; they keep their order, which decides between equals."""
        known = him if him is not None or his_address is None else address_identity(his_address)
        claim = exact_claim(known)
        if claim is None:
            return self.store.psk(me, him, my_address, his_address)
        numbers = sorted({*self.open, *self.naming.get(claim, ())})
        few = SecretStore(tuple(self.store.secrets[number] for number in numbers))
        return few.psk(me, him, my_address, his_address)


@dataclass(eq=False)
class Keyring:
    """Secrets and trust anchors, and the policies built from them."""

    secrets: SecretStore = field(default_factory=SecretStore)
    anchors: tuple[bytes, ...] = ()
    request_certs: bool = True
    fetch_certs: bool = False
    """Peers are told that hash and URL of their certificates will do."""
    bases: Mapping[bytes, str] = field(default_factory=dict)
    """certuribase= by DER of the name of the authority."""
    index: PskIndex | None = None
    box: TicketBox | None = None
    """Who seals our tickets; made when it is first needed, and anew when secrets have changed."""
    cache: dict[tuple[str, Hashable, Identity | None, bool], IkePolicy] = field(default_factory=dict)

    def forget(self) -> None:
        """Secrets, certificates or connections have changed."""
        self.cache.clear()

    def ike(self, conn: Conn, sign: Hashable, peer_id: Identity | None = None, first: bool = False) -> IkePolicy:
        """The IKE policy of an oriented connection.

        `peer_id` is what the peer claims to be when it is the one who asked; `first`: we know no other SA with it.
        """
        key = (conn.unique, sign, peer_id, first)
        known = self.cache.get(key)
        if known is None:
            if len(self.cache) > 20000:  # claimed identities are a stranger's choice
                self.cache.clear()
            known = self.cache[key] = self._ike(conn, peer_id, first)
        return known

    def _ike(self, conn: Conn, claimed: Identity | None, first: bool) -> IkePolicy:
        policy, oriented = conn.policy, conn.oriented
        if oriented is None:
            raise ValueError(f"{conn.label} is not oriented")
        ours, theirs = oriented.ours, oriented.theirs
        mine = identity_of(ours, oriented.me) or address_identity(oriented.me)
        wanted = conn.peer_id or identity_of(theirs, oriented.peer)
        known = claimed if claimed is not None else wanted
        my_auth, peer_auth = policy.proof(ours), policy.proof(theirs)
        psk = b""
        if (my_auth | peer_auth) & Auth.PSK:
            if self.index is None or self.index.store is not self.secrets:
                self.index = PskIndex(self.secrets)
            psk = self.index.psk(mine, known, oriented.me, oriented.peer) or b""
        certificates = self._certificates(ours, mine)
        return IkePolicy(
            name=conn.unique,
            proposals=policy.ike_proposals,
            my_id=mine,
            peer_id=wanted,
            my_auth=my_auth,
            peer_auth=peer_auth,
            psk=psk,
            private_key=self._private(conn, mine, known, certificates[0] if certificates else b""),
            # What the DNS says of a peer is asked each time.
            resumption=policy.resumption and not theirs.dns_key,
            childless=policy.childless,
            intermediate=policy.intermediate,
            ppk=policy.ppk,
            ppks=self.secrets.ppks(mine, known, policy.ppk_ids) if policy.ppk is not PpkUse.NO else (),
            eap_identity=policy.eap_identity,
            certificates=certificates,
            certificate_bases=tuple(map(self._base, certificates)) if self.bases else (),
            send_cert=ours.send_cert,
            peer_keys=theirs.rsa_keys,
            peer_published=theirs.dns_key,
            peer_name=called_by(conn.gateway),
            peer_certificate=theirs.cert,
            peer_by_certificate=theirs.use_cert_key and not theirs.cert,
            anchors=self.anchors,
            peer_ca=required_authority(ours, theirs),
            request_certs=self.request_certs,
            fetch_certs=self.fetch_certs,
            encapsulation=conn.encapsulation,
            retransmit_interval=policy.retransmit_interval,
            retransmit_timeout=policy.retransmit_timeout,
            # What a stranger's packet has begun is never repeated, and nothing is kept for it.
            brisk=min(policy.hold_timeout, MOST_BRISK) if conn.group is not None and not conn.once else 0.0,
            init_once=conn.once,
            init_timeout=ONCE if conn.once else FALL_BACK if policy.tcp is TcpUse.FALLBACK and not conn.in_tcp else 0.0,
            accept_redirect=policy.accept_redirect,
            redirected_from=conn.redirected_from,
            fragmentation=policy.fragmentation,
            initial_contact=first and policy.initial_contact,
            max_children=MAX_CHILDREN,
            mobike=policy.mobike and policy.tunnel,
            ask_addresses=(oriented.me.version,) if conn.asks_behind_nat else ours.ask_addresses,
            assigns=bool(theirs.pools),
            only_behind_nat=conn.group is not None,
        )

    def _certificates(self, ours: End, mine: Identity) -> tuple[bytes, ...]:
        """Our certificate and those above it: leftcert=, or of a PKCS#12 file the one that bears our identity."""
        if ours.cert:
            return chain_to_send(ours.cert, ours.cert_chain, self.anchors, ours.send_ca)
        if ours.use_cert_key:
            for secret in self.secrets.secrets:
                if secret.certificates and carries_name(load(secret.certificates[0]), mine):
                    return chain_to_send(secret.certificates[0], secret.certificates[1:], self.anchors, ours.send_ca)
        return ()

    def _base(self, certificate: bytes) -> str:
        """What stands before its hash where peers can fetch a certificate; empty: they cannot."""
        return self.bases.get(load(certificate).issuer.public_bytes(), "")

    def _private(self, conn: Conn, mine: Identity, known: Identity | None, certificate: bytes) -> SigningKey | None:
        if conn.oriented is None:
            return None
        ours = conn.oriented.ours
        if not (conn.policy.auth | conn.policy.proof(ours)) & (SIGNATURES | Auth.EAP_TLS | Auth.EAP_ONLY):
            return None
        for public in ((certificate,) if certificate else ours.rsa_keys) or (None,):
            key = self.secrets.private_key(mine, public, known)
            if key is not None:
                return key
        return None

    def may_lead_to(self, policy: IkePolicy, issuers: tuple[bytes, ...]) -> bool:
        """Could certificates issued under these names come from the authority a policy wants? None sent: they could."""
        if not policy.peer_ca or not issuers:
            return True
        names = set(issuers)
        for _ in range(MAX_DEPTH):
            above = {
                cert.issuer.public_bytes()
                for cert in trust_store(self.anchors).authorities
                if cert.subject.public_bytes() in names
            }
            if above <= names:
                break
            names |= above
        return any(dn_matches(policy.peer_ca, name) for name in names)

    def lacks(self, conn: Conn, policy: IkePolicy) -> str:
        """Why we could not prove ourselves under `policy`; empty when we can."""
        if policy.ppk is PpkUse.INSIST and not policy.ppks:
            return 'Can\'t authenticate: ppk=insist and no postquantum key; add `: PPKS "name" "..."\' to ipsec.secrets'
        if policy.my_auth & Auth.PSK and policy.psk:
            return ""
        if policy.my_auth & SIGNATURES and policy.private_key is not None:
            return ""
        if policy.my_auth & (Auth.NULL | Auth.XAUTH):  # whether there is a password shows when it is asked for
            return ""
        if policy.my_auth & EAP:
            return self._lacks_eap(policy)
        if policy.my_auth & Auth.PSK:
            peer = policy.peer_id if policy.peer_id is not None else "%any"
            return (
                f"Can't authenticate: no preshared key found for `{policy.my_id}' and `{peer}'; add it to ipsec.secrets"
            )
        return f"unable to locate my private key for signature (identity {policy.my_id}); add it to ipsec.secrets"

    def _lacks_eap(self, policy: IkePolicy) -> str:
        if policy.my_auth & Auth.EAP_MSCHAPV2:
            user = policy.eap_identity or str(policy.my_id).removeprefix("@")
            if self.secrets.password(user) is not None:
                return ""
            if not policy.my_auth & ~Auth.EAP_MSCHAPV2:
                return f"Can't authenticate: no password of '{user}' found; add `{user} : EAP \"...\"' to ipsec.secrets"
        if policy.private_key is not None and policy.certificates:
            return ""
        return "Can't authenticate: EAP-TLS needs a certificate of ours (cert=) and its key in ipsec.secrets"


def child_policy(conn: Conn) -> ChildPolicy:
    """The child policy of a connection whose selectors are known."""
    if conn.local is None or conn.remote is None:
        raise ValueError(f"{conn.label} has no selectors")
    # What is assigned is narrowed by the peer from everything (RFC 7296 2.19).
    mine = Selector.of(any_subnet(conn.inner_version)) if conn.virtual else conn.local
    return selected_policy(conn, (mine,), (conn.remote,))


def selected_policy(conn: Conn, mine: tuple[Selector, ...], theirs: tuple[Selector, ...]) -> ChildPolicy:
    """A connection's child policy with these selectors."""
    policy = conn.policy
    return ChildPolicy(
        conn.unique,
        policy.esp_proposals,
        mine,
        theirs,
        policy.pfs,
        policy.narrowing,
        pfs_optional=policy.pfs_optional,
        transport=not policy.tunnel,
        compress=policy.compress,
        unpadded=policy.refuse_tfc,
        virtual=conn.virtual,
        cat=conn.translated,
        trigger=conn.trigger,
    )
