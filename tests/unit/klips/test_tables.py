# SPDX-License-Identifier: GPL-2.0-or-later
"""The classic lines, and the same as plain data."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address, ip_network

from openswan.base.numbers import IpProtocol
from openswan.base.said import Said, Shunt
from openswan.klips import tables
from openswan.plane.commands import Direction, Life, Mode
from openswan.plane.events import DeviceView, ErouteView, SaView
from openswan.policy.selector import FlowKey, Selector

SAID = Said(IpProtocol.ESP, 0x12345678, ip_address("192.1.2.45"))
EROUTE = ErouteView(
    FlowKey(ip_network("10.1.1.0/24"), ip_network("0.0.0.0/0")), Shunt.TRAP, "ipsec0", "net", 3, 18, 2.25, 0
)
SA = SaView(
    SAID, ip_address("192.1.2.23"), Direction.OUT, "aes_cbc", "hmac_sha1_96", 128, False, 64, None, "ipsec0", "net", 4,
    0, 0, 0, 0, 0, 0, 64.9, -1.0,
)  # fmt: skip


def test_eroute_lines() -> None:
    assert tables.eroute_text([EROUTE]) == "18         10.1.1.0/24        -> 0.0.0.0/0          => %trap\n"
    narrow = replace(EROUTE, key=FlowKey(ip_network("10.1.1.1"), ip_network("10.2.0.0/16"), 6, 0, 443), target=SAID)
    assert tables.eroute_line(narrow) == (
        "18         10.1.1.1/32        -> 10.2.0.0/16:443    => esp0x12345678@192.1.2.45:6"
    )
    six = replace(EROUTE, key=FlowKey(ip_network("fd00::/8"), ip_network("fd01::/16"), 17, 53), packets=0)
    assert tables.eroute_line(six) == "0          [fd00::/8]:53      -> fd01::/16          => %trap:17"
    assert tables.eroute_text([]) == ""


def test_sa_lines() -> None:
    assert tables.spi_text([SA]) == (
        "esp0x12345678@192.1.2.45 ESP_AES_HMAC_SHA1: dir=out src=192.1.2.23 iv_bits=128bits ooowin=64 "
        "alen=160 aklen=160 eklen=128 life(c,s,h)=addtime(64,0,0) natencap=none outif=ipsec0\n"
    )
    busy = replace(
        SA, direction=Direction.IN, cipher="aes_gcm_16", integ="", esn=True, encap_ports=(4500, 4501), packets=10,
        octets=840, sequence=12, replays=2, auth_failures=1, idle=3.7,
    )  # fmt: skip
    assert tables.sa_line(busy) == (
        "esp0x12345678@192.1.2.45 ESP_AES_GCM_16: dir=in src=192.1.2.23 iv_bits=64bits ooowin=64 ooo_errs=2 seq=12 "
        "flags=0x1<ESN> auth_errs=1 eklen=128 life(c,s,h)=bytes(840,0,0)addtime(64,0,0)packets(10,0,0) idle=3 "
        "natencap=nonesp natsport=4500 natdport=4501 outif=ipsec0"
    )
    assert tables.xform(replace(SA, cipher="null", integ="hmac_sha2_512_256")) == "ESP_NULL_HMAC_SHA2_512"


def test_groups_and_attachments() -> None:
    assert tables.spigrp_text([SA]) == "esp0x12345678@192.1.2.45\n"
    device = DeviceView("ipsec0", "eth1", 16260, 1500, 1, 2)
    assert tables.tncfg_text([device]) == "ipsec0 -> eth1 mtu=16260(1500) -> 1500\n"
    assert tables.tncfg_line(replace(device, physical="")) == "ipsec0 -> NULL mtu=0(0) -> 0"


def test_rows_are_plain_and_hold_no_keys() -> None:
    device = DeviceView("ipsec0", "eth1", 16260, 1500, 1, 2)
    rows = {
        "eroute": tables.eroute_rows([EROUTE]),
        "spi": tables.spi_rows([SA]),
        "spigrp": tables.spigrp_rows([SA]),
        "tncfg": tables.tncfg_rows([device]),
    }
    assert json.loads(json.dumps(rows)) == rows
    assert rows["eroute"][0]["target"] == "%trap" and rows["eroute"][0]["src"] == "10.1.1.0/24"  # type: ignore[call-overload]
    assert "key" not in json.dumps(rows["spi"]).replace("key_bits", "")


def test_every_kind_of_sa_has_its_classic_name() -> None:
    def named(proto: IpProtocol, cipher: str = "", integ: str = "") -> str:
        return tables.xform(replace(SA, said=replace(SAID, proto=proto), cipher=cipher, integ=integ))

    assert named(IpProtocol.ESP, "3des_cbc", "hmac_md5_96") == "ESP_3DES_HMAC_MD5"
    assert named(IpProtocol.ESP, "aes_ctr", "aes_cmac_96") == "ESP_AES_CTR_AES_CMAC_96"
    assert named(IpProtocol.AH, "", "hmac_sha1_96") == "AH_HMAC_SHA1"
    assert named(IpProtocol.COMP, "deflate") == "COMP_DEFLATE"
    assert named(IpProtocol.IPIP) == "IPIP"


def test_limits_and_policy_show() -> None:
    pair = (Selector.of(ip_network("10.2.0.0/24")), Selector.of(ip_network("10.1.0.0/24")))
    line = tables.sa_line(replace(SA, life=Life(5, 6, 7, 0), policy=pair))
    assert "life(c,s,h)=bytes(0,5,6)addtime(64,0,0)packets(0,7,0)" in line
    assert " policy=10.2.0.0/24->10.1.0.0/24 " in line
    odd = Selector(ip_address("10.2.0.1"), ip_address("10.2.0.9"))
    assert "policy=" not in tables.sa_line(replace(SA, policy=(odd, odd)))
    (row,) = tables.spi_rows([replace(SA, life=Life(5, 6, 7, 0), mode=Mode.TRANSPORT)])
    assert row["mode"] == "transport" and row["life"]["hard_bytes"] == 6
    json.dumps(row)


def test_a_bundle_has_one_line() -> None:
    tun, ah = (Said(proto, 0x300, SAID.dst) for proto in (IpProtocol.IPIP, IpProtocol.AH))
    group = (tun, SAID)
    views = [replace(SA, group=group), replace(SA, said=ah), replace(SA, said=tun, group=group)]
    assert tables.spigrp_text(views) == "tun0x300@192.1.2.45 esp0x12345678@192.1.2.45\nah0x300@192.1.2.45\n"
    assert tables.spigrp_rows(views)[0] == ["tun0x300@192.1.2.45", "esp0x12345678@192.1.2.45"]
