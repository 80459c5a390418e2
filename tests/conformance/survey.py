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

OTHER_PROGRAMS = ("strongswan", "swanctl", "nsd", "unbound", "openssl", "racoon", "iked", "xl2tp", "ppp", "dnsmasq")
SECTION = re.compile(r"^(?:conn|ca|config)[ \t]+\S|^include[ \t]+\S", re.MULTILINE)
"""What an ipsec.conf has and files of other programs that are called *.conf too have not."""


class Outcome(Enum):
    """What became of a conn."""

    LOADED = "loads, every keyword acted on"
    PARTLY = "loads, a keyword is not acted on"
    REFUSED = "does not load"
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
        """Of the whole conns, those that load with every keyword acted on."""
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


def configurations(base: Path) -> list[Path]:
    """Every ipsec.conf of a tree, whatever it is called."""
    files = (one for one in sorted(base.rglob("*.conf")) if one.is_file())
    ours = (one for one in files if not any(word in one.name for word in OTHER_PROGRAMS))
    return [one for one in ours if SECTION.search(read_text(str(one)))]


def load_sample(path: Path, root: str = "", included: set[Path] | None = None) -> Loaded:
    """A configuration as it is, certificates stood in for; `root` is put before absolute includes.

    Where a directory is called like the file without its suffix it is the root, as in Openswan's tests of its parser.
    What it includes is put into `included`.
    """
    own = path.with_suffix("")
    read = disk_reader(str(own) if own.is_dir() else root)

    def reader(pattern: str, directory: str) -> list[tuple[str, str]]:
        files = read(pattern, directory)
        if included is not None:
            included.update(Path(name).resolve() for name, _ in files)
        return files

    return load_text(read_text(str(path)), str(path), reader, any_certificate)


def survey(paths: list[Path], base: Path, root: str = "") -> Survey:
    """Load every file and say what became of it; names are relative to `base`. What others include is judged there."""
    found = Survey()
    included: set[Path] = set()
    loaded = {path: load_sample(path, root, included) for path in paths}
    for path in (path for path in paths if path.resolve() not in included):
        name = str(path.relative_to(base))
        complaints = loaded[path].complaints
        bad = [str(one) for one in complaints if one.fatal and any(word in one.text for word in UNREADABLE)]
        found.files[name] = not bad
        if bad:
            found.why_not[name] = bad[0].replace(f"{base}/", "")
        else:
            found.results += _conns(loaded[path], name, f"{base}/")
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
        else:
            yield Result(file, flat.name, Outcome.REFUSED, "; ".join(reasons))


def _placeholder(flat: FlatConn) -> bool:
    return any(PLACEHOLDER.search(param.value) for param in flat.params.values() if param.side and param.row.name)
