# SPDX-License-Identifier: GPL-2.0-or-later
"""config setup: values, complaints, warnings."""

from datetime import timedelta
from ipaddress import ip_address

import pytest

from openswan.config.complaint import Complaint
from openswan.config.parser import parse
from openswan.config.setup import Setup, build_setup
from openswan.crypto.revocation import Demands, Fetching, Strict
from openswan.policy.identity import parse_identity


def build(*lines: str) -> tuple[Setup, list[str]]:
    parsed = parse("config setup\n" + "".join(f"\t{line}\n" for line in lines), "f", lambda pattern, directory: [])
    complaints: list[Complaint] = list(parsed.complaints)
    return build_setup(parsed.setup, complaints), [str(one) for one in complaints]


def test_defaults() -> None:
    setup, complaints = build()
    assert setup == Setup() and complaints == []
    assert setup.interfaces == (("ipsec0", "%defaultroute"),) and setup.unique_ids and setup.keep_alive == 20.0


def test_values() -> None:
    setup, complaints = build(
        'interfaces="ipsec0=eth0 ipsec1=eth1"', "uniqueids=no", 'listen="192.0.2.1,2001:db8::1"', "keep_alive=30",
        "force_busy=yes", "overridemtu=1400", "plutostderrlog=/tmp/log", "myid=@me", "strictcrlpolicy=yes",
    )  # fmt: skip
    assert complaints == []
    assert setup.interfaces == (("ipsec0", "eth0"), ("ipsec1", "eth1"))
    assert setup.listen == (ip_address("192.0.2.1"), ip_address("2001:db8::1"))
    assert not setup.unique_ids and setup.keep_alive == 30.0 and setup.force_busy and setup.override_mtu == 1400
    assert setup.log_file == "/tmp/log" and setup.my_id == parse_identity("@me")
    assert setup.demands == Demands(Strict.YES, fetch=True) and setup.request_certs
    assert setup.value("uniqueids") == "no" and setup.value("nhelpers") == ""


def test_tcp_and_redirects() -> None:
    setup, complaints = build("listen-tcp=yes", "global-redirect=auto", 'global-redirect-to="192.0.2.3 2001:db8::3"')
    assert complaints == [] and setup.listen_tcp and setup.redirect == "auto"
    assert setup.redirect_to == (ip_address("192.0.2.3"), ip_address("2001:db8::3"))
    assert not build()[0].listen_tcp and build()[0].redirect == "no"
    assert "needs global-redirect-to=" in build("global-redirect=yes")[1][0]
    assert "not a numeric IP address" in build("global-redirect-to=x")[1][0]


def test_revocation() -> None:
    setup, complaints = build(
        "strictcrlpolicy=ifuri", "crlcheckinterval=10m", "ocsp-enable=yes", "ocsp-strict=yes", "ocspuri=http://x/",
        "ocsp-timeout=3s", "ocsp-method=post", "ocsp-cache-size=5", "ocsp-cache-min-age=1m", "ocsp-cache-max-age=2h",
        "ocsp-trustname=me.pem", "curl-timeout=9s", "curl-iface=eth0", "nocrsend=yes",
    )  # fmt: skip
    assert complaints == []
    assert setup.demands == Demands(Strict.IFURI, True, True, True, "http://x/")
    least, most = timedelta(minutes=1), timedelta(hours=2)
    assert setup.fetching == Fetching(600.0, 9.0, 3.0, True, 5, least, most, "me.pem")
    assert setup.fetch_interface == "eth0" and not setup.request_certs
    assert build("crl-strict=on")[0].demands == Demands(Strict.YES, True)
    assert build("crlcheckinterval=1h")[0].demands == Demands(Strict.NO, True)
    assert build("uniqueids=yes")[0].demands == Demands()
    assert build("ocsp-strict=yes")[0].demands == Demands(ocsp=True, ocsp_strict=True), "whoever asks for it means it"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("%defaultroute", (("ipsec0", "%defaultroute"),)),
        ("%none", ()),
        ('"ipsec0=eth0 %defaultroute"', (("ipsec0", "eth0"), ("ipsec1", "%defaultroute"))),
        ("ipsec3=%defaultroute", (("ipsec3", "%defaultroute"),)),
        ("mast0=eth0", (("mast0", "eth0"),)),
    ],
)
def test_interfaces(text: str, want: tuple[tuple[str, str], ...]) -> None:
    setup, complaints = build(f"interfaces={text}")
    assert setup.interfaces == want and complaints == []


def test_the_bits_of_the_mark_that_are_ours() -> None:
    assert build()[0].marks.mask == 0xF000
    setup, complaints = build("fwmark-mask=0x10101010")
    assert setup.marks.mask == 0x10101010 and complaints == []


