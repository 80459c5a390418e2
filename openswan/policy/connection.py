# SPDX-License-Identifier: GPL-2.0-or-later
"""A connection as ipsec.conf describes it, oriented or not: frozen plain data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, Flag, auto

from openswan.base.address import Address, Subnet
from openswan.policy.grade import Grade
from openswan.policy.identity import Identity
from openswan.policy.modecfg import Pool
from openswan.policy.proposal import Proposal
from openswan.policy.virtual import Virtual


class HostKind(Enum):
    """What stands behind left= or right=."""

    ADDRESS = "address"
    NAME = "name"  # host name, resolved by pluto off the packet path
    ANY = "%any"
    DEFAULTROUTE = "%defaultroute"
    INTERFACE = "%interface"  # %eth0: `name` is the interface
    OPPORTUNISTIC = "%opportunistic"
    GROUP = "%group"
    OPPORTUNISTIC_GROUP = "%opportunisticgroup"


@dataclass(frozen=True, slots=True)
class Host:
    """One end's address, or how it will be known."""

    kind: HostKind
    address: Address | None = None
    name: str = ""


class Auth(Flag):
    """How a side may prove who it is (authby=)."""

    PSK = auto()
    RSASIG = auto()
    ECDSA = auto()
    EDDSA = auto()
    EAP_TLS = auto()
    EAP_MSCHAPV2 = auto()
    EAP_ONLY = auto()
    NULL = auto()
    NEVER = auto()
    XAUTH = auto()
    """By nothing but the name and the password XAUTH asks for: the client of hybrid authentication (IKEv1)."""


SIGNATURES = Auth.RSASIG | Auth.ECDSA | Auth.EDDSA
"""What goes by a key pair, raw or certified."""

EAP = Auth.EAP_TLS | Auth.EAP_MSCHAPV2 | Auth.EAP_ONLY
"""What goes by EAP; an end that is EAP_ONLY proves itself, whether it asks or answers, by EAP-TLS alone."""


class SendCert(Enum):
    """leftsendcert="""

    ALWAYS = "always"
    IF_ASKED = "ifasked"
    NEVER = "never"


class SendCa(Enum):
    """leftsendca=: which certificates above ours go with it."""

    NONE = "none"
    ISSUER = "issuer"
    ALL = "all"


SAME_CA = "%same"
"""leftca=%same: the authority of the other end."""


class Startup(Enum):
    """auto="""

    IGNORE = "ignore"
    ADD = "add"
    ROUTE = "route"
    START = "start"


class ShuntPolicy(Enum):
    """What happens to traffic without an SA: prospective and failure shunts."""

    TRAP = "trap"
    NONE = "none"
    PASS = "passthrough"
    DROP = "drop"
    REJECT = "reject"
    HOLD = "hold"


class DpdAction(Enum):
    """dpdaction="""

    HOLD = "hold"
    CLEAR = "clear"
    RESTART = "restart"
    RESTART_BY_PEER = "restart_by_peer"


class Childless(Enum):
    """childless=: IKE SAs that begin without a child (RFC 6023)."""

    ALLOW = "allow"
    PREFER = "prefer"
    FORCE = "force"
    NEVER = "never"


class PpkUse(Enum):
    """ppk=: postquantum preshared keys (RFC 8784)."""

    NO = "no"
    PROPOSE = "propose"
    INSIST = "insist"


class TcpUse(Enum):
    """enable-tcp=: IKE and ESP in a TCP connection (RFC 9329)."""

    NO = "no"
    YES = "yes"
    FALLBACK = "fallback"


class XauthBy(Enum):
    """xauthby: who judges the passwords of XAUTH users."""

    FILE = "file"
    PAM = "pam"
    ALWAYS_OK = "alwaysok"


