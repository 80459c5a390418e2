# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of each conn of a set of configuration files that others wrote, and why."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from openswan.config.files import disk_reader, read_text
from openswan.config.load import Loaded, load_text
from openswan.config.parser import FlatConn

UNREADABLE = ("unknown keyword", "is not a parameter", "no section header", "stands outside any section", "must be ind")
"""What stands in a complaint when a file could not be parsed, as opposed to a conn that means nothing good."""
PLACEHOLDER = re.compile(r"\bYour[A-Z]\w+|@@\w+@@|0s\w*\.\.\.+")
"""What samples have where the reader is to put his own: no program loads them."""


class Outcome(Enum):
    """What became of a conn."""

    LOADED = "loads, every keyword acted on"
    PARTLY = "loads, a keyword is not acted on"
    REFUSED = "does not load"
    IKEV1 = "is for IKEv1"
    TEMPLATE = "is a part for also= or a placeholder, and no whole conn"


@dataclass(frozen=True, slots=True)
class Result:
    """One conn."""

    file: str
    name: str
    outcome: Outcome
    reason: str = ""


@dataclass(slots=True)
class Survey:
    """All files."""

    files: dict[str, bool] = field(default_factory=dict)
    """Name to: did it parse?"""
    results: list[Result] = field(default_factory=list)
    why_not: dict[str, str] = field(default_factory=dict)
    """Files that did not: the first complaint."""

    def count(self, *outcomes: Outcome) -> int:
        """How many conns came to these ends."""
        return sum(one.outcome in outcomes for one in self.results)

    @property
    def share(self) -> float:
        """Of the whole IKEv2 conns, those that load with every keyword acted on."""
        whole = self.count(Outcome.LOADED, Outcome.PARTLY, Outcome.REFUSED)
        return self.count(Outcome.LOADED) / whole if whole else 1.0


@lru_cache
def any_certificate(name: str) -> tuple[bytes, ...]:
    """Stands in for every certificate a sample names: the samples do not come with them."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[-60:] or "x")])
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(start).not_valid_after(start + datetime.timedelta(days=9999))
    return (builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER),)


def load_sample(path: Path, root: str = "") -> Loaded:
    """A configuration as it is, certificates stood in for; `root` is put before absolute includes."""
    return load_text(read_text(str(path)), str(path), disk_reader(root), any_certificate)


def survey(paths: list[Path], base: Path, root: str = "") -> Survey:
    """Load every file and say what became of it; names are relative to `base`."""
    found = Survey()
    for path in paths:
        name = str(path.relative_to(base))
        loaded = load_sample(path, root)
        bad = [str(one) for one in loaded.complaints if one.fatal and any(word in one.text for word in UNREADABLE)]
        found.files[name] = not bad
        if bad:
            found.why_not[name] = bad[0].replace(f"{base}/", "")
        else:
            found.results += _conns(loaded, name, f"{base}/")
    return found


def _conns(loaded: Loaded, file: str, base: str) -> Iterator[Result]:
    whole = {one.name for one in loaded.connections} | {one.name for one in loaded.manual}
    whole |= {one.aliases[0] for one in loaded.connections if "/" in one.name and one.aliases}
    for flat in loaded.flat:
        about = [one for one in loaded.complaints if one.conn == flat.name]
        reasons = [one.text.replace(base, "") for one in about if one.fatal]
        ignored = [one.text.replace(base, "") for one in about if "not acted on" in one.text]
        if flat.name in whole and not reasons:
            yield Result(file, flat.name, Outcome.PARTLY if ignored else Outcome.LOADED, "; ".join(ignored))
        elif _placeholder(flat) or not reasons:
            yield Result(file, flat.name, Outcome.TEMPLATE, "; ".join(reasons[:1]))
        elif _is_ikev1(flat):
            yield Result(file, flat.name, Outcome.IKEV1, reasons[0])
        else:
            yield Result(file, flat.name, Outcome.REFUSED, "; ".join(reasons))


def _placeholder(flat: FlatConn) -> bool:
    return any(PLACEHOLDER.search(param.value) for param in flat.params.values() if param.side and param.row.name)


def _is_ikev1(flat: FlatConn) -> bool:
    """Does it say so, by version or by what only IKEv1 has?"""
    said = {name: flat.text(name) or "" for name in ("keyexchange", "ikev2", "aggrmode")}
    if said["keyexchange"].lower() in ("ikev1", "isakmp", "oakley") or said["ikev2"].lower() in ("never", "no", "n"):
        return True
    xauth = [flat.text(name, side) for name in ("xauthserver", "xauthclient") for side in ("left", "right")]
    return said["aggrmode"].lower() in ("yes", "true", "on") or "yes" in xauth
