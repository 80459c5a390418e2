# SPDX-License-Identifier: GPL-2.0-or-later
"""Klips: providers, views, numbers, captures of the old engine's tests."""

from __future__ import annotations

import json
import struct
from ipaddress import ip_address, ip_network

import pytest

from openswan.base.drops import Drop
from openswan.base.errors import KlipsError
from openswan.base.said import Said, Shunt
from openswan.klips.engine import Klips
from openswan.klips.mailbox import ACQUIRE, IKE
from openswan.plane.commands import (
    Direction,
)
from openswan.policy.selector import FlowKey
from tests.fast.rig import HERE, THERE, Rig, udp
from tests.shareddata import DATA, frames


def test_unknown_providers_are_refused() -> None:
    with pytest.raises(KlipsError, match="unknown crypto provider 'soft': use auto"):
        Klips("soft")


def test_views_tell_what_was_added(rig: Rig) -> None:
    rig.tunnel()
    inbound, outbound = rig.klips.sas()
    assert (inbound.said, inbound.direction, outbound.said) == (rig.in_said, Direction.IN, rig.out_said)
    assert outbound.key_bits == 128 and outbound.encap_ports == (rig.local.port, rig.remote.port)
    assert outbound.idle == -1 and 0 <= outbound.age < 5 and outbound.owner == "net" and outbound.sequence == 0
    (device,) = rig.klips.devices()
    assert (device.name, device.physical, device.mtu, device.physical_mtu) == ("ipsec0", "lo", 1500, 1500)
    four, six = rig.klips.eroutes()
    assert four.target == six.target == rig.out_said and four.idle == -1 and four.packets == 0
    rig.send(udp(HERE, THERE, 1, 2))
    rig.wire()
    four = rig.klips.eroutes()[0]
    assert four.packets == 1 and 0 <= four.idle < 5 and rig.klips.devices()[0].tx_packets == 1
    assert "octets" not in repr(rig.sa(Direction.OUT)) and "enc_key" not in repr(rig.sa(Direction.OUT))


def test_single_rows_are_found_by_their_names(rig: Rig) -> None:
    rig.tunnel()
    found = rig.klips.sa(rig.out_said)
    assert found is not None and found.direction is Direction.OUT
    assert rig.klips.sa(Said(rig.out_said.proto, 0x4444, rig.out_said.dst)) is None
    broad = FlowKey(ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16"))
    made = rig.klips.eroute(broad)
    assert made is not None and made.target == rig.out_said
    assert rig.klips.eroute(FlowKey(ip_network(HERE), ip_network(THERE))) is None


def test_drops_have_a_counter_for_every_reason(rig: Rig) -> None:
    assert set(rig.klips.drops()) == set(Drop) - {Drop.NONE} and not any(rig.klips.drops().values())


def test_the_numbers_of_the_compiled_engine_are_ours() -> None:
    from pathlib import Path

    import _fast

    text = Path(_fast.__file__).with_name("types.pxd").read_text()
    for reason in Drop:
        if reason is not Drop.NONE:
            assert f"DROP_{reason.name} = {int(reason)}\n" in text
    for shunt in Shunt:
        assert f"ACT_{shunt.name} = {int(shunt)}\n" in text
    mail = Path(_fast.__file__).with_name("mail.pxd").read_text()
    assert f"MAIL_ACQUIRE = {ACQUIRE}\n" in mail and f"MAIL_IKE = {IKE} " in mail


def test_the_old_engines_drop_capture(rig: Rig) -> None:
    # %drop for 192.0.2.0/24 -> 192.0.1.0/24: only what goes elsewhere was seen to come out.
    case = next(c for c in json.loads((DATA / "klips/tests.json").read_text()) if c["test"] == "east-drop-01")
    assert case["cmds"][-1].endswith("--src 192.0.2.0/24 --dst 192.0.1.0/24 --said %drop")
    key = rig.eroute(Shunt.DROP, src="192.0.2.0/24", dst="192.0.1.0/24")
    inside = outside = 0
    for frame in frames(DATA / "klips" / case["priv_in"].rsplit("/", 1)[1]):
        if struct.unpack_from("!H", frame, 12)[0] != 0x0800:
            continue
        packet = frame[14:]
        if ip_address(packet[16:20]) in key.dst:
            inside += 1
        else:
            outside += 1
        rig.send(packet)
    assert inside and outside
    rig.dropped(Drop.SHUNT_DROP, inside)
    rig.dropped(Drop.NO_EROUTE, outside)
    assert rig.silent() and rig.klips.eroutes()[0].packets == inside
