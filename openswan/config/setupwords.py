# SPDX-License-Identifier: GPL-2.0-or-later
"""The keywords of config setup: words and numbers first, then text, which is the order readwriteconf writes."""

from __future__ import annotations

from openswan.config.keyword import Form, Keyword, Section, Status, row_of, same, spelled

A, H, M, OLD = Status.ACTED, Status.HARMLESS, Status.MOOT, Status.OBSOLETE
B, N, T, W, L, X = Form.BOOL, Form.NUMBER, Form.TIME, Form.CHOICE, Form.LIST, Form.TEXT
row = row_of(Section.SETUP)

PLUTODEBUG = same(
    *"""none all base cpu-usage tmi raw crypt parsing emitting control lifecycle klips kernel dns oppo oppoinfo
    controlmore private x509 dpd pfkey natt nattraversal nat-t""".split()
)
KLIPSDEBUG = same(
    *"""none all verbose tunnel tunnel-xmit xmit netlink xform eroute spi radij esp ah rcv pfkey comp nat-traversal
    natt""".split()
)
NO_LABELS = "labeled IPsec is not available"

ROWS: tuple[Keyword, ...] = (
    # config setup: words and numbers first, then text, which is the order readwriteconf writes
    row("klipsdebug", L, A, "none", "What the packet engine writes to the log from the start, see "
            "ipsec_klipsdebug(8).", choices=KLIPSDEBUG),
    row("plutodebug", L, H, "none", "Kinds of debugging output pluto adds to its log.", choices=PLUTODEBUG,
            fine=("none",), reason="`ipsec whack --events' and `ipsec diagnose' tell what happens"),
    row("plutostderrlogtime", B, H, "no", "Time stamps in the log file.", aliases=("logtime",), fine=("yes",
            "no"), reason="lines of the file always have them"),
    row("plutorestartoncrash", B, H, "yes", "Start pluto again when it dies.", fine=("yes",),
            reason="Restart= of ipsec.service says whether systemd does"),
    row("pluto", B, H, "yes", "Start pluto at all.", fine=("yes",),
            reason="to have none do not start it: `systemctl disable ipsec'"),
    row("plutowait", B, H, "no", "Bring conns up one after the other at start.", fine=("no",),
            reason="they come up side by side, and the start waits for none"),
    row("plutofork", B, OLD, "", "Was for internal use; `ipsec pluto --nofork' stays in the foreground."),
    row("oe", B, A, "no", "Create the implicit conns of opportunistic encryption."),
    row("fragicmp", B, H, "yes", "Send ICMP when a packet is too big and must not be fragmented.",
            fine=("yes",), reason="who sends such a packet is always told"),
    row("hidetos", B, A, "yes", "Set the DSCP of tunnel packets to 0; no: copy it outward."),
    row("uniqueids", B, A, "yes", "A new IKE SA of a peer identity replaces its older ones."),
    row("overridemtu", N, A, "0", "MTU of ipsecN; 0 takes the underlying device's."),
    row("packet-sockets", B, A, "yes", "Fast raw ESP goes by packet sockets, past netfilter; no: by raw sockets.",),
    row("worker-affinity", B, A, "no", "Each packet thread stays on a core of its own: for a machine that does "
            "little else."),
    row("nocrsend", B, A, "no", "Never ask peers for certificates."),
    row("hash-and-url", B, A, "no", "Tell peers that they may send hash and URL of a certificate instead of the "
            "certificate (RFC 7296 3.6), and fetch it: from URLs that begin as certuribase= of a ca section says and "
            "end in the hash, and from no others. Without a ca section that says so this does nothing."),
    row("strictcrlpolicy", W, A, "no", "A certificate of whose revocation nothing current is known does not count: "
            "yes, or ifuri, which is yes if it or a ca section says where a CRL or a responder is. Anything but no "
            "has CRLs fetched when they are wanted.", aliases=("crl-strict",),
            choices=spelled(no="n false off 0", ifuri="", yes="y true on 1")),
    row("crlcheckinterval", T, A, "0", "How often it is looked whether a fetched CRL ends before the next look and "
            "so is to be fetched again; with anything but 0 CRLs are also fetched when a peer's certificate names "
            "one. 0: never, unless strictcrlpolicy= asks for it."),
    row("force_busy", B, A, "no", "Ask every initiator for a cookie (RFC 7296 2.6)."),
    row("ddos-mode", W, H, "auto", "When initiators are asked for a cookie: auto, busy (always), unlimited.",
            choices=spelled(auto="", busy="", unlimited="unlimit"), fine=("auto", "busy")),
    row("ddos-ike-threshold", N, H, "", "Half-open IKE SAs from which on cookies are asked for."),
    row("max-halfopen-ike", N, H, "", "Half-open IKE SAs at most."),
    row("nat_traversal", B, H, "yes", "NAT traversal, which IKEv2 always has.", fine=("yes",),
            reason="encapsulation=no in a conn looks for no NAT"),
    row("disable_port_floating", B, H, "no", "Stay on port 500 behind a NAT.", fine=("no",),
            reason="encapsulation=no in a conn looks for no NAT"),
    row("keep_alive", N, A, "20", "Seconds between NAT keepalives; 0 takes the default.",
            aliases=("nat-keepalive-interval",), most=3600),
    row("force_keepalive", B, H, "no", "Send keepalives also when only the peer is behind a NAT.",
            fine=("no",), reason="the end behind the NAT sends them; dpddelay= has the other one ask too"),
    row("protostack", W, A, "klips", "The packet engine. netkey, mast and auto load and run on this one.",
            choices=spelled(klips="", auto="", mast="", netkey="native xfrm", bsd="", kame="bsdkame", win2k="",
            none="")),
    row("nhelpers", N, H, "-1", "Processes that compute key exchanges.", fine=("-1", "0"),
            reason="pluto computes them itself; packets have threads of their own, one for each core"),
    row("secctx_attr_value", N, H, "", "Attribute number of labeled IPsec.", aliases=("secctx-attr-type",
            "ikev1-secctx-attr-type"), reason=NO_LABELS),
    row("forwardcontrol", B, OLD, "", "Was to switch IP forwarding together with IPsec; sysctl net.ipv4.ip_forward "
            "does."),
    row("rp_filter", X, OLD, "", "ipsecN always has rp_filter off; the leak guard checks sources."),
    row("ikev1-policy", W, A, "", "What becomes of IKEv1: drop and reject keep it out, conns included; accept also "
            "tells a stranger that there is no conn for it. Not given: conns that are IKEv1 are served, and nobody "
            "else is answered.", choices=same("accept", "reject", "drop")),
    row("audit-log", B, H, "no", "Records for the Linux audit system.", fine=("no",)),
    row("logstderr", B, H, "no", "Log to standard error.", fine=("no",)),
    row("dns-resolver", X, H, "", "Whom libreswan has told of DNS servers it was assigned."),
    row("logappend", B, H, "yes", "Append to the log file.", fine=("yes",)),
    row("logip", B, H, "yes", "Peers' addresses in the log.", fine=("yes",)),
    row("loglimit", B, H, "yes", "Limit repeated log lines.", fine=("yes", "no")),
    row("ike-socket-bufsize", N, H, "0", "Buffer of the IKE sockets.", fine=("0",)),
    row("ike-socket-errqueue", B, H, "yes", "Listen to ICMP errors about IKE packets.", fine=("yes", "no")),
    row("listen-udp", B, H, "yes", "IKE over UDP.", fine=("yes",)),
    row("listen-tcp", B, A, "no", "Take TCP connections that carry IKE and ESP (RFC 9329), on port 4500."),
    row("shuntlifetime", T, H, "15m", "How long shunts of opportunistic encryption live."),
    row("expire-shunt-interval", T, H, "", "How often such shunts are looked at."),
    row("xfrmlifetime", T, H, "", "Lifetime of kernel acquires.", aliases=("expire-lifetime",)),
    row("global-redirect", W, A, "no", "Send all peers that can be sent to another gateway (RFC 5685): yes, or "
            "auto: when there is so much to do that cookies are asked for.", choices=same("no", "yes", "auto")),
    row("global-redirect-to", L, A, "", "Addresses of those gateways, taken in turn."),
    row("dnssec-enable", B, H, "yes", "Check DNSSEC signatures.", fine=("yes",)),
    row("curl-timeout", T, A, "5s", "How long fetching a CRL may take.", aliases=("crl-timeout",),
            most=60),
    row("ocsp-enable", B, A, "no", "Ask OCSP responders about certificates, before any CRL."),
    row("ocsp-strict", B, A, "no", "With ocsp-enable=yes: a certificate no responder calls good does not count.",),
    row("ocsp-timeout", T, A, "2s", "How long asking OCSP may take.", most=60),
    row("ocsp-method", W, A, "get", "How OCSP is asked: get, which caches may answer, or post, with a nonce.",
            choices=same("get", "post")),
    row("ocsp-cache-size", N, A, "1000", "OCSP answers kept.", most=100000),
    row("ocsp-cache-min-age", T, A, "1h", "How long an OCSP answer counts that does not say so itself."),
    row("ocsp-cache-max-age", T, A, "1d", "No OCSP answer counts longer."),
    row("seedbits", N, H, "", "Bits read from the random device at start."),
    row("seccomp", X, H, "disabled", "System call filter.", fine=("disabled",)),
    row("drop-oppo-null", B, H, "no", "Refuse opportunistic peers that prove nothing.", fine=("yes", "no")),
    row("nflog-all", N, H, "0", "Copy decrypted packets to NFLOG.", fine=("0",)),
    row("ipsec-interface-managed", B, H, "yes", "Create and remove ipsecN.", fine=("yes",)),
    row("syslog", X, H, "daemon.error", "Facility and priority of messages at start.",
            reason="pluto logs to authpriv, and `ipsec setup' writes to standard error"),
    row("interfaces", X, A, "%defaultroute", "Which ipsecN sits on which device: a list of ipsecN=DEVICE, "
            "%defaultroute, or %none."),
    row("oe-interface", X, A, "ipsec1", "The ipsecN that packets of policy groups' peers come out of who prove "
            "nothing, or have their keys in the DNS; never that of other conns. It stands beside the one of their "
            "interface."),
    row("myid", Form.IDENTITY, A, "", "What %myid stands for."),
    row("prepluto", Form.COMMAND, H, "", "Command run before pluto starts.",
            reason="write it as ExecStartPre= of ipsec.service (`systemctl edit ipsec')"),
    row("postpluto", Form.COMMAND, H, "", "Command run after pluto has started.",
            reason="write it as ExecStartPost= of ipsec.service (`systemctl edit ipsec')"),
    row("plutoopts", X, H, "", "Further options of pluto.",
            reason="write the keyword that says the same, or another ExecStart= of ipsec.service"),
    row("plutostderrlog", Form.FILE, A, "", "Log to this file instead of the system log.",
            aliases=("logfile",)),
    row("dumpdir", Form.FILE, H, "", "Where core dumps go; empty: none.",
            reason="LimitCORE= of ipsec.service says whether there are any, sysctl kernel.core_pattern where"),
    row("manualstart", X, OLD, "", "Was a list of conns for ipsec manual; became auto=manual."),
    row("packetdefault", X, OLD, "", "Became the conn packetdefault."),
    row("no_eroute_pass", X, OLD, "", "Became the conn packetdefault."),
    row("opportunistic", X, OLD, "", "Became oe=."),
    row("plutoload", X, OLD, "", "Became auto=."),
    row("plutostart", X, OLD, "", "Became auto=."),
    row("plutobackgroundload", X, OLD, "", "Conns always load in the background."),
    row("pathlen", X, OLD, "", "Was a limit on certificate chains; certificates say theirs themselves."),
    row("dump", X, OLD, "", "Became dumpdir=."),
    row("ocspuri", X, A, "", "Where OCSP is asked about certificates that name no responder.",
            aliases=("ocsp-uri",)),
    row("ocsp-trustname", X, A, "", "Only this certificate of ipsec.d/ocspcerts may sign for every authority: its "
            "file's name or its subject. Without it all of them may."),
    row("virtual_private", X, A, "", "Networks road warriors may have behind them, what %priv stands for: a list "
            "of %v4:NET and %v6:NET, with ! before a NET that is left out."),
    row("listen", X, A, "", "The only addresses IKE and ESP use."),
    row("dnssec-rootkey-file", Form.FILE, H, "", "DNSSEC root key."),
    row("dnssec-anchors", Form.FILE, H, "", "Further DNSSEC trust anchors."),
    row("curl-iface", X, A, "", "Device CRLs and OCSP answers are fetched through."),
    row("statsbin", Form.FILE, H, "", "Command told about tunnels going up and down."),
    row("exampledir", Form.FILE, H, "", "Directory of sample conns."),
    row("rundir", Form.FILE, H, "", "Run-time directory; $IPSEC_RUNDIR here."),
    row("seeddev", Form.FILE, H, "", "Random device seed bits are read from."),
    row("nssdir", Form.FILE, H, "", "Directory of an NSS database."),
    row("ipsecdir", Form.FILE, H, "", "Directory of certs, private, cacerts and crls."),
    row("secretsfile", Form.FILE, H, "", "The secrets file."),
    row("myvendorid", X, H, "", "Vendor ID pluto announces."),
)  # fmt: skip
