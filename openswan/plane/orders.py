# SPDX-License-Identifier: GPL-2.0-or-later
"""What the table commands order of the daemon (spi, eroute, spigrp, tncfg, klipsdebug), and their form in a request.

    {"verb": "klips", "do": "spi-add", "said": "esp.200@192.0.2.2", "cipher": "aes_cbc", "enc_key": "0x...", ...}

`order_to_plain` and `plain_to_order` are each other's inverse. Both ends check an order: the command so that a mistake
is told at once, the daemon because anybody who may open its socket could have written the request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

from openswan.base.address import Address, Subnet, parse_address, parse_subnet
from openswan.base.errors import ConfigError
from openswan.base.numbers import IpProtocol
from openswan.base.octets import hex_text, parse_octets
from openswan.base.said import Said, Shunt, parse_said
from openswan.plane.commands import Mode
from openswan.policy.keying import COMPRESSIONS, check_keys, check_spi, counters_repeat
from openswan.policy.selector import FlowKey

FLAGS = (
    *("tunnel", "tunnel-xmit", "netlink", "xform", "eroute", "spi", "radij", "esp", "ah", "rcv", "pfkey", "ipcomp"),
    "verbose",
)
"""klipsdebug's, in the order of its table."""
LONGEST_DEVICE = 15
MOST_IN_GROUP = 4
WINDOWS = (0, 4096)
NO_COUNTER = 2**64 - 1


class Change(Enum):
    """What is done to the eroute table; the *IN ones are about what may come out of an inbound SA."""

    ADD = "add"
    REPLACE = "replace"
    DELETE = "del"
    ADD_IN = "addin"
    REPLACE_IN = "replacein"
    DELETE_IN = "delin"

    @property
    def inbound(self) -> bool:
        """Is it about inbound policy?"""
        return self in (Change.ADD_IN, Change.REPLACE_IN, Change.DELETE_IN)

    @property
    def deletes(self) -> bool:
        """Does it take an entry away?"""
        return self in (Change.DELETE, Change.DELETE_IN)


class Wiring(Enum):
    """What is done to a virtual interface."""

    ATTACH = "attach"
    DETACH = "detach"
    CREATE = "create"
    DELETE = "delete"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class Limits:
    """--life: soft and hard limits, 0 for none. Bytes and packets are the engine's to watch, times the daemon's."""

    soft_allocations: int = 0
    hard_allocations: int = 0
    soft_bytes: int = 0
    hard_bytes: int = 0
    soft_addtime: int = 0
    hard_addtime: int = 0
    soft_usetime: int = 0
    hard_usetime: int = 0
    soft_packets: int = 0
    hard_packets: int = 0

    @property
    def timed(self) -> bool:
        """Is there a limit of time?"""
        return any((self.soft_addtime, self.hard_addtime, self.soft_usetime, self.hard_usetime))


