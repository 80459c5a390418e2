# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec showhostkey`: every format, every selector, every classic exit status, and nothing secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from openswan.cli import rsasigkey, showhostkey
from openswan.crypto import rsakey
from openswan.crypto.rsakey import RsaFields
from tests.unit.crypto.keys import ec_key, rsa_key

FIRST, SECOND = rsa_key(2192, 3), rsa_key(1024, 3)
PUBLIC = rsakey.encode_public(FIRST.public_key())
TEXT = rsakey.to_text(PUBLIC)
OTHER = rsakey.encode_public(SECOND.public_key())


@pytest.fixture
def secrets(tmp_path: Path) -> str:
    path = tmp_path / "ipsec.secrets"
    body = rsasigkey.body(RsaFields.of(FIRST), "gw.example.org", "Tue Mar  4")
    records = [
        '192.0.2.1 198.51.100.7 : PSK "hush hush"\n',
        f"@gw.example.org 192.0.2.1: RSA\t{{\n{body}\t}}\n",
        ": RSA {\n" + "".join(f"\t{line}\n" for line in RsaFields.of(SECOND).lines()) + "\t}\n",
    ]
    path.write_text("".join(records))
    path.chmod(0o600)
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    status = showhostkey.main(list(argv))
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize("side", ["left", "right"])
def test_for_ipsec_conf(side: str, secrets: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, f"--{side}", "--file", secrets)
    assert (status, err) == (0, "")
    assert out == f"\t# rsakey {rsakey.keyid(PUBLIC)}\n\t{side}rsasigkey={TEXT}\n"


