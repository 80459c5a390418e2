# SPDX-License-Identifier: GPL-2.0-or-later
"""Scapy's IPsec layer as a judge of ours: what one side seals the other opens, whichever it is."""

from __future__ import annotations

import warnings
from random import Random

import pytest

from _fast.cipher import providers
from _fast.esp import Esp
from openswan.base.drops import Drop
from tests.fast.rig import udp

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.layers.inet import IP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.ipsec import ESP, IPSecIntegrityError, SecurityAssociation

SPI = 0x1234
CIPHERS: dict[str, tuple[str, tuple[int, ...], int]] = {
    "aes_cbc": ("AES-CBC", (16, 24, 32), 0),
    "3des_cbc": ("3DES", (24,), 0),
    "aes_ctr": ("AES-CTR", (16, 24, 32), 4),
    "null": ("NULL", (0,), 0),
    "aes_gcm_16": ("AES-GCM", (16, 24, 32), 4),
    "aes_ccm_16": ("AES-CCM", (16, 24, 32), 3),
    "chacha20_poly1305": ("CHACHA20-POLY1305", (32,), 4),
}
"""Our name: scapy's, key sizes, octets of salt behind the key."""
INTEGS = {
    "hmac_sha1_96": ("HMAC-SHA1-96", 20),
    "hmac_sha2_256_128": ("SHA2-256-128", 32),
    "hmac_sha2_384_192": ("SHA2-384-192", 48),
    "hmac_sha2_512_256": ("SHA2-512-256", 64),
    "hmac_md5_96": ("HMAC-MD5-96", 16),
    "aes_cmac_96": ("AES-CMAC-96", 16),
}
"""Our name: scapy's, octets of key."""
AEAD = ("aes_gcm_16", "aes_ccm_16", "chacha20_poly1305")
SUITES = [(cipher, size, "") for cipher in AEAD for size in CIPHERS[cipher][1]]
SUITES += [("aes_cbc", 16, integ) for integ in INTEGS]
SUITES += [
    (cipher, size, "hmac_sha2_256_128") for cipher in CIPHERS if cipher not in AEAD for size in CIPHERS[cipher][1]
]


class Judge:
    """One SA, on both sides; our key has the salt behind it, as scapy's."""

    def __init__(self, suite: tuple[str, int, str], rng: Random, esn: bool, provider: str, **more: object) -> None:
        cipher, size, integ = suite
        theirs, _, salt = CIPHERS[cipher]
        key = rng.randbytes(size + salt)
        auth = rng.randbytes(INTEGS[integ][1]) if integ else b""
        self.ours = Esp(cipher, key, integ, auth, esn, 4096, provider)
        self.esn = esn
        self.theirs = SecurityAssociation(
            ESP,
            spi=SPI,
            crypt_algo=theirs,
            crypt_key=key or None,
            auth_algo=INTEGS[integ][0] if integ else "NULL",
            auth_key=auth or None,
            esn_en=esn,
            **more,
        )


def tunnel(v6: bool) -> dict[str, object]:
    return {"tunnel_header": IPv6(src="2001:db8::1", dst="2001:db8::2") if v6 else IP(src="192.0.2.1", dst="192.0.2.2")}


def inner(rng: Random, v6: bool, size: int) -> bytes:
    src, dst = ("fd01::5", "fd02::7") if v6 else ("10.1.0.5", "10.2.0.7")
    return udp(src, dst, 1000, 2000, rng.randbytes(size))


@pytest.mark.parametrize("esn", [False, True], ids=["", "esn"])
@pytest.mark.parametrize("provider", providers())
@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: "-".join(map(str, suite)))
def test_tunnel_mode_both_ways(suite: tuple[str, int, str], provider: str, esn: bool) -> None:
    rng = Random(f"{suite}{provider}{esn}")
    judge = Judge(suite, rng, esn, provider, **tunnel(v6=rng.random() < 0.5))
    outer = judge.theirs.tunnel_header
    for sequence, size in enumerate([0, 1, rng.randrange(64), rng.randrange(1400)], 1):
        packet = inner(rng, v6=bool(sequence & 1), size=size)
        sealed = judge.ours.seal(SPI, sequence, packet, 41 if sequence & 1 else 4)
        opened = judge.theirs.decrypt(outer.__class__(bytes(outer / ESP(sealed))), esn=0)
        assert bytes(opened) == packet
        theirs = judge.theirs.encrypt((IPv6 if sequence & 1 else IP)(packet), seq_num=sequence + 10, esn=0)
        assert judge.ours.open(bytes(theirs[ESP])) == (Drop.NONE, packet, 41 if sequence & 1 else 4, sequence + 10)


