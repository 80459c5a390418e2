# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificate directories."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from openswan.engine.events import CertificatesRead
from openswan.host import files
from openswan.host.files import read_certificates

KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime.now(UTC)
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca")])


def certificate() -> x509.Certificate:
    builder = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).public_key(KEY.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(1))
    return builder.sign(KEY, hashes.SHA256())


def crl() -> x509.CertificateRevocationList:
    builder = x509.CertificateRevocationListBuilder().issuer_name(NAME)
    return builder.last_update(NOW).next_update(NOW + timedelta(1)).sign(KEY, hashes.SHA256())


def test_pem_with_several_der_and_crls(tmp_path: Path) -> None:
    one, two, three, list_ = certificate(), certificate(), certificate(), crl()
    (tmp_path / "cacerts").mkdir()
    (tmp_path / "crls").mkdir()
    (tmp_path / "cacerts" / "a.pem").write_bytes(one.public_bytes(Encoding.PEM) + two.public_bytes(Encoding.PEM))
    (tmp_path / "cacerts" / "b.der").write_bytes(three.public_bytes(Encoding.DER))
    (tmp_path / "cacerts" / ".hidden").write_text("x")
    (tmp_path / "crls" / "c.pem").write_bytes(list_.public_bytes(Encoding.PEM))
    der = tuple(each.public_bytes(Encoding.DER) for each in (one, two, three))
    assert read_certificates(tmp_path, 7) == CertificatesRead(der, (list_.public_bytes(Encoding.DER),), (), 7)


def test_what_is_no_certificate_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "cacerts").mkdir()
    good = certificate().public_bytes(Encoding.DER)
    (tmp_path / "cacerts" / "bad").write_text("hello")
    (tmp_path / "cacerts" / "cut").write_bytes(good[:-1])
    (tmp_path / "cacerts" / "good").write_bytes(good)
    (tmp_path / "cacerts" / "huge").write_bytes(b"x" * (files.MOST_OCTETS + 1))
    read = read_certificates(tmp_path)
    assert read.anchors == (good,)
    assert read.complaints == (
        f"{tmp_path}/cacerts/bad: is no certificate in PEM or DER form, left out",
        f"{tmp_path}/cacerts/cut: is no certificate in PEM or DER form, left out",
        f"{tmp_path}/cacerts/huge: larger than 4 MiB, left out",
    )


def test_no_directories_at_all(tmp_path: Path) -> None:
    assert read_certificates(tmp_path) == CertificatesRead((), (), ())