@pytest.mark.parametrize(
    ("lines", "want"),
    [
        ((), "ipsec1"),
        (('interfaces="ipsec0=eth0 ipsec1=eth1"',), "ipsec2"),
        (("oe-interface=ipsec7",), "ipsec7"),
    ],
)
def test_strangers_have_an_interface_of_their_own(lines: tuple[str, ...], want: str) -> None:
    setup, complaints = build(*lines)
    assert setup.oe_interface == want and complaints == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            "fwmark-mask=0x7000",
            "f:2: fwmark-mask=: 0x00007000 has 3 bits: 4 are needed, as in 0x0000f000 or",
        ),
        ("fwmark-mask=0xff00", "f:2: fwmark-mask=: 0x0000ff00 has 8 bits: 4 are needed"),
        ("fwmark-mask=f000", "f:2: fwmark-mask=: 'f000' is no mask: 32 bits in hexadecimal are wanted"),
        ("fwmark-mask=0xf00000000", "is no mask: 32 bits"),
        ("oe-interface=ipsec0", "oe-interface=ipsec0: an ipsecN is wanted that interfaces= does not have"),
        ("oe-interface=eth0", "oe-interface=eth0: an ipsecN is wanted"),
        ("interfaces=eth0", "f:2: interfaces=eth0: ipsecN=DEVICE, %defaultroute or %none is wanted"),
        ("interfaces=wan0=eth0", "f:2: interfaces=wan0=eth0: ipsecN=DEVICE"),
        ("interfaces=ipsec0=", "'' cannot be a device's name"),
        ("interfaces=ipsec0=a/b", "'a/b' cannot be a device's name"),
        ('interfaces="ipsec0=a ipsec0=b"', "ipsec0 is named twice"),
        ("listen=here", "f:2: listen=: 'here' is not a numeric IP address"),
        ("myid=%any", "f:2: myid=: '%any' is not an identity"),
        ("uniqueids=perhaps", "f:2: uniqueids=perhaps: yes or no is wanted"),
        ("ocsp-strict=yes", "f:2: ocsp-strict=yes wants ocsp-enable=yes"),
        ("ocspuri=https://x/", "f:2: ocspuri=https://x/: only http://... is asked"),
        ("curl-iface=a/b", "f:2: curl-iface=a/b: that cannot be a device's name"),
        ("strictcrlpolicy=maybe", "f:2: keyword strictcrlpolicy, invalid value: maybe (there are no, ifuri, yes)"),
        ("ocsp-method=put", "invalid value: put (there are get, post)"),
        ("protostack=foo", "f:2: keyword protostack, invalid value: foo"),
        ("keep_alive=4000", "number too large, at most 3600"),
    ],
)
def test_errors(line: str, why: str) -> None:
    setup, complaints = build(line)
    assert len(complaints) == 1 and why in complaints[0] and "warning" not in complaints[0]
    assert setup.interfaces == Setup().interfaces and setup.listen == ()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("protostack=netkey", "protostack=netkey runs on the klips engine"),
        ("protostack=xfrm", "protostack=netkey runs on the klips engine"),
        ("protostack=mast", "protostack=mast runs on the klips engine"),
        ("protostack=auto", "protostack=auto runs on the klips engine"),
        ("protostack=none", "would protect nothing"),
        ("plutodebug=private", "plutodebug=private is not obeyed: keys and passwords are never written to the log"),
        ("listen-udp=no", "listen-udp=no is known but not acted on: ports 500 and 4500 are always listened on"),
        ("forwardcontrol=yes", "obsolete keyword 'forwardcontrol' ignored. Was to switch IP forwarding"),
        ("rp_filter=%unchanged", "obsolete keyword 'rp_filter' ignored"),
        ("nssdir=/etc/ipsec.d", "obsolete keyword 'nssdir' ignored. There is no NSS database"),
    ],
)
def test_warnings(line: str, why: str) -> None:
    _, complaints = build(line)
    assert len(complaints) == 1 and complaints[0].startswith("f:2: warning: ") and why in complaints[0]


@pytest.mark.parametrize("line", ["protostack=klips", "nat_traversal=yes", "oe=no", "nhelpers=0"])
def test_what_happens_anyway_is_not_worth_a_word(line: str) -> None:
    assert build(line)[1] == []


def test_ddos_mode_busy() -> None:
    assert build("ddos-mode=busy")[0].force_busy


def test_hash_and_url() -> None:
    assert not build()[0].hash_and_url
    assert build("hash-and-url=yes")[0].hash_and_url and build("hash_and_url=yes")[0].hash_and_url
    assert "hash-and-url" in build("hash-and-url=perhaps")[1][0]


@pytest.mark.parametrize("line", ["nhelpers=4", "seedbits=512", "xfrmlifetime=30", "fragicmp=no"])
def test_what_could_change_nothing_is_passed_over_in_silence(line: str) -> None:
    assert build(line)[1] == []


def test_syslog_priorities() -> None:
    assert build("syslog=local3.info")[1] == []
    (why,) = build("syslog=local9.info")[1]
    assert "syslog=: 'local9.info' is no facility and priority of syslog" in why and "warning" not in why


def test_asking() -> None:
    setup, _ = build("plutowait=yes", "shuntlifetime=10m", "secretsfile=/s")
    assert setup.says("plutowait", False) and setup.says("logip", True) and not setup.says("logstderr", False)
    assert (setup.seconds("shuntlifetime", 9.0), setup.seconds("curl-timeout", 9.0)) == (600.0, 9.0)
    assert (setup.secrets, setup.ipsec_d) == ("/s", "")
