# SPDX-License-Identifier: GPL-2.0-or-later
"""IKEv1 with libreswan on a stock Linux kernel: either side initiates, proves itself, renews, falls silent.

    sunset ----lan---- west (ours) =======wan======= virtual machine: libreswan, 192.0.2.2 and .3, behind it 10.2.0.1

Each test gives either side one conn, `net`, and both have forgotten it afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from openswan.host.login import crypt
from tests.netns.capture import Capture, Seen
from tests.netns.conns import NET4, SECRETS, conn
from tests.netns.keys import Authority
from tests.netns.lab import wait_for
from tests.netns.libreswan import HEAD, Peers
from tests.netns.test_addresses import has
from tests.netns.test_libreswan import nothing_lost_meanwhile
from tests.netns.test_tunnel import certified
from tests.netns.traffic import assert_ping, learn_path

pytestmark = [
    pytest.mark.peer,
    pytest.mark.matrix,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("kernelpeer"),
]

who = pytest.mark.parametrize("who", ["we", "they"])
V1 = {"ikev2": "never", "leftid": "@west.example", "rightid": "@east.example", "authby": "secret"}
NETS = {**NET4, **V1, "encapsulation": "no"}
OTHER = "192.0.2.3"
"""A conn between the hosts themselves must not cut off who gives the guest orders."""
HOSTS = {**V1, "left": "192.0.2.1", "right": OTHER, "type": "transport", "encapsulation": "no"}
SHAPES = {
    "net": NETS,
    "without-pfs": {**NETS, "pfs": "no"},
    "aggressive": {**NETS, "aggrmode": "yes", "ike": "aes256-sha2_256-modp2048"},
    "udp": {**NETS, "encapsulation": "yes"},
    "ah": {**NETS, "phase2": "ah", "phase2alg": "sha2_256"},
    "comp": {**NETS, "compress": "yes"},
    "hosts": HOSTS,
    "ah-hosts": {**HOSTS, "phase2": "ah", "phase2alg": "sha2_512"},
    "comp-hosts": {**HOSTS, "compress": "yes"},
}
ALGORITHMS = {
    "strong": {"ike": "aes256-sha2_512-modp4096", "phase2alg": "aes256-sha2_512"},
    "curve": {"ike": "aes128-sha2_256-dh19", "phase2alg": "aes_gcm128"},
    "old": {"ike": "3des-sha1-modp1536", "phase2alg": "3des-sha1"},
    "counter": {"ike": "aes256-sha1-modp2048", "phase2alg": "aes_ctr256-sha2_256"},
}
SHOWS = {"ah": "proto ah", "comp": "proto comp", "udp": "type espinudp"}
"""What the kernel says of a shape, by its first word, beside `proto esp`."""
USER, WORD = "carla", "open sesame"
POOL = "10.9.0.10-10.9.0.20"
REFUSED = "the peer refuses our proof of who we are: INVALID_ID_INFORMATION"
FRAGMENT = 132
"""The payload type of a piece of a message."""


@dataclass
class Stage(Peers):
    """Both gateways; libreswan knows the authorities, by their kinds."""

    authorities: dict[str, Authority]

    def play(self, theirs: dict[str, str], ours: dict[str, str], secrets: str = SECRETS) -> None:
        """Give either side its conn `net`."""
        self.east.add("net", conn("net", theirs, auto="ignore"))
        self.west.configure(conn("net", ours, auto="add"), secrets)
        self.west.ipsec("auto", "--rereadall")
        self.west.ipsec("auto", "--add", "net")

    def up(self, who: str) -> None:
        """Bring it up from either side."""
        if who == "we":
            self.west.up("net", 40)
        else:
            self.east.sh("ipsec auto --up net", 60)
        self.west.wait_tunnels()

    def carries(self, far: str = "10.2.0.1", near: str = "10.1.0.2") -> None:
        """Pings there and back."""
        assert_ping(self.lab.west if near == "192.0.2.1" else self.lab.sunset, far, wait=4)
        self.answers(far, near)

    def answers(self, far: str, near: str) -> None:
        """The guest reaches us."""
        answer = self.east.sh(f"ping -n -c 2 -i 0.2 -W 4 -s 1300 -I {far} {near}")
        assert "2 received" in answer, answer


@pytest.fixture(scope="module")
def _stage(kernelpeer: Peers, known_authorities: dict[str, Authority]) -> Iterator[Stage]:
    east = kernelpeer.east
    east.sh(f"ip addr add {OTHER}/24 dev eth0; ipsec whack --listen")
    made = crypt(WORD.encode(), b"$6$abcdefgh$")
    assert made is not None
    passwd = f"{USER}:{made.decode()}\n"
    (kernelpeer.west.dir / "ipsec.d" / "passwd").write_text(passwd)
    east.put("/etc/ipsec.d/passwd", passwd.encode())
    east.put("/etc/ipsec.secrets", f'{SECRETS}\n@{USER} : XAUTH "{WORD}"\n'.encode())
    east.sh("ipsec auto --rereadsecrets")
    yield Stage(kernelpeer.lab, kernelpeer.west, east, known_authorities)
    east.sh(f"ip addr del {OTHER}/24 dev eth0; ipsec whack --listen")


@pytest.fixture
def stage(_stage: Stage) -> Iterator[Stage]:
    """The stage, empty before and afterwards; both logs are shown when the test fails."""
    try:
        yield _stage
    finally:
        print(_stage.east.sh("tail -150 /tmp/pluto.log", check=False), _stage.west.log(200), sep="\n")
        _stage.east.sh("ipsec auto --down net; ipsec auto --delete net", check=False)
        _stage.west.ipsec("auto", "--delete", "net", check=False)
        _stage.east.sh("ip xfrm state flush; ip xfrm policy flush")


@who
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(stage: Stage, shape: str, who: str) -> None:
    """Tunnel and transport mode, ESP, AH and IPComp, with and without what else may be agreed on."""
    both = SHAPES[shape]
    stage.play(both, both)
    stage.up(who)
    kernel = stage.kernel()
    assert SHOWS.get(shape.partition("-")[0], "proto esp") in kernel, kernel
    assert ("mode transport" in kernel) == ("hosts" in shape or "comp" in shape), kernel
    if "hosts" in shape:
        stage.carries(OTHER, "192.0.2.1")
        assert_ping(stage.lab.west, OTHER, size=1300, wait=4)
    elif shape == "ah":
        stage.carries()
        learn_path(stage.lab.sunset, "10.2.0.1", 1472)
        assert_ping(stage.lab.sunset, "10.2.0.1", size=4000, wait=4)
    else:
        stage.prove(kind="esp-udp" if shape == "udp" else "esp")
    status = stage.west.status()
    assert ("STATE_AGGR_" in status) == (shape == "aggressive") and "STATE_QUICK_" in status, status


@who
@pytest.mark.parametrize("name", ALGORITHMS)
def test_algorithms(stage: Stage, name: str, who: str) -> None:
    both = {**NETS, **ALGORITHMS[name]}
    stage.play(both, both)
    stage.up(who)
    stage.carries()


@pytest.mark.long
@who
def test_raw_rsa_keys(stage: Stage, who: str) -> None:
    """Neither side has certificates: each knows the other's public key."""
    west, east = stage.west, stage.east
    ours = west.new_rsa_key()
    both = {**NETS, "authby": "rsasig", "leftrsasigkey": ours, "rightrsasigkey": east.raw_key()}
    stage.play(both, both, (west.dir / "ipsec.secrets").read_text())
    stage.up(who)
    stage.carries()
    assert west.logged("auth=OAKLEY_RSA_SIG")


