# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is let in where a password is asked for (IKEv1): hybrid proof, several conns at a gateway, users of one name."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

from openswan.base.said import Said
from openswan.config.secrets import Index, Secret, SecretKind, SecretStore
from openswan.policy.connection import Auth
from tests.sim.net import Net
from tests.sim.pair import EAST, EAST_NET, SimHost, conn, end, psk, rfc3110, rsa_key, rsa_secrets
from tests.sim.test_ikev1_auth import POOL, USERS, address, client, gateway, up
from tests.sim.v1 import V1


def tunnels(host: SimHost) -> int:
    return sum(isinstance(e.target, Said) for e in host.klips.eroutes.values())


def hybrid_server(net: Net, **more: Any) -> SimHost:
    host = SimHost(net, "gw", EAST, 0, rsa_secrets(2))
    host.users = dict(USERS)
    ours = replace(end(EAST, EAST_NET, "@gw"), xauth_server=True, auth=Auth.RSASIG, rsa_keys=(rfc3110(rsa_key(2)),))
    theirs = replace(end("%any", pools=POOL), xauth_client=True, auth=Auth.XAUTH)
    host.load(conn("rw", ours, theirs, **{**V1, "auth": Auth.RSASIG, **more}))
    return host


def hybrid_client(net: Net, word: bytes = b"open sesame", key: int = 2, n: int = 1, **more: Any) -> SimHost:
    store = SecretStore((Secret(SecretKind.XAUTH, (Index(name="carla"),), "test:1", word),))
    host = SimHost(net, f"rw{n}", f"203.0.113.{n}", n, store)
    mine = replace(end(str(host.address), "", f"@rw{n}", ask_addresses=(4,)), xauth_client=True, xauth_name="carla",
                   auth=Auth.XAUTH)  # fmt: skip
    theirs = replace(end(EAST, EAST_NET, "@gw"), xauth_server=True, auth=Auth.RSASIG, rsa_keys=(rfc3110(rsa_key(key)),))
    host.load(conn("home", mine, theirs, **{**V1, "auth": Auth.RSASIG, **more}))
    return host


def test_hybrid_takes_a_key_at_one_end_and_a_password_at_the_other() -> None:
    for aggressive in (False, True):
        net = Net(1)
        server = hybrid_server(net, aggressive=aggressive)
        host = hybrid_client(net, aggressive=aggressive)
        assert up(net, host), host.lines[-12:] + server.lines[-12:]
        assert address(host) == "10.9.0.1/32"
        assert any("XAUTH: User carla: Authentication Successful" in line for line in server.lines)
        assert any("auth=OAKLEY_HYBRID_INIT_RSA" in line or "HYBRID" in line for line in server.lines)


def test_hybrid_lets_nobody_in_by_a_wrong_password_nor_talks_to_a_wrong_server() -> None:
    net = Net(2)
    server = hybrid_server(net)
    assert not up(net, hybrid_client(net, b"wrong", keying_tries=1), seconds=60.0)
    assert any("Authentication Failed: Incorrect" in line for line in server.lines) and not tunnels(server)
    net = Net(3)
    server = hybrid_server(net)
    host = hybrid_client(net, key=3, keying_tries=1, retransmit_timeout=10.0)
    assert not up(net, host, seconds=60.0)
    assert any("Signature check (on @gw) failed" in line for line in host.lines)
    assert not any("Answering XAUTH" in line for line in host.lines) and not any(
        "XAUTH: User" in line for line in server.lines
    )


def test_conns_with_a_password_and_without_stand_side_by_side() -> None:
    """Which of them a first message is for shows in the method it offers."""
    net = Net(4)
    server = gateway(net)
    site = end("%any")
    server.load(conn("sites", end(EAST, EAST_NET, "@gw"), site, **V1))
    user, plain = client(net, 1), client(net, 2, "", xauth=False, asks=False)
    assert up(net, user, plain), server.lines[-12:]
    assert (address(user), address(plain)) == ("10.9.0.1/32", "203.0.113.2/32")


