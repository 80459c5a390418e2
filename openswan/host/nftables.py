# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands in nf_tables: the chains of a table with their rules and devices, its sets, and other people's NAT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from openswan.host import nfnetlink as nf
from openswan.host.nlmsg import NLM_F_DUMP, attr, parse_attrs, zstr

TABLE, SET_NAME, CHAIN_NAME, HOOK, TYPE, RULE_CHAIN = 1, 2, 3, 4, 7, 2
HOOK_NUMBER, HOOK_DEVICE, HOOK_DEVICES, DEVICE_NAME = 1, 3, 4, 1
LEGACY = {4: "ip_tables_names", 6: "ip6_tables_names"}
"""Where the kernel names the tables of the older iptables."""
Parts: TypeAlias = Mapping[int, memoryview]


def _text(parts: Parts, number: int) -> str:
    return bytes(parts.get(number, b"")).rstrip(b"\0").decode(errors="replace")


def _dump(nft: nf.Nftables, kind: int, family: int, table: str = "") -> Iterator[Parts]:
    # Of chains the kernel tells those of all tables, whatever is asked.
    wanted = attr(TABLE, zstr(table)) if table else b""
    for _, body in nft.socket.ask(nf.message(kind, family, wanted, NLM_F_DUMP)):
        yield dict(parse_attrs(body[4:]))


def _own(nft: nf.Nftables, kind: int) -> Iterator[Parts]:
    return (parts for parts in _dump(nft, kind, nft.family, nft.table) if _text(parts, TABLE) == nft.table)


def rule_counts(nft: nf.Nftables) -> dict[str, int]:
    """How many rules each chain of the table holds; OSError."""
    counts = {_text(parts, CHAIN_NAME): 0 for parts in _own(nft, nf.GETCHAIN)}
    for parts in _own(nft, nf.GETRULE):
        chain = _text(parts, RULE_CHAIN)
        counts[chain] = counts.get(chain, 0) + 1
    return counts


def hooks(nft: nf.Nftables) -> dict[str, frozenset[str]]:
    """The devices of each chain of the table that the kernel calls, none in families that have none; OSError.

    A name may be that of a device which is no more: Linux 6.16 and later keep it for the next device of that name.
    """
    return {
        _text(parts, CHAIN_NAME): frozenset(_devices(dict(parse_attrs(parts[HOOK]))))
        for parts in _own(nft, nf.GETCHAIN)
        if HOOK in parts
    }


def _devices(hook: Parts) -> Iterator[str]:
    if HOOK_DEVICE in hook:
        yield _text(hook, HOOK_DEVICE)
    for kind, name in parse_attrs(hook.get(HOOK_DEVICES, memoryview(b""))):
        if kind == DEVICE_NAME:
            yield bytes(name).rstrip(b"\0").decode(errors="replace")


def set_names(nft: nf.Nftables) -> list[str]:
    """The sets of the table; OSError."""
    return [_text(parts, SET_NAME) for parts in _own(nft, nf.GETSET)]


def foreign_nat_chains(nft: nf.Nftables) -> bool:
    """Does another table hook source NAT into postrouting?"""
    for parts in _dump(nft, nf.GETCHAIN, 0):
        if _text(parts, TABLE) == nft.table or HOOK not in parts:
            continue
        number = int.from_bytes(dict(parse_attrs(parts[HOOK])).get(HOOK_NUMBER, b""), "big")
        if _text(parts, TYPE) == "nat" and number == nf.HOOKS["postrouting"]:
            return True
    return any(legacy_table(version, "nat") for version in LEGACY)


def legacy_table(version: int, name: str) -> bool:
    """Has the older iptables that table? It is not seen through nf_tables, and changes in it send no events."""
    try:
        return name in Path("/proc/thread-self/net", LEGACY[version]).read_text().split()
    except OSError:
        return False
