# SPDX-License-Identifier: GPL-2.0-or-later
"""Signed dynamic update (RFC 2136, TSIG of RFC 8945): this host's records into the server that has its zones.

Records of the same owner and type that name the same gateway give way; what else is there, other gateways and TXT
records about something else among it, stays. Answers have to be signed too.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openswan.base.errors import ConfigError, HostError, WireError
from openswan.policy.ownrecords import OwnRecord
from openswan.wire.oerecord import PARSERS, OeRecord

if TYPE_CHECKING:
    import dns.message
    import dns.name
    import dns.rdata
    import dns.rrset

TIMEOUT = 10.0
"""Seconds a server may take to answer."""
DNS_PORT = 53
MOST_TRAIL = 8
"""CNAMEs from an owner to where its records are."""
MOST_KEY_FILE = 1 << 16
"""Octets of a key file."""
ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224")
"""What may sign; MD5 and SHA-1 are not used."""
FIELD = r"[ \t]*:?[ \t]+\"?([^\s;\"{}]+)"
KEY_NAME = re.compile(rf"(?m)^[ \t]*(?:key|-?[ \t]*id){FIELD}")
ALGORITHM = re.compile(rf"(?m)[\s{{]algorithm{FIELD}")
SECRET = re.compile(rf"(?m)[\s{{]secret{FIELD}")
REFUSALS = {
    "REFUSED": "the server does not let this key change that name: see its update policy",
    "NOTAUTH": "the server does not have that zone, or does not know the key",
    "NOTIMP": "the server takes no dynamic updates",
    "NOTZONE": "the name is not in that zone: say which zone with --zone",
    "SERVFAIL": "the server failed: its log says why",
    "FORMERR": "the server did not understand the update",
}
"""Response codes of an update -> what they mean for whoever asked."""


@dataclass(frozen=True, slots=True)
class TsigKey:
    """What an update is signed with."""

    name: str
    algorithm: str
    secret: str = field(repr=False)
    """Base64."""


def read_key(path: Path) -> TsigKey:
    """The key of a file as BIND (`key NAME { algorithm A; secret S; };`) or Knot (`id:` and so on) has it.

    ConfigError when there is none, when others can read the file, or when the algorithm is too weak.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MOST_KEY_FILE).decode(errors="replace")
        mode = path.stat().st_mode & 0o077
    except OSError as why:
        raise ConfigError(f"{path}: {why.strerror}") from None
    if mode:
        raise ConfigError(f"{path}: others can read it, so it is not used: chmod 600 {path}")
    found = [pattern.search(text) for pattern in (KEY_NAME, ALGORITHM, SECRET)]
    for match, what in zip(found, ("key", "algorithm", "secret"), strict=True):
        if match is None:
            raise ConfigError(
                f'{path}: no {what}: `key "NAME" {{ algorithm hmac-sha256; secret "..."; }};\' is expected'
            )
    name, algorithm, secret = (match[1] for match in found if match is not None)
    if algorithm.lower().rstrip(".") not in ALGORITHMS:
        raise ConfigError(f"{path}: algorithm {algorithm[:40]} is not used: {', '.join(ALGORITHMS)} are")
    try:
        base64.b64decode(secret, validate=True)
    except ValueError:
        raise ConfigError(f"{path}: the secret is not base64") from None
    return TsigKey(name, algorithm.lower().rstrip("."), secret)


class UnsignedError(HostError):
    """An answer that is not signed: it is not believed, but servers refuse so."""


