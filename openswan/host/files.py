# SPDX-License-Identifier: GPL-2.0-or-later
"""The directories of ipsec.d: cacerts, crls and ocspcerts, PEM or DER, as DER; policies, as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from openswan.base.errors import ConfigError, CryptoError
from openswan.config.authority import Authority
from openswan.config.files import read_text
from openswan.crypto.crl import is_authority
from openswan.crypto.revocation import Places
from openswan.crypto.x509 import der, describe, load, load_all, load_crl
from openswan.engine.events import CertificatesRead, GroupFile, GroupsRead

MOST_OCTETS = 16 << 20
"""A certificate or CRL file larger than this is named and left out."""
MOST_FILES = 4096


def _certificates(data: bytes) -> tuple[bytes, ...]:
    return tuple(der(cert) for cert in load_all(data))


def _crls(data: bytes) -> tuple[bytes, ...]:
    return (load_crl(data).public_bytes(Encoding.DER),)


@dataclass(slots=True)
class _Reading:
    """What the directories hold, and what there is to say about that."""

    complaints: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def directory(
        self, directory: Path, what: str, parse: Callable[[bytes], tuple[bytes, ...]]
    ) -> list[tuple[str, bytes]]:
        """(file's name, DER) of everything in a directory; one that is not there holds nothing."""
        try:
            paths = sorted(path for path in directory.iterdir() if path.is_file() and not path.name.startswith("."))
        except FileNotFoundError:
            return []
        except OSError as why:
            self.complaints.append(f"{directory}: cannot be read: {why.strerror}")
            return []
        self.loaded.append(f"Changed path to directory '{directory}'")
        if len(paths) > MOST_FILES:
            self.complaints.append(f"{directory}: only the first {MOST_FILES} files are read")
        return [(path.name, one) for path in paths[:MOST_FILES] for one in self._file(path, what, parse)]

    def _file(self, path: Path, what: str, parse: Callable[[bytes], tuple[bytes, ...]]) -> tuple[bytes, ...]:
        try:
            with path.open("rb") as file:
                data = file.read(MOST_OCTETS + 1)
        except OSError as why:
            self.complaints.append(f"{path}: cannot be read: {why.strerror}")
            return ()
        if len(data) > MOST_OCTETS:
            self.complaints.append(f"{path}: larger than {MOST_OCTETS >> 20} MiB, left out")
            return ()
        try:
            found = parse(data)
        except CryptoError as why:
            self.complaints.append(f"{path}: is no {what} in PEM or DER form, left out: {why}")
            return ()
        self.loaded.append(f"  loaded {what} file '{path.name}' ({len(data)} bytes)")
        return found


def read_certificates(ipsec_d: Path, client: int = 0, sections: Sequence[Authority] = ()) -> CertificatesRead:
    """The trust anchors of `ipsec_d`/cacerts and of ca sections, the CRLs of crls, the responders of ocspcerts.

    Complaints name what cannot be read.
    """
    reading = _Reading()
    anchors = reading.directory(ipsec_d / "cacerts", "CA cert", _certificates)
    for name, data in anchors:
        if not is_authority(load(data)):
            who = f"{ipsec_d / 'cacerts' / name}: {describe(load(data))}"
            reading.complaints.append(f"{who} vouches for nobody: basicConstraints does not say it is an authority")
    responders = reading.directory(ipsec_d / "ocspcerts", "OCSP cert", _certificates)
    crls = reading.directory(ipsec_d / "crls", "CRL", _crls)
    places = tuple(
        (load(one.certificate).subject.public_bytes(), Places(one.crl_uris, one.ocsp_uris, one.certificate_base))
        for one in sections
    )
    return CertificatesRead(
        tuple(dict.fromkeys((*(data for _, data in anchors), *(one.certificate for one in sections)))),
        tuple(data for _, data in crls),
        tuple(reading.complaints),
        client,
        tuple(responders),
        places,
        tuple(reading.loaded),
    )


def read_groups(directory: Path, names: Sequence[str], client: int = 0) -> GroupsRead:
    """Files of policy groups; one that is not there has no lines, one that cannot be read says why."""
    files = []
    for name in names:
        path = directory / name
        try:
            files.append(
                GroupFile(name, str(path), read_text(str(path)) if path.is_symlink() or path.exists() else None)
            )
        except ConfigError as why:
            files.append(GroupFile(name, str(path), None, why.reason))
    return GroupsRead(tuple(files), client)