def test_who_came_in_without_a_password_does_not_reach_what_asks_for_one() -> None:
    """The same secret opens both conns; the clients of the one with XAUTH are not for those of the other."""
    net = Net(5)
    server = SimHost(net, "gw", EAST, 0, psk("@gw", "%any"))
    server.users = dict(USERS)
    ours = replace(end(EAST, "10.20.0.0/16", "@gw"), xauth_server=True)
    server.load(conn("inner", ours, end("%any"), **V1), conn("outer", end(EAST, EAST_NET, "@gw"), end("%any"), **V1))
    host = client(net, 1, "", xauth=False, asks=False, keying_tries=1)
    assert up(net, host)
    mine = end(str(host.address), "", "@rw1")
    host.load(conn("further", mine, end(EAST, "10.20.0.0/16", "@gw"), **{**V1, "keying_tries": 1}))
    asked = host.request("initiate", name="further")
    net.run(net.now + 60.0, lambda: asked in host.finished)
    assert tunnels(server) == 1
    assert any("no connection is known for 10.20.0.0/16" in line for line in server.lines), server.lines[-5:]
    # Who has given a password gets there, by the conn that asks for it.
    user = client(net, 2, asks=False, keying_tries=1)
    user.load(conn("further", replace(end(str(user.address), "", "@rw2"), xauth_client=True, xauth_name="carla"),
                   replace(end(EAST, "10.20.0.0/16", "@gw"), xauth_server=True), **V1))  # fmt: skip
    asked = user.request("initiate", name="further")
    assert net.run(net.now + 60.0, lambda: asked in user.finished) and tunnels(user) == 1, user.lines[-8:]


def test_users_who_share_a_name_and_a_secret_do_not_displace_each_other() -> None:
    """A group name for all, as Cisco's clients have it: users are different peers, and each says INITIAL_CONTACT."""
    net = Net(6)
    server = gateway(net)
    hosts = [client(net, n, user) for n, user in enumerate(("carla", "bert"), 1)]
    for host, user in zip(hosts, ("carla", "bert"), strict=True):
        host.secrets = SecretStore((*psk("@group", "@gw").secrets,
                                    Secret(SecretKind.XAUTH, (Index(name=user),), "t:1", USERS[user])))  # fmt: skip
        mine = end(str(host.address), "", "@group", ask_addresses=(4,))
        policy = host.pluto.core.conns.named["home"].policy
        host.request("delete", name="home")
        host.load(replace(policy, left=replace(mine, xauth_client=True, xauth_name=user)))
    assert up(net, hosts[0]), server.lines[-12:]
    net.run(net.now + 30.0)
    assert up(net, hosts[1]), server.lines[-12:]
    net.run(net.now + 30.0)
    assert all(host.up() for host in hosts) and tunnels(server) == 2
    assert not any("INITIAL_CONTACT on a newer SA" in line for line in server.lines)


def test_a_wrong_password_may_be_let_in_and_the_updown_command_hears_of_it() -> None:
    net = Net(7)
    server = gateway(net, xauth_soft=True)
    host = client(net, 1, word=b"wrong")
    assert up(net, host), server.lines[-12:]
    net.run(net.now + 1.0)
    heard = [env for env in server.environments if env["PLUTO_VERB"] in ("up-client", "up-host")]
    assert [(env["PLUTO_XAUTH_USERNAME"], env["XAUTH_FAILED"]) for env in heard] == [("", "1")]
    assert any("let in all the same (xauthfail=soft)" in line for line in server.lines)


def test_what_the_server_tells_reaches_the_updown_commands() -> None:
    net = Net(8)
    server = gateway(net, banner="Hello.\nBe good.", domains=("corp.example",))
    host = client(net, 1, unity=True, cisco=True, nm_configured=True)
    assert up(net, host), host.lines[-12:]
    net.run(net.now + 1.0)
    [env] = [env for env in host.environments if env["PLUTO_VERB"] in ("up-client", "up-host")]
    assert env["PLUTO_PEER_BANNER"] == "Hello.\\012Be good."
    assert (env["PLUTO_CISCO_DNS_INFO"], env["PLUTO_CISCO_DOMAIN_INFO"]) == ("10.2.0.53", "corp.example")
    assert (env["PLUTO_IS_PEER_CISCO"], env["PLUTO_NM_CONFIGURED"]) == ("1", "1")
    assert env["PLUTO_PEER_ROUTES"] == str(EAST_NET)
    verbs = [env["PLUTO_VERB"].removesuffix("-client") for env in host.environments]
    assert verbs == ["up", "prepare", "route", "updateresolvconf"]
    host.request("delete", name="home")
    net.run(net.now + 5.0)
    verbs = [env["PLUTO_VERB"].removesuffix("-client") for env in host.environments]
    assert verbs[4:] == ["down", "restoreresolvconf", "disconnectNM", "unroute"]
    assert {env["PLUTO_CISCO_DNS_INFO"] for env in host.environments} == {"10.2.0.53"}
    [env] = [env for env in server.environments if env["PLUTO_VERB"] in ("up-client", "up-host")]
    assert (env["PLUTO_XAUTH_USERNAME"], env["XAUTH_FAILED"]) == ("carla", "0")


