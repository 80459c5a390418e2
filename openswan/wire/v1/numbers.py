# SPDX-License-Identifier: GPL-2.0-or-later
"""IKEv1's numbers (RFC 2407, 2408, 2409, 3947, 3706; IANA "IKE Attributes", "ISAKMP"); unknown ones keep their value.

Numbers of drafts and of Cisco's that IANA never assigned are marked so.
"""

from __future__ import annotations

from openswan.base.numbers import OpenIntEnum


class ExchangeType(OpenIntEnum):
    """RFC 2408 3.1, RFC 2409 appendix A."""

    NONE = 0
    BASE = 1
    MAIN = 2
    """Identity Protection, of RFC 2408."""
    AUTH_ONLY = 3
    AGGRESSIVE = 4
    INFORMATIONAL = 5
    TRANSACTION = 6
    """Mode Config and XAUTH (draft-dukes-ike-mode-cfg-02 3.4)."""
    QUICK = 32
    NEW_GROUP = 33


class PayloadType(OpenIntEnum):
    """RFC 2408 3.1; PROPOSAL and TRANSFORM are only ever inside an SA payload."""

    NONE = 0
    SA = 1
    PROPOSAL = 2
    TRANSFORM = 3
    KE = 4
    ID = 5
    CERT = 6
    CERTREQ = 7
    HASH = 8
    SIG = 9
    NONCE = 10
    NOTIFY = 11
    DELETE = 12
    VENDOR = 13
    ATTRIBUTES = 14
    """Mode Config (draft-dukes-ike-mode-cfg-02 3.2)."""
    NAT_D = 20
    """RFC 3947 3.2."""
    NAT_OA = 21
    NAT_D_DRAFT = 130
    """draft-ietf-ipsec-nat-t-ike-02 and -03."""
    NAT_OA_DRAFT = 131
    FRAGMENT = 132
    """Cisco's."""


class Doi(OpenIntEnum):
    """Domain of Interpretation (RFC 2407 4.2, RFC 2408 3.4)."""

    ISAKMP = 0
    IPSEC = 1


class ProtocolId(OpenIntEnum):
    """RFC 2407 4.4.1."""

    NONE = 0
    ISAKMP = 1
    AH = 2
    ESP = 3
    IPCOMP = 4


class IsakmpId(OpenIntEnum):
    """The transform of phase 1 (RFC 2407 4.4.2)."""

    KEY_IKE = 1


class AhId(OpenIntEnum):
    """RFC 2407 4.4.3, RFC 3566, RFC 4868, RFC 4543."""

    MD5 = 2
    SHA = 3
    DES = 4
    SHA2_256 = 5
    SHA2_384 = 6
    SHA2_512 = 7
    RIPEMD = 8
    AES_XCBC_MAC = 9
    RSA = 10
    AES_128_GMAC = 11
    AES_192_GMAC = 12
    AES_256_GMAC = 13


class EspId(OpenIntEnum):
    """RFC 2407 4.4.4, RFC 3602, RFC 3686, RFC 4309, RFC 4106, RFC 4543."""

    DES_IV64 = 1
    DES = 2
    DES3 = 3
    RC5 = 4
    IDEA = 5
    CAST = 6
    BLOWFISH = 7
    IDEA3 = 8
    DES_IV32 = 9
    RC4 = 10
    NULL = 11
    AES = 12
    AES_CTR = 13
    AES_CCM_8 = 14
    AES_CCM_12 = 15
    AES_CCM_16 = 16
    AES_GCM_8 = 18
    AES_GCM_12 = 19
    AES_GCM_16 = 20
    SEED = 21
    CAMELLIA = 22
    NULL_AUTH_AES_GMAC = 23
    SERPENT = 252
    """This and the next are Openswan's, private."""
    TWOFISH = 253


class IpcompId(OpenIntEnum):
    """RFC 2407 4.4.5."""

    OUI = 1
    DEFLATE = 2
    LZS = 3
    LZJH = 4


class OakleyAttribute(OpenIntEnum):
    """Attributes of a phase 1 transform (RFC 2409 appendix A)."""

    ENCRYPTION_ALGORITHM = 1
    HASH_ALGORITHM = 2
    AUTHENTICATION_METHOD = 3
    GROUP_DESCRIPTION = 4
    GROUP_TYPE = 5
    GROUP_PRIME = 6
    GROUP_GENERATOR_ONE = 7
    GROUP_GENERATOR_TWO = 8
    GROUP_CURVE_A = 9
    GROUP_CURVE_B = 10
    LIFE_TYPE = 11
    LIFE_DURATION = 12
    PRF = 13
    KEY_LENGTH = 14
    FIELD_SIZE = 15
    GROUP_ORDER = 16


