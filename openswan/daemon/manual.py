# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec manual` in the daemon: conns keyed by hand, with guard, route and updown commands like any other.

--up       guard, SAs, groups, inbound policy, eroute; then up, prepare and route of the updown command
--down     down; eroute and SAs go. Route and guard stay: packets are dropped, none leaves in clear
--route    guard, prepare, route     --unroute  as --down; then unroute, and the guard goes last
--delete   as --unroute, and forgotten
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from openswan.base.address import Address
from openswan.base.errors import ConfigError, HostError, IpsecError, KlipsError
from openswan.base.log import Rc
from openswan.daemon.keying import Keying
from openswan.engine.effects import DelGuard, Effect, FlushConntrack, GuardEntry, SetGuard
from openswan.engine.updown import outcome, quoted
from openswan.host.guard.journal import MANUAL
from openswan.plane.manual import ManualPlan, make_plan, plain_to_plan, undone
from openswan.plane.orders import Order
from openswan.policy.manual import ManualConn

PREFIX = MANUAL
"""In front of the conn's name in the guard and in listings: pluto may have a conn of the same name."""
Run = Callable[[str, Mapping[str, str]], Coroutine[Any, Any, tuple[int, tuple[str, ...]]]]
Reply = Callable[[int, str], None]


@dataclass
class _Conn:
    plan: ManualPlan
    routed: bool = False
    up: bool = False


@dataclass
class Manual:
    """All manually keyed conns."""

    keying: Keying
    perform: Callable[[Effect], None]
    run_updown: Run
    log: Callable[[str, bool], None]
    device_of: Callable[[ManualPlan], str]
    """The ipsecN of our end; HostError when that is no address of ours."""
    conns: dict[str, _Conn] = field(default_factory=dict)
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def start(self, conns: Iterable[ManualConn], ours: Sequence[Address]) -> None:
        """Bring up what ipsec.conf marks with auto=manual; `ours` are the addresses of this host."""
        for conn in conns:
            if conn.start:
                try:
                    await self.up(make_plan(conn, ours))
                except IpsecError as why:
                    self.log(f'"{conn.name}": {why}', True)

    async def request(self, arguments: Mapping[str, Any], reply: Reply) -> None:
        """Carry out one request of the control socket; every line of the answer goes to `reply`."""
        async with self._one:
            try:
                await self._request(arguments, reply)
            except IpsecError as why:
                self.log(f"manual: {why}", True)
                reply(Rc.WHACK_PROBLEM, str(why))

    async def _request(self, arguments: Mapping[str, Any], reply: Reply) -> None:
        verb = arguments.get("do")
        if verb == "status":
            for line in self.status():
                reply(Rc.COMMENT, line)
            return
        if verb in ("up", "route"):
            plan = plain_to_plan(arguments.get("plan"))
            await (self.up if verb == "up" else self.route)(plan)
            return
        name = arguments.get("name")
        verbs = {"down": self.down, "unroute": self.unroute, "delete": self.unroute}
        if not isinstance(name, str) or verb not in verbs:
            raise ConfigError("manual wants up, down, route, unroute, delete or status, and a conn")
        conn = self.conns.get(name)
        if conn is None:
            raise ConfigError(f'"{name}" is not up: manual keying knows no such conn')
        await verbs[verb](conn)
        if verb == "delete":
            del self.conns[name]

    def status(self) -> Iterator[str]:
        """One line for each conn and each of its SAs."""
        for name, conn in sorted(self.conns.items()):
            state = "up" if conn.up else "routed, down" if conn.routed else "down"
            plan = conn.plan
            kind = "tunnel" if plan.tunnel else "transport"
            yield f'"{name}": {plan.flow.src}==={plan.me}...{plan.peer}==={plan.flow.dst}; {kind}; manual; {state}'
            for sa in plan.sas if conn.up else ():
                yield f'"{name}": {sa.said} {sa.cipher or "ah"} {sa.integ}'.rstrip()

    async def up(self, plan: ManualPlan) -> None:
        """Bring a conn up; what was made is taken back when something cannot be."""
        old = self.conns.get(plan.name)
        if old is not None and old.up:
            raise KlipsError(f'"{plan.name}" is up already: ipsec manual --down {plan.name} first')
        conn = _Conn(plan, old.routed if old else False)
        if old is not None and old.plan.flow != plan.flow:
            await self.unroute(old)
            conn.routed = False
        self._guard(plan)
        done: list[Order] = []
        try:
            for order in plan.orders:
                self.keying.carry_out(order, PREFIX + plan.name)
                done.append(order)
            self.conns[plan.name] = conn
            await self._updown(plan, "up")
            await self._route(conn)
        except IpsecError:
            self._take_back(done)
            self.conns.pop(plan.name, None)
            if not conn.routed:
                self._unguard(plan)
            else:
                self.conns[plan.name] = conn
            raise
        conn.up = True
        self.log(f'"{plan.name}": manual connection is up', False)

    async def route(self, plan: ManualPlan) -> None:
        """Have its packets come to ipsecN, where they are dropped until it is up."""
        conn = self.conns.get(plan.name) or _Conn(plan)
        self._guard(plan)
        try:
            await self._route(conn)
        except IpsecError:
            if not conn.up:
                self._unguard(plan)
            raise
        self.conns[plan.name] = conn

    async def _route(self, conn: _Conn) -> None:
        if not conn.routed:
            await self._updown(conn.plan, "prepare", must=False)
            await self._updown(conn.plan, "route")
            conn.routed = True

    async def down(self, conn: _Conn) -> None:
        """Take eroute and SAs away; route and guard stay."""
        if not conn.up:
            return
        await self._updown(conn.plan, "down", must=False)
        self._take_back(list(conn.plan.orders))
        conn.up = False
        self.log(f'"{conn.plan.name}": manual connection is down', False)

    async def unroute(self, conn: _Conn) -> None:
        """Take everything away, the guard last."""
        await self.down(conn)
        if conn.routed:
            await self._updown(conn.plan, "unroute", must=False)
            conn.routed = False
        self._unguard(conn.plan)

    def _take_back(self, done: list[Order]) -> None:
        for order in reversed(done):
            back = undone(order)
            if back is None:
                continue
            try:
                self.keying.carry_out(back)
            except IpsecError as why:
                self.log(f"manual: {why}", False)

    # -- guard and updown ---------------------------------------------------------------------------------------------

    def _guard(self, plan: ManualPlan) -> None:
        if plan.leak_guard:
            entry = GuardEntry(plan.flow, self.device_of(plan))
            self.perform(SetGuard(PREFIX + plan.name, (entry,)))
            self.perform(FlushConntrack(((plan.flow.src, plan.flow.dst), (plan.flow.dst, plan.flow.src))))

    def _unguard(self, plan: ManualPlan) -> None:
        self.perform(DelGuard(PREFIX + plan.name))

    async def _updown(self, plan: ManualPlan, verb: str, must: bool = True) -> None:
        if not plan.updown:
            return
        env = environment(plan, verb, self.device_of(plan))
        status, output = await self.run_updown(plan.updown, env)
        for line in output:
            self.log(f'"{plan.name}": {env["PLUTO_VERB"]} output: {line}', False)
        if status:
            text = outcome(env["PLUTO_VERB"], status)
            self.log(f'"{plan.name}": {text}', True)
            if must:
                raise HostError(f'"{plan.name}": {text}')


