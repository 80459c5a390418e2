# SPDX-License-Identifier: GPL-2.0-or-later
"""THE table of algorithms: names, numbers and sizes, and looking them up by either.

Everything that negotiates, derives keys or lists algorithms reads this table. Sizes of keys are in bits, all others in
octets. `number` is the IKEv2 Transform ID (RFC 7296 3.3.2), which ESP and AH share. Aliases are the classic spellings
of ipsec.conf; they are compared in lower case with `-` read as `_`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from openswan.base.errors import CryptoError


class Kind(IntEnum):
    """What an algorithm is for; the values are IKEv2's Transform Types (RFC 7296 3.3.2)."""

    ENCR = 1
    PRF = 2
    INTEG = 3
    DH = 4


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One row; a field that means nothing for its kind stays 0."""

    name: str
    """The canonical name: in openswan.policy, in the packet engine's commands, in this table."""
    kind: Kind
    number: int
    display: str
    """In listings of the modern form, such as AES_GCM_16 or MODP2048."""
    short: str
    """In the classic "cipher= integ= prf= group=" of the established lines."""
    aliases: tuple[str, ...] = ()
    key_bits: tuple[int, ...] = ()
    """Key sizes without salt, the preferred one first; INTEG and PRF have one."""
    variable_key: bool = False
    """Does a proposal carry the Key Length attribute (RFC 7296 3.3.5)?"""
    salt: int = 0
    """Octets of key material behind the key that go into each nonce."""
    block: int = 1
    """What ciphertext is a multiple of."""
    iv: int = 0
    """Octets of IV in each packet or message."""
    icv: int = 0
    """Octets of integrity check value on the wire."""
    aead: bool = False
    """Brings its own integrity: no INTEG goes with it. True of AES-GMAC too, which encrypts nothing (RFC 4543)."""
    hash: str = ""
    """INTEG and PRF: the hash inside the HMAC, as hashlib spells it; empty when it is no HMAC."""
    output: int = 0
    """PRF: octets it makes; DH: octets of the shared secret."""
    public: int = 0
    """DH: octets of the public value in a KE payload; of a KEM: of the initiator's."""
    kem: int = 0
    """DH: a key encapsulation mechanism, for additional key exchanges: octets of the responder's ciphertext."""
    weak: bool = False
    """Used only when the configuration names it."""
    refused: str = ""
    """Not usable at all, and why; the name is known so that the answer can say so."""
    relic: bool = False
    """Refused by IKEv2 alone: IKEv1 uses it when the configuration names it, for peers that have nothing else."""
    ike: bool = True
    esp: bool = True
    """Usable for protecting IKE messages; for ESP."""
    ah: bool = False
    """INTEG: usable for AH."""
    ikev1: int = 0
    """IKEv1's number in phase 1 (encryption, hash or group), 0: none."""
    ikev1_esp: int = 0
    """IKEv1's number in phase 2: ENCR the ESP transform, INTEG the Authentication Algorithm attribute (RFC 2407 4.4.4,
    4.5), 0: none."""
    ikev1_ah: int = 0
    """INTEG: IKEv1's AH transform (RFC 2407 4.4.3), 0: none."""

    @property
    def default_bits(self) -> int:
        """The key size used when none is named."""
        return self.key_bits[0] if self.key_bits else 0

    def keymat_octets(self, key_bits: int = 0) -> int:
        """Octets of key material an SA needs for a key of `key_bits` (0: the default), salt included.

        CryptoError when there is no such key size.
        """
        bits = key_bits or self.default_bits
        if bits and bits not in self.key_bits:
            raise CryptoError(f"{self.name} has no {bits}-bit keys, only {', '.join(map(str, sorted(self.key_bits)))}")
        return bits // 8 + self.salt

    def attribute_bits(self, key_bits: int = 0) -> int | None:
        """The Key Length attribute a transform of that size carries, None when it must have none (RFC 7296 3.3.5)."""
        return (key_bits or self.default_bits) if self.variable_key else None


