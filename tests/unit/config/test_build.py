# SPDX-License-Identifier: GPL-2.0-or-later
"""From values to connections: every keyword acted on, every refusal, every warning."""

from ipaddress import ip_address, ip_network

import pytest

from openswan.config.load import load_text
from openswan.policy.algorithms import DEFAULT_ESP, DEFAULT_IKE
from openswan.policy.connection import (
    Auth,
    Childless,
    DpdAction,
    PpkUse,
    SendCert,
    ShuntPolicy,
    Startup,
    TcpUse,
)
from openswan.policy.grade import Grade
from openswan.policy.identity import parse_identity
from openswan.policy.proposal import proposals_text
from tests.unit.config.conn import certs, errors, load, one, warned


def test_defaults() -> None:
    made = one("")
    assert made.name == "x" and made.aliases == ()
    assert made.left.host.address == ip_address("192.0.2.1") and made.left.subnet is None and made.left.id is None
    assert made.left.updown == "ipsec _updown" and made.left.send_cert is SendCert.ALWAYS
    assert made.auth is Auth.PSK and made.ike_version == 2 and made.tunnel
    assert made.ike_proposals == DEFAULT_IKE
    assert [one.esn for one in made.esp_proposals] == [(True, False)] * 2
    assert [one.encr for one in made.esp_proposals] == [one.encr for one in DEFAULT_ESP]
    assert made.ike_text == made.esp_text == ""
    assert made.pfs and made.rekey and not made.narrowing and not made.overlap_ip and made.arrival_check
    assert (made.ike_lifetime, made.ipsec_lifetime, made.rekey_margin, made.rekey_fuzz) == (3600, 28800, 540, 1.0)
    assert made.keying_tries == 0 and made.startup is Startup.IGNORE
    assert made.prospective is ShuntPolicy.TRAP and made.failure_shunt is ShuntPolicy.NONE
    assert (made.dpd_delay, made.dpd_timeout, made.dpd_action) == (0, 0, DpdAction.HOLD)
    assert made.send_redirect == "no" and not made.accept_redirect and made.accept_redirect_to == ()
    assert made.tcp is TcpUse.NO and made.tcp_port == 4500
    assert made.encapsulation == "auto" and made.esn == "either" and made.replay_window == 128
    assert made.leak_guard and not made.other_family_clear
    assert (made.retransmit_timeout, made.retransmit_interval) == (60.0, 0.5)


def test_everything_said() -> None:
    made = one(
        "leftsubnet=10.1.0.0/16;rightsubnet=10.2.0.0/16;leftsourceip=10.1.0.1;leftnexthop=192.0.2.254;leftid=@me;"
        'rightid=@you;leftupdown="/etc/up --x";rightupdown="";ike=aes256-sha2_256-dh31;esp=aes_gcm256;esn=yes;pfs=no;'
        "ikelifetime=2h;keylife=30m;rekey=no;rekeymargin=1m;rekeyfuzz=50%;keyingtries=3;failureshunt=drop;"
        "negotiationshunt=passthrough;dpddelay=10;dpdtimeout=60;dpdaction=restart;encapsulation=no;replay-window=64;"
        "narrowing=yes;overlapip=yes;disablearrivalcheck=yes;leakguard=no;otherfamily=clear;metric=7;mtu=1400;"
        'retransmit-timeout=30;retransmit-interval=250;auto=start;connalias="y z";leftsendcert=ifasked;'
        'enable-tcp=fallback;tcp-remoteport=443;send-redirect=auto;redirect-to="192.0.2.8,2001:db8::8";accept-redirect=yes;'
        "accept-redirect-to=192.0.2.9"
    )
    assert made.left.subnet == ip_network("10.1.0.0/16") and made.right.subnet == ip_network("10.2.0.0/16")
    assert made.left.source_ips == (ip_address("10.1.0.1"),) and made.left.nexthop == ip_address("192.0.2.254")
    assert made.left.id == parse_identity("@me") and made.right.id == parse_identity("@you")
    assert made.left.updown == "/etc/up --x" and made.right.updown == ""
    assert proposals_text(made.ike_proposals) == "AES_CBC_256-HMAC_SHA2_256_128-HMAC_SHA2_256-X25519"
    assert made.ike_text == "aes256-sha2_256-dh31" and made.esp_text == "aes_gcm256"
    assert made.esp_proposals[0].esn == (True,)
    assert not made.pfs and not made.rekey and made.narrowing and made.overlap_ip and not made.arrival_check
    assert (made.ike_lifetime, made.ipsec_lifetime, made.rekey_margin, made.rekey_fuzz) == (7200, 1800, 60, 0.5)
    assert made.keying_tries == 3 and made.startup is Startup.START
    assert made.failure_shunt is ShuntPolicy.DROP and made.negotiation_shunt is ShuntPolicy.PASS
    assert (made.dpd_delay, made.dpd_timeout, made.dpd_action) == (10, 60, DpdAction.RESTART)
    assert made.encapsulation == "no" and made.replay_window == 64 and made.metric == 7 and made.mtu == 1400
    assert not made.leak_guard and made.other_family_clear
    assert (made.retransmit_timeout, made.retransmit_interval) == (30.0, 0.25)
    assert made.send_redirect == "auto" and made.accept_redirect
    assert made.redirect_to == (ip_address("192.0.2.8"), ip_address("2001:db8::8"))
    assert made.accept_redirect_to == (ip_address("192.0.2.9"),)
    assert made.tcp is TcpUse.FALLBACK and made.tcp_port == 443
    assert made.aliases == ("y", "z") and made.left.send_cert is SendCert.IF_ASKED


