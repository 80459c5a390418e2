# SPDX-License-Identifier: GPL-2.0-or-later
"""Road warriors over IKEv1: XAUTH, addresses by Mode Config, in Main and Aggressive Mode, over bad networks."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from openswan.base.said import Said
from openswan.config.secrets import Index, Secret, SecretKind, SecretStore
from openswan.policy.connection import XauthBy
from openswan.policy.modecfg import Pool
from tests.sim.net import Faults, Net
from tests.sim.pair import EAST, EAST_NET, SimHost, conn, end, psk
from tests.sim.test_ikev1 import BAD
from tests.sim.v1 import V1

POOL = (Pool(ip_address("10.9.0.1"), ip_address("10.9.0.4")),)
USERS = {"carla": b"open sesame", "bert": b"another"}


def gateway(net: Net, xauth: bool = True, pools: tuple[Pool, ...] = POOL, **more: Any) -> SimHost:
    host = SimHost(net, "gw", EAST, 0, psk("@gw", "%any"))
    host.users = dict(USERS)
    told: dict[str, Any] = {"dns": (ip_address("10.2.0.53"),), "banner": "Hello."} if pools else {}
    ours = replace(end(EAST, EAST_NET, "@gw"), xauth_server=xauth)
    host.load(conn("rw", ours, end("%any", pools=pools), **{**V1, **told, **more}))
    return host


def client(
    net: Net,
    n: int,
    user: str = "carla",
    word: bytes = b"",
    xauth: bool = True,
    asks: bool = True,
    name: str = "",
    **more: Any,
) -> SimHost:
    name = name or f"@rw{n}"
    word = word or USERS.get(user, b"?")
    login = Secret(SecretKind.XAUTH, (Index(name=user),), "test:1", word) if user else None
    store = SecretStore((*psk(name, "@gw").secrets, *((login,) if login else ())))
    host = SimHost(net, f"rw{n}", f"203.0.113.{n}", n, store)
    mine = end(str(host.address), "", name, ask_addresses=(4,) if asks else ())
    mine = replace(mine, xauth_client=xauth, xauth_name=user if xauth else "")
    host.load(conn("home", mine, end(EAST, EAST_NET, "@gw"), **{**V1, **more}))
    return host


def address(host: SimHost) -> str:
    [eroute] = [e for e in host.klips.eroutes.values() if isinstance(e.target, Said)]
    return str(eroute.key.src)


def up(net: Net, *hosts: SimHost, seconds: float = 120.0) -> bool:
    for host in hosts:
        host.request("initiate", name="home")
    return net.run(net.now + seconds, lambda: all(host.up() for host in hosts))


@pytest.mark.parametrize("aggressive", [False, True])
@pytest.mark.parametrize("pull", [True, False])
def test_users_get_addresses_of_their_own(pull: bool, aggressive: bool) -> None:
    net = Net(1)
    more = {"config_pull": pull, "aggressive": aggressive}
    server = gateway(net, **more)
    hosts = [client(net, n, user, **more) for n, user in enumerate(("carla", "bert"), 1)]
    assert up(net, *hosts), hosts[0].lines[-12:] + server.lines[-12:]
    assert {address(host) for host in hosts} == {"10.9.0.1/32", "10.9.0.2/32"}
    assert any("XAUTH: User carla: Authentication Successful" in line for line in server.lines)
    assert any("setting client address to 10.9.0." in line for line in hosts[0].lines)
    server.sane()


@pytest.mark.parametrize("seed", range(12))
def test_over_a_bad_network(seed: int) -> None:
    net = Net(seed, BAD)
    more = {"config_pull": seed % 2 == 0, "aggressive": seed % 3 == 0}
    server = gateway(net, **more)
    host = client(net, 1, **more)
    assert up(net, host, seconds=400.0), host.lines[-12:] + server.lines[-12:]
    net.faults = Faults()
    net.run(net.now + 40.0)
    assert host.up() and address(host) == "10.9.0.1/32"


@pytest.mark.parametrize(("xauth", "asks"), [(True, False), (False, True)])
def test_one_without_the_other(xauth: bool, asks: bool) -> None:
    net = Net(2)
    gateway(net, xauth, POOL if asks else ())
    host = client(net, 1, xauth=xauth, asks=asks)
    assert up(net, host), host.lines[-12:]
    assert address(host) == ("10.9.0.1/32" if asks else "203.0.113.1/32")


def test_wrong_passwords_let_nobody_in_and_are_told_so() -> None:
    net = Net(3)
    server = gateway(net)
    host = client(net, 1, word=b"wrong", keying_tries=0)
    assert not up(net, host, seconds=600.0)
    assert sum("Authentication Failed: Incorrect" in line for line in server.lines) >= 2
    assert not any(isinstance(e.target, Said) for e in server.klips.eroutes.values())


def test_alwaysok_and_users_nobody_knows() -> None:
    net = Net(4)
    gateway(net, xauth_by=XauthBy.ALWAYS_OK)
    assert up(net, client(net, 1, "stranger", b"x"))
    net = Net(4)
    gateway(net)
    assert not up(net, client(net, 1, "stranger", b"x", keying_tries=1), seconds=20.0)


def test_a_client_without_xauth_is_not_let_in_where_it_is_wanted() -> None:
    net = Net(5)
    server = gateway(net)
    host = client(net, 1, xauth=False, keying_tries=1)
    assert not up(net, host, seconds=100.0)
    assert any("policy does not allow OAKLEY_PRESHARED_KEY authentication" in line for line in server.lines)


def test_an_address_that_was_not_given_protects_nothing() -> None:
    net = Net(6)
    server = gateway(net)
    host = client(net, 1, asks=False, keying_tries=1)
    assert not up(net, host, seconds=60.0)
    assert not any(isinstance(e.target, Said) for e in server.klips.eroutes.values())


def test_users_of_one_group_do_not_take_each_others_place() -> None:
    """They have one identity in phase 1, and each says INITIAL_CONTACT: who they are shows in XAUTH."""
    net = Net(1, Faults())
    gw = gateway(net)
    hosts = [client(net, 11, "carla", name="@group"), client(net, 12, "bert", name="@group")]
    assert all(up(net, host) for host in hosts)
    net.run(net.now + 10.0, lambda: False)
    assert all(host.up() for host in hosts) and len({address(host) for host in hosts}) == 2
    assert len(gw.pluto.core.states.ikes) == 2


def test_a_new_isakmp_sa_finds_the_same_address() -> None:
    net = Net(7)
    server = gateway(net)
    host = client(net, 1, ike_lifetime=600.0, rekey_margin=60.0)
    assert up(net, host)
    net.run(net.now + 1500.0)
    assert host.up() and address(host) == "10.9.0.1/32"
    assert sum("XAUTH: User carla: Authentication Successful" in line for line in server.lines) >= 2
    server.sane()