MD5 = "MD5 is broken; use sha2_256 or stronger"
SINGLE_DES = "single DES keys can be found by trying them all; use aes_gcm_16 or aes_cbc"
UNAVAILABLE_HASH = "nobody here has it; use sha2_256 or stronger"
UNAVAILABLE_GROUP = "nobody here has it; use x25519 or ecp256"
HIDDEN_ORIGIN = "nobody has told where its prime comes from; use x25519 or ecp256"
SHORT_GROUP = "its logarithms can be computed; use modp2048 or stronger"


def _encr(name: str, number: int, display: str, short: str, *aliases: str, **more: object) -> Algorithm:
    return Algorithm(name, Kind.ENCR, number, display, short, aliases, **more)  # type: ignore[arg-type]


def _aes(name: str, number: int, *aliases: str, **more: object) -> Algorithm:
    """AES with a nonce of salt and an IV of 8 octets; IKEv1 never used these for itself, its ESP shares the numbers."""
    made = {"key_bits": AEAD_BITS, "variable_key": True, "salt": 4, "iv": 8, "aead": True, "ikev1_esp": number, **more}
    return _encr(name, number, name.upper(), name, *aliases, **made)


def _integ(name: str, number: int, octets: int, short: str, *aliases: str, **more: object) -> Algorithm:
    made = {"key_bits": (octets * 8,), "icv": 12, "ah": True, **more}
    return Algorithm(name, Kind.INTEG, number, name.upper(), short, aliases, **made)  # type: ignore[arg-type]


def _prf(name: str, number: int, hash_name: str, octets: int, short: str, *aliases: str) -> Algorithm:
    return Algorithm(
        name,
        Kind.PRF,
        number,
        name.removeprefix("prf_").upper(),
        short,
        aliases,
        (octets * 8,),
        hash=hash_name,
        output=octets,
        weak=hash_name == "md5",
        refused=MD5 if hash_name == "md5" else "",
        esp=False,
    )


def _modp(
    number: int, bits: int, *, refused: str = "", relic: bool = False, aliases: tuple[str, ...] = ()
) -> Algorithm:
    name = aliases[0] if aliases else f"modp{bits}"
    return Algorithm(
        name,
        Kind.DH,
        number,
        name.upper(),
        name,
        (f"dh{number}", f"group{number}", *aliases[1:]),
        output=bits // 8,
        public=bits // 8,
        weak=bool(refused),
        refused=refused,
        relic=relic,
        ikev1=number,
    )


def _curve(name: str, number: int, bits: int, public: int, *aliases: str) -> Algorithm:
    octets = (bits + 7) // 8
    return Algorithm(
        name,
        Kind.DH,
        number,
        name.upper(),
        name,
        (f"dh{number}", f"group{number}", *aliases),
        output=octets,
        public=public,
        ikev1=number,
    )


def _kem(name: str, number: int, public: int, ciphertext: int) -> Algorithm:
    return Algorithm(
        name,
        Kind.DH,
        number,
        name.upper(),
        name.replace("_", ""),
        (f"dh{number}", f"group{number}", name.replace("_", ""), name.replace("ml_kem", "mlkem")),
        output=32,
        public=public,
        kem=ciphertext,
    )


AES_BITS = (128, 256, 192)
AEAD_BITS = (256, 128, 192)

