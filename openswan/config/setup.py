# SPDX-License-Identifier: GPL-2.0-or-later
"""config setup as values the daemon reads."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta

from openswan.base.address import Address, parse_address
from openswan.base.debugclasses import NOT_OBEYED, PRIVATE
from openswan.base.errors import ConfigError
from openswan.base.interval import parse_duration
from openswan.base.log import parse_priority
from openswan.base.marks import DEFAULT_MARKS, Marks, parse_marks
from openswan.config.complaint import Complaint, error, warning
from openswan.config.ends import parse_gateways
from openswan.config.keyword import Status, split_list
from openswan.config.parser import Param
from openswan.config.places import ipsec_d_in, secrets_in
from openswan.config.virtual import Private, parse_private
from openswan.crypto.revocation import Demands, Fetching, Strict
from openswan.policy.identity import Identity, parse_identity

DEFAULT_ROUTE = "%defaultroute"


@dataclass(frozen=True, slots=True)
class Setup:
    """Daemon-wide choices; what is not said has its default."""

    interfaces: tuple[tuple[str, str], ...] = (("ipsec0", DEFAULT_ROUTE),)
    """(virtual, physical) pairs; physical `%defaultroute` is the default route's device. Empty: interfaces=%none."""
    oe_interface: str = "ipsec1"
    """Virtual interface of strangers."""
    listen: tuple[Address, ...] = ()
    """Only these local addresses are used; empty: all."""
    unique_ids: bool = True
    keep_alive: float = 20.0
    """Seconds between NAT keepalives."""
    force_busy: bool = False
    """Every initiator is asked for a cookie."""
    redirect: str = "no"
    """Whether clients are sent to `redirect_to`: no, yes, or auto: when there is much to do (RFC 5685)."""
    redirect_to: tuple[Address, ...] = ()
    listen_tcp: bool = False
    """Peers may connect by TCP (RFC 9329)."""
    hide_tos: bool = True
    """The DSCP of tunnel packets is 0; else the inner one's."""
    override_mtu: int = 0
    """Of ipsecN; 0: the underlying device's."""
    packet_sockets: bool = True
    """Raw ESP may go past the kernel's IP layer and netfilter."""
    marks: Marks = DEFAULT_MARKS
    """fwmark-mask=: the bits of the firewall mark that are ours."""
    pinned: bool = False
    """Each packet thread stays on a core of its own."""
    log_file: str = ""
    """Empty: the system log."""
    secrets: str = ""
    """secretsfile=, whole; empty: ipsec.secrets beside ipsec.conf."""
    ipsec_d: str = ""
    """ipsecdir=, whole; empty: ipsec.d beside ipsec.conf."""
    known_only: bool = False
    """Opportunistic peers have to prove something."""
    nat_traversal: bool = True
    """Conns look for a NAT unless they say otherwise."""
    my_id: Identity | None = None
    private: Private = field(default_factory=Private)
    """virtual_private=."""
    request_certs: bool = True
    """Peers are asked for their certificates."""
    hash_and_url: bool = False
    """Certificates of peers are fetched from where ca sections say, and peers are told."""
    demands: Demands = field(default_factory=Demands)
    """What must be known of a certificate's revocation."""
    fetching: Fetching = field(default_factory=Fetching)
    fetch_interface: str = ""
    """CRLs and OCSP answers are fetched through this device alone; empty: as any traffic."""
    oe: bool = False
    ikev1: str = ""
    """ikev1-policy: accept, drop or reject; empty: what comes is for conns that are IKEv1."""
    protostack: str = "klips"
    values: tuple[tuple[str, str], ...] = ()
    """Every keyword given, canonical spelling and value, in the table's order: for addconn --configsetup."""

    @property
    def ikev1_kept_out(self) -> bool:
        """Does ikev1-policy keep IKEv1 out, conns included?"""
        return self.ikev1 in ("drop", "reject")

    def value(self, name: str) -> str:
        """A keyword's canonical value as given, or nothing."""
        return dict(self.values).get(name, "")

    def seconds(self, name: str, default: float) -> float:
        """A TIME keyword's value, or what holds when it is not given."""
        return parse_duration(self.value(name)) if self.value(name) else default

    def says(self, name: str, default: bool) -> bool:
        """A BOOL keyword's value, or what holds when it is not given."""
        return self.value(name) == "yes" if self.value(name) else default


def _interfaces(text: str) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for item in split_list(text):
        if item.lower() == "%none":
            continue
        if item.lower() == DEFAULT_ROUTE:
            pairs.append((_free(pairs), DEFAULT_ROUTE))
            continue
        virtual, equals, physical = item.partition("=")
        if not equals or not re.fullmatch(r"(ipsec|mast)[0-9]{1,3}", virtual):
            raise ConfigError(f"interfaces={item[:40]}: ipsecN=DEVICE, %defaultroute or %none is wanted")
        if physical.lower() != DEFAULT_ROUTE and not re.fullmatch(r"[^\s/:=]{1,15}", physical):
            raise ConfigError(f"interfaces={item[:40]}: '{physical[:20]}' cannot be a device's name")
        if virtual in dict(pairs):
            raise ConfigError(f"interfaces=: {virtual} is named twice")
        pairs.append((virtual, physical))
    return tuple(pairs)


