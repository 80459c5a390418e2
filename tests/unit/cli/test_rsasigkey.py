# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec rsasigkey`: the body of a record, its fields, what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from openswan.cli import rsasigkey
from openswan.crypto import rsakey
from tests.unit.crypto.keys import ec_key, rsa_key


def test_the_body_of_a_new_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert rsasigkey.main(["--hostname", "gw.example.org", "1024"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("\t") for line in lines)
    assert re.fullmatch(r"\t# RSA 1024 bits   gw\.example\.org   \w{3} \w{3} .* \d{4}", lines[0])
    assert lines[1] == "\t# for signatures only, UNSAFE FOR ENCRYPTION"
    public = rsakey.from_text(lines[2].removeprefix("\t#pubkey="))
    assert [line.split(":")[0].strip() for line in lines[3:]] == [
        "Modulus",
        "PublicExponent",
        "# everything after this point is secret",
        "PrivateExponent",
        "Prime1",
        "Prime2",
        "Exponent1",
        "Exponent2",
        "Coefficient",
    ]
    values = dict(line.strip().split(": ") for line in lines[3:] if "0x" in line)
    fields = rsakey.RsaFields.named({name: int(value, 16) for name, value in values.items()})
    assert rsakey.encode_public(fields.key().public_key()) == public
    assert values["PublicExponent"] == "0x03"


def test_every_key_is_another(capsys: pytest.CaptureFixture[str]) -> None:
    rsasigkey.main(["1024"])
    rsasigkey.main(["1024"])
    keys = re.findall("#pubkey=(.*)", capsys.readouterr().out)
    assert len(set(keys)) == 2


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        ([], "how many bits?"),
        (["1000"], "not a multiple of 16"),
        (["0x400"], "not a multiple of 16"),
        (["-1024"], ""),
        (["512"], "out of range, 1024 to 8192"),
        (["20000"], "out of range"),
        (["99999999999999999999"], "not a multiple of 16"),
        (["--random", "/nonexistent", "1024"], "cannot read '/nonexistent'"),
        (["--oldkey", "/nonexistent"], "cannot read '/nonexistent'"),
        (["--nonsense", "1024"], "unrecognized arguments"),
        (["1024", "2048"], "unrecognized arguments"),
    ],
)
def test_refused(argv: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert rsasigkey.main(argv) == 1
    out, err = capsys.readouterr()
    assert not out
    assert complaint in err
    assert err.partition("\nUsage: ipsec rsasigkey ")[0].rstrip("\n").count("\n") == 0


def test_classic_options_are_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--verbose", "--random", "/dev/urandom", "--rounds", "30", "--noopt", "--configdir", "/etc", "1024"]
    assert rsasigkey.main(argv) == 0
    out, err = capsys.readouterr()
    assert "Coefficient" in out
    assert "looking for two primes of 512 bits" in err
    assert "there is no NSS database here" in err
    for option in ("--help", "--version"):
        assert rsasigkey.main([option]) == 0


def test_an_old_key_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fields = rsakey.RsaFields.of(rsa_key(2192, 3))
    path = tmp_path / "old"
    path.write_text(": RSA {\n" + rsasigkey.body(fields, "h", "d") + "\t}\n")
    assert rsasigkey.main(["--oldkey", str(path)]) == 0
    again = capsys.readouterr().out
    assert again.splitlines()[1:] == rsasigkey.body(fields, "h", "d").splitlines()[1:]
    path.write_bytes(rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert rsasigkey.main(["--oldkey", str(path)]) == 0
    assert "\tPublicExponent: 0x010001\n" in capsys.readouterr().out


def test_old_files_without_a_usable_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old"
    fields = rsakey.RsaFields.of(rsa_key(2192, 3))
    text = rsasigkey.body(fields, "h", "d")
    path.write_text(text.replace("Prime2", "Prime3"))
    assert rsasigkey.main(["--oldkey", str(path)]) == 1
    assert "Prime2 keyword not found where expected" in capsys.readouterr().err
    path.write_text(text.replace("Coefficient: 0x", "Coefficient: 0x1"))
    assert rsasigkey.main(["--oldkey", str(path)]) == 1
    assert "qInv != 1/q mod p" in capsys.readouterr().err
    path.write_bytes(ec_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert rsasigkey.main(["--oldkey", str(path)]) == 1
    assert "holds no RSA key" in capsys.readouterr().err
