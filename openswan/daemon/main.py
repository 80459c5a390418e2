# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec pluto`: read what is asked for, take the lock, go into the background, run the gateway."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from openswan import __version__
from openswan.base import paths
from openswan.base.errors import ConfigError, HostError, IpsecError
from openswan.config.load import Loaded, load
from openswan.config.secretsfile import load_secrets
from openswan.crypto.revocation import Demands, Strict
from openswan.daemon.gateway import Gateway
from openswan.daemon.options import USAGE, Options, parse
from openswan.daemon.wanted import Places, Wanted
from openswan.engine.settings import Settings
from openswan.host import logsink, process
from openswan.host.notify import Notifier

ALREADY_RUNNING = 10
CONF_UNREADABLE = 3
MOST_TOLD = 20
"""Lines about configuration files that `ipsec setup start` prints."""
READY = "Pluto initialized"


class Refused(Exception):
    """The daemon cannot begin; carries the exit status."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(reason)


def main(argv: list[str]) -> int:
    """Run pluto; returns in the foreground process only (see ipsec_pluto(8) for the exit status)."""
    try:
        options = parse(argv)
        if "help" in options or "version" in options:
            print(USAGE if "help" in options else f"ipsec pluto {__version__}")
            return 0
        _ = options.listen
        options.number("ikeport", 0, 65535)
        options.number("nat-ikeport", 0, 65535)
        options.number("keep-alive", 0, 86400)
    except ConfigError as why:
        print(f"ipsec pluto: {why}\n{USAGE}", file=sys.stderr)
        return 1
    if not process.is_root():
        print("ipsec pluto: permission denied (must be root)", file=sys.stderr)
        return 1
    os.umask(0o077)
    rundir = options.control.parent
    try:
        rundir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as why:
        print(f"ipsec pluto: cannot make {rundir}: {why.strerror}", file=sys.stderr)
        return ALREADY_RUNNING
    ready = None if "nofork" in options else process.daemonize()
    try:
        return _serve(options, _announcer(ready), background=ready is not None)
    except Refused as why:
        if ready is None:
            print(why, file=sys.stderr)
        else:
            ready.tell(f"!{why.status} {why}")
        return why.status


def _announcer(ready: process.Readiness | None) -> Callable[[], None]:
    if ready is None:
        return lambda: print(READY, flush=True)
    return lambda: ready.tell(READY)


def _serve(options: Options, announce: Callable[[], None], background: bool) -> int:
    loaded = _configuration(options)
    sink = _sink(options, loaded)
    lock = process.PidFile(options.pid_file)
    try:
        lock.acquire()
    except HostError as why:
        raise Refused(ALREADY_RUNNING, str(why)) from None
    try:
        gateway = Gateway(_wanted(options, loaded), sink, Notifier.inherit())
        try:
            gateway.control.bind()
        except HostError as why:
            raise Refused(ALREADY_RUNNING, str(why)) from None
        sink(f"Starting Pluto (Openswan Version {__version__}) pid:{os.getpid()}", False)
        for complaint in loaded.complaints if loaded else ():
            sink(str(complaint), complaint.fatal)
        if background:
            _tell(_complaints(options, loaded))
            process.redirect_standard(options.control.parent / "pluto.stderr")
        try:
            asyncio.run(gateway.run(announce))
        except IpsecError as why:
            sink(f"FATAL ERROR: {why}", True)
            raise Refused(1, f"ipsec pluto: {why}") from None
        finally:
            options.control.unlink(missing_ok=True)
    finally:
        lock.release()
    sink("pluto has ended", False)
    return 0


def _complaints(options: Options, loaded: Loaded | None) -> list[str]:
    """What is wrong with ipsec.conf and, when connections are about to start, with ipsec.secrets."""
    found = [str(each) for each in loaded.complaints] if loaded else []
    return [*found, *load_secrets(options.secrets)[1]] if "autostart" in options else found


def _tell(complaints: list[str]) -> None:
    """The first of them to whoever started us; the log has all."""
    for line in complaints[:MOST_TOLD]:
        print(line, file=sys.stderr)
    if len(complaints) > MOST_TOLD:
        print(f"... and {len(complaints) - MOST_TOLD} more; see the log", file=sys.stderr)
    sys.stderr.flush()


def _configuration(options: Options) -> Loaded | None:
    """ipsec.conf; None when it is not there and not needed."""
    if "autostart" not in options and not options.config.exists():
        return None
    try:
        return load(options.config)
    except ConfigError as why:
        raise Refused(CONF_UNREADABLE, f"ipsec pluto: {why}") from None


def _sink(options: Options, loaded: Loaded | None) -> logsink.Sink:
    """Where log lines go; see ipsec_pluto(8)."""
    named = options.values.get("logfile", loaded.setup.log_file if loaded else "")
    try:
        if "stderrlog" in options:
            return logsink.to_descriptor(os.dup(2))
        if named:
            return logsink.to_file(Path(named))
        if os.environ.get(paths.RUNDIR_VARIABLE) or not (logsink.JOURNAL.exists() or Path("/dev/log").exists()):
            return logsink.to_file(options.control.parent / "pluto.log")
    except HostError as why:
        raise Refused(1, f"ipsec pluto: {why}") from None
    return logsink.to_journal() if logsink.JOURNAL.exists() else logsink.to_syslog()


def _demands(options: Options, said: Demands) -> Demands:
    """What must be known of a certificate's revocation; --strictcrlpolicy is yes."""
    strict = "strictcrlpolicy" in options or "crl-strict" in options
    return replace(said, strict=Strict.YES, fetch=True) if strict else said


