# SPDX-License-Identifier: GPL-2.0-or-later
"""How the compiled engine names streams; what it does with them is in tests/fast/test_streams.py."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from openswan.base.address import Endpoint
from openswan.base.drops import Drop
from openswan.base.errors import KlipsError
from openswan.klips.engine import Klips
from openswan.klips.streams import AF, ENDINGS, KEY_OCTETS, ends_of, key_of
from openswan.plane.commands import AttachStream, DetachStream, KeepStream, SendInStream


def ends(local: str, remote: str) -> tuple[Endpoint, Endpoint]:
    return Endpoint(ip_address(local), 4500, stream=True), Endpoint(ip_address(remote), 65535, stream=True)


@pytest.mark.parametrize(("local", "remote"), [("192.0.2.1", "198.51.100.7"), ("2001:db8::1", "2001:db8::ffff")])
def test_keys(local: str, remote: str) -> None:
    key = key_of(*ends(local, remote))
    assert len(key) == KEY_OCTETS and ends_of(key) == ends(local, remote)


def test_numbers_of_the_kernel() -> None:
    assert {4: socket.AF_INET, 6: socket.AF_INET6} == AF
    assert set(ENDINGS) == set(range(1, 7))


def test_without_any_stream_there_is_no_thread_and_nothing_to_do() -> None:
    klips = Klips(workers=1)
    both = ends("192.0.2.1", "192.0.2.2")
    for command in (KeepStream(*both), DetachStream(*both), SendInStream(*both, b"x")):
        klips.execute(command)
    assert klips.drops()[Drop.STREAM_GONE] == 0


def test_a_descriptor_that_is_none() -> None:
    with pytest.raises(KlipsError, match="packet engine"):
        Klips(workers=1).execute(AttachStream(*ends("192.0.2.1", "192.0.2.2"), -1, True))
