# SPDX-License-Identifier: GPL-2.0-or-later
"""The updown contract: verbs, the PLUTO_* environment (interface version 2.0), and one command at a time per route."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from openswan.base.address import Subnet
from openswan.engine.conn import Conn
from openswan.engine.effects import RunUpdown
from openswan.engine.events import UpdownDone
from openswan.engine.names import connection_policy
from openswan.policy.groups import of_strangers
from openswan.policy.identity import Identity, show
from openswan.policy.selector import FlowKey, Selector, flow_keys

DEFAULT = ("ipsec", "_updown")
STRANGERS_METRIC = 2000
"""Of routes into the interface of strangers, so that a conn's own route to the same net comes before them."""
UNSAFE = {ord(c): f"\\{ord(c):03o}" for c in "'\\\"`$"}
"""Characters a shell would act on; scripts undo the octal form with `echo -e`."""


class Verb(Enum):
    """What an updown command is asked to do."""

    PREPARE = "prepare"
    ROUTE = "route"
    UNROUTE = "unroute"
    UP = "up"
    DOWN = "down"
    UPDATE_RESOLVER = "updateresolvconf"
    RESTORE_RESOLVER = "restoreresolvconf"
    DISCONNECT_MANAGER = "disconnectNM"


WHOLE = (Verb.UPDATE_RESOLVER, Verb.RESTORE_RESOLVER, Verb.DISCONNECT_MANAGER)
"""Said once, however many parts the peer's side has."""


def quoted(text: str) -> str:
    """`text` without a character that a shell script could trip over: unsafe ones and controls become octal escapes."""
    safe = text.translate(UNSAFE)
    if safe.isprintable():
        return safe
    return "".join(c if c.isprintable() else "".join(f"\\{b:03o}" for b in c.encode()) for c in safe)


def verb_name(conn: Conn, verb: Verb) -> str:
    """`up-client`, `route-host-v6` ...: -host when our client is our address, -v6 when our outer address is IPv6."""
    kind = "host" if conn.host_to_host else "client"
    return f"{verb.value}-{kind}" + ("-v6" if conn.me is not None and conn.me.version == 6 else "")


def _net(selector: Selector) -> Subnet:
    """The subnet an updown script is told: the first of those that make up the selector."""
    return selector.subnets()[0]


def _id(identity: Identity | None, fallback: object) -> str:
    return quoted(show(identity)) if identity is not None else str(fallback)


