# SPDX-License-Identifier: GPL-2.0-or-later
"""Manually keyed conns of ipsec.conf, and every way to be refused."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from openswan.base.errors import ConfigError
from openswan.config.load import Loaded, load_text
from openswan.config.manualkeys import build_manual, is_manual, union
from openswan.config.parser import FlatConn
from openswan.policy.manual import ManualConn

GOOD = {
    "left": "192.0.2.1",
    "leftsubnet": "10.1.0.0/24",
    "right": "192.0.2.2",
    "rightsubnet": "10.2.0.0/24",
    "spi": "0x200",
    "esp": "3des-md5-96",
    "espenckey": "0x" + bytes(range(24)).hex(),
    "espauthkey": "0x" + "0f" * 16,
}


def loaded(*conns: dict[str, str]) -> Loaded:
    def none(name: str) -> bytes:
        raise ConfigError(name)

    text = ""
    for number, values in enumerate(conns):
        text += f"conn c{number}\n" + "".join(f"    {key}={value}\n" for key, value in values.items() if value)
    return load_text(text, "test.conf", lambda pattern, where: [], none)  # type: ignore[arg-type,return-value]


def flat(**more: str) -> FlatConn:
    found = loaded({**GOOD, **more}).flat[0]
    assert not found.complaints, found.complaints
    return found


def build(**more: str) -> ManualConn:
    return build_manual(flat(**more))


def test_one_spi_for_all() -> None:
    conn = build(ah="hmac-sha1-96", ahkey="0x" + "22" * 20)
    assert [sa.spi for end in (conn.left, conn.right) for sa in end.sas] == [0x200] * 4
    assert [sa.protocol for sa in conn.right.sas] == ["esp", "ah"]
    esp = conn.right.sas[0]
    assert (esp.cipher, esp.integ, esp.replay_window) == ("3des_cbc", "hmac_md5_96", 64)
    assert conn.tunnel and conn.leak_guard and not conn.start
    assert "0f0f" not in repr(conn)


def test_a_base_gives_even_ones_to_right_and_odd_ones_to_left() -> None:
    conn = build(spi="", spibase="0x340", ah="sha1", ahkey="0x" + "22" * 20)
    assert [sa.spi for sa in conn.right.sas] == [0x344, 0x342]
    assert [sa.spi for sa in conn.left.sas] == [0x345, 0x343]


def test_a_side_may_have_its_own() -> None:
    other = "0x" + bytes(range(100, 124)).hex()
    conn = build(leftespspi="0x400", rightespenckey=other, espreplay_window="32", auto="manual", leakguard="no")
    assert (conn.left.sas[0].spi, conn.right.sas[0].spi) == (0x400, 0x200)
    assert conn.right.sas[0].enc_key.hex() == other[2:] and conn.left.sas[0].enc_key != conn.right.sas[0].enc_key
    assert conn.left.sas[0].replay_window == 32 and conn.start and not conn.leak_guard


def test_transport_and_clients() -> None:
    conn = build(type="transport", leftsubnet="", rightsubnet="", metric="5", mtu="1400", leftupdown="")
    assert not conn.tunnel and (conn.metric, conn.mtu) == (5, 1400)
    assert conn.left.client == ip_network("192.0.2.1") and conn.left.updown == "ipsec _updown"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"spi": "", "leftspi": ""}, "neither spi= nor spibase="),
        ({"spi": "0x1000"}, "spi=0x1000: 0x100 to 0xfff are for manual keying"),
        ({"spi": "0xff"}, "spi=0xff: 0x100 to 0xfff are for manual keying"),
        ({"spi": "200"}, "spi=200 is not an SPI: write it as 0x200"),
        ({"spi": "", "spibase": "0x201"}, "its last digit must be 0"),
        ({"esp": ""}, "neither esp= nor ah="),
        ({"esp": "des-md5-96"}, "unsupported ESP Transform ESP_DES"),
        ({"esp": "aes_gcm_16"}, "aes_gcm_16 is refused for manual keying: the keys of a configuration file"),
        ({"esp": "aes_ctr-sha1"}, "aes_ctr is refused for manual keying"),
        ({"ah": "aes_128_gmac"}, "aes_128_gmac is refused for manual keying"),
        ({"esn": "yes"}, "esn=yes is refused for manual keying"),
        ({"espenckey": ""}, "espenckey= is missing"),
        ({"espauthkey": ""}, "espauthkey= is missing"),
        ({"espauthkey": "0x00"}, "authentication key for hmac_md5_96 is 1 octets, 16 expected"),
        ({"espenckey": "0x00"}, "key for 3des_cbc is 1 octets, 24 expected"),
        ({"espenckey": "5e5e"}, "espenckey=: data must begin with 0x"),
        ({"ah": "sha1"}, "ahkey= is missing"),
        ({"type": "passthrough"}, "type=passthrough has no keys: use ipsec auto"),
        ({"type": "udpencap"}, "type=udpencap is not available for manual keying"),
        ({"type": "transport"}, "is between two hosts"),
        ({"left": ""}, "left= is missing"),
        ({"left": "%any"}, "left=%any: manual keying wants an address"),
        ({"right": "2001:db8::2"}, "left and right are of different address families"),
        ({"rightsubnet": "2001:db8::/32"}, "leftsubnet and rightsubnet are of different address families"),
        ({"espreplay_window": "5000"}, "espreplay_window=5000 is not a number from 0 to 4096"),
    ],
)
def test_refusals(more: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigError) as error:
        build(**more)
    assert why in error.value.reason and error.value.reason.startswith('conn "c0": ')
    assert "5e5e" not in error.value.reason and "0f0f" not in error.value.reason


def test_the_key_exchange_leaves_them_alone() -> None:
    found = loaded(GOOD, {**GOOD, "spi": "0x5000"}, {**GOOD, "spi": "", "esp": "", "auto": "manual"})
    assert [conn.name for conn in found.manual] == ["c0"] and not found.named("c0")
    complaints = [str(one) for one in found.complaints if one.fatal]
    assert any("0x5000" in text and text.count("c1") == 1 for text in complaints)
    assert any("it is for manually keyed conns" in text for text in complaints)
    assert any("use ipsec manual --up c0" in str(one) for one in found.about("c0"))


def test_parts_are_put_together() -> None:
    keys = {name: GOOD[name] for name in ("esp", "espenckey", "espauthkey")}
    rest = {name: value for name, value in GOOD.items() if name not in keys}
    first, second, third = loaded(rest, keys, {"spi": "0x300"}).flat
    assert is_manual(first) and not is_manual(second)
    assert build_manual(union([first, second])).right.sas[0].spi == 0x200
    with pytest.raises(ConfigError, match="spi differs"):
        union([first, third])


def test_orientation() -> None:
    conn = build()
    here = [ip_address("192.0.2.2"), ip_address("10.2.0.1")]
    assert conn.oriented(here) == (conn.right, conn.left)
    assert conn.oriented(here, other=True) == (conn.left, conn.right)
    with pytest.raises(ConfigError, match="neither end is this host"):
        conn.oriented([])
    with pytest.raises(ConfigError, match="both ends are this host"):
        conn.oriented([ip_address("192.0.2.1"), ip_address("192.0.2.2")])
    roaming = build(left="%defaultroute", leftsubnet="")
    with pytest.raises(ConfigError, match="left=%defaultroute wants --iam"):
        roaming.oriented(here)
    ours, theirs = roaming.oriented([], iam=ip_address("198.51.100.9"))
    assert ours.address == ip_address("198.51.100.9") and theirs == roaming.right


def test_openings_of_the_packet_filter_are_an_ends_own() -> None:
    conn = build_manual(flat(leftfirewall="yes", righthostaccess="yes", rightfirewall="no"))
    assert (conn.left.firewall, conn.left.host_access) == (True, False)
    assert (conn.right.firewall, conn.right.host_access) == (False, True)
    with pytest.raises(ConfigError, match="leftfirewall=perhaps: yes or no is wanted"):
        build_manual(loaded({**GOOD, "leftfirewall": "perhaps"}).flat[0])
