# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificate directories."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from openswan.config.authority import Authority
from openswan.crypto.revocation import Places
from openswan.engine.events import CertificatesRead
from openswan.host import files
from openswan.host.files import read_certificates, read_groups

KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime.now(UTC)
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca")])


def certificate() -> x509.Certificate:
    builder = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).public_key(KEY.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(1))
    return builder.add_extension(x509.BasicConstraints(True, None), True).sign(KEY, hashes.SHA256())


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
    (tmp_path / "ocspcerts").mkdir()
    (tmp_path / "ocspcerts" / "r.pem").write_bytes(one.public_bytes(Encoding.PEM))
    section = Authority("lab", der[2], ("http://crl/",), ("http://ocsp/",), "http://certs/")
    size = len((tmp_path / "crls" / "c.pem").read_bytes())
    read = read_certificates(tmp_path, 7, (section,))
    assert read == CertificatesRead(
        der,
        (list_.public_bytes(Encoding.DER),),
        (),
        7,
        (("r.pem", der[0]),),
        ((NAME.public_bytes(), Places(("http://crl/",), ("http://ocsp/",), "http://certs/")),),
        read.loaded,
    )
    assert read.loaded[0] == f"Changed path to directory '{tmp_path}/cacerts'"
    assert read.loaded[-1] == f"  loaded CRL file 'c.pem' ({size} bytes)"


def test_a_ca_section_adds_its_certificate() -> None:
    der = certificate().public_bytes(Encoding.DER)
    assert read_certificates(Path("/nowhere"), 0, (Authority("lab", der),)).anchors == (der,)


def test_what_can_vouch_for_nobody_is_told(tmp_path: Path) -> None:
    (tmp_path / "cacerts").mkdir()
    builder = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).public_key(KEY.public_key())
    builder = builder.serial_number(5).not_valid_before(NOW).not_valid_after(NOW + timedelta(1))
    (tmp_path / "cacerts" / "leaf.pem").write_bytes(builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM))
    (complaint,) = read_certificates(tmp_path).complaints
    assert "cacerts/leaf.pem: 'CN=ca' (serial 5" in complaint and "vouches for nobody" in complaint


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
        read.complaints[0],
        read.complaints[1],
        f"{tmp_path}/cacerts/huge: larger than 16 MiB, left out",
    )
    assert read.complaints[0].startswith(f"{tmp_path}/cacerts/bad: is no CA cert in PEM or DER form, left out: ")
    assert read.complaints[1].startswith(f"{tmp_path}/cacerts/cut: is no CA cert in PEM or DER form, left out: ")


def test_no_directories_at_all(tmp_path: Path) -> None:
    assert read_certificates(tmp_path) == CertificatesRead((), (), ())


def test_files_of_groups(tmp_path: Path) -> None:
    (tmp_path / "clear").write_text("10.0.0.0/8\n")
    (tmp_path / "block").mkdir()
    (tmp_path / "private").symlink_to(tmp_path / "nowhere")
    clear, block, private, none = read_groups(tmp_path, ("clear", "block", "private", "none"), 3).files
    assert clear.text == "10.0.0.0/8\n" and not clear.reason
    assert block.text is None and "block" in block.reason
    assert private.text is None and private.reason, "a link that leads nowhere is a mistake"
    assert none.text is None and not none.reason
