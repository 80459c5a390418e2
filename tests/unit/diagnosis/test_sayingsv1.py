# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of IKEv1 as the daemon writes them, and the likely cause of each."""

import pytest

from openswan.diagnosis.sayings import likely

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