@pytest.mark.parametrize("name", ["passthrough", "drop", "reject"])
def test_shunts(name: str) -> None:
    made = one(f"type={name};authby=never;auto=route")
    assert made.prospective is ShuntPolicy(name) and made.auth is Auth.NEVER
    implied = load_text(
        f"conn x\n\tleft=1.1.1.1\n\tright=%any\n\ttype={name}\n", "f", lambda pattern, directory: [], certs
    )
    assert implied.connections[0].auth is Auth.NEVER and implied.complaints == ()


def test_transport_mode_is_for_the_ends_themselves() -> None:
    made = one("type=transport;leftsubnet=192.0.2.1/32;rightprotoport=17/1701;leftprotoport=17/1701")
    assert not made.tunnel and made.right.port == 1701
    assert one("type=transport;right=%any").tunnel is False and one("").tunnel


def test_compression_and_the_old_truncation() -> None:
    made = one("compress=yes;sha2_truncbug=yes")
    assert made.compress and made.sha2_truncbug
    assert not one("").compress and not one("").sha2_truncbug


@pytest.mark.parametrize(
    ("body", "pfs", "optional"), [("", True, True), ("pfs=yes", True, False), ("pfs=no", False, False)]
)
def test_pfs_insists_only_when_it_is_written(body: str, pfs: bool, optional: bool) -> None:
    made = one(body)
    assert (made.pfs, made.pfs_optional) == (pfs, optional)


