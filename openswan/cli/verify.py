# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec verify`: is this host fit for IPsec? One line a check, padded, with a verdict and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from ipaddress import ip_address

from openswan import __version__
from openswan.base import paths
from openswan.base.errors import ConfigError
from openswan.base.numbers import IKE_PORT, NATT_PORT
from openswan.cli import verifyoe
from openswan.cli.leakcheck import leakcheck
from openswan.cli.syntax import Given, Misuse, Option, Syntax, run
from openswan.cli.verdict import (
    DISABLED,
    FAILED,
    MISSING,
    NOT_FOUND,
    NOTHING,
    OK,
    WARNING,
    Check,
    Finding,
    Scene,
    report,
    show,
)
from openswan.config import places
from openswan.config.load import load
from openswan.config.secrets import SecretKind
from openswan.config.secretsfile import load_secrets
from openswan.host import process
from openswan.host.dnsrecords import records
from openswan.host.machine import Machine
from openswan.policy.dnsanswer import DnsStatus

SYNTAX = Syntax(
    "verify",
    "check whether this host is set up for IPsec",
    (
        Option("--host", "the name to look for in the DNS, instead of this host's", "NAME"),
        Option("--ip", "the address to look for in the DNS, instead of this host's", "ADDRESS"),
        Option("--leak", "send marked packets for each selector instead, and listen on the wire for them"),
        Option("--oe", "check what opportunistic encryption needs instead: records in the DNS, interception, firewall"),
        Option("--nocolour", "no colours on a terminal"),
        Option("--nocolor", "the same"),
    ),
    details=(
        "Each check is one line with a verdict: [OK], [FAILED] (it cannot work so), [WARNING] (look at it), [MISSING] "
        "and [NOT FOUND] (not there, and needed for something), [DISABLED] (not in use) and [N/A] (does not apply "
        "here). Lines below a check tell what was found and what to do about it. Nothing is changed.",
        "The packet engine runs in the daemon: no IPsec in the kernel is needed, but /dev/net/tun is, and NFQUEUE for "
        "holding first packets of policy groups. The DNS is asked for opportunistic encryption's records when a conn "
        "of ipsec.conf is opportunistic, or when --host or --ip is given.",
        "--leak tries what the leak guard promises. For each flow that is guarded or has a tunnel, marked packets (UDP "
        "and TCP to the discard port, an echo request; where the selector names a protocol, that one) are sent as this "
        "host sends any other, from an address of each selector, and once more as from a host behind it: a TAP hands "
        "them to the device that such hosts have routes by, which receives them as theirs (tc needs ingress, u32 and "
        "mirred). No other host sends anything, though one may get an answer. Every device is listened to. What is "
        "seen on one that is no ipsecN has left in clear: [FAILED], with the device, the addresses it had there and "
        "what to do. The packets are real: they go through tunnels to their other ends and start those that traffic "
        "starts. With no daemon running, what it has left guarded is tried. A packet over lo proves that the listener "
        "hears.",
        "--oe asks the DNS what peers would learn of this host, by address and by name, compares it with the key in "
        "ipsec.secrets, and prints the records that should be there; `ipsec publish' puts them there. It warns when "
        "they are there and the daemon is not, and when a firewall rule closes something for one interface by name: "
        "what peers send who prove little comes out of an ipsecN of its own, which such a rule does not mean.",
    ),
    statuses={0: "no check has failed", 1: "one has", 2: "usage error"},
    see=("ipsec_ikeping(8)", "ipsec_publish(8)", "ipsec_status(8)"),
)


def version(scene: Scene) -> Iterator[Finding]:
    """The program itself."""
    found = scene.machine.tool("ipsec")
    hint = () if found else ("ipsec is in no directory of the PATH: scripts that call it will not find it",)
    yield Finding("Version check and ipsec on-path", OK if found else WARNING, (f"Linux Openswan {__version__}", *hint))


