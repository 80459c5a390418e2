# SPDX-License-Identifier: GPL-2.0-or-later
"""ike=, esp= and ah= strings to proposals: Openswan's and libreswan's spellings, and what is offered by default.

PROPOSAL[,PROPOSAL...]; a proposal is `-` separated parts, each one name or several joined by `+`: ciphers with their
key size (aes256, aes_gcm_16_256, aes-256), integrity, for IKE a PRF (prfsha2_256, or a second hash), and a group
(also after `;`). Additional key exchanges (RFC 9370) follow as `addke1-mlkem768`, up to addke7; `none` among several
lets the peer do without. A part left out means every default of that kind. A trailing `!` is accepted and says nothing.
AH has integrity and a group only. What crypto.registry calls weak is never a default.

IKEv1 reads the same strings, in ike= for CBC ciphers alone; its hash is its PRF too (RFC 2409 4), so its proposals have
no `prf`. It offers every combination as a transform of its own: MOST_OFFERED of them are sent, all are taken.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import ClassVar

from openswan.base.errors import ConfigError
from openswan.crypto.registry import INTEG_PRF, Algorithm, Kind, find, names, normal, of_kind
from openswan.policy.proposal import AH, ESP, IKE, NO_KE, Proposal, Transform

LONGEST = 2000
"""Characters of one string."""
MOST_PROPOSALS = 32
"""Proposals of one string; IKEv2 counts them in one octet, and a peer gives up earlier."""

KEY_BITS = (256, 128)
"""Sizes offered for a cipher whose string names none."""
DEFAULT_AEAD = (
    Transform("aes_gcm_16", 256),
    Transform("aes_gcm_16", 128),
    Transform("chacha20_poly1305"),
)
DEFAULT_CBC = (Transform("aes_cbc", 256), Transform("aes_cbc", 128))
DEFAULT_INTEG = (Transform("hmac_sha2_512_256"), Transform("hmac_sha2_256_128"))
DEFAULT_PRF = (Transform("prf_hmac_sha2_512"), Transform("prf_hmac_sha2_256"))
DEFAULT_DH = tuple(map(Transform, ("x25519", "ecp256", "ecp384", "ecp521", "modp2048", "modp3072", "modp4096")))

DEFAULT_IKE = (
    Proposal(IKE, DEFAULT_AEAD, (), DEFAULT_PRF, DEFAULT_DH),
    Proposal(IKE, DEFAULT_CBC, DEFAULT_INTEG, DEFAULT_PRF, DEFAULT_DH),
)
DEFAULT_ESP = (
    Proposal(ESP, DEFAULT_AEAD),
    Proposal(ESP, DEFAULT_CBC, DEFAULT_INTEG),
)
DEFAULT_AH = (Proposal(AH, (), DEFAULT_INTEG),)

MOST_OFFERED = 24
"""Phase 1 transforms in one offer: about 36 octets each, in a first message that must not be cut into IP fragments."""
V1_INTEG = tuple(map(Transform, ("hmac_sha2_256_128", "hmac_sha1_96", "hmac_sha2_512_256")))
"""SHA-1 stands among them for the peers IKEv1 is left for."""
V1_DH = tuple(
    map(Transform, ("modp2048", "modp3072", "modp4096", "ecp256", "ecp384", "ecp521", "modp6144", "modp8192"))
)
V1_DEFAULT_IKE = (
    Proposal(IKE, DEFAULT_CBC, V1_INTEG, (), (V1_DH[0], V1_DH[3])),
    Proposal(IKE, DEFAULT_CBC, V1_INTEG[:1], (), tuple(one for one in V1_DH if one not in (V1_DH[0], V1_DH[3]))),
    Proposal(IKE, DEFAULT_CBC, V1_INTEG, (), V1_DH),
)
"""What is offered, every group at least once: the first two. The third is what else is taken."""
V1_DEFAULT_ESP = (
    Proposal(ESP, (Transform("aes_gcm_16", 256), Transform("aes_gcm_16", 128))),
    Proposal(ESP, DEFAULT_CBC, V1_INTEG),
)
V1_DEFAULT_AH = (Proposal(AH, (), V1_INTEG),)

ADDKE = re.compile(r"(?:addke|ke)([1-7])(?:[_=](.+))?")
"""addke1, libreswan's addke1=ml_kem_768 and strongSwan's ke1_mlkem768."""
NO_INTEGRITY = ("null", "none")
WHERE = {IKE: "IKE", AH: "AH", ESP: "ESP"}
INSTEAD = {Kind.ENCR: "aes_gcm_16 or aes_cbc", Kind.INTEG: "sha2_256", Kind.PRF: "sha2_256", Kind.DH: "x25519"}
CLASSIC_WORDS = {
    (IKE, "des_cbc"): "OAKLEY_DES_CBC is not supported: ",
    (ESP, "des_cbc"): "unsupported ESP Transform ESP_DES: ",
    (ESP, "des_iv64"): "unsupported ESP Transform ESP_DES_IV64: ",
}
"""How pluto has always put it."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a string means, and what the operator should know about it."""

    proposals: tuple[Proposal, ...]
    warnings: tuple[str, ...] = ()


