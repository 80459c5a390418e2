# SPDX-License-Identifier: GPL-2.0-or-later
"""Conns with %group, %opportunistic and %opportunisticgroup: what they may say and what goes without saying."""

from ipaddress import ip_network

import pytest

from openswan.config.load import Loaded, load_text
from openswan.config.opportunistic import unavailable
from openswan.config.plain import connection_from_plain, connection_to_plain
from openswan.policy.connection import SIGNATURES, Auth, Connection
from openswan.policy.grade import Grade
from openswan.policy.groups import Stance, stance_of, whoever_is_behind
from openswan.policy.identity import MY_ID, matches, parse_identity

KEY = "0x03010001" + "c1" + "00" * 126 + "01"
LATER = "opportunistic encryption is not available in this release"


def load(text: str) -> Loaded:
    return load_text(text, "f", lambda pattern, directory: [], lambda name: ())


def one(body: str, setup: str = "") -> Connection:
    """A conn x, `body` a line each (';' separates); nothing but that it is not available yet may be wrong with it."""
    lines = "".join(f"\t{line.strip()}\n" for line in body.split(";"))
    loaded = load(f"config setup\n{setup}\nconn x\n\tleft=%defaultroute\n{lines}")
    assert all(LATER in str(each) for each in loaded.complaints), [str(each) for each in loaded.complaints]
    [made] = loaded.opportunistic
    if unavailable(made):
        assert loaded.connections == () and loaded.failed
    else:
        assert loaded.connections == (made,) and not loaded.failed
    assert connection_from_plain(connection_to_plain(made)) == made
    return made


def errors(body: str) -> list[str]:
    lines = "".join(f"\t{line.strip()}\n" for line in body.split(";"))
    loaded = load(f"conn x\n\tleft=%defaultroute\n{lines}")
    assert loaded.opportunistic == () and loaded.failed
    return [each.text for each in loaded.complaints if each.fatal]


def test_the_implicit_conns() -> None:
    loaded = load("config setup\n\toe=yes\n")
    names = [each.name for each in loaded.connections]
    assert names == ["packetdefault", "clear", "clear-or-private", "private-or-clear", "private", "block"]
    assert {made.name: stance_of(made) for made in loaded.opportunistic} == {
        "packetdefault": Stance.PRIVATE_OR_CLEAR,
        "clear": Stance.CLEAR,
        "clear-or-private": Stance.CLEAR_OR_PRIVATE,
        "private-or-clear": Stance.PRIVATE_OR_CLEAR,
        "private": Stance.PRIVATE,
        "block": Stance.BLOCK,
    }
    for made in loaded.opportunistic:
        if made.auth is not Auth.NEVER:
            assert made.left.id == MY_ID and made.left.dns_key and made.right.dns_key
            assert made.keying_tries == 3 and made.ike_lifetime == 3600
        assert made.right.subnet is None, "both families"


def test_they_can_be_switched_off_and_redefined() -> None:
    assert load("").opportunistic == load("config setup\n\toe=no\n").opportunistic == ()
    text = "config setup\n\toe=yes\nconn packetdefault\n\tauto=ignore\nconn Clear\n\tauto=ignore\n"
    text += (
        "conn private\n\tleft=%defaultroute\n\tright=%oppogroup\n\tauthby=secret\n\tfailureshunt=reject\n\tauto=route\n"
    )
    found = {made.name: made for made in load(text).opportunistic}
    assert set(found) == {"private", "clear-or-private", "private-or-clear", "block"}
    assert stance_of(found["private"]) is Stance.REFUSE and found["private"].auth is Auth.PSK


def test_others_build_on_them() -> None:
    loaded = load("conn behind\n\tleftsubnet=192.0.2.0/24\n\talso=private-or-clear\n")
    [made] = loaded.opportunistic
    assert (
        made.name == "behind" and str(made.left.subnet) == "192.0.2.0/24" and stance_of(made) is Stance.PRIVATE_OR_CLEAR
    )


def test_both_families_unless_one_is_named() -> None:
    assert one("right=%oppo;rightsubnet=0.0.0.0/0").right.subnet is None
    assert one("right=%oppo;rightsubnet=::/0").right.subnet is None
    assert str(one("right=%oppo;rightsubnet=::/0;connaddrfamily=ipv6").right.subnet) == "::/0"
    assert str(one("right=%oppo;rightsubnet=10.0.0.0/8").right.subnet) == "10.0.0.0/8"


def test_what_goes_without_saying() -> None:
    made = one("right=%oppogroup")
    assert made.auth == SIGNATURES and made.left.id == MY_ID and made.right.id is None
    assert made.left.dns_key and made.right.dns_key
    assert not one("right=%oppogroup;authby=secret").right.dns_key
    assert not one("right=%oppogroup;rightid=%fromcert").right.dns_key
    assert one("right=%oppogroup;leftrsasigkey=" + KEY).right.dns_key
    assert str(one("right=%oppogroup;leftid=%myid", "\tmyid=@gw.example.org\n").left.id) == "@gw.example.org"
    assert str(one("right=%oppogroup", "\tmyid=@gw.example.org\n").left.id) == "@gw.example.org"
    assert one("right=%oppogroup;leftid=%myid").left.id == MY_ID
    assert str(one("right=%oppogroup;authby=null").left.id) == "ID_NULL"


