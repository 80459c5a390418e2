# SPDX-License-Identifier: GPL-2.0-or-later
"""What pluto knows of revoked certificates: fetching it, keeping it, renewing it, and acting on it.

Everything kept is bounded. Nothing is fetched but for chains that lead to an authority of ours and whose holder has
proved to have the key, and nothing twice within a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from cryptography import x509

from openswan.base.errors import CryptoError
from openswan.base.interval import Instant
from openswan.base.log import Rc
from openswan.crypto import ocsp
from openswan.crypto.crl import Lists, RevocationList
from openswan.crypto.revocation import Key, Known, Question, Way, check, require_unrevoked
from openswan.crypto.x509 import load, show_name
from openswan.engine.effects import WhackDone
from openswan.engine.events import CertificatesRead, Fetched
from openswan.engine.fetches import server_of
from openswan.engine.timers import Timer

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

AGAIN = 60.0
"""Seconds until something is asked for again, whether or not an answer came."""
MOST_LIST = 16 << 20
"""Octets of a fetched list."""
MOST_LISTS = 256
MOST_OCTETS = 128 << 20
"""Of all fetched lists together."""
MOST_MEMORY = 4096
"""Questions whose last asking is remembered."""


@dataclass(slots=True)
class Waiting:
    """Somebody who cannot go on before some questions have been asked."""

    keys: set[Key]
    done: Callable[[], None]


@dataclass(eq=False)
class Revocation:
    """The brain's knowledge of revocation."""

    brain: Brain
    clock: Callable[[Instant], datetime]
    known: Known = field(default_factory=Known)
    authorities: tuple[x509.Certificate, ...] = ()
    """Those of cacerts, for the lists ca sections name."""
    sources: dict[Key, Question] = field(default_factory=dict)
    """Lists that have been fetched or are to be, for their renewal."""
    octets: dict[Key, int] = field(default_factory=dict)
    rest: dict[Key | str, Instant] = field(default_factory=dict)
    """Until when a question, or a server that did not answer, is let be."""
    under_way: set[Key] = field(default_factory=set)
    waiting: list[Waiting] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """URIs whose scheme has been complained about."""
    read_at: datetime | None = None
    """When the directories were read last."""

    # -- judging ------------------------------------------------------------------------------------------------------

    def check(self, chain: Sequence[x509.Certificate], at: datetime) -> tuple[Question, ...]:
        """What openswan.ike.policy.Responder.revocation promises."""
        return check(chain, self.known, self.brain.core.settings.demands, at, self._worth)

    def _worth(self, question: Question) -> bool:
        if not question.uri.lower().startswith("http://"):
            if question.uri not in self.refused and len(self.refused) < MOST_MEMORY:
                self.refused.add(question.uri)
                self.brain.core.log(f"{question.way.value} not fetched from {question.uri[:200]!r}: only http is", True)
            return False
        now = self.brain.core.now
        return now >= self.rest.get(question.key, 0.0) and now >= self.rest.get(server_of(question.uri), 0.0)

    def recheck(self) -> None:
        """Something new is known: peers whose certificates turn out to be revoked are left at once."""
        core, at = self.brain.core, self.clock(self.brain.core.now)
        for ike in list(core.states.ikes.values()):
            if ike.established is None or ike.closing or not ike.machine.peer_chain:
                continue
            try:
                require_unrevoked(ike.machine.peer_chain, self.known, at)
            except CryptoError as why:
                if ike.conn is not None:
                    core.say(ike.conn, f"{why}; closing the IKE SA", Rc.LOG_SERIOUS, ike.serial, event="revoked")
                self.brain.ikes.close(ike)

    # -- fetching -----------------------------------------------------------------------------------------------------

    def start(self, questions: Sequence[Question], done: Callable[[], None]) -> None:
        """Ask what is not being asked already, and call `done` once every question has had its answer or none."""
        keys = {question.key for question in questions}
        self.waiting.append(Waiting(keys, done))
        for question in questions:
            self._ask(question)

    def _ask(self, question: Question) -> None:
        if question.key in self.under_way:
            return
        self.under_way.add(question.key)
        fetches, fetching = self.brain.fetches, self.brain.core.settings.fetching
        if question.cert is None:
            if len(self.sources) < MOST_LISTS:
                self.sources[question.key] = question
            fetches.start(question.uri, MOST_LIST, fetching.timeout, partial(self._fetched, question, b""))
            return
        limit, timeout = ocsp.MOST_RESPONSE, fetching.ocsp_timeout
        if not fetching.ocsp_post:
            uri = ocsp.get_uri(question.uri, ocsp.request(question.cert, question.issuer))
            if uri:
                fetches.start(uri, limit, timeout, partial(self._fetched, question, b""))
                return
        nonce = self.brain.core.rng.octets(ocsp.NONCE_OCTETS)
        body = ocsp.request(question.cert, question.issuer, nonce)
        taker = partial(self._fetched, question, nonce)
        fetches.start(question.uri, limit, timeout, taker, body, ocsp.REQUEST_TYPE)

    def _fetched(self, question: Question, nonce: bytes, event: Fetched) -> None:
        """An answer, or the news that there is none."""
        self.under_way.discard(question.key)
        core = self.brain.core
        if len(self.rest) > MOST_MEMORY:
            self.rest.clear()
        self.rest[question.key] = core.now + AGAIN
        if event.reason:
            if not event.answered:
                self.rest[server_of(question.uri)] = core.now + AGAIN
            core.log(f"{question.way.value} not fetched from {question.uri[:200]}: {event.reason}", True, "fetch")
        else:
            try:
                self._learn(question, nonce, event.data)
            except CryptoError as why:
                core.log(f"{question.way.value} from {question.uri[:200]} is of no use: {why}", True, "fetch")
        done = [one for one in self.waiting if one.keys == {question.key}]
        for one in self.waiting:
            one.keys.discard(question.key)
        self.waiting = [one for one in self.waiting if one.keys]
        for one in done:
            one.done()
        if not event.reason:
            self.recheck()

    def _learn(self, question: Question, nonce: bytes, data: bytes) -> None:
        at = self.clock(self.brain.core.now)
        if question.cert is None:
            self._learn_list(question, data, at)
        else:
            self._learn_answer(question.cert, question.issuer, nonce, data, at)

    def _learn_list(self, question: Question, data: bytes, at: datetime) -> None:
        one = RevocationList.load(data, question.uri)
        name = show_name(one.crl.issuer)
        if one.issuer != question.issuer.subject.public_bytes() or not one.is_signed_by(question.issuer):
            raise CryptoError(f"'{show_name(question.issuer.subject)}' has not signed it; it says '{name}'")
        if not one.is_current(at):
            raise CryptoError(f"it was good until {one.until:%Y-%m-%d %H:%M:%S} UTC")
        self.octets[question.key] = len(data)
        if sum(self.octets.values()) > MOST_OCTETS or len(self.octets) > MOST_LISTS:
            del self.octets[question.key]
            raise CryptoError("there is no room for another list")
        if self.known.lists.put(one):
            text = f"fetched CRL of '{name}': {len(one.crl)} revoked, good until {one.until:%Y-%m-%d %H:%M:%S} UTC"
            self.brain.core.log(text, event="crl-fetched")

    def _learn_answer(
        self, cert: x509.Certificate, issuer: x509.Certificate, nonce: bytes, data: bytes, at: datetime
    ) -> None:
        fetching = self.brain.core.settings.fetching
        answer = ocsp.read(
            data,
            cert,
            issuer,
            at,
            nonce=nonce,
            trusted=self.known.responders,
            least=fetching.ocsp_least,
            most=fetching.ocsp_most,
        )
        answers = self.known.answers
        name = ocsp.cert_id(cert, issuer)
        answers.pop(name, None)
        while answers and len(answers) >= max(1, fetching.ocsp_cache):
            answers.pop(next(iter(answers)))
        answers[name] = answer
        word = "good" if answer.revoked is None else "revoked"
        self.brain.core.log(
            f"OCSP responder '{answer.responder}' says that '{show_name(cert.subject)}' is {word}", event="ocsp"
        )

    # -- files and time -----------------------------------------------------------------------------------------------

    def read(self, event: CertificatesRead) -> None:
        """The directories have been read: lists of files are replaced, fetched ones stay."""
        self.read_at = self.clock(self.brain.core.now)
        fetched = [one for one in self.known.lists if one.uri]
        lists = Lists(event.crls)
        for one in fetched:
            lists.put(one)
        self.known.lists = lists
        self.known.places = dict(event.places)
        self.known.responders = tuple(_responders(event, self.brain.core.settings.fetching.ocsp_trusted))
        self.authorities = tuple(_certificates(event.anchors))
        self.recheck()
        settings = self.brain.core.settings
        if settings.fetching.interval:
            self.brain.core.after(Timer.CRLS, "", 0.0, self._due)

    def _due(self) -> None:
        """crlcheckinterval= has passed: renew lists that end before it passes again."""
        interval = self.brain.core.settings.fetching.interval
        soon = self.clock(self.brain.core.now) + timedelta(seconds=interval)
        for question in self._sources():
            held = [
                one for one in self.known.lists.of(question.issuer.subject.public_bytes()) if one.uri == question.uri
            ]
            if not any(one.is_current(soon) for one in held) and self._worth(question):
                self._ask(question)
        self.brain.core.after(Timer.CRLS, "", interval, self._due)

    def _sources(self) -> list[Question]:
        """Every list that is known to be somewhere."""
        for cert in self.authorities:
            places = self.known.places.get(cert.subject.public_bytes())
            for uri in places.crl if places else ():
                question = Question(Way.CRL, uri, cert)
                self.sources.setdefault(question.key, question)
        return list(self.sources.values())[:MOST_LISTS]

    def fetch_all(self, client: int) -> bool:
        """--fetchcrls: every list anew; True when there is none to wait for."""
        core = self.brain.core
        self.rest.clear()
        questions = [question for question in self._sources() if self._worth(question)]
        if not questions:
            core.reply(client, Rc.COMMENT, "no certificate and no ca section has told of a CRL to be fetched by http")
            return True
        core.reply(client, Rc.COMMENT, f"fetching {len(questions)} CRLs; `ipsec auto --listcrls' shows what has come")
        self.start(questions, lambda: core.emit(WhackDone(client)))
        return False

    def purge(self) -> int:
        """--purgeocsp: forget what responders have said; how much that was."""
        count = len(self.known.answers)
        self.known.answers.clear()
        self.rest.clear()
        return count


def _certificates(ders: Sequence[bytes]) -> list[x509.Certificate]:
    found = []
    for data in ders:
        try:
            found.append(load(data))
        except CryptoError:
            continue  # their reader has complained
    return found


def _responders(event: CertificatesRead, only: str) -> list[x509.Certificate]:
    found = [(name, cert) for name, data in event.responders for cert in _certificates([data])]
    return [cert for name, cert in found if not only or only in (name, show_name(cert.subject))]
