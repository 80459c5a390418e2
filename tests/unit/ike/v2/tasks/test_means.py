# SPDX-License-Identifier: GPL-2.0-or-later
"""Which way a side proves itself, and what each tells the other it takes (RFC 9593)."""

from __future__ import annotations

import pytest

from openswan.crypto import sign
from openswan.ike.v2.tasks import means
from openswan.policy.connection import SIGNATURES
from openswan.policy.connection import Auth as Means
from openswan.wire.v2 import authmethods
from openswan.wire.v2.auth import Auth
from openswan.wire.v2.authmethods import Announcement
from openswan.wire.v2.numbers import AuthMethod, NotifyType
from tests.unit.ike.pair import Pair, ike_policy
from tests.unit.ike.pki import certified, key

BOTH = Means.PSK | Means.RSASIG


def announced(accepted: Means) -> tuple[Announcement, ...]:
    [notify] = means.announce(accepted)
    assert notify.kind == NotifyType.SUPPORTED_AUTH_METHODS
    return authmethods.parse(notify.data)


def test_nothing_is_announced_where_there_is_no_choice() -> None:
    assert means.announce(Means.PSK) == means.announce(Means.NULL) == []


def test_what_is_announced() -> None:
    rows = announced(Means.PSK | Means.NULL | SIGNATURES)
    assert [row.method for row in rows[:2]] == [AuthMethod.SHARED_KEY, AuthMethod.NULL]
    schemes = means.schemes(rows)
    assert {scheme.hash for scheme in schemes} == {"sha256", "sha384", "sha512", "identity"}, "no SHA-1"
    assert len(schemes) == len(rows) - 2 and all(row.link == 0 for row in rows[2:])


def test_what_the_peer_takes_goes_first() -> None:
    policy = ike_policy(my_auth=BOTH, private_key=key("rsa", 1))
    assert means.my_means(policy) is Means.RSASIG
    assert means.my_means(policy, (Announcement(AuthMethod.SHARED_KEY),)) is Means.PSK
    assert means.my_means(policy, announced(Means.RSASIG)) is Means.RSASIG
    assert means.my_means(policy, (Announcement(AuthMethod.RSA, 0),)) is Means.RSASIG
    # Nothing that we have: it may take it all the same.
    assert means.my_means(policy, announced(Means.EDDSA)) is Means.RSASIG


def test_both_ends_tell_and_listen() -> None:
    """The responder's certificate would do, but this initiator takes the shared key alone, and says so."""
    client = ike_policy("@a", "@b", my_auth=Means.PSK, peer_auth=Means.PSK | Means.NULL)
    server = ike_policy("@b", "@a", my_auth=BOTH, peer_auth=BOTH, private_key=key("rsa", 1))
    pair = Pair(client, server).up()
    assert [row.method for row in pair.b.sa.peer_methods] == [AuthMethod.SHARED_KEY, AuthMethod.NULL]
    assert AuthMethod.DIGITAL_SIGNATURE in {row.method for row in pair.a.sa.peer_methods}
    pair.agree()


def test_an_initiator_that_is_told_nothing_tells_nothing() -> None:
    pair = Pair(ike_policy("@a", "@b", peer_auth=BOTH), ike_policy("@b", "@a", peer_auth=Means.PSK)).up()
    assert pair.b.sa.peer_methods == ()


def test_a_malformed_list_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authmethods, "emit", lambda rows: b"\x09\x02")
    pair = Pair(ike_policy("@a", "@b", peer_auth=BOTH), ike_policy("@b", "@a", peer_auth=BOTH)).up()
    assert pair.a.sa.peer_methods == () and any("list of authentication methods" in line for line in pair.a.logs())


def test_a_scheme_the_peer_announced_goes_first() -> None:
    pair = Pair(certified("a", "b"), certified("b", "a"))
    pair.start()
    pair.step()
    [pkcs1] = [s for s in sign.SCHEMES if s.encoding is sign.Encoding.PKCS1 and s.hash == "sha384"]
    rows = (Announcement(AuthMethod.SHARED_KEY), Announcement(AuthMethod.DIGITAL_SIGNATURE, 0, pkcs1.algorithm))
    pair.b.sa.peer_methods = rows
    policy = pair.b.ask.policies[0]
    assert means.choose_scheme(pair.b.sa, policy) is pkcs1
    pair.b.sa.peer_hashes = ("sha256",)
    assert means.choose_scheme(pair.b.sa, policy) == sign.choose(policy.private_key, ("sha256",))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["ed25519", "ed448"])
def test_edwards_curves(kind: str) -> None:
    pair = Pair(certified("a", "b", kind), certified("b", "a", kind)).up()
    pair.agree()
    datagram = next(d for d in pair.log if d.data[18] == 35)
    [proof] = [p for p in pair.peek(datagram) if isinstance(p, Auth)]
    assert means.means_of(proof) is Means.EDDSA