@pytest.mark.parametrize(
    ("argv", "middle"),
    [
        ([], "10 0 2 ."),
        (["--gateway", "192.0.2.1"], "10 1 2 192.0.2.1"),
        (["--gateway", "2001:db8::1", "--precedence", "20"], "20 2 2 2001:db8::1"),
    ],
)
def test_ipseckey(argv: list[str], middle: str, secrets: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--ipseckey", "--file", secrets, *argv)
    assert status == 0
    assert out == f'gw.example.org.    IN    IPSECKEY  {middle} "{TEXT[2:]}" \n'


def test_key_record(secrets: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--key", "--file", secrets)
    assert out == f"; RSA 2192 bits   gw.example.org   Tue Mar  4\ngw.example.org.\tIN\tKEY\t16896 4 1 {TEXT[2:]}\n"


@pytest.mark.parametrize("gateway", ["192.0.2.1", "2001:db8::1", "@gw.example.org"])
def test_txt_record(gateway: str, secrets: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--txt", gateway, "--file", secrets)
    assert status == 0
    comment, record = out.splitlines()
    assert comment == "; RSA 2192 bits   gw.example.org   Tue Mar  4"
    assert record.startswith(f'\tIN\tTXT\t"X-IPsec-Server(10)={gateway} " "AQ')
    strings = record.split('"')[3::2]
    assert all(len(part) <= 255 for part in strings)
    assert "".join(strings) == TEXT[2:]


def test_dhclient(secrets: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--dhclient", "--gateway", "192.0.2.1", "--file", secrets)
    assert "option oe-key code 159" in out
    assert "option oe-gateway code 160" in out
    assert f'send oe-key "{TEXT}";' in out
    assert "send oe-gateway 192.0.2.1;" in out


def test_list_and_dump(secrets: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--list", "--file", secrets)
    assert out.splitlines() == [
        "1(1): PSK keyid: (none) with id: 192.0.2.1",
        "1(2): PSK keyid: (none) with id: 198.51.100.7",
        f"2(1): RSA keyid: {rsakey.keyid(PUBLIC)} with id: @gw.example.org",
        f"2(2): RSA keyid: {rsakey.keyid(PUBLIC)} with id: 192.0.2.1",
        f"3(1): RSA keyid: {rsakey.keyid(OTHER)} with id: %any",
    ]
    _, out, _ = run(capsys, "--dump", "--file", secrets)
    assert f"\tpubkey={TEXT}\n" in out
    assert "hush" not in out
    assert hex(FIRST.private_numbers().d)[2:] not in out


def test_selecting_a_key(secrets: str, capsys: pytest.CaptureFixture[str]) -> None:
    for selector in (["--keynum", "3"], ["--rsaid", rsakey.keyid(OTHER)]):
        assert rsakey.keyid(OTHER) in run(capsys, "--left", "--file", secrets, *selector)[1]
    for name in ("@gw.example.org", "192.0.2.1"):
        assert rsakey.keyid(PUBLIC) in run(capsys, "--left", "--file", secrets, "--id", name)[1]
    # A record rsasigkey did not write has no comment of its own.
    assert "; RSA 1024 bits   " in run(capsys, "--key", "--file", secrets, "--keynum", "3")[1]


def test_the_default_file(secrets: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPSEC_CONFS", str(Path(secrets).parent))
    status, out, err = run(capsys, "--left", "--verbose")
    assert status == 0
    assert rsakey.keyid(PUBLIC) in out
    assert f"reading {secrets}" in err
    assert run(capsys, "--left", "--file", "/ipsec.secrets", "--secretroot", str(Path(secrets).parent))[0] == 0


@pytest.mark.parametrize(
    ("argv", "status", "complaint"),
    [
        ([], 1, "must specify a format for the result"),
        (["--left", "--right"], 1, "only one of left, right is possible"),
        (["--nonsense"], 2, "unrecognized arguments: --nonsense"),
        (["--txt", "nowhere"], 1, "gateway 'nowhere' is not a numeric IP address"),
        (["--ipseckey", "--gateway", "x"], 1, "gateway 'x'"),
        (["--left", "--id", "a b@@"], 4, ""),
        (["--left", "--id", "@other.example.org"], 5, "no key for id @other.example.org found"),
        (["--left", "--keynum", "9"], 5, "there is no key number 9"),
        (["--left", "--keynum", "0"], 5, "there is no key number 0"),
        (["--left", "--keynum", "1"], 5, "wrong kind of key, not RSA"),
        (["--left", "--rsaid", "AQAAAAAAA"], 5, "no key with keyid AQAAAAAAA found"),
        (["--ipseckey", "--precedence", "256"], 5, "precedence '256'"),
        (["--ipseckey", "--precedence", "x"], 5, "precedence 'x'"),
    ],
)
def test_refused(
    argv: list[str], status: int, complaint: str, secrets: str, capsys: pytest.CaptureFixture[str]
) -> None:
    got, out, err = run(capsys, "--file", secrets, *argv)
    assert (got, out) == (status, "")
    assert complaint in err
    assert err.partition("\nUsage: ipsec showhostkey ")[0].rstrip("\n").count("\n") == 0


def test_files_without_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ipsec.secrets"
    assert run(capsys, "--left", "--file", str(path))[0] == 1
    path.write_text("# nothing yet\n")
    path.chmod(0o600)
    assert run(capsys, "--left", "--file", str(path)) == (20, "", "No keys found\n")
    path.chmod(0o644)
    status, _, err = run(capsys, "--left", "--file", str(path))
    assert status == 1
    assert "others can read it" in err
    path.write_text(': PSK "x"\n')
    path.chmod(0o600)
    assert run(capsys, "--left", "--file", str(path))[0] == 5


def test_an_ecdsa_key_is_the_wrong_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "ipsec.d" / "private"
    private.mkdir(parents=True)
    pem = private / "key.pem"
    pem.write_bytes(ec_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    pem.chmod(0o600)
    path = tmp_path / "ipsec.secrets"
    path.write_text(": RSA key.pem\n")
    path.chmod(0o600)
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    assert "1(1): ECDSA keyid: (none) with id: %any\n" in run(capsys, "--list")[1]
    assert run(capsys, "--left")[0] == 5


def test_help() -> None:
    assert showhostkey.main(["--help"]) == 0


def test_records_for_the_dns_together(secrets: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--ipseckey", "--txt", "192.0.2.1", "--key", "--file", secrets)
    lines = [line for line in out.splitlines() if not line.startswith(";")]
    assert status == 0 and [line.split()[2 - line.startswith("\t")] for line in lines] == ["IPSECKEY", "TXT", "KEY"]
    assert lines[0].startswith("gw.example.org.") and " 10 1 2 192.0.2.1 " in lines[0]
    assert run(capsys, "--ipseckey", "--left", "--file", secrets)[0] == 1