def test_the_operator_gives_name_and_password_where_the_configuration_has_none() -> None:
    net = Net(9)
    gateway(net)
    host = client(net, 1, keying_tries=1)
    host.secrets = psk("@rw1", "@gw")
    host.request("rereadsecrets")
    net.run(net.now + 1.0)
    assert host.say("initiate", name="home", prompt=True) == [(40, '"home": enter the password of carla')]
    wrong = host.request("initiate", name="home", xauthpass="wrong")
    assert net.run(net.now + 60.0, lambda: wrong in host.finished) and not tunnels(host)
    # What has turned out wrong is asked for again; another name may go with it.
    assert host.say("initiate", name="home", prompt=True)[0][0] == 40
    host.request("initiate", name="home", xauthname="bert", xauthpass="another")
    assert net.run(net.now + 60.0, host.up), host.lines[-9:]
    again = host.request("initiate", name="home", prompt=True)
    assert host.whack[again][0][0] != 40
    assert not any("another" in line for line in host.lines)


def test_a_client_without_a_name_of_its_own_is_asked_for_one() -> None:
    net = Net(10)
    gateway(net)
    host = client(net, 1, "", keying_tries=1)
    asked = host.say("initiate", name="home", prompt=True)
    assert asked == [(41, '"home": enter the user name (empty: rw1)'), (40, '"home": enter the password of rw1')]


def split(net: Net, *routes: str, cisco: bool = True) -> tuple[SimHost, SimHost]:
    """A gateway for everything that names the networks behind it, and a client of it, up."""
    server = SimHost(net, "gw", EAST, 0, psk("@gw", "%any"))
    server.users = dict(USERS)
    ours = replace(end(EAST, "0.0.0.0/0", "@gw"), xauth_server=True)
    server.load(conn("rw", ours, end("%any", pools=POOL), **V1))
    isakmp = server.pluto.brain.isakmp
    lease = isakmp.lease
    isakmp.lease = lambda question: replace(lease(question), routes=tuple(map(IPv4Network, routes)))  # type: ignore[method-assign]
    host = client(net, 1, unity=True, cisco=cisco)
    policy = host.pluto.core.conns.named["home"].policy
    host.request("delete", name="home")
    host.load(replace(policy, right=replace(end(EAST, "0.0.0.0/0", "@gw"), xauth_server=True)))
    assert up(net, host), host.lines[-12:] + server.lines[-12:]
    net.run(net.now + 1.0)
    return server, host


def towards(host: SimHost, verb: str) -> list[str]:
    return [env["PLUTO_PEER_CLIENT"] for env in host.environments if env["PLUTO_VERB"] == f"{verb}-client"]


def test_a_split_tunnel_is_for_the_networks_its_gateway_names() -> None:
    """What goes elsewhere is none of its business; each network has a route, and all of them one pair of SAs."""
    nets = ["10.2.0.0/16", "172.16.0.0/12"]
    server, host = split(Net(11), *nets)
    assert sorted(str(e.key.dst) for e in host.klips.eroutes.values() if isinstance(e.target, Said)) == nets
    assert sorted(towards(host, "route")) == sorted(towards(host, "up")) == nets
    assert {str(entry.key.dst) for entry in host.guards["home"].entries} == set(nets)
    assert len(host.pluto.core.states.children) == tunnels(server) == 1
    host.say("terminate", name="home")
    host.net.run(host.net.now + 2.0)
    assert sorted(towards(host, "down")) == nets
    host.say("unroute", name="home")
    assert sorted(towards(host, "unroute")) == nets and not host.guards


def test_a_gateway_that_is_not_said_to_be_ciscos_does_not_open_anything() -> None:
    """What it names is told to updown commands, and the tunnel goes on to be for everything."""
    _, host = split(Net(12), "10.2.0.0/16", cisco=False)
    assert [str(e.key.dst) for e in host.klips.eroutes.values() if isinstance(e.target, Said)] == ["0.0.0.0/0"]
    assert towards(host, "route") == ["0.0.0.0/0"] and host.environments[-1]["PLUTO_PEER_ROUTES"] == "10.2.0.0/16"


def test_networks_of_another_day_take_the_place_of_those_before() -> None:
    server, host = split(Net(13), "10.2.0.0/16", "172.16.0.0/12")
    isakmp = server.pluto.brain.isakmp
    lease = isakmp.lease
    isakmp.lease = lambda question: replace(lease(question), routes=(IPv4Network("10.3.0.0/16"),))  # type: ignore[method-assign]
    host.say("terminate", name="home")
    host.net.run(host.net.now + 2.0)
    assert up(host.net, host)
    host.net.run(host.net.now + 2.0)
    assert [str(e.key.dst) for e in host.klips.eroutes.values() if isinstance(e.target, Said)] == ["10.3.0.0/16"]
    assert {str(entry.key.dst) for entry in host.guards["home"].entries} == {"10.3.0.0/16"}
    assert sorted(towards(host, "unroute")) == ["10.2.0.0/16", "172.16.0.0/12"]
