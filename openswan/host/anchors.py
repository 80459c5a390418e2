# SPDX-License-Identifier: GPL-2.0-or-later
"""DNSSEC trust anchors as config setup names them: dnssec-rootkey-file=, dnssec-anchors=."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from openswan.base.errors import ConfigError
from openswan.config.files import read_text
from openswan.host.dnssec import read_anchors

if TYPE_CHECKING:
    from openswan.host.dnssec import Anchors


def load_anchors(names: Iterable[str]) -> tuple[Anchors, tuple[str, ...]]:
    """The anchors of files of DS and DNSKEY records, and a line for each file that has none."""
    found: Anchors = {}
    complaints: list[str] = []
    for name in filter(None, names):
        try:
            anchors = read_anchors(read_text(name))
        except (ConfigError, ValueError) as why:
            complaints.append(f"DNSSEC trust anchors: '{name}' cannot be used: {why}")
            continue
        if not anchors:
            complaints.append(f"DNSSEC trust anchors: '{name}' has neither DS nor DNSKEY records")
        for zone, keys in anchors.items():
            found.setdefault(zone, []).extend(keys)
    return found, tuple(complaints)