@dataclass(frozen=True, slots=True)
class NewSa:
    """spi: make one SA. Its direction follows from where it ends: at an address of ours it is inbound."""

    said: Said
    src: Address | None = None
    """Outer source; None: our address, of an SA that leads away."""
    cipher: str = ""
    """Canonical name; `deflate` for IPComp, empty for AH and IPIP."""
    enc_key: bytes = field(default=b"", repr=False)
    integ: str = ""
    auth_key: bytes = field(default=b"", repr=False)
    replay_window: int = 64
    mode: Mode = Mode.TRANSPORT
    """TUNNEL: the SA puts whole packets into new ones by itself; classic tables group it with an IPIP SA for that."""
    esn: bool = False
    fresh: bool = False
    """The operator's word that no other SA ever had these keys; counter modes and ESN want it."""
    natt: tuple[int, int] | None = None
    """UDP encapsulation: source and destination port."""
    limits: Limits = Limits()
    device: str = ""
    """ipsecN; empty: the one that stands where the SA begins or ends."""

    def check(self) -> None:
        """ConfigError for what no SA can be."""
        proto = self.said.proto
        check_spi(self.said.spi) if proto is not IpProtocol.COMP else _check_cpi(self.said.spi)
        if self.src is not None and self.src.version != self.said.dst.version:
            raise ConfigError(f"source {self.src} and destination {self.said.dst} are of different families")
        if proto is IpProtocol.ESP:
            if not self.cipher:
                raise ConfigError("an ESP SA needs an algorithm")
            check_keys(self.cipher, self.integ, self.enc_key, self.auth_key)
        elif proto is IpProtocol.AH:
            if self.cipher or not self.integ:
                raise ConfigError("an AH SA needs an authentication algorithm and no other")
            check_keys("", self.integ, b"", self.auth_key)
        elif proto is IpProtocol.COMP:
            if self.cipher not in COMPRESSIONS:
                raise ConfigError(f"unknown compression '{self.cipher[:40]}': there is {' '.join(COMPRESSIONS)}")
        elif proto is not IpProtocol.IPIP:
            raise ConfigError(f"SA {self.said} is neither ah, esp, comp nor tun")
        if proto in (IpProtocol.COMP, IpProtocol.IPIP) and (self.enc_key or self.integ or self.auth_key):
            raise ConfigError(f"SA {self.said} has no keys")
        if proto is IpProtocol.IPIP and self.cipher:
            raise ConfigError(f"SA {self.said} only puts one packet into another and has no algorithm")
        if self.natt is not None and proto is not IpProtocol.ESP:
            raise ConfigError("only ESP goes through UDP (RFC 3948)")
        if not self.fresh and counters_repeat(self.cipher, self.integ):
            raise ConfigError(
                f"{self.cipher or self.integ} is broken when a key is used twice, which a key typed in or kept in a "
                "file sooner or later is: use a CBC cipher, or make a new random key each time and say --fresh-keys"
            )
        if not self.fresh and self.esn:
            raise ConfigError(
                "extended sequence numbers start again with each SA, and a key that is used twice would repeat "
                "them: make a new random key each time and say --fresh-keys"
            )


def _check_cpi(cpi: int) -> None:
    if not 1 <= cpi <= 0xFFFF:
        raise ConfigError(f"Illegal CPI: 0x{cpi:x} is not within 0x1 to 0xffff")


@dataclass(frozen=True, slots=True)
class DropSa:
    """spi --del: take one SA away."""

    said: Said

    def check(self) -> None:
        """Nothing can be wrong with it here."""


@dataclass(frozen=True, slots=True)
class ClearSas:
    """spi --clear: take every SA away."""

    def check(self) -> None:
        """Nothing can be wrong with it."""


@dataclass(frozen=True, slots=True)
class Group:
    """spigrp: these make a bundle, innermost first; one alone leaves its bundle."""

    saids: tuple[Said, ...]

    def check(self) -> None:
        """ConfigError for what no bundle can be."""
        if not 1 <= len(self.saids) <= MOST_IN_GROUP:
            raise ConfigError(f"{len(self.saids)} SAs, a group has 1 to {MOST_IN_GROUP}")
        if len(set(self.saids)) != len(self.saids):
            raise ConfigError("an SA stands twice in the group")
        if any(said.proto is IpProtocol.IPIP for said in self.saids[1:]):
            raise ConfigError("a tun SA can only be the first, innermost, of its group")


@dataclass(frozen=True, slots=True)
class ErouteOrder:
    """eroute: one change of the table."""

    change: Change
    flow: FlowKey
    target: Said | Shunt | None = None
    device: str = ""

    def check(self) -> None:
        """ConfigError for what no eroute can be."""
        if self.flow.src.version != self.flow.dst.version:
            raise ConfigError(f"{self.flow.src} and {self.flow.dst} are of different families")
        if (self.flow.src_port or self.flow.dst_port) and not self.flow.protocol:
            raise ConfigError("a port needs --transport-proto")
        if self.change.deletes:
            return
        if self.target is None:
            raise ConfigError("an eroute needs --said, or --af, --edst, --spi and --proto")
        if isinstance(self.target, Shunt):
            if self.change.inbound:
                raise ConfigError("inbound policy names an SA, not a shunt")
            return
        if self.target.proto is not IpProtocol.COMP:
            check_spi(self.target.spi)


