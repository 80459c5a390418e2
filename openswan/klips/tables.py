# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine's tables as operators know them, line by line, and as plain data for JSON.

Each table has a `*_text` that makes the classic lines, newline at the end of each, and a `*_rows` that makes a list of
dictionaries of text and numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from openswan.base.address import Subnet
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said, Shunt
from openswan.crypto.registry import Kind, find
from openswan.plane.events import DeviceView, ErouteView, SaView
from openswan.policy.selector import FlowKey

XFORM_CIPHERS = {"aes_cbc": "AES", "3des_cbc": "3DES"}
"""Classic names of those that had one; any other is its own in capitals."""
XFORM_INTEGS = {
    "hmac_sha1_96": "HMAC_SHA1",
    "hmac_md5_96": "HMAC_MD5",
    "hmac_sha2_256_128": "HMAC_SHA2_256",
    "hmac_sha2_384_192": "HMAC_SHA2_384",
    "hmac_sha2_512_256": "HMAC_SHA2_512",
}
PREFIXES = {IpProtocol.AH: "AH", IpProtocol.COMP: "COMP"}


def net_text(net: Subnet, port: int) -> str:
    """`10.1.0.0/24`, `10.1.0.0/24:443`, `[2001:db8::/32]:443`."""
    if not port:
        return str(net)
    return f"[{net}]:{port}" if net.version == 6 else f"{net}:{port}"


def target_text(target: Said | Shunt, protocol: int = 0) -> str:
    """`%trap`, `esp0x1234@192.0.2.1`, and with a protocol `esp0x1234@192.0.2.1:6`."""
    text = target.hex() if isinstance(target, Said) else str(target)
    return f"{text}:{protocol}" if protocol else text


def eroute_line(view: ErouteView) -> str:
    """One row of ipsec_eroute: packets, source, destination, target."""
    key = view.key
    src, dst = net_text(key.src, key.src_port), net_text(key.dst, key.dst_port)
    return f"{view.packets:<10d} {src:<18s} -> {dst:<18s} => {target_text(view.target, key.protocol)}"


def eroute_text(views: Iterable[ErouteView]) -> str:
    """The whole of ipsec_eroute."""
    return _lines(eroute_line(view) for view in views)


def _key_row(key: FlowKey) -> dict[str, Any]:
    return {
        "src": str(key.src),
        "dst": str(key.dst),
        "protocol": key.protocol,
        "src_port": key.src_port,
        "dst_port": key.dst_port,
    }


def eroute_rows(views: Iterable[ErouteView]) -> list[dict[str, Any]]:
    """Eroutes as plain data."""
    return [
        {
            **_key_row(view.key),
            "target": target_text(view.target),
            "device": view.device,
            "owner": view.owner,
            "serial": view.serial,
            "packets": view.packets,
            "idle": round(view.idle, 3),
            "held": view.held,
        }
        for view in views
    ]


def xform(view: SaView) -> str:
    """`ESP_AES_HMAC_SHA1`, `AH_HMAC_MD5`, `COMP_DEFLATE`, `IPIP`."""
    if view.said.proto is IpProtocol.IPIP:
        return "IPIP"
    parts = [PREFIXES.get(view.said.proto, "ESP")]
    if view.cipher:
        parts.append(XFORM_CIPHERS.get(view.cipher, view.cipher.upper()))
    if view.integ:
        parts.append(XFORM_INTEGS.get(view.integ, view.integ.upper()))
    return "_".join(parts)


def _auth_bits(integ: str) -> int:
    row = find(Kind.INTEG, integ) if integ else None
    return row.default_bits if row else 0


def _iv_bits(cipher: str) -> int:
    row = find(Kind.ENCR, cipher) if cipher else None
    return row.iv * 8 if row else 0


def _life(name: str, current: int, soft: int, hard: int) -> str:
    return f"{name}({current},{soft},{hard})" if current or soft or hard else ""


def _policy(view: SaView) -> str:
    if view.policy is None or not all(side.is_subnet() for side in view.policy):
        return ""
    return "policy=" + "->".join(str(side.subnets()[0]) for side in view.policy)


