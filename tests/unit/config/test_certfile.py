# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificate files by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12

from openswan.base.errors import ConfigError
from openswan.config.certfile import MOST_OCTETS, CertFiles
from tests.unit.crypto.keys import certify, ec_key

KEY, ABOVE_KEY = ec_key("secp256r1", 1), ec_key("secp256r1", 2)
ABOVE = certify("above", ABOVE_KEY, "above", ABOVE_KEY, authority=True)
OWN = certify("gw", KEY, "above", ABOVE_KEY)
DERS = tuple(cert.public_bytes(Encoding.DER) for cert in (OWN, ABOVE))
BUNDLE = pkcs12.serialize_key_and_certificates(b"gw", KEY, OWN, [ABOVE], BestAvailableEncryption(b"open"))  # type: ignore[arg-type]


@pytest.fixture
def files(tmp_path: Path) -> CertFiles:
    for name in ("certs", "cacerts", "private"):
        (tmp_path / name).mkdir()
    (tmp_path / "certs/gw.pem").write_bytes(OWN.public_bytes(Encoding.PEM) + ABOVE.public_bytes(Encoding.PEM))
    (tmp_path / "certs/gw.der").write_bytes(DERS[0])
    (tmp_path / "certs/gw.p12").write_bytes(BUNDLE)
    (tmp_path / "private/mine.p12").write_bytes(BUNDLE)
    (tmp_path / "cacerts/above.pem").write_bytes(ABOVE.public_bytes(Encoding.PEM))
    return CertFiles(str(tmp_path), lambda name: {"gw.p12": ["wrong", "open"], "mine.p12": ["open"]}.get(name, []))


def test_every_form(files: CertFiles) -> None:
    assert files.own("gw.pem") == DERS and files.own("gw.der") == DERS[:1]
    assert files.own("gw.p12") == DERS and files.own("mine.p12") == DERS
    assert files.authority("above.pem") == DERS[1:]


def test_what_cannot_be_read(files: CertFiles, tmp_path: Path) -> None:
    (tmp_path / "certs/junk").write_bytes(b"junk")
    (tmp_path / "certs/huge").write_bytes(bytes(MOST_OCTETS + 1))
    (tmp_path / "certs/closed.p12").write_bytes(BUNDLE)
    for name, reason in (
        ("none", f"cannot read certificate '{tmp_path}/certs/none': No such file"),
        ("junk", f"'{tmp_path}/certs/junk' holds no usable certificate: "),
        (".", "Is a directory"),
        ("a\0b", "not a file name"),
        ("huge", "larger than 1 MiB"),
        ("closed.p12", "a passphrase is needed, .*; write `: P12 closed.p12"),
    ):
        with pytest.raises(ConfigError, match=reason):
            files.own(name)
    with pytest.raises(ConfigError, match="cacerts/none': No such file"):
        files.authority("none")
