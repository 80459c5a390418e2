# SPDX-License-Identifier: GPL-2.0-or-later
"""Events of the packet engine are frozen plain data that can cross a process border."""

import pickle
from ipaddress import ip_address
from typing import get_args

from openswan.base.address import Endpoint
from openswan.plane.events import IkeDatagram, KlipsEvent


def test_every_event_is_frozen():
    for kind in get_args(KlipsEvent):
        assert kind.__dataclass_params__.frozen, kind


def test_events_cross_a_process_border_unchanged():
    event = IkeDatagram(Endpoint(ip_address("192.0.2.1"), 4500), Endpoint(ip_address("192.0.2.2"), 4500), b"x")
    assert pickle.loads(pickle.dumps(event)) == event