@pytest.mark.parametrize(
    ("body", "want"),
    [
        (
            "type=transport;leftsubnet=10.1.0.0/16",
            'f:7: conn "x": cannot handle TRANSPORT mode with subnet: it is between the two ends alone; leave '
            "leftsubnet= out or use type=tunnel",
        ),
        ("type=transport;rightsubnets={10.1.0.0/16 10.2.0.0/16}", "cannot handle TRANSPORT mode with subnets"),
        ("type=transport;leftsourceip=10.1.0.1", "cannot handle TRANSPORT mode with sourceip"),
        ("type=udp", "UDP encapsulation is used where a NAT needs it"),
        ("phase2=ah;encapsulation=yes", "phase2=ah and encapsulation=yes contradict each other"),
        ("phase2=ah;ah=sha1;phase2alg=sha2", "ah= and phase2alg= both name algorithms of AH: leave one out"),
        ("phase2=ah;ah=aes128", 'f:7: conn "x": ah="aes128"'),
        ("auth=ah+esp", "Can only do AH, or ESP, not AH+ESP"),
        ("esn=yes;replay-window=0", "esn=yes needs replay protection, which replay-window=0 switches off"),
        ("leftxauthserver=yes;ikev2=insist", "contradict each other"),
        ("leftxauthserver=yes;leftxauthclient=yes", "both ends are said to be both"),
        ("rightaddresspool=10.0.0.9-10.0.0.1", "rightaddresspool=: '10.0.0.9-10.0.0.1' is not a range"),
        ("rightaddresspool=10.0.0.0/24;rightsubnet=10.2.0.0/16", "rightsubnet= and an assigned address exclude each"),
        ("leftsourceip=%config;leftsubnet=10.1.0.0/16", "leftsubnet= and an assigned address exclude each other"),
        ("leftmodecfgclient=yes;leftsourceip=10.1.0.1", "leftmodecfgclient=yes asks for an address"),
        ("modecfgdomains=corp.example", "modecfgdomains= needs servers to ask"),
        ("type=transport;leftsourceip=%config", "cannot handle TRANSPORT mode with sourceip"),
        ("leftgroups=admins", "attribute certificates are not available"),
        ("rightsubnet=vhost:%priv", "virtual IP must only be used with %any"),
        ("labeled_ipsec=yes", "labeled IPsec is not available"),
        ("policy_label=x", "labeled IPsec is not available"),
        ("sec-label=x", "labeled IPsec is not available"),
        ("loopback=yes", "labeled IPsec is not available"),
        ("mark=5", "policies bound to firewall marks are not available"),
        ("mark-in=5/0xff", "policies bound to firewall marks are not available"),
        ("mark-out=5", "policies bound to firewall marks are not available"),
        ("vti-interface=vti0", "policies bound to firewall marks are not available"),
        ("leftid=%null", "leftid=%null is for an end that proves nothing: leftauth=null"),
        ("authby=null;right=%any;rightsubnet=10.0.0.0/8", "would give that network to anybody: leave rightsubnet= out"),
        ("authby=magic", "authby=: invalid value: magic"),
        ("authby=rsasig;rightrsasigkey=%dnsondemand", "rightrsasigkey=%dnsondemand: the key of a peer that"),
        ("authby=rsasig;rightrsasigkey=%dns", "is not looked up: give it, or say right=%opportunistic"),
        ("authby=rsasig;rightrsasigkey=%odd", "rightrsasigkey=%odd: 0s..., 0x..., %cert or %none is wanted"),
        ("authby=rsasig;rightrsasigkey=0x0102", "rightrsasigkey=: not an RSA public key: RSA public key is cut short"),
        ("right=%group", "right=%group is for type=passthrough, drop or reject"),
        ("spibase=0x100", "neither esp= nor ah=: nothing would be protected"),
        ("leftespenckey=0x01", "leftespenckey=: it is for manually keyed conns, those with spi= or spibase="),
        ("auto=manual", "auto=manual: it is for manually keyed conns"),
        ("leftcat=yes", "leftcat=yes is for opportunistic conns"),
        ("leftikeport=600", "IKE uses ports 500 and 4500 here"),
        ("leftauth=eaponly;leftautheap=mschapv2", "a password alone does not prove a server, only EAP-TLS does"),
        ("leftautheap=md5", "keyword leftautheap, invalid value: md5"),
        ("dns-match-id=yes", "peers that fail it would be let in"),
        ("pam-authorize=yes", "peers it refuses would be let in"),
        ("groundhog=yes", "expired certificates are never accepted"),
        ("ppk=maybe", "keyword ppk, invalid value: maybe"),
        ("enable-tcp=yes;phase2=ah", "phase2=ah and enable-tcp=yes contradict each other"),
        ("send-redirect=yes", "send-redirect=yes needs redirect-to="),
        ("send-redirect=perhaps", "keyword send-redirect, invalid value: perhaps"),
        ("redirect-to=gw.example.org", "redirect-to=: 'gw.example.org' is not a numeric IP address"),
        ("accept-redirect=yes;accept-redirect-to=here", "accept-redirect-to=: 'here' is not a numeric IP address"),
        ("tcp-remoteport=0", "tcp-remoteport must be more than 0"),
        ("tcp-remoteport=65536", "number too large, at most 65535"),
        ("leftckaid=00", "there is no NSS database here"),
        ("leftecdsakey=0s00", "only RSA keys are read raw"),
        ("right=%any;left=%any", "left and right are both %any: one of them must say who it is"),
        ("right=%defaultroute;left=%defaultroute", "left and right are both %defaultroute"),
        ("right=192.0.2.1", "left and right are both 192.0.2.1"),
        ("right=2001:db8::1", "inconsistent left/right end address family"),
        ("right=1.2.3", "right=: '1.2.3' is neither an address nor a host name"),
        ("endaddrfamily=ipv6", "endaddrfamily is ipv6, the ends are not"),
        ("connaddrfamily=ipv6", "connaddrfamily is ipv6, the clients are not"),
        ("leftsubnet=10.0.0.0/8;rightsubnet=2001:db8::/32", "inconsistent left/right client address family"),
        ("leftsubnet=2001:db8::/32", "inconsistent left/right client address family"),
        ("leftsubnets={10.0.0.0/8};rightsubnets={2001:db8::/32}", "no pair of leftsubnets and rightsubnets is of one"),
        ("leftsubnets={" + "10.0.0.0/8 " * 65 + "};rightsubnets={" + "10.0.0.0/8 " * 65 + "}", "65 x 65 subnets make"),
        ("leftnexthop=2001:db8::1", "leftnexthop is of another address family than the ends"),
        ("leftnexthop=gw", "leftnexthop=: 'gw' is neither an address"),
        ("leftprotoport=tcp;rightprotoport=udp", "leftprotoport and rightprotoport name different protocols, 6 and 17"),
        ("leftprotoport=tpc", "leftprotoport=: 'tpc' is not a protocol"),
        ("leftid=%myid", "leftid=%myid: config setup has no myid="),
        ("leftid=%any", "leftid=: '%any' is not an identity"),
        ("leftcert=none.pem", "leftcert=: cannot read certificate '/c/none.pem': No such file or directory"),
        ("leftsourceip=x", "leftsourceip=: 'x' is not a numeric IP address"),
        ("authby=never", "authby=never wants type=passthrough, drop or reject"),
        ("type=drop;authby=secret", "type=drop negotiates nothing: it wants authby=never"),
        ("rightauth=never", "leftauth=never or rightauth=never alone means nothing: give authby=never"),
        ("ikev2=yes;ike=aes128-sha1-modp1024", 'ike="aes128-sha1-modp1024": \'modp1024\' is refused'),
        ("esp=des-sha1", "'des_cbc' is refused"),
        ("esp=ase", "unknown algorithm 'ase' (did you mean 'aes'?)"),
        ("ikelifetime=2d", "ikelifetime=2d: at most 86400 seconds"),
        ("salifetime=soon", 'salifetime: bad duration value "soon"'),
        ("retransmit-timeout=0", "retransmit-timeout must be more than 0"),
        ("retransmit-interval=0", "retransmit-interval must be more than 0"),
        ("retransmit-interval=soon", 'retransmit-interval: bad duration value "soon"'),
        ("forceencaps=yes;encapsulation=no", "forceencaps=yes and encapsulation=no contradict each other"),
        ("auto=perhaps", "keyword auto, invalid value: perhaps (there are ignore, add, route, start"),
        ("pfs=perhaps", "pfs=perhaps: yes or no is wanted"),
        ("replay-window=99999", "number too large, at most 4096"),
        ("rekeyfuzz=7", "bad percent value rekeyfuzz=7"),
    ],
)  # fmt: skip
def test_refused(body: str, want: str) -> None:
    found = errors(body)
    assert any(want in line for line in found), found
    assert all(line.startswith("f:") and 'conn "x": ' in line for line in found)


