# SPDX-License-Identifier: GPL-2.0-or-later
"""nf_tables messages; what the kernel makes of them is seen in tests/netns/test_guard.py."""

from __future__ import annotations

from openswan.host import nfnetlink as nf
from openswan.host.nlmsg import parse_attrs


def test_keys_are_padded_only_in_concatenations() -> None:
    assert nf.SetType((nf.SERVICE,)).key_length == 2
    assert nf.SetType((nf.IPV4, nf.PROTO, nf.SERVICE)).key_length == 12
    assert nf.SetType((nf.IPV6, nf.IPV6)).key_length == 32


def test_device_names_fill_their_field() -> None:
    assert nf.device_key("ipsec0") == b"ipsec0" + bytes(10)


def test_elements_are_cut_into_messages_that_fit() -> None:
    table = nf.Nftables("t")
    keys = [(n.to_bytes(32, "big"), (n + 1).to_bytes(32, "big")) for n in range(1001)]
    messages = list(table.elements("s", keys))
    table.close()
    assert len(messages) == 3 and all(len(message.body) < 65536 for message in messages)
    counted = 0
    for message in messages:
        attrs = dict(parse_attrs(message.body[4:]))
        counted += len(list(parse_attrs(attrs[3])))
    assert counted == len(keys)


def test_an_expression_is_named_and_nested() -> None:
    ((kind, value),) = parse_attrs(nf.payload("network", 12, 4, 8))
    attrs = dict(parse_attrs(value))
    assert kind == 1 and bytes(attrs[1]) == b"payload\0"
    assert [int.from_bytes(v, "big") for _, v in parse_attrs(attrs[2])] == [8, 1, 12, 4]
