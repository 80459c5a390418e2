# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of the log as the daemon writes them, and the cause each names."""

import pytest

from openswan.diagnosis.sayings import SAID
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
    ("certificate 'CN=x': no current revocation list of 'CN=ca' and strictcrlpolicy=yes", "crl-expired"),
    ("certificate 'CN=x' (serial 1) has expired: it is 2026-11-29", "peer-cert-expired"),
    ("STATE_PARENT_I1: the peer refuses with NO_PROPOSAL_CHOSEN", "peer-refuses-ike"),
    ("negotiation failed: the peer refuses the child SA: NO_PROPOSAL_CHOSEN", "peer-refuses-esp"),
    ("negotiation failed: the peer refuses the child SA: TS_UNACCEPTABLE", "peer-refuses-subnets"),
    ("the peer refuses our proof of who we are: INVALID_ID_INFORMATION", "peer-refuses-auth"),
    ("STATE_PARENT_I2: the peer refuses IKE_AUTH: AUTHENTICATION_FAILED", "peer-refuses-auth"),
)  # fmt: skip


@pytest.mark.parametrize(("line", "code"), LINES)
def test_the_first_pattern_that_fits_is_the_right_one(line: str, code: str) -> None:
    assert next(said.code for said in SAID if said.pattern.search(line)) == code


def test_words_of_the_line_go_into_the_cause_and_the_remedy() -> None:
    for said in (*SAID, *LIKELY):
        words = dict.fromkeys(said.pattern.groupindex, "x") | {"conn": "net"}
        assert said.cause.format(**words) and said.remedy.format(**words)