@pytest.mark.parametrize(
    "suite", [("aes_gcm_16", 16, ""), ("aes_cbc", 32, "hmac_sha2_512_256"), ("null", 0, "aes_cmac_96")]
)
@pytest.mark.parametrize("high", [1, 0x7FFFFFFF])
def test_the_upper_half_of_an_extended_number_is_covered(suite: tuple[str, int, str], high: int) -> None:
    judge = Judge(suite, Random(high), True, "auto", **tunnel(v6=False))
    outer, packet = judge.theirs.tunnel_header, inner(Random(1), False, 40)
    sealed = judge.ours.seal(SPI, high << 32 | 5, packet)
    assert bytes(judge.theirs.decrypt(IP(bytes(outer / ESP(sealed))), esn=high)) == packet
    with pytest.raises(IPSecIntegrityError):
        judge.theirs.decrypt(IP(bytes(outer / ESP(sealed))), esn=high - 1)


@pytest.mark.parametrize("suite", SUITES[::4], ids=lambda suite: "-".join(map(str, suite)))
@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
def test_transport_mode_both_ways(suite: tuple[str, int, str], v6: bool) -> None:
    rng = Random(f"{suite}{v6}")
    judge = Judge(suite, rng, False, "auto")
    packet = inner(rng, v6, rng.randrange(1400))
    kind, head = (IPv6, 40) if v6 else (IP, 20)
    theirs = judge.theirs.encrypt(kind(packet), seq_num=7)
    assert judge.ours.open(bytes(theirs[ESP])) == (Drop.NONE, packet[head:], 17, 7)
    sealed = kind(packet)
    sealed.remove_payload()
    fields = {"nh": 50, "plen": None} if v6 else {"proto": 50, "len": None, "chksum": None}
    for name, value in fields.items():
        setattr(sealed, name, value)
    sealed = kind(bytes(sealed / ESP(judge.ours.seal(SPI, 8, packet[head:], 17))))
    assert bytes(judge.theirs.decrypt(sealed)) == packet


@pytest.mark.parametrize("suite", SUITES[::5], ids=lambda suite: "-".join(map(str, suite)))
def test_udp_encapsulation_both_ways(suite: tuple[str, int, str]) -> None:
    rng = Random(str(suite))
    judge = Judge(suite, rng, False, "auto", **tunnel(v6=False), nat_t_header=UDP(sport=4500, dport=4500))
    packet = inner(rng, False, rng.randrange(1400))
    theirs = judge.theirs.encrypt(IP(packet), seq_num=3)
    assert theirs[UDP].dport == 4500
    assert judge.ours.open(bytes(theirs[ESP])) == (Drop.NONE, packet, 4, 3)
    outer = judge.theirs.tunnel_header / UDP(sport=4500, dport=4500)
    sealed = IP(bytes(outer / ESP(judge.ours.seal(SPI, 4, packet))))
    assert bytes(judge.theirs.decrypt(sealed)) == packet


@pytest.mark.parametrize("suite", SUITES[::3], ids=lambda suite: "-".join(map(str, suite)))
def test_neither_takes_what_somebody_changed(suite: tuple[str, int, str]) -> None:
    rng = Random(str(suite))
    judge = Judge(suite, rng, False, "auto", **tunnel(v6=False))
    packet = inner(rng, False, 64)
    outer = judge.theirs.tunnel_header
    for sequence in range(1, 6):
        sealed = bytearray(judge.ours.seal(SPI, sequence, packet))
        sealed[rng.randrange(8, len(sealed))] ^= 1 << rng.randrange(8)
        with pytest.raises(IPSecIntegrityError):
            judge.theirs.decrypt(IP(bytes(outer / ESP(bytes(sealed)))))
        theirs = bytearray(bytes(judge.theirs.encrypt(IP(packet), seq_num=sequence)[ESP]))
        theirs[rng.randrange(8, len(theirs))] ^= 1 << rng.randrange(8)
        assert judge.ours.open(bytes(theirs))[0] == Drop.AUTH_FAILED