@dataclass(frozen=True, slots=True)
class End:
    """left or right."""

    host: Host
    id: Identity | None = None
    """None: the host address (or the certificate's subject)."""
    subnet: Subnet | None = None
    """None: the host itself."""
    virtual: Virtual | None = None
    """leftsubnet=vhost:... or vnet:..., of an end that is %any: the clients it may ask for."""
    protocol: int = 0
    port: int = 0
    """leftprotoport; 0: any."""
    source_ips: tuple[Address, ...] = ()
    """leftsourceip: at most one of each family."""
    ask_addresses: tuple[int, ...] = ()
    """leftsourceip=%config, leftmodecfgclient=yes: address families this end asks the other for an address of."""
    pools: tuple[Pool, ...] = ()
    """leftaddresspool: this end gets an address from these."""
    cat: bool = True
    """leftcat: of an opportunistic conn, behind NAT this end is known by an address that the peer gives it."""
    xauth_server: bool = False
    """leftxauthserver: this end asks the other for a name and a password (IKEv1);"""
    xauth_client: bool = False
    """leftxauthclient: it answers,"""
    xauth_name: str = ""
    """leftxauthname: by this name; empty: by what its identity says."""
    nexthop: Address | None = None
    """None: follow the actual route."""
    updown: str = "ipsec _updown"
    """Command run with the PLUTO_* environment; empty: none; the default is carried out in-process."""
    firewall: bool = False
    """leftfirewall: what is forwarded through the tunnel passes the packet filter while it is up,"""
    host_access: bool = False
    """lefthostaccess: and so does what this host itself sends and receives by it."""
    rsa_keys: tuple[bytes, ...] = ()
    """leftrsasigkey, leftrsasigkey2: RFC 3110 public keys (exponent length, exponent, modulus)."""
    cert: bytes = b""
    """leftcert as DER, already read by whoever loaded the configuration; empty: none."""
    cert_name: str = ""
    """As written in the configuration, for listings."""
    cert_chain: tuple[bytes, ...] = ()
    """What else leftcert's file holds, DER: the intermediate certificates above it."""
    dns_key: bool = False
    """leftrsasigkey=%dns and the like, opportunistic conns only: this end's key is looked up."""
    use_cert_key: bool = False
    """leftrsasigkey=%cert (or a leftcert): this end proves itself by a certificate."""
    send_cert: SendCert = SendCert.ALWAYS
    send_ca: SendCa = SendCa.ALL
    ca: str = ""
    """leftca: RFC 4514 text, "%same", or empty."""
    auth: Auth | None = None
    """leftauth; None: as the conn's `auth` says."""


