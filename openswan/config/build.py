# SPDX-License-Identifier: GPL-2.0-or-later
"""Flat sections to policy.Connection: every value read, every contradiction named; one bad conn never stops another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openswan.base.address import Address, host_subnet
from openswan.base.debugclasses import NOT_OBEYED, PRIVATE, WORDS
from openswan.base.errors import ConfigError
from openswan.base.interval import parse_duration
from openswan.config.complaint import Complaint
from openswan.config.ends import parse_gateways
from openswan.config.ikev1 import checked, ike_version
from openswan.config.keyword import split_list
from openswan.config.modecfg import parse_domains, parse_servers
from openswan.config.offers import (
    ESN,
    ah_proposals,
    encapsulation,
    esp_proposals,
    extended_numbers,
    ike_proposals,
    with_group,
)
from openswan.config.opportunistic import completed, may_negotiate, problems
from openswan.config.pairs import expand
from openswan.config.parser import FlatConn
from openswan.config.proofs import authentication, eap_identity, with_proof
from openswan.config.setup import Setup
from openswan.config.side import NO_ADDRESSES, CertReader, read_side
from openswan.config.values import Values
from openswan.policy.connection import (
    Auth,
    Childless,
    Connection,
    DpdAction,
    End,
    HostKind,
    PpkUse,
    ShuntPolicy,
    Startup,
    TcpUse,
    XauthBy,
)
from openswan.policy.grade import Grade, parse_grade
from openswan.policy.identity import MY_ID
from openswan.policy.modecfg import MOST_BANNER

SHUNTS = {"passthrough": ShuntPolicy.PASS, "drop": ShuntPolicy.DROP, "reject": ShuntPolicy.REJECT}
DPD_TIMEOUT = 120.0
"""When dpddelay= stands alone."""
NO_DOMAINS: tuple[str, ...] = ()
PACKETS = {"": 1, **{f"{letter}i": 1 << 10 * n for n, letter in enumerate("kmgtpe", 1)}}
OCTETS = {"": 1, "b": 1, **{f"{unit}b": n for unit, n in PACKETS.items() if unit}}


def build_conn(flat: FlatConn, setup: Setup, certs: CertReader) -> tuple[list[Connection], list[Complaint]]:
    """The connections one conn stands for (none when it is broken), and every complaint about it."""
    values = Values(flat, list(flat.complaints))
    made = list(_connections(values, setup, certs))
    return ([] if values.broken else made), list(dict.fromkeys(values.complaints))


def _connections(values: Values, setup: Setup, certs: CertReader) -> Iterator[Connection]:
    values.check_keywords()
    left, right = (read_side(values, side, setup, certs) for side in ("left", "right"))
    if left is None or right is None:
        return
    _check_hosts(values, left.end, right.end)
    base = _base(values, setup, left.end, right.end)
    for key, text in problems(base, values.canonical):
        values.error(text, values.flat.params.get(key))
    if not values.broken:
        yield from expand(values, base, left, right)


def _check_hosts(values: Values, left: End, right: End) -> None:
    kinds = (left.host.kind, right.host.kind)
    for kind in (HostKind.ANY, HostKind.DEFAULTROUTE):
        if kinds == (kind, kind):
            values.error(f"left and right are both {kind.value}: one of them must say who it is")
    versions = {end.host.address.version for end in (left, right) if end.host.address is not None}
    if len(versions) == 2:
        values.error("inconsistent left/right end address family")
    wanted = {"ipv4": 4, "ipv6": 6}.get(values.value("endaddrfamily"))
    if wanted and versions - {wanted}:
        values.error(
            f"endaddrfamily is {values.value('endaddrfamily')}, the ends are not", values.param("endaddrfamily")
        )
    if left.host.address is not None and left.host.address == right.host.address:
        values.error(f"left and right are both {left.host.address}")
    for name, end in (("left", left), ("right", right)):
        if end.nexthop is not None and {end.nexthop.version} != (versions or {end.nexthop.version}):
            values.error(f"{name}nexthop is of another address family than the ends", values.param("nexthop", name))


def _base(values: Values, setup: Setup, left: End, right: End) -> Connection:
    auth, left, right = authentication(values, left, right)
    prospective = _type(values, auth, left, right)
    if prospective is not ShuntPolicy.TRAP and not may_negotiate(left.host, right.host, prospective):
        auth = Auth.NEVER
    mine = setup.my_id or MY_ID
    left, right = with_proof(values, auth, left, right)
    left, right = completed(left, right, auth, mine), completed(right, left, auth, mine)
    version = ike_version(values, setup, auth)
    esn = extended_numbers(values)
    dpd = _dpd(values)
    ah = values.value("phase2", "esp") == "ah"
    conn = Connection(
        values.flat.name,
        left,
        right,
        aliases=tuple(split_list(values.value("connalias"))),
        auth=auth,
        resumption=values.yes("session-resumption"),
        childless=Childless(values.value("childless", "allow")),
        intermediate=values.yes("intermediate"),
        ppk=PpkUse(values.value("ppk", "no")),
        ppk_ids=tuple(split_list(values.value("ppk-ids"))),
        eap_identity=eap_identity(values, auth),
        ike_version=version,
        aggressive=values.yes("aggrmode"),
        tunnel=not _transport(values, left, right),
        ike_proposals=ike_proposals(values, version),
        esp_proposals=with_group(values, (ah_proposals if ah else esp_proposals)(values, ESN[esn], version), version),
        ike_text=values.flat.text("ike") or "",
        esp_text=(ah and values.flat.text("ah")) or values.flat.text("phase2alg") or "",
        pfs=values.yes("pfs"),
        pfs_optional=values.param("pfs") is None,
        compress=values.yes("compress"),
        sha2_truncbug=values.yes("sha2_truncbug"),
        ike_lifetime=values.time("ikelifetime"),
        ipsec_lifetime=values.time("salifetime"),
        rekey=values.yes("rekey"),
        reauth=values.yes("reauth"),
        rekey_margin=values.time("rekeymargin"),
        rekey_fuzz=int(values.value("rekeyfuzz", "100%")[:-1]) / 100,
        keying_tries=values.number("keyingtries"),
        prospective=prospective,
        negotiation_shunt=ShuntPolicy(values.value("negotiationshunt", "hold")),
        failure_shunt=ShuntPolicy(values.value("failureshunt", "none")),
        dpd_delay=dpd[0],
        dpd_timeout=dpd[1],
        dpd_action=DpdAction(values.value("dpdaction", "hold")),
        encapsulation=encapsulation(values, setup, version),
        **_redirects(values),
        tcp=_tcp(values),
        tcp_port=int(values.positive("tcp-remoteport", values.number("tcp-remoteport"))),
        esn=esn,
        replay_window=values.number("replay-window"),
        narrowing=values.yes("narrowing"),
        fragmentation=values.value("fragmentation", "yes") != "no",
        initial_contact=values.yes("initial-contact"),
        overlap_ip=values.yes("overlapip"),
        arrival_check=not values.yes("disablearrivalcheck"),
        leak_guard=values.yes("leakguard"),
        other_family_clear=values.value("otherfamily") == "clear",
        metric=values.number("metric"),
        mtu=values.number("mtu"),
        tfc=values.number("tfc"),
        refuse_tfc=values.yes("send-no-esp-tfc"),
        max_bytes=values.amount("ipsec-max-bytes", OCTETS),
        max_packets=values.amount("ipsec-max-packets", PACKETS),
        path_mtu=not values.yes("nopmtudisc"),
        retransmit_timeout=values.positive("retransmit-timeout", values.time("retransmit-timeout")),
        retransmit_interval=values.positive("retransmit-interval", _interval(values)),
        startup=Startup(_startup(values)),
        mobike=values.yes("mobike"),
        dns=_servers(values),
        domains=_domains(values),
        wins=_winses(values),
        banner=values.value("modecfgbanner")[:MOST_BANNER],
        config_pull=values.yes("modecfgpull"),
        unity=values.yes("cisco-unity") or values.value("remote_peer_type") == "cisco",
        xauth_by=XauthBy(values.value("xauthby", "file")),
        xauth_soft=values.value("xauthfail") == "soft",
        cisco=values.value("remote_peer_type") == "cisco",
        nm_configured=values.yes("nm_configured"),
        debug=_debug(values),
        take_dscp=values.yes("decap-dscp"),
        copy_dscp=values.yes("encap-dscp") if values.param("encap-dscp") else None,
        nat_keepalive=values.yes("nat-keepalive"),
        ignore_dns=values.yes("ignore-peer-dns"),
        hold_timeout=values.positive("holdtimeout", values.time("holdtimeout")),
        auth_grade=_grade(values, setup),
        keep_grade=values.yes("keepgrade"),
    )
    return checked(values, conn)


def _servers(values: Values) -> tuple[Address, ...]:
    """modecfgdns= and modecfgdns2=, of either side or none."""
    sides = [("modecfgdns", side) for side in ("", "left", "right")]
    sides += [("modecfgdns2", side) for side in ("", "left", "right")]
    found = [server for name, side in sides for server in values.read(name, side, parse_servers, NO_ADDRESSES)]
    return tuple(dict.fromkeys(found))


def _winses(values: Values) -> tuple[Address, ...]:
    """modecfgwins1= and modecfgwins2=, of either side or none."""
    given = [(name, side) for name in ("modecfgwins1", "modecfgwins2") for side in ("", "left", "right")]
    found = [server for name, side in given for server in values.read(name, side, parse_servers, NO_ADDRESSES)]
    return tuple(dict.fromkeys(found))


def _domains(values: Values) -> tuple[str, ...]:
    domains = values.read("modecfgdomains", "", parse_domains, NO_DOMAINS)
    if domains and not _servers(values):
        values.error("modecfgdomains= needs servers to ask: give modecfgdns=", values.param("modecfgdomains"))
    return domains


def _debug(values: Values) -> tuple[str, ...]:
    words = [word.lower() for word in split_list(values.value("debug"))]
    param = values.param("debug")
    for word in words:
        if word not in WORDS:
            values.warn(f"debug={word[:40]} is not acted on: there are {', '.join(WORDS)}", param)
        elif word == PRIVATE:
            values.warn(f"debug={NOT_OBEYED}", param)
    if "none" in words:  # it takes back what stands before it
        words = words[len(words) - words[::-1].index("none") :]
    return tuple(word for word in words if word in WORDS and word != PRIVATE)


def _grade(values: Values, setup: Setup) -> Grade:
    """authgrade=, of at least what config setup asks for."""
    said = parse_grade(values.value("authgrade", "null"))
    return Grade.DNS if setup.known_only and said is Grade.NULL else said


def _startup(values: Values) -> str:
    value = values.value("auto", "ignore")
    return value if value != "manual" else "ignore"


def _interval(values: Values) -> float:
    text = values.value("retransmit-interval", "500ms")
    try:
        return parse_duration(text + "ms" if text.isdigit() else text)
    except ConfigError as why:
        values.error(f"retransmit-interval: {why.reason}", values.param("retransmit-interval"))
        return 0.5


def _transport(values: Values, left: End, right: End) -> bool:
    """type=transport, which the two ends have for themselves alone."""
    if values.value("type", "tunnel") != "transport":
        return False
    for name, end in (("left", left), ("right", right)):
        for keyword in ("subnet", "subnets", "subnetwithin", "sourceip", "addresspool", "modecfgclient"):
            param = values.param(keyword, name)
            # Behind a NAT or not, transport mode is with the address packets come from.
            if param is None or (keyword == "subnet" and (end.virtual is not None or _only(param.value, end))):
                continue
            values.error(
                f"cannot handle TRANSPORT mode with {keyword}: it is between the two ends alone; leave "
                f"{param.spelled}= out or use type=tunnel",
                param,
            )
    return True


def _only(text: str, end: End) -> bool:
    """Is a subnet= just the end's own address?"""
    return end.host.address is not None and text in (str(end.host.address), str(host_subnet(end.host.address)))


