# SPDX-License-Identifier: GPL-2.0-or-later
"""resolv.conf as it is and as it changes."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from openswan.host.resolvconf import ResolvConf, nameservers


def test_servers_in_order_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_bytes(
        b"# nameserver 192.0.2.9\nsearch example\nnameserver 192.0.2.1\n nameserver fe80::1%eth0\n"
        b"nameserver\nnameserver nonsense\nnameserver 192.0.2.1\nnameserver 2001:db8::1 # two\n\xff\n"
    )
    assert nameservers(path) == tuple(map(ip_address, ("192.0.2.1", "fe80::1", "2001:db8::1")))
    assert nameservers(tmp_path / "none") == () == nameservers(tmp_path)


def test_changes_are_seen_and_a_stub_is_looked_behind(tmp_path: Path) -> None:
    path, behind = tmp_path / "resolv.conf", tmp_path / "behind"
    resolvconf = ResolvConf(path, behind)
    assert resolvconf.servers() == ()
    path.write_text("nameserver 192.0.2.1\n")
    assert resolvconf.servers() == (ip_address("192.0.2.1"),)
    new = tmp_path / "new"
    new.write_text("nameserver 127.0.0.53\n")
    new.rename(path)
    behind.write_text("nameserver 192.0.2.2\n")
    assert resolvconf.servers() == (ip_address("127.0.0.53"), ip_address("192.0.2.2"))
    path.unlink()
    assert resolvconf.servers() == ()
