# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec pluto`: read what is asked for, take the lock, go into the background, run the gateway."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

from openswan import __version__
from openswan.base import paths
from openswan.base.debugclasses import classes_of
from openswan.base.errors import ConfigError, HostError, IpsecError
from openswan.base.marks import DEFAULT_MARKS
from openswan.config.load import Loaded, load
from openswan.config.secretsfile import load_secrets
from openswan.config.setup import Setup
from openswan.crypto.revocation import Demands, Strict
from openswan.daemon.gateway import Gateway
from openswan.daemon.options import USAGE, Options, parse
from openswan.daemon.preparing import allow_core, run_after, run_before, with_opts
from openswan.daemon.wanted import Places, Wanted
from openswan.engine.settings import Settings
from openswan.host import logsink, process
from openswan.host.notify import Notifier
from openswan.host.respawn import respawn

ALREADY_RUNNING = 10
CONF_UNREADABLE = 3
NOT_WANTED = 11
FINAL = (CONF_UNREADABLE, ALREADY_RUNNING, NOT_WANTED)
"""Exit statuses of what does not get better by another try."""
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
        _checked(options)
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
        return _serve(options, ready)
    except Refused as why:
        if ready is None:
            print(why, file=sys.stderr)
        else:
            ready.tell(f"!{why.status} {why}")
        return why.status


def _checked(options: Options) -> None:
    """ConfigError when a value makes no sense."""
    _ = options.listen
    options.number("ikeport", 0, 65535)
    options.number("nat-ikeport", 0, 65535)
    options.number("keep-alive", 0, 86400)


def _announce(ready: process.Readiness | None) -> None:
    if ready is None:
        print(READY, flush=True)
    else:
        ready.tell(READY)


def _serve(options: Options, ready: process.Readiness | None) -> int:
    """`ready`: who waits for a daemon in the background."""
    options, loaded = _settled(options)
    setup = loaded.setup if loaded else Setup()
    sink = _sink(options, setup)

    def first() -> None:
        """The one that waits for its children has nothing to say to who has started it."""
        if ready is not None:
            ready.close()
        process.redirect_standard(None)

    wanted = ready is not None and setup.says("plutorestartoncrash", False)
    if wanted and respawn(first, lambda line: sink(line, True), FINAL):
        return _life(*_settled(options), sink, ready)  # of a file that may have changed
    return _life(options, loaded, sink, ready)


def _settled(options: Options) -> tuple[Options, Loaded | None]:
    """ipsec.conf, and the options with what it says of them."""
    loaded = _configuration(options)
    setup = loaded.setup if loaded else Setup()
    try:
        options = with_opts(options, setup)
        _checked(options)
    except ConfigError as why:
        raise Refused(CONF_UNREADABLE, f"ipsec pluto: {why}") from None
    if "autostart" in options and not setup.says("pluto", True):
        raise Refused(NOT_WANTED, f"ipsec pluto: pluto=no in {options.config}")
    return options, loaded


def _life(options: Options, loaded: Loaded | None, sink: logsink.Sink, waiting: process.Readiness | None) -> int:
    setup = loaded.setup if loaded else Setup()
    lock = process.PidFile(options.pid_file)
    try:
        lock.acquire()
    except HostError as why:
        raise Refused(ALREADY_RUNNING, str(why)) from None

    def ready() -> None:
        _announce(waiting)
        run_after(setup, sink)

    try:
        gateway = _gateway(options, loaded, sink)
        sink(f"Starting Pluto (Openswan Version {__version__}) pid:{os.getpid()}", False)
        for complaint in loaded.complaints if loaded else ():
            sink(str(complaint), complaint.fatal)
        named = (options.values.get(name) for name in ("dumpdir", "coredir"))
        if trouble := allow_core(next(filter(None, named), setup.value("dumpdir"))):
            sink(trouble, True)
        if waiting is not None:
            _tell(_complaints(options, loaded))
            process.redirect_standard(options.control.parent / "pluto.stderr")
        process.collect_seldom()
        try:
            asyncio.run(gateway.run(ready))
        except IpsecError as why:
            sink(f"FATAL ERROR: {why}", True)
            raise Refused(1, f"ipsec pluto: {why}") from None
        finally:
            options.control.unlink(missing_ok=True)
    finally:
        lock.release()
    sink("pluto has ended", False)
    return 0


def _gateway(options: Options, loaded: Loaded | None, sink: logsink.Sink) -> Gateway:
    """The gateway with its control socket, once prepluto= has gone well."""
    try:
        if loaded is not None and "autostart" in options:
            run_before(loaded.setup)
    except HostError as why:
        raise Refused(1, f"ipsec pluto: {why}") from None
    gateway = Gateway(_wanted(options, loaded), sink, Notifier.inherit())
    try:
        gateway.control.bind()
    except HostError as why:
        raise Refused(ALREADY_RUNNING, str(why)) from None
    return gateway