def test_missing_ends() -> None:
    text = "conn x\n\tauto=add\n\tauthby=secret\n"
    loaded = load_text(text, "f", lambda pattern, directory: [], certs)
    assert [str(line) for line in loaded.complaints] == [
        'f:1: conn "x": left= is missing',
        'f:1: conn "x": right= is missing',
    ]


def test_a_conn_for_others_also_need_not_be_whole() -> None:
    text = "conn base\n\tauthby=secret\n\tright=1.1.1.1\nconn x\n\talso=base\n\tleft=2.2.2.2\n\tauto=add\n"
    loaded = load_text(text, "f", lambda pattern, directory: [], certs)
    assert loaded.complaints == () and [conn.name for conn in loaded.connections] == ["x"]
    assert [str(line) for line in loaded.about("base")] == ['f:1: conn "base": left= is missing']
    assert loaded.broken("base") and not loaded.broken("x") and not loaded.broken("nobody")


def test_conns_by_certificate_load_whatever_must_be_known_of_revocation() -> None:
    for strict in ("no", "ifuri", "yes"):
        conn = one("authby=rsasig;leftcert=gw.pem", f"\tstrictcrlpolicy={strict}\n")
        assert conn.left.cert == b"DER" and conn.left.cert_chain == (b"ABOVE",)