def engine(scene: Scene) -> Iterator[Finding]:
    """What the packet engine wants of the kernel."""
    yield Finding(
        "Checking for IPsec support in kernel", NOTHING, ("not needed: the packet engine runs in the daemon",)
    )
    why = scene.machine.device("/dev/net/tun")
    remedy = (why, "load it (modprobe tun), or give a container the device and CAP_NET_ADMIN") if why else ()
    yield Finding(" KLIPS: checking for /dev/net/tun", FAILED if why else OK, remedy)
    yield Finding(" KLIPS: checking for NAT Traversal support", OK)
    why = scene.machine.queueing()
    remedy = (why, "first packets of policy groups wait in the kernel's queue: modprobe nfnetlink_queue") if why else ()
    yield Finding(" KLIPS: checking for NFQUEUE", MISSING if why else OK, remedy)
    yield from verifyoe.interception(scene)
    status, output = scene.machine.output("nft", "list", "tables") if scene.machine.tool("nft") else (0, "")
    yield Finding(
        " KLIPS: checking for nf_tables (leak guard)",
        WARNING if status else OK,
        (output.strip().partition("\n")[0], "without it iptables must do: see `ipsec auto --status'") if status else (),
    )


def last_guard(scene: Scene) -> Iterator[Finding]:
    """The leak guard where devices are given their packets; Linux 5.16 and later can have it."""
    line = scene.machine.last_guard()
    verdict, hint = OK, f"on {', '.join(sorted(line.guarded))}"
    missing = sorted(line.physical - line.guarded)
    if line.why:
        verdict, hint = NOTHING, f"{line.why}: done without, offloaded flows are not seen"
    elif not line.guarded:
        verdict, hint = NOTHING, "not in use: pluto, or ipsec setup guard, puts it in force"
    elif missing:
        verdict, hint = WARNING, f"not on {', '.join(missing)}: pluto has every device have it; does it run?"
    yield Finding(" KLIPS: checking for netdev egress (last leak guard)", verdict, (hint,))


def redirects(scene: Scene) -> Iterator[Finding]:
    """ICMP redirects would lead traffic past the tunnels."""
    for name in ("send_redirects", "accept_redirects"):
        on = [
            each
            for each in ("default", *scene.machine.interfaces())
            if scene.machine.number(f"ipv4/conf/{each}/{name}")
        ]
        hints = (f"on: {', '.join(on)}", f"switch it off: sysctl -w net.ipv4.conf.{on[0]}.{name}=0") if on else ()
        yield Finding(f" ICMP default/{name}", WARNING if on else OK, hints)
    yield Finding(" XFRM larval drop", NOTHING)


def entropy(scene: Scene) -> Iterator[Finding]:
    """Is there a hardware generator beside the kernel's own?"""
    current = (scene.machine.text("/sys/class/misc/hw_random/rng_current") or "none").strip()
    found = current not in ("", "none")
    yield Finding("Hardware random device check", OK if found else NOTHING, (current,) if found else ())


def forwarding(scene: Scene) -> Iterator[Finding]:
    """A gateway forwards."""
    names = scene.machine.interfaces()
    text = "Two or more interfaces found, checking IP forwarding"
    if len(names) < 2:
        yield Finding(text, NOTHING, (f"interfaces: {', '.join(names) or 'none'}",))
        return
    for setting, family in (("ipv4/ip_forward", "IPv4"), ("ipv6/conf/all/forwarding", "IPv6")):
        value = scene.machine.number(setting)
        remedy = f"{family}: switch it on if this is a gateway: sysctl -w net.{setting.replace('/', '.')}=1"
        verdict = NOTHING if value is None else OK if value else FAILED if family == "IPv4" else WARNING
        yield Finding(text if family == "IPv4" else " IPv6 forwarding", verdict, () if value else (remedy,))