def environment(
    conn: Conn, verb: Verb, moving: bool = False, stack: str = "klips", part: Selector | None = None
) -> dict[str, str]:
    """The PLUTO_* variables for `verb`; the connection must be oriented and its clients known.

    `moving`: the tunnel stays and an end has another address (MOBIKE). `part`: of the peer's side, if not all of it.
    """
    oriented, local, remote = conn.oriented, conn.local, part or conn.remote
    if oriented is None or local is None or remote is None:
        raise ValueError(f"{conn.label} is not oriented")
    mine, theirs = _net(local), _net(remote)
    peer = str(oriented.peer) if oriented.peer is not None else "0.0.0.0" if oriented.me.version == 4 else "::"
    family = {4: "ipv4", 6: "ipv6"}
    told = not conn.policy.ignore_dns
    servers = " ".join(map(str, conn.assigned.dns)) if told else ""
    domains = " ".join(conn.assigned.domains) if told else ""
    env = {
        "PLUTO_VERSION": "2.0",
        "PLUTO_VERB": verb_name(conn, verb),
        "PLUTO_CONNECTION": quoted(conn.name),
        "PLUTO_CONNECTION_TYPE": "tunnel" if conn.policy.tunnel else "transport",
        "PLUTO_NEXT_HOP": str(oriented.nexthop) if oriented.nexthop is not None else peer,
        "PLUTO_INTERFACE": oriented.device,
        "PLUTO_ME": str(oriented.me),
        "PLUTO_MY_ID": _id(oriented.ours.id, oriented.me),
        "PLUTO_MY_CLIENT": str(mine),
        "PLUTO_MY_CLIENT_NET": str(mine.network_address),
        "PLUTO_MY_CLIENT_MASK": str(mine.netmask),
        "PLUTO_MY_PORT": str(local.port),
        "PLUTO_MY_PROTOCOL": str(local.protocol),
        "PLUTO_PEER": peer,
        "PLUTO_PEER_ID": _id(conn.peer_id or oriented.theirs.id, peer),
        "PLUTO_PEER_CLIENT": str(theirs),
        "PLUTO_PEER_CLIENT_NET": str(theirs.network_address),
        "PLUTO_PEER_CLIENT_MASK": str(theirs.netmask),
        "PLUTO_PEER_PORT": str(remote.port),
        "PLUTO_PEER_PROTOCOL": str(remote.protocol),
        "PLUTO_PEER_CA": quoted(oriented.theirs.ca),
        "PLUTO_STACK": stack,
        "PLUTO_CONN_POLICY": connection_policy(conn),
        "PLUTO_CONN_ADDRFAMILY": family[oriented.me.version],
        "PLUTO_CONN_ENDFAMILY": family[oriented.me.version],
        "PLUTO_CONN_CLIENTFAMILY": family[mine.version],
        "PLUTO_XAUTH_USERNAME": quoted(conn.login[0]),
        "XAUTH_FAILED": str(int(conn.login[1])),
        "PLUTO_IS_PEER_CISCO": str(int(conn.policy.cisco)),
        "PLUTO_CISCO_DNS_INFO": servers,
        "PLUTO_CISCO_DOMAIN_INFO": domains,
        "PLUTO_PEER_DNS_INFO": servers,
        "PLUTO_PEER_DOMAIN_INFO": domains,
        "PLUTO_CFG_CLIENT": str(int(conn.virtual)),
        "PLUTO_CFG_SERVER": str(int(bool(oriented.theirs.pools))),
        "PLUTO_PEER_BANNER": quoted(conn.assigned.banner),
        "PLUTO_PEER_ROUTES": " ".join(map(str, conn.assigned.routes)),
        "PLUTO_NM_CONFIGURED": str(int(conn.policy.nm_configured)),
        "PLUTO_MOBIKE_EVENT": "yes" if moving else "",
    }
    flows = conn.opened if verb is Verb.DOWN and part is None else ()
    flows = flows or (flow_keys(local, remote) if part is not None else conn.tunnel_keys or conn.keys)
    if flows != (FlowKey(mine, theirs, local.protocol or remote.protocol, local.port, remote.port),):
        env["PLUTO_FLOWS"] = " ".join(f"{f.src},{f.dst},{f.protocol},{f.src_port},{f.dst_port}" for f in flows)
    source = next((a for a in conn.sources if a.version == mine.version), None)
    if source is not None:
        env["PLUTO_MY_SOURCEIP"] = str(source)
    metric = conn.policy.metric
    if of_strangers((conn.template or conn).policy):
        metric = metric or STRANGERS_METRIC
    if metric:
        env["PLUTO_METRIC"] = str(metric)
    if conn.policy.mtu:
        env["PLUTO_MTU"] = str(conn.policy.mtu)
    if "HOSTACCESS" in env["PLUTO_CONN_POLICY"].split("+"):
        env["PLUTO_HOST_ACCESS"] = "1"
    return env


def is_default(command: str) -> bool:
    """Is this the default command, perhaps with parameters, and nothing a shell would have to look at?"""
    words = command.split()
    return tuple(words[:2]) == DEFAULT and all(word.replace("-", "").isalnum() for word in words[2:])


Then = Callable[[UpdownDone], None]


@dataclass(slots=True)
class _Job:
    name: str
    """The connection's."""
    key: tuple[str, str]
    command: str
    environment: dict[str, str]
    then: Then


