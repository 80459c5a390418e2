# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies from connections and secrets."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from openswan.config.secrets import Index, Secret, SecretKind, SecretStore
from openswan.engine.conn import Conn, Oriented
from openswan.engine.identities import subject
from openswan.engine.policies import (
    Keyring,
    PskIndex,
    child_policy,
    exact_claim,
    issuer,
    required_authority,
    signature,
)
from openswan.policy.connection import Auth
from openswan.policy.identity import parse_identity
from tests.sim.pair import EAST, EAST_NET, WEST, WEST_NET, conn, end, psk, rfc3110, rsa_key, rsa_secrets, tunnel


def placed(policy, peer: str = EAST) -> Conn:  # type: ignore[no-untyped-def]
    it = Conn(policy)
    address = ip_address(peer) if peer else None
    it.orient(Oriented(policy.left, policy.right, True, ip_address(WEST), "eth0", "ipsec0", address, None))
    return it


def certificate(name: str) -> bytes:
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(rsa_key(1).public_key())
    builder = builder.serial_number(7).not_valid_before(now).not_valid_after(now + timedelta(days=3650))
    return builder.sign(rsa_key(1), hashes.SHA256()).public_bytes(Encoding.DER)


def test_a_psk_policy() -> None:
    keyring = Keyring(psk("@west", "@east", b"shared"))
    it = placed(tunnel()[0])
    policy = keyring.ike(it, signature(it))
    assert policy.psk == b"shared"
    assert (str(policy.my_id), str(policy.peer_id)) == ("@west", "@east")
    assert keyring.lacks(it, policy) == ""
    assert keyring.ike(it, signature(it)) is policy, "built once"
    assert "shared" not in repr(policy)
    keyring.secrets = SecretStore()
    keyring.forget()
    assert "no preshared key found" in keyring.lacks(it, keyring.ike(it, signature(it)))


def test_what_a_conn_says_of_messages_goes_into_its_policy() -> None:
    for yes in (True, False):
        keyring = Keyring(psk("@west", "@east", b"shared"))
        it = placed(replace(tunnel()[0], fragmentation=yes, initial_contact=yes))
        made = keyring.ike(it, signature(it))
        assert made.fragmentation is yes and (yes or not made.initial_contact)


def test_the_same_authority_is_that_of_whichever_end_has_a_certificate() -> None:
    der = certificate("gw")
    plain, same, with_cert = end(WEST), replace(end(EAST), ca="%same"), end(WEST, cert=der)
    assert required_authority(with_cert, same) == required_authority(plain, replace(same, cert=der)) == issuer(der)
    assert required_authority(plain, same) == b"" and issuer(der)


def test_an_rsa_policy_takes_the_private_half_of_what_the_peer_was_given() -> None:
    keyring = Keyring(rsa_secrets(1))
    left = end(WEST, WEST_NET, "@west", rsa_keys=(rfc3110(rsa_key(1)),))
    it = placed(conn("r", left, end(EAST, EAST_NET, "@east"), auth=Auth.RSASIG))
    policy = keyring.ike(it, signature(it))
    assert policy.private_key is rsa_key(1)
    other = placed(replace(it.policy, left=replace(left, rsa_keys=(rfc3110(rsa_key(2)),))))
    assert "unable to locate my private key" in keyring.lacks(other, keyring.ike(other, signature(other)))


def test_certificates_of_the_peer() -> None:
    der = certificate("peer")
    keyring = Keyring(rsa_secrets(1), anchors=(der,))
    by_ca = placed(conn("c", end(WEST, cert=certificate("me")), end(EAST, use_cert_key=True), auth=Auth.RSASIG))
    policy = keyring.ike(by_ca, signature(by_ca))
    assert policy.peer_by_certificate and policy.anchors == (der,) and policy.certificates
    pinned = placed(conn("p", end(WEST), end(EAST, use_cert_key=True, cert=der), auth=Auth.RSASIG))
    policy = keyring.ike(pinned, signature(pinned))
    assert policy.peer_certificate == der and not policy.peer_by_certificate


