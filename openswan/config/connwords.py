# SPDX-License-Identifier: GPL-2.0-or-later
"""The keywords of conns: the two ends, then words and numbers, then text, which is the order readwriteconf writes."""

from __future__ import annotations

from openswan.config.keyword import Form, Halves, Keyword, Section, Status, row_of, same, spelled

A, H, M, R, OLD = Status.ACTED, Status.HARMLESS, Status.MOOT, Status.REFUSED, Status.OBSOLETE
B, N, T, W, L, X = Form.BOOL, Form.NUMBER, Form.TIME, Form.CHOICE, Form.LIST, Form.TEXT
LR, EITHER = Halves.YES, Halves.ALSO
row = row_of(Section.CONN)

FAMILIES = spelled(ipv4="v4 inet", ipv6="v6 inet6")
NO_MANUAL = "it is for manually keyed conns, those with spi= or spibase= (ipsec manual)"
NO_LABELS = "labeled IPsec is not available"
NO_MARKS = "policies bound to firewall marks are not available; the conn would cover more than it says"
NO_MANY_CERT = "attribute certificates are not available; the conn would let in peers it should not"
OPPORTUNISTIC = "Of opportunistic conns: "
ONE_DAY = 86400.0

ROWS: tuple[Keyword, ...] = (
    # conn: the two ends
    row("", Form.HOST, A, "",
            "The end's address: an address, a host name, %defaultroute, %DEVICE, or %any on one side.",
            halves=LR),
    row("id", Form.IDENTITY, A, "the address, or the certificate's subject", "Who the end is: an address, @name, "
            "user@name, a distinguished name, @#hex, %fromcert, %myid or %null.", halves=LR),
    row("nexthop", X, A, "follow the actual route", "The next gateway toward the peer; seldom needed.", halves=LR),
    row("subnet", Form.SUBNET, A, "the end itself", "What the end protects; a list is what subnets= is. Of an end "
            "that is %any also vhost: and a list of %priv (any address in virtual_private=), %v4:NET, %v6:NET, %all "
            "and %no (none but its own), of which the peer has one address, or vnet: with a subnet of any size.",
            halves=LR),
    row("rsasigkey", Form.KEY, A, "", "RSA public key: 0s..., 0x..., %cert or %none.", halves=LR,
            aliases=("rsakey",)),
    row("rsasigkey2", Form.KEY, A, "", "A second RSA public key, while keys change.", halves=LR,
            aliases=("rsakey2",)),
    row("subnets", Form.SUBNETS, A, "", "Several subnets: a conn NAME/LxR for each pair, all with alias NAME.",
            halves=LR),
    row("sourceip", Form.ADDRESSES, A, "", "Address the gateway itself uses toward the other subnet, one a family. "
            "%config asks the peer for one (%config4, %config6: of that family only); ipsecN has it while the conn is "
            "routed, and only traffic from it goes into the tunnel.", halves=LR),
    row("updown", Form.COMMAND, A, "ipsec _updown", "Command run when the conn changes; empty: none.", halves=LR),
    row("cert", Form.FILE, A, "", "Certificate, relative to ipsec.d/certs: PEM, with those above it after it if "
            "you like, DER, or PKCS#12, whose passphrase stands in ipsec.secrets (: P12).", halves=LR),
    row("sendcert", W, A, "always", "When our certificate is sent.", halves=LR,
            choices=spelled(never="no", ifasked="sendifasked", always="alwayssend yes forcedtype")),
    row("auth", X, A, "authby", "How this end proves itself, when the two differ; words as for authby, and "
            "eap-mschapv2, eap-tls or eap (either) of an end that initiates. eaponly: by EAP-TLS alone, whether it "
            "asks or answers (RFC 5998). xauth: by nothing but the name and password that IKEv1 asks it for, while "
            "the other end has auth=rsasig (hybrid authentication).", halves=LR),
    row("protoport", Form.PROTOPORT, A, "%any", "Only this protocol and port.", halves=LR),
    row("ca", X, A, "any authority of ipsec.d/cacerts", "The authority that the end's certificate must come from, "
            "itself or through others: a distinguished name, or %same for the other end's, which is the issuer of "
            "its certificate if it says nothing.", halves=LR),
    row("subnetwithin", Form.SUBNET, A, "", "Of an end that is %any: the peer may have any subnet inside this one, "
            "as with subnet=vnet:%v4:NET.", halves=LR),
    row("firewall", B, A, "no", "While the tunnel is up, what this end forwards through it passes the host's packet "
        "filter (see UPDOWN.md): the default updown command lets it by, in ipsecN alone. Not for peers who may be "
        "anybody.", halves=LR),
    row("hostaccess", B, A, "no", "The same for what this end itself sends through the tunnel and receives by it "
        "under an address of its subnet.", halves=LR),
    row("certtype", X, OLD, "", "Certificates tell their own type.", halves=EITHER),
    row("groups", X, R, "", "Attribute certificate groups.", halves=LR, reason=NO_MANY_CERT),
    row("ckaid", X, R, "", "Key named by its identifier in an NSS database.", halves=LR,
            reason="there is no NSS database here; give rsasigkey= or cert="),
    row("pubkey", X, R, "", "Raw public key of any kind.", halves=LR, aliases=("ecdsakey", "ecdsasigkey",
            "eddsakey"),
            reason="only RSA keys are read raw (rsasigkey=); use a certificate for ECDSA"),
    row("xauthserver", B, A, "no", "IKEv1: this end asks the other for a user name and a password.", halves=LR),
    row("xauthclient", B, A, "no", "IKEv1: this end answers such a question, with the password that stands in "
            "ipsec.secrets as `@name : XAUTH \"...\"'.", halves=LR),
    row("xauthname", X, A, "the id", "The user name it answers with.", halves=LR,
            aliases=("xauthusername", "username")),
    row("modecfgserver", B, A, "no", "This end gives the other an address: the other's addresspool= says so too.",
            halves=LR),
    row("modecfgclient", B, A, "no", "This end gets its address from the other, as with sourceip=%config: "
            "one of addresspool=, or without it subnet= where that is a single address.", halves=LR),
    row("addresspool", X, A, "", "This end gets an address out of these ranges (FIRST-LAST) and subnets, one of "
            "each family it asks for. An identity gets the same again as long as nobody else needed it. In an "
            "opportunistic conn it is for peers behind NAT alone, which are known by it.", halves=LR),
    row("modecfgdns", L, A, "", "DNS servers told to whoever gets an address.", halves=EITHER,
            aliases=("modecfgdns1",)),
    row("modecfgdns2", L, A, "", "Further DNS servers.", halves=EITHER),
    row("modecfgwins1", X, A, "", "WINS server told to whoever gets an address (IKEv1).", halves=EITHER),
    row("modecfgwins2", X, A, "", "Second WINS server.", halves=EITHER),
    row("cat", B, A, "yes", "Opportunistic encryption: where this end is behind NAT it asks the peer for an address to "
            "be known by, and packets of the pair are translated between its own and that one.", halves=LR),
    row("ikeport", N, R, "", "Port IKE uses.", halves=LR, fine=("0", "500"),
            reason="IKE uses ports 500 and 4500 here"),
    row("interface-ip", X, H, "", "Address put on ipsecN.", halves=LR,
            reason="put it on ipsecN in updown= (`ip address add'), and name it in sourceip="),
    row("vti", X, OLD, "", "There are no VTI devices: packets of every conn come from and go to ipsecN, and "
            "sourceip= puts an address there.", halves=LR),
    row("autheap", W, A, "none", "The method of an end whose auth= is eaponly: tls; or as if its auth= said "
            "eap-tls or eap-mschapv2.", halves=LR, choices=same("none", "tls", "mschapv2")),
    # conn: words and numbers
    row("also", Form.SPLICE, A, "", "Take over another conn's parameters; several allowed, nested too."),
    row("alsoflip", Form.SPLICE, A, "", "The same with left and right exchanged."),
    row("auto", W, A, "ignore", "At start: ignore, add (load), route (load; traffic starts it), start (bring up), "
            "manual (ipsec manual --up).",
            choices=spelled(ignore="", add="keep", route="ondemand", start="up", manual=""),
            refused={"manual": NO_MANUAL}),
    row("type", W, A, "tunnel", "tunnel, transport (only between the two ends themselves), or without IPsec "
            "passthrough, drop, reject.",
            choices=spelled(tunnel="", transport="", udpencap="udp", passthrough="pass", drop="", reject=""),
            refused=({"udpencap": "leave it out: UDP encapsulation is used where a NAT needs it"})),
    row("compress", B, A, "no", "Propose IPComp (deflate), and take it when the peer does. What an attacker can "
            "mix into compressed traffic may tell him about the rest of it."),
    row("pfs", B, A, "yes", "A fresh key exchange for each further child SA. Given as yes, a peer whose proposals "
            "have no group for it is refused; when nothing is given such a peer gets its SAs without one, and the log "
            "says so. With no, a peer that wants one gets it."),
    row("rekey", B, A, "yes", "Replace SAs before they expire."),
    row("authby", X, A, "rsasig,ecdsa,eddsa",
            "How both ends prove themselves: secret, rsasig, ecdsa, eddsa (Ed25519, Ed448), null (not at all, RFC "
            "7619: encrypted, but with anybody), several of them, or never."),
    row("eap_identity", X, A, "", "The user name we give when EAP asks for it, else our id; where the peer "
            "proves itself by EAP the only user that is let in, else whoever has a secret in ipsec.secrets.",
            aliases=("eap-identity", "eapidentity")),
    row("phase2", W, A, "esp", "The protocol that protects packets: esp, or ah, which encrypts nothing and passes "
            "no NAT.", aliases=("auth",),
            choices=spelled(esp="default", ah="", ah_esp="ah+esp"),
            refused=({"ah-esp": "Can only do AH, or ESP, not AH+ESP: use esp"})),
    row("failureshunt", W, A, "none", "What becomes of traffic when the negotiation fails.",
            choices=spelled(none="", passthrough="pass", drop="", reject="", hold="")),
    row("dpddelay", T, A, "", "Idle time after which the peer is asked whether it lives."),
    row("dpdtimeout", T, A, "", "Silence after which the peer is dead, if that is less than dpddelay and "
            "retransmit-timeout together.", aliases=("ikev1-dpdtimeout",)),
    row("dpdaction", W, A, "hold", "Then: hold traffic, clear the conn, restart it; "
            "restart_by_peer: it and every conn that has SAs with the same peer.",
            choices=spelled(hold="", clear="", restart="") | {"restart_by_peer": "restart_by_peer",
            "restart-by-peer": "restart_by_peer"}),
    row("salifetime", T, A, "8h", "Lifetime of a child SA.", aliases=("keylife", "lifetime", "ipsec-lifetime"),
            most=ONE_DAY),
    row("rekeymargin", T, A, "9m", "How long before the end replacement begins.", aliases=("rekeystart",),
            most=ONE_DAY),
    row("rekeyfuzz", Form.PERCENT, A, "100%", "By how much the margin is enlarged at random."),
    row("keyingtries", N, A, "0", "Attempts at a negotiation; 0 or %forever: no end.", aliases=("rekeytries",)),
    row("ikelifetime", T, A, "1h", "Lifetime of the IKE SA.", most=ONE_DAY),
    row("overlapip", B, A, "no", "Two peers may have the same client."),
    row("disablearrivalcheck", B, A, "no", "Do not check that decrypted packets are inside the conn's selectors."),
    row("forceencaps", B, A, "no", "The old spelling of encapsulation=yes."),
    row("encapsulation", W, A, "auto", "ESP in UDP port 4500 instead of protocol 50. auto: when there is a NAT, "
            "and unlike libreswan also without one when both ends are this Openswan, which recognise each other "
            "and gain by it (the kernel takes UDP in large pieces); that needs port 4500 open on the way. yes: "
            "always, by pretending a NAT. no: never, and no NAT is looked for.", choices=same("auto", "yes", "no")),
    row("negotiationshunt", W, A, "hold", "What becomes of traffic during a negotiation.",
            choices=spelled(hold="", passthrough="pass", drop="")),
    row("holdtimeout", T, A, "3s", f"{OPPORTUNISTIC}how long first packets wait for a peer that is silent, before "
            "failureshunt= decides.", most=60),
    row("authgrade", W, A, "null", f"{OPPORTUNISTIC}what the peer must at least have proved: null < dns < group < "
            "dnssec < psk = raw-key = cert.", choices=spelled(null="", dns="", group="", dnssec="", psk="secret",
            raw_key="raw rsasig", cert="")),
    row("keepgrade", B, A, "no", f"{OPPORTUNISTIC}a peer that had a better grade gets no tunnel with a worse one."),
    row("metric", N, A, "0", "Metric of the routes."),
    row("mtu", N, A, "0", "MTU of the routes.", most=65535),
    row("keyexchange", W, A, "ikev2", "The key exchange protocol; ikev1 says the same as ikev2=no.",
            choices=spelled(ikev2="ike rfc7296", ikev1="isakmp oakley")),
    row("ikev1", B, H, "no", "Allow IKEv1.", fine=("no",),
            reason="a conn has one version, IKEv2 unless it says ikev2=no"),
    row("ikev2", W, A, "insist", "IKEv2: insist (yes); propose and permit mean the same here. never (no): the conn "
            "is IKEv1, for peers that know nothing newer: Main Mode by preshared key, RSA signature, or ECDSA if "
            "authby=ecdsa says so, Quick Mode. A conn that says neither is IKEv1 too with aggrmode=yes, xauthserver=, "
            "xauthclient=, auth=xauth, and, with a warning, with xauthname=, xauthby=, xauthfail=, modecfgpull=yes, "
            "modecfgbanner=, modecfgwins1=, cisco-unity=yes or remote_peer_type=cisco, or where IKEv1 alone has the "
            "algorithms that ike= or phase2alg= name.",
            choices=spelled(insist="always yes y", propose="", permit="", never="no n")),
    row("narrowing", B, A, "no", "Accept less than the conn's subnets from the peer."),
    row("esn", W, A, "either", "Extended sequence numbers: yes and no insist, either prefers them. With "
            "replay-window=0 there are none.", choices=same("either", "yes", "no")),
    row("replay-window", N, A, "128", "Size of the replay window in packets; 0 switches it off.", most=4096),
    row("retransmit-timeout", T, A, "60s", "How long a request is repeated in all."),
    row("retransmit-interval", X, A, "500ms",
            "First wait before a request is repeated; without a unit, milliseconds. IKEv2 of opportunistic conns "
            "begins with 250ms at most."),
    row("leakguard", B, A, "yes", "Keep the conn's traffic from leaving or entering in clear."),
    row("otherfamily", W, A, "block", "With a 0/0 subnet: what becomes of the other address family.",
            choices=same("block", "clear")),
    row("endaddrfamily", W, A, "", "Address family of the two ends.", aliases=("hostaddrfamily",),
            choices=FAMILIES),
    row("connaddrfamily", W, A, "", "Address family of the subnets.", choices=FAMILIES,
            aliases=("clientaddrfamily", "tunneladdrfamily")),
    row("aggrmode", B, A, "no", "IKEv1's Aggressive Mode in place of Main Mode: three messages instead of six, but "
            "who both ends are goes in clear, and a preshared key can be guessed offline by anybody who asks. Makes a "
            "conn IKEv1. Name one group in ike=.", aliases=("aggressive",)),
    row("modecfgpull", B, A, "no", "IKEv1: the client asks for its address; without it the server tells it one. "
            "With IKEv2 it always asks."),
    row("sareftrack", X, M, "yes", "SA tracking of the mast stack.",
            reason="there is no mast stack: conns are told apart by eroutes, clients with one address by overlapip="),
    row("sha2_truncbug", B, A, "no", "Cut SHA2-256 in ESP and AH to 96 bits, as Linux before 2.6.33 did.",
            aliases=("sha2-truncbug",)),
    row("loopback", B, R, "no", "Both ends on this machine.", fine=("no",), reason=NO_LABELS),
    row("labeled_ipsec", B, R, "no", "SELinux labels in selectors.", fine=("no",), reason=NO_LABELS),
    row("remote_peer_type", W, A, "ietf", "IKEv1: cisco asks the peer for Cisco's attributes, as cisco-unity=yes "
            "does, keeps the tunnel to those networks inside rightsubnet= that the peer names (split tunnel; the rest "
            "of rightsubnet= goes as if there were no conn), and tells updown commands (PLUTO_IS_PEER_CISCO=1).",
            choices=same("ietf", "cisco"), aliases=("remotepeertype",)),
    row("nm_configured", B, A, "no", "Set up by NetworkManager, which updown commands hear "
            "(PLUTO_NM_CONFIGURED=1): the default one leaves resolv.conf to it, and with remote_peer_type=cisco the "
            "verb disconnectNM comes when the tunnel is gone."),
    row("firstmsgid", N, M, "", "First message ID, for tests.", reason="message IDs begin where the protocol says"),
    row("mobike", B, A, "no", "Keep the tunnel while an end's address changes (RFC 4555): the end that brought it "
            "up moves when its own does, and looks for the other end at its other addresses. Wants a client that is "
            "not the end itself: subnet= or sourceip=%config."),
    row("fragmentation", W, A, "yes", "IKE fragmentation (RFC 7383), or without it long messages in IP fragments, "
            "which many firewalls drop. force says the same as yes.", choices=same("yes", "no", "force")),
    row("nic-offload", X, M, "no", "ESP in the network card.", reason="the packet engine encrypts itself"),
    row("nat-keepalive", B, A, "yes", "Send NAT keepalives."),
    row("nat-ikev1-method", W, A, "both", "IKEv1: traverse NATs (RFC 3947 and the drafts before it); none says the "
            "same as encapsulation=no.", choices=spelled(both="drafts rfc", none="")),
    row("ppk", W, A, "no", "Mix a postquantum preshared key into the keys (RFC 8784): propose, or insist on it.",
            choices=spelled(no="never", propose="yes permit", insist="always"),
            ),
    row("ppk-ids", X, A, "", "Names of the postquantum keys (PPKS in ipsec.secrets) that may be used, best first."),
    row("childless", W, A, "allow", "IKE SAs that begin without a child SA (RFC 6023), whose first child "
            "has a key exchange of its own then: allow the peer that, prefer it or force it as initiator, or never.",
            choices=same("allow", "prefer", "force", "never")),
    row("intermediate", B, A, "no", "Offer the IKE_INTERMEDIATE exchange (RFC 9242) also where ike= names no "
            "additional key exchange, and do one as initiator."),
    row("priority", N, H, "0", "Order among policies.", fine=("0",), reason="the most specific selectors win"),
    row("reqid", N, M, "", "Number of kernel policies.",
            reason="no IPsec of the kernel is used; PLUTO_REQID of updown commands is made up"),
    row("tfc", N, A, "0", "Pad packets to this many octets, to hide their lengths, unless the peer says that it "
            "takes none.", most=9000),
    row("send-no-esp-tfc", B, A, "no", "Tell the peer not to do that (ESP_TFC_PADDING_NOT_SUPPORTED).",
            aliases=("send-esp-tfc-padding-not-supported",)),
    row("nopmtudisc", B, A, "no", "Do not probe what the path takes."),
    row("decap-dscp", B, A, "no", "Copy DSCP inward: decrypted packets have that of the packet they came in, which "
            "anybody on the way can change. Not of those that came in TCP."),
    row("encap-dscp", B, A, "", "Copy DSCP outward, or do not, whatever hidetos= of config setup says."),
    row("ignore-peer-dns", B, A, "no", "Do not tell updown commands of the DNS servers and domains the peer assigns."),
    row("dns-match-id", B, R, "no", "The peer's reverse DNS name must be its identity.", fine=("no",),
            reason="that check is not available; peers that fail it would be let in"),
    row("require-id-on-certificate", B, H, "yes", "The certificate must carry the identity.", fine=("yes",),
            reason="it always has to: give the peer's id= as its certificate has it, or %fromcert"),
    row("sendca", W, A, "all", "Which certificates above ours go with it: all intermediate ones, the issuer's, or "
            "none. Those are found in leftcert's file and in ipsec.d/cacerts; a root is never sent.",
            choices=same("none", "issuer", "all")),
    row("xauthby", W, A, "file", "How xauthserver= judges passwords: by lines `user:hash' or `user:hash:conn' in "
            "ipsec.d/passwd, hashes as of crypt(3); by PAM's service pluto (pam); or not at all (alwaysok).",
            choices=same("file", "alwaysok", "pam")),
    row("xauthfail", W, A, "hard", "What a wrong password means: hard, the client is not let in; soft, it is, and "
            "updown commands hear of it (XAUTH_FAILED=1) and have to lock it up: theirs is all the protection then.",
            choices=same("hard", "soft")),
    row("pam-authorize", B, R, "no", "Ask PAM whether a peer may connect.", fine=("no",),
            reason="PAM is not asked; peers it refuses would be let in"),
    row("enable-tcp", W, A, "no", "Begin in a TCP connection that carries IKE and ESP (RFC 9329): yes, or as a "
            "fallback when nobody answers in UDP or ESP is blocked. The peer needs listen-tcp=yes in config setup.",
            choices=same("no", "yes", "fallback")),
    row("tcp-remoteport", N, A, "4500", "The peer's TCP port.", most=65535),
    row("send-redirect", W, A, "no", "Send a peer that has proved itself to another gateway (RFC 5685): yes, or "
            "auto: when there is much to do.", choices=same("no", "yes", "auto")),
    row("redirect-to", L, A, "", "Addresses of those gateways, taken in turn."),
    row("accept-redirect", B, A, "no", "Let the peer send us to another gateway (RFC 5685)."),
    row("accept-redirect-to", L, A, "%any", "The addresses we may be sent to, or %any."),
    row("ipsec-max-bytes", X, A, "", "Octets (KiB, MiB ...) after which a child SA ends; it is replaced before. In "
            "IKEv1 it is negotiated, in whole kilobytes, and both ends keep to the smaller one."),
    row("ipsec-max-packets", X, A, "", "Packets (Ki, Mi ...) after which a child SA ends; it is replaced before."),
    row("ipsec-interface", X, M, "", "Number of the XFRM interface.",
            reason="every conn uses the ipsecN that interfaces= of config setup puts on its way to the peer"),
    row("clones", X, M, "", "Child SAs for each processor.",
            reason="one SA is enough: flows of different SAs are spread over the cores"),
    row("session-resumption", B, A, "no", "Give a ticket, and ask for one, that resumes an IKE SA that was lost "
            "without a new key exchange and proof (RFC 5723). Who learns the keys of the first one can read those "
            "resumed from it."),
    row("iptfs", B, H, "no", "Aggregate packets (RFC 9347).", fine=("no",),
            reason="tfc= hides the lengths of packets"),
    *(row(f"iptfs-{word}", X, M, "", "Detail of iptfs=.", reason="iptfs= itself is not acted on") for word in
      ("fragmentation", "packet-size", "max-queue-size", "drop-time", "init-delay", "reorder-window")),
    row("groundhog", B, R, "no", "Accept certificates that have expired.", halves=EITHER, fine=("no",),
            reason="expired certificates are never accepted"),
    row("updown-config", X, H, "", "Which parts of updown= are done.",
            reason="updown= with a script of your own does what you like"),
    row("share-lease", B, H, "yes", "Peers with one identity share an address.", fine=("yes",),
            reason="an identity finds its own address again: give each peer an identity of its own"),
    row("initial-contact", B, A, "yes", "Tell peers that we remember no older SA."),
    row("fake-strongswan", B, M, "no", "Pretend to be strongSwan.", reason="nothing strongSwan does needs it any more"),
    row("reauth", B, A, "no", "IKEv2: instead of rekeying an IKE SA make a new one, on which both ends prove "
            "themselves anew; the tunnels of the old one go when those of the new one are up. Only the end that can "
            "begin one does that."),
    row("send-supported-auth-methods", B, M, "no", "Tell the peer which ways of proof count (RFC 9593).",
            reason="the peer's own configuration says how it proves itself; what it got wrong is in the log"),
    row("reject-simultaneous-ike-auth", B, M, "no", "Refuse a peer's IKE_AUTH while ours is under way.",
            reason="of two that come up at once the one begun last carries traffic, and the other goes"),
    row("ikepad", W, M, "auto", "Pad IKE messages to four octets (IKEv1).", choices=spelled(auto="", yes="y", no="n"),
            reason="encrypted ones have whole blocks; nobody wants more"),
    row("nflog-group", X, H, "", "NFLOG group that gets copies of the packets.", aliases=("nflog",),
            reason="tcpdump -i ipsec0 shows them"),
    row("debug", X, A, "none", "Classes of debugging lines about this conn, beside what plutodebug= of config setup "
            "asks for, see ipsec_pluto(8); private is not obeyed."),
    row("send-vendorid", B, H, "yes", "Announce what software this is.", fine=("yes",),
            reason="peers of our own kind know each other by it"),
    row("cisco-unity", B, A, "no", "IKEv1: as client, ask for Cisco's attributes (banner, default domain, split "
            "networks) also where the server does not announce them."),
    row("cisco-split", B, M, "no", "Cisco's split tunnels.",
            reason="cisco-unity=yes asks for them, remote_peer_type=cisco keeps to them"),
    row("ms-dh-downgrade", B, H, "no", "Accept a weaker group at rekey, as Windows offers.", fine=("no",),
            reason="name that group in ike= or phase2alg= as one more that is accepted"),
    row("pfs-rekey-workaround", B, M, "no", "For peers that rekey without PFS.",
            reason="leave pfs= out: such a peer gets its SAs then, and the log says so"),
    row("modecfgdomains", L, A, "", "The domains those DNS servers are to be asked about (RFC 8598); none: all.",
            aliases=("modecfgdomain",)),
    row("modecfgbanner", X, A, "", "Text told to whoever gets an address (IKEv1, Cisco's attribute)."),
    row("mark", X, R, "", "Firewall mark of the policies.", reason=NO_MARKS, fine=("no",)),
    row("mark-in", X, R, "", "Firewall mark inward.", reason=NO_MARKS, fine=("no",)),
    row("mark-out", X, R, "", "Firewall mark outward.", reason=NO_MARKS, fine=("no",)),
    row("vti-interface", X, R, "", "VTI device of the conn.", reason=NO_MARKS),
    row("vti-routing", B, OLD, "", "There are no VTI devices: the conn's routes lead into ipsecN."),
    row("vti-shared", B, OLD, "", "There are no VTI devices: conns share ipsecN."),
    # conn: text
    row("ike", Form.ALGORITHMS, A, "", "What is offered and accepted for IKE."),
    row("phase2alg", Form.ALGORITHMS, A, "", "The same for ESP, or with phase2=ah for AH.", aliases=("esp",)),
    row("ah", Form.ALGORITHMS, A, "", "Integrity algorithms of AH, with phase2=ah."),
    row("pfsgroup", X, A, "", "The group of child SAs where esp= or phase2alg= names none: modp2048, or several."),
    row("connalias", L, A, "", "Further names of the conn for up and down."),
    row("policy_label", X, R, "", "SELinux label.", aliases=("policy-label", "sec-label"), reason=NO_LABELS),
    # conn: manual keying, see ipsec_manual(8); with left or right in front of the SA that leads there
    *(row(name, X, A, "", sentence, halves=EITHER) for name, sentence in (
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