@pytest.mark.parametrize(
    ("body", "want"),
    [
        ("ah=sha1", 'f:6: warning: conn "x": ah= counts with phase2=ah only: this conn uses ESP'),
        ("ikev1=yes", "ikev1=yes is not acted on: a conn has one version, IKEv2 unless it says ikev2=no"),
        ("priority=7", "priority=7 is not acted on"),
        ("debug=refcnt", "debug=refcnt is not acted on: there are raw, crypt,"),
        ("debug=private", "debug=private is not obeyed"),
        ("leftcerttype=x509", "obsolete keyword 'leftcerttype' ignored. Certificates tell"),
        ("vti-routing=yes", "obsolete keyword 'vti-routing' ignored. There are no VTI devices"),
        ("leftid=gw.example.org", "leftid=gw.example.org is taken as @gw.example.org, names are not looked up"),
        ("leftsubnet=10.1.2.3/8", "leftsubnet: '10.1.2.3/8' has host bits set, 10.0.0.0/8 is used"),
        ("leftsourceip=10.9.0.1;leftsubnet=10.1.0.0/16", "leftsourceip 10.9.0.1 is outside leftsubnet 10.1.0.0/16"),
        ("dpdtimeout=60", "dpd settings are ignored unless dpddelay= is set"),
        ("dpdaction=clear", "dpd settings are ignored unless dpddelay= is set"),
        ("ike=3des-sha1-modp2048", "'3des_cbc' is weak"),
        ("esp=null-sha1", "'null' is weak"),
        ("authby=rsasig", "neither end has a public key or certificate"),
    ],
)
def test_warned(body: str, want: str) -> None:
    found = warned(body)
    assert len(found) == 1 and want in found[0] and ": warning: conn" in found[0], found


@pytest.mark.parametrize(
    "body",
    """compress=no ikev1=no aggrmode=no mobike=no leftxauthserver=no fragmentation=yes ikev2=insist ikev2=propose
    ikev2=yes ikev2=permit keyexchange=ike keyexchange=ikev2 phase2=esp dpddelay=30 enable-tcp=no
    nic-offload=auto ppk=no loopback=no auto=ondemand auto=up auto=keep leftsendcert=always""".split(),
)
def test_what_happens_anyway_is_not_worth_a_word(body: str) -> None:
    one(body)


def test_dpd_delay_alone() -> None:
    assert (one("dpddelay=30").dpd_delay, one("dpddelay=30").dpd_timeout) == (30, 120)


def test_a_bad_conn_never_stops_the_others() -> None:
    text = (
        "conn bad\n\tleft=zz zz\n\tauto=add\nconn good\n\tleft=1.1.1.1\n\tright=2.2.2.2\n\tauthby=secret\n\tauto=add\n"
    )
    loaded = load_text(text, "f", lambda pattern, directory: [], certs)
    assert [conn.name for conn in loaded.connections] == ["good"]
    assert loaded.failed and all(line.conn == "bad" for line in loaded.complaints)