def parse_ike(text: str, *, ikev1: bool = False) -> Parsed:
    """ike= to proposals; ConfigError names the part that will not do."""
    parsed = _parse("ike", IKE, text, ikev1)
    count = combinations(parsed.proposals) if ikev1 else 0
    if count <= MOST_OFFERED:
        return parsed
    more = f'ike="{text}": stands for {count} transforms; the first {MOST_OFFERED} are offered, all of them are taken'
    return Parsed(parsed.proposals, (*parsed.warnings, more))


def combinations(proposals: Sequence[Proposal]) -> int:
    """The IKEv1 transforms these IKE proposals stand for, those that stand in several of them counted in each."""
    return sum(len(one.encr) * len(one.integ) * len(one.dh) for one in proposals)


def parse_esp(text: str, esn: tuple[bool, ...] = (False,), *, ikev1: bool = False) -> Parsed:
    """esp= or phase2alg= to proposals, each with these sequence number sizes; ConfigError names the bad part."""
    parsed = _parse("esp", ESP, text, ikev1)
    return Parsed(with_esn(parsed.proposals, esn), parsed.warnings)


def parse_ah(text: str, esn: tuple[bool, ...] = (False,), *, ikev1: bool = False) -> Parsed:
    """ah=, or phase2alg= with phase2=ah, to proposals; ConfigError names the bad part."""
    parsed = _parse("ah", AH, text, ikev1)
    return Parsed(with_esn(parsed.proposals, esn), parsed.warnings)


@lru_cache(maxsize=256)
def with_esn(proposals: tuple[Proposal, ...], esn: tuple[bool, ...]) -> tuple[Proposal, ...]:
    """The same ESP or AH proposals with these sequence number sizes."""
    return tuple(replace(one, esn=esn) for one in proposals)


@lru_cache(maxsize=256)
def _parse(keyword: str, protocol: int, text: str, ikev1: bool) -> Parsed:
    if len(text) > LONGEST:
        raise ConfigError(f"{keyword}= string longer than {LONGEST} characters")
    pieces = text.strip().removesuffix("!").split(",")
    if len(pieces) > MOST_PROPOSALS:
        raise ConfigError(f"{keyword}= has {len(pieces)} proposals, at most {MOST_PROPOSALS} are allowed")
    proposals: list[Proposal] = []
    warnings: list[str] = []
    for piece in pieces:
        reader = (_V1Reader if ikev1 else _Reader)(protocol, piece.strip())
        try:
            proposals += reader.proposals()
        except ConfigError as why:
            raise ConfigError(f'{keyword}="{text}": {why}') from None
        warnings += [f'{keyword}="{text}": {warning}' for warning in reader.warnings]
    return Parsed(tuple(dict.fromkeys(proposals)), tuple(dict.fromkeys(warnings)))