def certificates(stage: Stage, **more: str) -> None:
    """Both prove themselves by certificates of one authority."""
    ca = stage.authorities["rsa"]
    both = {**NETS, "authby": "rsasig", "rightid": "@rsa.example", "rightrsasigkey": "%cert", **more}
    stage.play(
        {**both, "rightcert": "rsa", "leftrsasigkey": "%cert"},
        {**both, "leftcert": "west.example.pem"},
        certified(stage.west, ca, "west.example"),
    )


@who
def test_certificates(stage: Stage, who: str) -> None:
    certificates(stage)
    stage.up(who)
    stage.carries()


@who
def test_certificates_in_pieces(stage: Stage, who: str) -> None:
    """libreswan cuts what is longer than 576 octets, as it has learnt from Cisco."""
    certificates(stage, fragmentation="force")
    with Capture(stage.lab.west, "tap0") as wire:
        stage.up(who)
        stage.carries()
        pieces = wire.packets(is_piece)
    assert {"192.0.2.1", "192.0.2.2"} >= {each.src for each in pieces} >= {"192.0.2.2"}, pieces


def is_piece(seen: Seen) -> bool:
    """A message of IKE that holds a piece of one, on port 500."""
    return seen.kind == "ike" and seen.data[14 + 20 + 8 + 16] == FRAGMENT


