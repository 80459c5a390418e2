# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of every kind for `ipsec diagnose`: how to bring each about, and what it has to say of it."""

from __future__ import annotations

import time

from tests.netns.conns import NET4, SECRETS, conn
from tests.netns.diagnosing import Fault
from tests.netns.faultsteps import (
    OTHER_PSK,
    cut_esp,
    ip,
    kill,
    later,
    leaf,
    listen,
    nft,
    remove,
    rule,
    secrets,
    steps,
    sysctl,
    write,
)
from tests.netns.fieldfaults import FIELD
from tests.netns.oefaults import DNS

CONFIGURATION = (
    Fault("no ipsec.conf", "no-config", "write .*ipsec.conf", before=remove("west", "ipsec.conf")),
    Fault("a keyword that does not exist", "conf-error", r"mend .*ipsec.conf:\d+", west={"leftsubnett": "10.1.0.0/24"}),
    Fault("a bad subnet", "conf-error", r"mend .*:\d+, then: ipsec auto --replace", west={"leftsubnet": "10.1.0.0/44"}),
    Fault("an unknown cipher", "conf-error", r"mend .*:\d+", west={"esp": "rot13-sha1"}),
    Fault("single DES", "conf-error", r"mend .*:\d+", west={"esp": "des-md5"}),
    Fault("a line that is no parameter", "conf-error", r"mend .*:\d+", more="    just words\n"),
    Fault("two ends of two families", "conf-error", r"mend", west={"right": "2001:db8::2"}),
    Fault("an also= that leads nowhere", "conf-error", r"mend .*:\d+", west={"also": "nowhere"}),
    Fault("a typing error in the name", "unknown-conn", "did you mean `net-net'", target="net-nett"),
    Fault("no conn at all of that name", "unknown-conn", "write a conn branch", target="branch"),
    Fault("auto=ignore", "not-loaded", "ipsec auto --add net-net", west={"auto": "ignore"}, up=False),
    Fault("an address that is on no interface", "not-ours", "192.0.2.1", west={"left": "192.0.2.77"}),
    Fault(
        "both ends are this host",
        "not-ours",
        "peer's address",
        before=ip("west", "addr", "add", "192.0.2.2/32", "dev", "lan"),
        started="west",
    ),
    Fault(
        "the peer's client is our own network",
        "client-here",
        "must be what is behind the peer",
        west={"leftsubnet": "", "rightsubnet": "10.1.0.0/16"},
        started="west",
        up=False,
    ),
    Fault(
        "two conns for one network",
        "overlap eroute-conflict",
        "different subnets",
        more=conn("other", NET4, right="192.0.2.99", auto="add"),
        target="",
        up=False,
    ),
    Fault("nobody has what was asked for", "no-conn-covers", "add a conn", target="10.77.0.1"),
    Fault("rsasig without keys", "no-public-key", "authby=secret|rsasigkey", both={"authby": "rsasig"}),
    Fault(
        "changed and not loaded again",
        "conf-unread",
        "ipsec auto --replace net-net",
        up=False,
        east={"rightsubnet": "10.2.9.0/24"},
        after=write("west", "rightsubnet=10.2.0.0/24", "rightsubnet=10.2.9.0/24"),
    ),
)

