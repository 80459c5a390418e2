# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates that peers name by hash and URL: fetched while their IKE_AUTH waits, kept, and bounded (RFC 7296 3.6).

    CERT(12): hash, URL -> certuribase= of a ca section and the hash? -> known? -> the certificate is judged
                            no -> refused                          no -> Fetch -> same hash? parsed, kept

The peer has proved nothing by then, so it decides nothing but which file of a server the operator has named is asked
for: no other server, no other path, no redirection (CVE-2022-40617 is about those who let it).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from functools import partial

from openswan.base.address import Address
from openswan.base.errors import CryptoError
from openswan.base.interval import Instant
from openswan.crypto.x509 import describe, load
from openswan.engine.core import Core
from openswan.engine.demux import Bucket
from openswan.engine.events import Fetched
from openswan.engine.fetches import Fetches, server_of
from openswan.engine.statedb import Source, source_of
from openswan.ike.later import CertificateJob
from openswan.wire.v2.cert import HashUrl

MOST_OCTETS = 16 << 10
"""Of a certificate."""
TIMEOUT = 5.0
"""Seconds to fetch it in."""
AGAIN = 60.0
"""Seconds until it is asked for again what was not to be had, or a server that did not answer."""
AT_ONCE = 8
"""Certificates that are fetched at a time: revocation lists and OCSP answers have room beside them."""
MOST_WAITING = 512
"""Certificates that are fetched or wait for that,"""
MOST_OF_ONE = 64
"""and those of one source address among them."""
MOST_KNOWN = 256
MOST_FAILED = 4096
RATE, BURST = 0.1, 8.0
"""Failures a second, and at once, after which a source address has nothing fetched any more."""
MOST_SOURCES = 4096


class Certificates:
    """What has been fetched, and who waits for more."""

    def __init__(self, core: Core, fetches: Fetches) -> None:
        self.core, self.fetches = core, fetches
        self.bases: tuple[str, ...] = ()
        """certuribase= of the ca sections."""
        self.known: OrderedDict[bytes, bytes] = OrderedDict()
        """DER by its SHA-1 hash; the one that was wanted last is at the end."""
        self.failed: OrderedDict[bytes, tuple[Instant, str]] = OrderedDict()
        """Until when a hash is let be, and why."""
        self.silent: dict[str, Instant] = {}
        """Until when a server is."""
        self.blame: OrderedDict[Source, Bucket] = OrderedDict()
        """Whose lookups have failed."""
        self.waiting: dict[bytes, tuple[CertificateJob, list[Callable[[], None]]]] = {}
        """By hash; who asked first, and what is called when there is an answer."""
        self.queue: deque[bytes] = deque()
        """Those of them that are not on their way yet."""

    def read(self, bases: Iterable[str]) -> None:
        """The ca sections have been read: what failed before may be there now."""
        self.bases = tuple(dict.fromkeys(base for base in bases if base))
        self.failed.clear()
        self.silent.clear()

    @property
    def announced(self) -> bool:
        """Are peers told that hash and URL will do?"""
        return self.core.settings.hash_and_url and bool(self.bases)

    def certificate(self, what: HashUrl, remote: Address) -> bytes | None:
        """What openswan.ike.policy.Responder.certificate promises."""
        if not self.announced:
            raise CryptoError("it is named by hash and URL, which we have not asked for (hash-and-url=no)")
        if not self._is_named(what):
            raise CryptoError(f"it is said to be at {what.url[:200]}, which no ca section's certuribase= names")
        known = self.known.get(what.digest)
        if known is not None:
            self.known.move_to_end(what.digest)
            return known
        now = self.core.now
        until, why = self.failed.get(what.digest, (0.0, ""))
        if until > now:
            raise CryptoError(f"{what.url[:200]}: {why}")
        if self.silent.get(server_of(what.url), 0.0) > now:
            raise CryptoError(f"{what.url[:200]}: the server did not answer a moment ago")
        if what.digest not in self.waiting:
            self._require_room(source_of(remote))
        return None

    def _is_named(self, what: HashUrl) -> bool:
        """Is it a base of ours, and the hash after it?"""
        name = what.digest.hex()
        base, end = what.url[: -len(name)], what.url[-len(name) :]
        return base in self.bases and end.lower() == name

    def _require_room(self, source: Source) -> None:
        bucket = self.blame.get(source)
        if bucket is not None and not bucket.has(self.core.now):
            raise CryptoError("this peer has named too many certificates that were not to be had")
        of_one = sum(source_of(job.peer) == source for job, _ in self.waiting.values())
        if len(self.waiting) >= MOST_WAITING or of_one >= MOST_OF_ONE:
            raise CryptoError("too many certificates are being fetched at the moment")

    def start(self, job: CertificateJob, done: Callable[[], None]) -> None:
        """Fetch a certificate and call `done`; one request however many wait."""
        digest = job.what.digest
        if digest not in self.waiting:
            self.waiting[digest] = (job, [])
            self.queue.append(digest)
        self.waiting[digest][1].append(done)
        self._pump()

    def _pump(self) -> None:
        while self.queue and len(self.waiting) - len(self.queue) < AT_ONCE:
            digest = self.queue.popleft()
            job, _ = self.waiting[digest]
            self.fetches.start(job.what.url, MOST_OCTETS, TIMEOUT, partial(self._fetched, digest))

    def _fetched(self, digest: bytes, event: Fetched) -> None:
        job, callbacks = self.waiting.pop(digest)
        try:
            self._learn(job.what, event)
        except CryptoError as why:
            self._let_be(job, str(why), bool(event.reason) and not event.answered)
        self._pump()
        for done in callbacks:
            done()

    def _learn(self, what: HashUrl, event: Fetched) -> None:
        if event.reason:
            raise CryptoError(event.reason)
        if not what.names(event.data):
            raise CryptoError(f"the {len(event.data)} octets that came have another SHA-1 hash")
        cert = load(event.data, "what came")
        self.known[what.digest] = event.data
        while len(self.known) > MOST_KNOWN:
            self.known.popitem(last=False)
        self.core.log(f"fetched certificate {describe(cert)} from {what.url[:200]}", event="cert-fetched")

    def _let_be(self, job: CertificateJob, why: str, silent: bool) -> None:
        until = self.core.now + AGAIN
        self.core.log(f"certificate of {job.peer} not fetched from {job.what.url[:200]}: {why}", True, "fetch")
        self.failed[job.what.digest] = (until, why)
        while len(self.failed) > MOST_FAILED:
            self.failed.popitem(last=False)
        if silent:
            # Whoever named it could not know; there are no more servers than the operator has named.
            self.silent[server_of(job.what.url)] = until
            return
        source = source_of(job.peer)
        self.blame.setdefault(source, Bucket(RATE, BURST)).take(self.core.now)
        self.blame.move_to_end(source)
        while len(self.blame) > MOST_SOURCES:
            self.blame.popitem(last=False)
