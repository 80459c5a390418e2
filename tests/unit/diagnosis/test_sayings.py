# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of the log as the daemon writes them, and the cause each names."""

import pytest

from openswan.diagnosis.sayings import SAID, likely
from openswan.diagnosis.sayingsv1 import LIKELY

LINES = (
    ("packet from 1.2.3.4:4500: \"net\": PSK authentication failed AUTH mismatch! (the ends have different secrets",
     "psk-mismatch"),
    ('"net" #1: 192.0.2.2 seems to speak IKEv1 alone: if so, say ikev2=no in this conn', "peer-version"),
    ('"net" #1: if 192.0.2.2 speaks IKEv2 alone: leave ikev2=no out of this conn', "peer-version"),
    ('"net": No matching PSK found for connection:net', "no-psk"),
    ("packet from 1.2.3.4:4500: no suitable connection for peer '@west'", "id-mismatch"),
    ("initial message received on 192.0.2.2:500 but no connection has been authorized", "no-conn-for-peer"),
    ("initial Main Mode message received on 192.0.2.2:500 but no connection has been authorized", "no-conn-for-peer"),
    ("rejecting I1 from 192.0.2.1:500: no acceptable IKE proposal", "ike-mismatch"),
    ('"net" #1: no child SA with the IKE SA: no acceptable ESP proposal; sending NO_PROPOSAL_CHOSEN', "esp-mismatch"),
    ('no child SA with the IKE SA: the peer offers no AH, which "net" wants (phase2=)', "phase2-mismatch"),
    ("cannot respond to IPsec SA request because no connection is known for 10.2.0.0/24===1.2.3.4[1.2.3.4]",
     "subnet-mismatch"),
    ("certificate 'CN=x' cannot be checked: there is no authority in cacerts", "peer-ca-unknown"),
    ('"net" #2: negotiation failed: the peer assigned no address (leftsourceip=%config asks)', "no-address-assigned"),
    ("certificate 'CN=m' (serial 1) does not vouch for identity '@east.test': neither subject", "peer-cert-name"),
    ("certificate 'CN=x' (serial 1) has expired: it is 2026-11-29", "peer-cert-expired"),
    ("STATE_PARENT_I1: the peer refuses with NO_PROPOSAL_CHOSEN", "peer-refuses-ike"),
    ("negotiation failed: the peer refuses the child SA: NO_PROPOSAL_CHOSEN", "peer-refuses-esp"),
    ("negotiation failed: the peer refuses the child SA: TS_UNACCEPTABLE", "peer-refuses-subnets"),
    ("the peer refuses our proof of who we are: INVALID_ID_INFORMATION", "peer-refuses-auth"),
    ("STATE_PARENT_I2: the peer refuses IKE_AUTH: AUTHENTICATION_FAILED", "peer-refuses-auth"),
)  # fmt: skip