KEYS = (
    Fault("no ipsec.secrets", "no-secrets-file", "newhostkey|PSK", before=secrets("west", None)),
    Fault("ipsec.secrets open to all", "secrets-mode", "chmod 600", before=secrets("west", SECRETS, 0o644)),
    Fault("an error in ipsec.secrets", "secrets-error", "mend it", before=secrets("west", ": PSK correct")),
    Fault(
        "no secret for this peer",
        "no-secret",
        "192.0.2.1 192.0.2.2 : PSK",
        before=secrets("west", '192.0.2.1 192.0.2.9 : PSK "x"'),
    ),
    Fault(
        "different secrets, seen by who refuses", "psk-mismatch", "PSK of both ends", east_secrets=OTHER_PSK, at="east"
    ),
    Fault(
        "different secrets, seen by who is refused",
        "peer-refuses-auth psk-mismatch",
        "ipsec.secrets",
        east_secrets=OTHER_PSK,
    ),
    Fault(
        "the peer has no secret for us", "no-psk no-secret", "add", east_secrets='1.2.3.4 5.6.7.8 : PSK "x"', at="east"
    ),
    Fault(
        "the peer has no secret for us, seen from here",
        "peer-refuses-auth",
        "diagnose on the peer",
        east_secrets='1.2.3.4 5.6.7.8 : PSK "x"',
    ),
    Fault(
        "the secret was changed and not read again", "secrets-unread", "--rereadsecrets", secrets=OTHER_PSK, late=later
    ),
    Fault("our certificate has expired", "cert-expired", "renewed", certs=True, before=leaf("west", -5)),
    Fault("the peer's certificate has expired", "peer-cert-expired", "renewed", certs=True, before=leaf("east", -5)),
    Fault(
        "our private key is missing",
        "no-secret no-private-key secrets-error",
        ": RSA|mend it",
        certs=True,
        before=remove("west", "ipsec.d/private/west.key"),
    ),
    Fault(
        "our key is another certificate's",
        "no-secret no-private-key",
        ": RSA",
        certs=True,
        before=leaf("west", key=False),
    ),
    Fault(
        "our certificate is missing", "conf-error", "mend", certs=True, before=remove("west", "ipsec.d/certs/west.pem")
    ),
    Fault(
        "the authority is not known here",
        "peer-ca-unknown no-authority",
        "cacerts",
        certs=True,
        before=remove("west", "ipsec.d/cacerts/ca.pem"),
    ),
    Fault(
        "the authority is not known to the peer",
        "peer-refuses-auth",
        "diagnose on the peer",
        certs=True,
        before=remove("east", "ipsec.d/cacerts/ca.pem"),
    ),
    Fault(
        "the authority is not known, seen by who refuses",
        "peer-ca-unknown no-authority",
        "cacerts",
        certs=True,
        at="east",
        before=remove("east", "ipsec.d/cacerts/ca.pem"),
    ),
    Fault(
        "the peer's certificate is somebody else's",
        "peer-cert-name",
        "subjectAltName",
        certs=True,
        before=leaf("east", name="mallory.test"),
    ),
)

