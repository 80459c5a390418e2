# SPDX-License-Identifier: GPL-2.0-or-later
"""Where secrets and certificates lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from openswan.config import places
from openswan.config.load import load
from openswan.config.secretsfile import load_secrets


@pytest.fixture
def confs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    return tmp_path


def written(confs: Path, *lines: str) -> None:
    conf = confs / "ipsec.conf"
    age = conf.stat().st_mtime_ns + 1 if conf.exists() else 1
    conf.write_text("config setup\n" + "".join(f"\t{line}\n" for line in lines) + "conn broken\n\tlefft=x\n")
    os.utime(conf, ns=(age, age))


def test_beside_ipsec_conf_unless_it_says_otherwise(confs: Path) -> None:
    assert (places.secrets_file(), places.ipsec_d()) == (confs / "ipsec.secrets", confs / "ipsec.d")
    written(confs, "nhelpers=0")
    assert (places.secrets_file(), places.ipsec_d()) == (confs / "ipsec.secrets", confs / "ipsec.d")
    written(confs, "secretsfile=/s/keys", "ipsecdir=more")
    assert (places.secrets_file(), places.ipsec_d()) == (Path("/s/keys"), confs / "more")
    assert not places.setup_of(confs / "absent")


def test_what_lies_there_is_what_is_read(confs: Path) -> None:
    written(confs, "secretsfile=keys", "ipsecdir=more")
    (confs / "more/policies").mkdir(parents=True)
    keys = confs / "keys"
    keys.write_text(': PSK "x"\n')
    keys.chmod(0o600)
    store, complaints = load_secrets()
    assert len(store.secrets) == 1 and complaints == ()
    (confs / "ipsec.conf").write_text("config setup\n\tipsecdir=more\n\toe=yes\n")
    (confs / "more/policies/private").write_text("192.0.2.0/24\n")
    assert dict(load().groups)["private"]


def test_private_keys_are_those_of_ipsecdir(confs: Path) -> None:
    written(confs, "ipsecdir=more")
    keys = {}
    for directory in ("more", "ipsec.d"):
        (confs / directory / "private").mkdir(parents=True)
        keys[directory] = key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (file := confs / directory / "private/me.pem").write_bytes(pem)
        file.chmod(0o600)
    secrets = confs / "ipsec.secrets"
    secrets.write_text(": ECDSA me.pem\n")
    secrets.chmod(0o600)
    store, complaints = load_secrets()
    assert complaints == ()
    (found,) = (each.key for each in store.secrets)
    assert isinstance(found, ec.EllipticCurvePrivateKey)
    assert found.private_numbers() == keys["more"].private_numbers()
