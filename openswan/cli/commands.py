# SPDX-License-Identifier: GPL-2.0-or-later
"""THE table of `ipsec` subcommands: name, module, words put in front of its arguments, one line of help."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """One subcommand; `module` has `main(argv: list[str]) -> int` and is imported only when the command runs."""

    module: str
    summary: str
    prefix: tuple[str, ...] = ()
    """Arguments put in front of the user's own: how the modern spellings reuse the classic commands."""


def _cli(name: str, summary: str, *prefix: str) -> Command:
    return Command(f"openswan.cli.{name}", summary, prefix)


COMMANDS: dict[str, Command] = {
    "add": _cli("auto", "load one connection (auto --add)", "--add"),
    "addconn": _cli("addconn", "read ipsec.conf: load connections, check it, export config setup"),
    "algparse": _cli("algparse", "show what an ike=, esp= or ah= string offers"),
    "auto": _cli("auto", "control one connection"),
    "checkconfig": _cli("addconn", "check ipsec.conf and say what is wrong with it", "--checkconfig"),
    "delete": _cli("auto", "forget one connection (auto --delete)", "--delete"),
    "down": _cli("auto", "end one connection (auto --down)", "--down"),
    "eroute": _cli("eroute", "show or change the eroute table, or explain one packet's way (--match)"),
    "klipsdebug": _cli("klipsdebug", "show or set what the packet engine writes to the log"),
    "look": _cli("look", "short picture of eroutes, SAs and routes"),
    "manual": _cli("manual", "bring up and take down conns with keys of their own"),
    "newhostkey": _cli("newhostkey", "make a new RSA key for this host"),
    "ondemand": _cli("auto", "trap a connection's traffic (auto --route)", "--route"),
    "pluto": Command("openswan.daemon.main", "run the IKE daemon"),
    "ranbits": _cli("ranbits", "print random bits"),
    "readwriteconf": _cli("readwriteconf", "read ipsec.conf and write it back in canonical form"),
    "replace": _cli("auto", "load one connection afresh (auto --replace)", "--replace"),
    "restart": _cli("setup", "restart the whole subsystem (setup restart)", "restart"),
    "route": _cli("auto", "trap a connection's traffic (auto --route)", "--route"),
    "rsasigkey": _cli("rsasigkey", "make an RSA key pair"),
    "secrets": _cli("auto", "read ipsec.secrets again (auto --rereadsecrets)", "--rereadsecrets"),
    "setup": _cli("setup", "start, stop, restart the whole subsystem, or tell its state"),
    "showhostkey": _cli("showhostkey", "show this host's public key"),
    "spi": _cli("spi", "show the SA table, make and delete SAs"),
    "spigrp": _cli("spigrp", "show, make and undo groups of SAs"),
    "start": _cli("setup", "start the whole subsystem (setup start)", "start"),
    "status": _cli("status", "show the daemon's state, or one connection's"),
    "stop": _cli("setup", "stop the whole subsystem (setup stop)", "stop"),
    "tncfg": _cli("tncfg", "show or change which ipsecN stands on which interface"),
    "unroute": _cli("auto", "stop trapping a connection's traffic (auto --unroute)", "--unroute"),
    "up": _cli("auto", "bring one connection up (auto --up)", "--up"),
    "whack": _cli("whack", "talk to the daemon directly"),
    "_updown": _cli("updown", "the default updown command; --print shows it as a script"),
}
"""Names that start with an underscore work but are not listed by --help."""


def listed() -> list[str]:
    """The names `ipsec --help` shows, sorted."""
    return sorted(name for name in COMMANDS if not name.startswith("_"))