HOST = (
    Fault("the daemon does not run", "daemon-not-running", "ipsec setup start", started="east", at="west"),
    Fault("the daemon was killed", "daemon-died", "ipsec setup restart", late=kill),
    Fault(
        "the daemon does not listen",
        "not-listening",
        "ipsec auto --ready",
        up=False,
        after=lambda world: world.west.ipsec("whack", "--unlisten"),
    ),
    Fault("port 500 is taken", "port-in-use", "stop python3", before=listen(500)),
    Fault("port 4500 is taken", "port-in-use", "stop python3", before=listen(4500)),
    Fault("loaded, nobody brought it up", "not-up", "ipsec auto --up net-net", up=False),
    Fault(
        "the outer interface is down",
        "link-down no-route",
        "ip link set wan up",
        late=ip("west", "link", "set", "wan", "down"),
    ),
    Fault("ipsec0 is down", "tunnel-down", "ip link set ipsec0 up", late=ip("west", "link", "set", "ipsec0", "down")),
    Fault(
        "one address on two interfaces",
        "shared-address",
        "ip addr del",
        after=ip("west", "addr", "add", "192.0.2.1/24", "dev", "lan"),
    ),
    Fault("forwarding is off", "no-forwarding", "ip_forward=1", late=sysctl("west", ipv4__ip_forward=0)),
    Fault(
        "strict reverse-path filter",
        "rp-filter",
        "rp_filter=0",
        late=sysctl("west", ipv4__conf__lan__rp_filter=1, ipv4__conf__all__src_valid_mark=0),
    ),
    Fault(
        "no route to the peer",
        "no-route",
        "ip route add 198.51.100.2",
        both={"right": "198.51.100.2"},
        before=ip("west", "route", "del", "default"),
        started="west",
    ),
    Fault(
        "a route that refuses",
        "no-route",
        "ip route add",
        late=ip("west", "route", "add", "unreachable", "192.0.2.2/32"),
        started="west",
    ),
    Fault(
        "masquerading of what the tunnel carries",
        "masquerade",
        "-s 10.1.0.0/24 -d 10.2.0.0/24 -j ACCEPT",
        late=rule("west", "-A", "POSTROUTING", "-j", "MASQUERADE", table="nat"),
    ),
    Fault(
        "masquerading by nft",
        "masquerade",
        "oifname != |nft delete rule",
        late=nft(
            "west",
            "table ip mynat {",
            "chain post {",
            "type nat hook postrouting priority srcnat;",
            "ip saddr 10.1.0.0/24 masquerade",
            "}",
            "}",
        ),
    ),
    Fault(
        "a foreign FORWARD policy", "forward-drop", "iptables -I FORWARD", late=rule("west", "-P", "FORWARD", "DROP")
    ),
    Fault(
        "a foreign FORWARD rule",
        "forward-drop",
        "iptables -D FORWARD -s 10.1.0.0/24 -j DROP",
        late=rule("west", "-A", "FORWARD", "-s", "10.1.0.0/24", "-j", "DROP"),
    ),
    Fault(
        "forwarding dropped by nft",
        "forward-drop",
        "nft chain|nft delete",
        late=nft(
            "west",
            "table inet mine {",
            "chain forwarding {",
            "type filter hook forward priority 0; policy drop;",
            "}",
            "}",
        ),
    ),
    Fault(
        "our INPUT drops port 500",
        "firewall-in-500",
        "iptables -D INPUT",
        after=rule("west", "-A", "INPUT", "-p", "udp", "--dport", "500", "-j", "DROP"),
    ),
    Fault(
        "our OUTPUT drops port 500",
        "firewall-out-500",
        "iptables -D OUTPUT",
        after=rule("west", "-A", "OUTPUT", "-p", "udp", "--dport", "500", "-j", "DROP"),
    ),
    Fault(
        "our INPUT drops port 4500",
        "firewall-in-4500",
        "iptables -D INPUT",
        after=rule("west", "-A", "INPUT", "-p", "udp", "--dport", "4500", "-j", "DROP"),
    ),
    Fault(
        "our OUTPUT drops port 4500",
        "firewall-out-4500",
        "iptables -D OUTPUT",
        after=rule("west", "-A", "OUTPUT", "-p", "udp", "--dport", "4500", "-j", "DROP"),
    ),
    Fault(
        "our INPUT lets nothing in",
        "firewall-in-500",
        "iptables -P INPUT ACCEPT|INPUT",
        after=rule("west", "-P", "INPUT", "DROP"),
    ),
    Fault(
        "our INPUT drops protocol 50",
        "firewall-in-esp",
        "iptables -D INPUT",
        both={"encapsulation": "no"},
        after=rule("west", "-A", "INPUT", "-p", "esp", "-j", "DROP"),
        late=lambda world: world.ping(),
    ),
    Fault(
        "our OUTPUT drops protocol 50",
        "firewall-out-esp",
        "iptables -D OUTPUT",
        both={"encapsulation": "no"},
        after=rule("west", "-A", "OUTPUT", "-p", "esp", "-j", "DROP"),
        late=lambda world: world.ping(),
    ),
    Fault(
        "nft drops port 500",
        "firewall-in-500",
        "nft delete rule",
        after=nft(
            "west",
            "table inet mine {",
            "chain incoming {",
            "type filter hook input priority 0;",
            "udp dport 500 drop",
            "}",
            "}",
        ),
    ),
)