def test_my_id_is_nobody_else() -> None:
    assert str(MY_ID) == "%myid"
    assert not matches(MY_ID, MY_ID) and not matches(MY_ID, parse_identity("@gw"))


def test_keys_from_dns_are_for_these_alone() -> None:
    assert one("right=%oppo;rightrsasigkey=%dnsondemand;leftrsasigkey=%dns").right.dns_key
    assert errors("right=192.0.2.7;rightrsasigkey=%dns;auto=add") == [
        "rightrsasigkey=%dns: the key of a peer that the conn names is not looked up: give it, or say "
        "right=%opportunistic"
    ]


def test_keywords_of_their_own() -> None:
    made = one("right=%oppogroup;holdtimeout=1500ms;authgrade=dnssec;keepgrade=yes")
    assert (made.hold_timeout, made.auth_grade, made.keep_grade) == (1.5, Grade.DNSSEC, True)
    assert one("right=%oppogroup;authgrade=raw").auth_grade is Grade.RAW_KEY
    default = one("right=%oppogroup")
    assert (default.hold_timeout, default.auth_grade, default.keep_grade) == (3.0, Grade.NULL, False)
    for line in ("holdtimeout=5s", "authgrade=psk", "keepgrade=yes"):
        name = line.partition("=")[0]
        assert errors(f"right=192.0.2.7;authby=secret;{line}") == [
            f"{name}= is for conns with %group, %opportunistic or %opportunisticgroup"
        ]
    assert errors("right=%oppogroup;holdtimeout=0") == ["holdtimeout must be more than 0"]
    [why] = errors("right=%oppogroup;authgrade=best")
    assert why.startswith("keyword authgrade, invalid value: best (there are null, dns,")


def test_shunts() -> None:
    assert stance_of(one("right=%group;type=passthrough")) is Stance.CLEAR
    assert stance_of(one("right=%group;type=drop;authby=never")) is Stance.DROP
    assert stance_of(one("right=%oppogroup;type=passthrough;authby=rsasig")) is Stance.CLEAR_OR_PRIVATE
    assert stance_of(one("right=%oppogroup;type=passthrough;authby=never")) is Stance.CLEAR
    assert stance_of(one("right=%oppogroup;type=reject")) is Stance.BLOCK


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("right=%group", "right=%group is for type=passthrough, drop or reject: right=%opportunisticgroup negotiates"),
        ("right=%oppo;type=passthrough", "right=%opportunistic is for type=tunnel: right=%group takes shunts"),
        ("right=%oppogroup;type=transport", "opportunistic conns use tunnel mode: leave type= out"),
        ("right=%oppogroup;pfs=no", "opportunistic conns want fresh keys each time: leave pfs=no out"),
        ("right=%oppogroup;rightnexthop=192.0.2.9", "rightnexthop= is not known of a peer that is found on the way"),
        ("right=%oppogroup;authby=eap-tls;rightid=%fromcert", "opportunistic conns do not use EAP"),
        ("right=%oppogroup;type=drop;authby=rsasig", "type=drop negotiates nothing: it wants authby=never"),
    ],
)
def test_refused(body: str, why: str) -> None:
    assert any(each.startswith(why) for each in errors(body)), errors(body)


def test_one_of_the_two_must_be_us() -> None:
    loaded = load("conn x\n\tleft=%oppo\n\tright=%oppogroup\n")
    assert any("one of them must be us" in str(each) for each in loaded.complaints) and not loaded.opportunistic


def test_whoever_is_behind_this_host() -> None:
    loaded = load("config setup\n\toe=yes\n")
    [made] = [made for made in loaded.opportunistic if made.name == "packetdefault"]
    assert not loaded.complaints and made in loaded.connections
    assert made.left.subnet == ip_network("0.0.0.0/0") and whoever_is_behind(made)
    assert not any(whoever_is_behind(other) for other in loaded.opportunistic if other is not made)


def test_hosts_behind_nat() -> None:
    made = one("right=%opportunisticgroup;authby=null;rightaddresspool=100.64.0.1-100.64.0.9")
    assert [str(pool) for pool in made.right.pools] == ["100.64.0.1-100.64.0.9"] and made.left.cat
    assert not one("right=%opportunisticgroup;authby=null;leftcat=no").left.cat
    [why] = errors("right=%opportunisticgroup;authby=rsasig;ikev2=no;rightaddresspool=100.64.0.0/24")
    assert "by IKEv2 alone" in why
    [why] = errors("right=192.0.2.1;authby=secret;leftcat=yes;auto=add")
    assert "leftsourceip=%config" in why
