# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration back out: as plain data for the control socket, and as canonical ipsec.conf text (readwriteconf)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from openswan.base.errors import ConfigError
from openswan.config.keyword import Form, Keyword, Section
from openswan.config.keywords import TABLE
from openswan.config.parser import FlatConn, Param
from openswan.config.plain import connection_from_plain, connection_to_plain

WORDS = (Form.BOOL, Form.NUMBER, Form.TIME, Form.PERCENT, Form.CHOICE)
"""Forms written before the textual ones; a list of known words counts as one."""
FIXED = ("auto", "type", "compress", "pfs", "rekey", "authby", "phase2", "failureshunt")
"""Written last and in this order, with their defaults where no value is given."""
TEXT_RENAMES = {"rsasigkey": "rsakey", "rsasigkey2": "rsakey2"}
"""What the classic readwriteconf calls them; both spellings are read."""
SHUNTS = ("passthrough", "drop", "reject")


def write_config(setup: Mapping[str, Param], conns: Iterable[FlatConn]) -> str:
    """The whole configuration flattened: config setup, then each conn with also= and %default worked in.

    Values are in their canonical spelling; what cannot be read stays as it was written.
    """
    conns = list(conns)
    lines = [f"#conn {conn.name} loaded" for conn in conns]
    lines += ["", "version 2.0", "", "config setup", *_setup(setup), "", ""]
    for conn in conns:
        lines += [f"# begin conn {conn.name}", f"conn {conn.name}", *_conn(conn), f"# end conn {conn.name}", ""]
    return "\n".join([*lines, "# end of config", "", ""])


def _setup(params: Mapping[str, Param]) -> Iterator[str]:
    rows = [row for row in TABLE if row.section is Section.SETUP and row.name in params]
    for row in sorted(rows, key=_is_text):
        yield _line(row.name, row, params[row.name].value)


def _is_text(row: Keyword) -> bool:
    return row.form not in WORDS and not row.choices


def _conn(conn: FlatConn) -> Iterator[str]:
    for name in conn.splices:
        yield f"\t#also = {name} "
    for name, value in conn.remarks:
        yield f"\t{name}={quoted(value)}"
    for side in ("left", "right"):
        for row in TABLE:
            if row.section is Section.CONN and (param := conn.params.get((side, row.name))) is not None:
                yield _line(side + TEXT_RENAMES.get(row.name, row.name), row, param.value)
    rows = [
        row for row in TABLE if row.section is Section.CONN and row.name not in FIXED and ("", row.name) in conn.params
    ]
    for row in sorted(rows, key=_is_text):
        yield _line(row.name, row, conn.params["", row.name].value)
    yield from _fixed(conn)


def _fixed(conn: FlatConn) -> Iterator[str]:
    rows = {row.name: row for row in TABLE if row.section is Section.CONN}
    kind = _canonical(rows["type"], conn.text("type") or "tunnel")
    defaults = {"auto": "ignore", "type": "tunnel"}
    if kind not in SHUNTS:
        defaults |= {"compress": "no", "pfs": "yes", "rekey": "yes", "authby": "rsasig", "phase2": "esp"}
    for name in FIXED:
        value = conn.text(name)
        if value is not None:
            yield _line(name, rows[name], value)
        elif name in defaults:
            yield f"\t{name}={defaults[name]}"


def _canonical(row: Keyword, value: str) -> str:
    try:
        return row.canonical(value)
    except ConfigError:
        return value


def _line(name: str, row: Keyword, value: str) -> str:
    text = _canonical(row, value)
    # Identities and lists are always quoted; the others when blanks ask for it.
    always = row.form is Form.IDENTITY or (row.form is Form.LIST and bool(row.choices))
    return f"\t{name}={quoted(text, always=always)}"


def quoted(value: str, *, always: bool = False) -> str:
    """A value as the lexer reads it back: quoted when it is empty, has blanks or begins like a quotation or comment."""
    plain = value and not any(char.isspace() for char in value) and value[0] not in "#{"
    if plain and not always:
        return value
    # There are no escapes; no value that was read holds both kinds of bracket and a quote.
    return f'"{value}"' if '"' not in value else "{" + value + "}"


__all__ = ["connection_from_plain", "connection_to_plain", "quoted", "write_config"]