ALGORITHMS: tuple[Algorithm, ...] = (
    # Encryption. The classic default key of plain "aes" is 128 bits.
    _aes("aes_gcm_16", 20, "aes_gcm", "aesgcm", "aes_gcm_c", "aes_gcm16", "aesgcm16", icv=16),
    _encr("chacha20_poly1305", 28, "CHACHA20_POLY1305", "chacha20_poly1305", "chacha20poly1305",
          key_bits=(256,), salt=4, iv=8, icv=16, aead=True),
    _encr("aes_cbc", 12, "AES_CBC", "aes", "aes", key_bits=AES_BITS, variable_key=True, block=16, iv=16, ikev1=7,
          ikev1_esp=12),
    _aes("aes_gcm_12", 19, "aes_gcm_b", "aes_gcm12", "aesgcm12", icv=12),
    _aes("aes_gcm_8", 18, "aes_gcm_a", "aes_gcm8", "aesgcm8", icv=8),
    _aes("aes_ccm_16", 16, "aes_ccm", "aesccm", "aes_ccm_c", "aes_ccm16", "aesccm16", salt=3, icv=16),
    _aes("aes_ccm_12", 15, "aes_ccm_b", "aes_ccm12", "aesccm12", salt=3, icv=12),
    _aes("aes_ccm_8", 14, "aes_ccm_a", "aes_ccm8", "aesccm8", salt=3, icv=8),
    _aes("aes_ctr", 13, "aesctr", key_bits=AES_BITS, aead=False, ike=False),
    _aes("null_auth_aes_gmac", 21, "aes_gmac", "aesgmac", icv=16, weak=True, ike=False, ikev1_esp=23),
    _encr("3des_cbc", 3, "3DES_CBC", "3des", "3des", key_bits=(192,), block=8, iv=8, weak=True, ikev1=5, ikev1_esp=3),
    _encr("null", 11, "NULL", "null", key_bits=(0,), block=1, weak=True, ike=False, ikev1_esp=11),
    _encr("des_cbc", 2, "DES_CBC", "des", "des", "1des", key_bits=(64,), block=8, iv=8, weak=True, ikev1=1,
          ikev1_esp=2, refused=SINGLE_DES),
    _encr("des_iv64", 1, "DES_IV64", "des_iv64", key_bits=(64,), block=8, iv=8, weak=True, ikev1_esp=1,
          refused=SINGLE_DES),
    *(
        _encr(name, number, name.upper(), name, *aliases, refused="nobody here has it; use aes_gcm_16 or aes_cbc")
        for name, number, aliases in (
            ("camellia_cbc", 23, ("camellia",)), ("blowfish", 7, ("blowfish_cbc",)), ("cast_cbc", 6, ("cast",)),
            ("idea", 5, ()), ("rc5", 4, ()), ("serpent", 65004, ("serpent_cbc",)), ("twofish", 65005, ("twofish_cbc",)),
        )
    ),
    # Integrity.
    _integ("hmac_sha2_256_128", 12, 32, "sha256", "sha2_256", "sha256", "sha2", "hmac_sha2_256", "hmac_sha256",
           "sha2_256_128", icv=16, hash="sha256", ikev1=4, ikev1_esp=5, ikev1_ah=5),
    _integ("hmac_sha2_512_256", 14, 64, "sha512", "sha2_512", "sha512", "hmac_sha2_512", "hmac_sha512",
           "sha2_512_256", icv=32, hash="sha512", ikev1=6, ikev1_esp=7, ikev1_ah=7),
    _integ("hmac_sha2_384_192", 13, 48, "sha384", "sha2_384", "sha384", "hmac_sha2_384", "hmac_sha384",
           "sha2_384_192", icv=24, hash="sha384", ikev1=5, ikev1_esp=6, ikev1_ah=6),
    _integ("hmac_sha1_96", 2, 20, "sha1", "sha1", "sha", "hmac_sha1", "hmac_sha", "sha1_96",
           hash="sha1", ikev1=2, ikev1_esp=2, ikev1_ah=3),
    # RFC 3566; RFC 4494 (IKEv1 never got a number for CMAC).
    _integ("aes_xcbc_96", 5, 16, "aes_xcbc", "aes_xcbc", "aesxcbc", "aes_xcbc_mac", ike=False, ikev1_esp=9, ikev1_ah=9),
    _integ("aes_cmac_96", 8, 16, "aes_cmac", "aes_cmac", "aescmac", ike=False),
    # AH alone, the salt behind the key (RFC 4543 8.1); in ESP it is null_auth_aes_gmac.
    *(
        _integ(f"aes_{bits}_gmac", number, bits // 8, f"aes_{bits}_gmac", f"aes{bits}gmac", f"aes_gmac_{bits}",
               salt=4, iv=8, icv=16, ike=False, esp=False, ikev1_ah=v1)
        for bits, number, v1 in ((128, 9, 11), (192, 10, 12), (256, 11, 13))
    ),
    # SHA2-256 cut to 96 bits, as Linux did before 2.6.33. 252 is Openswan's private number; peers with the old cut
    # negotiate 12 and need sha2_truncbug=yes instead.
    _integ("hmac_sha2_256_96", 252, 32, "sha256_96", "sha2_256_96", "sha256_96", "hmac_sha2_256_truncbug",
           hash="sha256", weak=True, ike=False, ikev1_esp=252),
    _integ("hmac_md5_96", 1, 16, "md5", "md5", "hmac_md5", "md5_96",
           hash="md5", weak=True, ike=False, ikev1=1, ikev1_esp=1, ikev1_ah=2),
    # Pseudo-random functions. An ike= string may name one by its integrity algorithm's name: find() takes the kind.
    _prf("prf_hmac_sha2_256", 5, "sha256", 32, "sha256", "prfsha2_256", "prfsha256", "prf_sha2_256", "prf_sha256",
         "sha2_256", "sha256", "sha2", "hmac_sha2_256"),
    _prf("prf_hmac_sha2_512", 7, "sha512", 64, "sha512", "prfsha2_512", "prfsha512", "prf_sha2_512", "prf_sha512",
         "sha2_512", "sha512", "hmac_sha2_512"),
    _prf("prf_hmac_sha2_384", 6, "sha384", 48, "sha384", "prfsha2_384", "prfsha384", "prf_sha2_384", "prf_sha384",
         "sha2_384", "sha384", "hmac_sha2_384"),
    _prf("prf_hmac_sha1", 2, "sha1", 20, "sha1", "prfsha1", "prfsha", "prf_sha1", "sha1", "sha", "hmac_sha1"),
    _prf("prf_hmac_md5", 1, "md5", 16, "md5", "prfmd5", "md5", "hmac_md5"),
    *(
        Algorithm(name, Kind.PRF, number, name.upper(), name, (alias,), refused=UNAVAILABLE_HASH)
        for name, number, alias in (("prf_aes128_xcbc", 4, "prfaes128xcbc"), ("prf_aes128_cmac", 8, "prfaes128cmac"))
    ),
    # Groups.
    _curve("x25519", 31, 255, 32, "curve25519", "ecp_25519"),
    _curve("ecp256", 19, 256, 64, "ecp_256", "secp256r1"),
    _curve("ecp384", 20, 384, 96, "ecp_384", "secp384r1"),
    _curve("ecp521", 21, 521, 132, "ecp_521", "secp521r1", "ecp512"),
    _modp(14, 2048),
    _modp(15, 3072),
    _modp(16, 4096),
    _modp(17, 6144),
    _modp(18, 8192),
    # Additional key exchanges.
    _kem("ml_kem_768", 36, 1184, 1088),
    _kem("ml_kem_1024", 37, 1568, 1568),
    _modp(5, 1536, refused=SHORT_GROUP, relic=True),
    _modp(2, 1024, refused=SHORT_GROUP, relic=True),
    _modp(1, 768, refused=SHORT_GROUP),
    _modp(22, 1024, refused=SHORT_GROUP, aliases=("dh22", "modp1024_160", "modp1024s160")),
    _modp(23, 2048, refused=HIDDEN_ORIGIN, relic=True, aliases=("dh23", "modp2048_224", "modp2048s224")),
    _modp(24, 2048, refused=HIDDEN_ORIGIN, relic=True, aliases=("dh24", "modp2048_256", "modp2048s256")),
    *(
        Algorithm(name, Kind.DH, number, name.upper(), name, aliases, refused=UNAVAILABLE_GROUP)
        for name, number, aliases in (
            ("x448", 32, ("curve448", "dh32")), ("ml_kem_512", 35, ("dh35", "mlkem512")),
        )
    ),
)  # fmt: skip