NETWORK = (
    Fault(
        "the peer's machine is off",
        "no-neighbour link-down",
        "cable",
        started="west",
        before=ip("east", "link", "set", "wan", "down"),
    ),
    Fault("nobody has the peer's address", "no-neighbour", "cable", west={"right": "192.0.2.66"}, started="west"),
    Fault("the peer's daemon does not run", "peer-port-closed", "start IPsec on the peer", started="west"),
    Fault(
        "the peer drops port 500",
        "udp-500-blocked peer-silent",
        "UDP.*500",
        after=rule("east", "-A", "INPUT", "-p", "udp", "--dport", "500", "-j", "DROP"),
    ),
    Fault(
        "the peer drops all UDP",
        "peer-silent",
        "UDP 500 and 4500",
        after=rule("east", "-A", "INPUT", "-p", "udp", "-j", "DROP"),
    ),
    Fault(
        "the peer's answers are dropped",
        "peer-silent",
        "in or out",
        after=rule("east", "-A", "OUTPUT", "-p", "udp", "-j", "DROP"),
    ),
    Fault(
        "the peer drops port 4500",
        "udp-4500-blocked",
        "UDP port 4500 pass",
        after=rule("east", "-A", "INPUT", "-p", "udp", "--dport", "4500", "-j", "DROP"),
    ),
    Fault(
        "a router on the way drops port 500",
        "udp-500-blocked",
        "UDP port 500 pass",
        shape="routed",
        both={"right": "198.51.100.2"},
        after=rule("r1", "-A", "FORWARD", "-p", "udp", "--dport", "500", "-j", "DROP"),
    ),
    Fault(
        "a router drops the answers",
        "udp-500-blocked",
        "both ways",
        shape="routed",
        both={"right": "198.51.100.2"},
        after=rule("r2", "-A", "FORWARD", "-p", "udp", "--sport", "500", "-j", "DROP"),
    ),
    Fault(
        "a router drops port 4500",
        "udp-4500-blocked",
        "4500",
        shape="routed",
        both={"right": "198.51.100.2"},
        after=rule("r1", "-A", "FORWARD", "-p", "udp", "--dport", "4500", "-j", "DROP"),
    ),
    Fault(
        "a router rejects port 500",
        "peer-port-closed peer-unreachable udp-500-blocked",
        ".",
        shape="routed",
        both={"right": "198.51.100.2"},
        after=rule("r1", "-A", "FORWARD", "-p", "udp", "--dport", "500", "-j", "REJECT"),
    ),
    Fault(
        "the way ends at a router",
        "peer-unreachable peer-silent",
        "routes there and back|UDP",
        shape="routed",
        both={"right": "198.51.100.2"},
        after=ip("r1", "route", "del", "default"),
        started="west",
    ),
    Fault(
        "protocol 50 is blocked on the way",
        "esp-blocked",
        "protocol 50 pass|encapsulation=yes",
        shape="routed",
        both={"right": "198.51.100.2", "encapsulation": "no"},
        after=rule("r1", "-A", "FORWARD", "-p", "esp", "-j", "DROP"),
        late=cut_esp,
    ),
    Fault(
        "the peer's firewall drops protocol 50",
        "firewall-in-esp",
        "iptables -D INPUT",
        both={"encapsulation": "no"},
        after=rule("east", "-A", "INPUT", "-p", "esp", "-j", "DROP"),
        late=lambda world: world.ping(),
        at="east",
    ),
    Fault(
        "the resolver is dead",
        "dead-resolver",
        "/etc/resolv.conf",
        west={"right": "east.example.net"},
        started="west",
        resolv="nameserver 192.0.2.250\n",
        up=False,
    ),
    Fault(
        "no resolver at all",
        "dead-resolver peer-name",
        "resolv.conf|DNS",
        west={"right": "east.example.net"},
        started="west",
        resolv="",
        up=False,
    ),
    Fault(
        "the next hop is gone",
        "no-neighbour link-down",
        "cable",
        shape="routed",
        both={"right": "198.51.100.2"},
        started="west",
        before=ip("r1", "link", "set", "left", "down"),
    ),
)

