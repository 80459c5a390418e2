# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that a device receives though nobody has sent them."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from openswan.base.errors import HostError
from openswan.host.fromlan import FromLan
from openswan.wire.probe import finished, probe_packet

Namespace = Callable[[Callable[[], Any]], Any]


def test_the_device_receives_it_and_nothing_stays(namespace: Namespace) -> None:
    def work() -> None:
        for line in (
            "link add lan type veth peer name far",
            "addr add 10.1.0.1/24 dev lan",
            "link set lan up",
            "link set far up",
        ):
            subprocess.run(["ip", *line.split()], check=True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
            heard.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lan")
            heard.bind(("10.1.0.1", 9))
            heard.settimeout(5)
            packet = finished(probe_packet(ip_address("10.1.0.9"), ip_address("10.1.0.1"), 17, (7, 9), b"hello"))
            with FromLan("lan") as lan:
                assert lan.send(packet) == ""
                assert heard.recvfrom(100) == (b"hello", ("10.1.0.9", 7))
        assert {name for _, name in socket.if_nameindex()} == {"lo", "lan", "far"}

    namespace(work)


def test_what_cannot_be_is_said(namespace: Namespace, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="No such file"):
        FromLan("lan", str(tmp_path / "tun"))

    def work() -> None:
        with pytest.raises(HostError, match="no packets can be put into nowhere"):
            FromLan("nowhere")
        assert {name for _, name in socket.if_nameindex()} == {"lo"}

    namespace(work)