class OakleyEncr(OpenIntEnum):
    """Encryption Algorithm of phase 1 (RFC 2409 appendix A, RFC 3602 5.3)."""

    DES_CBC = 1
    IDEA_CBC = 2
    BLOWFISH_CBC = 3
    RC5_R16_B64_CBC = 4
    DES3_CBC = 5
    CAST_CBC = 6
    AES_CBC = 7
    CAMELLIA_CBC = 8
    SERPENT_CBC = 65004
    """This and the next are Openswan's, private."""
    TWOFISH_CBC = 65005


class OakleyHash(OpenIntEnum):
    """Hash Algorithm of phase 1 (RFC 2409 appendix A, RFC 4868)."""

    MD5 = 1
    SHA = 2
    TIGER = 3
    SHA2_256 = 4
    SHA2_384 = 5
    SHA2_512 = 6


class AuthMethod(OpenIntEnum):
    """Authentication Method of phase 1 (RFC 2409 appendix A, RFC 4754).

    Hybrid: draft-ietf-ipsec-isakmp-hybrid-auth-05 3.2.1; XAUTH: draft-beaulieu-ike-xauth-02 7.2.
    """

    PRE_SHARED_KEY = 1
    DSS_SIG = 2
    RSA_SIG = 3
    RSA_ENC = 4
    RSA_ENC_REVISED = 5
    ECDSA_256 = 9
    ECDSA_384 = 10
    ECDSA_521 = 11
    HYBRID_INIT_RSA = 64221
    HYBRID_RESP_RSA = 64222
    HYBRID_INIT_DSS = 64223
    HYBRID_RESP_DSS = 64224
    XAUTH_INIT_PRE_SHARED = 65001
    XAUTH_RESP_PRE_SHARED = 65002
    XAUTH_INIT_DSS = 65003
    XAUTH_RESP_DSS = 65004
    XAUTH_INIT_RSA = 65005
    XAUTH_RESP_RSA = 65006
    XAUTH_INIT_RSA_ENC = 65007
    XAUTH_RESP_RSA_ENC = 65008
    XAUTH_INIT_RSA_ENC_REVISED = 65009
    XAUTH_RESP_RSA_ENC_REVISED = 65010


class GroupType(OpenIntEnum):
    """Of a group spelled out (RFC 2409 appendix A)."""

    MODP = 1
    ECP = 2
    EC2N = 3


class LifeType(OpenIntEnum):
    """What a life duration counts, in both phases (RFC 2407 4.5, RFC 2409 appendix A)."""

    SECONDS = 1
    KILOBYTES = 2


class IpsecAttribute(OpenIntEnum):
    """Attributes of a phase 2 transform (RFC 2407 4.5, RFC 4304)."""

    SA_LIFE_TYPE = 1
    SA_LIFE_DURATION = 2
    GROUP_DESCRIPTION = 3
    ENCAPSULATION_MODE = 4
    AUTH_ALGORITHM = 5
    KEY_LENGTH = 6
    KEY_ROUNDS = 7
    COMPRESS_DICT_SIZE = 8
    COMPRESS_PRIVATE_ALGORITHM = 9
    ECN_TUNNEL = 10
    EXTENDED_SEQUENCE_NUMBER = 11


class Encapsulation(OpenIntEnum):
    """RFC 2407 4.5, RFC 3947 5.1; the drafts' private."""

    TUNNEL = 1
    TRANSPORT = 2
    UDP_TUNNEL = 3
    UDP_TRANSPORT = 4
    UDP_TUNNEL_DRAFT = 61443
    UDP_TRANSPORT_DRAFT = 61444


class AuthAlgorithm(OpenIntEnum):
    """Authentication Algorithm of ESP and AH (RFC 2407 4.5, RFC 3566, RFC 4868)."""

    NONE = 0
    HMAC_MD5 = 1
    HMAC_SHA = 2
    DES_MAC = 3
    KPDK = 4
    HMAC_SHA2_256 = 5
    HMAC_SHA2_384 = 6
    HMAC_SHA2_512 = 7
    HMAC_RIPEMD = 8
    AES_XCBC_MAC = 9
    SIG_RSA = 10
    AES_128_GMAC = 11
    AES_192_GMAC = 12
    AES_256_GMAC = 13
    NULL = 251
    """KAME's, private."""
    HMAC_SHA2_256_96 = 252
    """Openswan's, private: cut to 96 bits."""


class IdType(OpenIntEnum):
    """RFC 2407 4.6.2.1, RFC 3554."""

    IPV4_ADDR = 1
    FQDN = 2
    USER_FQDN = 3
    IPV4_ADDR_SUBNET = 4
    IPV6_ADDR = 5
    IPV6_ADDR_SUBNET = 6
    IPV4_ADDR_RANGE = 7
    IPV6_ADDR_RANGE = 8
    DER_ASN1_DN = 9
    DER_ASN1_GN = 10
    KEY_ID = 11
    LIST = 12