@pytest.mark.long
@who
def test_their_rekeys_lose_nothing(stage: Stage, who: str) -> None:
    hasty = {"ikelifetime": "24s", "salifetime": "20s", "rekeymargin": "10s", "rekeyfuzz": "0%"}
    stage.play({**NETS, **hasty}, NETS)
    stage.up(who)
    with nothing_lost_meanwhile(stage, 40):
        pass


@who
def test_delete(stage: Stage, who: str) -> None:
    """`who` has brought the tunnel up; the other side takes it down."""
    stage.play(NETS, NETS)
    stage.up(who)
    if who == "they":
        stage.west.ipsec("auto", "--down", "net")
    else:
        stage.east.sh("ipsec auto --down net")
    wait_for("both to be down", lambda: not stage.west.tunnels() and "proto esp" not in stage.kernel(), 10, 0.2)


@pytest.mark.long
@who
def test_an_identity_they_do_not_accept(stage: Stage, who: str) -> None:
    """What libreswan says under the keys of a phase 1 that is not over for it is understood."""
    stage.play({**NETS, "leftid": "@other.example"}, NETS)
    if who == "we":
        done = stage.west.ipsec("auto", "--up", "net", check=False, timeout=40)
        assert done.returncode and REFUSED in done.stdout, done.stdout
    else:
        stage.east.sh("timeout 8 ipsec auto --up net", 60, check=False)
    assert REFUSED in stage.west.log(80) and "reserved field" not in stage.west.log(80)
    assert not stage.west.tunnels() and "proto esp" not in stage.kernel()


@pytest.mark.long
@pytest.mark.parametrize("pull", ["yes", "no"])
@pytest.mark.parametrize("role", ["server", "client"])
def test_users_with_addresses(stage: Stage, role: str, pull: str) -> None:
    """XAUTH and Mode Config, pulled and pushed; `role` is ours."""
    xauth(stage, role, pull)
    if role == "client":
        stage.up("we")
        assert has(stage.lab.west, "10.9.0.10", "ipsec0"), stage.west.log()
        assert_ping(stage.lab.west, "10.2.0.1", wait=4)
        stage.answers("10.2.0.1", "10.9.0.10")
        log = stage.west.log(80)
        assert "XAUTH: Successfully Authenticated" in log and "Received DNS 10.2.0.53, len=9" in log
    else:
        stage.up("they")
        assert_ping(stage.lab.sunset, "10.9.0.10", wait=4)
        stage.answers("10.9.0.10", "10.1.0.2")
        assert stage.west.logged(f"XAUTH: User {USER}: Authentication Successful")


@pytest.mark.parametrize("role", ["server", "client"])
def test_a_wrong_password(stage: Stage, role: str) -> None:
    xauth(stage, role, "yes", word="open barley")
    if role == "client":
        assert stage.west.ipsec("auto", "--up", "net", check=False, timeout=40).returncode
    else:
        stage.east.put("/etc/ipsec.secrets", f'{SECRETS}\n@{USER} : XAUTH "open barley"\n'.encode())
        try:
            stage.east.sh("ipsec auto --rereadsecrets; timeout 15 ipsec auto --up net", 60, check=False)
        finally:
            stage.east.put("/etc/ipsec.secrets", f'{SECRETS}\n@{USER} : XAUTH "{WORD}"\n'.encode())
            stage.east.sh("ipsec auto --rereadsecrets")
        assert stage.west.logged(f"XAUTH: User {USER}: Authentication Failed: Incorrect")
    assert not stage.west.tunnels() and "proto esp" not in stage.kernel()