def environment(plan: ManualPlan, verb: str, device: str) -> dict[str, str]:
    """The PLUTO_* variables of updown commands, interface version 2.0."""
    mine, theirs = plan.flow.src, plan.flow.dst
    host = mine.prefixlen == mine.max_prefixlen and mine.network_address == plan.me
    family = {4: "ipv4", 6: "ipv6"}
    env = {
        "PLUTO_VERSION": "2.0",
        "PLUTO_VERB": f"{verb}-{'host' if host else 'client'}{'-v6' if plan.me.version == 6 else ''}",
        "PLUTO_CONNECTION": quoted(plan.name),
        "PLUTO_CONNECTION_TYPE": "tunnel" if plan.tunnel else "transport",
        "PLUTO_NEXT_HOP": str(plan.nexthop or plan.peer),
        "PLUTO_INTERFACE": device,
        "PLUTO_ME": str(plan.me),
        "PLUTO_MY_ID": str(plan.me),
        "PLUTO_MY_CLIENT": str(mine),
        "PLUTO_MY_CLIENT_NET": str(mine.network_address),
        "PLUTO_MY_CLIENT_MASK": str(mine.netmask),
        "PLUTO_MY_PORT": "0",
        "PLUTO_MY_PROTOCOL": "0",
        "PLUTO_PEER": str(plan.peer),
        "PLUTO_PEER_ID": str(plan.peer),
        "PLUTO_PEER_CLIENT": str(theirs),
        "PLUTO_PEER_CLIENT_NET": str(theirs.network_address),
        "PLUTO_PEER_CLIENT_MASK": str(theirs.netmask),
        "PLUTO_PEER_PORT": "0",
        "PLUTO_PEER_PROTOCOL": "0",
        "PLUTO_PEER_CA": "",
        "PLUTO_STACK": "klips",
        "PLUTO_CONN_POLICY": "+".join(["FIREWALL"] * plan.firewall + ["HOSTACCESS"] * plan.host_access),
        "PLUTO_CONN_ADDRFAMILY": family[plan.me.version],
        "PLUTO_CONN_ENDFAMILY": family[plan.me.version],
        "PLUTO_CONN_CLIENTFAMILY": family[mine.version],
    }
    if plan.metric:
        env["PLUTO_METRIC"] = str(plan.metric)
    if plan.mtu:
        env["PLUTO_MTU"] = str(plan.mtu)
    if plan.host_access:
        env["PLUTO_HOST_ACCESS"] = "1"
    return env
