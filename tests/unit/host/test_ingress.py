# SPDX-License-Identifier: GPL-2.0-or-later
"""What is dropped at ingress; that the kernel does it, and forgets it, is seen in tests/netns/test_rawpath.py."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from openswan.base.errors import HostError
from openswan.host import ingress
from openswan.host.nfnetlink import DELRULE, Nftables
from openswan.host.nlmsg import Message, parse_attrs

Namespace = Callable[[Callable[[], Any]], Any]


def listed() -> str:
    return subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout


def compared(expressions: list[bytes]) -> list[bytes]:
    """The values a rule compares with, in order."""
    values = []
    for expression in expressions:
        ((_, body),) = parse_attrs(expression)
        attrs = dict(parse_attrs(body))
        if bytes(attrs[1]) == b"cmp\0":
            data = dict(parse_attrs(dict(parse_attrs(attrs[2]))[3]))
            values.append(bytes(data[1]))
    return values


def test_a_rule_takes_what_the_filter_of_the_ring_takes() -> None:
    mine = ip_address("192.0.2.1")
    assert compared(ingress.match(mine)) == [b"\0", b"\x08\0", b"\x45", b"\0\0\0\x32", mine.packed]
    six = ip_address("2001:db8::1")
    assert compared(ingress.match(six)) == [b"\0", b"\x86\xdd", b"\x32", six.packed]


@pytest.mark.parametrize("fails", [False, True])
def test_the_table_is_owned_and_goes_with_its_socket(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    sent: list[Message] = []
    closed: list[Nftables] = []

    def commit(_: Nftables, messages: list[Message]) -> None:
        sent.extend(messages)
        if fails:
            raise HostError("no such hook")

    def close(nft: Nftables) -> None:
        closed.append(nft)
        nft.socket.close()

    monkeypatch.setattr(ingress.Nftables, "commit", commit)
    monkeypatch.setattr(ingress.Nftables, "close", close)
    addresses = [ip_address("192.0.2.1"), ip_address("2001:db8::1")]
    one = ingress.Ingress("wan")
    one.let_pass()
    assert not sent, "all does already"
    if fails:
        with pytest.raises(HostError, match="no such hook"):
            one.drop(addresses)
    else:
        one.drop(addresses)
    table, chain, flush, *rules = sent
    assert int.from_bytes(dict(parse_attrs(table.body[4:]))[2], "big") == 0x2  # OWNER, and not PERSIST
    assert all(message.body[0] == 5 for message in sent)  # family netdev
    assert b"wan\0" in chain.body and flush.kind & 0xFF == DELRULE and len(rules) == 2
    assert len(closed) == fails
    one.close()
    one.close()
    assert len(closed) == 1


def test_the_hook_stays_when_everything_passes_again(namespace: Namespace) -> None:
    """Or the kernel would drop what waits in NFQUEUE (tests/unit/host/guard/test_hooks.py)."""

    def work() -> None:
        one = ingress.Ingress("lo")
        for _ in range(2):
            one.drop([ip_address("192.0.2.1"), ip_address("2001:db8::1")])
            assert listed().count("drop") == 2
            one.let_pass()
            assert "hook ingress" in listed() and "drop" not in listed()
        one.close()
        assert listed() == ""

    namespace(work)