@dataclass
class _Reader:
    """Reads one proposal part by part, left to right."""

    protocol: int
    text: str
    encr: list[Transform] = field(default_factory=list)
    integ: list[Transform] = field(default_factory=list)
    prf: list[Transform] = field(default_factory=list)
    dh: list[Transform] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    bare: list[Algorithm] = field(default_factory=list)
    """Ciphers of the latest part that named no key size: a number may still follow."""
    no_integrity: bool = False
    addke: dict[int, list[Transform]] = field(default_factory=dict)
    _in_addke: bool = False
    default_integ: ClassVar[tuple[Transform, ...]] = DEFAULT_INTEG
    default_dh: ClassVar[tuple[Transform, ...]] = DEFAULT_DH

    def proposals(self) -> list[Proposal]:
        """The proposals this text stands for: two when AEAD and others would mix by default."""
        # Behind a semicolon stands a group: libreswan's `aes;none' has none.
        text = re.sub(r";\s*none\s*\Z", "", self.text, flags=re.IGNORECASE) if self.protocol != IKE else self.text
        parts = [part.strip() for part in text.replace(";", "-").split("-")]
        while parts and not parts[-1]:
            parts.pop()  # 'aes128-sha1-' and 'aes128-sha1;' name no group
        if not parts:
            raise ConfigError("empty proposal")
        while parts:
            taken = self._take(parts)
            del parts[:taken]
        return self._filled()

    def _take(self, parts: Sequence[str]) -> int:
        """Read the next part and return how many pieces it was cut into: names such as hmac-sha1 hold a `-`."""
        if not parts[0]:
            raise ConfigError(f"two separators in a row in '{self.text}'")
        if found := ADDKE.fullmatch(parts[0].lower()):
            return self._additional(int(found[1]), found[2], parts)
        if parts[0].isdigit() and self.bare:
            self._key_size(int(parts[0]))
            return 1
        alternatives = parts[0].split("+")
        if len(alternatives) == 1:
            for count in range(min(4, len(parts)), 1, -1):
                if self._alternatives([normal("_".join(parts[:count]))], quiet=True):
                    return count
        self._alternatives(alternatives, quiet=False)
        return 1

    def _additional(self, number: int, joined: str | None, parts: Sequence[str]) -> int:
        """Read addkeN and what stands behind it; how many pieces that were."""
        if self.protocol == AH:
            raise ConfigError("additional key exchanges are for ike= and esp=")
        if number in self.addke:
            raise ConfigError(f"'addke{number}' stands twice in '{self.text}'")
        for count in range(min(4, len(parts)), 0, -1):
            text = joined if joined is not None else "_".join(parts[1:count])
            rows = [find(Kind.DH, word) for word in text.split("+") if normal(word) not in NO_INTEGRITY]
            if text and all(rows):
                self.addke[number] = [
                    NO_KE if normal(word) in NO_INTEGRITY else self._kem(word) for word in text.split("+")
                ]
                return 1 if joined is not None else count
        raise ConfigError(f"'addke{number}' wants a key exchange behind it, as in addke{number}-mlkem768")

    def _kem(self, word: str) -> Transform:
        row = find(Kind.DH, word)
        assert row is not None
        self._in_addke = True
        self._check(Kind.DH, row, 0)
        self._in_addke = False
        return Transform(row.name)

    def _extra(self) -> tuple[tuple[Transform, ...], ...]:
        """The additional key exchanges by number."""
        most = max(self.addke, default=0)
        return tuple(tuple(dict.fromkeys(self.addke.get(number, ()))) for number in range(1, most + 1))

    def _alternatives(self, words: Sequence[str], *, quiet: bool) -> bool:
        """Take the names joined by `+`; `quiet` only asks whether they are names at all."""
        for kind in self._expected():
            found = [self._look_up(kind, word) for word in words]
            if all(found):
                self._accept(kind, [one for one in found if one is not None])
                return True
        if len(words) == 1 and words[0].lower() in NO_INTEGRITY and self.encr and not self.integ:
            self.no_integrity = True
            return True
        if not quiet:
            self._explain(words)
        return False

    def _expected(self) -> tuple[Kind, ...]:
        """Which kinds the next part may be, in order of trial."""
        kinds: list[Kind] = []
        if self.protocol != AH and not (self.encr or self.integ or self.prf or self.dh):
            kinds.append(Kind.ENCR)
        aead = any(_row(Kind.ENCR, one).aead for one in self.encr)
        if not self.integ and not self.prf and not self.dh and not aead and not self.no_integrity:
            kinds.append(Kind.INTEG)
        if self.protocol == IKE and not self.prf and not self.dh:
            kinds.append(Kind.PRF)
        # libreswan also writes several groups as further parts.
        kinds.append(Kind.DH)
        return tuple(kinds)

    def _look_up(self, kind: Kind, word: str) -> tuple[Algorithm, int] | None:
        row = find(kind, word)
        if row is not None:
            return row, 0
        sized = re.fullmatch(r"(.+?)_?([0-9]{1,4})", normal(word))
        if kind is not Kind.ENCR or sized is None or (row := find(kind, sized[1])) is None:
            return None
        bits = int(sized[2])
        return row, _without_salt(row, bits)

    def _accept(self, kind: Kind, found: Sequence[tuple[Algorithm, int]]) -> None:
        self.bare = []
        for row, bits in found:
            self._check(kind, row, bits)
            if kind is not Kind.ENCR:
                {Kind.INTEG: self.integ, Kind.PRF: self.prf, Kind.DH: self.dh}[kind].append(Transform(row.name))
            elif not row.variable_key:
                self.encr.append(Transform(row.name))
            elif bits:
                self.encr.append(Transform(row.name, bits))
            else:
                self.bare.append(row)
                self.encr += [Transform(row.name, size) for size in KEY_BITS]

    def _refused(self, row: Algorithm) -> bool:
        return bool(row.refused)

    def _usable(self, kind: Kind, row: Algorithm) -> bool:
        return {IKE: row.ike, AH: row.ah, ESP: row.esp}[self.protocol] or kind is Kind.DH

    def _check(self, kind: Kind, row: Algorithm, bits: int) -> None:
        if self._refused(row):
            words = CLASSIC_WORDS.get((self.protocol, row.name), "")
            raise ConfigError(f"'{row.name}' is refused: {words}{row.refused}")
        if row.kem and not self._in_addke:
            raise ConfigError(f"'{row.name}' is for additional key exchanges: x25519-addke1-{row.short}")
        if not self._usable(kind, row):
            raise ConfigError(f"'{row.name}' is not available for {self._where()}; use {self._instead(kind)}")
        if bits and bits not in row.key_bits:
            sizes = ", ".join(map(str, sorted(row.key_bits)))
            raise ConfigError(f"'{row.name}' has no {bits}-bit keys, only {sizes}")
        if row.weak:
            self.warnings.append(
                f"'{row.name}' is weak, RFC 8247 and RFC 8221 advise against it; use {self._instead(kind).split()[0]}"
            )

    def _where(self) -> str:
        return WHERE[self.protocol]

    def _instead(self, kind: Kind) -> str:
        return INSTEAD[kind]

    def _key_size(self, bits: int) -> None:
        for row in self.bare:
            size = _without_salt(row, bits)
            self._check(Kind.ENCR, row, size)
            for sized in KEY_BITS:
                self.encr.remove(Transform(row.name, sized))
            self.encr.append(Transform(row.name, size))
        self.bare = []

    def _explain(self, words: Sequence[str]) -> None:
        """Say why no kind takes these names."""
        every = (Kind.ENCR, Kind.INTEG, Kind.PRF, Kind.DH)
        for word in words:
            name = normal(word)
            if not any(self._look_up(kind, word) for kind in every) and name not in NO_INTEGRITY:
                known = sorted({known for kind in every for known in names(kind)})
                near = get_close_matches(name, known, 1) or get_close_matches(name.rstrip("0123456789_"), known, 1)
                hint = f" (did you mean '{near[0]}'?)" if near else ""
                raise ConfigError(f"unknown algorithm '{word}'{hint}")
        raise ConfigError(f"'{'+'.join(words)}' does not belong where it stands in '{self.text}'")

    def _filled(self) -> list[Proposal]:
        """Put the defaults where nothing was said and keep AEAD and other ciphers apart."""
        aead: tuple[Transform, ...]
        other: tuple[Transform, ...]
        if self.protocol == AH:
            return [Proposal(AH, (), tuple(self.integ) or self.default_integ, (), tuple(self.dh))]
        if not self.encr:
            aead, other = (() if self.integ else self._default_aead()), DEFAULT_CBC
        else:
            self.encr = list(dict.fromkeys(self.encr))
            aead = tuple(one for one in self.encr if _row(Kind.ENCR, one).aead)
            other = tuple(one for one in self.encr if not _row(Kind.ENCR, one).aead)
            if aead and other:
                raise ConfigError(
                    f"'{self.text}' mixes AEAD and other ciphers in one proposal; separate them by a comma"
                )
        if aead and self.integ:
            raise ConfigError(f"'{self.text}' names an integrity algorithm, but {aead[0].name} brings its own")
        if other and self.no_integrity:
            raise ConfigError(f"'{self.text}' has no integrity protection; name sha2_256 or use aes_gcm_16")
        made: list[Proposal] = []
        dh = tuple(self.dh)
        if self.protocol == IKE:
            dh = dh or self.default_dh
        for encr in (aead, other):
            if not encr:
                continue
            integ = () if encr is aead else tuple(self.integ) or self.default_integ
            made.append(Proposal(self.protocol, tuple(encr), integ, self._prf(integ), dh, addke=self._extra()))
        return made

    def _default_aead(self) -> tuple[Transform, ...]:
        return DEFAULT_AEAD

    def _prf(self, integ: tuple[Transform, ...]) -> tuple[Transform, ...]:
        if self.protocol != IKE:
            return ()
        if self.prf:
            return tuple(self.prf)
        if self.integ:
            return tuple(dict.fromkeys(Transform(INTEG_PRF[one.name]) for one in integ))
        return DEFAULT_PRF


