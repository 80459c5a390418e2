# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec newhostkey`: a record the secrets parser reads, in a file nobody else can."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from openswan.cli import newhostkey
from openswan.config.secretsfile import load_secrets


def test_a_new_file_is_private_and_reads_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ipsec.secrets"
    old = os.umask(0)
    try:
        assert newhostkey.main(["--output", str(path), "--bits", "1024", "--hostname", "gw"]) == 0
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert text.startswith(": RSA\t{\n\t# RSA 1024 bits   gw   ")
    assert text.endswith('\n\t}\n# do not change the indenting of that "}"\n')
    assert capsys.readouterr().err == ""
    store, complaints = load_secrets(path)
    assert complaints == ()
    (secret,) = store.secrets
    assert isinstance(secret.key, rsa.RSAPrivateKey)


def test_an_existing_file_is_appended_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ipsec.secrets"
    path.write_text(': PSK "first"\n')
    path.chmod(0o600)
    assert newhostkey.main(["--output", str(path), "--bits", "1024"]) == 0
    assert capsys.readouterr().err == f"WARNING: file `{path}' exists, appending to it\n"
    assert newhostkey.main(["--output", str(path), "--bits", "1024", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    store, complaints = load_secrets(path)
    assert (len(store.secrets), complaints) == (3, ())


def test_a_file_others_can_read_gets_no_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ipsec.secrets"
    path.write_text("# here\n")
    path.chmod(0o644)
    assert newhostkey.main(["--output", str(path), "--bits", "1024"]) == 1
    assert "others can read it (mode 0644); run: chmod 600" in capsys.readouterr().err
    assert path.read_text() == "# here\n"


def test_standard_output_and_the_default_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert newhostkey.main(["--output", "-", "--verbose"]) == 0
    out, err = capsys.readouterr()
    assert "# RSA 2192 bits" in out
    assert err == "making an RSA key of 2192 bits\n"


@pytest.mark.parametrize(
    ("argv", "status", "complaint"),
    [
        ([], 2, "--output is missing"),
        (["--output", "-", "--nonsense"], 2, "unrecognized"),
        (["--output", "-", "--bits", "100"], 1, "not a multiple of 16"),
        (["--output", "/nonexistent/file", "--bits", "1024"], 1, "cannot write '/nonexistent/file'"),
        (["--output", "/dev/full", "--bits", "1024"], 1, "No space left"),
    ],
)
def test_refused(argv: list[str], status: int, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert newhostkey.main(argv) == status
    assert complaint in capsys.readouterr().err


def test_help() -> None:
    assert newhostkey.main(["--help"]) == 0
