# SPDX-License-Identifier: GPL-2.0-or-later
"""How well a peer has proved who it is: null < dns < group < dnssec < psk = raw-key = cert."""

from __future__ import annotations

from enum import Enum

from openswan.base.errors import ConfigError


class Grade(Enum):
    """What an SA's peer has shown; `rank` orders them, those of equal rank differ in kind only."""

    NULL = ("null", 0, "nobody in particular, whoever answers at that address (RFC 7619)")
    DNS = ("dns", 1, "its key is in the DNS, unsigned")
    GROUP = ("group", 2, "a member of the group: a shared secret, or a certificate that does not name its address")
    DNSSEC = ("dnssec", 3, "its key is in the DNS, signed and validated")
    PSK = ("psk", 4, "a secret of its own")
    RAW_KEY = ("raw-key", 4, "a public key that is configured here")
    CERT = ("cert", 4, "a certificate bound to its address")

    def __init__(self, word: str, rank: int, story: str) -> None:
        self.word = word
        self.rank = rank
        self.story = story

    def __str__(self) -> str:
        return self.word

    def meets(self, least: Grade) -> bool:
        """Is this at least as good as `least`?"""
        return self.rank >= least.rank

    def beats(self, other: Grade) -> bool:
        """Is this better than `other`?"""
        return self.rank > other.rank

    @property
    def authenticated(self) -> bool:
        """May such a peer use what configured conns use: their device, the firewall's openings?"""
        return self.rank >= Grade.PSK.rank


ATTACKS = {
    Grade.NULL: "who sits on the path can be the peer",
    Grade.DNS: "who can forge DNS answers and sits on the path can be the peer",
    Grade.GROUP: "every member of the group can be the peer",
    Grade.DNSSEC: "who holds a key of the zones above it can be the peer",
    Grade.PSK: "nobody without its secret can be the peer",
    Grade.RAW_KEY: "nobody without its key can be the peer",
    Grade.CERT: "nobody without its key or the authority's can be the peer",
}
"""What an attacker could still do against an SA of each grade."""
GRADES = {grade.word: grade for grade in Grade} | {"rsasig": Grade.RAW_KEY, "raw": Grade.RAW_KEY}


def parse_grade(text: str) -> Grade:
    """Read authgrade=; ConfigError names the words there are."""
    found = GRADES.get(text.strip().lower())
    if found is None:
        raise ConfigError(f"'{text[:40]}' is not a grade: there are {', '.join(grade.word for grade in Grade)}")
    return found
