# SPDX-License-Identifier: GPL-2.0-or-later
"""Flat sections to policy.Connection: every value read, every contradiction named; one bad conn never stops another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeVar

from openswan.base.address import Address, Subnet, host_subnet
from openswan.base.errors import ConfigError
from openswan.base.interval import parse_duration
from openswan.base.protoport import parse_protoport
from openswan.config.complaint import Complaint, error, warning
from openswan.config.ends import (
    DNS_KEYS,
    parse_auth,
    parse_client,
    parse_clients,
    parse_gateways,
    parse_host,
    parse_key,
    parse_nexthop,
    parse_sources,
)
from openswan.config.keyword import Keyword, Section, Status, split_list
from openswan.config.keywords import MANUAL_KEYS, NO_MANUAL, OE_LATER, find
from openswan.config.modecfg import parse_domains, parse_families, parse_pools, parse_servers
from openswan.config.opportunistic import completed, is_opportunistic, limits, may_negotiate, problems
from openswan.config.parser import FlatConn, Param
from openswan.config.setup import Setup
from openswan.policy.algorithms import (
    DEFAULT_AH,
    DEFAULT_ESP,
    DEFAULT_IKE,
    Parsed,
    parse_ah,
    parse_esp,
    parse_ike,
    with_esn,
)
from openswan.policy.connection import (
    EAP,
    SAME_CA,
    SIGNATURES,
    Auth,
    Childless,
    Connection,
    DpdAction,
    End,
    Host,
    HostKind,
    PpkUse,
    SendCa,
    SendCert,
    ShuntPolicy,
    Startup,
    TcpUse,
)
from openswan.policy.dn import parse_dn
from openswan.policy.grade import parse_grade
from openswan.policy.identity import FROM_CERT, MY_ID, NOBODY, Identity, IdKind, parse_identity
from openswan.policy.modecfg import Pool
from openswan.policy.proposal import Proposal

T = TypeVar("T")
D = TypeVar("D")
CertReader = Callable[[str], tuple[bytes, ...]]
"""Name in leftcert= to DER of the certificate and of those above it; ConfigError names the file."""
NO_CERTS: tuple[bytes, ...] = ()

CERTIFIED = SIGNATURES | Auth.EAP_TLS | Auth.EAP_ONLY
"""What may go by a certificate."""
ESN = {"either": (True, False), "yes": (True,), "no": (False,)}
SHUNTS = {"passthrough": ShuntPolicy.PASS, "drop": ShuntPolicy.DROP, "reject": ShuntPolicy.REJECT}
DPD_TIMEOUT = 120.0
"""When dpddelay= stands alone."""
NO_ADDRESSES: tuple[Address, ...] = ()
NO_POOLS: tuple[Pool, ...] = ()
NO_DOMAINS: tuple[str, ...] = ()
NO_CLIENT: tuple[Subnet | None, str] = (None, "")
NO_CLIENTS: tuple[tuple[Subnet, ...], tuple[str, ...]] = ((), ())
PACKETS = {"": 1, **{f"{letter}i": 1 << 10 * n for n, letter in enumerate("kmgtpe", 1)}}
OCTETS = {"": 1, "b": 1, **{f"{unit}b": n for unit, n in PACKETS.items() if unit}}
LEAST_AMOUNT = 1000
"""Of octets or packets: below it an SA would end before it can be replaced."""
MOST_PAIRS = 4096
"""Conns that leftsubnets= and rightsubnets= may make of one."""


@lru_cache
def _row(name: str) -> Keyword:
    found = find(Section.CONN, name)
    assert found is not None
    return found[0]


def build_conn(flat: FlatConn, setup: Setup, certs: CertReader) -> tuple[list[Connection], list[Complaint]]:
    """The connections one conn stands for (none when it is broken), and every complaint about it."""
    builder = _Builder(flat, setup, certs, list(flat.complaints))
    try:
        made = builder.connections()
    except _BrokenError:
        made = []
    broken = any(one.fatal for one in builder.complaints)
    return ([] if broken else made), list(dict.fromkeys(builder.complaints))


class _BrokenError(Exception):
    """Nothing further can be said about a conn this broken."""


@dataclass(frozen=True, slots=True)
class _Side:
    """One end half built: what subnets= expands comes on top."""

    end: End
    protocol_given: bool
    clients: tuple[tuple[int, Subnet | None], ...]
    """(index for the name, subnet) of each expansion; index 0 is subnet= itself."""
    expanded: bool


@dataclass(slots=True)
class _Builder:
    flat: FlatConn
    setup: Setup
    certs: CertReader
    complaints: list[Complaint]
    values: dict[tuple[str, str], str] = field(default_factory=dict)
    """Canonical values of what was given."""

    def connections(self) -> list[Connection]:
        self._check_keywords()
        left, right = self._side("left"), self._side("right")
        if left is None or right is None:
            raise _BrokenError
        self._check_hosts(left.end, right.end)
        base = self._base(left.end, right.end)
        for key, text in problems(base, self.values):
            self._error(text, self.flat.params.get(key))
        if any(one.fatal for one in self.complaints):
            raise _BrokenError
        return list(self._expand(base, left, right))

    # What every keyword has in common.

    def _check_keywords(self) -> None:
        for key, param in self.flat.params.items():
            try:
                value = self.values[key] = param.row.canonical(param.value, param.side)
            except ConfigError as why:
                self._error(why.reason, param)
                continue
            row = param.row
            if row.name in MANUAL_KEYS:
                self._error(f"{param.spelled}=: {NO_MANUAL}", param)
            elif row.status is Status.OBSOLETE:
                self._warn(f"obsolete keyword '{param.spelled}' ignored. {row.sentence}", param)
            elif value in row.refused:
                self._error(f"{param.spelled}={param.value[:40]}: {row.refused[value]}", param)
            elif row.status is not Status.ACTED and value.lower() not in row.fine:
                text = f"{param.spelled}={param.value[:40]}"
                if row.status is Status.REFUSED:
                    self._error(f"{text}: {row.reason}", param)
                else:
                    self._warn(f"{text} is not acted on: {row.reason or 'leaving it out changes no protection'}", param)

    def _error(self, text: str, param: Param | None = None) -> None:
        self.complaints.append(error(text, param.where if param else self.flat.where, self.flat.name))

    def _warn(self, text: str, param: Param | None = None) -> None:
        self.complaints.append(warning(text, param.where if param else self.flat.where, self.flat.name))

    def _param(self, name: str, side: str = "") -> Param | None:
        return self.flat.params.get((side, name))

    def _read(self, name: str, side: str, reader: Callable[[str], T], default: D) -> T | D:
        """A value through a reader of openswan.config.ends and the like; complaints name the keyword."""
        param = self._param(name, side)
        if param is None:
            return default
        try:
            return reader(param.value)
        except ConfigError as why:
            self._error(f"{param.spelled}=: {why.reason}", param)
            return default

    def _value(self, name: str, default: str = "") -> str:
        """A canonical value of a keyword without sides."""
        return self.values.get(("", name), default)

    def _yes(self, name: str) -> bool:
        return self._value(name, _row(name).default) == "yes"

    def _number(self, name: str) -> int:
        return int(self._value(name, _row(name).default))

    def _time(self, name: str) -> float:
        return parse_duration(self._value(name, _row(name).default))

    # One end.

    def _side(self, side: str) -> _Side | None:
        if self._param("", side) is None:
            # A conn that is only there for others' also=, or to suppress an implicit one, need not be whole.
            if self._value("auto", "ignore") != "ignore":
                self._error(f"{side}= is missing")
            return None
        before = sum(one.fatal for one in self.complaints)
        host = self._read("", side, parse_host, Host(HostKind.ANY))
        if sum(one.fatal for one in self.complaints) > before:
            return None
        asks, pools = self._assigned(side)
        sources = NO_ADDRESSES if asks else self._read("sourceip", side, parse_sources, NO_ADDRESSES)
        clients, expanded = self._clients(side, host.kind, sources)
        protocol, port, _ = self._read("protoport", side, parse_protoport, (0, 0, False))
        cert_name, cert = self._cert(side)
        keys, by_cert, by_dns = self._keys(side)
        end = End(
            host,
            id=self._identity(side),
            protocol=protocol,
            port=port,
            source_ips=sources,
            ask_addresses=asks,
            pools=pools,
            nexthop=self._read("nexthop", side, parse_nexthop, None),
            updown=self._updown(side),
            rsa_keys=keys,
            cert=cert[0] if cert else b"",
            cert_chain=cert[1:],
            ca=self._ca(side),
            send_ca=SendCa(self._value("sendca", "all")),
            cert_name=cert_name,
            dns_key=by_dns,
            use_cert_key=by_cert or bool(cert_name),
            send_cert=SendCert(self.values.get((side, "sendcert"), "always")),
        )
        return _Side(end, self._param("protoport", side) is not None, clients, expanded)

    def _assigned(self, side: str) -> tuple[tuple[int, ...], tuple[Pool, ...]]:
        """Families of addresses an end asks the other for, and the pools it gets them from."""
        param = self._param("sourceip", side)
        asks = parse_families(param.value) if param is not None else None
        client = self.values.get((side, "modecfgclient")) == "yes"
        pools = self._read("addresspool", side, parse_pools, NO_POOLS)
        asks = asks if asks is not None else (4, 6) if client and param is None else ()
        if client and param is not None and not asks:
            self._error(f"{side}modecfgclient=yes asks for an address, {side}sourceip= has one: leave one out", param)
        if not asks and not pools:
            return (), ()
        for keyword in ("subnet", "subnets"):
            given = self._param(keyword, side)
            if given is not None and given.value not in ("0.0.0.0/0", "::/0", "%default", "0/0"):
                self._error(f"{side}{keyword}= and an assigned address exclude each other", given)
        return asks, pools

    def _updown(self, side: str) -> str:
        param = self._param("updown", side)
        if param is None:
            return "ipsec _updown"
        return "" if param.value.lower() in ("", "%disabled") else param.value

    def _identity(self, side: str) -> Identity | None:
        param = self._param("id", side)
        if param is None or param.value.lower() == "%none":
            return None
        if param.value.lower() == "%myid":
            if self.setup.my_id is None and is_opportunistic(self.values):
                return MY_ID
            if self.setup.my_id is None:
                self._error(f"{side}id=%myid: config setup has no myid=", param)
            return self.setup.my_id
        identity = self._read("id", side, parse_identity, None)
        if identity is not None and identity.kind is IdKind.FQDN and param.value[:1] != "@":
            self._warn(f"{side}id={param.value[:60]} is taken as @{param.value[:60]}, names are not looked up", param)
        return identity

    def _clients(
        self, side: str, kind: HostKind, sources: tuple[Address, ...]
    ) -> tuple[tuple[tuple[int, Subnet | None], ...], bool]:
        version = 6 if self._value("connaddrfamily") == "ipv6" else 4
        subnet, complaint = self._read("subnet", side, lambda text: parse_client(text, version), NO_CLIENT)
        many, complaints = self._read("subnets", side, parse_clients, NO_CLIENTS)
        for text in (complaint, *complaints):
            if text:
                self._warn(f"{side}subnet: {text}", self._param("subnet", side) or self._param("subnets", side))
        if any(self._assigned(side)):
            return ((0, None),), False
        if subnet is None and not many and len(sources) == 1:
            subnet = host_subnet(sources[0])
        subnet = limits(kind, subnet, self._value("connaddrfamily"))
        plain = [(0, subnet)] if subnet is not None or not many else []
        return (*plain, *enumerate(many, 1)), bool(many)

    def _ca(self, side: str) -> str:
        param = self._param("ca", side)
        if param is None or param.value.lower() in ("%any", "%none"):
            return ""
        if param.value.lower() == SAME_CA:
            return SAME_CA
        self._read("ca", side, parse_dn, b"")
        return param.value

    def _cert(self, side: str) -> tuple[str, tuple[bytes, ...]]:
        param = self._param("cert", side)
        if param is None:
            return "", ()
        return param.value, self._read("cert", side, self.certs, NO_CERTS)

    def _keys(self, side: str) -> tuple[tuple[bytes, ...], bool, bool]:
        """leftrsasigkey= and the second one: keys, whether a certificate has them, whether the DNS has."""
        keys: list[bytes] = []
        by_cert = by_dns = False
        for name in ("rsasigkey", "rsasigkey2"):
            param = self._param(name, side)
            lowered = param.value.lower() if param else "%none"
            if param is None or lowered == "%none":
                continue
            if lowered == "%cert":
                by_cert = True
            elif lowered in DNS_KEYS and is_opportunistic(self.values):
                by_dns = True
            elif lowered in DNS_KEYS:
                self._error(f"{param.spelled}={lowered}: keys from DNS are not available; {OE_LATER}", param)
            elif lowered.startswith("%"):
                self._error(f"{param.spelled}={lowered[:40]}: 0s..., 0x..., %cert or %none is wanted", param)
            elif key := self._read(name, side, parse_key, b""):
                keys.append(key)
        return tuple(dict.fromkeys(keys)), by_cert, by_dns

    # Both ends.

    def _check_hosts(self, left: End, right: End) -> None:
        kinds = (left.host.kind, right.host.kind)
        for kind in (HostKind.ANY, HostKind.DEFAULTROUTE):
            if kinds == (kind, kind):
                self._error(f"left and right are both {kind.value}: one of them must say who it is")
        versions = {end.host.address.version for end in (left, right) if end.host.address is not None}
        if len(versions) == 2:
            self._error("inconsistent left/right end address family")
        wanted = {"ipv4": 4, "ipv6": 6}.get(self._value("endaddrfamily"))
        if wanted and versions - {wanted}:
            self._error(
                f"endaddrfamily is {self._value('endaddrfamily')}, the ends are not", self._param("endaddrfamily")
            )
        if left.host.address is not None and left.host.address == right.host.address:
            self._error(f"left and right are both {left.host.address}")
        for name, end in (("left", left), ("right", right)):
            if end.nexthop is not None and {end.nexthop.version} != (versions or {end.nexthop.version}):
                self._error(f"{name}nexthop is of another address family than the ends", self._param("nexthop", name))

    def _base(self, left: End, right: End) -> Connection:
        auth, left, right = self._auth(left, right)
        prospective = self._type(auth, left, right)
        if prospective is not ShuntPolicy.TRAP and not may_negotiate(left.host, right.host, prospective):
            auth = Auth.NEVER
        mine = self.setup.my_id or MY_ID
        left, right = self._proof(auth, left, right)
        left, right = completed(left, right, auth, mine), completed(right, left, auth, mine)
        esn = self._esn()
        dpd = self._dpd()
        ah = self._value("phase2", "esp") == "ah"
        return Connection(
            self.flat.name,
            left,
            right,
            aliases=tuple(split_list(self._value("connalias"))),
            auth=auth,
            resumption=self._yes("session-resumption"),
            childless=Childless(self._value("childless", "allow")),
            intermediate=self._yes("intermediate"),
            ppk=PpkUse(self._value("ppk", "no")),
            ppk_ids=tuple(split_list(self._value("ppk-ids"))),
            eap_identity=self._eap_identity(auth),
            tunnel=not self._transport(left, right),
            ike_proposals=self._algorithms("ike", parse_ike, Parsed(DEFAULT_IKE)),
            esp_proposals=self._ah(ESN[esn]) if ah else self._esp(ESN[esn]),
            ike_text=self.flat.text("ike") or "",
            esp_text=(ah and self.flat.text("ah")) or self.flat.text("phase2alg") or "",
            pfs=self._yes("pfs"),
            pfs_optional=self._param("pfs") is None,
            compress=self._yes("compress"),
            sha2_truncbug=self._yes("sha2_truncbug"),
            ike_lifetime=self._time("ikelifetime"),
            ipsec_lifetime=self._time("salifetime"),
            rekey=self._yes("rekey"),
            rekey_margin=self._time("rekeymargin"),
            rekey_fuzz=int(self._value("rekeyfuzz", "100%")[:-1]) / 100,
            keying_tries=self._number("keyingtries"),
            prospective=prospective,
            negotiation_shunt=ShuntPolicy(self._value("negotiationshunt", "hold")),
            failure_shunt=ShuntPolicy(self._value("failureshunt", "none")),
            dpd_delay=dpd[0],
            dpd_timeout=dpd[1],
            dpd_action=DpdAction(self._value("dpdaction", "hold")),
            encapsulation=self._encapsulation(),
            **self._redirects(),
            tcp=self._tcp(),
            tcp_port=int(self._positive("tcp-remoteport", self._number("tcp-remoteport"))),
            esn=esn,
            replay_window=self._number("replay-window"),
            narrowing=self._yes("narrowing"),
            overlap_ip=self._yes("overlapip"),
            arrival_check=not self._yes("disablearrivalcheck"),
            leak_guard=self._yes("leakguard"),
            other_family_clear=self._value("otherfamily") == "clear",
            metric=self._number("metric"),
            mtu=self._number("mtu"),
            tfc=self._number("tfc"),
            max_bytes=self._amount("ipsec-max-bytes", OCTETS),
            max_packets=self._amount("ipsec-max-packets", PACKETS),
            path_mtu=not self._yes("nopmtudisc"),
            retransmit_timeout=self._positive("retransmit-timeout", self._time("retransmit-timeout")),
            retransmit_interval=self._positive("retransmit-interval", self._interval()),
            startup=Startup(self._startup()),
            mobike=self._yes("mobike"),
            dns=self._servers(),
            domains=self._domains(),
            hold_timeout=self._positive("holdtimeout", self._time("holdtimeout")),
            auth_grade=parse_grade(self._value("authgrade", "null")),
            keep_grade=self._yes("keepgrade"),
        )

    def _servers(self) -> tuple[Address, ...]:
        """modecfgdns= and modecfgdns2=, of either side or none."""
        sides = [("modecfgdns", side) for side in ("", "left", "right")]
        sides += [("modecfgdns2", side) for side in ("", "left", "right")]
        found = [server for name, side in sides for server in self._read(name, side, parse_servers, NO_ADDRESSES)]
        return tuple(dict.fromkeys(found))

    def _domains(self) -> tuple[str, ...]:
        domains = self._read("modecfgdomains", "", parse_domains, NO_DOMAINS)
        if domains and not self._servers():
            self._error("modecfgdomains= needs servers to ask: give modecfgdns=", self._param("modecfgdomains"))
        return domains

    def _startup(self) -> str:
        value = self._value("auto", "ignore")
        return value if value != "manual" else "ignore"

    def _positive(self, name: str, value: float) -> float:
        if value <= 0:
            self._error(f"{name} must be more than 0", self._param(name))
        return value

    def _amount(self, name: str, units: Mapping[str, int]) -> int:
        """A count with an optional unit; nothing given: 0."""
        text = self._value(name, "")
        found = re.fullmatch(r"([0-9]{1,19})\s*([A-Za-z]*)", text)
        amount = int(found[1]) * units.get(found[2].lower(), 0) if found else 0
        if text and not LEAST_AMOUNT <= amount < 2**63:
            wanted = f"{LEAST_AMOUNT} to 2^63-1, perhaps with {', '.join(u for u in units if u)}"
            self._error(f"{name}={text[:40]}: a number of {wanted} is wanted", self._param(name))
            return 0
        return amount

    def _interval(self) -> float:
        text = self._value("retransmit-interval", "500ms")
        try:
            return parse_duration(text + "ms" if text.isdigit() else text)
        except ConfigError as why:
            self._error(f"retransmit-interval: {why.reason}", self._param("retransmit-interval"))
            return 0.5

    def _esn(self) -> str:
        """A receiver without replay protection cannot keep track of extended numbers (RFC 4303 2.2.1)."""
        esn = self._value("esn", "either")
        if self._number("replay-window"):
            return esn
        if esn == "yes":
            self._error("esn=yes needs replay protection, which replay-window=0 switches off", self._param("esn"))
        return "no"

    def _esp(self, esn: tuple[bool, ...]) -> tuple[Proposal, ...]:
        if self._param("ah") is not None:
            self._warn("ah= counts with phase2=ah only: this conn uses ESP", self._param("ah"))
        return self._algorithms("phase2alg", lambda text: parse_esp(text, esn), Parsed(with_esn(DEFAULT_ESP, esn), ()))

    def _ah(self, esn: tuple[bool, ...]) -> tuple[Proposal, ...]:
        if self._encapsulation() == "yes":
            self._error("phase2=ah and encapsulation=yes contradict each other: AH does not travel in UDP")
        both = self._param("ah") is not None and self._param("phase2alg") is not None
        if both:
            self._error("ah= and phase2alg= both name algorithms of AH: leave one out", self._param("ah"))
        name = "ah" if self._param("ah") is not None else "phase2alg"
        return self._algorithms(name, lambda text: parse_ah(text, esn), Parsed(with_esn(DEFAULT_AH, esn), ()))

    def _transport(self, left: End, right: End) -> bool:
        """type=transport, which the two ends have for themselves alone."""
        if self._value("type", "tunnel") != "transport":
            return False
        for name, end in (("left", left), ("right", right)):
            for keyword in ("subnet", "subnets", "sourceip", "addresspool", "modecfgclient"):
                param = self._param(keyword, name)
                if param is None or (keyword == "subnet" and self._only(param.value, end)):
                    continue
                self._error(
                    f"cannot handle TRANSPORT mode with {keyword}: it is between the two ends alone; leave "
                    f"{param.spelled}= out or use type=tunnel",
                    param,
                )
        return True

    def _only(self, text: str, end: End) -> bool:
        """Is a subnet= just the end's own address?"""
        return end.host.address is not None and text in (str(end.host.address), str(host_subnet(end.host.address)))

    def _algorithms(self, name: str, reader: Callable[[str], Parsed], default: Parsed) -> tuple[Proposal, ...]:
        param = self._param(name)
        if param is None:
            return default.proposals
        try:
            parsed = reader(param.value)
        except ConfigError as why:
            self._error(why.reason, param)
            return default.proposals
        for text in parsed.warnings:
            self._warn(text, param)
        return parsed.proposals

    def _auth(self, left: End, right: End) -> tuple[Auth, End, End]:
        """authby=, leftauth= and rightauth=; an end that proves nothing is nobody."""
        both = self._read("authby", "", parse_auth, SIGNATURES)
        mine, his = self._end_auth("left", both), self._end_auth("right", both)
        if (mine is Auth.NEVER) != (his is Auth.NEVER):
            self._error("leftauth=never or rightauth=never alone means nothing: give authby=never")
        ends = [
            self._nobody(name, replace(end, auth=None if mine == his else auth), auth)
            for name, end, auth in (("left", left, mine), ("right", right, his))
        ]
        return mine | his, ends[0], ends[1]

    def _end_auth(self, side: str, both: Auth) -> Auth:
        """leftauth= with leftautheap=."""
        auth = self._read("auth", side, parse_auth, both)
        method = {"tls": Auth.EAP_TLS, "mschapv2": Auth.EAP_MSCHAPV2}.get(self.values.get((side, "autheap"), ""))
        if method is None:
            return auth
        if auth & Auth.EAP_ONLY:
            if method is Auth.EAP_MSCHAPV2:
                self._error(
                    f"{side}autheap=mschapv2 and {side}auth=eaponly: a password alone does not prove a server, only "
                    "EAP-TLS does",
                    self._param("autheap", side),
                )
            return auth
        return method

    def _nobody(self, name: str, end: End, auth: Auth) -> End:
        """What goes with an end that proves nothing (RFC 7619 2.2, 2.5)."""
        param = self._param("id", name)
        if end.id == NOBODY and Auth.NULL not in auth:
            self._error(f"{name}id=%null is for an end that proves nothing: {name}auth=null", param)
        if Auth.NULL in auth and end.host.kind is HostKind.ANY and self._param("subnet", name) is not None:
            self._error(
                f"{name}=%any and {name}subnet= with null authentication would give that network to anybody: leave "
                f"{name}subnet= out",
                self._param("subnet", name),
            )
        if auth != Auth.NULL:
            return end
        if end.id not in (None, NOBODY):
            self._warn(f"{name}id= is not used: with null authentication it could be anybody's", param)
        return replace(end, id=NOBODY)

    def _eap_identity(self, auth: Auth) -> str:
        """eap_identity=; %any and %identity stand for whoever has a secret."""
        name = self._value("eap_identity")
        if name and not auth & EAP:
            self._warn("eap_identity= is not used: neither end proves itself by EAP", self._param("eap_identity"))
        return "" if name.lower() in ("%any", "%identity") else name

    def _type(self, auth: Auth, left: End, right: End) -> ShuntPolicy:
        kind = self._value("type", "tunnel")
        if kind in SHUNTS:
            answers = may_negotiate(left.host, right.host, SHUNTS[kind])
            if auth is not Auth.NEVER and self._param("authby") is not None and not answers:
                self._error(f"type={kind} negotiates nothing: it wants authby=never", self._param("authby"))
            return SHUNTS[kind]
        if auth is Auth.NEVER:
            self._error("authby=never wants type=passthrough, drop or reject", self._param("authby"))
        return ShuntPolicy.TRAP

    def _proof(self, auth: Auth, left: End, right: End) -> tuple[End, End]:
        """Say %cert where it goes without saying, and warn where nothing could prove an end."""
        if not auth & CERTIFIED:
            return left, right

        def signs(end: End) -> bool:
            return end.auth is None or bool(end.auth & CERTIFIED)

        def certified(end: End) -> bool:
            return signs(end) and (
                end.use_cert_key or end.id == FROM_CERT or (end.id is not None and end.id.kind is IdKind.DER_ASN1_DN)
            )

        any_cert = certified(left) or certified(right)
        for name, end, other in (("left", left, right), ("right", right, left)):
            if end.ca == SAME_CA and (other.ca or SAME_CA) == SAME_CA and not other.cert:
                text = f"{name}ca=%same: the other end has neither a certificate nor a ca= of its own"
                self._error(text, self._param("ca", name))
        ends = [
            replace(end, use_cert_key=True)
            if not end.rsa_keys
            and signs(end)
            and (certified(end) or (any_cert and self._param("rsasigkey", name) is None))
            else end
            for name, end in (("left", left), ("right", right))
        ]
        broken = any(one.fatal for one in self.complaints)
        proved = any_cert or left.rsa_keys or right.rsa_keys or Auth.PSK in auth
        if not broken and not proved and not is_opportunistic(self.values):
            self._warn("neither end has a public key or certificate: give rsasigkey=, cert= or authby=secret")
        return ends[0], ends[1]

    def _encapsulation(self) -> str:
        value = self._value("encapsulation", "auto")
        if not self._yes("forceencaps"):
            return value
        if value == "no":
            self._error("forceencaps=yes and encapsulation=no contradict each other", self._param("encapsulation"))
        return "yes"

    def _redirects(self) -> dict[str, Any]:
        """send-redirect= and accept-redirect= with what belongs to them."""
        send, to = self._value("send-redirect", "no"), self._read("redirect-to", "", parse_gateways, NO_ADDRESSES)
        if send != "no" and not to:
            self._error(f"send-redirect={send} needs redirect-to=", self._param("send-redirect"))
        param = self._param("accept-redirect-to")
        anywhere = param is None or param.value.lower() == "%any"
        allowed = NO_ADDRESSES if anywhere else self._read("accept-redirect-to", "", parse_gateways, NO_ADDRESSES)
        return {
            "send_redirect": send,
            "redirect_to": to,
            "accept_redirect": self._yes("accept-redirect"),
            "accept_redirect_to": allowed,
        }

    def _tcp(self) -> TcpUse:
        use = TcpUse(self._value("enable-tcp", "no"))
        if use is TcpUse.YES and self._value("phase2", "esp") == "ah":
            self._error("phase2=ah and enable-tcp=yes contradict each other: AH does not travel in TCP")
        return use

    def _dpd(self) -> tuple[float, float]:
        delay, timeout = (self.values.get(("", name)) for name in ("dpddelay", "dpdtimeout"))
        if delay is None or parse_duration(delay) == 0:
            if timeout is not None or self._param("dpdaction") is not None:
                self._warn("dpd settings are ignored unless dpddelay= is set", self._param("dpdtimeout"))
            return 0.0, 0.0
        return parse_duration(delay), parse_duration(timeout) if timeout else DPD_TIMEOUT

    # leftsubnets= and rightsubnets=.

    def _expand(self, base: Connection, left: _Side, right: _Side) -> Iterator[Connection]:
        expanded = left.expanded or right.expanded
        if len(left.clients) * len(right.clients) > MOST_PAIRS:
            self._error(f"{len(left.clients)} x {len(right.clients)} subnets make more than {MOST_PAIRS} conns")
            return
        found = False
        for left_index, left_net in left.clients:
            for right_index, right_net in right.clients:
                if not self._fits(base, left_net, right_net, quiet=expanded):
                    continue
                found = True
                name = f"{base.name}/{left_index}x{right_index}" if expanded else base.name
                aliases = tuple(dict.fromkeys((base.name, *base.aliases))) if expanded else base.aliases
                ends = self._ports(
                    replace(base.left, subnet=left_net), replace(base.right, subnet=right_net), left, right
                )
                yield replace(base, name=name, aliases=aliases, left=ends[0], right=ends[1])
        if expanded and not found:
            self._error("no pair of leftsubnets and rightsubnets is of one address family")

    def _ports(self, left: End, right: End, left_side: _Side, right_side: _Side) -> tuple[End, End]:
        if left.protocol == right.protocol:
            return left, right
        # One side alone restricts the protocol for both, as the ports of the other are anybody's.
        if not left_side.protocol_given or not left.protocol:
            return replace(left, protocol=right.protocol), right
        if not right_side.protocol_given or not right.protocol:
            return left, replace(right, protocol=left.protocol)
        self._error(f"leftprotoport and rightprotoport name different protocols, {left.protocol} and {right.protocol}")
        return left, right

    def _fits(self, base: Connection, left: Subnet | None, right: Subnet | None, *, quiet: bool) -> bool:
        """Are both clients of one family, the one that connaddrfamily= says?"""
        versions = [
            0
            if end.ask_addresses or end.pools
            else net.version
            if net is not None
            else end.host.address.version
            if end.host.address is not None
            else 0
            for net, end in ((left, base.left), (right, base.right))
        ]
        given = set(versions) - {0}
        if len(given) == 2:
            if not quiet:
                self._error("inconsistent left/right client address family")
            return False
        wanted = {"ipv4": 4, "ipv6": 6}.get(self._value("connaddrfamily"))
        if wanted and given - {wanted}:
            self._error(
                f"connaddrfamily is {self._value('connaddrfamily')}, the clients are not", self._param("connaddrfamily")
            )
            return False
        for net, end, name in ((left, base.left, "left"), (right, base.right, "right")):
            if net is not None:
                self._sources(net, end.source_ips, name)
        return True

    def _sources(self, net: Subnet, sources: Iterable[Address], name: str) -> None:
        for source in sources:
            if source.version == net.version and source not in net:
                self._warn(f"{name}sourceip {source} is outside {name}subnet {net}", self._param("sourceip", name))