def test_swapping_left_and_right_swaps_the_ends_and_nothing_else() -> None:
    made = one("leftsubnet=10.1.0.0/16;leftid=@a;rightprotoport=tcp/80;leftprotoport=tcp")
    text = (
        "conn x\n\tright=192.0.2.1\n\tleft=198.51.100.7\n\tauthby=secret\n\trightsubnet=10.1.0.0/16\n\trightid=@a\n"
        "\tleftprotoport=tcp/80\n\trightprotoport=tcp\n"
    )
    [other] = load_text(text, "f", lambda pattern, directory: [], certs).connections
    assert (other.left, other.right) == (made.right, made.left)


def test_postquantum_keys() -> None:
    made = one("ppk=insist;ppk-ids=first,second")
    assert made.ppk is PpkUse.INSIST and made.ppk_ids == ("first", "second")
    assert one("ppk=yes").ppk is PpkUse.PROPOSE and one("").ppk is PpkUse.NO


def test_exchanges_more_or_fewer() -> None:
    made = one("intermediate=yes;childless=prefer;session-resumption=yes;fragmentation=no;initial-contact=no")
    assert not made.fragmentation and not made.initial_contact
    assert made.intermediate and made.childless is Childless.PREFER and made.resumption
    plain = one("")
    assert plain.fragmentation and plain.initial_contact and one("fragmentation=force").fragmentation
    assert not plain.intermediate and plain.childless is Childless.ALLOW and not plain.resumption


@pytest.mark.parametrize(
    "body", ["reqid=7", "clones=4", "sareftrack=conntrack", "firstmsgid=3", "nic-offload=packet", "ikepad=no"]
)
def test_what_could_change_nothing_is_passed_over_in_silence(body: str) -> None:
    assert not load(body).complaints


def test_nobody_looks_for_a_nat_where_config_setup_says_so() -> None:
    assert one("").encapsulation == "auto"
    for line in ("nat_traversal=no", "disable_port_floating=yes"):
        assert one("", f"\t{line}\n").encapsulation == "no"
        assert one("encapsulation=yes", f"\t{line}\n").encapsulation == "yes"
        assert one("encapsulation=auto", f"\t{line}\n").encapsulation == "auto"
        assert one("forceencaps=yes", f"\t{line}\n").encapsulation == "yes"
    assert one("", "\tnat_traversal=yes\n").encapsulation == "auto"
    assert one("nat-ikev1-method=none;ikev2=no").encapsulation == "no"
    assert one("nat-ikev1-method=none").encapsulation == "auto"


def test_habits_of_a_conn() -> None:
    assert one("").nat_keepalive and not one("nat-keepalive=no").nat_keepalive
    assert one("ignore-peer-dns=yes").ignore_dns and not one("").ignore_dns
    assert (one("").copy_dscp, one("encap-dscp=yes").copy_dscp, one("encap-dscp=no").copy_dscp) == (None, True, False)
    assert one("decap-dscp=yes").take_dscp and not one("").take_dscp
    assert one("dpddelay=9;ikev1-dpdtimeout=40").dpd_timeout == 40


def test_strangers_that_prove_nothing_can_be_kept_out() -> None:
    group = "right=%opportunisticgroup;authby=null"
    assert one(group).auth_grade is one(group, "\tdrop-oppo-null=no\n").auth_grade is Grade.NULL
    assert one(group, "\tdrop-oppo-null=yes\n").auth_grade is Grade.DNS
    assert one(f"{group};authgrade=cert", "\tdrop-oppo-null=yes\n").auth_grade is Grade.CERT


def test_an_end_says_whether_the_packet_filter_is_to_be_opened() -> None:
    made = one("leftfirewall=yes;righthostaccess=yes;rightfirewall=no")
    assert (made.left.firewall, made.left.host_access) == (True, False)
    assert (made.right.firewall, made.right.host_access) == (False, True)


def test_none_takes_back_the_classes_before_it() -> None:
    assert one('debug="all,none"').debug == ()
    assert one('debug="control none dpd"').debug == ("dpd",)
