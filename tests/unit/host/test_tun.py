# SPDX-License-Identifier: GPL-2.0-or-later
"""TUN devices: made, left behind, taken over, removed; and each thing that can stand in the way."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openswan.base.errors import HostError
from openswan.host.tun import QUEUE_LENGTH, configure, open_tun, ours, remove_tun, virtual_devices

Namespace = Callable[[Callable[[], Any]], Any]


def names() -> list[str]:
    return [name for _, name in socket.if_nameindex()]


def test_the_device_outlives_its_owner_and_is_taken_over(namespace: Namespace) -> None:
    def work() -> None:
        first = open_tun("ipsec0")
        index = socket.if_nametoindex("ipsec0")
        os.close(first)
        second = open_tun("ipsec0")
        assert socket.if_nametoindex("ipsec0") == index
        assert not os.get_blocking(second)
        os.close(second)
        remove_tun("ipsec0")
        assert "ipsec0" not in names()

    namespace(work)


def test_it_comes_up_without_addresses_of_its_own(namespace: Namespace) -> None:
    def work() -> None:
        fd = open_tun("ipsec0")
        assert configure("ipsec0", 1400) == []
        shown = subprocess.run(["ip", "-j", "-d", "link", "show", "ipsec0"], capture_output=True, check=True).stdout
        (link,) = json.loads(shown)
        assert (link["mtu"], link["txqlen"]) == (1400, QUEUE_LENGTH)
        assert "UP" in link["flags"] and link["inet6_addr_gen_mode"] == "none"
        for setting in ("ipv4/conf/ipsec0/rp_filter", "ipv4/conf/ipsec0/send_redirects", "ipv6/conf/ipsec0/accept_ra"):
            # A thread with a namespace of its own sees its sysctls only through a process that lives there.
            value = subprocess.run(["cat", f"/proc/sys/net/{setting}"], capture_output=True, check=True).stdout
            assert value == b"0\n", setting
        assert virtual_devices() == ["ipsec0"]
        os.close(fd)
        assert ours("ipsec0") and not ours("lo") and not ours("ipsec1")

    namespace(work)


def test_a_device_that_is_not_there_cannot_come_up(namespace: Namespace) -> None:
    def work() -> None:
        with pytest.raises(HostError, match="cannot bring interface ipsec5 up with MTU 1500: No such device"):
            configure("ipsec5", 1500)

    namespace(work)


def test_removing_what_is_not_there_is_fine(namespace: Namespace) -> None:
    def work() -> None:
        remove_tun("ipsec7")
        assert "ipsec7" not in names()

    namespace(work)


def test_a_foreign_interface_of_that_name_is_refused(namespace: Namespace) -> None:
    def work() -> None:
        with pytest.raises(HostError, match="cannot take over interface lo: it exists and is not one of ours"):
            open_tun("lo")
        with pytest.raises(HostError, match="is not one of ours"):
            remove_tun("lo")

    namespace(work)


def test_missing_tun_support_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="absent is missing: the kernel needs TUN support"):
        open_tun("ipsec0", str(tmp_path / "absent"))


@pytest.mark.parametrize("name", ["", "ipsec0ipsec0ipsec0", "ä" * 10])
def test_names_no_interface_can_have(name: str) -> None:
    with pytest.raises(HostError, match="cannot name an interface"):
        open_tun(name)