def _free(pairs: list[tuple[str, str]]) -> str:
    taken = dict(pairs)
    return next(name for name in (f"ipsec{number}" for number in range(1000)) if name not in taken)


def _listen(text: str) -> tuple[Address, ...]:
    return tuple(parse_address(item) for item in split_list(text))


PROTOSTACKS = {
    "auto": "runs on the klips engine of this release",
    "netkey": "runs on the klips engine of this release",
    "mast": "runs on the klips engine of this release",
    "bsd": "is not this system's; the klips engine of this release runs",
    "kame": "is not this system's; the klips engine of this release runs",
    "win2k": "is not this system's; the klips engine of this release runs",
    "none": "would protect nothing; the klips engine of this release runs",
}


def build_setup(params: dict[str, Param], complaints: list[Complaint]) -> Setup:
    """The setup that these parameters describe; what cannot be read is complained about and keeps its default."""
    values: dict[str, str] = {}
    for param in params.values():
        try:
            values[param.row.name] = param.row.canonical(param.value)
        except ConfigError as why:
            complaints.append(error(why.reason, param.where))
            continue
        complaints += _status(param, values[param.row.name])
    return _Reader(params, values, complaints).setup()


def _status(param: Param, value: str) -> list[Complaint]:
    row = param.row
    if row.status is Status.OBSOLETE:
        return [warning(f"obsolete keyword '{row.name}' ignored. {row.sentence}", param.where)]
    if row.status in (Status.ACTED, Status.MOOT) or value in row.fine:
        return []
    if row.status is Status.REFUSED:
        return [error(f"{row.name}={value[:40]}: {row.reason}", param.where)]
    why = f": {row.reason}" if row.reason else ""
    return [warning(f"{row.name}={value[:40]} is known but not acted on{why}", param.where)]


