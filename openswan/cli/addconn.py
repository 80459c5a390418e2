# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec addconn`: read ipsec.conf; check it, list it, export config setup, or load its conns into pluto."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from openswan.base import paths
from openswan.base.address import Address, parse_address
from openswan.base.errors import ConfigError
from openswan.cli.talk import converse
from openswan.config.load import Loaded, load
from openswan.config.plain import connection_to_plain
from openswan.policy.connection import Connection, End, Host, HostKind, Startup

USAGE = """\
Usage: ipsec addconn [--config FILE] [--ctlbase PATH] [--rootdir DIR] [--defaultroute ADDR] [--defaultroutenexthop ADDR]
                     [--warningsfatal | --warningsarefatal] [--noexport] [--debug] [--verbose]
                     --addall | --checkconfig | --listroute | --liststart | --configsetup [--varprefix PREFIX] |
                     [--search] NAME..."""

ACTIONS = ("--addall", "--checkconfig", "--listroute", "--liststart", "--configsetup")
FLAGS = (*ACTIONS, "--search", "--warningsfatal", "--warningsarefatal", "--debug", "--verbose", "--noexport")
VALUES = ("--config", "--ctlbase", "--rootdir", "--varprefix", "--defaultroute", "--defaultroutenexthop")
CANNOT_LOAD, USAGE_ERROR = 3, 10


@dataclass(slots=True)
class Options:
    """The command line."""

    flags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)

    def address(self, name: str) -> Address | None:
        """An option that is an address; ConfigError when it is none."""
        return parse_address(self.values[name]) if self.values.get(name) else None


def parse_options(argv: list[str]) -> Options:
    """ConfigError says what is wrong with the command line."""
    options = Options()
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if word in FLAGS:
            options.flags.add(word)
        elif name in VALUES:
            found = value if equals else next(words, None)
            if found is None:
                raise ConfigError(f"{name} wants a value")
            options.values[name] = found
        elif word.startswith("--"):
            raise ConfigError(f"unknown option '{word}'")
        else:
            options.names.append(word)
    if not options.flags & set(ACTIONS) and not options.names:
        raise ConfigError("nothing to do: name a conn or give --addall or --checkconfig")
    return options


def main(argv: list[str]) -> int:
    """Exit status: 0; 3 the configuration (or a conn asked for) has errors, 10 usage, else whack's last reply."""
    if "--help" in argv or "-h" in argv:
        print(USAGE)
        return 0
    try:
        options = parse_options(argv)
        route, nexthop = options.address("--defaultroute"), options.address("--defaultroutenexthop")
    except ConfigError as why:
        print(f"addconn: {why}\n{USAGE}", file=sys.stderr)
        return USAGE_ERROR
    rootdir = options.values.get("--rootdir", "")
    default = rootdir + str(paths.conf_file()) if rootdir else str(paths.conf_file())
    try:
        loaded = load(options.values.get("--config") or default, rootdir)
    except ConfigError as why:
        print(why, file=sys.stderr)
        return CANNOT_LOAD
    if route is not None:
        loaded = replace(loaded, connections=tuple(_placed(one, route, nexthop) for one in loaded.connections))
    return _act(options, loaded)


def _placed(connection: Connection, route: Address, nexthop: Address | None) -> Connection:
    """%defaultroute replaced by what the command line says it is."""

    def end(one: End) -> End:
        if one.host.kind is not HostKind.DEFAULTROUTE:
            return one
        return replace(one, host=Host(HostKind.ADDRESS, route), nexthop=one.nexthop or nexthop)

    return replace(connection, left=end(connection.left), right=end(connection.right))


def _act(options: Options, loaded: Loaded) -> int:
    flags = options.flags
    if "--listroute" in flags or "--liststart" in flags:
        wanted = Startup.ROUTE if "--listroute" in flags else Startup.START
        print(" ".join(one.name for one in loaded.connections if one.startup is wanted))
        return 0
    if "--configsetup" in flags:
        sys.stdout.writelines(f"{line}\n" for line in exports(loaded, options.values.get("--varprefix", "")))
        return 0
    failed = _complain(loaded, options)
    if "--checkconfig" in flags:
        return CANNOT_LOAD if failed else 0
    if "--addall" in flags:
        status = _add((one for one in loaded.connections if one.startup is not Startup.IGNORE), options)
    elif "--search" in flags:
        status = _add((one for one in loaded.connections if one.startup.value in options.names), options)
    else:
        return max((_by_name(name, loaded, options) for name in options.names), default=0)
    return status or (CANNOT_LOAD if failed else 0)


def _complain(loaded: Loaded, options: Options) -> bool:
    """Print what is to be said; True when something is wrong enough to fail."""
    by_name = not options.flags & {"--addall", "--checkconfig", "--search"}
    strict = bool(options.flags & {"--warningsfatal", "--warningsarefatal"})
    for one in loaded.complaints:
        if not by_name or (one.fatal and not one.conn):
            print(one, file=sys.stderr)
    if "--verbose" in options.flags or "--debug" in options.flags:
        for conn in loaded.connections:
            print(f'conn "{conn.name}" loaded', file=sys.stderr)
    return loaded.failed or (strict and bool(loaded.complaints))


def _by_name(name: str, loaded: Loaded, options: Options) -> int:
    for one in loaded.about(name):
        print(one, file=sys.stderr)
    found = loaded.named(name)
    if not found:
        if not loaded.broken(name):
            print(f"conn '{name}': not found (tried aliases)", file=sys.stderr)
        return CANNOT_LOAD
    return _add(iter(found), options)


def _add(connections: Iterator[Connection], options: Options) -> int:
    status = 0
    for one in connections:
        status = _give(one, options) or status
    return status


def _give(connection: Connection, options: Options) -> int:
    return converse(
        "add",
        {"connection": connection_to_plain(connection)},
        ctlbase=options.values.get("--ctlbase", ""),
        hide_log="--verbose" not in options.flags,
    )


def exports(loaded: Loaded, prefix: str) -> Iterator[str]:
    """`export PREFIXkeyword='value'` for each keyword of config setup that is given, ready for a shell."""
    for name, value in loaded.setup.values:
        yield f"export {prefix}{name.replace('-', '_')}={shell_quoted(value)}"
    yield f"export {prefix}confreadstatus=''"


def shell_quoted(value: str) -> str:
    """A word in single quotes, whatever is in it."""
    return "'" + value.replace("'", "'\\''") + "'"
