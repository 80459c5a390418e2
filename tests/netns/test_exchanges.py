# SPDX-License-Identifier: GPL-2.0-or-later
"""Two of our gateways with ML-KEM beside X25519, at the start and at every rekeying, while packets flow.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

import pytest

from tests.netns.conns import NET4, conn
from tests.netns.lab import Lab, wait_for
from tests.netns.pair import pair
from tests.netns.test_rekey import assert_all_arrived, flows
from tests.netns.traffic import assert_ping

pytestmark = pytest.mark.netns

KEM = {
    "ike": "aes_gcm256-sha2_512-x25519-addke1-mlkem768-addke2-mlkem1024",
    "esp": "aes_gcm256-x25519-addke1-mlkem1024",
    "pfs": "yes",
    "auto": "add",
}


@pytest.mark.long
def test_ml_kem_at_the_start_and_at_rekeyings(lab: Lab) -> None:
    both = pair(lab, conn("net", NET4, **KEM, ikelifetime="11s", salifetime="9s", rekeymargin="5s", rekeyfuzz="0%"))
    both.up("net")
    assert_ping(lab.sunset, "10.2.0.2")
    assert "group=x25519+mlkem768+mlkem1024" in both.west.log()
    running = flows(lab)
    first = {row["said"] for row in both.west.json("spi")}
    wait_for("other child SAs", lambda: not first & {row["said"] for row in both.west.json("spi")}, 20, 0.5)
    wait_for("another IKE SA", lambda: "rekeyed" in both.west.log(300), 20, 0.5)
    assert_all_arrived(running)
