# SPDX-License-Identifier: GPL-2.0-or-later
"""One conn out of ipsec.conf, as the control socket's `add` request carries it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openswan.policy.pairnames import Clients, base_of, renumber

if TYPE_CHECKING:
    from openswan.config.load import Loaded
    from openswan.policy.connection import Connection


@dataclass(frozen=True, slots=True)
class Found:
    """What the configuration says about a name."""

    connections: tuple[dict[str, Any], ...]
    """Several when leftsubnets= and rightsubnets= make several; none when it cannot be loaded."""
    complaints: tuple[str, ...]
    reason: str = ""
    """Why there are none."""


def find(config: Path, name: str, running: Callable[[], Mapping[str, Clients]] = dict) -> Found:
    """Read `config` and pick the conn called `name`; ConfigError when the file cannot be read.

    `running` is asked for what pluto's pairs protect when it is about some: those that stay keep their names.
    """
    # Imported here: most calls of `ipsec auto` read no configuration, and its parts take three times as long to import.
    from openswan.config.load import load
    from openswan.config.plain import connection_to_plain

    loaded = load(config)
    complaints = tuple(str(each) for each in loaded.about(name))
    connections = tuple(connection_to_plain(each) for each in _named(loaded, name, running))
    reason = ""
    if not connections:
        broken = loaded.broken(name)
        reason = (
            f'conn "{name}" has errors and is not loaded' if broken else f'no connection named "{name}" in {config}'
        )
    return Found(connections, complaints, reason)


def _named(loaded: Loaded, name: str, running: Callable[[], Mapping[str, Clients]]) -> tuple[Connection, ...]:
    found = loaded.named(base_of(name)) or loaded.named(name)
    if all(base_of(each.name) == each.name for each in found):
        return loaded.named(name)
    known = running()
    renamed = [
        one
        for base in dict.fromkeys(base_of(each.name) for each in found)
        for one in renumber_conn([each for each in loaded.connections if base_of(each.name) == base], known)
    ]
    return tuple(renamed if base_of(name) == name else [each for each in renamed if each.name == name])


def renumber_conn(pairs: list[Connection], known: Mapping[str, Clients]) -> list[Connection]:
    """All pairs of one conn as those of it that run are called."""
    base = base_of(pairs[0].name)
    return renumber(pairs, {name: clients for name, clients in known.items() if base_of(name) == base})