class _V1Reader(_Reader):
    """What IKEv1 makes of the same text."""

    default_integ = V1_INTEG
    default_dh = V1_DH

    def _refused(self, row: Algorithm) -> bool:
        return bool(row.refused) and not row.relic

    def _usable(self, kind: Kind, row: Algorithm) -> bool:
        """Whatever IKEv1 has a number for; PRFs, which it has none for, are judged by _prf()."""
        if kind in (Kind.PRF, Kind.DH):
            return kind is Kind.PRF or bool(row.ikev1)
        return bool({IKE: row.ikev1, ESP: row.ikev1_esp, AH: row.ikev1_ah}[self.protocol])

    def _additional(self, number: int, joined: str | None, parts: Sequence[str]) -> int:
        raise ConfigError(f"'addke{number}' needs IKEv2; IKEv1 has no additional key exchanges")

    def _where(self) -> str:
        return f"{super()._where()} of IKEv1" if self.protocol != IKE else "IKEv1"

    def _instead(self, kind: Kind) -> str:
        if kind is Kind.DH:
            return "modp2048"
        return "aes_cbc" if kind is Kind.ENCR and self.protocol == IKE else super()._instead(kind)

    def _default_aead(self) -> tuple[Transform, ...]:
        return V1_DEFAULT_ESP[0].encr if self.protocol == ESP else ()

    def _prf(self, integ: tuple[Transform, ...]) -> tuple[Transform, ...]:
        """None: it is the HMAC of the hash. ConfigError when the text names another one."""
        hashes = {_row(Kind.INTEG, one).hash for one in integ}
        for one in self.prf:
            if _row(Kind.PRF, one).hash not in hashes:
                raise ConfigError(f"'{one.name}' does not go with IKEv1, whose hash is its PRF; leave it out")
        return ()


def _without_salt(row: Algorithm, bits: int) -> int:
    """The key size meant: the old aes_gcm_c-160 and aes_ccm_a-152 counted the salt."""
    salt = row.salt * 8
    return bits - salt if bits not in row.key_bits and bits - salt in row.key_bits else bits


def _row(kind: Kind, transform: Transform) -> Algorithm:
    row = find(kind, transform.name)
    assert row is not None
    return row


def usable(kind: Kind) -> list[str]:
    """Canonical names for the manual page."""
    return [row.name for row in of_kind(kind)]
