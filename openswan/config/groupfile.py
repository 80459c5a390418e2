# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of policy groups, ipsec.d/policies/NAME: a line for each net, address or host name the group is about.

    NET | ADDRESS | NAME  [PROTOCOL [PORT]]      # comment
    NET | ADDRESS | NAME   PROTOCOL OURS THEIRS

NET is written as everywhere else (`10/8`, `2001:db8::/32`); a NAME covers the addresses of both families it has. PORT
is a service's, whichever end offers it: the same line works on client and server. With two ports the first is ours, the
second theirs, 0 is any. A line that cannot be read is left out, the rest goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address

from openswan.base.address import Subnet, host_subnet, parse_classic_subnet
from openswan.base.errors import ConfigError
from openswan.base.protoport import parse_port, parse_protocol
from openswan.config.complaint import Complaint, error, warning
from openswan.config.ends import HOST_NAME
from openswan.policy.connection import Connection
from openswan.policy.groups import Target, group_end, group_file, open_family, outside, stance_of

MOST_TARGETS = 200_000
"""Of one file; a service's port makes two."""
LONGEST_LINE = 1024
FORMS = "write NET, ADDRESS or NAME, perhaps with PROTOCOL and PORT behind it"
WITH_PORTS = (6, 17, 33, 132, 136)
SINGLE_SERVICE = (
    "a tunnel is for all that two hosts say to each other, not for a single service: the line is left out, and its "
    "traffic goes as other lines and conns say, in clear where none is about it; write the line without protocol and "
    "port, or, to stop the service, into a group that blocks, with the addresses of the hosts themselves"
)
"""Of a line with a service in a group that looks for tunnels."""


def read_group(text: str, name: str, conn: Connection) -> tuple[tuple[Target, ...], tuple[Complaint, ...]]:
    """The targets of a group's file and what is wrong with it; `name` is the file's. Never raises for what is in it."""
    targets: list[Target] = []
    complaints: list[Complaint] = []
    end = group_end(conn)
    assert end is not None
    fail = f"the line is left out (group {conn.name}: {stance_of(conn).story})"
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{name}:{number}"
        try:
            found = tuple(_line(line, where))
        except ConfigError as why:
            complaints.append(error(f"{why.reason}; {fail}", where))
            continue
        if far := next((each for each in found if each.net is not None and outside(end, each.net)), None):
            complaints.append(warning(f"{far.net} is outside {end.subnet} of the conn; {fail}", where))
            continue
        if len(targets) + len(found) > MOST_TARGETS:
            complaints.append(error(f"more than {MOST_TARGETS} lines; {fail}, and so are all after it", where))
            break
        targets += found
    if version := open_family(conn, targets):
        everything, forgotten = {4: "0.0.0.0/0", 6: "::/0"}, f"IPv{version}, which goes in clear"
        has = f"group {conn.name} has {everything[10 - version]}"
        text = f"{has} but nothing of {forgotten}: add {everything[version]}"
        complaints.append(warning(text, name))
    return tuple(targets), tuple(complaints)


def _line(line: str, where: str) -> Iterator[Target]:
    """The targets of one line: none, one, or for a service one each way."""
    if len(line) > LONGEST_LINE:
        raise ConfigError(f"longer than {LONGEST_LINE} characters: {FORMS}")
    words = line.partition("#")[0].split()
    if not words:
        return
    net, name = _target(words[0])
    protocol = parse_protocol(words[1]) if len(words) > 1 else 0
    ports = [parse_port(word) for word in words[2:]]
    if len(words) > 4:
        raise ConfigError(f"'{words[4][:40]}' is one word too many: {FORMS}")
    if any(ports) and protocol not in WITH_PORTS:
        raise ConfigError(f"protocol '{words[1][:20]}' has no ports: leave the port out, or write tcp, udp or sctp")
    if len(ports) == 1 and ports[0]:
        yield Target(net, name, protocol, 0, ports[0], where)
        yield Target(net, name, protocol, ports[0], 0, where)
        return
    ours, theirs = ports if len(ports) == 2 else (0, 0)
    yield Target(net, name, protocol, ours, theirs, where)


def _target(word: str) -> tuple[Subnet | None, str]:
    """The net or the name a line begins with."""
    if "/" in word:
        net, port = parse_classic_subnet(word)
        if port:
            raise ConfigError(f"'{word[:60]}' has a port: write it behind the protocol, as in {net} tcp {port}")
        return net, ""
    if word == "%default" or word.startswith("%"):
        raise ConfigError(f"'{word[:40]}' stands for no net here: write 0.0.0.0/0 and ::/0 for everything")
    try:
        address = ip_address(word)
    except ValueError:
        if not HOST_NAME.fullmatch(word) or re.fullmatch(r"[0-9.]+", word):
            raise ConfigError(f"'{word[:60]}' is neither a net nor an address nor a host name: {FORMS}") from None
        return None, word.rstrip(".").lower()
    if getattr(address, "scope_id", None):
        raise ConfigError(f"'{word[:60]}' has a scope: link-local addresses belong to no group, leave the line out")
    return host_subnet(address), ""


def read_groups(
    conns: Iterable[Connection], read: Callable[[str], tuple[str, str] | None]
) -> tuple[dict[str, tuple[Target, ...]], tuple[Complaint, ...]]:
    """The targets of every group's conn by the name of its file; `read` gives path and text, None when there is none.

    Conns that differ in our end alone (leftsubnets=) share a file, which is complained about once.
    """
    groups: dict[str, tuple[Target, ...]] = {}
    complaints: list[Complaint] = []
    for conn in conns:
        name = group_file(conn)
        if not name or name in groups:
            continue
        groups[name] = ()
        try:
            file = read(name)
        except ConfigError as why:
            complaints.append(error(f"{why.reason}; group {name} is empty ({stance_of(conn).story})"))
            continue
        if file is not None:
            groups[name], found = read_group(file[1], file[0], conn)
            complaints += (*found, *_unserved(conn, groups[name]))
    return groups, tuple(complaints)


def _unserved(conn: Connection, targets: Iterable[Target]) -> Iterator[Complaint]:
    """What is wrong with lines that are good in another group: each is named once, whatever it stands for."""
    if stance_of(conn).responds:
        for where in dict.fromkeys(target.where for target in targets if target.protocol):
            yield error(SINGLE_SERVICE, where)
