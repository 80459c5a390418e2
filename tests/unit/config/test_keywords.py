# SPDX-License-Identifier: GPL-2.0-or-later
"""The keyword table: complete, consistent, and it knows every keyword of the old systems."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from openswan.base.errors import ConfigError
from openswan.config.keyword import Form, Halves, Section, Status
from openswan.config.keywords import TABLE, find, is_comment, nearest, other_section

REFERENCE = Path(__file__).parents[4] / "shared/reference/ipsec.conf.md"


def test_every_row_is_complete() -> None:
    for row in TABLE:
        assert row.sentence.endswith("."), row.name
        assert (row.status in (Status.REFUSED, Status.HARMLESS, Status.MOOT)) <= bool(row.reason), row.name
        assert (row.form is Form.CHOICE) <= bool(row.choices), row.name
        assert row.status in (Status.HARMLESS, Status.REFUSED) or not row.fine, row.name
        assert row.section is Section.CONN or row.halves is Halves.NO, row.name
        for value in (*row.fine, *row.refused):
            assert row.canonical(value) == value, (row.name, value)


def test_defaults_are_values() -> None:
    for row in TABLE:
        if row.default and row.form in (Form.BOOL, Form.NUMBER, Form.TIME, Form.PERCENT, Form.CHOICE):
            try:
                row.canonical(row.default)
            except ConfigError as why:
                raise AssertionError(f"{row.name}: {why}") from None


@pytest.mark.parametrize(
    ("written", "name", "side"),
    [
        ("left", "", "left"),
        ("RIGHT", "", "right"),
        ("leftSubnet", "subnet", "left"),
        ("leftrsakey", "rsasigkey", "left"),
        ("esp", "phase2alg", ""),
        ("keylife", "salifetime", ""),
        ("auth", "phase2", ""),
        ("leftauth", "auth", "left"),
        ("replay_window", "replay-window", ""),
        ("sha2-truncbug", "sha2_truncbug", ""),
        ("clientaddrfamily", "connaddrfamily", ""),
        ("modecfgdns1", "modecfgdns", ""),
        ("rightmodecfgdns1", "modecfgdns", "right"),
        ("spi", "spi", ""),
        ("leftespenckey", "espenckey", "left"),
    ],
)
def test_spellings(written: str, name: str, side: str) -> None:
    found = find(Section.CONN, written)
    assert found is not None
    assert (found[0].name, found[1]) == (name, side)


def test_a_hyphen_after_the_side() -> None:
    assert find(Section.CONN, "left-subnet") == find(Section.CONN, "leftsubnet")
    assert find(Section.CONN, "right-modecfgserver") == find(Section.CONN, "rightmodecfgserver")
    assert find(Section.CONN, "left-") is None


def test_unknown() -> None:
    assert find(Section.CONN, "lefft") is None
    assert nearest(Section.CONN, "lefft") == "left"
    assert nearest(Section.CONN, "leftsubent") == "leftsubnet"
    assert nearest(Section.CONN, "qqqqqqqq") == ""
    assert nearest(Section.SETUP, "plutodebgu") == "plutodebug"
    assert find(Section.SETUP, "left") is None and other_section(Section.SETUP, "left") is Section.CONN
    assert other_section(Section.CONN, "plutodebug") is Section.SETUP
    assert other_section(Section.CONN, "qqqq") is None


def test_remarks() -> None:
    for name in ("x-mine", "X-Mine", "x_mine", "X_"):
        assert is_comment(name)
    assert not is_comment("xauthby")


def of_openswan() -> Iterator[tuple[Section, str]]:
    """Every keyword in the first columns of the two tables of the reference."""
    text = REFERENCE.read_text()
    setup = text[text.index("## 4. ") : text.index("LS config setup")]
    conns = text[text.index("## 5. ") : text.index("Consistency rules")]
    for part, section in ((setup, Section.SETUP), (conns, Section.CONN)):
        for line in part.splitlines():
            cell = line.split("|")[1] if line.startswith("| ") else ""
            if not cell or cell.strip() == "Keyword" or "`x-" in cell:
                continue
            halves = "L/R" in cell
            for word in words(cell.replace("L/R", "").replace("left/right", "left right")):
                spelled = word if word in ("left", "right") or not halves else f"left{word}"
                yield section, "leftmodecfgclient" if word == "client" and "modecfg" in cell else spelled


def words(cell: str) -> list[str]:
    return re.findall(r"[A-Za-z][A-Za-z0-9_-]*", re.sub(r"\(.*?\)", "", cell))


def test_every_keyword_of_openswan_is_acted_on_or_has_something_in_its_place() -> None:
    seen = 0
    for section, name in of_openswan():
        found = find(section, name)
        assert found is not None, (section, name)
        row = found[0]
        assert row.status in (Status.ACTED, Status.OBSOLETE, Status.MOOT) or row.reason, f"{name}: what replaced it?"
        seen += 1
    assert seen > 120


@pytest.mark.parametrize(
    "name",
    """mobike fragmentation encapsulation nic-offload replay-window mark mark-in mark-out vti-interface vti-routing
    vti-shared leftvti ipsec-interface leftinterface-ip nat-keepalive nat-ikev1-method esn ppk ppk-ids intermediate
    priority reqid tfc nopmtudisc decap-dscp encap-dscp leftaddresspool modecfgdomains modecfgbanner ignore-peer-dns
    negotiationshunt leftcat dns-match-id require-id-on-certificate sendca xauthby xauthfail pam-authorize enable-tcp
    tcp-remoteport leftikeport send-redirect redirect-to accept-redirect accept-redirect-to retransmit-timeout
    retransmit-interval ipsec-max-bytes ipsec-max-packets clones session-resumption iptfs iptfs-packet-size groundhog
    updown-config share-lease initial-contact fake-strongswan send-vendorid cisco-unity cisco-split ms-dh-downgrade
    pfs-rekey-workaround hostaddrfamily sec-label leftauth leftckaid leftpubkey leftusername""".split(),
)
def test_modern_keywords_are_known(name: str) -> None:
    assert find(Section.CONN, name) is not None


@pytest.mark.parametrize(
    "name",
    """ikev1-policy audit-log logappend logip loglimit ddos-mode ddos-ike-threshold max-halfopen-ike ike-socket-bufsize
    ike-socket-errqueue listen-udp listen-tcp shuntlifetime expire-shunt-interval xfrmlifetime global-redirect
    global-redirect-to dnssec-enable dnssec-rootkey-file dnssec-anchors curl-iface curl-timeout crl-strict ocsp-enable
    ocsp-strict ocsp-uri ocsp-timeout ocsp-trustname ocsp-method ocsp-cache-size ocsp-cache-min-age ocsp-cache-max-age
    seedbits seccomp statsbin nssdir ipsecdir secretsfile myvendorid drop-oppo-null nflog-all expire-lifetime
    ipsec-interface-managed logfile logtime virtual-private keep-alive""".split(),
)
def test_modern_setup_keywords_are_known(name: str) -> None:
    assert find(Section.SETUP, name) is not None
