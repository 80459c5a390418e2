# SPDX-License-Identifier: GPL-2.0-or-later
"""The classes of debugging lines: what plutodebug=, debug=, and --debug-... of ipsec whack and ipsec pluto name."""

from __future__ import annotations

from collections.abc import Iterable

from openswan.base.errors import ConfigError

CLASSES: dict[str, str] = {
    "raw": "IKE messages as they come and go, in hexadecimal",
    "crypt": "algorithms that are agreed, and what is computed or signed; never a key",
    "parsing": "the payloads of messages that come",
    "emitting": "the payloads of messages that go",
    "control": "what pluto is told and what it orders, and every state transition",
    "lifecycle": "how SAs come up and end",
    "klips": "what the packet engine and the guard are told, and what the engine tells",
    "dns": "questions to the DNS, and their answers",
    "oppo": "what becomes of pairs of hosts of policy groups",
    "oppoinfo": "which packets of such pairs are stopped, and which way they go then",
    "controlmore": "what comes and goes very often: timers, counters, probes of paths",
    "pfkey": "the same as klips",
    "natt": "NATs: keepalives, mappings, ESP in UDP",
    "x509": "certificates, revocation lists and what is fetched",
    "dpd": "whether peers live",
}
"""In the order in which the status has them."""
OTHER_WORDS: dict[str, tuple[str, ...]] = {
    "netkey": ("klips",),
    "xfrm": ("klips",),
    "kernel": ("klips",),
    "nattraversal": ("natt",),
    "nat-t": ("natt",),
    "base": ("control", "lifecycle", "klips", "oppo", "natt", "x509", "dpd"),
    "cpu-usage": (),
    "tmi": tuple(CLASSES),
    "all": tuple(CLASSES),
    "none": (),
    "private": (),
}
"""Further spellings, those of libreswan among them; `none` takes back what stands before it."""
WORDS = (*CLASSES, *OTHER_WORDS)
PRIVATE = "private"
NOT_OBEYED = "private is not obeyed: keys and passwords are never written to the log"


def classes_of(words: Iterable[str]) -> frozenset[str]:
    """What these words ask for together; ConfigError names one that is none."""
    found: set[str] = set()
    for word in words:
        if word not in WORDS:
            raise ConfigError(f"'{word[:40]}' is no class of debugging: there are {', '.join(WORDS)}")
        if word == "none":
            found.clear()
        found |= {word} if word in CLASSES else set(OTHER_WORDS[word])
    return frozenset(found)


def classes_text(classes: Iterable[str]) -> str:
    """`none`, or the classes joined with `+`."""
    wanted = set(classes)
    return "+".join(name for name in CLASSES if name in wanted) or "none"
