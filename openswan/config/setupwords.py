# SPDX-License-Identifier: GPL-2.0-or-later
"""The keywords of config setup: words and numbers first, then text, which is the order readwriteconf writes."""

from __future__ import annotations

from openswan.base.debugclasses import WORDS as DEBUG_WORDS
from openswan.config.keyword import Form, Keyword, Section, Status, row_of, same, spelled

A, H, M, OLD = Status.ACTED, Status.HARMLESS, Status.MOOT, Status.OBSOLETE
B, N, T, W, L, X = Form.BOOL, Form.NUMBER, Form.TIME, Form.CHOICE, Form.LIST, Form.TEXT
row = row_of(Section.SETUP)

PLUTODEBUG = same("none", "all", *(word for word in DEBUG_WORDS if word not in ("none", "all")))
KLIPSDEBUG = same(
    *"""none all verbose tunnel tunnel-xmit xmit netlink xform eroute spi radij esp ah rcv pfkey comp nat-traversal
    natt""".split()
)
NO_LABELS = "labeled IPsec is not available"

ROWS: tuple[Keyword, ...] = (
    # config setup: words and numbers first, then text, which is the order readwriteconf writes
    row("klipsdebug", L, A, "none", "What the packet engine writes to the log from the start, see "
            "ipsec_klipsdebug(8).", choices=KLIPSDEBUG),
    row("plutodebug", L, A, "none", "Classes of debugging lines that pluto adds to its log from the start, see "
            "ipsec_pluto(8); private is not obeyed.", choices=PLUTODEBUG),
    row("plutostderrlogtime", B, A, "yes", "Time stamps in the log file.", aliases=("logtime",)),
    row("plutorestartoncrash", B, A, "no", "Start pluto again when it dies, a second later, and later each time "
            "it dies young. Of a pluto that `ipsec setup start' has started without systemd; under systemd Restart= of "
            "ipsec.service says so, and does unless it is changed."),
    row("pluto", B, A, "yes", "Start pluto at all; with no `ipsec setup start' says so and ends well."),
    row("plutowait", B, A, "no", "Bring conns with auto=start up one after the other, each when the one before is "
            "up or its first attempt has failed. The start itself waits for none."),
    row("plutofork", B, OLD, "", "Was for internal use; `ipsec pluto --nofork' stays in the foreground."),
    row("oe", B, A, "no", "Create the implicit conns of opportunistic encryption."),
    row("fragicmp", B, M, "yes", "Send ICMP when a packet is too big and must not be fragmented.",
            reason="who sends such a packet is always told: without it paths become black holes"),
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
    row("ddos-mode", W, A, "auto", "When initiators are asked for a cookie: auto (when many come), busy (always), "
            "unlimited (never).", choices=spelled(auto="", busy="", unlimited="unlimit")),
    row("ddos-ike-threshold", N, A, "128", "Half-open IKE SAs from which on cookies are asked for.", most=65535),
    row("max-halfopen-ike", N, A, "4096", "Half-open IKE SAs at most; further strangers are not answered.", most=65535),
    row("nat_traversal", B, A, "yes", "Look for NATs and traverse them. With no a conn does so only if it says "
            "encapsulation=auto or yes."),
    row("disable_port_floating", B, A, "no", "Stay on port 500, where no NAT can be traversed (RFC 3947 4): the "
            "same as nat_traversal=no."),
    row("keep_alive", N, A, "20", "Seconds between NAT keepalives; 0 takes the default.",
            aliases=("nat-keepalive-interval",), most=3600),
    row("force_keepalive", B, A, "no", "Send NAT keepalives also when only the peer is behind a NAT."),
    row("protostack", W, A, "klips", "The packet engine. netkey, mast and auto load and run on this one.",
            choices=spelled(klips="", auto="", mast="", netkey="native xfrm", bsd="", kame="bsdkame", win2k="",
            none="")),
    row("nhelpers", N, M, "-1", "Processes that compute key exchanges.",
            reason="pluto computes them itself; packets have threads of their own, one for each core"),
    row("secctx_attr_value", N, M, "", "Attribute number of labeled IPsec.", aliases=("secctx-attr-type",
            "ikev1-secctx-attr-type"), reason=f"{NO_LABELS}, so there is no attribute to number"),
    row("forwardcontrol", B, OLD, "", "Was to switch IP forwarding together with IPsec; sysctl net.ipv4.ip_forward "
            "does."),
    row("rp_filter", X, OLD, "", "ipsecN always has rp_filter off; the leak guard checks sources."),
    row("ikev1-policy", W, A, "", "What becomes of IKEv1: drop and reject keep it out, conns included; accept also "
            "tells a stranger that there is no conn for it. Not given: conns that are IKEv1 are served, and nobody "
            "else is answered.", choices=same("accept", "reject", "drop")),
    row("audit-log", B, H, "no", "Records for the Linux audit system.", fine=("no",),
            reason="every line about an SA has a code in the journal (OPENSWAN_EVENT) and in `ipsec whack --events'"),
    row("logstderr", B, A, "no", "Log to standard error, as `ipsec pluto --stderrlog' does."),
    row("dns-resolver", X, M, "", "How libreswan tells the host's resolver of DNS servers it was assigned.",
            reason="updown commands hear of them (PLUTO_PEER_DNS_INFO) and tell the resolver there is"),
    row("logappend", B, A, "yes", "Append to the log file; no: begin it anew at each start."),
    row("logip", B, A, "yes", "Addresses in the log; no: <address> in place of each."),
    row("loglimit", B, A, "yes", "Few lines a second about strangers and bad packets; no: all of them."),
    row("ike-socket-bufsize", N, A, "0", "Octets of the receive and send buffers of the IKE sockets; 0: 8 MiB.",
            most=2**30),
    row("ike-socket-errqueue", B, M, "yes", "Listen to ICMP errors about IKE packets.",
            reason="they are listened to and believed for a hint: they never end anything"),
    row("listen-udp", B, H, "yes", "IKE over UDP.", fine=("yes",),
            reason="ports 500 and 4500 are always listened on: the firewall can close them"),
    row("listen-tcp", B, A, "no", "Take TCP connections that carry IKE and ESP (RFC 9329), on port 4500."),
    row("shuntlifetime", T, A, "15m", "How long what was decided about a pair of hosts of a policy group stays (%pass, "
            "%drop, %reject, and a tunnel nobody uses).", most=30 * 86400),
    row("expire-shunt-interval", T, M, "", "How often it is looked for shunts that have expired.",
            reason="each ends when its time is over; nothing has to be looked for"),
    row("xfrmlifetime", T, M, "", "Lifetime of kernel acquires.", aliases=("expire-lifetime",),
            reason="no IPsec of the kernel is used; first packets wait for holdtimeout="),
    row("global-redirect", W, A, "no", "Send all peers that can be sent to another gateway (RFC 5685): yes, or "
            "auto: when there is so much to do that cookies are asked for.", choices=same("no", "yes", "auto")),
    row("global-redirect-to", L, A, "", "Addresses of those gateways, taken in turn."),
    row("dnssec-enable", B, A, "yes", "Keys in the DNS can have the grade dnssec: validated here where there are trust "
            "anchors, else by a resolver on this host. no: none has more than dns."),
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
    row("seedbits", N, M, "", "Bits read from the random device at start.",
            reason="random numbers are the kernel's (getrandom), which waits for its seed itself"),
    row("seccomp", X, H, "disabled", "System call filter.", fine=("disabled",),
            reason="SystemCallFilter= of ipsec.service is the filter"),
    row("drop-oppo-null", B, A, "no", "Refuse opportunistic peers that prove nothing: authgrade= of their conns is dns "
            "at least."),
    row("nflog-all", N, H, "0", "Copy decrypted packets to NFLOG.", fine=("0",),
            reason="tcpdump -i ipsec0 shows them"),
    row("ipsec-interface-managed", B, H, "yes", "Create and remove ipsecN.", fine=("yes",),
            reason="the packet engine's devices last as long as it: they cannot be made beforehand"),
    row("syslog", X, A, "", "Facility and priority, as daemon.error: messages of `ipsec setup' go to syslog with these "
            "too, beside standard error. pluto itself logs to authpriv."),
    row("interfaces", X, A, "%defaultroute", "Which ipsecN sits on which device: a list of ipsecN=DEVICE, "
            "%defaultroute, or %none."),
    row("oe-interface", X, A, "ipsec1", "The ipsecN that packets of policy groups' peers come out of who prove "
            "nothing, or have their keys in the DNS; never that of other conns. It stands beside the one of their "
            "interface."),
    row("fwmark-mask", X, A, "0x0000f000", "Four bits of the firewall mark that are ours; rules that mark packets for "
            "other ends keep to the rest. It counts from the next start."),
    row("myid", Form.IDENTITY, A, "", "What %myid stands for."),
    row("prepluto", Form.COMMAND, A, "", "Command run before each start of pluto; when it fails pluto does not start, "
            "and `ipsec setup start' shows what it wrote. Under systemd it runs in the sandbox of ipsec.service; what "
            "needs more is for ExecStartPre= of a drop-in."),
    row("postpluto", Form.COMMAND, A, "", "Command run when pluto has started and answers whack; the log has what it "
            "wrote if it fails."),
    row("plutoopts", X, A, "", "Further options of pluto, see ipsec_pluto(8); the command line comes before them."),
    row("plutostderrlog", Form.FILE, A, "", "Log to this file instead of the system log.",
            aliases=("logfile",)),
    row("dumpdir", Form.FILE, A, "", "Where core dumps of pluto go, which hold keys; empty: there are none. sysctl "
            "kernel.core_pattern and LimitCORE= of ipsec.service have to allow it.", aliases=("coredir",)),
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
    row("dnssec-rootkey-file", Form.FILE, A, "", "DNSSEC trust anchor of the root, a file of DS or DNSKEY "
            "records: answers about keys are validated here by it. Without any anchor the AD bit of a resolver on this "
            "host counts."),
    row("dnssec-anchors", Form.FILE, A, "", "Further DNSSEC trust anchors, of zones of your own."),
    row("curl-iface", X, A, "", "Device CRLs and OCSP answers are fetched through."),
    row("statsbin", Form.FILE, H, "", "Command told about tunnels going up and down.",
            reason="updown= is told, and `ipsec whack --events' and `ipsec metrics' tell who asks"),
    row("exampledir", Form.FILE, M, "", "Directory of sample conns.",
            reason="they are in ipsec.d/examples; include= reads them from wherever they are"),
    row("rundir", Form.FILE, H, "", "Run-time directory.", fine=("/run/pluto", "/var/run/pluto"),
            reason="commands have to find it before they read ipsec.conf: set $IPSEC_RUNDIR in /etc/default/ipsec"),
    row("seeddev", Form.FILE, M, "", "Random device seed bits are read from.",
            reason="random numbers are the kernel's (getrandom), which waits for its seed itself"),
    row("nssdir", Form.FILE, OLD, "", "There is no NSS database: keys lie in ipsec.secrets, certificates in ipsec.d."),
    row("ipsecdir", Form.FILE, A, "/etc/ipsec.d", "Directory of certs, private, cacerts, crls and policies."),
    row("secretsfile", Form.FILE, A, "/etc/ipsec.secrets", "The secrets file."),
    row("myvendorid", X, M, "", "Vendor ID pluto announces.",
            reason="peers of our own kind know each other by ours"),
)  # fmt: skip
