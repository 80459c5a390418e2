# SPDX-License-Identifier: GPL-2.0-or-later
"""Updown commands: the default one carried out here with the same effect as its script, any other through /bin/sh.

The contract is that of interface version 2.0: PLUTO_VERB says what to do, the other PLUTO_* variables about what; exit
status 0 is success; output is for the log. Nothing blocks the event loop.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from openswan.base.address import Address, Subnet
from openswan.base.errors import HostError, IpsecError
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.engine.effects import GuardEntry
from openswan.engine.updown import is_default
from openswan.host.guard.guard import Guard
from openswan.host.openings.model import Opening, flow_of
from openswan.host.openings.openings import Openings
from openswan.host.resolvedit import ResolvEdit
from openswan.host.routes import Routes
from openswan.policy.selector import FlowKey

FOLD = 255
"""Characters a line of output may have before it is folded."""
MOST_OUTPUT = 1 << 16
"""Octets of output kept."""
PATIENCE = 120.0
"""Seconds after which a script is killed: it would hold up its connection for ever."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PARAMETERS = {"custom": 1, "ipfwadm": 1, "--route": 2, "--iproute": 2}
"""Words the classic scripts took, with how many each is; they change nothing here."""


class Refused(IpsecError):
    """An updown call that makes no sense; `status` is its exit status."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Call:
    """What the environment of one call says."""

    verb: str
    """One of VERBS."""
    connection: str
    device: str
    ours: Subnet
    theirs: Subnet
    protocol: int
    our_port: int
    their_port: int
    source: Address | None
    mtu: int
    metric: int
    to_host: bool = False
    """Our client is our own address (a `-host` verb)."""
    peer: str = ""
    """The other end's outer address."""
    dns: tuple[Address, ...] = ()
    domains: tuple[str, ...] = ()
    """What the peer has told us."""
    flows: tuple[FlowKey, ...] = ()
    """What the tunnel covers, if that is not just the selector."""
    by_manager: bool = False
    """nm_configured=yes: NetworkManager sees to the resolver."""
    policy: frozenset[str] = frozenset()
    """Words of PLUTO_CONN_POLICY."""

    @property
    def opening(self) -> Opening:
        """What leftfirewall= and lefthostaccess= ask for. On this host alone there is nothing to forward."""
        firewall, host = "FIREWALL" in self.policy, "HOSTACCESS" in self.policy
        return Opening(
            self.connection,
            self.peer,
            self.device,
            self.flows or (self.flow,),
            firewall and not self.to_host,
            host or (firewall and self.to_host),
        )

    @property
    def flow(self) -> FlowKey:
        """The selector."""
        return FlowKey(self.ours, self.theirs, self.protocol, self.our_port, self.their_port)


def check_parameters(words: tuple[str, ...]) -> None:
    """Refuse what the classic scripts refused."""
    at = 0
    while at < len(words):
        if words[at] not in PARAMETERS:
            raise Refused(2, f"unknown parameters `{' '.join(words)}'")
        at += PARAMETERS[words[at]]