PEER = (
    Fault(
        "the peer calls itself something else",
        "id-mismatch",
        "id",
        both={"leftid": "@west", "rightid": "@east"},
        west={"leftid": "@other"},
        at="east",
    ),
    Fault(
        "we call ourselves something else",
        "peer-refuses-auth",
        "ids of both ends",
        both={"leftid": "@west", "rightid": "@east"},
        west={"leftid": "@other"},
    ),
    Fault(
        "the peer answers as somebody else",
        "id-mismatch peer-refuses-auth",
        "id",
        both={"leftid": "@west", "rightid": "@east"},
        east={"rightid": "@elsewhere"},
    ),
    Fault(
        "no conn for us at the peer", "peer-refuses-ike", "on the peer: ipsec auto --add", east={"left": "192.0.2.77"}
    ),
    Fault(
        "a peer calls for whom there is no conn",
        "no-conn-for-peer not-ours",
        "load a conn|left=",
        east={"left": "192.0.2.77"},
        at="east",
        target="",
    ),
    Fault(
        "different ike=",
        "peer-refuses-ike",
        "ike= of both ends",
        west={"ike": "aes256-sha2_256-modp2048"},
        east={"ike": "aes128-sha1-modp4096"},
    ),
    Fault(
        "different ike=, seen by who refuses",
        "ike-mismatch",
        "ike= of both ends",
        west={"ike": "aes256-sha2_256-modp2048"},
        east={"ike": "aes128-sha1-modp4096"},
        at="east",
    ),
    Fault(
        "different groups, seen by who refuses",
        "ike-mismatch",
        "ike=",
        west={"ike": "aes256-sha2_256-modp2048"},
        east={"ike": "aes256-sha2_256-modp4096"},
        at="east",
    ),
    Fault("different esp=", "peer-refuses-esp", "esp=", west={"esp": "aes256-sha2_256"}, east={"esp": "aes128-sha1"}),
    Fault(
        "different esp=, seen by who refuses",
        "esp-mismatch",
        "esp=",
        west={"esp": "aes256-sha2_256"},
        east={"esp": "aes128-sha1"},
        at="east",
    ),
    Fault(
        "different subnets", "peer-refuses-subnets", "leftsubnet=, rightsubnet=", east={"rightsubnet": "10.2.9.0/24"}
    ),
    Fault(
        "different subnets, seen by who refuses",
        "subnet-mismatch",
        "leftsubnet= and rightsubnet=",
        east={"rightsubnet": "10.2.9.0/24"},
        at="east",
    ),
    Fault(
        "narrower subnets",
        "subnet-mismatch",
        "leftsubnet= and rightsubnet=|narrowing",
        east={"rightsubnet": "10.2.0.0/16"},
        at="east",
    ),
    Fault(
        "different groups of forward secrecy in IKEv1, seen by who refuses",
        "pfs-group-mismatch",
        "end esp= .* with the same group",
        both={"ikev2": "no"},
        west={"phase2alg": "aes128-sha1;modp2048"},
        east={"phase2alg": "aes128-sha1;modp3072"},
        at="east",
    ),
    Fault(
        "different esp= in IKEv1",
        "peer-refuses-esp quick-refused",
        "esp=",
        both={"ikev2": "no"},
        west={"phase2alg": "aes256-sha2_256"},
        east={"phase2alg": "aes128-sha1"},
    ),
    Fault(
        "different secrets in IKEv1",
        "psk-mismatch proof-refused peer-refuses-auth",
        "secret",
        both={"ikev2": "no"},
        east_secrets=OTHER_PSK,
    ),
    Fault(
        "IKEv1 asked of a peer that has IKEv2 alone",
        "peer-version",
        "ikev2=",
        west={"ikev2": "no"},
    ),
    Fault("AH against ESP", "peer-refuses-esp", "phase2=", east={"phase2": "ah"}),
    Fault(
        "AH against ESP, seen by who refuses", "phase2-mismatch", "phase2= the same", east={"phase2": "ah"}, at="east"
    ),
    Fault("another way of proof", "id-mismatch no-public-key", "authby=", east={"authby": "rsasig"}, at="east"),
    Fault(
        "another way of proof, seen from here", "peer-refuses-auth", "diagnose on the peer", east={"authby": "rsasig"}
    ),
    Fault(
        "transport against tunnel",
        "peer-refuses-subnets peer-refuses-esp",
        "type=",
        east={"type": "transport", "leftsubnet": "", "rightsubnet": ""},
    ),
    Fault(
        "no address in the pool",
        "no-address-assigned",
        "addresspool",
        west={"leftsubnet": "", "leftsourceip": "%config", "rightsubnet": "10.2.0.0/24"},
        east={"leftsubnet": ""},
    ),
)

TRAFFIC = (
    Fault(
        "the peer's hosts have no way back",
        "nothing-in",
        "gateway",
        late=steps(
            ip("sunrise", "route", "del", "default"), lambda world: world.ping(6), lambda world: time.sleep(1.0)
        ),
    ),
    Fault(
        "the peer's firewall drops what comes out",
        "nothing-in",
        "firewall",
        late=steps(rule("east", "-P", "FORWARD", "DROP"), lambda world: world.ping(6), lambda world: time.sleep(1.0)),
    ),
    Fault(
        "our hosts have no way back",
        "nothing-out",
        "way back",
        late=steps(
            ip("sunset", "route", "del", "default"),
            lambda world: world.lab.sunrise.run("ping", "-c", "6", "-i", "0.1", "-W", "1", "10.1.0.2", check=False),
            lambda world: time.sleep(1.0),
        ),
    ),
)

FAULTS = (*CONFIGURATION, *KEYS, *HOST, *NETWORK, *PEER, *TRAFFIC, *FIELD, *DNS)
