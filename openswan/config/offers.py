# SPDX-License-Identifier: GPL-2.0-or-later
"""What a conn proposes: algorithms of IKE, ESP and AH, extended sequence numbers, and UDP around it all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from openswan.base.errors import ConfigError
from openswan.config.keyword import split_list
from openswan.config.parser import Param
from openswan.config.setup import Setup
from openswan.config.values import Values
from openswan.policy.algorithms import (
    DEFAULT_AH,
    DEFAULT_ESP,
    DEFAULT_IKE,
    V1_DEFAULT_AH,
    V1_DEFAULT_ESP,
    V1_DEFAULT_IKE,
    Parsed,
    parse_ah,
    parse_esp,
    parse_ike,
    with_esn,
)
from openswan.policy.proposal import Proposal

ESN = {"either": (True, False), "yes": (True,), "no": (False,)}
"""esn= to the kinds of sequence numbers that are proposed, the better first; True: extended."""

PLAIN = (False,)


def ike_proposals(values: Values, version: int) -> tuple[Proposal, ...]:
    """ike=."""
    v1 = version == 1
    return _algorithms(
        values, "ike", lambda text: parse_ike(text, ikev1=v1), Parsed(V1_DEFAULT_IKE if v1 else DEFAULT_IKE)
    )


def ikev1_alone(values: Values) -> tuple[Param, str] | None:
    """The first of ike= and phase2alg= that IKEv2 refuses, and why; None unless IKEv1 takes all that they name."""
    phase2 = parse_ah if values.value("phase2") == "ah" else parse_esp
    readers: tuple[tuple[str, Callable[..., Parsed]], ...] = (("ike", parse_ike), ("phase2alg", phase2))
    given = [(param, reader) for name, reader in readers if (param := values.param(name)) is not None]
    refused = [(param, why) for param, reader in given if (why := _refusal(reader, param.value))]
    if not refused or any(_refusal(reader, param.value, ikev1=True) for param, reader in given):
        return None
    return refused[0]


def _refusal(reader: Callable[..., Parsed], text: str, **more: bool) -> str:
    """Why a reader does not take the text; empty when it does."""
    try:
        reader(text, **more)
    except ConfigError as why:
        return why.reason
    return ""


def extended_numbers(values: Values) -> str:
    """esn=, a key of ESN.

    A receiver without replay protection cannot keep track of extended numbers (RFC 4303 2.2.1).
    """
    esn = values.value("esn", "either")
    if values.number("replay-window"):
        return esn
    if esn == "yes":
        values.error("esn=yes needs replay protection, which replay-window=0 switches off", values.param("esn"))
    return "no"


def esp_proposals(values: Values, esn: tuple[bool, ...], version: int) -> tuple[Proposal, ...]:
    """phase2alg= with phase2=esp; `esn`: a value of ESN, which IKEv1 does not know."""
    if values.param("ah") is not None:
        values.warn("ah= counts with phase2=ah only: this conn uses ESP", values.param("ah"))
    if version == 1:
        return _algorithms(
            values, "phase2alg", lambda text: parse_esp(text, PLAIN, ikev1=True), Parsed(V1_DEFAULT_ESP, ())
        )
    return _algorithms(values, "phase2alg", lambda text: parse_esp(text, esn), Parsed(with_esn(DEFAULT_ESP, esn), ()))


def ah_proposals(values: Values, esn: tuple[bool, ...], version: int) -> tuple[Proposal, ...]:
    """ah= or phase2alg= with phase2=ah; `esn`: a value of ESN, which IKEv1 does not know."""
    if encapsulation(values) == "yes":
        values.error("phase2=ah and encapsulation=yes contradict each other: AH does not travel in UDP")
    both = values.param("ah") is not None and values.param("phase2alg") is not None
    if both:
        values.error("ah= and phase2alg= both name algorithms of AH: leave one out", values.param("ah"))
    name = "ah" if values.param("ah") is not None else "phase2alg"
    if version == 1:
        return _algorithms(values, name, lambda text: parse_ah(text, PLAIN, ikev1=True), Parsed(V1_DEFAULT_AH, ()))
    return _algorithms(values, name, lambda text: parse_ah(text, esn), Parsed(with_esn(DEFAULT_AH, esn), ()))


def with_group(values: Values, proposals: tuple[Proposal, ...], version: int) -> tuple[Proposal, ...]:
    """pfsgroup=: the group of every proposal that names none."""
    param = values.param("pfsgroup")
    if param is None:
        return proposals
    text = "+".join(split_list(param.value))
    try:
        dh = parse_ah(f"sha2_256;{text}", ikev1=version == 1).proposals[0].dh
    except ConfigError as why:
        values.error(f"pfsgroup={param.value[:40]}: {why.reason}", param)
        return proposals
    return tuple(one if one.dh else replace(one, dh=dh) for one in proposals)


def _algorithms(values: Values, name: str, reader: Callable[[str], Parsed], default: Parsed) -> tuple[Proposal, ...]:
    param = values.param(name)
    if param is None:
        return default.proposals
    try:
        parsed = reader(param.value)
    except ConfigError as why:
        values.error(why.reason, param)
        return default.proposals
    for text in parsed.warnings:
        values.warn(text, param)
    return parsed.proposals


def encapsulation(values: Values, setup: Setup | None = None, version: int = 2) -> str:
    """encapsulation=, and forceencaps= which is older; else what config setup says of NATs."""
    none = setup is not None and not setup.nat_traversal
    none |= version == 1 and values.value("nat-ikev1-method") == "none"
    value = values.canonical.get(("", "encapsulation"), "no" if none and not values.yes("forceencaps") else "auto")
    if not values.yes("forceencaps"):
        return value
    if value == "no":
        values.error("forceencaps=yes and encapsulation=no contradict each other", values.param("encapsulation"))
    return "yes"