def read_call(env: Mapping[str, str]) -> Call:
    """The call an environment describes; Refused as the classic script would refuse it."""
    version = env.get("PLUTO_VERSION", "")
    if version.startswith("1."):
        raise Refused(2, f"obsolete interface version `{version}', called by obsolete Pluto?")
    if not version:
        raise Refused(2, "PLUTO_VERSION is not set: this command is run by pluto")
    full = env.get("PLUTO_VERB", "")
    verb, _, kind = full.removesuffix("-v6").partition("-")
    if verb not in VERBS or kind not in ("host", "client"):
        raise Refused(1, f"unknown verb `{full}' or parameter `'")
    try:
        source = ip_address(env["PLUTO_MY_SOURCEIP"]) if env.get("PLUTO_MY_SOURCEIP") else None
        return Call(
            verb,
            env.get("PLUTO_CONNECTION", ""),
            env["PLUTO_INTERFACE"],
            ip_network(env["PLUTO_MY_CLIENT"]),
            ip_network(env["PLUTO_PEER_CLIENT"]),
            int(env.get("PLUTO_MY_PROTOCOL") or env.get("PLUTO_PEER_PROTOCOL") or 0),
            int(env.get("PLUTO_MY_PORT") or 0),
            int(env.get("PLUTO_PEER_PORT") or 0),
            source,
            int(env.get("PLUTO_MTU") or 0),
            int(env.get("PLUTO_METRIC") or 0),
            kind == "host",
            env.get("PLUTO_PEER", ""),
            tuple(ip_address(one) for one in env.get("PLUTO_CISCO_DNS_INFO", "").split()),
            tuple(env.get("PLUTO_CISCO_DOMAIN_INFO", "").split()),
            tuple(flow_of(*each.split(",")) for each in env.get("PLUTO_FLOWS", "").split()),
            env.get("PLUTO_NM_CONFIGURED") == "1",
            frozenset(env.get("PLUTO_CONN_POLICY", "").split("+")),
        )
    except KeyError as why:
        raise Refused(2, f"{why.args[0]} is not set") from None
    except (ValueError, TypeError) as why:
        raise Refused(2, str(why)) from None


@dataclass(frozen=True, slots=True)
class World:
    """What the default command acts on."""

    routes: Routes
    guard: Guard | None = None
    openings: Openings | None = None
    resolv: ResolvEdit | None = None


Lines = tuple[str, ...]
"""What there is to say although nothing has failed."""
Outcome = tuple[int, Lines]
"""Exit status, and lines of output."""


def _route(call: Call, world: World) -> Lines:
    world.routes.add(call.device, call.theirs, call.source, call.mtu, call.metric, call.ours)
    return ()


def _unroute(call: Call, world: World) -> Lines:
    world.routes.delete(call.device, call.theirs)
    return ()


def _up(call: Call, world: World) -> Lines:
    wanted = call.opening
    return world.openings.open(wanted) if world.openings is not None and (wanted.forward or wanted.host) else ()


def _down(call: Call, world: World) -> Lines:
    return world.openings.close(call.opening) if world.openings is not None else ()


def _guard(call: Call, world: World) -> Lines:
    if world.guard is not None:
        world.guard.set(call.connection, (GuardEntry(call.flow, call.device),))
    return ()


def _unguard(call: Call, world: World) -> Lines:
    if world.guard is not None:
        world.guard.delete(call.connection)
    return ()


def _update_resolv(call: Call, world: World) -> Lines:
    if world.resolv is None or call.by_manager or not call.dns:
        return ()
    return world.resolv.update(call.connection, call.dns, call.domains)


def _restore_resolv(call: Call, world: World) -> Lines:
    return world.resolv.restore(call.connection) if world.resolv is not None and not call.by_manager else ()


def _nothing(_call: Call, _world: World) -> Lines:
    """Adding a route replaces what stood there; source addresses come with routes; NetworkManager has its own."""
    return ()


VERBS: dict[str, Callable[[Call, World], Lines]] = {
    "prepare": _nothing,
    "route": _route,
    "unroute": _unroute,
    "up": _up,
    "down": _down,
    "updateresolvconf": _update_resolv,
    "restoreresolvconf": _restore_resolv,
    "disconnectNM": _nothing,
    "guard": _guard,
    "unguard": _unguard,
}


def carry_out(env: Mapping[str, str], world: World, parameters: tuple[str, ...] = ()) -> Outcome:
    """The default command: (exit status, output lines)."""
    try:
        check_parameters(parameters)
        call = read_call(env)
        return 0, VERBS[call.verb](call, world)
    except Refused as why:
        return why.status, (str(why),)
    except HostError as why:
        return 1, (f"{env.get('PLUTO_VERB', '')}: {why}",)