def xauth(stage: Stage, role: str, pull: str, word: str = WORD) -> None:
    """Give either side its part of a gateway for users; `role` is ours."""
    both = {**V1, "left": "192.0.2.1", "right": "192.0.2.2", "encapsulation": "no", "modecfgpull": pull}
    server, client = ("left", "right") if role == "server" else ("right", "left")
    net = {"left": "10.1.0.0/24", "right": "10.2.0.0/24"}[server]
    both |= {f"{server}subnet": net, f"{server}xauthserver": "yes", f"{client}xauthclient": "yes"}
    theirs = {**both, f"{server}modecfgserver": "yes", f"{client}modecfgclient": "yes"}
    ours = dict(both)
    given = {f"{client}addresspool": POOL, "modecfgdns": net.replace(".0/24", ".53"), "xauthby": "file"}
    if role == "server":
        theirs |= {f"{client}username": USER}
        ours |= given
    else:
        theirs |= given
        ours |= {f"{client}xauthname": USER, f"{client}sourceip": "%config"}
    stage.play(theirs, ours, f'{SECRETS}\n@{USER} : XAUTH "{word}"\n')


DPD = {"dpddelay": "1s", "dpdtimeout": "3s"}


@pytest.mark.long
def test_each_asks_whether_the_other_lives(stage: Stage) -> None:
    """RFC 3706; libreswan asks when nothing has come for a while, and we answer."""
    both = {**NETS, **DPD, "dpdaction": "clear"}
    stage.play(both, both)
    stage.up("we")
    with Capture(stage.lab.west, "tap0") as wire:
        wait_for("questions and answers", lambda: wire.count()["ike"] >= 8, 20, 0.2)
    assert stage.west.tunnels() == 1 and "proto esp" in stage.kernel()


@pytest.mark.long
@pytest.mark.parametrize("action", ["restart", "clear"])
def test_they_die(stage: Stage, action: str) -> None:
    """And are there again, with nothing remembered."""
    stage.play(NETS, {**NETS, **DPD, "dpdaction": action, "retransmit-timeout": "3s"})
    stage.up("we")
    stage.east.sh("kill -9 $(pgrep -x pluto); ip xfrm state flush; ip xfrm policy flush")
    try:
        wait_for("the tunnel to be given up", lambda: not stage.west.tunnels(), 15, 0.2)
        assert stage.west.logged("declaring peer dead")
    finally:
        stage.east.restart()
    stage.east.sh("ipsec auto --add net")
    if action == "restart":
        stage.west.wait_tunnels(1, 30)
    else:
        assert "STATE_" not in stage.west.status()
        stage.up("they")
    stage.carries()


@pytest.mark.long
@pytest.mark.parametrize("action", ["restart", "clear"])
def test_we_die(stage: Stage, action: str) -> None:
    stage.play({**NETS, **DPD, "dpdaction": action}, NETS)
    # What it has brought up itself libreswan brings up again, whatever the action.
    stage.up("they" if action == "restart" else "we")
    stage.west.kill()
    try:
        wait_for("libreswan to give it up", lambda: "proto esp" not in stage.kernel(), 20, 0.3)
    finally:
        stage.west.start()
    if action == "restart":
        stage.west.wait_tunnels(1, 40)
    else:
        stage.up("we")
    stage.carries()


