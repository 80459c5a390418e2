# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec spi`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openswan.cli import spi

SA = ["--af", "inet", "--edst", "192.0.2.2", "--spi", "0x200"]
CBC = ["--esp", "3des-md5-96", "--enckey", "0x" + bytes(range(24)).hex(), "--authkey", "0s" + "A" * 20 + "AA=="]


def asked(pluto: Any, *words: str) -> dict[str, Any]:
    """What the daemon is asked for these options."""
    assert spi.main(list(words)) == 0
    request = dict(pluto.asked.pop())
    assert request.pop("verb") == "klips"
    return request


def test_the_table_is_printed_without_codes(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.answers["spi"] = ["000 first row", "000 second row"]
    assert spi.main([]) == 0
    assert capsys.readouterr().out == "first row\nsecond row\n"
    assert pluto.asked == [{"verb": "spi", "json": False}]


def test_without_daemon(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spi.main([]) == 1
    assert "ipsec spi: whack: Pluto is not running" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert spi.main(["--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: ipsec spi")


def test_esp(pluto: Any) -> None:
    assert asked(pluto, *SA, "--proto", "esp", "--src", "192.0.2.1", *CBC) == {
        "do": "spi-add",
        "said": "esp.200@192.0.2.2",
        "src": "192.0.2.1",
        "cipher": "3des_cbc",
        "enc_key": "0x" + bytes(range(24)).hex(),
        "integ": "hmac_md5_96",
        "auth_key": "0x" + "00" * 16,
    }
    request = asked(
        pluto, "--said", "esp:200@2001:db8::2", "--esp", "aes_gcm_16", "--enckey", "0x" + "11" * 20, "--fresh-keys",
        "--esn", "--mode", "tunnel", "--replay_window", "512", "--natt", "nonesp", "--sport", "4500", "--dport", "1025",
        "--life", "soft-bytes=5,hard-packets=0x10", "--outif", "ipsec1:0", "--saref", "3", "--label", "x",
    )  # fmt: skip
    assert request["esn"] and request["fresh"] and request["mode"] == "tunnel" and request["replay_window"] == 512
    assert request["natt"] == [4500, 1025] and request["limits"] == {"soft_bytes": 5, "hard_packets": 16}
    assert request["device"] == "ipsec1" and request["said"] == "esp:200@2001:db8::2"


def test_the_other_kinds(pluto: Any) -> None:
    request = asked(pluto, *SA, "--ah", "hmac-sha1-96", "--authkey", "0x" + "22" * 20)
    assert request["said"] == "ah.200@192.0.2.2" and request["integ"] == "hmac_sha1_96"
    request = asked(pluto, *SA, "--comp", "deflate")
    assert request == {"do": "spi-add", "said": "comp.200@192.0.2.2", "cipher": "deflate"}
    request = asked(pluto, "--spi", "0x200", "--ip4", "--src", "192.0.2.1", "--dst", "192.0.2.2")
    assert request == {"do": "spi-add", "said": "tun.200@192.0.2.2", "src": "192.0.2.1"}
    request = asked(pluto, "--said", "tun:200@2001:db8::2", "--ip6", "--src", "2001:db8::1", "--dst", "2001:db8::2")
    assert request["said"] == "tun:200@2001:db8::2"
    assert asked(pluto, "--said", "esp0x200@192.0.2.2", "--del") == {"do": "spi-del", "said": "esp.200@192.0.2.2"}
    assert asked(pluto, "--clear") == {"do": "spi-clear"}


def test_keys_from_a_file_stay_out_of_the_process_list(pluto: Any, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(" ".join(CBC))
    request = asked(pluto, *SA, "--proto", "esp", "--optionsfrom", str(keys))
    assert request["cipher"] == "3des_cbc"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (SA, "one of --esp, --ah"),
        ([*SA, "--esp", "aes-sha1", "--del"], "one of --esp, --ah"),
        ([*SA, "--proto", "ah", *CBC], "--esp does not make an SA like ah.200@192.0.2.2"),
        ([*SA[2:], "--spi", "x", *CBC], "SPI 'x' is not a number"),
        ([*SA[:2], *SA[4:], *CBC], "--edst is missing"),
        (["--said", "%pass", *CBC], "%pass is not an SA"),
        (["--said", "esp.200@192.0.2.2", *SA, *CBC], "give one or the others"),
        ([*SA, "--esp", "des-md5-96", "--enckey", "0x00"], "unsupported ESP Transform ESP_DES"),
        ([*SA, "--esp", "aes256-sha1", "--enckey", "0x" + "00" * 16, "--authkey", "0x" + "00" * 20], "32 expected"),
        ([*SA, *CBC[:2], "--enckey", "12"], "--enckey: data must begin with 0x"),
        ([*SA, *CBC, "--mode", "beet"], "there are tunnel and transport"),
        ([*SA, *CBC, "--sport", "4500"], "go with --natt"),
        ([*SA, *CBC, "--natt", "nonike"], "use nonesp"),
        ([*SA, *CBC, "--natt", "x"], "there is nonesp"),
        ([*SA, *CBC, "--life", "soft-foo=1"], "'soft-foo=1' is not LIMIT=NUMBER"),
        ([*SA, *CBC, "--replay_window", "5000"], "not a number from 0 to 4096"),
        ([*SA, *CBC, "--dst", "192.0.2.2"], "--dst goes with --ip4"),
        (["--spi", "0x200", "--ip4", "--dst", "192.0.2.2"], "--ip4 wants --src and --dst"),
        (["--said", "tun.200@192.0.2.9", "--ip4", "--src", "192.0.2.1", "--dst", "192.0.2.2"], "is not where the SA"),
        (["--spi", "0x200", "--ip6", "--src", "192.0.2.1", "--dst", "192.0.2.2"], "not of the family"),
        ([*SA, "--nonsense"], "--nonsense"),
        (["--optionsfrom", "/nonexistent"], "No such file"),
    ],
)
def test_what_makes_no_sense(pluto: Any, capsys: pytest.CaptureFixture[str], words: list[str], why: str) -> None:
    assert spi.main(words) == 255
    assert why in capsys.readouterr().err and not pluto.asked


def test_what_is_refused(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    gcm = [*SA, "--esp", "aes_gcm_16", "--enckey", "0x" + "11" * 20]
    assert spi.main(gcm) == 1
    assert "--fresh-keys" in capsys.readouterr().err
    assert spi.main([*SA[:4], "--spi", "0xff", *CBC]) == 1
    assert "Illegal reserved spi: 0xff => 0xff Must be larger than 0x100." in capsys.readouterr().err
    assert not pluto.asked
    pluto.answers["klips"] = ["001 SA already in use.  Delete old one first."]
    assert spi.main([*SA, *CBC]) == 1
    assert capsys.readouterr().err == "ipsec spi: SA already in use.  Delete old one first.\n"
