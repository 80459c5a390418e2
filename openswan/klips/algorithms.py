# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said about an SA whose algorithm or keys will not do."""

from __future__ import annotations

from openswan.crypto.registry import KIND_WORDS, Kind, find

UNSUPPORTED = {"des_cbc": "unsupported ESP Transform ESP_DES: ", "des_iv64": "unsupported ESP Transform ESP_DES_IV64: "}
"""How KLIPS and pluto have always refused single DES."""
WORDS = {**KIND_WORDS, Kind.INTEG: "authentication"}


def why_not(kind: Kind, name: str) -> str:
    """Why there is no such algorithm here."""
    row = find(kind, name)
    if row is None or not row.refused:
        return f"{WORDS[kind]} algorithm {name} is not available"
    return f"{WORDS[kind]} algorithm {name} is refused: {UNSUPPORTED.get(row.name, '')}{row.refused}"


def keys_wanted(cipher: str, integ: str) -> str:
    """Which lengths of key this pair of algorithms takes, in octets."""
    parts = []
    for kind, name in ((Kind.ENCR, cipher), (Kind.INTEG, integ)):
        row = find(kind, name) if name else None
        if row is None or not row.default_bits:
            continue
        octets = [str(row.keymat_octets(bits)) for bits in sorted(row.key_bits)]
        many = " or ".join([", ".join(octets[:-1]), octets[-1]] if octets[1:] else octets)
        parts.append(f"{name} wants {many}" + (f", {row.salt} of them salt" if row.salt else ""))
    aead = find(Kind.ENCR, cipher)
    if aead is not None and aead.aead and integ:
        parts.append(f"{cipher} brings its own integrity")
    if aead is not None and not aead.aead and not integ:
        parts.append(f"{cipher} needs an integrity algorithm")
    return "; ".join(parts)
