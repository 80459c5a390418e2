# SPDX-License-Identifier: GPL-2.0-or-later
"""The SA table: what it refuses and in which words; that keys are kept nowhere else."""

from __future__ import annotations

import gc
from ipaddress import ip_address

from openswan.base.address import Endpoint
from openswan.base.said import Said
from openswan.plane.commands import (
    AddSa,
    DelSa,
    Direction,
    MoveSa,
)
from tests.fast.rig import Rig


def test_sas_are_refused_in_the_classic_words(rig: Rig) -> None:
    rig.do(rig.sa(Direction.OUT))
    assert rig.refused(rig.sa(Direction.OUT)) == "SA esp.2002@127.0.0.1 already in use.  Delete old one first."
    assert "does not exist.  Cannot delete." in rig.refused(DelSa(rig.in_said))
    rig.do(rig.sa(Direction.IN))
    elsewhere = Said(rig.in_said.proto, rig.in_said.spi, ip_address("127.0.0.7"))
    rig.do(rig.sa(Direction.IN, elsewhere))
    assert "already in use" in rig.refused(rig.sa(Direction.IN, elsewhere))
    here = Endpoint(rig.in_said.dst, rig.local.port)
    assert "another SA of its SPI is in use at 127.0.0.1" in rig.refused(MoveSa(elsewhere, rig.remote, here))
    assert [str(view.said.dst) for view in rig.klips.sas()] == ["127.0.0.1", "127.0.0.1", "127.0.0.7"]
    third = Endpoint(ip_address("127.0.0.8"), rig.local.port)
    rig.do(MoveSa(elsewhere, rig.remote, third))
    assert "already in use" in rig.refused(rig.sa(Direction.IN, Said(elsewhere.proto, elsewhere.spi, third.address)))
    low = Said(rig.out_said.proto, 255, rig.out_said.dst)
    assert rig.refused(rig.sa(Direction.OUT, low)) == "Illegal reserved spi: 0xff"
    other = Said(rig.out_said.proto, 0x4444, rig.out_said.dst)
    assert "des is refused: unsupported ESP Transform ESP_DES: single DES" in rig.refused(
        rig.sa(Direction.OUT, other, cipher="des")
    )
    assert "hmac_md4 is not available" in rig.refused(rig.sa(Direction.OUT, other, integ="hmac_md4"))
    message = rig.refused(rig.sa(Direction.OUT, other, enc_key=b"secret key"))
    assert (
        "10 and 0 octets of key do not make aes_gcm_16: aes_gcm_16 wants 20, 28 or 36" in message
        and "secret" not in message
    )
    assert "window 5000" in rig.refused(rig.sa(Direction.OUT, other, replay_window=5000))
    assert "other address family" in rig.refused(rig.sa(Direction.OUT, other, src=ip_address("::1")))
    assert "Cannot move" in rig.refused(MoveSa(other, rig.local, rig.remote))


def test_keys_are_not_kept_beside_the_engine(rig: Rig) -> None:
    key = bytes(range(100, 120))
    rig.do(rig.sa(Direction.OUT, enc_key=key))
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, AddSa) and each.enc_key == key]
    assert rig.klips.sas()[0].key_bits == 128