def filtering(scene: Scene) -> Iterator[Finding]:
    """Reverse-path filters drop ESP of a peer that is itself routed into a tunnel."""
    machine, hints = scene.machine, []
    for_all = machine.number("ipv4/conf/all/rp_filter") or 0
    for name in machine.interfaces():
        value = max(for_all, machine.number(f"ipv4/conf/{name}/rp_filter") or 0)
        marked = machine.number(f"ipv4/conf/{name}/src_valid_mark") or machine.number("ipv4/conf/all/src_valid_mark")
        if value == 1 and not marked:
            hints.append(f"/proc/sys/net/ipv4/conf/{name}/rp_filter is {value} and src_valid_mark is off")
    if hints:
        hints.append("the daemon sets src_valid_mark where ipsec.conf has it work; other interfaces keep their filter")
    yield Finding("Checking rp_filter", WARNING if hints else OK, tuple(hints))


def pluto(scene: Scene) -> Iterator[Finding]:
    """The daemon, and who has its ports."""
    state = process.pid_state(paths.pid_file())
    bound = scene.machine.bound()
    hints = () if state.alive else ("start it: ipsec setup start",)
    yield Finding("Checking that pluto is running", OK if state.alive else FAILED, hints)
    for port, text in (
        (IKE_PORT, " Pluto listening for IKE on udp 500"),
        (NATT_PORT, " Pluto listening for NAT-T on udp 4500"),
    ):
        owners = {scene.machine.owner(each.inode) for each in bound if each.port == port}
        strangers = sorted(owner for owner in owners if owner[0] != state.pid or not state.alive)
        if strangers:
            pid, name = strangers[0]
            who = f"{name} (process {pid})" if pid else "a process that cannot be told"
            yield Finding(text, FAILED, (f"port {port} is in use by {who}: stop that first",))
        elif state.alive:
            no = "pluto is there but does not listen: ipsec auto --ready, and see ipsec auto --status"
            yield Finding(text, OK if owners else FAILED, () if owners else (no,))
        else:
            yield Finding(text, NOTHING, (f"port {port} is free",))
    for text in (" Pluto listening for IKE on tcp 500", " Pluto listening for NAT-T on tcp 4500"):
        yield Finding(text, NOTHING)
    yield Finding(" Pluto listening on tcp 10000 (cisco)", NOTHING)


def masquerading(scene: Scene) -> Iterator[Finding]:
    """NAT of what should go through a tunnel changes its addresses first."""
    machine, lines = scene.machine, []
    if machine.tool("nft"):
        lines += machine.output("nft", "list", "ruleset")[1].splitlines()
    elif machine.tool("iptables-save"):
        lines += machine.output("iptables-save", "-t", "nat")[1].splitlines()
    else:
        yield Finding("Checking NAT and MASQUERADEing", NOTHING, ("neither nft nor iptables-save is here to ask",))
        return
    rules = [line.strip() for line in lines if "masquerade" in line.lower() or "snat" in line.lower()]
    hint = "exempt tunnelled traffic (it leaves through ipsecN): name the outer device in these rules, e.g. -o eth0"
    open_ended = [rule for rule in rules if "oif" not in rule and " -o " not in rule]
    yield Finding(
        "Checking NAT and MASQUERADEing", WARNING if open_ended else OK, (*open_ended[:5], hint) if open_ended else ()
    )


def tools(scene: Scene) -> Iterator[Finding]:
    """Programs that updown scripts and people use."""
    yield Finding("Checking 'ip' command", OK if scene.machine.tool("ip") else NOT_FOUND)
    either = scene.machine.tool("iptables")
    hint = () if either else ("not needed by the daemon; leftfirewall=yes and your own scripts may want it",)
    yield Finding("Checking 'iptables' command", OK if either else NOT_FOUND, hint)


def configuration(scene: Scene) -> Iterator[Finding]:
    """ipsec.conf."""
    try:
        complaints = load().complaints
        hints = tuple(str(one) for one in complaints)
        failed = any(one.fatal for one in complaints)
    except ConfigError as why:
        hints, failed = (str(why),), True
    yield Finding(f"Checking {paths.conf_file()}", FAILED if failed else WARNING if hints else OK, tuple(hints[:10]))