def _type(values: Values, auth: Auth, left: End, right: End) -> ShuntPolicy:
    kind = values.value("type", "tunnel")
    if kind in SHUNTS:
        answers = may_negotiate(left.host, right.host, SHUNTS[kind])
        if auth is not Auth.NEVER and values.param("authby") is not None and not answers:
            # Nobody can take a conn of %group for one that negotiates.
            certain = HostKind.GROUP in (left.host.kind, right.host.kind)
            text = f"type={kind} negotiates nothing: it wants authby=never"
            (values.warn if certain else values.error)(text, values.param("authby"))
        return SHUNTS[kind]
    if auth is Auth.NEVER:
        values.error("authby=never wants type=passthrough, drop or reject", values.param("authby"))
    return ShuntPolicy.TRAP


def _redirects(values: Values) -> dict[str, Any]:
    """send-redirect= and accept-redirect= with what belongs to them."""
    send, to = values.value("send-redirect", "no"), values.read("redirect-to", "", parse_gateways, NO_ADDRESSES)
    if send != "no" and not to:
        values.error(f"send-redirect={send} needs redirect-to=", values.param("send-redirect"))
    param = values.param("accept-redirect-to")
    anywhere = param is None or param.value.lower() == "%any"
    allowed = NO_ADDRESSES if anywhere else values.read("accept-redirect-to", "", parse_gateways, NO_ADDRESSES)
    return {
        "send_redirect": send,
        "redirect_to": to,
        "accept_redirect": values.yes("accept-redirect"),
        "accept_redirect_to": allowed,
    }


def _tcp(values: Values) -> TcpUse:
    use = TcpUse(values.value("enable-tcp", "no"))
    if use is TcpUse.YES and values.value("phase2", "esp") == "ah":
        values.error("phase2=ah and enable-tcp=yes contradict each other: AH does not travel in TCP")
    return use


def _dpd(values: Values) -> tuple[float, float]:
    delay, timeout = (values.canonical.get(("", name)) for name in ("dpddelay", "dpdtimeout"))
    if delay is None or parse_duration(delay) == 0:
        if timeout is not None or values.param("dpdaction") is not None:
            values.warn("dpd settings are ignored unless dpddelay= is set", values.param("dpdtimeout"))
        return 0.0, 0.0
    return parse_duration(delay), parse_duration(timeout) if timeout else DPD_TIMEOUT
