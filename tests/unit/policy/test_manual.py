# SPDX-License-Identifier: GPL-2.0-or-later
"""Ends of manually keyed conns."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from openswan.policy.manual import ManualConn, ManualEnd, ManualSa

SA = ManualSa("esp", 0x200, "aes_cbc", b"secret", "hmac_sha1_96", b"secret", 64)
LEFT = ManualEnd(ip_address("192.0.2.1"), None, None, "", (SA,))
RIGHT = ManualEnd(ip_address("192.0.2.2"), ip_network("10.2.0.0/24"), None, "", (SA,))


def test_an_end_without_subnet_protects_itself() -> None:
    assert LEFT.client == ip_network("192.0.2.1/32") and RIGHT.client == ip_network("10.2.0.0/24")


def test_iam_may_name_an_end_that_is_not_here() -> None:
    conn = ManualConn("x", LEFT, RIGHT)
    assert conn.oriented([], iam=ip_address("192.0.2.2")) == (RIGHT, LEFT)
    assert conn.oriented([ip_address("192.0.2.1")]) == (LEFT, RIGHT)


def test_no_key_is_shown() -> None:
    assert "secret" not in repr(ManualConn("x", LEFT, RIGHT))
