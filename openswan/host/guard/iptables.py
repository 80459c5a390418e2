# SPDX-License-Identifier: GPL-2.0-or-later
"""The iptables back end, for kernels without nf_tables: the same rule model in chains and ipsets of our own.

    ipsec-far4   hash:net       every guarded remote subnet: what misses it is let go after one look-up
    ipsec-net4   hash:net,net   remote,local pairs, where the kernel has that type
    ipsec-*-sel  rules          the rest: selectors with ports, and everything where hash:net,net is missing;
                                only packets that are in ipsec-far4 get there

Chains are rewritten by iptables-restore, one table in one go; sets are swapped. ICMP errors are judged by where they
go, not by what they quote: none goes to or comes from a guarded remote subnet outside the tunnel.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address, summarize_address_range
from itertools import product

from openswan.base.address import Subnet, half_subnets
from openswan.base.errors import HostError
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.base.numbers import IKE_PORT, NATT_PORT, IpProtocol
from openswan.host.guard.boxes import Range
from openswan.host.guard.model import Change, GuardModel
from openswan.host.guard.rules import ERRORS, field_order

NAT_JUMP = "-A POSTROUTING -j ipsec-nat"
HOOKS = {"out": "POSTROUTING", "in": "INPUT", "fwd": "FORWARD", "mark": "PREROUTING"}
TOOLS = {4: "iptables", 6: "ip6tables"}
PATIENCE = 20.0
ICMP = {4: ("icmp", "icmp", "--icmp-type"), 6: ("icmpv6", "icmp6", "--icmpv6-type")}
NEIGHBOUR = (*((kind, 1) for kind in (130, 131, 132, 143)), *((kind, 255) for kind in range(133, 138)))
"""ICMPv6 types of multicast listener and neighbour discovery, and the hop limit no forwarded packet can have."""
DHCP = {4: (68, 67), 6: (546, 547)}


def run(command: Sequence[str], text: str = "") -> str:
    """Run a tool with `text` as its input; HostError with its first complaint when it fails."""
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=PATIENCE, check=False, env={"PATH": PATH}
        )
    except (OSError, subprocess.TimeoutExpired) as why:
        raise HostError(f"{command[0]}: {why}") from None
    if done.returncode:
        complaint = (done.stderr.strip() or f"status {done.returncode}").splitlines()[0]
        raise HostError(f"{' '.join(command)}: {complaint}")
    return done.stdout


PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


def _nets(version: int, span: Range) -> tuple[Subnet, ...]:
    first, last = (ip_address(value.to_bytes(4 if version == 4 else 16, "big")) for value in span)
    found = summarize_address_range(first, last)
    return tuple(net for each in found for net in half_subnets(each))


def _ports(option: str, span: Range) -> str:
    if span == (0, 65535):
        return ""
    return f" {option} {span[0]}" if span[0] == span[1] else f" {option} {span[0]}:{span[1]}"


class Contents:
    """The model as this back end needs it: remote subnets, pairs, and selectors that stay rules."""

    def __init__(self, model: GuardModel, pairs_in_sets: bool) -> None:
        self.far: dict[int, set[str]] = {4: set(), 6: set()}
        self.pairs: dict[int, set[str]] = {4: set(), 6: set()}
        self.selectors: dict[int, list[tuple[str, str, str, str]]] = {4: [], 6: []}
        """(remote, local, tests of an outbound packet, tests of an inbound one)."""
        self.open: dict[int, list[str]] = {4: [], 6: []}
        """Rules that let a query of this host out, or its answer in."""
        self.devices = sorted(model.devices())
        self.homes: dict[int, set[str]] = {4: set(), 6: set()}
        self.known: dict[int, set[str]] = {4: set(), 6: set()}
        for name, box in sorted(model.elements()):
            version = int(name[-1])
            if name.startswith("home"):
                device = box[1][0].to_bytes(16, "big").rstrip(b"\0").decode()
                self.homes[version].update(f"{net},{device}" for net in _nets(version, box[0]))
                continue
            if name.startswith("known"):
                self.known[version].update(map(str, _nets(version, box[0])))
                continue
            fields = dict(zip(field_order(name), box, strict=True))
            if name.startswith("open"):
                self.open[version] += _open(version, fields)
                continue
            remotes, locals_ = (_nets(version, fields[side]) for side in ("remote", "local"))
            self.far[version].update(map(str, remotes))
            for remote, local in product(remotes, locals_):
                if len(fields) == 2 and pairs_in_sets:
                    self.pairs[version].add(f"{remote},{local}")
                else:
                    self.selectors[version].append((str(remote), str(local), *_tests(name, fields)))


def _open(version: int, fields: dict[str, Range]) -> Iterator[str]:
    ((remote,), (local,)) = (_nets(version, fields[side]) for side in ("remote", "local"))
    out, back = _tests("port", fields)
    syn = " ! --syn" if fields["proto"][0] == IpProtocol.TCP else ""
    yield f"-A ipsec-out -m owner --socket-exists -s {local} -d {remote}{out} -j RETURN"
    yield f"-A ipsec-in -s {remote} -d {local}{back}{syn} -j RETURN"


def _tests(name: str, fields: dict[str, Range]) -> tuple[str, str]:
    if "proto" not in fields:
        return "", ""
    protocol = f" -p {fields['proto'][0]}"
    if name.startswith("frag"):
        # ip6tables knows no "later fragment": any fragment of these addresses is one too many.
        later = f"{protocol} -f" if name.endswith("4") else " -m ipv6header --header frag --soft"
        return later, later
    if "rport" not in fields:
        return protocol, protocol
    far, near = fields["rport"], fields["lport"]
    out = protocol + _ports("--sport", near) + _ports("--dport", far)
    back = protocol + _ports("--sport", far) + _ports("--dport", near)
    return out, back


class IptablesBackend:
    """Needs iptables-restore, ip6tables-restore and ipset; HostError when one is missing or does not work."""

    name = "iptables"
    portid = 0

    def __init__(
        self,
        ike_ports: Iterable[int] = (IKE_PORT, NATT_PORT),
        stream_ports: Iterable[int] = (),
        pairs: bool | None = None,
        marks: Marks = DEFAULT_MARKS,
    ) -> None:
        self._set(ike_ports, stream_ports, marks)
        for tool in TOOLS.values():
            run((tool, "-w", "-t", "mangle", "-S", "POSTROUTING"))
        run(("ipset", "list", "-n"))
        self.pairs = self._probe() if pairs is None else pairs
        self.sockets = self._knows_sockets()

    def _set(self, ike_ports: Iterable[int], stream_ports: Iterable[int], marks: Marks) -> None:
        self.mark = f"{marks.own:#x}"
        self.masked = f"{marks.own:#x}/{marks.guard:#x}"
        self.spared = f"{marks.spared:#x}/{marks.mask:#x}"
        self.ports, self.stream_ports = (",".join(map(str, sorted(ports))) for ports in (ike_ports, stream_ports))
        self.model = GuardModel()
        self.nat = self.pairs = self.sockets = False
        self.nat_rules: dict[int, list[str]] = {}
        """What was put last into the chain that exempts from NAT, by IP version."""

    @classmethod
    def on_paper(cls, marks: Marks = DEFAULT_MARKS) -> IptablesBackend:
        """One for its texts alone, of what every kernel has."""
        it = cls.__new__(cls)
        it._set((IKE_PORT, NATT_PORT), (), marks)
        return it

    def rules_text(self, version: int, model: GuardModel) -> str:
        """All rules for a model, as iptables-restore or ip6tables-restore reads them."""
        return "\n".join(self._table(version, Contents(model, self.pairs)))

    def close(self) -> None:
        """Nothing is held open."""

    def load(self, model: GuardModel) -> None:
        """Make sets and chains hold exactly the model."""
        self.model = model
        contents = Contents(model, self.pairs)
        # Sets first and chains second: what is new is guarded by the time any rule asks for it, and the other way
        # round nothing refers to what has gone.
        self._swap(contents)
        for version, tool in TOOLS.items():
            table = "\n".join(self._table(version, contents))
            run((f"{tool}-restore", "-w", "--noflush"), table)
            self._hook(tool, "mangle", {f"ipsec-{chain}": hook for chain, hook in HOOKS.items()})

    def apply(self, _change: Change) -> None:
        """Bring sets and chains in line with the model, which has changed already."""
        self.load(self.model)
        if self.nat:
            self.follow_nat()

    def check(self, model: GuardModel) -> bool:
        """Do chains, jumps and sets hold as much as they should?"""
        contents = Contents(model, self.pairs)
        try:
            sizes = dict(_set_sizes(run(("ipset", "list", "-t"))))
            for version, tool in TOOLS.items():
                held = Counter(
                    line.split()[1]
                    for line in run((f"{tool}-save", "-t", "mangle")).splitlines()
                    if line.startswith("-A ")
                )
                wanted = Counter(line.split()[1] for line in self._table(version, contents) if line.startswith("-A "))
                jumps = run((tool, "-w", "-t", "mangle", "-S")).splitlines()
                if any(held[chain] != count for chain, count in wanted.items()):
                    return False
                if any(f"-A {hook} -j ipsec-{chain}" not in jumps for chain, hook in HOOKS.items()):
                    return False
                if sizes.get(f"ipsec-far{version}") != len(contents.far[version]):
                    return False
                if self.pairs and sizes.get(f"ipsec-net{version}") != len(contents.pairs[version]):
                    return False
        except HostError:
            return False
        return True

    def clear(self) -> None:
        """Remove our chains, their jumps and our sets."""
        for tool in TOOLS.values():
            for table, hooks in (("mangle", HOOKS), ("nat", {"nat": "POSTROUTING"})):
                try:
                    saved = run((f"{tool}-save", "-t", table)).splitlines()
                except HostError:
                    continue  # no nat table in this kernel
                ours = [line.split()[0][1:] for line in saved if line.startswith(":ipsec-")]
                lines = [f"*{table}"]
                lines += [line.replace("-A", "-D", 1) for line in saved if _is_jump(line, hooks)]
                lines += [f":{chain} - [0:0]" for chain in ours] + [f"-X {chain}" for chain in ours] + ["COMMIT\n"]
                if ours:
                    run((f"{tool}-restore", "-w", "--noflush"), "\n".join(lines))
        self.nat = False
        for name in run(("ipset", "list", "-n")).split():
            if name.startswith("ipsec-"):
                run(("ipset", "destroy", name))

    def follow_nat(self) -> None:
        """Let the tunnel's packets pass the nat table untouched while somebody else has rules there."""
        self.nat = False
        for version, tool in TOOLS.items():
            try:
                saved = run((f"{tool}-save", "-t", "nat")).splitlines()
            except HostError:
                continue  # no nat table in this kernel: nobody translates
            calls = [line for line in saved if line.startswith("-A POSTROUTING ")]
            foreign = any(line != NAT_JUMP for line in calls)
            self.nat |= foreign
            lines = list(self._nat_table(version, saved)) if foreign else []
            if foreign and calls[0] != NAT_JUMP:
                # Whoever is asked first settles what becomes of a connection.
                lines += [NAT_JUMP.replace("-A", "-D", 1) for line in calls if line == NAT_JUMP]
                lines.append(NAT_JUMP.replace("-A POSTROUTING", "-I POSTROUTING 1"))
            elif not foreign and ":ipsec-nat" in {line.split()[0] for line in saved if line}:
                lines = [line.replace("-A", "-D", 1) for line in calls]
                lines += [":ipsec-nat - [0:0]", "-X ipsec-nat"]
            if lines:
                run((f"{tool}-restore", "-w", "--noflush"), "\n".join(["*nat", *lines, "COMMIT", ""]))

    def counters(self) -> dict[str, int]:
        """Packets dropped by direction and family, as rules counted them."""
        found: dict[str, int] = {}
        for version, tool in TOOLS.items():
            for line in run((f"{tool}-save", "-c", "-t", "mangle")).splitlines():
                words = line.split()
                if line.startswith("[") and words[2].startswith("ipsec-") and words[-1] == "DROP":
                    name = f"{'out' if words[2].startswith('ipsec-out') else 'in'}{version}"
                    found[name] = found.get(name, 0) + int(words[0][1:].split(":")[0])
        return {f"{way}{version}": found.get(f"{way}{version}", 0) for way in ("out", "in") for version in (4, 6)}

    def _probe(self) -> bool:
        try:
            run(("ipset", "create", "ipsec-probe", "hash:net,net"))
            run(("ipset", "destroy", "ipsec-probe"))
        except HostError:
            return False
        return True

    def _knows_sockets(self) -> bool:
        """Can a rule ask whose socket a packet is for (xt_socket)?"""
        lines = ("*mangle", ":ipsec-probe - [0:0]", f"-A ipsec-probe {self._own_stream}", "COMMIT\n")
        try:
            for tool in TOOLS.values():
                run((f"{tool}-restore", "-w", "--noflush"), "\n".join(lines))
        except HostError:
            return False
        finally:
            for tool in TOOLS.values():
                for option in ("-F", "-X"):
                    with suppress(HostError):
                        run((tool, "-w", "-t", "mangle", option, "ipsec-probe"))
        return True

    @property
    def _own_stream(self) -> str:
        """TCP from a peer's port for IKE to a socket with our mark, as the rule table's OwnStream; then a target."""
        whose = "-m socket --nowildcard --restore-skmark"
        return f"-p tcp -m multiport --sports {self.ports} {whose} -m mark --mark {self.masked}"

    def _swap(self, contents: Contents) -> None:
        lines: list[str] = []
        for version, family in ((4, "inet"), (6, "inet6")):
            sets = {f"ipsec-far{version}": ("hash:net", contents.far[version])}
            sets[f"ipsec-known{version}"] = ("hash:net", contents.known[version])
            sets[f"ipsec-home{version}"] = ("hash:net,iface", contents.homes[version])
            if self.pairs:
                sets[f"ipsec-net{version}"] = ("hash:net,net", contents.pairs[version])
            for name, (kind, members) in sets.items():
                options = f"{kind} family {family} maxelem 4194304"
                lines += [f"create {name} {options} -exist", f"create {name}-new {options} -exist", f"flush {name}-new"]
                lines += [f"add {name}-new {member}" for member in sorted(members)]
                lines += [f"swap {name} {name}-new", f"destroy {name}-new"]
        run(("ipset", "restore"), "\n".join(lines) + "\n")

    def _hook(self, tool: str, table: str, jumps: dict[str, str]) -> None:
        present = run((tool, "-w", "-t", table, "-S")).splitlines()
        for chain, hook in jumps.items():
            if f"-A {hook} -j {chain}" not in present:
                run((tool, "-w", "-t", table, "-I", hook, "1", "-j", chain))

    def _table(self, version: int, contents: Contents) -> Iterator[str]:
        yield "*mangle"
        for chain in (*HOOKS, "out-sel", "in-sel"):
            yield f":ipsec-{chain} - [0:0]"
        for chain, option in (("out", "-o"), ("in", "-i")):
            yield from (f"-A ipsec-{chain} {option} {device} -j RETURN" for device in contents.devices)
        # As the rule table's chain `decrypted`.
        for device in contents.devices:
            yield from (f"-A ipsec-fwd -i {device} -o {other} -j RETURN" for other in contents.devices)
            yield f"-A ipsec-fwd -i {device} -m set --match-set ipsec-home{version} dst,dst -j RETURN"
            yield f"-A ipsec-fwd -i {device} -m set ! --match-set ipsec-known{version} dst -j RETURN"
        yield from self._exempt(version)
        yield from contents.open[version]
        for chain, remote, local in (("out", "dst", "src"), ("in", "src", "dst"), ("fwd", "src", "dst")):
            selectors = "ipsec-out-sel" if chain == "out" else "ipsec-in-sel"
            far = f"-m set --match-set ipsec-far{version} {remote}"
            if self.pairs:
                yield f"-A ipsec-{chain} -m set --match-set ipsec-net{version} {remote},{local} -j DROP"
            protocol, match, option = ICMP[version]
            for first, last in ERRORS[version]:
                for kind in range(first, last + 1):
                    yield f"-A ipsec-{chain} -p {protocol} -m {match} {option} {kind} {far} -j DROP"
            yield f"-A ipsec-{chain} {far} -j {selectors}"
        for remote, local, out, back in contents.selectors[version]:
            yield f"-A ipsec-out-sel -s {local} -d {remote}{out} -j DROP"
            yield f"-A ipsec-in-sel -s {remote} -d {local}{back} -j DROP"
        yield "COMMIT\n"

    def _exempt(self, version: int) -> Iterator[str]:
        ours, mark = "-m owner --socket-exists", self.masked
        yield f"-A ipsec-out {ours} -m mark --mark {mark} -j RETURN"
        yield from (f"-A ipsec-{chain} -m mark --mark {self.spared} -j RETURN" for chain in ("out", "fwd"))
        for chain, local in (("out", f" {ours}"), ("in", "")):
            if version == 6:
                for number, limit in NEIGHBOUR:
                    yield f"-A ipsec-{chain} -p icmpv6 -m icmp6 --icmpv6-type {number} -m hl --hl-eq {limit} -j RETURN"
            client, server = DHCP[version]
            for src, dst in ((client, server), (server, client)):
                yield f"-A ipsec-{chain}{local} -p udp --sport {src} --dport {dst} -j RETURN"
        for kind in ("-p esp", "-p ah", f"-p udp -m multiport --dports {self.ports}"):
            yield f"-A ipsec-in {kind} -j RETURN"
            yield f"-A ipsec-mark {kind} -m addrtype --dst-type LOCAL -j MARK --or-mark {self.mark}"
        if self.stream_ports:
            kind = f"-p tcp -m multiport --dports {self.stream_ports}"
            yield f"-A ipsec-in {kind} -j RETURN"
            yield f"-A ipsec-mark {kind} -m addrtype --dst-type LOCAL -j MARK --or-mark {self.mark}"
        if self.sockets:
            # That the socket's mark is restored marks the packet.
            yield f"-A ipsec-mark {self._own_stream} -j RETURN"
            yield f"-A ipsec-in {self._own_stream} -j RETURN"

    def _nat_table(self, version: int, saved: Sequence[str]) -> Iterator[str]:
        """The chain afresh, when what is `saved` of it is not what was put there last."""
        rules = list(self._nat_rules(version))
        held = [line for line in saved if line.startswith("-A ipsec-nat ")]
        if rules == self.nat_rules.get(version) and len(held) == len(rules):
            return
        self.nat_rules[version] = rules
        yield ":ipsec-nat - [0:0]"
        yield from rules

    def _nat_rules(self, version: int) -> Iterator[str]:
        contents = Contents(self.model, self.pairs)
        for device in contents.devices:
            if device == "lo":
                continue
            if self.pairs:
                yield f"-A ipsec-nat -o {device} -m set --match-set ipsec-net{version} dst,src -j ACCEPT"
            for remote, local, out, _back in contents.selectors[version]:
                if " -f" not in out and "frag" not in out:
                    yield f"-A ipsec-nat -o {device} -s {local} -d {remote}{out} -j ACCEPT"


def _is_jump(line: str, hooks: dict[str, str]) -> bool:
    return any(line == f"-A {hook} -j ipsec-{chain}" for chain, hook in hooks.items())


def _set_sizes(listing: str) -> Iterator[tuple[str, int]]:
    name = ""
    for line in listing.splitlines():
        key, _, value = line.partition(": ")
        if key == "Name":
            name = value
        elif key == "Number of entries":
            yield name, int(value)