def secrets(scene: Scene) -> Iterator[Finding]:
    """ipsec.secrets and the keys in it; nothing of them is shown."""
    path = places.secrets_file()
    mode = scene.machine.mode(path)
    if mode is None:
        yield Finding(f"Checking {path}", MISSING, (f"ipsec newhostkey --output {path} makes an RSA key",))
        return
    open_to_others = mode[0] & 0o077
    remedy = (f"others can read it (mode {mode[0]:04o}), so it is not used: chmod 600 {path}",)
    yield Finding(
        f"Checking the permissions of {path}", FAILED if open_to_others else OK, remedy if open_to_others else ()
    )
    if open_to_others:
        return
    store, complaints = load_secrets(path)
    yield Finding(f"Checking {path}", FAILED if complaints else OK, tuple(complaints[:10]))
    own = any(one.kind is SecretKind.PRIVATE_KEY for one in store.secrets)
    hint = (f"needed for authby=rsasig only: ipsec newhostkey --output {path} makes one",)
    yield Finding(f"Checking for RSA private key ({path})", OK if own else DISABLED, () if own else hint)


def opportunism(scene: Scene) -> Iterator[Finding]:
    """The records opportunistic encryption wants."""
    try:
        wanted = bool(load().opportunistic)
    except ConfigError:
        wanted = False
    if not (wanted or scene.asked):
        yield Finding("Opportunistic Encryption Support", DISABLED)
        return
    yield Finding("Opportunistic Encryption DNS checks:", OK if wanted else DISABLED)
    public = [address for address, _ in scene.machine.addresses() if address.is_global]
    addresses = [scene.address] if scene.address else public
    names = [(scene.name, "forward")] + [(address.reverse_pointer, "reverse") for address in addresses[:4]]
    questions = [(name, kind) for name, _ in names for kind in ("TXT", "IPSECKEY")]
    answers = dict(zip(questions, records(questions), strict=True))
    for name, zone in names:
        found = [kind for kind in ("TXT", "IPSECKEY") if answers[name, kind].status is DnsStatus.FOUND]
        reasons = {answers[name, kind].reason for kind in ("TXT", "IPSECKEY")} - {""}
        text = f" Looking for TXT in {zone} dns zone: {name}"
        yield Finding(text, OK if found else MISSING, tuple(found or sorted(reasons)))
    yield Finding(
        " Does the machine have at least one non-private address?",
        OK if public else FAILED,
        ()
        if public
        else ("peers find its key by its address: behind NAT only it can begin, with a TXT record of its name",),
    )


CHECKS: tuple[Check, ...] = (
    version,
    engine,
    last_guard,
    redirects,
    entropy,
    forwarding,
    filtering,
    pluto,
    masquerading,
    tools,
    configuration,
    secrets,
    opportunism,
)
HEADINGS: dict[Check, str] = {redirects: "KLIPS:  Testing related proc values"}
"""Lines before a check."""


def verify(scene: Scene, colour: bool = False) -> bool:
    """Print every check; has none failed?"""
    print("Checking your system to see if IPsec got installed and started correctly:")
    return report(((HEADINGS.get(check, ""), check) for check in CHECKS), scene, colour)


def verify_oe(scene: Scene, colour: bool = False) -> bool:
    """Print the checks of opportunistic encryption alone; has none failed?"""
    print("Checking opportunistic encryption:")
    return report((("", check) for check in verifyoe.CHECKS), scene, colour)


def _act(given: Given) -> int:
    try:
        address = ip_address(given.value("--ip")) if "--ip" in given else None
    except ValueError:
        raise Misuse(f"--ip: `{given.value('--ip')}' is no address") from None
    asked = "--host" in given or "--ip" in given
    scene = Scene(Machine(), given.value("--host") or process.hostname(), address, asked)
    colour = sys.stdout.isatty() and "--nocolour" not in given and "--nocolor" not in given
    good = (
        show(leakcheck(scene.machine), colour)
        if "--leak" in given
        else (verify_oe if "--oe" in given else verify)(scene, colour)
    )
    if not good:
        print("ipsec verify: encountered errors", file=sys.stderr)
        return 1
    return 0


def main(argv: list[str]) -> int:
    """Check and print; 1 when a check has failed."""
    return run(SYNTAX, argv, _act)
