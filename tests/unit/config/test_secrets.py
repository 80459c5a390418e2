# SPDX-License-Identifier: GPL-2.0-or-later
"""Which secret serves whom."""

from ipaddress import ip_address

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from openswan.config.secrets import Index, Match, Secret, SecretKind, SecretStore, score, spki
from openswan.policy.identity import Identity, parse_identity

ANY = Index(version=4)


def index(text: str) -> Index:
    return ANY if text == "%any" else Index(parse_identity(text))


def psk(indices: str, value: bytes = b"k") -> Secret:
    return Secret(SecretKind.PSK, tuple(map(index, indices.split())), "f:1", shared=value)


def store(*records: tuple[str, bytes]) -> SecretStore:
    return SecretStore(tuple(psk(indices, value) for indices, value in records))


ME, HIM, OTHER = parse_identity("@me"), parse_identity("192.0.2.9"), parse_identity("@other")


@pytest.mark.parametrize(
    ("indices", "him", "want"),
    [
        ("", HIM, Match.DEFAULT),
        ("%any", HIM, Match.ANY),
        ("@me", HIM, Match.ME | Match.DEFAULT),
        ("@me %any", HIM, Match.ME | Match.ANY),
        ("192.0.2.9 %any", HIM, Match.HIM | Match.ANY),
        ("@me 192.0.2.9", HIM, Match.ME | Match.HIM),
        ("192.0.2.9 @me", HIM, Match.ME | Match.HIM),
        ("@me 192.0.2.9 %any", HIM, Match.ME | Match.HIM),
        ("@me @other", HIM, Match.NONE),
        ("192.0.2.9", HIM, Match.NONE),
        ("192.0.2.9 @other", HIM, Match.NONE),
        ("@me 192.0.2.9", None, Match.NONE),
        ("@me %any", None, Match.ME | Match.ANY),
        ("@nobody", HIM, Match.NONE),
    ],
)
def test_score(indices: str, him: Identity | None, want: Match) -> None:
    assert score(psk(indices), ME, him) == want


def test_me_among_others_serves_only_private_keys() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    record = Secret(SecretKind.PRIVATE_KEY, (index("@me"), index("@other")), "f:1", key=key)
    assert score(record, ME, HIM) == Match.ME
    assert SecretStore((record,)).private_key(ME) is key


def test_best_wins_and_the_first_of_equals() -> None:
    keys = store(
        ("", b"default"), ("%any", b"any"), ("@me", b"mine"), ("@me 192.0.2.9", b"both"), ("@me 192.0.2.9", b"2")
    )
    assert keys.psk(ME, HIM) == b"both"
    choice = keys.choose_psk(ME, HIM)
    assert choice is not None and choice.ambiguous
    assert keys.psk(ME, OTHER) == b"mine"
    assert keys.psk(OTHER, OTHER) == b"any"
    assert store(("@a @b", b"x")).psk(ME, HIM) is None
    assert SecretStore().psk(ME, HIM) is None


def test_equal_secrets_are_not_ambiguous() -> None:
    choice = store(("@me 192.0.2.9", b"x"), ("192.0.2.9 @me", b"x")).choose_psk(ME, HIM)
    assert choice is not None and not choice.ambiguous


def test_addresses_stand_in_for_missing_identities() -> None:
    keys = store(("192.0.2.1 192.0.2.9", b"x"))
    mine, his = ip_address("192.0.2.1"), ip_address("192.0.2.9")
    assert keys.psk(None, None, mine, his) == b"x"
    assert keys.psk(None, None, mine) is None
    # Somebody at that address who proves to be @other is not the one this record is for.
    assert keys.psk(None, OTHER, mine, his) is None


def test_bare_names() -> None:
    record = Secret(SecretKind.PSK, (index("@me"), Index(name="gw.example.org")), "f:1", shared=b"x")
    keys = SecretStore((record,))
    assert keys.host_names == ("gw.example.org",)
    assert keys.psk(ME, parse_identity("@gw.example.org")) == b"x"
    assert keys.psk(ME, HIM) is None
    assert keys.with_addresses({"gw.example.org": (ip_address("192.0.2.9"),)}).psk(ME, HIM) == b"x"
    assert keys.with_addresses({"other": ()}) == keys


def test_private_key_by_its_public_half() -> None:
    first, second = (rsa.generate_private_key(65537, 1024) for _ in range(2))
    elliptic = ec.generate_private_key(ec.SECP384R1())
    keys = SecretStore(
        tuple(Secret(SecretKind.PRIVATE_KEY, (), f"f:{n}", key=key) for n, key in enumerate((first, second, elliptic)))
    )
    numbers = second.public_key().public_numbers()
    rfc3110 = b"\x03\x01\x00\x01" + numbers.n.to_bytes(128, "big")
    assert keys.private_key(ME, rfc3110) is second
    assert keys.private_key(ME, b"\0\0\x03\x01\x00\x01" + numbers.n.to_bytes(128, "big")) is second
    der = elliptic.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert keys.private_key(ME, der) is elliptic
    assert keys.private_key(ME, elliptic.public_key()) is elliptic
    assert keys.private_key(ME) is first
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert keys.private_key(ME, stranger) is None
    assert keys.private_key(ME, b"") is None
    assert keys.private_key(ME, b"\x30garbage") is None
    assert [where for where, _ in keys.private_keys] == ["f:0", "f:1", "f:2"]


def test_an_index_of_somebody_else_does_not_serve_without_the_public_key() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    keys = SecretStore((Secret(SecretKind.PRIVATE_KEY, (index("@other"),), "f:1", key=key),))
    assert keys.private_key(ME) is None
    assert keys.private_key(ME, key.public_key()) is key


def test_nothing_secret_in_repr() -> None:
    assert "hunter2" not in repr(store(("@me", b"hunter2")))


def test_spki_of_nonsense() -> None:
    assert spki(object()) is None
    assert spki(b"\x01") is None
