# SPDX-License-Identifier: GPL-2.0-or-later
"""Openswan's own KLIPS tests through the whole engine: keys of its commands, its captures in, what it saw come out."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from openswan.base.drops import Drop
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said
from openswan.klips.slow.esp import Esp
from openswan.plane.commands import Direction
from openswan.policy.selector import Selector
from tests.fast.rig import Rig
from tests.shareddata import DATA

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.layers.inet import IP
    from scapy.utils import rdpcap

KLIPS = DATA / "klips"
CASES: dict[str, dict[str, Any]] = {case["test"]: case for case in json.loads((KLIPS / "tests.json").read_text())}
ESP_3DES_MD5 = ("3des_cbc", "hmac_md5_96")
FAR, NEAR = Selector.of(ip_network("192.0.2.0/24")), Selector.of(ip_network("192.0.1.0/24"))


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    try:
        yield made
    finally:
        made.close()


def keys(case: str) -> tuple[int, bytes, bytes]:
    """SPI, encryption and authentication key of the case's ESP SA."""
    line = next(cmd for cmd in CASES[case]["cmds"] if "--proto esp" in cmd)
    found = dict(re.findall(r"--(spi|enckey|authkey) 0x(\w+)", line))
    return int(found["spi"], 16), bytes.fromhex(found["enckey"]), bytes.fromhex(found["authkey"])


def capture(path: str) -> list[Any]:
    """The IP packets of an input."""
    return [packet[IP] for packet in rdpcap(str(KLIPS / path.rsplit("/", 1)[1])) if IP in packet]


def seen(packet: bytes) -> str:
    """A packet as the reference output words it."""
    ip = IP(packet)
    assert ip.proto == 1 and bytes(ip.payload)[0] == 8
    return f"{ip.src} > {ip.dst}: ICMP echo request" + (" (DF)" if ip.flags.DF else "")


def reference(case: str, name: str) -> list[str]:
    """Lines of a reference output about IP packets."""
    return [line for line in (KLIPS / case / name).read_text().splitlines() if line and not line.startswith("arp")]


def test_esp_of_klips_is_opened(rig: Rig) -> None:
    spi, key, auth = keys("west-icmp-01")
    said = Said(IpProtocol.ESP, spi, rig.local.address)
    cipher, integ = ESP_3DES_MD5
    more = {"cipher": cipher, "enc_key": key, "integ": integ, "auth_key": auth}
    rig.do(rig.sa(Direction.IN, said, ((FAR, NEAR),), **more))
    lines = []
    packets = capture(CASES["west-icmp-01"]["pub_in"])
    for packet in packets:
        if packet.proto == 50:
            rig.arrive(bytes(packet.payload))
            lines.append(seen(rig.received()))
    assert lines == reference("west-icmp-01", "spi1-cleartext.txt")
    assert rig.silent()


def test_esp_goes_out_as_klips_sent_it(rig: Rig) -> None:
    spi, key, auth = keys("east-icmp-01")
    said = Said(IpProtocol.ESP, spi, rig.remote.address)
    cipher, integ = ESP_3DES_MD5
    more = {"cipher": cipher, "enc_key": key, "integ": integ, "auth_key": auth}
    rig.do(rig.sa(Direction.OUT, said, ((FAR, NEAR),), **more))
    rig.eroute(said, "192.0.2.0/24", "192.0.1.0/24")
    twin = Esp(cipher, key, integ, auth, window=64)
    lines, inside = [], []
    for packet in capture(CASES["east-icmp-01"]["priv_in"]):
        if packet.src != "192.0.2.1" or packet.dst != "192.0.1.1":
            continue
        rig.send(bytes(packet))
        sealed = rig.wire()
        why, opened, header, sequence = twin.open(sealed)
        assert (why, header) == (Drop.NONE, 4)
        inside.append((opened, bytes(packet)))
        lines.append(
            f"192.1.2.23 > 192.1.2.45: ESP(spi=0x{spi:08x},seq=0x{sequence:x}), length {len(sealed)}: {seen(opened)}"
        )
    assert lines == reference("east-icmp-01", "spi1-output.txt")
    assert all(opened == sent for opened, sent in inside)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 15, 16, 23, 24, 31, 35])
def test_esp_shorter_than_its_header_iv_and_icv_is_a_counted_drop(rig: Rig, length: int) -> None:
    # CVE-2002-0666: the length of what is authenticated went below zero.
    spi, key, auth = keys("west-icmp-01")
    said = Said(IpProtocol.ESP, spi, rig.local.address)
    cipher, integ = ESP_3DES_MD5
    rig.do(rig.sa(Direction.IN, said, ((FAR, NEAR),), cipher=cipher, enc_key=key, integ=integ, auth_key=auth))
    whole = next(bytes(p.payload) for p in capture(CASES["west-icmp-01"]["pub_in"]) if p.proto == 50)
    if length:
        rig.arrive(whole[:length])
        rig.dropped(Drop.MALFORMED)
    rig.arrive(whole)
    assert seen(rig.received()) == reference("west-icmp-01", "spi1-cleartext.txt")[0]
