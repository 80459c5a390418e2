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

    @property
    def classic(self) -> str:
        """The command its module is named after."""
        return self.module.rpartition(".")[2]

    @property
    def option(self) -> str:
        """What the classic command wants to do the same; empty for a command that is its own."""
        return " ".join(self.prefix) if self.classic in COMMANDS and self.prefix else ""


def _cli(name: str, summary: str, *prefix: str) -> Command:
    return Command(f"openswan.cli.{name}", summary, prefix)


def _view(name: str, summary: str) -> Command:
    return _cli("statusviews", summary, name)


COMMANDS: dict[str, Command] = {
    "add": _cli("auto", "load one connection (auto --add)", "--add"),
    "addconn": _cli("addconn", "read ipsec.conf: load connections, check it, export config setup"),
    "algparse": _cli("algparse", "show what an ike=, esp= or ah= string offers"),
    "auto": _cli("auto", "control one connection"),
    "barf": _cli("barf", "print everything somebody who helps from afar may want to see"),
    "checkconfig": _cli("addconn", "check ipsec.conf and say what is wrong with it", "--checkconfig"),
    "connectionstatus": _view("connectionstatus", "show the loaded connections without their SAs"),
    "delete": _cli("auto", "forget one connection (auto --delete)", "--delete"),
    "diagnose": _cli("diagnose", "say why it does not work, the most likely cause first"),
    "down": _cli("auto", "end one connection (auto --down)", "--down"),
    "eroute": _cli("eroute", "show or change the eroute table, or explain one packet's way (--match)"),
    "fetchcrls": _cli("auto", "fetch certificate revocation lists now (auto --fetchcrls)", "--fetchcrls"),
    "ikeping": _cli("ikeping", "ask hosts whether anybody speaks IKE there"),
    "klipsdebug": _cli("klipsdebug", "show or set what the packet engine writes to the log"),
    "listall": _cli("auto", "list all keys and certificates (auto --listall)", "--listall"),
    "listen": _cli("auto", "look at interfaces again and listen on them (auto --ready)", "--ready"),
    "look": _cli("look", "short picture of eroutes, SAs and routes"),
    "lwdnsq": _cli("lwdnsq", "answer DNS look-ups given as lines on standard input"),
    "manual": _cli("manual", "bring up and take down conns with keys of their own"),
    "metrics": _cli("metrics", "print what monitoring wants to know, or serve it"),
    "newhostkey": _cli("newhostkey", "make a new RSA key for this host"),
    "ondemand": _cli("auto", "trap a connection's traffic (auto --route)", "--route"),
    "pluto": Command("openswan.daemon.main", "run the IKE daemon"),
    "policy": _cli("policy", "show which traffic is to be encrypted, one line each"),
    "publish": _cli("publish", "put this host's records for opportunistic encryption into the DNS"),
    "purgeocsp": _cli("auto", "forget what OCSP responders have said (auto --purgeocsp)", "--purgeocsp"),
    "ranbits": _cli("ranbits", "print random bits"),
    "readwriteconf": _cli("readwriteconf", "read ipsec.conf and write it back in canonical form"),
    "replace": _cli("auto", "load one connection afresh (auto --replace)", "--replace"),
    "rereadall": _cli("auto", "read secrets, certificates and groups again (auto --rereadall)", "--rereadall"),
    "rereadcerts": _cli("auto", "read certificates and lists again (auto --rereadcerts)", "--rereadcerts"),
    "rereadsecrets": _cli("auto", "read ipsec.secrets again (auto --rereadsecrets)", "--rereadsecrets"),
    "restart": _cli("setup", "restart the whole subsystem (setup restart)", "restart"),
    "route": _cli("auto", "trap a connection's traffic (auto --route)", "--route"),
    "rsasigkey": _cli("rsasigkey", "make an RSA key pair"),
    "secrets": _cli("auto", "read ipsec.secrets again (auto --rereadsecrets)", "--rereadsecrets"),
    "setup": _cli("setup", "start, stop, restart the whole subsystem, or tell its state"),
    "showdefaults": _cli("showdefaults", "show what %defaultroute stands for"),
    "showhostkey": _cli("showhostkey", "show this host's public key"),
    "showroute": _cli("showroute", "show from where and over which gateway packets to a peer leave"),
    "shuntstatus": _view("shuntstatus", "show the eroutes that lead to no SA"),
    "spi": _cli("spi", "show the SA table, make and delete SAs"),
    "spigrp": _cli("spigrp", "show, make and undo groups of SAs"),
    "start": _cli("setup", "start the whole subsystem (setup start)", "start"),
    "status": _cli("status", "show the daemon's state, or one connection's"),
    "stop": _cli("setup", "stop the whole subsystem (setup stop)", "stop"),
    "tncfg": _cli("tncfg", "show or change which ipsecN stands on which interface"),
    "top": _cli("top", "watch connections and how much they carry"),
    "trafficstatus": _view("trafficstatus", "show how much traffic each tunnel has carried"),
    "unroute": _cli("auto", "stop trapping a connection's traffic (auto --unroute)", "--unroute"),
    "up": _cli("auto", "bring one connection up (auto --up)", "--up"),
    "verify": _cli("verify", "check whether this host is set up for IPsec"),
    "whack": _cli("whack", "talk to the daemon directly"),
    "_confread": _cli("confread", "print sections of ipsec.conf for scripts"),
    "_keycensor": _cli("censor", "copy an ipsec.conf from standard input without its keys", "_keycensor"),
    "_secretcensor": _cli("censor", "copy an ipsec.secrets from standard input without its secrets", "_secretcensor"),
    "_include": _cli("include", "print configuration files with their include lines expanded"),
    "_updown": _cli("updown", "the default updown command; --print shows it as a script"),
}
"""Names that start with an underscore work but are not listed by --help."""

