# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the test data nobody here wrote lies, and reading its usual forms."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def strongswan(name: str, kind: str = "") -> list[dict[str, Any]]:
    """The cases of vectors/strongswan/NAME.json, of one type if given, `{"hex": ...}` fields as bytes."""
    cases = json.loads((DATA / "vectors" / "strongswan" / f"{name}.json").read_text())["cases"]
    return [
        {key: bytes.fromhex(value["hex"]) if isinstance(value, dict) else value for key, value in case.items()}
        for case in cases
        if not kind or case["type"] == kind
    ]


def frames(path: Path) -> Iterator[bytes]:
    """The link-layer frames of a pcap or pcapng file of either byte order."""
    data = path.read_bytes()
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        order = "<" if data[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
        at = 0
        while at < len(data):
            kind, length = struct.unpack(order + "II", data[at : at + 8])
            if kind == 6:
                (captured,) = struct.unpack(order + "I", data[at + 20 : at + 24])
                yield data[at + 28 : at + 28 + captured]
            at += length
        return
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at = 24
    while at < len(data):
        (captured,) = struct.unpack(order + "I", data[at + 8 : at + 12])
        yield data[at + 16 : at + 16 + captured]
        at += 16 + captured


def udp_payloads(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """(source port, destination port, payload) of each unfragmented UDP over IPv4 frame."""
    for frame in frames(path):
        packet = frame[14:]
        if frame[12:14] != b"\x08\x00" or packet[9] != 17:
            continue
        header = (packet[0] & 15) * 4
        src, dst, length = struct.unpack(">HHH", packet[header : header + 6])
        yield src, dst, packet[header + 8 : header + length]
