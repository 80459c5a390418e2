# SPDX-License-Identifier: GPL-2.0-or-later
"""Klips: what it refuses and in which words, views, matching, captures of the old engine's tests."""

from __future__ import annotations

import gc
import json
import struct
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest

from openswan.base.address import Endpoint
from openswan.base.drops import Drop
from openswan.base.errors import KlipsError
from openswan.base.said import Said, Shunt
from openswan.klips.engine import ACQUIRE, IKE, Klips
from openswan.klips.keys import raw_key
from openswan.plane.commands import (
    AddSa,
    AttachDevice,
    AttachSocket,
    DelEroute,
    DelSa,
    DetachDevice,
    DetachSocket,
    Direction,
    Flush,
    MoveDevice,
    MoveSa,
    SetEroute,
    SetSelectors,
)
from openswan.policy.selector import FlowKey
from tests.fast.rig import HERE, THERE, Rig, udp
from tests.shareddata import DATA, frames


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def refused(rig: Rig, command: object) -> str:
    with pytest.raises(KlipsError) as why:
        rig.do(command)  # type: ignore[arg-type]
    assert "\n" not in str(why.value)
    return str(why.value)


def test_sas_are_refused_in_the_classic_words(rig: Rig) -> None:
    rig.do(rig.sa(Direction.OUT))
    assert refused(rig, rig.sa(Direction.OUT)) == "SA esp.2002@127.0.0.1 already in use.  Delete old one first."
    assert "does not exist.  Cannot delete." in refused(rig, DelSa(rig.in_said))
    rig.do(rig.sa(Direction.IN))
    elsewhere = Said(rig.in_said.proto, rig.in_said.spi, ip_address("127.0.0.7"))
    rig.do(rig.sa(Direction.IN, elsewhere))
    assert "already in use" in refused(rig, rig.sa(Direction.IN, elsewhere))
    here = Endpoint(rig.in_said.dst, rig.local.port)
    assert "another SA of its SPI is in use at 127.0.0.1" in refused(rig, MoveSa(elsewhere, rig.remote, here))
    assert [str(view.said.dst) for view in rig.klips.sas()] == ["127.0.0.1", "127.0.0.1", "127.0.0.7"]
    third = Endpoint(ip_address("127.0.0.8"), rig.local.port)
    rig.do(MoveSa(elsewhere, rig.remote, third))
    assert "already in use" in refused(rig, rig.sa(Direction.IN, Said(elsewhere.proto, elsewhere.spi, third.address)))
    low = Said(rig.out_said.proto, 255, rig.out_said.dst)
    assert refused(rig, rig.sa(Direction.OUT, low)) == "Illegal reserved spi: 0xff"
    other = Said(rig.out_said.proto, 0x4444, rig.out_said.dst)
    assert "des is refused: unsupported ESP Transform ESP_DES: single DES" in refused(
        rig, rig.sa(Direction.OUT, other, cipher="des")
    )
    assert "hmac_md4 is not available" in refused(rig, rig.sa(Direction.OUT, other, integ="hmac_md4"))
    message = refused(rig, rig.sa(Direction.OUT, other, enc_key=b"secret key"))
    assert (
        "10 and 0 octets of key do not make aes_gcm_16: aes_gcm_16 wants 20, 28 or 36" in message
        and "secret" not in message
    )
    assert "window 5000" in refused(rig, rig.sa(Direction.OUT, other, replay_window=5000))
    assert "other address family" in refused(rig, rig.sa(Direction.OUT, other, src=ip_address("::1")))
    assert "Cannot move" in refused(rig, MoveSa(other, rig.local, rig.remote))


def test_eroutes_are_refused_in_the_classic_words(rig: Rig) -> None:
    key = rig.eroute(Shunt.TRAP)
    rig.do(DelEroute(key))
    assert "doesn't exist.  Can't delete." in refused(rig, DelEroute(key))
    assert "ports without a protocol" in refused(
        rig, SetEroute(FlowKey(ip_network("10.0.0.0/8"), ip_network("10.0.0.0/8"), 0, 0, 80), Shunt.DROP)
    )
    assert "not of one address family" in refused(
        rig, SetEroute(FlowKey(ip_network("10.0.0.0/8"), ip_network("::/0")), Shunt.DROP)
    )