def fold(output: bytes) -> tuple[str, ...]:
    """Output as lines of at most FOLD characters."""
    lines = []
    for line in output.decode(errors="replace").splitlines():
        lines += [line[at : at + FOLD] for at in range(0, len(line), FOLD)] or [""]
    return tuple(lines)


class Updown:
    """Runs updown commands one after the other."""

    def __init__(self, world: World, patience: float = PATIENCE, marks: Marks = DEFAULT_MARKS) -> None:
        self._settings = _settings(marks)
        self._world = world
        self._patience = patience

    def start(self, command: str, environment: Mapping[str, str]) -> Outcome | Coroutine[Any, Any, Outcome]:
        """Carry a command out: (exit status, output lines), or what to await for them where that takes time.

        The default command takes time when it opens or closes something together with others. A negative status is the
        signal that ended it; HostError when the shell cannot be started.
        """
        if not is_default(command):
            return self._shell(command, environment)
        outcome = carry_out(environment, self._world, tuple(command.split()[2:]))
        settled = self._world.openings.settled() if self._world.openings is not None else None
        return outcome if settled is None else _settled(outcome, settled)

    async def run(self, command: str, environment: Mapping[str, str]) -> Outcome:
        """The same for who waits in any case."""
        done = self.start(command, environment)
        return done if isinstance(done, tuple) else await done

    async def _shell(self, command: str, environment: Mapping[str, str]) -> Outcome:
        output = _Output()
        try:
            process = await asyncio.create_subprocess_exec(
                "/bin/sh",
                "-c",
                command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output.writing,
                stderr=output.writing,
                env={"PATH": os.environ.get("PATH", PATH), **self._settings, **environment},
                start_new_session=True,
            )
        except OSError as why:
            output.close()
            raise HostError(f"unable to popen {environment.get('PLUTO_VERB', command)}: {why.strerror}") from None
        output.follow()
        note = b""
        try:
            status = await asyncio.wait_for(process.wait(), self._patience)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            status = await process.wait()
            note = f"\nkilled: it took longer than {self._patience:g} s".encode()
        except asyncio.CancelledError:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            output.close()
        return status, fold((bytes(output.data) + note).strip(b"\n"))


async def _settled(outcome: Outcome, settled: Awaitable[Lines]) -> Outcome:
    """With what there is to say of openings that were made together."""
    status, lines = outcome
    return status, (*lines, *await settled)


class _Output:
    """A pipe read while the command runs, and not longer: something it left running may hold the other end."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.reading, False)
        self.data = bytearray()

    def follow(self) -> None:
        """The command has started: only it may keep the writing end open."""
        os.close(self.writing)
        self.writing = -1
        asyncio.get_running_loop().add_reader(self.reading, self._read)

    def _read(self) -> bool:
        try:
            data = os.read(self.reading, 1 << 16)
        except BlockingIOError:
            return False
        if not data:
            asyncio.get_running_loop().remove_reader(self.reading)
        self.data += data[: max(0, MOST_OUTPUT - len(self.data))]
        return bool(data)

    def close(self) -> None:
        """Take what is there already, then stop reading."""
        if self.writing >= 0:
            os.close(self.writing)
        else:
            for _ in range(MOST_OUTPUT >> 12):
                if not self._read():
                    break
            asyncio.get_running_loop().remove_reader(self.reading)
        os.close(self.reading)


def _settings(marks: Marks) -> dict[str, str]:
    """Where the daemon's files are, as a script may call `ipsec` itself, and which bits of the mark are ours."""
    found = {name: os.environ[name] for name in ("IPSEC_CONFS", "IPSEC_RUNDIR") if name in os.environ}
    return {**found, "PLUTO_FWMARK_MASK": f"{marks.mask:#010x}"}


def run_script(text: str) -> int:
    """Have /bin/sh run a script with our own environment and output; its exit status."""
    return subprocess.run(["/bin/sh", "-s"], input=text.encode(), check=False).returncode
