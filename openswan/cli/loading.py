# SPDX-License-Identifier: GPL-2.0-or-later
"""One conn out of ipsec.conf, as the control socket's `add` request carries it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Found:
    """What the configuration says about a name."""

    connections: tuple[dict[str, Any], ...]
    """Several when leftsubnets= and rightsubnets= make several; none when it cannot be loaded."""
    complaints: tuple[str, ...]
    reason: str = ""
    """Why there are none."""


def find(config: Path, name: str) -> Found:
    """Read `config` and pick the conn called `name`; ConfigError when the file cannot be read."""
    # Imported here: most calls of `ipsec auto` read no configuration, and its parts take three times as long to import.
    from openswan.config.load import load
    from openswan.config.plain import connection_to_plain

    loaded = load(config)
    complaints = tuple(str(each) for each in loaded.about(name))
    connections = tuple(connection_to_plain(each) for each in loaded.named(name))
    reason = ""
    if not connections:
        broken = loaded.broken(name)
        reason = (
            f'conn "{name}" has errors and is not loaded' if broken else f'no connection named "{name}" in {config}'
        )
    return Found(connections, complaints, reason)