def test_where_our_certificates_can_be_fetched() -> None:
    """That is what the ca section of their issuer says."""
    keyring = Keyring(rsa_secrets(1), bases={subject(certificate("me")).body: "http://certs/"})  # type: ignore[union-attr]
    sides = end(WEST, cert=certificate("me")), end(EAST, use_cert_key=True)
    me = placed(conn("c", *sides, auth=Auth.RSASIG))
    policy = keyring.ike(me, signature(me))
    assert policy.certificate_bases == ("http://certs/",) and not policy.fetch_certs
    keyring.bases = {b"another": "http://other/"}
    keyring.fetch_certs = True
    keyring.forget()
    policy = keyring.ike(me, signature(me))
    assert policy.certificate_bases == ("",) and policy.fetch_certs


def test_signatures_tell_apart_what_must_not_share_an_ike_sa() -> None:
    base = placed(tunnel()[0])
    same = placed(replace(base.policy, name="other", ipsec_lifetime=60.0))
    assert signature(base) == signature(same)
    for change in (
        {"auth": Auth.RSASIG},
        {"ike_lifetime": 60.0},
        {"encapsulation": "yes"},
        {"left": end(WEST, WEST_NET, "@somebody")},
        {"right": end(EAST, EAST_NET, "@somebody")},
        {"right": end(EAST, EAST_NET, "@east", ca="CN=x")},
    ):
        assert signature(base) != signature(placed(replace(base.policy, **change))), change
    assert signature(Conn(base.policy)) is None


def test_the_cache_of_claimed_identities_is_bounded() -> None:
    keyring = Keyring(psk("@west", "%any"))
    it = placed(conn("rw", end(WEST, WEST_NET, "@west"), end("%any", EAST_NET)), "")
    for n in range(20_050):
        keyring.ike(it, 0, parse_identity(f"@p{n}"))
    assert len(keyring.cache) <= 20_001


def test_child_policy_and_what_it_needs() -> None:
    it = placed(tunnel(narrowing=True, pfs=False)[0])
    policy = child_policy(it)
    assert policy.mine == (it.local,) and policy.theirs == (it.remote,)
    assert policy.narrowing and not policy.pfs
    with pytest.raises(ValueError, match="no selectors"):
        child_policy(Conn(it.policy))


@pytest.mark.parametrize("seed", range(20))
def test_the_index_of_preshared_keys_finds_what_a_search_finds(seed: int) -> None:
    dice = random.Random(seed)
    names = [f"@n{n}" for n in range(6)] + ["192.0.2.1", "198.51.100.7", "@*.example.org", "user@example.org"]
    secrets = []
    for number in range(40):
        indices = [Index(parse_identity(name)) for name in dice.sample(names, dice.randrange(4))]
        if dice.random() < 0.2:
            indices.append(Index(version=4))
        if dice.random() < 0.1:
            indices.append(Index(name="gw.example.org"))
        secrets.append(Secret(SecretKind.PSK, tuple(indices), f"t:{number}", b"%d" % number))
    store = SecretStore(tuple(secrets))
    index = PskIndex(store)
    for _ in range(100):
        me = parse_identity(dice.choice(names))
        him = parse_identity(dice.choice([*names, "@N3", "@x.example.org"])) if dice.random() < 0.9 else None
        address = ip_address(dice.choice(("198.51.100.7", "203.0.113.9")))
        assert index.psk(me, him, ip_address(WEST), address) == store.psk(me, him, ip_address(WEST), address)


def test_claims() -> None:
    assert exact_claim(parse_identity("@GW.example.org.")) == exact_claim(parse_identity("@gw.Example.org"))
    assert exact_claim(parse_identity("@gw")) != exact_claim(parse_identity("u@gw"))
    assert exact_claim(parse_identity("@*.example.org")) is None
    assert exact_claim(parse_identity("CN=x")) is None
    assert exact_claim(None) is None