class CertEncoding(OpenIntEnum):
    """RFC 2408 3.9."""

    NONE = 0
    PKCS7 = 1
    PGP = 2
    DNS_KEY = 3
    X509_SIGNATURE = 4
    X509_KEY_EXCHANGE = 5
    KERBEROS = 6
    CRL = 7
    ARL = 8
    SPKI = 9
    X509_ATTRIBUTE = 10


class NotifyType(OpenIntEnum):
    """RFC 2408 3.14.1, RFC 2407 4.6.3, RFC 3706 5.2; 1 to 16383 are errors."""

    INVALID_PAYLOAD_TYPE = 1
    DOI_NOT_SUPPORTED = 2
    SITUATION_NOT_SUPPORTED = 3
    INVALID_COOKIE = 4
    INVALID_MAJOR_VERSION = 5
    INVALID_MINOR_VERSION = 6
    INVALID_EXCHANGE_TYPE = 7
    INVALID_FLAGS = 8
    INVALID_MESSAGE_ID = 9
    INVALID_PROTOCOL_ID = 10
    INVALID_SPI = 11
    INVALID_TRANSFORM_ID = 12
    ATTRIBUTES_NOT_SUPPORTED = 13
    NO_PROPOSAL_CHOSEN = 14
    BAD_PROPOSAL_SYNTAX = 15
    PAYLOAD_MALFORMED = 16
    INVALID_KEY_INFORMATION = 17
    INVALID_ID_INFORMATION = 18
    INVALID_CERT_ENCODING = 19
    INVALID_CERTIFICATE = 20
    CERT_TYPE_UNSUPPORTED = 21
    INVALID_CERT_AUTHORITY = 22
    INVALID_HASH_INFORMATION = 23
    AUTHENTICATION_FAILED = 24
    INVALID_SIGNATURE = 25
    ADDRESS_NOTIFICATION = 26
    NOTIFY_SA_LIFETIME = 27
    CERTIFICATE_UNAVAILABLE = 28
    UNSUPPORTED_EXCHANGE_TYPE = 29
    UNEQUAL_PAYLOAD_LENGTHS = 30
    CONNECTED = 16384
    RESPONDER_LIFETIME = 24576
    REPLAY_STATUS = 24577
    INITIAL_CONTACT = 24578
    R_U_THERE = 36136
    R_U_THERE_ACK = 36137
    UNITY_LOAD_BALANCE = 40501
    """Cisco's, private."""

    @property
    def is_error(self) -> bool:
        """Does it report a failure (RFC 2408 3.14.1: below 16384)?"""
        return self < 16384


class CfgType(OpenIntEnum):
    """draft-dukes-ike-mode-cfg-02 3.2."""

    REQUEST = 1
    REPLY = 2
    SET = 3
    ACK = 4


class CfgAttribute(OpenIntEnum):
    """Mode Config (draft-dukes-ike-mode-cfg-02 3.3), XAUTH (draft-beaulieu-ike-xauth-02 7.1), Cisco's Unity."""

    INTERNAL_IP4_ADDRESS = 1
    INTERNAL_IP4_NETMASK = 2
    INTERNAL_IP4_DNS = 3
    INTERNAL_IP4_NBNS = 4
    INTERNAL_ADDRESS_EXPIRY = 5
    INTERNAL_IP4_DHCP = 6
    APPLICATION_VERSION = 7
    INTERNAL_IP6_ADDRESS = 8
    INTERNAL_IP6_NETMASK = 9
    INTERNAL_IP6_DNS = 10
    INTERNAL_IP6_NBNS = 11
    INTERNAL_IP6_DHCP = 12
    INTERNAL_IP4_SUBNET = 13
    SUPPORTED_ATTRIBUTES = 14
    INTERNAL_IP6_SUBNET = 15
    XAUTH_TYPE = 16520
    XAUTH_USER_NAME = 16521
    XAUTH_USER_PASSWORD = 16522
    XAUTH_PASSCODE = 16523
    XAUTH_MESSAGE = 16524
    XAUTH_CHALLENGE = 16525
    XAUTH_DOMAIN = 16526
    XAUTH_STATUS = 16527
    XAUTH_NEXT_PIN = 16528
    XAUTH_ANSWER = 16529
    UNITY_BANNER = 28672
    UNITY_SAVE_PASSWD = 28673
    UNITY_DEF_DOMAIN = 28674
    UNITY_SPLITDNS_NAME = 28675
    UNITY_SPLIT_INCLUDE = 28676
    UNITY_NATT_PORT = 28677
    UNITY_LOCAL_LAN = 28678
    UNITY_PFS = 28679
    UNITY_FW_TYPE = 28680
    UNITY_BACKUP_SERVERS = 28681
    UNITY_DDNS_HOSTNAME = 28682


class XauthType(OpenIntEnum):
    """What XAUTH_TYPE says (draft-beaulieu-ike-xauth-02 7.3)."""

    GENERIC = 0
    RADIUS_CHAP = 1
    OTP = 2
    SKEY = 3