def normal(text: str) -> str:
    """A name as it is compared: lower case, `-` as `_`."""
    return text.strip().lower().replace("-", "_")


_BY_NAME: dict[tuple[Kind, str], Algorithm] = {}
for _row in ALGORITHMS:
    for _name in (_row.name, *_row.aliases):
        if _BY_NAME.setdefault((_row.kind, _name), _row) is not _row:
            raise RuntimeError(f"two algorithms are called {_name}")
_BY_NUMBER: dict[tuple[Kind, int], Algorithm] = {(row.kind, row.number): row for row in ALGORITHMS}
_IKEV1 = {(row.kind, row.ikev1): row for row in ALGORITHMS if row.ikev1}
_IKEV1_ESP = {(row.kind, row.ikev1_esp): row for row in ALGORITHMS if row.ikev1_esp}
_IKEV1_AH = {(row.kind, row.ikev1_ah): row for row in ALGORITHMS if row.ikev1_ah}


def find(kind: Kind, text: str) -> Algorithm | None:
    """The algorithm of that kind with this canonical name or alias, refused ones included; None when unknown."""
    return _BY_NAME.get((kind, normal(text)))


def get(kind: Kind, text: str) -> Algorithm:
    """As find(), but CryptoError when nobody has it or it is refused."""
    row = _known(kind, text)
    if row.refused:
        raise CryptoError(f"{KIND_WORDS[kind]} algorithm '{text}' is refused: {row.refused}")
    return row


