# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec setup`: start, stop, restart the whole subsystem, tell its state; in the classic words and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from openswan import __version__
from openswan.base import paths
from openswan.base.errors import ConfigError, HostError
from openswan.base.log import parse_priority
from openswan.cli.ourmarks import configured
from openswan.cli.talk import request
from openswan.config.places import setup_of
from openswan.host import process, units
from openswan.host.logsink import to_syslog_as
from openswan.host.progress import working

if TYPE_CHECKING:
    from openswan.config.load import Loaded

USAGE = (
    "Usage: ipsec setup start | stop | restart | reload | force-reload | condrestart | try-restart | guard |\n"
    "                   status | version"
)
NOT_ROOT = 4
NO_CONF = 6
STOPPED = 3
NOT_RUNNING = 7
CONF_UNUSABLE = 3
NOT_WANTED = 11
"""What pluto exits with for pluto=no."""
TAG = "ipsec_setup"
STOP_PATIENCE = 15.0
"""Seconds pluto has to say goodbye to its peers and go."""
MODULES = ((Path("/dev/net/tun"), "tun"),)
"""What pluto opens and the kernel may have as a module that nobody has loaded yet."""


def say(text: str) -> None:
    """One line for the operator, tagged as syslog readers know it, and for syslog too where syslog= says so."""
    print(f"ipsec_setup: {text}", file=sys.stderr, flush=True)
    if where := _also_told():
        to_syslog_as(TAG, where, text)


@lru_cache(maxsize=1)
def _also_told() -> str:
    """syslog= of config setup, if it makes sense."""
    param = setup_of(paths.conf_file()).get("syslog")
    try:
        return param.value if param is not None and parse_priority(param.value) else ""
    except ConfigError:
        return ""


def start() -> int:
    """Start pluto, which does the rest itself; returns once it answers."""
    if not paths.conf_file().is_file():
        say(f"no {paths.conf_file()}: nothing to start from (`man ipsec.conf' has an example)")
        return NO_CONF
    if process.pid_state(paths.pid_file()).alive:
        say("Openswan IPsec apparently already active, start aborted")
        return 0
    _remove_orphans()
    _load_modules()
    say(f"Starting Openswan IPsec {__version__}...")
    if units.manages():
        return _start_unit()
    with working("loading the connections of ipsec.conf"):
        status, out, err = process.start_daemon(process.ipsec_argv("pluto", "--autostart"))
    for line in [*err.splitlines(), *(line for line in out.splitlines() if line != "Pluto initialized")]:
        say(line)
    if status == NOT_WANTED:
        return 0
    if status == 10:
        say("pluto apparently already running (?!?), giving up")
        return 1
    if status:
        say(f"!pluto failure!:  exited with error status {status}")
        return status if status in (STOPPED,) else 1
    say("...Openswan IPsec started")
    return 0


def _start_unit() -> int:
    with working("systemd starts pluto"):
        status, said = units.start()
    for line in said.splitlines():
        say(line)
    if status:
        say(f"!pluto failure!:  `journalctl -u {units.UNIT}' has its words")
        return 1
    say("...Openswan IPsec started")
    return 0


def _load_modules() -> None:
    """Load what is missing, as far as it is to be had: pluto says what it cannot do without."""
    for device, module in MODULES:
        if not device.exists():
            process.command(["modprobe", "-q", module], 10.0)


def _remove_orphans() -> None:
    for path in (paths.pid_file(), paths.control_socket()):
        if path.exists():
            say(f"Removing orphaned {path}:")
            path.unlink(missing_ok=True)


def guard() -> int:
    """Put the leak guard of ipsec.conf in force and nothing else; at boot, before there is a network."""
    from openswan.config.load import load  # nobody else needs all of these
    from openswan.engine.bootguard import group_guards, guards, manual_guards
    from openswan.host.guard.guard import Guard
    from openswan.host.guard.journal import MANUAL

    if not paths.conf_file().is_file():
        say(f"no {paths.conf_file()}: nothing to guard")
        return NO_CONF
    if process.pid_state(paths.pid_file()).alive:
        say("pluto is running and keeps the guard")
        return 0
    try:
        loaded = load()
        paths.rundir().mkdir(mode=0o700, parents=True, exist_ok=True)
        guard = Guard.open(rundir=paths.rundir(), log=lambda line, serious: say(line), marks=configured())
        try:
            held = guard.entries()
            ours = loaded.connections
            ahead = (*guards(ours), *group_guards(ours, dict(loaded.groups)), *manual_guards(loaded.manual, MANUAL))
            with guard.batch():
                for each in ahead:
                    if each.connection not in held:
                        guard.set(each.connection, each.entries, each.block_families)
            say(f"leak guard in force for {len(guard.entries())} connections")
        finally:
            guard.close(keep=True)
    except ConfigError as why:
        say(str(why))
        return CONF_UNUSABLE
    except (HostError, OSError) as why:
        say(f"no leak guard: {why}")
        return 1
    for name in sorted(loaded.unusable):
        for complaint in loaded.about(name):
            say(f"{complaint}: it is not guarded")
    return CONF_UNUSABLE if loaded.unusable else 0


def _end(keep_guard: bool) -> bool:
    """Make a running pluto end, by request or else by signal; False when it would not go."""
    state = process.pid_state(paths.pid_file())
    if not state.alive:
        return True
    try:
        with working("pluto says goodbye to its peers"):
            for _ in request("shutdown", timeout=STOP_PATIENCE, keep_guard=keep_guard):
                pass
            gone = process.await_end(state.pid, STOP_PATIENCE)
    except HostError:
        gone = process.await_end(state.pid, 0.0)
    if not gone:
        say("Attempt to shut Pluto down failed!  Trying kill:")
        gone = process.end(state.pid, 5.0)
    return gone