def _wanted(options: Options, loaded: Loaded | None) -> Wanted:
    """Command line before config setup before defaults."""
    setup = loaded.setup if loaded else None
    defaults = Settings()
    settings = Settings(
        uniqueids="uniqueids" in options or (setup.unique_ids if setup else defaults.uniqueids),
        keep_alive=float(
            options.number("keep-alive", 0, 86400) or (setup.keep_alive if setup else defaults.keep_alive)
        ),
        force_busy="force-busy" in options or (setup.force_busy if setup else defaults.force_busy),
        redirect=setup.redirect if setup else defaults.redirect,
        redirect_to=setup.redirect_to if setup else defaults.redirect_to,
        ikev1=setup.ikev1 if setup else defaults.ikev1,
        hide_tos=setup.hide_tos if setup else defaults.hide_tos,
        strangers=setup.oe_interface if setup else defaults.strangers,
        ike_port=options.number("ikeport", defaults.ike_port, 65535),
        natt_port=options.number("nat-ikeport", defaults.natt_port, 65535),
        request_certs="nocrsend" not in options and (setup.request_certs if setup else True),
        hash_and_url=setup.hash_and_url if setup else defaults.hash_and_url,
        demands=_demands(options, setup.demands if setup else defaults.demands),
        fetching=setup.fetching if setup else defaults.fetching,
    )
    listen = (options.listen,) if options.listen else (setup.listen if setup else ())
    return Wanted(
        places=Places(options.control.parent, options.control, options.secrets, options.ipsec_d, options.config),
        settings=settings,
        interfaces=setup.interfaces if setup else (),
        listen=listen,
        override_mtu=setup.override_mtu if setup else 0,
        listen_tcp=setup.listen_tcp if setup else False,
        packet_sockets=setup.packet_sockets if setup else True,
        pinned=setup.pinned if setup else False,
        connections=loaded.connections if loaded and "autostart" in options else None,
        manual=loaded.manual if loaded and "autostart" in options else (),
        groups=loaded.groups if loaded and "autostart" in options else (),
        unusable=loaded.unusable if loaded and "autostart" in options else frozenset(),
        authorities=loaded.authorities if loaded else (),
        setup=setup.values if setup else (),
        fetch_interface=setup.fetch_interface if setup else "",
    )
