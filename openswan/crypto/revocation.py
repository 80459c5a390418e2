# SPDX-License-Identifier: GPL-2.0-or-later
"""Has any certificate of a chain been revoked? What is known decides; what could be asked is said (RFC 5280 6.3).

Only chains that have been verified come here: nobody can make us fetch anything without an authority of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from itertools import pairwise
from typing import TypeAlias

from cryptography import x509

from openswan.base.errors import CryptoError
from openswan.crypto import ocsp
from openswan.crypto.crl import Lists, crl_uris, require_not_listed
from openswan.crypto.x509 import describe, show_name


class Strict(Enum):
    """strictcrlpolicy="""

    NO = "no"
    IFURI = "ifuri"
    YES = "yes"


class Way(Enum):
    """How revocation is learnt."""

    CRL = "CRL"
    OCSP = "OCSP"


@dataclass(frozen=True, slots=True)
class Demands:
    """What config setup asks for."""

    strict: Strict = Strict.NO
    """A certificate about which nothing current is known does not count: never, if it says where to ask, always."""
    fetch: bool = False
    """Lists are fetched from where certificates and ca sections say."""
    ocsp: bool = False
    """Responders are asked."""
    ocsp_strict: bool = False
    """A certificate no responder calls good does not count."""
    ocsp_uri: str = ""
    """Asked about certificates that name no responder."""


@dataclass(frozen=True, slots=True)
class Fetching:
    """How lists of revoked certificates and OCSP answers are fetched; times in seconds."""

    interval: float = 0.0
    """crlcheckinterval=: how often it is looked whether a list wants renewal; 0: never."""
    timeout: float = 5.0
    """curl-timeout=, for a list."""
    ocsp_timeout: float = 2.0
    ocsp_post: bool = False
    """ocsp-method=post: with a nonce, past every cache; else by GET when the question fits into a URI."""
    ocsp_cache: int = 1000
    """OCSP answers kept."""
    ocsp_least: timedelta = timedelta(hours=1)
    """How long an answer counts that does not say how long it does."""
    ocsp_most: timedelta = timedelta(days=1)
    """No answer counts longer than this."""
    ocsp_trusted: str = ""
    """ocsp-trustname=: only this certificate of ipsec.d/ocspcerts, its file's name or its subject; empty: all."""


Key: TypeAlias = tuple[Way, str, Hashable]
"""Of a question."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something to fetch: an authority's list, or a responder's word about one certificate."""

    way: Way
    uri: str
    issuer: x509.Certificate
    cert: x509.Certificate | None = None
    """OCSP: about which certificate."""

    @property
    def key(self) -> Key:
        """What makes two questions the same: a list answers for all certificates of its issuer."""
        if self.cert is None:
            return self.way, self.uri, self.issuer.subject.public_bytes()
        return self.way, self.uri, ocsp.cert_id(self.cert, self.issuer)


@dataclass(frozen=True, slots=True)
class Places:
    """Where a ca section says its authority's lists, responder and certificates are."""

    crl: tuple[str, ...] = ()
    ocsp: tuple[str, ...] = ()
    certificates: str = ""
    """What stands before the hash in the URL of a certificate; empty: they are nowhere."""


@dataclass(eq=False)
class Known:
    """Everything known about revocation."""

    lists: Lists = field(default_factory=Lists)
    answers: dict[ocsp.CertId, ocsp.Answer] = field(default_factory=dict)
    responders: tuple[x509.Certificate, ...] = ()
    """ipsec.d/ocspcerts: their answers count for every authority."""
    places: Mapping[bytes, Places] = field(default_factory=dict)
    """By DER of the authority's name."""

    def answer(self, cert: x509.Certificate, issuer: x509.Certificate, at: datetime) -> ocsp.Answer | None:
        """The current word of a responder about a certificate."""
        try:
            found = self.answers.get(ocsp.cert_id(cert, issuer))
        except CryptoError:
            return None
        # What was revoked stays so.
        return found if found is not None and (found.revoked is not None or found.is_current(at)) else None

    def uris(self, way: Way, cert: x509.Certificate, issuer: x509.Certificate, demands: Demands) -> tuple[str, ...]:
        """Where to ask about a certificate: where it says, then where the ca section says, then ocsp-uri=."""
        more = self.places.get(issuer.subject.public_bytes(), Places())
        if way is Way.CRL:
            return tuple(dict.fromkeys((*crl_uris(cert), *more.crl)))
        fallback = (demands.ocsp_uri,) if demands.ocsp_uri else ()
        return tuple(dict.fromkeys((*ocsp.ocsp_uris(cert), *more.ocsp))) or fallback


def check(
    chain: Sequence[x509.Certificate], known: Known, demands: Demands, at: datetime, worth: Callable[[Question], bool]
) -> tuple[Question, ...]:
    """What is to be fetched before the chain can be judged; nothing: no certificate of it is known to be revoked.

    CryptoError when one is, or when `demands` want more than is known and there is nothing left to ask. `worth` says of
    a question whether asking it may help: it was not asked a moment ago. The last certificate is an authority of ours,
    which nobody revokes.
    """
    questions: list[Question] = []
    for cert, issuer in pairwise(chain):
        questions += _check_one(cert, issuer, known, demands, at, worth)
    return tuple({question.key: question for question in questions}.values())


def _check_one(
    cert: x509.Certificate,
    issuer: x509.Certificate,
    known: Known,
    demands: Demands,
    at: datetime,
    worth: Callable[[Question], bool],
) -> Iterator[Question]:
    listed = require_not_listed(known.lists, cert, issuer, at)
    answer = known.answer(cert, issuer, at)
    if answer is not None and answer.revoked is not None:
        raise CryptoError(
            f"certificate {describe(cert)} was revoked at {answer.revoked:%Y-%m-%d %H:%M:%S} UTC, says the OCSP "
            f"responder '{answer.responder}'"
        )
    if demands.ocsp and answer is None:
        asked = _next(Way.OCSP, cert, issuer, known, demands, worth)
        if asked is not None:
            yield asked
            return
    if answer is None and not listed and demands.fetch:
        asked = _next(Way.CRL, cert, issuer, known, demands, worth)
        if asked is not None:
            yield asked
            return
    if demands.ocsp and demands.ocsp_strict and answer is None:
        raise CryptoError(f"certificate {describe(cert)}: no OCSP responder says that it is good, and ocsp-strict=yes")
    if answer is not None or listed or demands.strict is Strict.NO:
        return
    uris = (*known.uris(Way.CRL, cert, issuer, demands), *known.uris(Way.OCSP, cert, issuer, demands))
    if demands.strict is Strict.YES or uris:
        raise CryptoError(
            f"certificate {describe(cert)}: no current revocation list of '{show_name(cert.issuer)}' and "
            f"strictcrlpolicy={demands.strict.value}"
        )


def _next(
    way: Way,
    cert: x509.Certificate,
    issuer: x509.Certificate,
    known: Known,
    demands: Demands,
    worth: Callable[[Question], bool],
) -> Question | None:
    candidates: Iterable[Question] = (
        Question(way, uri, issuer, cert if way is Way.OCSP else None) for uri in known.uris(way, cert, issuer, demands)
    )
    return next(filter(worth, candidates), None)


def require_unrevoked(chain: Sequence[x509.Certificate], known: Known, at: datetime) -> None:
    """CryptoError when a certificate of the chain is known to be revoked; what is not known is nobody's fault."""
    check(chain, known, Demands(), at, lambda _: False)