@dataclass(slots=True)
class _Reader:
    params: dict[str, Param]
    values: dict[str, str]
    complaints: list[Complaint]

    def setup(self) -> Setup:
        stack = self.values.get("protostack", "klips")
        if stack in PROTOSTACKS:
            self.complaints.append(warning(f"protostack={stack} {PROTOSTACKS[stack]}", self.params["protostack"].where))
        default = Setup()
        self._check_syslog()
        if PRIVATE in split_list(self.values.get("plutodebug", "")):
            self.complaints.append(warning(f"plutodebug={NOT_OBEYED}", self.params["plutodebug"].where))
        return Setup(
            interfaces=self._interfaces(default),
            oe_interface=self._oe_interface(default),
            listen=self._listen(),
            unique_ids=self.values.get("uniqueids", "yes") == "yes",
            keep_alive=float(self.values.get("keep_alive", "0")) or default.keep_alive,
            force_busy=self.values.get("force_busy") == "yes" or self.values.get("ddos-mode") == "busy",
            redirect=self.values.get("global-redirect", "no"),
            redirect_to=self._redirect_to(),
            listen_tcp=self.values.get("listen-tcp") == "yes",
            hide_tos=self.values.get("hidetos", "yes") == "yes",
            override_mtu=int(self.values.get("overridemtu", "0")),
            packet_sockets=self.values.get("packet-sockets", "yes") == "yes",
            marks=self._marks(),
            pinned=self.values.get("worker-affinity", "no") == "yes",
            log_file=self.values.get("plutostderrlog", ""),
            secrets=str(secrets_in(self.params)) if "secretsfile" in self.params else "",
            ipsec_d=str(ipsec_d_in(self.params)) if "ipsecdir" in self.params else "",
            nat_traversal=not {("nat_traversal", "no"), ("disable_port_floating", "yes")} & self.values.items(),
            known_only=self.values.get("drop-oppo-null") == "yes",
            my_id=self._my_id(),
            private=self._private(),
            request_certs=self.values.get("nocrsend", "no") == "no",
            hash_and_url=self.values.get("hash-and-url") == "yes",
            demands=self._demands(),
            fetching=self._fetching(),
            fetch_interface=self._device("curl-iface"),
            oe=self.values.get("oe") == "yes",
            ikev1=self.values.get("ikev1-policy", ""),
            protostack=stack,
            values=tuple(self.values.items()),
        )

    def _check_syslog(self) -> None:
        try:
            parse_priority(self.values.get("syslog", "daemon.error"))
        except ConfigError as why:
            self._complain("syslog", ConfigError(f"syslog=: {why.reason}"))

    def _demands(self) -> Demands:
        strict = Strict(self.values.get("strictcrlpolicy", "no"))
        ocsp = self.values.get("ocsp-enable") == "yes"
        ocsp_strict = self.values.get("ocsp-strict") == "yes"
        if ocsp_strict and not ocsp:
            # Whoever asks for that means it.
            self._complain("ocsp-strict", ConfigError("ocsp-strict=yes wants ocsp-enable=yes; taken as said"))
            ocsp = True
        return Demands(strict, strict is not Strict.NO or self._seconds("crlcheckinterval", 0.0) > 0, ocsp, ocsp_strict,
                       self._uri("ocspuri"))  # fmt: skip

    def _fetching(self) -> Fetching:
        default = Fetching()
        return Fetching(
            interval=self._seconds("crlcheckinterval", default.interval),
            timeout=self._seconds("curl-timeout", default.timeout) or default.timeout,
            ocsp_timeout=self._seconds("ocsp-timeout", default.ocsp_timeout) or default.ocsp_timeout,
            ocsp_post=self.values.get("ocsp-method") == "post",
            ocsp_cache=int(self.values.get("ocsp-cache-size", default.ocsp_cache)),
            ocsp_least=timedelta(seconds=self._seconds("ocsp-cache-min-age", default.ocsp_least.total_seconds())),
            ocsp_most=timedelta(seconds=self._seconds("ocsp-cache-max-age", default.ocsp_most.total_seconds())),
            ocsp_trusted=self.values.get("ocsp-trustname", ""),
        )

    def _seconds(self, name: str, default: float) -> float:
        return parse_duration(self.values[name]) if name in self.values else default

    def _uri(self, name: str) -> str:
        value = self.values.get(name, "")
        if value and not value.lower().startswith("http://"):
            self._complain(name, ConfigError(f"{name}={value[:60]}: only http://... is asked"))
            return ""
        return value

    def _device(self, name: str) -> str:
        value = self.values.get(name, "")
        if value and not re.fullmatch(r"[^\s/]{1,15}", value):
            self._complain(name, ConfigError(f"{name}={value[:40]}: that cannot be a device's name"))
            return ""
        return value

    def _complain(self, name: str, why: ConfigError) -> None:
        self.complaints.append(error(why.reason, self.params[name].where))

    def _oe_interface(self, default: Setup) -> str:
        text = self.values.get("oe-interface", default.oe_interface)
        try:
            used = {virtual for virtual, _ in _interfaces(self.values.get("interfaces", DEFAULT_ROUTE))}
        except ConfigError:
            used = {virtual for virtual, _ in default.interfaces}  # which is told elsewhere
        if text in used and "oe-interface" not in self.values:
            return next(name for name in (f"ipsec{number}" for number in range(1, 1000)) if name not in used)
        if text in used or not re.fullmatch(r"ipsec[0-9]{1,3}", text):
            why = f"oe-interface={text[:40]}: an ipsecN is wanted that interfaces= does not have"
            self._complain("oe-interface", ConfigError(why))
            return default.oe_interface
        return text

    def _interfaces(self, default: Setup) -> tuple[tuple[str, str], ...]:
        try:
            return _interfaces(self.values["interfaces"]) if "interfaces" in self.values else default.interfaces
        except ConfigError as why:
            self._complain("interfaces", why)
            return default.interfaces

    def _listen(self) -> tuple[Address, ...]:
        try:
            return _listen(self.values.get("listen", ""))
        except ConfigError as why:
            self._complain("listen", ConfigError(f"listen=: {why.reason}"))
            return ()

    def _redirect_to(self) -> tuple[Address, ...]:
        try:
            found = parse_gateways(self.values.get("global-redirect-to", ""))
        except ConfigError as why:
            self._complain("global-redirect-to", ConfigError(f"global-redirect-to=: {why.reason}"))
            return ()
        if not found and self.values.get("global-redirect", "no") != "no":
            self._complain("global-redirect", ConfigError("global-redirect= needs global-redirect-to="))
        return found

    def _private(self) -> Private:
        try:
            return parse_private(self.values.get("virtual_private", ""))
        except ConfigError as why:
            self._complain("virtual_private", ConfigError(f"virtual_private=: {why.reason}"))
            return Private()

    def _marks(self) -> Marks:
        try:
            return parse_marks(self.values["fwmark-mask"]) if "fwmark-mask" in self.values else DEFAULT_MARKS
        except ConfigError as why:
            self._complain("fwmark-mask", ConfigError(f"fwmark-mask=: {why.reason}"))
            return DEFAULT_MARKS

    def _my_id(self) -> Identity | None:
        try:
            return parse_identity(self.values["myid"]) if "myid" in self.values else None
        except ConfigError as why:
            self._complain("myid", ConfigError(f"myid=: {why.reason}"))
            return None
