# SPDX-License-Identifier: GPL-2.0-or-later
"""THE table of ipsec.conf keywords: the parser, the defaults, the complaints and ipsec.conf(5) all come from it.

One row stands for both halves of a left/right pair. Names are looked up without case, with `-` and `_` alike. The order
is the one readwriteconf writes in and the manual page lists by.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache

from openswan.config.keyword import Form, Halves, Keyword, Section, Status

A, H, R, OLD = Status.ACTED, Status.HARMLESS, Status.REFUSED, Status.OBSOLETE
B, N, T, W, L, X = Form.BOOL, Form.NUMBER, Form.TIME, Form.CHOICE, Form.LIST, Form.TEXT
SETUP = Section.SETUP
AUTHORITY = Section.CA
LR, EITHER = Halves.YES, Halves.ALSO


def _same(*words: str) -> dict[str, str]:
    """Choices that have one spelling each."""
    return {word: word for word in words}


def _spelled(**canonical: str) -> dict[str, str]:
    """canonical="spelling spelling ...": the canonical word is a spelling itself; `_` stands for `-`."""
    pairs: dict[str, str] = {}
    for word, others in canonical.items():
        name = word.strip("_").replace("_", "-")
        pairs[name] = name
        pairs |= dict.fromkeys(others.split(), name)
    return pairs


FAMILIES = _spelled(ipv4="v4 inet", ipv6="v6 inet6")
PLUTODEBUG = _same(
    *"""none all base cpu-usage tmi raw crypt parsing emitting control lifecycle klips kernel dns oppo oppoinfo
    controlmore private x509 dpd pfkey natt nattraversal nat-t""".split()
)
KLIPSDEBUG = _same(
    *"""none all verbose tunnel tunnel-xmit xmit netlink xform eroute spi radij esp ah rcv pfkey comp nat-traversal
    natt""".split()
)
NO_MANUAL = "it is for manually keyed conns, those with spi= or spibase= (ipsec manual)"
MANUAL_KEYS = ("espenckey", "espauthkey", "espreplay_window", "ahkey", "ahreplay_window")
"""Keywords that mean nothing without spi= or spibase=."""
NO_LABELS = "labeled IPsec is not available"
NO_MARKS = "policies bound to firewall marks are not available; the conn would cover more than it says"
NO_MANY_CERT = "attribute certificates are not available; the conn would let in peers it should not"
OPENINGS = "Openings in the firewall are the updown command's business: updown= with a script that makes them."
OE_LATER = "opportunistic encryption is not available in this release"
OPPORTUNISTIC = "Of opportunistic conns: "
ONE_DAY = 86400.0

TABLE: tuple[Keyword, ...] = (
    # config setup: words and numbers first, then text, which is the order readwriteconf writes
    Keyword("klipsdebug", L, A, "none", "What the packet engine writes to the log from the start, see "
            "ipsec_klipsdebug(8).", SETUP, choices=KLIPSDEBUG),
    Keyword("plutodebug", L, H, "none", "Kinds of debugging output pluto adds to its log.", SETUP, choices=PLUTODEBUG,
            fine=("none",), reason="`ipsec whack --events' and `ipsec diagnose' tell what happens"),
    Keyword("plutostderrlogtime", B, H, "no", "Time stamps in the log file.", SETUP, aliases=("logtime",), fine=("yes",
            "no"), reason="lines of the file always have them"),
    Keyword("plutorestartoncrash", B, H, "yes", "Start pluto again when it dies.", SETUP, fine=("yes",),
            reason="Restart= of ipsec.service says whether systemd does"),
    Keyword("pluto", B, H, "yes", "Start pluto at all.", SETUP, fine=("yes",),
            reason="to have none do not start it: `systemctl disable ipsec'"),
    Keyword("plutowait", B, H, "no", "Bring conns up one after the other at start.", SETUP, fine=("no",),
            reason="they come up side by side, and the start waits for none"),
    Keyword("plutofork", B, OLD, "", "Was for internal use; `ipsec pluto --nofork' stays in the foreground.", SETUP),
    Keyword("oe", B, A, "no", "Create the implicit conns of opportunistic encryption.", SETUP),
    Keyword("fragicmp", B, H, "yes", "Send ICMP when a packet is too big and must not be fragmented.", SETUP,
            fine=("yes",), reason="who sends such a packet is always told"),
    Keyword("hidetos", B, A, "yes", "Set the DSCP of tunnel packets to 0; no: copy it outward.", SETUP),
    Keyword("uniqueids", B, A, "yes", "A new IKE SA of a peer identity replaces its older ones.", SETUP),
    Keyword("overridemtu", N, A, "0", "MTU of ipsecN; 0 takes the underlying device's.", SETUP),
    Keyword("packet-sockets", B, A, "yes", "Fast raw ESP goes by packet sockets, past netfilter; no: by raw sockets.",
            SETUP),
    Keyword("worker-affinity", B, A, "no", "Each packet thread stays on a core of its own: for a machine that does "
            "little else.", SETUP),
    Keyword("nocrsend", B, A, "no", "Never ask peers for certificates.", SETUP),
    Keyword("hash-and-url", B, A, "no", "Tell peers that they may send hash and URL of a certificate instead of the "
            "certificate (RFC 7296 3.6), and fetch it: from URLs that begin as certuribase= of a ca section says and "
            "end in the hash, and from no others. Without a ca section that says so this does nothing.", SETUP),
    Keyword("strictcrlpolicy", W, A, "no", "A certificate of whose revocation nothing current is known does not count: "
            "yes, or ifuri, which is yes if it or a ca section says where a CRL or a responder is. Anything but no "
            "has CRLs fetched when they are wanted.", SETUP, aliases=("crl-strict",),
            choices=_spelled(no="n false off 0", ifuri="", yes="y true on 1")),
    Keyword("crlcheckinterval", T, A, "0", "How often it is looked whether a fetched CRL ends before the next look and "
            "so is to be fetched again; with anything but 0 CRLs are also fetched when a peer's certificate names "
            "one. 0: never, unless strictcrlpolicy= asks for it.", SETUP),
    Keyword("force_busy", B, A, "no", "Ask every initiator for a cookie (RFC 7296 2.6).", SETUP),
    Keyword("ddos-mode", W, H, "auto", "When initiators are asked for a cookie: auto, busy (always), unlimited.", SETUP,
            choices=_spelled(auto="", busy="", unlimited="unlimit"), fine=("auto", "busy")),
    Keyword("ddos-ike-threshold", N, H, "", "Half-open IKE SAs from which on cookies are asked for.", SETUP),
    Keyword("max-halfopen-ike", N, H, "", "Half-open IKE SAs at most.", SETUP),
    Keyword("nat_traversal", B, H, "yes", "NAT traversal, which IKEv2 always has.", SETUP, fine=("yes",),
            reason="encapsulation=no in a conn looks for no NAT"),
    Keyword("disable_port_floating", B, H, "no", "Stay on port 500 behind a NAT.", SETUP, fine=("no",),
            reason="encapsulation=no in a conn looks for no NAT"),
    Keyword("keep_alive", N, A, "20", "Seconds between NAT keepalives; 0 takes the default.", SETUP,
            aliases=("nat-keepalive-interval",), most=3600),
    Keyword("force_keepalive", B, H, "no", "Send keepalives also when only the peer is behind a NAT.", SETUP,
            fine=("no",), reason="the end behind the NAT sends them; dpddelay= has the other one ask too"),
    Keyword("protostack", W, A, "klips", "The packet engine. netkey, mast and auto load and run on this one.", SETUP,
            choices=_spelled(klips="", auto="", mast="", netkey="native xfrm", bsd="", kame="bsdkame", win2k="",
            none="")),
    Keyword("nhelpers", N, H, "-1", "Processes that compute key exchanges.", SETUP, fine=("-1", "0"),
            reason="pluto computes them itself; packets have threads of their own, one for each core"),
    Keyword("secctx_attr_value", N, H, "", "Attribute number of labeled IPsec.", SETUP, aliases=("secctx-attr-type",
            "ikev1-secctx-attr-type"), reason=NO_LABELS),
    Keyword("forwardcontrol", B, OLD, "", "Was to switch IP forwarding together with IPsec; sysctl net.ipv4.ip_forward "
            "does.", SETUP),
    Keyword("rp_filter", X, OLD, "", "ipsecN always has rp_filter off; the leak guard checks sources.", SETUP),
    Keyword("ikev1-policy", W, A, "", "What becomes of IKEv1: drop and reject keep it out, conns included; accept also "
            "tells a stranger that there is no conn for it. Not given: conns that are IKEv1 are served, and nobody "
            "else is answered.", SETUP, choices=_same("accept", "reject", "drop")),
    Keyword("audit-log", B, H, "no", "Records for the Linux audit system.", SETUP, fine=("no",)),
    Keyword("logstderr", B, H, "no", "Log to standard error.", SETUP, fine=("no",)),
    Keyword("dns-resolver", X, H, "", "Whom libreswan has told of DNS servers it was assigned.", SETUP),
    Keyword("logappend", B, H, "yes", "Append to the log file.", SETUP, fine=("yes",)),
    Keyword("logip", B, H, "yes", "Peers' addresses in the log.", SETUP, fine=("yes",)),
    Keyword("loglimit", B, H, "yes", "Limit repeated log lines.", SETUP, fine=("yes", "no")),
    Keyword("ike-socket-bufsize", N, H, "0", "Buffer of the IKE sockets.", SETUP, fine=("0",)),
    Keyword("ike-socket-errqueue", B, H, "yes", "Listen to ICMP errors about IKE packets.", SETUP, fine=("yes", "no")),
    Keyword("listen-udp", B, H, "yes", "IKE over UDP.", SETUP, fine=("yes",)),
    Keyword("listen-tcp", B, A, "no", "Take TCP connections that carry IKE and ESP (RFC 9329), on port 4500.", SETUP),
    Keyword("shuntlifetime", T, H, "15m", "How long shunts of opportunistic encryption live.", SETUP),
    Keyword("expire-shunt-interval", T, H, "", "How often such shunts are looked at.", SETUP),
    Keyword("xfrmlifetime", T, H, "", "Lifetime of kernel acquires.", SETUP, aliases=("expire-lifetime",)),
    Keyword("global-redirect", W, A, "no", "Send all peers that can be sent to another gateway (RFC 5685): yes, or "
            "auto: when there is so much to do that cookies are asked for.", SETUP, choices=_same("no", "yes", "auto")),
    Keyword("global-redirect-to", L, A, "", "Addresses of those gateways, taken in turn.", SETUP),
    Keyword("dnssec-enable", B, H, "yes", "Check DNSSEC signatures.", SETUP, fine=("yes",)),
    Keyword("curl-timeout", T, A, "5s", "How long fetching a CRL may take.", SETUP, aliases=("crl-timeout",),
            most=60),
    Keyword("ocsp-enable", B, A, "no", "Ask OCSP responders about certificates, before any CRL.", SETUP),
    Keyword("ocsp-strict", B, A, "no", "With ocsp-enable=yes: a certificate no responder calls good does not count.",
            SETUP),
    Keyword("ocsp-timeout", T, A, "2s", "How long asking OCSP may take.", SETUP, most=60),
    Keyword("ocsp-method", W, A, "get", "How OCSP is asked: get, which caches may answer, or post, with a nonce.",
            SETUP, choices=_same("get", "post")),
    Keyword("ocsp-cache-size", N, A, "1000", "OCSP answers kept.", SETUP, most=100000),
    Keyword("ocsp-cache-min-age", T, A, "1h", "How long an OCSP answer counts that does not say so itself.", SETUP),
    Keyword("ocsp-cache-max-age", T, A, "1d", "No OCSP answer counts longer.", SETUP),
    Keyword("seedbits", N, H, "", "Bits read from the random device at start.", SETUP),
    Keyword("seccomp", X, H, "disabled", "System call filter.", SETUP, fine=("disabled",)),
    Keyword("drop-oppo-null", B, H, "no", "Refuse opportunistic peers that prove nothing.", SETUP, fine=("yes", "no")),
    Keyword("nflog-all", N, H, "0", "Copy decrypted packets to NFLOG.", SETUP, fine=("0",)),
    Keyword("ipsec-interface-managed", B, H, "yes", "Create and remove ipsecN.", SETUP, fine=("yes",)),
    Keyword("syslog", X, H, "daemon.error", "Facility and priority of messages at start.", SETUP,
            reason="pluto logs to authpriv, and `ipsec setup' writes to standard error"),
    Keyword("interfaces", X, A, "%defaultroute", "Which ipsecN sits on which device: a list of ipsecN=DEVICE, "
            "%defaultroute, or %none.", SETUP),
    Keyword("oe-interface", X, A, "ipsec1", "The ipsecN that packets of policy groups' peers come out of who prove "
            "nothing, or have their keys in the DNS; never that of other conns. It stands beside the one of their "
            "interface.", SETUP),
    Keyword("myid", Form.IDENTITY, A, "", "What %myid stands for.", SETUP),
    Keyword("prepluto", Form.COMMAND, H, "", "Command run before pluto starts.", SETUP,
            reason="write it as ExecStartPre= of ipsec.service (`systemctl edit ipsec')"),
    Keyword("postpluto", Form.COMMAND, H, "", "Command run after pluto has started.", SETUP,
            reason="write it as ExecStartPost= of ipsec.service (`systemctl edit ipsec')"),
    Keyword("plutoopts", X, H, "", "Further options of pluto.", SETUP,
            reason="write the keyword that says the same, or another ExecStart= of ipsec.service"),
    Keyword("plutostderrlog", Form.FILE, A, "", "Log to this file instead of the system log.", SETUP,
            aliases=("logfile",)),
    Keyword("dumpdir", Form.FILE, H, "", "Where core dumps go; empty: none.", SETUP,
            reason="LimitCORE= of ipsec.service says whether there are any, sysctl kernel.core_pattern where"),
    Keyword("manualstart", X, OLD, "", "Was a list of conns for ipsec manual; became auto=manual.", SETUP),
    Keyword("packetdefault", X, OLD, "", "Became the conn packetdefault.", SETUP),
    Keyword("no_eroute_pass", X, OLD, "", "Became the conn packetdefault.", SETUP),
    Keyword("opportunistic", X, OLD, "", "Became oe=.", SETUP),
    Keyword("plutoload", X, OLD, "", "Became auto=.", SETUP),
    Keyword("plutostart", X, OLD, "", "Became auto=.", SETUP),
    Keyword("plutobackgroundload", X, OLD, "", "Conns always load in the background.", SETUP),
    Keyword("pathlen", X, OLD, "", "Was a limit on certificate chains; certificates say theirs themselves.", SETUP),
    Keyword("dump", X, OLD, "", "Became dumpdir=.", SETUP),
    Keyword("ocspuri", X, A, "", "Where OCSP is asked about certificates that name no responder.", SETUP,
            aliases=("ocsp-uri",)),
    Keyword("ocsp-trustname", X, A, "", "Only this certificate of ipsec.d/ocspcerts may sign for every authority: its "
            "file's name or its subject. Without it all of them may.", SETUP),
    Keyword("virtual_private", X, A, "", "Networks road warriors may have behind them, what %priv stands for: a list "
            "of %v4:NET and %v6:NET, with ! before a NET that is left out.", SETUP),
    Keyword("listen", X, A, "", "The only addresses IKE and ESP use.", SETUP),
    Keyword("dnssec-rootkey-file", Form.FILE, H, "", "DNSSEC root key.", SETUP),
    Keyword("dnssec-anchors", Form.FILE, H, "", "Further DNSSEC trust anchors.", SETUP),
    Keyword("curl-iface", X, A, "", "Device CRLs and OCSP answers are fetched through.", SETUP),
    Keyword("statsbin", Form.FILE, H, "", "Command told about tunnels going up and down.", SETUP),
    Keyword("exampledir", Form.FILE, H, "", "Directory of sample conns.", SETUP),
    Keyword("rundir", Form.FILE, H, "", "Run-time directory; $IPSEC_RUNDIR here.", SETUP),
    Keyword("seeddev", Form.FILE, H, "", "Random device seed bits are read from.", SETUP),
    Keyword("nssdir", Form.FILE, H, "", "Directory of an NSS database.", SETUP),
    Keyword("ipsecdir", Form.FILE, H, "", "Directory of certs, private, cacerts and crls.", SETUP),
    Keyword("secretsfile", Form.FILE, H, "", "The secrets file.", SETUP),
    Keyword("myvendorid", X, H, "", "Vendor ID pluto announces.", SETUP),
    # ca: authorities
    Keyword("auto", W, A, "ignore", "add: the authority is trusted, and what the section says of it holds.", AUTHORITY,
            choices=_spelled(ignore="", add="start route")),
    Keyword("cacert", Form.FILE, A, "", "The authority's certificate, relative to ipsec.d/cacerts.", AUTHORITY),
    Keyword("crluri", X, A, "", "Where its CRL is, an http URI: looked at when a certificate names no place, or that "
            "place fails.", AUTHORITY, aliases=("crluri1",)),
    Keyword("crluri2", X, A, "", "Another place.", AUTHORITY),
    Keyword("ocspuri", X, A, "", "Where its OCSP responder is, an http URI.", AUTHORITY, aliases=("ocspuri1",)),
    Keyword("ocspuri2", X, A, "", "Another responder.", AUTHORITY),
    Keyword("certuribase", X, A, "", "Where the certificates it has issued are, an http URI that the SHA-1 hash of a "
            "certificate, in hexadecimal, is put after: http://pki.example/certs/. Peers that say they fetch "
            "certificates get that of ours instead of the certificate (RFC 7296 3.6); hash-and-url= says whether we "
            "fetch theirs.", AUTHORITY),
    Keyword("ldaphost", X, H, "", "LDAP server of CRLs.", AUTHORITY, reason="LDAP is not spoken; give crluri=http://..."),
    Keyword("ldapbase", X, H, "", "Base of the LDAP directory.", AUTHORITY, reason="LDAP is not spoken"),
    # conn: the two ends
    Keyword("", Form.HOST, A, "",
            "The end's address: an address, a host name, %defaultroute, %DEVICE, or %any on one side.",
            halves=LR),
    Keyword("id", Form.IDENTITY, A, "the address, or the certificate's subject", "Who the end is: an address, @name, "
            "user@name, a distinguished name, @#hex, %fromcert, %myid or %null.", halves=LR),
    Keyword("nexthop", X, A, "follow the actual route", "The next gateway toward the peer; seldom needed.", halves=LR),
    Keyword("subnet", Form.SUBNET, A, "the end itself", "What the end protects; a list is what subnets= is. Of an end "
            "that is %any also vhost: and a list of %priv (any address in virtual_private=), %v4:NET, %v6:NET, %all "
            "and %no (none but its own), of which the peer has one address, or vnet: with a subnet of any size.",
            halves=LR),
    Keyword("rsasigkey", Form.KEY, A, "", "RSA public key: 0s..., 0x..., %cert or %none.", halves=LR,
            aliases=("rsakey",)),
    Keyword("rsasigkey2", Form.KEY, A, "", "A second RSA public key, while keys change.", halves=LR,
            aliases=("rsakey2",)),
    Keyword("subnets", Form.SUBNETS, A, "", "Several subnets: a conn NAME/LxR for each pair, all with alias NAME.",
            halves=LR),
    Keyword("sourceip", Form.ADDRESSES, A, "", "Address the gateway itself uses toward the other subnet, one a family. "
            "%config asks the peer for one (%config4, %config6: of that family only); ipsecN has it while the conn is "
            "routed, and only traffic from it goes into the tunnel.", halves=LR),
    Keyword("updown", Form.COMMAND, A, "ipsec _updown", "Command run when the conn changes; empty: none.", halves=LR),
    Keyword("cert", Form.FILE, A, "", "Certificate, relative to ipsec.d/certs: PEM, with those above it after it if "
            "you like, DER, or PKCS#12, whose passphrase stands in ipsec.secrets (: P12).", halves=LR),
    Keyword("sendcert", W, A, "always", "When our certificate is sent.", halves=LR,
            choices=_spelled(never="no", ifasked="sendifasked", always="alwayssend yes forcedtype")),
    Keyword("auth", X, A, "authby", "How this end proves itself, when the two differ; words as for authby, and "
            "eap-mschapv2, eap-tls or eap (either) of an end that initiates. eaponly: by EAP-TLS alone, whether it "
            "asks or answers (RFC 5998). xauth: by nothing but the name and password that IKEv1 asks it for, while "
            "the other end has auth=rsasig (hybrid authentication).", halves=LR),
    Keyword("protoport", Form.PROTOPORT, A, "%any", "Only this protocol and port.", halves=LR),
    Keyword("ca", X, A, "any authority of ipsec.d/cacerts", "The authority that the end's certificate must come from, "
            "itself or through others: a distinguished name, or %same for the other end's, which is the issuer of "
            "its certificate if it says nothing.", halves=LR),
    Keyword("subnetwithin", Form.SUBNET, A, "", "Of an end that is %any: the peer may have any subnet inside this one, "
            "as with subnet=vnet:%v4:NET.", halves=LR),
    Keyword("firewall", B, OLD, "", OPENINGS, halves=LR),
    Keyword("hostaccess", B, OLD, "", OPENINGS, halves=LR),
    Keyword("certtype", X, OLD, "", "Certificates tell their own type.", halves=EITHER),
    Keyword("groups", X, R, "", "Attribute certificate groups.", halves=LR, reason=NO_MANY_CERT),
    Keyword("ckaid", X, R, "", "Key named by its identifier in an NSS database.", halves=LR,
            reason="there is no NSS database here; give rsasigkey= or cert="),
    Keyword("pubkey", X, R, "", "Raw public key of any kind.", halves=LR, aliases=("ecdsakey", "ecdsasigkey",
            "eddsakey"),
            reason="only RSA keys are read raw (rsasigkey=); use a certificate for ECDSA"),
    Keyword("xauthserver", B, A, "no", "IKEv1: this end asks the other for a user name and a password.", halves=LR),
    Keyword("xauthclient", B, A, "no", "IKEv1: this end answers such a question, with the password that stands in "
            "ipsec.secrets as `@name : XAUTH \"...\"'.", halves=LR),
    Keyword("xauthname", X, A, "the id", "The user name it answers with.", halves=LR,
            aliases=("xauthusername", "username")),
    Keyword("modecfgserver", B, A, "no", "This end gives the other an address: the other's addresspool= says so too.",
            halves=LR),
    Keyword("modecfgclient", B, A, "no", "This end gets its address from the other, as with sourceip=%config: "
            "one of addresspool=, or without it subnet= where that is a single address.", halves=LR),
    Keyword("addresspool", X, A, "", "This end gets an address out of these ranges (FIRST-LAST) and subnets, one of "
            "each family it asks for. An identity gets the same again as long as nobody else needed it.", halves=LR),
    Keyword("modecfgdns", L, A, "", "DNS servers told to whoever gets an address.", halves=EITHER,
            aliases=("modecfgdns1",)),
    Keyword("modecfgdns2", L, A, "", "Further DNS servers.", halves=EITHER),
    Keyword("modecfgwins1", X, A, "", "WINS server told to whoever gets an address (IKEv1).", halves=EITHER),
    Keyword("modecfgwins2", X, A, "", "Second WINS server.", halves=EITHER),
    Keyword("cat", B, R, "no", "Translate our client's address for opportunistic encryption behind a NAT.", halves=LR,
            fine=("no",), reason="clients are not translated: what the peer assigns becomes an address of this host"),
    Keyword("ikeport", N, R, "", "Port IKE uses.", halves=LR, fine=("0", "500"),
            reason="IKE uses ports 500 and 4500 here"),
    Keyword("interface-ip", X, H, "", "Address put on ipsecN.", halves=LR),
    Keyword("vti", X, H, "", "Address put on a VTI device.", halves=LR),
    Keyword("autheap", W, A, "none", "The method of an end whose auth= is eaponly: tls; or as if its auth= said "
            "eap-tls or eap-mschapv2.", halves=LR, choices=_same("none", "tls", "mschapv2")),
    # conn: words and numbers
    Keyword("also", Form.SPLICE, A, "", "Take over another conn's parameters; several allowed, nested too."),
    Keyword("alsoflip", Form.SPLICE, A, "", "The same with left and right exchanged."),
    Keyword("auto", W, A, "ignore", "At start: ignore, add (load), route (load; traffic starts it), start (bring up), "
            "manual (ipsec manual --up).",
            choices=_spelled(ignore="", add="keep", route="ondemand", start="up", manual=""),
            refused={"manual": NO_MANUAL}),
    Keyword("type", W, A, "tunnel", "tunnel, transport (only between the two ends themselves), or without IPsec "
            "passthrough, drop, reject.",
            choices=_spelled(tunnel="", transport="", udpencap="udp", passthrough="pass", drop="", reject=""),
            refused=({"udpencap": "leave it out: UDP encapsulation is used where a NAT needs it"})),
    Keyword("compress", B, A, "no", "Propose IPComp (deflate), and take it when the peer does. What an attacker can "
            "mix into compressed traffic may tell him about the rest of it."),
    Keyword("pfs", B, A, "yes", "A fresh key exchange for each further child SA. Given as yes, a peer whose proposals "
            "have no group for it is refused; when nothing is given such a peer gets its SAs without one, and the log "
            "says so. With no, a peer that wants one gets it."),
    Keyword("rekey", B, A, "yes", "Replace SAs before they expire."),
    Keyword("authby", X, A, "rsasig,ecdsa,eddsa",
            "How both ends prove themselves: secret, rsasig, ecdsa, eddsa (Ed25519, Ed448), null (not at all, RFC "
            "7619: encrypted, but with anybody), several of them, or never."),
    Keyword("eap_identity", X, A, "", "The user name we give when EAP asks for it, else our id; where the peer "
            "proves itself by EAP the only user that is let in, else whoever has a secret in ipsec.secrets.",
            aliases=("eap-identity", "eapidentity")),
    Keyword("phase2", W, A, "esp", "The protocol that protects packets: esp, or ah, which encrypts nothing and passes "
            "no NAT.", aliases=("auth",),
            choices=_spelled(esp="default", ah="", ah_esp="ah+esp"),
            refused=({"ah-esp": "Can only do AH, or ESP, not AH+ESP: use esp"})),
    Keyword("failureshunt", W, A, "none", "What becomes of traffic when the negotiation fails.",
            choices=_spelled(none="", passthrough="pass", drop="", reject="", hold="")),
    Keyword("dpddelay", T, A, "", "Idle time after which the peer is asked whether it lives."),
    Keyword("dpdtimeout", T, A, "", "Silence after which the peer is dead, if that is less than dpddelay and "
            "retransmit-timeout together."),
    Keyword("dpdaction", W, A, "hold", "Then: hold traffic, clear the conn, restart it; "
            "restart_by_peer: it and every conn that has SAs with the same peer.",
            choices=_spelled(hold="", clear="", restart="") | {"restart_by_peer": "restart_by_peer",
            "restart-by-peer": "restart_by_peer"}),
    Keyword("salifetime", T, A, "8h", "Lifetime of a child SA.", aliases=("keylife", "lifetime", "ipsec-lifetime"),
            most=ONE_DAY),
    Keyword("rekeymargin", T, A, "9m", "How long before the end replacement begins.", aliases=("rekeystart",),
            most=ONE_DAY),
    Keyword("rekeyfuzz", Form.PERCENT, A, "100%", "By how much the margin is enlarged at random."),
    Keyword("keyingtries", N, A, "0", "Attempts at a negotiation; 0 or %forever: no end.", aliases=("rekeytries",)),
    Keyword("ikelifetime", T, A, "1h", "Lifetime of the IKE SA.", most=ONE_DAY),
    Keyword("overlapip", B, A, "no", "Two peers may have the same client."),
    Keyword("disablearrivalcheck", B, A, "no", "Do not check that decrypted packets are inside the conn's selectors."),
    Keyword("forceencaps", B, A, "no", "The old spelling of encapsulation=yes."),
    Keyword("encapsulation", W, A, "auto", "ESP in UDP port 4500 instead of protocol 50. auto: when there is a NAT, "
            "and unlike libreswan also without one when both ends are this Openswan, which recognise each other "
            "and gain by it (the kernel takes UDP in large pieces); that needs port 4500 open on the way. yes: "
            "always, by pretending a NAT. no: never, and no NAT is looked for.", choices=_same("auto", "yes", "no")),
    Keyword("negotiationshunt", W, A, "hold", "What becomes of traffic during a negotiation.",
            choices=_spelled(hold="", passthrough="pass", drop="")),
    Keyword("holdtimeout", T, A, "3s", f"{OPPORTUNISTIC}how long first packets wait for a peer that is silent, before "
            "failureshunt= decides.", most=60),
    Keyword("authgrade", W, A, "null", f"{OPPORTUNISTIC}what the peer must at least have proved: null < dns < group < "
            "dnssec < psk = raw-key = cert.", choices=_spelled(null="", dns="", group="", dnssec="", psk="secret",
            raw_key="raw rsasig", cert="")),
    Keyword("keepgrade", B, A, "no", f"{OPPORTUNISTIC}a peer that had a better grade gets no tunnel with a worse one."),
    Keyword("metric", N, A, "0", "Metric of the routes."),
    Keyword("mtu", N, A, "0", "MTU of the routes.", most=65535),
    Keyword("keyexchange", W, A, "ikev2", "The key exchange protocol; ikev1 says the same as ikev2=no.",
            choices=_spelled(ikev2="ike rfc7296", ikev1="isakmp oakley")),
    Keyword("ikev1", B, H, "no", "Allow IKEv1.", fine=("no",),
            reason="a conn has one version, IKEv2 unless it says ikev2=no"),
    Keyword("ikev2", W, A, "insist", "IKEv2: insist (yes); propose and permit mean the same here. never (no): the conn "
            "is IKEv1, for peers that know nothing newer: Main Mode by preshared key, RSA signature, or ECDSA if "
            "authby=ecdsa says so, Quick Mode. A conn that says neither is IKEv1 too with aggrmode=yes, xauthserver=, "
            "xauthclient=, auth=xauth, and, with a warning, with xauthname=, xauthby=, xauthfail=, modecfgpull=yes, "
            "modecfgbanner=, modecfgwins1=, cisco-unity=yes or remote_peer_type=cisco, or where IKEv1 alone has the "
            "algorithms that ike= or phase2alg= name.",
            choices=_spelled(insist="always yes y", propose="", permit="", never="no n")),
    Keyword("narrowing", B, A, "no", "Accept less than the conn's subnets from the peer."),
    Keyword("esn", W, A, "either", "Extended sequence numbers: yes and no insist, either prefers them. With "
            "replay-window=0 there are none.", choices=_same("either", "yes", "no")),
    Keyword("replay-window", N, A, "128", "Size of the replay window in packets; 0 switches it off.", most=4096),
    Keyword("retransmit-timeout", T, A, "60s", "How long a request is repeated in all."),
    Keyword("retransmit-interval", X, A, "500ms",
            "First wait before a request is repeated; without a unit, milliseconds. IKEv2 of opportunistic conns "
            "begins with 250ms at most."),
    Keyword("leakguard", B, A, "yes", "Keep the conn's traffic from leaving or entering in clear."),
    Keyword("otherfamily", W, A, "block", "With a 0/0 subnet: what becomes of the other address family.",
            choices=_same("block", "clear")),
    Keyword("endaddrfamily", W, A, "", "Address family of the two ends.", aliases=("hostaddrfamily",),
            choices=FAMILIES),
    Keyword("connaddrfamily", W, A, "", "Address family of the subnets.", choices=FAMILIES,
            aliases=("clientaddrfamily", "tunneladdrfamily")),
    Keyword("aggrmode", B, A, "no", "IKEv1's Aggressive Mode in place of Main Mode: three messages instead of six, but "
            "who both ends are goes in clear, and a preshared key can be guessed offline by anybody who asks. Makes a "
            "conn IKEv1. Name one group in ike=.", aliases=("aggressive",)),
    Keyword("modecfgpull", B, A, "no", "IKEv1: the client asks for its address; without it the server tells it one. "
            "With IKEv2 it always asks."),
    Keyword("sareftrack", X, H, "yes", "SA tracking of the mast stack.", fine=("yes", "no"),
            reason="there is no mast stack here"),
    Keyword("sha2_truncbug", B, A, "no", "Cut SHA2-256 in ESP and AH to 96 bits, as Linux before 2.6.33 did.",
            aliases=("sha2-truncbug",)),
    Keyword("loopback", B, R, "no", "Both ends on this machine.", fine=("no",), reason=NO_LABELS),
    Keyword("labeled_ipsec", B, R, "no", "SELinux labels in selectors.", fine=("no",), reason=NO_LABELS),
    Keyword("remote_peer_type", W, A, "ietf", "IKEv1: cisco asks the peer for Cisco's attributes, as cisco-unity=yes "
            "does, keeps the tunnel to those networks inside rightsubnet= that the peer names (split tunnel; the rest "
            "of rightsubnet= goes as if there were no conn), and tells updown commands (PLUTO_IS_PEER_CISCO=1).",
            choices=_same("ietf", "cisco"), aliases=("remotepeertype",)),
    Keyword("nm_configured", B, A, "no", "Set up by NetworkManager, which updown commands hear "
            "(PLUTO_NM_CONFIGURED=1)."),
    Keyword("firstmsgid", N, H, "", "First message ID, for tests.",
            reason="message IDs begin where the protocol says"),
    Keyword("mobike", B, A, "no", "Keep the tunnel while an end's address changes (RFC 4555): the end that brought it "
            "up moves when its own does, and looks for the other end at its other addresses. Wants a client that is "
            "not the end itself: subnet= or sourceip=%config."),
    Keyword("fragmentation", W, A, "yes", "IKE fragmentation (RFC 7383), or without it long messages in IP fragments, "
            "which many firewalls drop. force says the same as yes.", choices=_same("yes", "no", "force")),
    Keyword("nic-offload", X, H, "no", "ESP in the network card.", fine=("no", "auto")),
    Keyword("nat-keepalive", B, H, "yes", "Send NAT keepalives.", fine=("yes",)),
    Keyword("nat-ikev1-method", X, H, "both", "NAT traversal of IKEv1.", fine=("both",)),
    Keyword("ppk", W, A, "no", "Mix a postquantum preshared key into the keys (RFC 8784): propose, or insist on it.",
            choices=_spelled(no="never", propose="yes permit", insist="always"),
            ),
    Keyword("ppk-ids", X, A, "", "Names of the postquantum keys (PPKS in ipsec.secrets) that may be used, best first."),
    Keyword("childless", W, A, "allow", "IKE SAs that begin without a child SA (RFC 6023), whose first child "
            "has a key exchange of its own then: allow the peer that, prefer it or force it as initiator, or never.",
            choices=_same("allow", "prefer", "force", "never")),
    Keyword("intermediate", B, A, "no", "Offer the IKE_INTERMEDIATE exchange (RFC 9242) also where ike= names no "
            "additional key exchange, and do one as initiator."),
    Keyword("priority", N, H, "0", "Order among policies; the most specific one wins here.", fine=("0",)),
    Keyword("reqid", N, H, "", "Number of kernel policies."),
    Keyword("tfc", N, A, "0", "Pad packets to this many octets, to hide their lengths, unless the peer says that it "
            "takes none.", most=9000),
    Keyword("send-no-esp-tfc", B, A, "no", "Tell the peer not to do that (ESP_TFC_PADDING_NOT_SUPPORTED).",
            aliases=("send-esp-tfc-padding-not-supported",)),
    Keyword("nopmtudisc", B, A, "no", "Do not probe what the path takes."),
    Keyword("decap-dscp", B, H, "no", "Copy DSCP inward.", fine=("no",)),
    Keyword("encap-dscp", B, H, "yes", "Copy DSCP outward.", fine=("yes", "no")),
    Keyword("ignore-peer-dns", B, H, "no", "Do not use the peer's DNS servers.", fine=("yes", "no")),
    Keyword("dns-match-id", B, R, "no", "The peer's reverse DNS name must be its identity.", fine=("no",),
            reason="that check is not available; peers that fail it would be let in"),
    Keyword("require-id-on-certificate", B, H, "yes", "The certificate must carry the identity.", fine=("yes",)),
    Keyword("sendca", W, A, "all", "Which certificates above ours go with it: all intermediate ones, the issuer's, or "
            "none. Those are found in leftcert's file and in ipsec.d/cacerts; a root is never sent.",
            choices=_same("none", "issuer", "all")),
    Keyword("xauthby", W, A, "file", "How xauthserver= judges passwords: by lines `user:hash' or `user:hash:conn' in "
            "ipsec.d/passwd, hashes as of crypt(3); by PAM's service pluto (pam); or not at all (alwaysok).",
            choices=_same("file", "alwaysok", "pam")),
    Keyword("xauthfail", W, A, "hard", "What a wrong password means: hard, the client is not let in; soft, it is, and "
            "updown commands hear of it (XAUTH_FAILED=1) and have to lock it up: theirs is all the protection then.",
            choices=_same("hard", "soft")),
    Keyword("pam-authorize", B, R, "no", "Ask PAM whether a peer may connect.", fine=("no",),
            reason="PAM is not asked; peers it refuses would be let in"),
    Keyword("enable-tcp", W, A, "no", "Begin in a TCP connection that carries IKE and ESP (RFC 9329): yes, or as a "
            "fallback when nobody answers in UDP or ESP is blocked. The peer needs listen-tcp=yes in config setup.",
            choices=_same("no", "yes", "fallback")),
    Keyword("tcp-remoteport", N, A, "4500", "The peer's TCP port.", most=65535),
    Keyword("send-redirect", W, A, "no", "Send a peer that has proved itself to another gateway (RFC 5685): yes, or "
            "auto: when there is much to do.", choices=_same("no", "yes", "auto")),
    Keyword("redirect-to", L, A, "", "Addresses of those gateways, taken in turn."),
    Keyword("accept-redirect", B, A, "no", "Let the peer send us to another gateway (RFC 5685)."),
    Keyword("accept-redirect-to", L, A, "%any", "The addresses we may be sent to, or %any."),
    Keyword("ipsec-max-bytes", X, A, "", "Octets (KiB, MiB ...) after which a child SA ends; it is replaced before. In "
            "IKEv1 it is negotiated, in whole kilobytes, and both ends keep to the smaller one."),
    Keyword("ipsec-max-packets", X, A, "", "Packets (Ki, Mi ...) after which a child SA ends; it is replaced before."),
    Keyword("ipsec-interface", X, H, "", "Number of the XFRM interface; every conn uses an ipsecN here.",
            fine=("yes", "no")),
    Keyword("clones", X, H, "", "Child SAs for each processor."),
    Keyword("session-resumption", B, A, "no", "Give a ticket, and ask for one, that resumes an IKE SA that was lost "
            "without a new key exchange and proof (RFC 5723). Who learns the keys of the first one can read those "
            "resumed from it."),
    Keyword("iptfs", B, H, "no", "Aggregate packets (RFC 9347).", fine=("no",)),
    *(Keyword(f"iptfs-{word}", X, H, "", "Detail of iptfs=.") for word in
      ("fragmentation", "packet-size", "max-queue-size", "drop-time", "init-delay", "reorder-window")),
    Keyword("groundhog", B, R, "no", "Accept certificates that have expired.", halves=EITHER, fine=("no",),
            reason="expired certificates are never accepted"),
    Keyword("updown-config", X, H, "", "Detail of updown=."),
    Keyword("share-lease", B, H, "yes", "Peers with one identity share an address.", fine=("yes",)),
    Keyword("initial-contact", B, A, "yes", "Tell peers that we remember no older SA."),
    Keyword("fake-strongswan", B, H, "no", "Pretend to be strongSwan.", fine=("no",)),
    Keyword("reauth", B, H, "no", "Prove oneself anew at each rekey of the IKE SA.", fine=("no",),
            reason="SAs are rekeyed without a new proof; ikelifetime= with rekey=no ends them"),
    Keyword("send-supported-auth-methods", B, H, "no", "Tell the peer which ways of proof count (RFC 9593).",
            fine=("no",)),
    Keyword("reject-simultaneous-ike-auth", B, H, "no", "Refuse a peer's IKE_AUTH while ours is under way.",
            fine=("no",)),
    Keyword("ikepad", W, H, "auto", "Pad IKE messages to four octets (IKEv1).", choices=_spelled(auto="", yes="y",
            no="n"), fine=("auto", "yes", "no")),
    Keyword("ikev1-dpdtimeout", T, H, "", "Became dpdtimeout=."),
    Keyword("nflog-group", X, H, "", "NFLOG group that gets copies of the packets.", aliases=("nflog",),
            reason="tcpdump -i ipsec0 shows them"),
    Keyword("debug", X, H, "none", "Debugging output about this conn alone.", fine=("none",)),
    Keyword("send-vendorid", B, H, "yes", "Announce what software this is.", fine=("yes",)),
    Keyword("cisco-unity", B, A, "no", "IKEv1: as client, ask for Cisco's attributes (banner, default domain, split "
            "networks) also where the server does not announce them."),
    Keyword("cisco-split", B, H, "no", "Cisco's split tunnels.", fine=("no",)),
    Keyword("ms-dh-downgrade", B, H, "no", "Accept a weaker group at rekey, as Windows offers.", fine=("no",)),
    Keyword("pfs-rekey-workaround", B, H, "no", "For peers that rekey without PFS.", fine=("no",)),
    Keyword("modecfgdomains", L, A, "", "The domains those DNS servers are to be asked about (RFC 8598); none: all.",
            aliases=("modecfgdomain",)),
    Keyword("modecfgbanner", X, A, "", "Text told to whoever gets an address (IKEv1, Cisco's attribute)."),
    Keyword("mark", X, R, "", "Firewall mark of the policies.", reason=NO_MARKS, fine=("no",)),
    Keyword("mark-in", X, R, "", "Firewall mark inward.", reason=NO_MARKS, fine=("no",)),
    Keyword("mark-out", X, R, "", "Firewall mark outward.", reason=NO_MARKS, fine=("no",)),
    Keyword("vti-interface", X, R, "", "VTI device of the conn.", reason=NO_MARKS),
    Keyword("vti-routing", B, H, "yes", "Route into the VTI device."),
    Keyword("vti-shared", B, H, "no", "Several conns share it.", fine=("no",)),
    # conn: text
    Keyword("ike", Form.ALGORITHMS, A, "", "What is offered and accepted for IKE."),
    Keyword("phase2alg", Form.ALGORITHMS, A, "", "The same for ESP, or with phase2=ah for AH.", aliases=("esp",)),
    Keyword("ah", Form.ALGORITHMS, A, "", "Integrity algorithms of AH, with phase2=ah."),
    Keyword("pfsgroup", X, H, "", "Group for PFS.",
            reason="write the group in esp=, as in esp=aes256-sha2_256;modp2048"),
    Keyword("connalias", L, A, "", "Further names of the conn for up and down."),
    Keyword("policy_label", X, R, "", "SELinux label.", aliases=("policy-label", "sec-label"), reason=NO_LABELS),
    # conn: manual keying, see ipsec_manual(8); with left or right in front of the SA that leads there
    *(Keyword(name, X, A, "", sentence, halves=EITHER) for name, sentence in (
        ("spi", "Manual keying: the SPI of every SA, 0x100 to 0xfff."),
        ("spibase", "Manual keying: the first of eight SPIs; its last hexadecimal digit is 0."),
        ("espenckey", "Manual keying: encryption key, 0x, 0s or 0t."),
        ("espauthkey", "Manual keying: authentication key of ESP."),
        ("espreplay_window", "Manual keying: packets of ESP's replay window."),
        ("espspi", "Manual keying: the SPI of ESP alone."),
        ("ahspi", "Manual keying: the SPI of AH alone."),
        ("ahkey", "Manual keying: authentication key of AH."),
        ("ahreplay_window", "Manual keying: packets of AH's replay window."),
    )),
)  # fmt: skip


def normal(name: str) -> str:
    """A keyword as it is compared: lower case, `_` as `-`."""
    return name.lower().replace("_", "-")


def _spellings() -> dict[tuple[Section, str], tuple[Keyword, str]]:
    found: dict[tuple[Section, str], tuple[Keyword, str]] = {}
    for row in TABLE:
        sides = {Halves.NO: ("",), Halves.YES: ("left", "right"), Halves.ALSO: ("", "left", "right")}[row.halves]
        for side in sides:
            for name in dict.fromkeys(map(normal, (row.name, *row.aliases))):
                if found.setdefault((row.section, side + name), (row, side))[0] is not row:
                    raise RuntimeError(f"two keywords are called {side}{name}")
    return found


SPELLINGS = _spellings()
HYPHENED = re.compile(r"\A(left|right)-(?=.)")


@lru_cache(maxsize=4096)
def find(section: Section, name: str) -> tuple[Keyword, str] | None:
    """The row of a keyword as written, and `left`, `right` or nothing; None when it is unknown in that section."""
    word = normal(name)
    # libreswan 5 also writes left-subnet=.
    return SPELLINGS.get((section, word)) or SPELLINGS.get((section, HYPHENED.sub(r"\1", word)))


def is_comment(name: str) -> bool:
    """Is it a name for the user's own remarks (`x-...`)?"""
    return normal(name).startswith("x-")


def nearest(section: Section, name: str) -> str:
    """The known keyword closest to a mistyped one, or nothing."""
    known = [spelling for kind, spelling in SPELLINGS if kind is section]
    found = get_close_matches(normal(name)[:64], known, 1, 0.7)
    return found[0] if found else ""


def other_section(section: Section, name: str) -> Section | None:
    """The section where the keyword would be valid, if it is not here."""
    return next((other for other in Section if other is not section and (other, normal(name)) in SPELLINGS), None)