@dataclass(frozen=True, slots=True)
class ClearEroutes:
    """eroute --clear: take every eroute away."""

    def check(self) -> None:
        """Nothing can be wrong with it."""


@dataclass(frozen=True, slots=True)
class Wire:
    """tncfg: what stands on what."""

    wiring: Wiring
    virtual: str = ""
    physical: str = ""

    def check(self) -> None:
        """ConfigError for names that cannot be interfaces."""
        for name, wanted in ((self.virtual, self.wiring is not Wiring.CLEAR), (self.physical, False)):
            if (wanted or name) and (not 0 < len(name.encode()) <= LONGEST_DEVICE or "/" in name or " " in name):
                raise ConfigError(f"'{name[:40]}' cannot name an interface: 1 to {LONGEST_DEVICE} characters")
        number = self.virtual.removeprefix("ipsec")
        if self.virtual and (number == self.virtual or not number.isascii() or not number.isdecimal()):
            raise ConfigError(f"'{self.virtual}' is not a virtual interface: they are called ipsec0, ipsec1 ...")
        if self.wiring is Wiring.ATTACH and (not self.physical or self.physical.startswith("ipsec")):
            raise ConfigError("--attach needs --physical, an interface that is none of ours")


@dataclass(frozen=True, slots=True)
class Debug:
    """klipsdebug: flags to set, and flags to clear."""

    flags: tuple[str, ...] = ()
    cleared: tuple[str, ...] = ()

    def check(self) -> None:
        """ConfigError for unknown flags."""
        for flag in (*self.flags, *self.cleared):
            if flag not in FLAGS:
                raise ConfigError(f"unknown flag '{flag[:40]}': there are {' '.join(FLAGS)}")


Order: TypeAlias = NewSa | DropSa | ClearSas | Group | ErouteOrder | ClearEroutes | Wire | Debug

KINDS: dict[str, type[Order]] = {
    "spi-add": NewSa,
    "spi-del": DropSa,
    "spi-clear": ClearSas,
    "spigrp": Group,
    "eroute": ErouteOrder,
    "eroute-clear": ClearEroutes,
    "tncfg": Wire,
    "klipsdebug": Debug,
}
NAMES = {kind: name for name, kind in KINDS.items()}