def sa_line(view: SaView) -> str:
    """One row of ipsec_spi; items that are zero are left out, as they always were."""
    alen, iv = _auth_bits(view.integ), _iv_bits(view.cipher)
    seconds = int(view.age)
    ports, life = view.encap_ports, view.life
    items = [
        f"dir={view.direction.value}",
        f"src={view.src}",
        _policy(view),
        f"iv_bits={iv}bits" if iv else "",
        f"ooowin={view.replay_window}" if view.replay_window else "",
        f"ooo_errs={view.replays}" if view.replays else "",
        f"seq={view.sequence}" if view.sequence else "",
        "flags=0x1<ESN>" if view.esn else "",
        f"alen={alen} aklen={alen}" if alen else "",
        f"auth_errs={view.auth_failures}" if view.auth_failures else "",
        f"eklen={view.key_bits}" if view.key_bits else "",
        "life(c,s,h)="
        + _life("bytes", view.octets, life.soft_bytes, life.hard_bytes)
        + f"addtime({seconds},0,0)"
        + _life("packets", view.packets, life.soft_packets, life.hard_packets),
        f"idle={int(view.idle)}" if view.idle >= 0 else "",
        f"natencap={'tcp' if view.in_stream else 'nonesp' if ports else 'none'}",
        f"natsport={ports[0]} natdport={ports[1]}" if ports else "",
        f"outif={view.device}",
    ]
    return f"{view.said.hex()} {xform(view)}: " + " ".join(item for item in items if item)


def spi_text(views: Iterable[SaView]) -> str:
    """The whole of ipsec_spi."""
    return _lines(sa_line(view) for view in views)


def spi_rows(views: Iterable[SaView]) -> list[dict[str, Any]]:
    """SAs as plain data; never their keys."""
    return [
        {
            "said": view.said.hex(),
            "spi": view.said.spi,
            "src": str(view.src),
            "dst": str(view.said.dst),
            "direction": view.direction.value,
            "xform": xform(view),
            "mode": view.mode.value,
            "life": asdict(view.life),
            "cipher": view.cipher,
            "integ": view.integ,
            "key_bits": view.key_bits,
            "esn": view.esn,
            "replay_window": view.replay_window,
            "encap_ports": list(view.encap_ports) if view.encap_ports else None,
            "in_stream": view.in_stream,
            "device": view.device,
            "owner": view.owner,
            "serial": view.serial,
            "packets": view.packets,
            "octets": view.octets,
            "sequence": view.sequence,
            "replays": view.replays,
            "auth_failures": view.auth_failures,
            "selector_failures": view.selector_failures,
            "path_mtu": view.path_mtu,
            "inner_mtu": view.inner_mtu,
            "ecn_alarms": view.ecn_alarms,
            "age": round(view.age, 3),
            "idle": round(view.idle, 3),
        }
        for view in views
    ]


def _groups(views: Iterable[SaView]) -> list[tuple[Said, ...]]:
    """Each bundle once, where its first SA stands, and each SA in none by itself."""
    return list(dict.fromkeys(view.group or (view.said,) for view in views))


def spigrp_text(views: Iterable[SaView]) -> str:
    """The whole of ipsec_spigrp: one bundle a line, innermost first."""
    return _lines(" ".join(said.hex() for said in group) for group in _groups(views))


def spigrp_rows(views: Iterable[SaView]) -> list[list[str]]:
    """Bundles as plain data."""
    return [[said.hex() for said in group] for group in _groups(views)]


def tncfg_line(view: DeviceView) -> str:
    """One row of ipsec_tncfg; the MTU in brackets is the one that counts."""
    if not view.physical:
        return f"{view.name} -> NULL mtu=0(0) -> 0"
    effective = min(view.mtu, view.physical_mtu or view.mtu)
    return f"{view.name} -> {view.physical} mtu={view.mtu}({effective}) -> {view.physical_mtu}"


def tncfg_text(views: Iterable[DeviceView]) -> str:
    """The whole of ipsec_tncfg."""
    return _lines(tncfg_line(view) for view in views)


def tncfg_rows(views: Iterable[DeviceView]) -> list[dict[str, Any]]:
    """Virtual interfaces as plain data."""
    return [
        {
            "name": view.name,
            "physical": view.physical,
            "mtu": view.mtu,
            "physical_mtu": view.physical_mtu,
            "rx_packets": view.rx_packets,
            "tx_packets": view.tx_packets,
        }
        for view in views
    ]


def _lines(lines: Iterable[str]) -> str:
    return "".join(line + "\n" for line in lines)
