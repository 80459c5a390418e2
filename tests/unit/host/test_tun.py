# SPDX-License-Identifier: GPL-2.0-or-later
"""TUN devices: made, left behind, taken over, removed; and each thing that can stand in the way."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openswan.base.errors import HostError
from openswan.host.tun import open_tun, remove_tun

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