class _Codec(NamedTuple):
    """How values of one field travel."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 8192:
        raise ConfigError("a text is wanted")
    return value


def _number(low: int, high: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ConfigError(f"a number from {low} to {high} is wanted")
        return value

    return read


def _yes(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError("true or false is wanted")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > 64:
        raise ConfigError("a list is wanted")
    return value


def _said(value: Any) -> Said:
    found = parse_said(_text(value))
    if isinstance(found, Shunt):
        raise ConfigError(f"{found} is not an SA")
    return found


def _octets(value: Any) -> bytes:
    return parse_octets(text) if (text := _text(value)) else b""


def _limits(value: Any) -> Limits:
    if not isinstance(value, dict):
        raise ConfigError("limits are wanted")
    known = {each.name for each in fields(Limits)}
    if unknown := set(value) - known:
        raise ConfigError(f"unknown limit '{str(min(unknown, key=str))[:40]}'")
    return Limits(**{name: _number(0, NO_COUNTER)(number) for name, number in value.items()})


def _natt(value: Any) -> tuple[int, int]:
    ports = _list(value)
    if len(ports) != 2:
        raise ConfigError("two ports are wanted")
    read = _number(1, 65535)
    return read(ports[0]), read(ports[1])


def _flow_to_plain(flow: FlowKey) -> list[Any]:
    return [str(flow.src), str(flow.dst), flow.protocol, flow.src_port, flow.dst_port]


def _flow(value: Any) -> FlowKey:
    parts = _list(value)
    if len(parts) != 5:
        raise ConfigError("source, destination, protocol and two ports are wanted")
    nets: list[Subnet] = [parse_subnet(_text(part)) for part in parts[:2]]
    port = _number(0, 65535)
    return FlowKey(nets[0], nets[1], _number(0, 255)(parts[2]), port(parts[3]), port(parts[4]))


def _one_of(kind: type[Enum]) -> Callable[[Any], Enum]:
    def read(value: Any) -> Enum:
        try:
            return kind(value)
        except ValueError:
            raise ConfigError(f"one of {', '.join(str(each.value) for each in kind)} is wanted") from None

    return read


def _limits_to_plain(limits: Limits) -> dict[str, int]:
    return {each.name: value for each in fields(limits) if (value := getattr(limits, each.name))}


CODECS: dict[str, _Codec] = {
    "said": _Codec(str, _said),
    "saids": _Codec(lambda saids: [str(said) for said in saids], lambda value: tuple(map(_said, _list(value)))),
    "target": _Codec(str, lambda value: parse_said(_text(value))),
    "src": _Codec(str, lambda value: parse_address(_text(value))),
    "cipher": _Codec(str, _text),
    "integ": _Codec(str, _text),
    "enc_key": _Codec(lambda key: hex_text(key) if key else "", _octets),
    "auth_key": _Codec(lambda key: hex_text(key) if key else "", _octets),
    "replay_window": _Codec(int, _number(*WINDOWS)),
    "mode": _Codec(lambda mode: mode.value, _one_of(Mode)),
    "esn": _Codec(bool, _yes),
    "fresh": _Codec(bool, _yes),
    "natt": _Codec(list, _natt),
    "limits": _Codec(_limits_to_plain, _limits),
    "device": _Codec(str, _text),
    "change": _Codec(lambda change: change.value, _one_of(Change)),
    "flow": _Codec(_flow_to_plain, _flow),
    "wiring": _Codec(lambda wiring: wiring.value, _one_of(Wiring)),
    "virtual": _Codec(str, _text),
    "physical": _Codec(str, _text),
    "flags": _Codec(list, lambda value: tuple(map(_text, _list(value)))),
    "cleared": _Codec(list, lambda value: tuple(map(_text, _list(value)))),
}
"""By name of the field."""


def order_to_plain(order: Order) -> dict[str, Any]:
    """An order as a request's arguments; what has its default value is left out."""
    plain: dict[str, Any] = {"do": NAMES[type(order)]}
    for each in fields(order):
        value = getattr(order, each.name)
        if each.default is MISSING or value != each.default:
            plain[each.name] = CODECS[each.name].write(value)
    return plain


def plain_to_order(plain: Mapping[str, Any]) -> Order:
    """The order a request's arguments make, checked; ConfigError names what is wrong, but never shows a key."""
    kind = KINDS.get(plain["do"]) if isinstance(plain.get("do"), str) else None
    if kind is None:
        raise ConfigError(f"klips request without a known order: there are {', '.join(KINDS)}")
    known = {each.name: each for each in fields(kind)}
    for name in plain:
        if name != "do" and name not in known:
            raise ConfigError(f"{plain['do']}: unknown argument '{str(name)[:40]}'")
    values: dict[str, Any] = {}
    for name, each in known.items():
        if name not in plain:
            if each.default is MISSING:
                raise ConfigError(f"{plain['do']}: {name} is missing")
            continue
        try:
            values[name] = CODECS[name].read(plain[name])
        except ConfigError as why:
            raise ConfigError(f"{plain['do']}: {name}: {why.reason}") from None
    order: Order = kind(**values)
    order.check()
    return order