RETIRED: dict[str, str] = {
    "algoinfo": "use `ipsec algparse', which shows what is offered, or `ipsec auto --status'",
    "briefstatus": "use `ipsec status', `ipsec connectionstatus' or `ipsec trafficstatus'",
    "calcgoo": "there is no kernel module to choose any more: the packet engine runs in the daemon",
    "cavp": "the test vectors run in the project's own tests; `ipsec algparse' shows the algorithms",
    "certutil": "keys and certificates lie in ipsec.d as PEM or DER files; `openssl' makes and shows them",
    "checknflog": "nflog= has no rules to check here: use `tcpdump -i ipsec0', which shows plaintext",
    "checknss": "there is no NSS database: certificates lie in ipsec.d; `ipsec auto --listcerts' shows them",
    "crlutil": "put revocation lists into ipsec.d/crls; `ipsec auto --listcrls' shows them",
    "dnskey": "use `ipsec showhostkey --ipseckey' or `dig NAME IPSECKEY'",
    "fipsstatus": "there is no FIPS mode; algorithms are chosen by ike= and esp=",
    "fswcert": "private keys are read from PEM files in ipsec.d/private as they are",
    "globalstatus": "use `ipsec whack --counters' and `ipsec trafficstatus'",
    "import": "put certificates into ipsec.d/certs and keys into ipsec.d/private; PKCS#12 files are read as they are",
    "initnss": "there is no NSS database: keys lie in ipsec.secrets and ipsec.d, `ipsec newhostkey' makes one",
    "letsencrypt": "any ACME client will do: name the certificate it gets with leftcert=",
    "livetest": "the public test server is gone; `ipsec ikeping HOST' asks a peer, `ipsec verify' checks this host",
    "mailkey": "the public test robot is gone; `ipsec showhostkey --ipseckey' prints the record for your DNS",
    "modutil": "tokens are named by PKCS#11 URIs in ipsec.secrets, see ipsec.secrets(5)",
    "pf_key": "there is no PF_KEY socket: `ipsec spi', `ipsec eroute' and `ipsec whack --events' show what it showed",
    "pk12util": "PKCS#12 files are read as they are, see ipsec.secrets(5)",
    "redirect": "use `ipsec whack --redirect-to ADDRESS', with --name NAME for one connection",
    "send-pr": "send what `ipsec barf' prints along with your report",
    "showpolicy": "use `ipsec policy', or `ipsec eroute --match SRC DST' for one packet",
    "showstates": "use `ipsec status', whose last part shows all states",
    "simpleca": "use `openssl ca' or any other authority; put its certificate into ipsec.d/cacerts",
    "starter": "use `ipsec addconn --addall' and `ipsec setup start'",
    "stopnflog": "nflog= sets no rules here, so there are none to remove",
    "unbound": "any validating resolver on this host will do: name it in /etc/resolv.conf",
    "vfychain": "use `openssl verify'; `ipsec auto --listcacerts' shows the trust anchors",
    "_pluto_adns": "the daemon asks the DNS itself; `ipsec lwdnsq' shows what it finds",
    "_plutoload": "the daemon loads, routes and starts connections itself: use `ipsec setup start'",
    "_plutorun": "use `ipsec setup start', or `ipsec pluto' by itself",
    "_realsetup": "use `ipsec setup'",
    "_startklips": "the packet engine starts with the daemon: use `ipsec setup start'",
    "_startnetkey": "the packet engine starts with the daemon: use `ipsec setup start'",
    "_updown_x509": "use `ipsec _updown', which knows all verbs and variables",
}
"""Commands of Openswan and libreswan that are no more -> what replaced them."""


def listed() -> list[str]:
    """The names `ipsec --help` shows, sorted."""
    return sorted(name for name in COMMANDS if not name.startswith("_"))