def get_ikev1(kind: Kind, text: str) -> Algorithm:
    """As get(), but for IKEv1: relics are not refused, and what IKEv1 has no number for is."""
    row = _known(kind, text)
    if row.refused and not row.relic:
        raise CryptoError(f"{KIND_WORDS[kind]} algorithm '{text}' is refused: {row.refused}")
    if not (row.ikev1 or row.ikev1_esp or row.ikev1_ah):
        raise CryptoError(f"{KIND_WORDS[kind]} algorithm '{text}' is refused: IKEv1 has no number for it")
    return row


def _known(kind: Kind, text: str) -> Algorithm:
    row = find(kind, text)
    if row is None:
        known = ", ".join(r.name for r in of_kind(kind))
        raise CryptoError(f"unknown {KIND_WORDS[kind]} algorithm '{text}' (there are {known})")
    return row


def by_number(kind: Kind, number: int) -> Algorithm | None:
    """The usable algorithm with that Transform ID, or None: unknown and refused numbers are the same to a peer."""
    row = _BY_NUMBER.get((kind, number))
    return None if row is None or row.refused else row


def by_ikev1(kind: Kind, number: int) -> Algorithm | None:
    """What IKEv1 calls so in phase 1, or None: ENCR ciphers, INTEG hashes of any ICV, DH groups with the relics."""
    return _numbered(_IKEV1, kind, number)


def by_ikev1_esp(kind: Kind, number: int) -> Algorithm | None:
    """What IKEv1 calls so in phase 2, or None: ENCR the ESP transform, INTEG the Authentication Algorithm attribute."""
    return _numbered(_IKEV1_ESP, kind, number)


def by_ikev1_ah(number: int) -> Algorithm | None:
    """The integrity algorithm of that AH transform, or None."""
    return _numbered(_IKEV1_AH, Kind.INTEG, number)


def _numbered(table: dict[tuple[Kind, int], Algorithm], kind: Kind, number: int) -> Algorithm | None:
    row = table.get((kind, number))
    return None if row is None or (row.refused and not row.relic) else row


def of_kind(kind: Kind) -> Iterator[Algorithm]:
    """All usable algorithms of one kind, the preferred first."""
    return (row for row in ALGORITHMS if row.kind == kind and not row.refused)


def names(kind: Kind) -> Iterator[str]:
    """Every spelling of that kind, refused ones included; for suggestions."""
    return (name for row_kind, name in _BY_NAME if row_kind == kind)


KIND_WORDS = {Kind.ENCR: "encryption", Kind.PRF: "prf", Kind.INTEG: "integrity", Kind.DH: "DH group"}
INTEG_PRF = {
    "hmac_sha1_96": "prf_hmac_sha1",
    "hmac_sha2_256_128": "prf_hmac_sha2_256",
    "hmac_sha2_384_192": "prf_hmac_sha2_384",
    "hmac_sha2_512_256": "prf_hmac_sha2_512",
}
"""The PRF that goes with an integrity algorithm when an ike= string names none."""