def _complaints(options: Options, loaded: Loaded | None) -> list[str]:
    """What is wrong with ipsec.conf and, when connections are about to start, with ipsec.secrets."""
    found = [str(each) for each in loaded.complaints] if loaded else []
    return [*found, *load_secrets(_places(options, loaded).secrets)[1]] if "autostart" in options else found


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


def _sink(options: Options, setup: Setup) -> logsink.Sink:
    """Where log lines go, and what is in them; see ipsec_pluto(8)."""
    sink = _place(options, setup)
    return sink if setup.says("logip", True) else logsink.without_addresses(sink)


def _place(options: Options, setup: Setup) -> logsink.Sink:
    named = options.values.get("logfile", setup.log_file)
    stamped = setup.says("plutostderrlogtime", True) and "log-no-time" not in options
    try:
        if "stderrlog" in options or setup.says("logstderr", False):
            return logsink.to_descriptor(os.dup(2), stamped)
        if named:
            return logsink.to_file(Path(named), setup.says("logappend", True), stamped)
        if os.environ.get(paths.RUNDIR_VARIABLE) or not (logsink.JOURNAL.exists() or Path("/dev/log").exists()):
            return logsink.to_file(options.control.parent / "pluto.log")
    except HostError as why:
        raise Refused(1, f"ipsec pluto: {why}") from None
    return logsink.to_journal() if logsink.JOURNAL.exists() else logsink.to_syslog()


def _demands(options: Options, said: Demands) -> Demands:
    """What must be known of a certificate's revocation; --strictcrlpolicy is yes."""
    strict = "strictcrlpolicy" in options or "crl-strict" in options
    return replace(said, strict=Strict.YES, fetch=True) if strict else said


def _places(options: Options, loaded: Loaded | None) -> Places:
    """Command line before config setup before what is beside ipsec.conf."""
    secrets, ipsec_d = (loaded.setup.secrets, loaded.setup.ipsec_d) if loaded else ("", "")
    return Places(
        options.control.parent,
        options.control,
        options.secrets if "secretsfile" in options.values or not secrets else Path(secrets),
        options.ipsec_d if "ipsecdir" in options.values or not ipsec_d else Path(ipsec_d),
        options.config,
    )


def _number(setup: Setup | None, name: str, default: int) -> int:
    """A number of config setup; 0 is not said."""
    return int((setup.value(name) if setup else "") or 0) or default


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
        never_busy=setup.value("ddos-mode") == "unlimited" if setup else defaults.never_busy,
        cookie_threshold=_number(setup, "ddos-ike-threshold", defaults.cookie_threshold),
        half_open_limit=_number(setup, "max-halfopen-ike", defaults.half_open_limit),
        force_keepalive="force-keepalive" in options or (setup is not None and setup.says("force_keepalive", False)),
        shunt_lifetime=setup.seconds("shuntlifetime", defaults.shunt_lifetime) if setup else defaults.shunt_lifetime,
        log_limit=setup is None or setup.says("loglimit", True),
        redirect=setup.redirect if setup else defaults.redirect,
        redirect_to=setup.redirect_to if setup else defaults.redirect_to,
        ikev1=setup.ikev1 if setup else defaults.ikev1,
        hide_tos=setup.hide_tos if setup else defaults.hide_tos,
        strangers=setup.oe_interface if setup else defaults.strangers,
        debug=classes_of((*(setup.value("plutodebug").split() if setup else ()), *options.debug)),
        ike_port=options.number("ikeport", defaults.ike_port, 65535),
        natt_port=options.number("nat-ikeport", defaults.natt_port, 65535),
        request_certs="nocrsend" not in options and (setup.request_certs if setup else True),
        hash_and_url=setup.hash_and_url if setup else defaults.hash_and_url,
        demands=_demands(options, setup.demands if setup else defaults.demands),
        fetching=setup.fetching if setup else defaults.fetching,
    )
    listen = (options.listen,) if options.listen else (setup.listen if setup else ())
    return Wanted(
        places=_places(options, loaded),
        settings=settings,
        interfaces=setup.interfaces if setup else (),
        listen=listen,
        override_mtu=setup.override_mtu if setup else 0,
        listen_tcp=setup.listen_tcp if setup else False,
        packet_sockets=setup.packet_sockets if setup else True,
        pinned=setup.pinned if setup else False,
        anchors=tuple(setup.value(name) for name in ("dnssec-rootkey-file", "dnssec-anchors")) if setup else (),
        dnssec=setup is None or setup.says("dnssec-enable", True),
        in_turn=setup is not None and setup.says("plutowait", False),
        buffer=_number(setup, "ike-socket-bufsize", 0),
        marks=setup.marks if setup else DEFAULT_MARKS,
        connections=loaded.connections if loaded and "autostart" in options else None,
        manual=loaded.manual if loaded and "autostart" in options else (),
        groups=loaded.groups if loaded and "autostart" in options else (),
        unusable=loaded.unusable if loaded and "autostart" in options else frozenset(),
        authorities=loaded.authorities if loaded else (),
        setup=setup.values if setup else (),
        fetch_interface=setup.fetch_interface if setup else "",
    )