def stop() -> int:
    """End pluto and take guard, routes and virtual interfaces away."""
    say("Stopping Openswan IPsec...")
    if not process.pid_state(paths.pid_file()).alive:
        say("stop ordered, but IPsec appears to be already stopped!")
        say("doing cleanup anyway...")
    gone = _end(keep_guard=False)
    if units.manages():
        units.stop()
    if not gone:
        say("pluto does not end; guard and routes stay")
        return 1
    _remove_orphans()
    from openswan.host.cleanup import remove_everything  # only `stop` needs all of it

    complaints = remove_everything(paths.rundir())
    for line in complaints:
        say(line)
    say("...Openswan IPsec stopped")
    return 1 if complaints else 0


def _read() -> Loaded | int:
    """ipsec.conf as it is now for a pluto that runs; or, when it cannot follow that, the exit status."""
    from openswan.config.load import load  # only what changes a running pluto looks before it leaps

    if not paths.conf_file().is_file():
        say(f"no {paths.conf_file()}: pluto goes on as it was")
        return NO_CONF
    try:
        loaded = load()
    except ConfigError as why:
        say(f"{why}: pluto goes on as it was")
        return CONF_UNUSABLE
    amiss = [each for each in loaded.complaints if each.fatal and not each.conn]
    for each in amiss:
        say(str(each))
    if amiss:
        say("pluto goes on as it was")
    return CONF_UNUSABLE if amiss else loaded


def _obstacle() -> int:
    """Say what keeps ipsec.conf, as it is now, from following what runs; 0, or the exit status."""
    from openswan.host.guard.guard import STATE_FILE
    from openswan.host.guard.journal import conn_of, read

    loaded = _read()
    if isinstance(loaded, int):
        return loaded
    lost = {conn_of(each) for each in read(paths.rundir() / STATE_FILE).held} & loaded.unusable
    for name in sorted(lost):
        for line in loaded.about(name):
            say(str(line))
        say(f'conn "{name}" is in force and would be lost: correct it, or take it down (ipsec auto --delete {name})')
    if lost:
        say("pluto goes on as it was")
    return CONF_UNUSABLE if lost else 0


def reload() -> int:
    """Have a running pluto follow ipsec.conf: changed conns alone, nothing at all when the file makes no sense."""
    from openswan.cli.reload import follow

    if not process.pid_state(paths.pid_file()).alive:
        say("pluto does not run: nothing to reload (ipsec setup start)")
        return NOT_RUNNING
    loaded = _read()
    if isinstance(loaded, int):
        return loaded
    try:
        lines: list[str] = []
        with working("pluto follows ipsec.conf"):
            good = follow(loaded, lines.append)
        for line in lines:
            say(line)
        return 0 if good else CONF_UNUSABLE
    except HostError as why:
        say(str(why))
        return 1


def restart() -> int:
    """Stop and start with the guard in place throughout; what runs goes on if nothing could follow it."""
    if process.pid_state(paths.pid_file()).alive:
        if status := _obstacle():
            return status
        say("Stopping Openswan IPsec...")
        if not _end(keep_guard=True):
            return 1
        say("...Openswan IPsec stopped")
    return start()


def restart_if_running() -> int:
    """Restart only when pluto runs."""
    return restart() if process.pid_state(paths.pid_file()).alive else 0


def status() -> int:
    """Running or stopped, how many tunnels, and what a dead pluto has left behind."""
    state = process.pid_state(paths.pid_file())
    if state.exists and not state.pid and not process.is_root():
        say("permission denied (must be superuser)")  # to look into the pid file
        return NOT_ROOT
    if not state.alive:
        print("IPsec stopped")
        if state.exists:
            print("but...")
            print(f"has {paths.pid_file()} file!")
            return 1
        return STOPPED
    print(f"IPsec running  - pluto pid: {state.pid}")
    print(f"pluto pid {state.pid}")
    try:
        lines = [text for _, text in request("status", timeout=10.0)]
        eroutes = [text for _, text in request("eroute", timeout=10.0)]
    except HostError as why:
        print(f"but...\n{why}")
        return 1
    tunnels = sum("IPsec SA established" in line and "eroute owner" in line for line in lines)
    print(f"{tunnels or 'No'} tunnels up")
    if eroutes:
        print("some eroutes exist")
    return 0


def version() -> int:
    """Print the version."""
    print(f"Linux Openswan {__version__}")
    return 0


VERBS: dict[str, tuple[Callable[[], int], bool]] = {
    "start": (start, True),
    "stop": (stop, True),
    "restart": (restart, True),
    "reload": (reload, True),
    "force-reload": (restart, True),
    "condrestart": (restart_if_running, True),
    "try-restart": (restart_if_running, True),
    "guard": (guard, True),
    "status": (status, False),
    "version": (version, False),
}
"""Verb -> (function, needs root)."""


def main(argv: list[str]) -> int:
    """Carry out one verb; 2 for a usage error, 4 when root is needed, otherwise the verb's own status."""
    words = [word.removeprefix("--") for word in argv]
    if "help" in words:
        print(USAGE)
        return 0
    if wrong := [word for word in words if word not in VERBS] or words[1:]:
        print(f"ipsec setup: `{wrong[0]}' not understood", file=sys.stderr)
    if wrong or not words:
        print(USAGE, file=sys.stderr)
        return 2
    verb, needs_root = VERBS[words[0]]
    if needs_root and not process.is_root():
        say("permission denied (must be superuser)")
        return NOT_ROOT
    return verb()
