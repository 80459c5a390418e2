# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates and CRLs from ipsec.d/cacerts and ipsec.d/crls, PEM or DER, as DER."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from openswan.engine.events import CertificatesRead

MOST_OCTETS = 4 << 20
"""A certificate or CRL file larger than this is named and left out."""
MOST_FILES = 4096


def _certificates(data: bytes) -> tuple[bytes, ...]:
    if b"-----BEGIN" in data:
        return tuple(each.public_bytes(Encoding.DER) for each in x509.load_pem_x509_certificates(data))
    return (x509.load_der_x509_certificate(data).public_bytes(Encoding.DER),)


def _crls(data: bytes) -> tuple[bytes, ...]:
    load = x509.load_pem_x509_crl if b"-----BEGIN" in data else x509.load_der_x509_crl
    return (load(data).public_bytes(Encoding.DER),)


def _read(directory: Path, what: str, parse: Callable[[bytes], tuple[bytes, ...]]) -> tuple[list[bytes], list[str]]:
    """(DER of every file, complaints); a directory that is not there holds nothing."""
    found: list[bytes] = []
    complaints: list[str] = []
    try:
        paths = sorted(path for path in directory.iterdir() if path.is_file() and not path.name.startswith("."))
    except FileNotFoundError:
        return [], []
    except OSError as why:
        return [], [f"{directory}: cannot be read: {why.strerror}"]
    if len(paths) > MOST_FILES:
        complaints.append(f"{directory}: only the first {MOST_FILES} files are read")
    for path in paths[:MOST_FILES]:
        try:
            with path.open("rb") as file:
                data = file.read(MOST_OCTETS + 1)
            if len(data) > MOST_OCTETS:
                complaints.append(f"{path}: larger than {MOST_OCTETS >> 20} MiB, left out")
                continue
            found += parse(data)
        except OSError as why:
            complaints.append(f"{path}: cannot be read: {why.strerror}")
        except ValueError:
            complaints.append(f"{path}: is no {what} in PEM or DER form, left out")
    return found, complaints


def read_certificates(ipsec_d: Path, client: int = 0) -> CertificatesRead:
    """The trust anchors of `ipsec_d`/cacerts and the CRLs of `ipsec_d`/crls; complaints name what cannot be read."""
    anchors, about_anchors = _read(ipsec_d / "cacerts", "certificate", _certificates)
    crls, about_crls = _read(ipsec_d / "crls", "CRL", _crls)
    return CertificatesRead(tuple(anchors), tuple(crls), (*about_anchors, *about_crls), client)
