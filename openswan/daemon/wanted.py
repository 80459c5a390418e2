# SPDX-License-Identifier: GPL-2.0-or-later
"""What one gateway is asked to be: its files, settings and conns."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from openswan.base import paths
from openswan.base.address import Address
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.config.authority import Authority
from openswan.engine.settings import Settings
from openswan.policy.connection import Connection
from openswan.policy.groups import Target
from openswan.policy.manual import ManualConn


@dataclass(frozen=True, slots=True)
class Places:
    """Files of one gateway."""

    rundir: Path
    control: Path
    secrets: Path
    ipsec_d: Path
    config: Path = field(default_factory=paths.conf_file)
    """ipsec.conf"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What command line and config setup ask for."""

    places: Places
    settings: Settings = field(default_factory=Settings)
    interfaces: tuple[tuple[str, str], ...] = ()
    listen: tuple[Address, ...] = ()
    """Use only these local addresses; empty: all."""
    override_mtu: int = 0
    """Of ipsecN, octets; 0: the physical interface's."""
    connections: tuple[Connection, ...] | None = None
    """What to load and bring up by ourselves; None: nothing, whack will tell."""
    manual: tuple[ManualConn, ...] = ()
    """Manually keyed conns of ipsec.conf."""
    groups: tuple[tuple[str, tuple[Target, ...]], ...] = ()
    """The files of policy groups by name, as they were at the start."""
    unusable: frozenset[str] = frozenset()
    """Conns of ipsec.conf with an error: not loaded, but what a daemon before this one guarded for them stays."""
    authorities: tuple[Authority, ...] = ()
    """ca sections of ipsec.conf."""
    setup: tuple[tuple[str, str], ...] = ()
    """config setup, keyword by keyword."""
    fetch_interface: str = ""
    """curl-iface=: lists and OCSP answers come through this device alone."""
    listen_tcp: bool = False
    """Peers may connect by TCP (RFC 9329)."""
    packet_sockets: bool = True
    """Raw ESP may go past the kernel's IP layer."""
    in_turn: bool = False
    """plutowait=: conns come up one after the other."""
    buffer: int = 0
    """ike-socket-bufsize=, octets; 0: as large as that of ESP."""
    anchors: tuple[str, ...] = ()
    """Files of DNSSEC trust anchors."""
    dnssec: bool = True
    """Keys in the DNS may count as signed."""
    pinned: bool = False
    """Each packet thread stays on a core of its own."""
    marks: Marks = DEFAULT_MARKS
    """fwmark-mask="""
