# SPDX-License-Identifier: GPL-2.0-or-later
"""Openings as nf_tables has them; tests/netns/test_firewall.py sees them in the kernel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from openswan.base.errors import HostError
from openswan.host import nfnetlink as nf
from openswan.host.nlmsg import Message, attr, be32, nest, parse_attrs, zstr
from openswan.host.openings import nftables
from openswan.host.openings.model import Opening
from openswan.host.openings.nftables import ForeignTable, expressions, foreign_tables
from openswan.policy.selector import FlowKey
from tests.unit.host.openings.samples import opening


def names(rule: Iterable[bytes]) -> list[str]:
    """The expressions of a rule by name."""
    found = []
    for one in rule:
        ((_, value),) = parse_attrs(one)
        found.append(bytes(dict(parse_attrs(value))[1]).rstrip(b"\0").decode())
    return found


def test_a_rule_matches_device_version_nets_protocol_and_ports() -> None:
    back, _ = opening(protocol=6, dst_port=443).accepts()
    device, net, number = ["meta", "cmp"], ["payload", "bitwise", "cmp"], ["payload", "cmp"]
    whole = [*device, "meta", "cmp", *net, *net, "meta", "cmp", *number, "immediate"]
    assert names(expressions(back, nf.NFPROTO_INET)) == whole
    assert names(expressions(back, nf.NFPROTO_IPV4)) == whole[:2] + whole[4:], "the table has one IP version only"
    ours = next(iter(expressions(back, nf.NFPROTO_INET)))
    assert ours == nf.meta("iifname", 8)
    assert nf.compare(8, b"ipsec0".ljust(16, b"\0")) in list(expressions(back, nf.NFPROTO_INET))


def test_an_icmp_message_is_its_type_and_code() -> None:
    back, _ = opening(protocol=1, src_port=0x0301).accepts()
    rule = list(expressions(back, nf.NFPROTO_IPV4))
    assert rule[-5:-1] == [
        nf.payload("transport", 0, 1, 8), nf.compare(8, b"\3"), nf.payload("transport", 1, 1, 8), nf.compare(8, b"\1")
    ]  # fmt: skip


def test_everything_and_one_address_need_no_mask() -> None:
    anywhere, host = ip_network("::/0"), ip_network("fd00::1/128")
    back, _ = Opening("net", "", "ipsec0", (FlowKey(host, anywhere),), True, False).accepts()
    assert names(expressions(back, nf.NFPROTO_IPV6)) == ["meta", "cmp", "payload", "cmp", "immediate"]
    assert nf.payload("network", 24, 16, 8) in list(expressions(back, nf.NFPROTO_IPV6))


def table(**more: Any) -> ForeignTable:
    bases = {"forward": "forward", "counted": "forward", "input": "input"}
    return ForeignTable(nf.NFPROTO_INET, "fence", bases, {"forward"}, **more)


def test_only_chains_that_drop_have_to_call_ours() -> None:
    right = {"ours": {"ipsec-fw-fwd": 2}, "jumps": {"forward": [9]}}
    assert table(**right).check([opening()])
    assert table(**right).check([opening(host=True)]), "nothing drops what is received"
    assert not table().check([opening()]) and table().check([])
    assert not table(**right).check([]) and not table(**right).check([opening(), opening("b")])
    assert not table(ours={"ipsec-fw-fwd": 2}).check([opening()]), "nobody calls it"
    assert not table(ours={"ipsec-fw-fwd": 2}, jumps={"forward": [9], "counted": [3]}).check([opening()])
    v6 = ForeignTable(nf.NFPROTO_IPV6, "fence", {"forward": "forward"}, {"forward"})
    assert v6.check([opening()]), "the opening is one of IPv4"


def test_tables_of_iptables_are_told_by_their_chains() -> None:
    assert ForeignTable(nf.NFPROTO_IPV4, "filter", {"FORWARD": "forward"}).of_iptables
    assert not ForeignTable(nf.NFPROTO_IPV4, "filter", {"forward": "forward"}).of_iptables
    assert not ForeignTable(nf.NFPROTO_INET, "filter", {"FORWARD": "forward"}).of_iptables
    assert str(ForeignTable(nf.NFPROTO_IPV6, "mine")) == "the nft table ip6 mine"


class Kernel:
    """Takes changes, and answers dumps with bodies."""

    refuses: Exception | None = None

    def __init__(self, chains: Iterable[bytes] = (), rules: Iterable[bytes] = ()) -> None:
        self.dumps = {nf.GETCHAIN: list(chains), nf.GETRULE: list(rules)}
        self.done: list[Any] = []
        self.socket = self

    def __call__(self, table: str, family: int = 0) -> Kernel:
        return self

    def ask(self, message: Message) -> Iterator[tuple[int, bytes]]:
        return ((0, body) for body in self.dumps[message.kind & 0xFF])

    def commit(self, messages: Iterable[Any]) -> None:
        if self.refuses is not None:
            raise HostError("refused") from self.refuses
        self.done += messages

    def close(self) -> None:
        """Nothing is open."""

    def chain(self, name: str) -> Any:
        return ("chain", name)

    def flush_chain(self, name: str) -> Any:
        return ("flush", name)

    def delete_chain(self, name: str) -> Any:
        return ("delete", name)

    def rule(self, chain: str, expressions: Iterable[bytes], comment: str, first: bool = False) -> Any:
        return ("insert" if first else "add", chain)

    def delete_rule(self, chain: str, handle: int) -> Any:
        return ("drop", chain, handle)


def test_a_table_changes_in_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel()
    monkeypatch.setattr(nf, "Nftables", kernel)
    table().load([opening()])
    name = "ipsec-fw-fwd"
    assert kernel.done == [("chain", name), ("flush", name), ("add", name), ("add", name), ("insert", "forward")]
    kernel.done.clear()
    table(ours={name: 2}, jumps={"forward": [9], "counted": [3]}).load([])
    # What calls a chain has to go before it.
    assert kernel.done == [("drop", "counted", 3), ("drop", "forward", 9), ("flush", name), ("delete", name)]


def test_whose_table_it_is_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel()
    monkeypatch.setattr(nf, "Nftables", kernel)
    kernel.refuses = PermissionError()
    with pytest.raises(HostError, match="belongs to another process"):
        table().load([opening()])
    kernel.refuses = OSError()
    with pytest.raises(HostError, match="refused"):
        table().load([opening()])


def chain(owner: str, name: str, policy: int | None = None, hook: str = "forward", kind: str = "filter") -> bytes:
    """As the kernel lists it; with a policy it is a base chain."""
    body = bytes((nf.NFPROTO_INET, 0, 0, 0)) + attr(1, zstr(owner)) + attr(3, zstr(name))
    if policy is not None:
        body += nest(4, attr(1, be32(nf.HOOKS[hook])), attr(2, be32(0))) + attr(5, be32(policy)) + attr(7, zstr(kind))
    return body


def rule(owner: str, name: str, handle: int, *what: bytes) -> bytes:
    body = bytes((nf.NFPROTO_INET, 0, 0, 0)) + attr(1, zstr(owner)) + attr(2, zstr(name))
    return body + attr(3, handle.to_bytes(8, "big")) + nest(4, *what)


@pytest.mark.parametrize(
    ("policy", "what", "drops"),
    [
        (nf.NF_DROP, [], True),
        (nf.NF_ACCEPT, [], False),
        (nf.NF_ACCEPT, [nf.verdict(nf.NF_ACCEPT)], False),
        (nf.NF_ACCEPT, [nf.meta("mark", 8), nf.verdict(nf.NF_DROP)], True),
        (nf.NF_ACCEPT, [nf.verdict(nf.NFT_JUMP, "more")], True),
        (nf.NF_ACCEPT, [nf.lookup("s", 8)], False),
        (nf.NF_ACCEPT, [nf.expression("lookup", attr(1, zstr("m")), attr(2, be32(8)), attr(3, be32(0)))], True),
        (nf.NF_ACCEPT, [nf.queue(1, False, True)], True),
        (nf.NF_ACCEPT, [nf.expression("reject")], True),
    ],
)
def test_what_may_drop(monkeypatch: pytest.MonkeyPatch, policy: int, what: list[bytes], drops: bool) -> None:
    kernel = Kernel([chain("fence", "forward", policy)], [rule("fence", "forward", 1, *what)])
    monkeypatch.setattr(nf, "Nftables", kernel)
    (found,) = foreign_tables()
    assert found.droppers == ({"forward"} if drops else set())


def test_foreign_tables_are_those_that_filter_and_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = [
        chain("openswan", "forward", nf.NF_DROP),
        chain("nat", "post", nf.NF_ACCEPT, "postrouting", "nat"),
        chain("fence", "forward", nf.NF_DROP),
        chain("fence", "ipsec-fw-fwd"),
    ]
    rules = [
        rule("fence", "forward", 7, nf.verdict(nf.NFT_JUMP, "ipsec-fw-fwd")),
        rule("fence", "ipsec-fw-fwd", 8, nf.verdict(nf.NF_ACCEPT)),
        rule("fence", "ipsec-fw-fwd", 9, nf.verdict(nf.NF_ACCEPT)),
    ]
    monkeypatch.setattr(nf, "Nftables", Kernel(chains, rules))
    (found,) = foreign_tables()
    assert (found.name, found.ours, found.jumps) == ("fence", {"ipsec-fw-fwd": 2}, {"forward": [7]})
    assert found.check([opening()]) and nftables.OWN == "openswan"
