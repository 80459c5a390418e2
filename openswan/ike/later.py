# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers that need time: a step of an IKE SA asks for one, stops, and is done again from its start once it is there.

A step that may stop must not have changed anything before it asks; what it emitted until then is taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from openswan.base.address import Address
from openswan.base.errors import IkeError
from openswan.crypto.revocation import Question
from openswan.crypto.sign import Scheme, sign
from openswan.crypto.tokenkey import SigningKey, TokenKey
from openswan.wire.v2.cert import HashUrl
from openswan.wire.v2.numbers import NotifyType


@dataclass(frozen=True, slots=True)
class SignJob:
    """A signature by a key that is not in this process; its result is the signature."""

    key: TokenKey
    scheme: Scheme
    octets: bytes

    def __str__(self) -> str:
        return "a token to sign"


@dataclass(frozen=True, slots=True)
class RevocationJob:
    """Revocation lists and OCSP answers to be fetched; no result: whoever asked looks again at what is known."""

    questions: tuple[Question, ...]

    def __str__(self) -> str:
        return f"what {', '.join(question.uri for question in self.questions)} know of revoked certificates"


@dataclass(frozen=True, slots=True)
class KeysJob:
    """Public keys to be looked up in the DNS; no result: whoever asked looks again at what is known."""

    name: str

    def __str__(self) -> str:
        return f"the DNS to say which keys {self.name} has"


@dataclass(frozen=True, slots=True)
class CertificateJob:
    """A certificate to be fetched by its hash and URL; no result: whoever asked looks again at what is known."""

    what: HashUrl
    peer: Address
    """Who sent us there."""

    def __str__(self) -> str:
        return f"{self.what.url} to send the peer's certificate"


@dataclass(frozen=True, slots=True)
class GatewaysJob:
    """The gateways of a host behind the peer, to be looked up in the DNS; no result: as for KeysJob."""

    host: Address

    def __str__(self) -> str:
        return f"the DNS to say who the gateways of {self.host} are"


@dataclass(frozen=True, slots=True)
class XauthJob:
    """A name and a password to be judged: an empty result when they are right, CryptoError says why they are not."""

    connection: str
    peer: str
    """The identity of phase 1."""
    remote: Address
    user: str
    password: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"the password of {self.user} to be judged"


Job: TypeAlias = SignJob | RevocationJob | KeysJob | CertificateJob | GatewaysJob | XauthJob


class Later(Exception):
    """The step cannot go on before `job` is done."""

    def __init__(self, job: Job) -> None:
        super().__init__(str(type(job).__name__))
        self.job = job


class Unsettled(IkeError):
    """What is asked for depends on `job`: it waits for that where it can, and is refused for the moment where not."""

    def __init__(self, job: Job, reason: str) -> None:
        self.job = job
        super().__init__(reason, NotifyType.TEMPORARY_FAILURE)


def signature(need: Callable[[Job], bytes], key: SigningKey, scheme: Scheme, octets: bytes) -> bytes:
    """A signature; Later when the key is in a token. `need`: what gives the result of a job."""
    return need(SignJob(key, scheme, octets)) if isinstance(key, TokenKey) else sign(key, scheme, octets)