HOMES = {
    # Both have one private address; the second has a router of its own, at 198.51.100.10.
    "home": """
ip netns add home
ip link add in type veth peer name wan netns home
ip addr add 192.168.7.1/24 dev in; ip link set in up
iptables -t nat -A POSTROUTING -s 192.168.7.0/24 -o eth0 -j MASQUERADE
""",
    "home2": """
ip netns add home2; ip netns add nat2
ip link add mid type veth peer name out netns nat2
ip addr add 198.51.100.9/30 dev mid; ip link set mid up
ip -n nat2 addr add 198.51.100.10/30 dev out; ip -n nat2 link set out up
ip -n nat2 route add default via 198.51.100.9
ip -n nat2 link add in type veth peer name wan netns home2
ip -n nat2 addr add 192.168.7.1/24 dev in; ip -n nat2 link set in up
ip netns exec nat2 sysctl -qw net.ipv4.ip_forward=1
ip netns exec nat2 iptables -t nat -A POSTROUTING -o out -j MASQUERADE
""",
}
"""Orders for the guest's own namespaces, in which libreswan runs once more each."""
AT_HOME = """
ip -n {0} link set lo up
ip -n {0} addr add 192.168.7.2/24 dev wan; ip -n {0} link set wan up
ip -n {0} route add default via 192.168.7.1
ip -n {0} link add lan type dummy; ip -n {0} addr add {1}.1/24 dev lan; ip -n {0} link set lan up
rm -rf /tmp/{0}; mkdir -p /etc/netns/{0} /tmp/{0}
cat > /tmp/{0}/begin <<END
mount --bind /tmp/{0} /run/pluto
ipsec pluto --config /etc/ipsec.conf --logfile /tmp/{0}.log < /dev/null > /dev/null 2>&1
for i in 1 2 3 4 5 6 7 8 9; do ipsec whack --status > /dev/null 2>&1 && break; sleep 0.5; done
ipsec whack --listen
END
"""
INSIDE = {"home": "10.3.0", "home2": "10.4.0"}


class Home:
    """One more libreswan, behind a masquerading router inside the guest."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.east, self.name = stage.east, name
        self.east.sh(HOMES[name] + AT_HOME.format(name, INSIDE[name]))

    def play(self, text: str) -> None:
        """Have its daemon begin with the conn `net`."""
        self.east.put(f"/etc/netns/{self.name}/ipsec.conf", f"{HEAD}{text}".encode())
        self.east.sh(f"ip netns exec {self.name} sh /tmp/{self.name}/begin", 60)
        self.sh("ipsec auto --add net")

    def sh(self, order: str, timeout: float = 60, check: bool = True) -> str:
        """An order where its daemon is."""
        return self.east.sh(f"nsenter -t $(cat /tmp/{self.name}/pluto.pid) -n -m sh -c '{order}'", timeout, check)

    def close(self) -> None:
        """End it, and take its place away."""
        print(f"--- {self.name}", self.east.sh(f"tail -40 /tmp/{self.name}.log", check=False), sep="\n")
        self.east.sh(
            f"kill -9 $(cat /tmp/{self.name}/pluto.pid); ip netns del {self.name}; ip netns del nat2\n"
            "ip link del in; ip link del mid; iptables -t nat -F; conntrack -F",
            check=False,
        )


@pytest.fixture
def homes(stage: Stage) -> Iterator[dict[str, Home]]:
    """Both, with the way to them."""
    stage.lab.west.ip("route", "replace", "198.51.100.8/30", "via", "192.0.2.2")
    made = {}
    try:
        for name in HOMES:
            made[name] = Home(stage, name)
        yield made
    finally:
        for home in made.values():
            home.close()


@pytest.mark.long
def test_clients_with_one_private_address_behind_routers_of_their_own(stage: Stage, homes: dict[str, Home]) -> None:
    west, nets = stage.west, {"leftsubnet": "10.1.0.0/24", "rightsubnet": "vnet:%v4:10.3.0.0/24,%v4:10.4.0.0/24"}
    west.configure(conn("net", V1, left="192.0.2.1", right="%any", rightid="%any", auto="add", **nets))
    west.ipsec("auto", "--add", "net")
    with Capture(stage.lab.west, "tap0") as wire:
        for name, home in homes.items():
            own = {"right": "192.168.7.2", "rightid": f"@{name}", "rightsubnet": f"{INSIDE[name]}.0/24"}
            home.play(conn("net", V1, left="192.0.2.1", leftsubnet="10.1.0.0/24", auto="ignore", **own))
            home.sh("ipsec auto --up net")
        west.wait_tunnels(2)
        for name, home in homes.items():
            for size in (56, 1300):
                answer = home.sh(f"ping -n -c 3 -i 0.2 -W 4 -s {size} -I {INSIDE[name]}.1 10.1.0.2")
                assert "3 received" in answer, answer
            assert "type espinudp" in home.sh("ip xfrm state")
        kinds = wire.count()
    assert kinds["esp-udp"] > 20 and kinds["esp"] == 0, kinds