V1 = (
    ("max number of retransmissions (2) reached STATE_MAIN_I1.  No response (or no acceptable response) to our first"
     " IKE message", "no-answer"),
    ("max number of retransmissions (2) reached STATE_AGGR_I1.  No response", "no-answer"),
    ("max number of retransmissions (6) reached STATE_MAIN_I2.  No acceptable response to our message", "answers-stop"),
    ("max number of retransmissions (2) reached STATE_MAIN_I3.  Possible authentication failure: no acceptable response"
     " to our first encrypted message", "proof-refused"),
    ("max number of retransmissions (2) reached STATE_QUICK_I1.  No acceptable response to our first Quick Mode"
     " message: perhaps peer likes no proposal", "quick-refused"),
    ("max number of retransmissions (6) reached STATE_QUICK_R1.", "quick-unconfirmed"),
    ("OAKLEY_DES_CBC is not supported.  Attribute OAKLEY_ENCRYPTION_ALGORITHM", "weak-algorithm"),
    ("unsupported ESP Transform ESP_DES from 192.0.2.1", "weak-algorithm"),
    ("OAKLEY_GROUP 1 not supported.  Attribute OAKLEY_GROUP_DESCRIPTION", "weak-group"),
    ("OAKLEY_GROUP 2 not supported for PFS", "weak-group"),
    ("policy does not allow OAKLEY_PRESHARED_KEY authentication.  Attribute OAKLEY_AUTHENTICATION_METHOD",
     "auth-mismatch"),
    ('initial Main Mode message received on 192.0.2.2:500 but "clear" forbids connection', "shunt-forbids"),
    ("Can't authenticate: no preshared key found for `@a' and `@b'.  Attribute OAKLEY_AUTHENTICATION_METHOD", "no-psk"),
    ("peer requested 90000 seconds which exceeds our limit 86400 seconds.  Attribute OAKLEY_LIFE_DURATION",
     "life-too-long"),
    ("no acceptable Oakley Transform", "ike-mismatch"),
    ("we require peer to have ID '@a', but peer declares '@b'", "id-mismatch"),
    ("no suitable connection for peer '@b'", "id-mismatch"),
    ("no RSA public key known for '@b'", "peer-key-mismatch"),
    ("Signature check (on @b) failed (wrong key?); tried *AQabc", "peer-key-mismatch"),
    ("received Hash Payload does not match computed value", "psk-mismatch"),
    ("probable authentication failure (mismatch of preshared secrets?): malformed payload in packet", "psk-mismatch"),
    ("unable to locate my private key for RSA Signature of '@a'", "no-private-key"),
    ("cannot respond to IPsec SA request because no connection is known for 10.1.0.0/16===192.0.2.1[@a]...",
     "subnet-mismatch"),
    ("we require PFS but Quick I1 SA specifies no GROUP_DESCRIPTION", "pfs-mismatch"),
    ('"net" #2: OAKLEY_GROUP_MODP3072 is not what policy for "net" wants for PFS', "pfs-group-mismatch"),
    ("no acceptable Proposal in IPsec SA", "esp-mismatch"),
    ("our client subnet returned does not match my proposal - us:10.1.0.0/16 vs them:10.3.0.0/16", "subnets-differ"),
    ("ignoring informational payload, type NO_PROPOSAL_CHOSEN", "peer-refuses-ike"),
    ("ignoring informational payload, type INVALID_ID_INFORMATION", "peer-refuses-subnets"),
    ("ignoring informational payload, type PAYLOAD_MALFORMED", "peer-cannot-read"),
    ("the peer refuses our Quick Mode: NO_PROPOSAL_CHOSEN", "quick-refused"),
    ("XAUTH: User alice: Authentication Failed: Incorrect Username or Password", "xauth-failed"),
    ("cannot install eroute -- it is in use for \"a\" #1", "eroute-conflict"),
    ('initial Aggressive Mode message for "net", whose policy does not allow it (aggrmode=no)', "aggressive-refused"),
)  # fmt: skip
"""Failures of IKEv1 that operators look for by these words."""


@pytest.mark.parametrize(("line", "code"), V1)
def test_each_classic_failure_has_a_likely_cause(line: str, code: str) -> None:
    found = likely(line)
    assert found is not None and found[0].code == code


@pytest.mark.parametrize(
    "line",
    [
        "STATE_MAIN_I4: ISAKMP SA established {auth=OAKLEY_PRESHARED_KEY cipher=aes_128 prf=sha1 group=modp2048}",
        "received Vendor ID payload [Dead Peer Detection]",
        "ignoring Delete SA payload: PROTO_IPSEC_ESP SA(0x01020304) not found (maybe expired)",
        "NAT-Traversal: Result using RFC 3947 (NAT-Traversal): no NAT detected",
        "discarding duplicate packet; already STATE_MAIN_R3",
    ],
)
def test_what_is_no_failure_has_none(line: str) -> None:
    assert likely(line) is None


@pytest.mark.parametrize(("line", "code"), LINES)
def test_the_first_pattern_that_fits_is_the_right_one(line: str, code: str) -> None:
    assert next(said.code for said in SAID if said.pattern.search(line)) == code


def test_words_of_the_line_go_into_the_cause_and_the_remedy() -> None:
    for said in (*SAID, *LIKELY):
        words = dict.fromkeys(said.pattern.groupindex, "x") | {"conn": "net"}
        assert said.cause.format(**words) and said.remedy.format(**words)
