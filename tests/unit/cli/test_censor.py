# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing secret comes through the censors, whatever the file looks like."""

from __future__ import annotations

import io
import random
import re

import pytest

from openswan.cli import censor
from openswan.cli.censor import censor_keys, censor_secrets, keyid, sums

KEY = "0s" + "AQOabcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" + "0123456789"


def keys(text: str) -> str:
    return "\n".join(censor_keys(text.splitlines()))


def secrets(text: str) -> str:
    return "\n".join(censor_secrets(text.splitlines()))


def test_sums_and_identifiers() -> None:
    assert sums("x") == "[sums to 9dd4...]" and keyid(KEY) == "[keyid AQOabcdef]"
    assert keyid("0x0103") == sums("0x0103")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (f"\tleftrsasigkey={KEY}", "\tleftrsasigkey=[keyid AQOabcdef]"),
        (f"\trightrsasigkey2 = {KEY} # old", "\trightrsasigkey2 = [keyid AQOabcdef]"),
        ("\tleftrsasigkey=%cert", "\tleftrsasigkey=%cert"),
        ("\tkeyexchange=ikev2 # as agreed", "\tkeyexchange=ikev2 # as agreed"),
        ("\tespenckey=0x0123_4567", "\tespenckey=" + sums("0x0123_4567")),
        ("#\tahkey=0xdead", "#\tahkey=" + sums("0xdead")),
        ('\tx-password="so secret"', "\tx-password=" + sums("so secret")),
        ("\tleft=192.0.2.1", "\tleft=192.0.2.1"),
        ("conn mickey", "conn mickey"),
    ],
)
def test_ipsec_conf(line: str, shown: str) -> None:
    assert keys(line) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('192.0.2.1 2001:db8::1 : PSK "hush hush"', f'192.0.2.1 2001:db8::1 : PSK "{sums("hush hush")}"'),
        ("@gw 10.0.0.1: PSK 0x0011_2233", "@gw 10.0.0.1: PSK [...]"),
        (": 'old style'", f': "{sums("old style")}"'),
        ('@joe : XAUTH "pass"  # note', f'@joe : XAUTH "{sums("pass")}" [...] [...]'),
        ('%any gw.example.org : RSA gwkey.pem "pass"', f'%any gw.example.org : RSA gwkey.pem "{sums("pass")}"'),
        (": RSA gw.pem %prompt", ": RSA gw.pem %prompt"),
        ('"C=CH, CN=gw" : RSA gw.pem', '"[...]" : RSA gw.pem'),
        (": RSA\t{\n\t# RSA 2192 bits   gw   Tue Mar  4 10:11:12 2003\n\tModulus: 0xabc\n\tPrime1: 0x99\n\t}",
         ": RSA {\n\t# RSA 2192 bits   gw   Tue Mar  4 10:11:12 2003\n\tModulus: [...]\n\tPrime1: [...]\n\t}"),
        (f"\t#pubkey={KEY}", "\t#pubkey=[keyid AQOabcdef]"),
        ('# 1.2.3.4 : PSK "old one"', "# [...]"),
        ("include ipsec.*.secrets", "include ipsec.*.secrets"),
        ('1.2.3.4 :PSK "glued"', "[...]"),
        ("1.2.3.4 PSK forgotten colon", "[...]"),
        ('\t"on the next line"', "\t[...]"),
        (': PPKS "id" "secret"', f': PPKS "{sums("id")}" "{sums("secret")}"'),
        (": WHAT ever it is", ": [...] [...] [...] [...]"),
        ("", ""),
    ],
)  # fmt: skip
def test_ipsec_secrets(text: str, shown: str) -> None:
    assert secrets(text) == shown


def test_no_secret_comes_through_however_the_line_is_broken() -> None:
    dice = random.Random(7)
    pieces = [
        "192.0.2.1",
        "@gw",
        ":",
        " : ",
        "PSK",
        "RSA",
        "XAUTH",
        '"',
        "'",
        "\t",
        "#",
        "{",
        "}",
        " ",
        "\n",
        "=",
        "x.pem",
    ]
    for _ in range(3000):
        text = "".join(dice.choice(pieces) for _ in range(dice.randrange(1, 9)))
        for secret in ('"SECRETsecret!"', "0x5ec4e75ec4e7", "'SECRETsecret!'"):
            out = secrets(f"192.0.2.1 {text}: PSK {secret}\n{text}{secret}\n{text} {secret} {text}")
            assert "SECRETsecret" not in out and "5ec4e75ec4e7" not in out, repr(text)


def test_filters(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('a : PSK "x"\n'))
    assert censor.main(["_secretcensor"]) == 0
    assert re.fullmatch(r'a : PSK "\[sums to [0-9a-f]{4}\.\.\.\]"\n', capsys.readouterr().out)
    monkeypatch.setattr("sys.stdin", io.StringIO("\tahkey=0x1\n"))
    assert censor.main(["_keycensor"]) == 0 and "[sums to" in capsys.readouterr().out
    assert censor.main(["_keycensor", "x"]) == 2
