# SPDX-License-Identifier: GPL-2.0-or-later
"""The keywords of ca sections: authorities."""

from __future__ import annotations

from openswan.config.keyword import Form, Keyword, Section, Status, row_of, spelled

A, H = Status.ACTED, Status.HARMLESS
X = Form.TEXT
row = row_of(Section.CA)

ROWS: tuple[Keyword, ...] = (
    row("auto", Form.CHOICE, A, "ignore", "add: the authority is trusted, and what the section says of it holds.",
            choices=spelled(ignore="", add="start route")),
    row("cacert", Form.FILE, A, "", "The authority's certificate, relative to ipsec.d/cacerts."),
    row("crluri", X, A, "", "Where its CRL is, an http URI: looked at when a certificate names no place, or that "
            "place fails.", aliases=("crluri1",)),
    row("crluri2", X, A, "", "Another place."),
    row("ocspuri", X, A, "", "Where its OCSP responder is, an http URI.", aliases=("ocspuri1",)),
    row("ocspuri2", X, A, "", "Another responder."),
    row("certuribase", X, A, "", "Where the certificates it has issued are, an http URI that the SHA-1 hash of a "
            "certificate, in hexadecimal, is put after: http://pki.example/certs/. Peers that say they fetch "
            "certificates get that of ours instead of the certificate (RFC 7296 3.6); hash-and-url= says whether we "
            "fetch theirs."),
    row("ldaphost", X, H, "", "LDAP server of CRLs.", reason="LDAP is not spoken; give crluri=http://..."),
    row("ldapbase", X, H, "", "Base of the LDAP directory.", reason="LDAP is not spoken"),
)  # fmt: skip