@dataclass(slots=True)
class UpdownQueue:
    """Runs the commands of one route one after the other and those of different routes side by side."""

    emit: Callable[[RunUpdown], None]
    waiting: dict[tuple[str, str], deque[_Job]] = field(default_factory=dict)
    running: dict[int, _Job] = field(default_factory=dict)
    token: int = 0

    def run(self, conn: Conn, verb: Verb, then: Then, moving: bool = False) -> None:
        """Have `verb` carried out when its turn has come; `then` is called with the outcome.

        leftupdown="" means there is no command: that counts as done at once. A peer's side of several parts has a
        command for each, and their outcome is the first that has failed.
        """
        if verb is Verb.UP:
            conn.opened = conn.tunnel_keys or conn.keys
        parts = conn.parts or (None,)
        if verb in WHOLE:
            parts = parts[:1]
        told = then if len(parts) == 1 else partial(_join, [], len(parts), then)
        for part in parts:
            env = environment(conn, verb, moving, part=part)
            command = conn.oriented.ours.updown if conn.oriented else ""
            job = _Job(conn.name, (env["PLUTO_PEER_CLIENT"], env["PLUTO_INTERFACE"]), command, env, told)
            queue = self.waiting.setdefault(job.key, deque())
            queue.append(job)
            if len(queue) == 1:
                self._start(job)

    def done(self, event: UpdownDone) -> bool:
        """Hand an outcome to whoever waits for it; False when nobody does."""
        job = self.running.pop(event.token, None)
        if job is None:
            return False
        self._finish(job, event)
        return True

    def after(self, names: Container[str], then: Callable[[], None]) -> None:
        """Call `then` when what runs or waits now for these connections has been carried out; perhaps at once."""
        theirs = ([job for job in queue if job.name in names] for queue in self.waiting.values())
        last = [jobs[-1] for jobs in theirs if jobs]
        left = len(last)

        def done(tell: Then, event: UpdownDone) -> None:
            nonlocal left
            tell(event)
            left -= 1
            if not left:
                then()

        for job in last:
            job.then = partial(done, job.then)
        if not last:
            then()

    def _start(self, job: _Job) -> None:
        self.token += 1
        if not job.command:
            self._finish(job, UpdownDone(self.token, 0, ()))
            return
        self.running[self.token] = job
        self.emit(RunUpdown(self.token, job.command, job.environment))

    def _finish(self, job: _Job, event: UpdownDone) -> None:
        queue = self.waiting[job.key]
        queue.popleft()
        following = queue[0] if queue else None
        if following is None:
            del self.waiting[job.key]
        job.then(event)
        if following is not None:
            self._start(following)

    @property
    def idle(self) -> bool:
        """Is no command running or waiting?"""
        return not self.waiting


def _join(seen: list[UpdownDone], wanted: int, then: Then, event: UpdownDone) -> None:
    """One of several commands that are one has ended: the last of them says so for all."""
    seen.append(event)
    if len(seen) == wanted:
        status = next((one.status for one in seen if one.status), 0)
        then(UpdownDone(event.token, status, tuple(line for one in seen for line in one.output)))


def outcome(verb: str, status: int) -> str:
    """What a failed command is reported as; empty for success."""
    if status == 0:
        return ""
    if status < 0:
        return f"{verb} command exited with signal {-status}"
    return f"{verb} command exited with status {status}"


CAUSES: tuple[tuple[str, str], ...] = (
    (r"File exists", "there is such a route already: `ip route replace' takes its place, `ip route show' shows it"),
    (
        r"invalid gateway|Network is unreachable|No route to host",
        "the next hop is on no link of this host: correct leftnexthop=, or leave it out",
    ),
    (r"Network is down|not up", "{device} is down: ip link set {device} up"),
    (r"[Nn]o such device|Cannot find device|does not exist", "there is no {device}: ipsec tncfg shows what there is"),
    (
        r"Operation not permitted|Permission denied",
        "the command may not do that: where systemd runs pluto, `systemctl edit ipsec' gives its commands more",
    ),
    (r"not found|No such file", "a program or file of the command is missing: try it by hand, with a full path"),
    (r"Invalid argument|No such process", "the kernel takes no such route: compare the command with `ip route help'"),
    (r"killed: it took longer", "it has to end by itself: put what takes long into the background"),
)
"""What a command's output shows of the reason for its failure, the most telling first, and what to change."""


def remedy(device: str, event: UpdownDone) -> str:
    """What to change after a command has failed; empty when it did not."""
    if not event.status:
        return ""
    if event.status in (126, 127) and not event.output:
        return "leftupdown= names nothing that can be run"
    said = "\n".join(event.output)
    found = next((text for pattern, text in CAUSES if re.search(pattern, said)), "")
    if found:
        return found.format(device=device)
    if said:
        return "its output above says why; `ipsec _updown --print' shows what the default command does"
    return "it says nothing of the reason: have the script print what it runs (set -x)"