class Updater:
    """Speaks to one server, by TCP alone."""

    def __init__(self, server: str, key: TsigKey, port: int = DNS_PORT, timeout: float = TIMEOUT) -> None:
        """ConfigError when the key's name is none."""
        import dns.exception
        import dns.tsig

        self._server = server
        self._port = port
        self._timeout = timeout
        try:
            self._key = dns.tsig.Key(key.name, key.secret, f"{key.algorithm}.")
        except dns.exception.DNSException as why:
            raise ConfigError(f"TSIG key {key.name[:60]}: {why}") from None

    def place_of(self, owner: str) -> tuple[str, str]:
        """(zone, name) where an owner's records have to be: where its CNAME leads (RFC 2317). HostError: nowhere."""
        import dns.name
        import dns.rdatatype

        name = dns.name.from_text(owner)
        for _ in range(MOST_TRAIL):
            trail = [one for one in self._about(name) if one.name == name and one.rdtype == dns.rdatatype.CNAME]
            if not trail:
                return self._zone_of(name), name.to_text(omit_final_dot=True)
            name = trail[0][0].target
        raise HostError(f"{owner} leads over more than {MOST_TRAIL} CNAMEs")

    def _zone_of(self, owner: dns.name.Name) -> str:
        import dns.rdatatype

        name = owner
        while len(name) > 1:
            for rrset in self._about(name):
                if rrset.rdtype == dns.rdatatype.SOA and owner.is_subdomain(rrset.name):
                    return rrset.name.to_text(omit_final_dot=True)
            name = name.parent()
        raise HostError(f"{self._server} has no zone for {owner}: name its server with --server")

    def _about(self, name: dns.name.Name) -> list[dns.rrset.RRset]:
        """What the server says of a name's zone; nothing where it refuses to speak of it."""
        try:
            answer = self._ask(name.to_text(), "SOA")
        except UnsignedError:
            return []
        return [*answer.answer, *answer.authority]

    def publish(self, zone: str, records: Iterable[OwnRecord], ttl: int) -> None:
        """Put records into a zone in the place of those they follow; HostError says why not."""
        self._change(zone, tuple(records), ttl, add=True)

    def remove(self, zone: str, records: Iterable[OwnRecord]) -> None:
        """Take this host's records out of a zone, whichever key they have; HostError says why not."""
        self._change(zone, tuple(records), 0, add=False)

    def _change(self, zone: str, records: tuple[OwnRecord, ...], ttl: int, add: bool) -> None:
        import dns.rcode
        import dns.rdata
        import dns.update

        update = dns.update.UpdateMessage(zone, keyring=self._key, keyalgorithm=self._key.algorithm)
        for record in records:
            new = dns.rdata.from_text("IN", record.kind, record.data)
            owner = f"{record.owner}."
            for old in self._followed(owner, record.kind, new):
                update.delete(owner, old)
            if add:
                update.add(owner, ttl, new)
        answer = self._exchange(update)
        if answer.rcode() != dns.rcode.NOERROR:
            code = dns.rcode.to_text(answer.rcode())
            raise HostError(
                f"{self._server} answers {code} for zone {zone}: {REFUSALS.get(code, 'nothing was changed')}"
            )

    def _followed(self, owner: str, kind: str, new: dns.rdata.Rdata) -> Iterator[dns.rdata.Rdata]:
        """Records that the new one takes the place of."""
        import dns.rdatatype

        wanted = _meaning(kind, new)
        answer = self._ask(owner, kind)
        for rrset in answer.answer:
            if rrset.rdtype != dns.rdatatype.from_text(kind) or rrset.name.to_text().lower() != owner.lower():
                continue
            for old in rrset:
                known = _meaning(kind, old)
                if known is not None and wanted is not None and known.gateway == wanted.gateway:
                    yield old

    def _ask(self, owner: str, kind: str) -> dns.message.Message:
        import dns.message

        query = dns.message.make_query(owner, kind, use_edns=0)
        query.use_tsig(self._key, algorithm=self._key.algorithm)
        return self._exchange(query)

    def _exchange(self, query: Any) -> dns.message.Message:
        import dns.exception
        import dns.query
        import dns.tsig

        try:
            return dns.query.tcp(query, self._server, self._timeout, self._port)
        except dns.tsig.PeerBadKey:
            what = f"does not know the key {self._key.name}, or does not let it change that"
            raise HostError(f"{self._server} {what}: see its update policy") from None
        except (dns.tsig.PeerBadSignature, dns.tsig.BadSignature):
            raise HostError(f"{self._server} has another secret for the key {self._key.name}") from None
        except (dns.tsig.PeerBadTime, dns.tsig.BadTime):
            raise HostError(f"the clocks of {self._server} and of this host differ too much for signatures") from None
        except dns.exception.Timeout:
            raise HostError(f"no answer from {self._server} within {self._timeout:g} s") from None
        except dns.exception.FormError:
            what = "answers without a signature, as servers refuse: it may not have that zone, or take no updates"
            raise UnsignedError(f"{self._server} {what}") from None
        except (dns.exception.DNSException, EOFError, ValueError) as why:
            raise HostError(f"{self._server} answers what cannot be used: {why or type(why).__name__}") from None
        except OSError as why:
            raise HostError(f"{self._server}: {why.strerror or why}") from None


def _meaning(kind: str, data: dns.rdata.Rdata) -> OeRecord | None:
    """What a record says for IPsec; None when it is about something else, or malformed."""
    octets = data.to_wire()
    try:
        return PARSERS[kind](octets) if octets is not None else None
    except WireError:
        return None