PAIR = re.compile(r"\d+x\d+")
"""What leftsubnets= and rightsubnets= put behind a name."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything one conn says; `left` and `right` as written, orientation comes later."""

    name: str
    left: End
    right: End
    aliases: tuple[str, ...] = ()
    auth: Auth = SIGNATURES
    """authby; when the ends differ, what either may use."""
    resumption: bool = False
    """session-resumption: tickets (RFC 5723)."""
    childless: Childless = Childless.ALLOW
    intermediate: bool = False
    """IKE_INTERMEDIATE even where no additional key exchange needs it."""
    ppk: PpkUse = PpkUse.NO
    ppk_ids: tuple[str, ...] = ()
    """ppk-ids: the names of the keys that may be used, best first; empty: any."""
    eap_identity: str = ""
    """The user name we give, or the only one we let in; empty: our identity, and anybody with a secret."""
    ike_version: int = 2
    aggressive: bool = False
    """aggrmode: Aggressive Mode in place of Main Mode (IKEv1)."""
    tunnel: bool = True
    ike_proposals: tuple[Proposal, ...] = ()
    esp_proposals: tuple[Proposal, ...] = ()
    """All ESP, or with phase2=ah all AH. Never empty after loading: defaults are filled in by config.build."""
    ike_text: str = ""
    esp_text: str = ""
    """As written, for `auto --status`."""
    pfs: bool = True
    pfs_optional: bool = False
    """pfs= was not given: a peer whose proposals have no group is not refused."""
    compress: bool = False
    sha2_truncbug: bool = False
    """HMAC-SHA2-256 is negotiated as ever and then cut to 96 bits, as old Linux kernels did."""
    ike_lifetime: float = 3600.0
    ipsec_lifetime: float = 28800.0
    rekey: bool = True
    reauth: bool = False
    """An IKE SA is not rekeyed: a new one takes its place, on which both ends prove themselves anew."""
    rekey_margin: float = 540.0
    rekey_fuzz: float = 1.0
    """Fraction: 1.0 is 100%."""
    keying_tries: int = 0
    """0: for ever."""
    prospective: ShuntPolicy = ShuntPolicy.TRAP
    """TRAP for conns that negotiate; PASS, DROP, REJECT for type=passthrough, drop, reject."""
    negotiation_shunt: ShuntPolicy = ShuntPolicy.HOLD
    failure_shunt: ShuntPolicy = ShuntPolicy.NONE
    dpd_delay: float = 0.0
    dpd_timeout: float = 0.0
    dpd_action: DpdAction = DpdAction.HOLD
    encapsulation: str = "auto"
    """auto: in UDP behind a NAT and between two of this project, yes (forceencaps): always, no: never."""
    send_redirect: str = "no"
    """Whether a client that has proved itself is sent to `redirect_to`: no, yes, or auto: when there is much to do."""
    redirect_to: tuple[Address, ...] = ()
    accept_redirect: bool = False
    accept_redirect_to: tuple[Address, ...] = ()
    """Where we let ourselves be sent; empty: anywhere."""
    tcp: TcpUse = TcpUse.NO
    """enable-tcp: whether we begin in TCP, or try it when UDP is of no use."""
    tcp_port: int = 4500
    """tcp-remoteport"""
    esn: str = "either"
    """either, yes or no."""
    replay_window: int = 128
    narrowing: bool = False
    fragmentation: bool = True
    """IKE messages that are too long are sent in fragments, and taken so."""
    initial_contact: bool = True
    """The peer is told when we remember no older SA with it."""
    overlap_ip: bool = False
    arrival_check: bool = True
    leak_guard: bool = True
    other_family_clear: bool = False
    """otherfamily=clear: a 0/0 policy in one family does not block the other."""
    metric: int = 0
    mtu: int = 0
    tfc: int = 0
    """Octets that inner packets are padded to; 0: none."""
    refuse_tfc: bool = False
    """send-no-esp-tfc=yes: the peer is told not to do that."""
    max_bytes: int = 0
    """ipsec-max-bytes: octets after which a child SA has ended; 0: no such end."""
    max_packets: int = 0
    path_mtu: bool = True
    """nopmtudisc=no: paths are probed."""
    retransmit_timeout: float = 60.0
    retransmit_interval: float = 0.5
    startup: Startup = Startup.IGNORE
    mobike: bool = False
    dns: tuple[Address, ...] = ()
    """modecfgdns: servers told to whoever gets an address."""
    wins: tuple[Address, ...] = ()
    """modecfgwins1, modecfgwins2 (IKEv1)."""
    banner: str = ""
    """modecfgbanner: what clients are to read (IKEv1)."""
    config_pull: bool = True
    """modecfgpull: the client asks for its address; else the server tells it (IKEv1)."""
    unity: bool = False
    """cisco-unity: as client ask for Cisco's attributes in any case (IKEv1)."""
    xauth_by: XauthBy = XauthBy.FILE
    xauth_soft: bool = False
    """xauthfail=soft: who gives a wrong password is let in all the same, and updown commands hear of it."""
    cisco: bool = False
    """remote_peer_type=cisco."""
    nm_configured: bool = False
    debug: tuple[str, ...] = ()
    """debug=: words of openswan.base.debugclasses, for lines about this conn."""
    copy_dscp: bool | None = None
    """The DSCP of inner packets goes outside; None: as config setup says."""
    take_dscp: bool = False
    """The DSCP of outer packets goes inside."""
    nat_keepalive: bool = True
    """Keep a NAT's mapping open (RFC 3948 4)."""
    ignore_dns: bool = False
    """Updown commands do not hear of the DNS servers and domains that the peer assigns."""
    domains: tuple[str, ...] = ()
    """modecfgdomains: the names those servers are for; empty: all (RFC 8598)."""
    hold_timeout: float = 3.0
    """holdtimeout: seconds first packets wait for an opportunistic peer that is silent."""
    auth_grade: Grade = Grade.NULL
    """authgrade: what an opportunistic peer must at least have proved."""
    keep_grade: bool = False
    """keepgrade: never less than it once had."""

    @property
    def family(self) -> str:
        """The name in ipsec.conf that this and others were made of by leftsubnets= and rightsubnets=."""
        base, slash, pair = self.name.rpartition("/")
        return base if slash and base in self.aliases and PAIR.fullmatch(pair) else self.name

    def proof(self, end: End) -> Auth:
        """How that end may prove who it is."""
        return self.auth if end.auth is None else end.auth
