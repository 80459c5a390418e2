# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands are plain data: comparable, hashable, picklable, and they keep keys out of their text."""

import pickle
from ipaddress import ip_address, ip_network
from typing import get_args

from openswan.base.numbers import IpProtocol
from openswan.base.said import Said, Shunt
from openswan.plane.commands import AddSa, Command, DelSa, Direction, SetEroute
from openswan.policy.selector import FlowKey

SAID = Said(IpProtocol.ESP, 0x1234, ip_address("192.0.2.1"))


def test_keys_stay_out_of_the_text():
    command = AddSa(SAID, ip_address("192.0.2.2"), Direction.IN, "aes_cbc", b"K" * 16, "hmac_sha1_96", b"A" * 20)
    assert "KKKK" not in repr(command)
    assert "AAAA" not in repr(command)


def test_commands_cross_a_process_border_unchanged():
    key = FlowKey(ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16"))
    for command in (DelSa(SAID), SetEroute(key, Shunt.TRAP), SetEroute(key, SAID)):
        assert pickle.loads(pickle.dumps(command)) == command


def test_every_command_is_frozen():
    for kind in get_args(Command):
        assert kind.__dataclass_params__.frozen, kind
