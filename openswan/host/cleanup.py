# SPDX-License-Identifier: GPL-2.0-or-later
"""Taking away what a daemon left that could not do it itself: openings, routes, ipsecN, decisions, last the guard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from openswan.base.errors import IpsecError
from openswan.host import keeper, tun
from openswan.host.guard.guard import Guard
from openswan.host.intercept.table import Table
from openswan.host.openings.openings import Openings
from openswan.host.resolvedit import ResolvEdit
from openswan.host.routes import Routes


def _routes() -> None:
    routes = Routes()
    try:
        routes.teardown()
    finally:
        routes.close()


def _devices() -> None:
    for name in tun.virtual_devices():
        if tun.ours(name):
            tun.remove_tun(name)


def _tables() -> None:
    for version in (4, 6):
        table = Table(version)
        try:
            table.clear()
        finally:
            table.close()


def _guard(rundir: Path) -> None:
    Guard.open(rundir=rundir).close(keep=False)


def remove_everything(rundir: Path) -> list[str]:
    """Openings, routes, rules, devices, decisions and guard of this network namespace; and complaints.

    Only when no daemon runs here. What is not there is fine.
    """
    complaints: list[str] = []

    def openings() -> None:
        complaints.extend(Openings(rundir).sweep())

    keeper.release(rundir)
    steps: list[Callable[[], None]] = [_routes, _devices, _tables, lambda: _guard(rundir)]
    if rundir.is_dir():
        steps[:0] = [openings, ResolvEdit(rundir).sweep]
    for step in steps:
        try:
            step()
        except (IpsecError, OSError) as why:
            complaints.append(str(why))
    return complaints
