# SPDX-License-Identifier: GPL-2.0-or-later
"""ipsec.conf(5): its keyword part comes from the keyword table, so that page and program cannot disagree."""

from __future__ import annotations

from collections.abc import Iterator

from openswan import RELEASED
from openswan.config.keyword import Form, Halves, Keyword, Section, Status
from openswan.config.keywords import TABLE

HEAD = """\
.\\" SPDX-License-Identifier: GPL-2.0-or-later
.\\" Written by `make man' from the keyword table: change openswan/config/*words.py or manual.py instead.
.TH IPSEC.CONF 5 "@RELEASED@" "Openswan 3.0" "IPsec"
.SH NAME
ipsec.conf \\- connections and settings of IPsec
.SH DESCRIPTION
.I /etc/ipsec.conf
says which tunnels there are and how the daemon runs; it holds no secrets
.RB ( ipsec.secrets (5)
does). The environment variable
.B IPSEC_CONFS
names another directory for both files and for
.IR ipsec.d .
.PP
.nf
version 2.0

config setup
        interfaces=%defaultroute

conn %default
        authby=secret

conn office
        left=%defaultroute
        leftsubnet=10.1.0.0/16
        right=198.51.100.7
        rightsubnet=10.2.0.0/16
        auto=start
.fi
.PP
The same conn can stand in the files of both gateways: each finds out which end it is by its own addresses.
.SH GRAMMAR
A section header stands in the first column:
.BR "config setup" ,
.B conn
.I NAME
or
.B ca
.IR NAME .
The indented lines after it are its parameters, each
.IB keyword = value
with blanks around the
.B =
if you like. Empty lines do not count, nor does anything from a
.B #
at the start of a line or after a blank. A value with blanks is put in
.BR \\(dq...\\(dq " or " {...} ,
on one line; there are no escapes. An empty value keeps the default. Keywords are read without case and with
.BR - " and " _
alike; those that begin with
.B x-
are your own remarks.
.PP
.B version 2.0
may stand before the first section.
.BI "include " PATTERN
in the first column puts in other files, in the order of their names;
.BR * " " ? " " [...] " and " {a,b}
are understood, a relative name starts at the directory of the file it stands in, and files nest up to ten deep.
.PP
.B conn %default
gives defaults for all conns.
.BI also= NAME
takes over the parameters of another conn, which may stand anywhere in the file and use
.B also=
itself;
.B alsoflip=
exchanges left and right on the way. Only
.B %default
gives way: two different values for one keyword are an error.
.PP
.BR leftsubnets= " and " rightsubnets=
make a conn
.IB NAME / L x R
of each pair of subnets, counted from 1; 0 is the one of
.BR leftsubnet= " or " rightsubnet= .
All of them go by
.I NAME
too.
When a list changes under a running pluto, a pair that stays keeps its name, wherever its subnets stand now; a new one
has the numbers of its place, or the lowest free ones. A restart numbers all anew.
.PP
A boolean is
.BR "yes y true on 1" " or " "no n false off 0" .
A time is a number of seconds or has a unit:
.BR ms " " s " " m " " h " " d " " w .
.SH MISTAKES
A mistake in a conn keeps that conn from loading and no other; the message names file, line and what is wrong.
.B ipsec checkconfig
lists them all. A keyword that is known but not acted on is named in a warning if leaving it out changes no protection;
otherwise the conn is refused. About those that could change nothing here nothing is said.
"""

TAIL = """\
.SH ALGORITHMS
.BR ike= " and " esp=
hold proposals separated by commas. A proposal is names joined by
.BR - :
cipher with key size, integrity algorithm (not with an AEAD), for IKE a PRF, and a group. Alternatives are joined by
.BR + .
.PP
.nf
ike=aes_gcm_16_256-prfsha2_512-x25519
ike=aes256-sha2_256-modp2048,aes128-sha1;modp2048
esp=aes_gcm256,chacha20_poly1305
esp=aes256-sha2_512+sha2_256
.fi
.PP
A kind left out means every default of it.
.SH FILES
.I /etc/ipsec.conf
.br
.I /etc/ipsec.d/certs
for
.BR leftcert= ,
.I cacerts
for authorities that are trusted and intermediate ones of ours,
.I crls
for their revocation lists,
.I ocspcerts
for OCSP responders that may speak for every authority, and
.I private
for keys and PKCS#12 files, all PEM or DER.
.SH SEE ALSO
.BR ipsec (8),
.BR ipsec.secrets (5),
.BR ipsec_auto (8),
.BR ipsec_setup (8)
"""

WORDS = {
    Status.HARMLESS: "Not acted on; a warning says so.",
    Status.MOOT: "There is nothing here that it could change.",
    Status.OBSOLETE: "Obsolete: ignored with a warning.",
}


def manual() -> str:
    """The whole page in man(7) form."""
    return HEAD.replace("@RELEASED@", RELEASED) + keyword_part() + TAIL


def keyword_part() -> str:
    """Every keyword, by section: those acted on first, then the others with what becomes of them."""
    return "".join(_lines())


def _lines() -> Iterator[str]:
    for section, title in ((Section.SETUP, "CONFIG SETUP"), (Section.CA, "CA"), (Section.CONN, "CONN")):
        rows = [row for row in TABLE if row.section is section]
        acted = [row for row in rows if row.status is Status.ACTED]
        yield f".SH {title}\n"
        for row in acted:
            yield from _entry(row)
        yield f".SH {title}: OTHER KEYWORDS\n"
        yield "They are read, so that files of other versions load or say what is missing.\n"
        for row in rows:
            if row.status is not Status.ACTED:
                yield from _entry(row)


def _entry(row: Keyword) -> Iterator[str]:
    yield ".TP\n"
    yield ".B " + _escape(shown(row)) + "\n"
    yield _escape(row.sentence) + "\n"
    if row.choices:
        yield "Values: " + _escape(", ".join(dict.fromkeys(row.choices.values()))) + ".\n"
    elif row.form in (Form.BOOL, Form.NUMBER, Form.TIME, Form.PERCENT):
        yield f"Value: {row.form.value}.\n"
    if row.default:
        yield f"Default: {_escape(row.default)}.\n"
    if row.aliases:
        spelled = (f"left{name}" if row.halves is Halves.YES else name for name in row.aliases)
        yield f"Also spelled {_escape(', '.join(spelled))}.\n"
    if row.status is Status.REFUSED:
        unless = f" (other than {', '.join(row.fine)})" if row.fine else ""
        yield f"A conn with it{unless} is refused: {_escape(row.reason)}.\n"
    for value, reason in row.refused.items():
        yield f"{_escape(value)} is refused: {_escape(reason)}.\n"
    if row.status in WORDS:
        yield WORDS[row.status] + "\n"
    if row.status in (Status.HARMLESS, Status.MOOT):
        yield f"{_escape(row.reason[0].upper() + row.reason[1:])}.\n"


def shown(row: Keyword) -> str:
    """As the page names it: both halves of a pair."""
    if row.halves is Halves.YES:
        return f"left{row.name}, right{row.name}"
    return row.name


def _escape(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + escaped if escaped[:1] in ".'" else escaped