def test_descriptors_are_refused_by_name(rig: Rig) -> None:
    assert "ipsec0 is already attached" in refused(rig, AttachDevice("ipsec0", "lo", (0,), 1500))
    assert "ipsec7 is not attached" in refused(rig, DetachDevice("ipsec7"))
    assert "already attached" in refused(rig, AttachSocket(rig.local, (rig.sock.fileno(),)))
    assert "is not attached" in refused(rig, DetachSocket(rig.remote))
    assert "socket cannot be duplicated" in refused(rig, AttachSocket(rig.remote, (9999,)))


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


def test_match_finds_the_most_specific(rig: Rig) -> None:
    rig.tunnel()
    rig.eroute(Shunt.PASS, src=f"{HERE}/32", dst="10.2.0.0/24", protocol=6, dport=22)
    host, peer = ip_network(HERE), ip_network(THERE)
    found = rig.klips.match(FlowKey(host, peer, 6, 4000, 22))
    assert found is not None and found.target is Shunt.PASS
    found = rig.klips.match(FlowKey(host, peer, 6, 4000, 23))
    assert found is not None and found.target == rig.out_said
    assert rig.klips.match(FlowKey(peer, host)) is None


def test_single_rows_are_found_by_their_names(rig: Rig) -> None:
    rig.tunnel()
    found = rig.klips.sa(rig.out_said)
    assert found is not None and found.direction is Direction.OUT
    assert rig.klips.sa(Said(rig.out_said.proto, 0x4444, rig.out_said.dst)) is None
    broad = FlowKey(ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16"))
    made = rig.klips.eroute(broad)
    assert made is not None and made.target == rig.out_said
    assert rig.klips.eroute(FlowKey(ip_network(HERE), ip_network(THERE))) is None


def test_a_device_moves_to_another_physical_interface(rig: Rig) -> None:
    rig.do(MoveDevice("ipsec0", "ppp0", 1492))
    (device,) = rig.klips.devices()
    assert (device.physical, device.physical_mtu) == ("ppp0", 1492)
    assert "ipsec7 is not attached" in refused(rig, MoveDevice("ipsec7", "ppp0"))
    assert "does not exist" in refused(rig, SetSelectors(rig.in_said, ()))


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


def test_keys_are_not_kept_beside_the_engine(rig: Rig) -> None:
    key = bytes(range(100, 120))
    rig.do(rig.sa(Direction.OUT, enc_key=key))
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, AddSa) and each.enc_key == key]
    assert rig.klips.sas()[0].key_bits == 128


def test_an_eroute_waits_for_its_sa_and_finds_the_next_of_that_name(rig: Rig) -> None:
    said = rig.out_said
    other = Said(said.proto, said.spi + 1, said.dst)
    keys = [FlowKey(ip_network(HERE), ip_network(f"10.9.{n}.0/24")) for n in range(3)]
    engine = rig.klips._engine

    def bound() -> list[bool]:
        return [row[8] != 0 for row in engine.eroutes()]

    for key in keys:
        rig.do(SetEroute(key, said))
    assert bound() == [False] * 3
    rig.do(SetEroute(keys[2], other))
    rig.do(rig.sa(Direction.OUT))
    assert sorted(bound()) == [False, True, True]
    rig.do(DelEroute(keys[0]))
    rig.do(SetEroute(keys[2], said, owner="third"))
    rig.do(SetEroute(keys[1], Shunt.TRAP))
    assert engine.eroutes_of(rig.klips._cookie(said, Direction.OUT)) == [raw_key(keys[2])]
    rig.do(DelSa(said))
    assert rig.klips.eroute(keys[2]) == SetEroute(keys[2], said, owner="third")
    assert bound() == [False, False]
    rig.do(rig.sa(Direction.OUT))
    assert sorted(bound()) == [False, True]
    rig.do(Flush())
    assert rig.klips.eroutes() == [] and rig.klips.sas() == []
    rig.do(rig.sa(Direction.OUT))
    assert engine.eroutes() == []
