# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiled fuzz targets by name, each with the world it needs; for the driver and for replaying the corpus."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import fuzz_bundles
import fuzz_parts
import fuzz_paths
import fuzz_tables

from tests.fuzz.world import KINDS, World

MODULES: tuple[ModuleType, ...] = (fuzz_paths, fuzz_parts, fuzz_tables, fuzz_bundles)
NAMES = tuple(name for module in MODULES for name in module.TARGETS)
_worlds: list[World] = []


def _module(name: str) -> Any:
    return next(module for module in MODULES if name in module.TARGETS)


def target(name: str) -> object:
    """The target's function as a capsule, its world built."""
    if hasattr(_module(name), "bind") and not _worlds:
        world = World()
        addresses = tuple(
            (address.address.packed, address.port)
            for address in (world.remote, world.local, world.raw_local, world.local6)
        )
        fuzz_paths.bind(
            world.worker(),
            len(KINDS),
            tuple(host.fileno() for host in world.hosts),
            world.peer.fileno(),
            world.peer6.fileno(),
            addresses,
        )
        fuzz_bundles.bind(
            world.worker(),
            world.bundle_flows(),
            tuple(host.fileno() for host in world.hosts),
            (*addresses[:1], (b"\x7f\0\0\1", 0), (bytes(15) + b"\1", 0)),
        )
        world.hide()
        _worlds.append(world)
    return _module(name).TARGETS[name]


def complaint(name: str) -> object:
    """Where the target's module says what went wrong."""
    return _module(name).COMPLAINT


def replay(name: str, data: bytes) -> str:
    """Run one input; answers what went wrong, empty for nothing."""
    return str(_module(name).replay(target(name), data))
