# SPDX-License-Identifier: GPL-2.0-or-later
"""Two packet engines with keys given by hand, real TUNs, real ping and TCP, in every mix of address families.

host A ----lan---- west =======wan======= east ----lan---- host B
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bench.staticgate import Lab, Setup

pytestmark = [pytest.mark.netns, pytest.mark.timeout(100)]

FAR = ("10.2.0.2", "2001:db8:2::2")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(f"oC{os.getpid() % 100000}") as made:
        yield made


def ping(lab: Lab, dst: str, *options: str) -> bool:
    """Three pings; neighbours of a new veth may need a moment."""
    for _ in range(5):
        done = lab.run("a", "ping", "-c3", "-i0.1", "-W1", *options, dst, check=False)
        if done.returncode == 0 and ", 0% packet loss" in done.stdout:
            return True
        time.sleep(0.5)
    return False


def tcp(lab: Lab, dst: str, *options: str, seconds: float = 1.0) -> dict[str, Any]:
    """iperf3's summary of a transfer from host A."""
    server = subprocess.Popen(
        ["ip", "netns", "exec", lab.ns("b"), "iperf3", "-s", "-1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        time.sleep(0.3)
        done = lab.run("a", "iperf3", "-c", dst, "-t", str(seconds), "-J", *options, check=False)
        summary: dict[str, Any] = json.loads(done.stdout)
        assert "error" not in summary, summary["error"]
        return summary["end"]  # type: ignore[no-any-return]
    finally:
        server.kill()
        server.wait()


@pytest.mark.matrix
@pytest.mark.parametrize("outer", [4, 6])
@pytest.mark.parametrize("udp", [True, False], ids=["udp4500", "raw50"])
@pytest.mark.parametrize("cipher", ["aes_gcm_16", "aes_cbc"])
def test_four_mixes_by_both_ways(lab: Lab, outer: int, udp: bool, cipher: str) -> None:
    lab.start(Setup(outer=outer, udp=udp, cipher=cipher, esn=udp))
    for dst in FAR:
        assert ping(lab, dst)
        assert tcp(lab, dst)["sum_received"]["bytes"] > 1 << 20
        assert tcp(lab, dst, "-R")["sum_received"]["bytes"] > 1 << 20
    west, east = lab.finish()
    for report in (west, east):
        drops: dict[str, int] = report["drops"]  # type: ignore[assignment]
        assert set(drops) <= {"NO_EROUTE"}, drops


def test_a_narrow_path_fragments_outside_or_tells_the_sender(lab: Lab) -> None:
    lab.start(Setup())
    assert ping(lab, FAR[0])
    # Without DF the packet arrives whole, in outer fragments; with it the sender learns the tunnel's MTU.
    assert ping(lab, FAR[0], "-M", "dont", "-s", "1450")
    told = lab.run("a", "ping", "-c2", "-W1", "-M", "do", "-s", "1450", FAR[0], check=False)
    assert told.returncode != 0 and "mtu" in told.stdout.lower() + told.stderr.lower()
    assert ping(lab, FAR[1], "-s", "1450")
    lab.finish()


def test_udp_in_bulk(lab: Lab) -> None:
    lab.start(Setup())
    assert ping(lab, FAR[0])
    end = tcp(lab, FAR[0], "-u", "-b", "100M", "-l", "1200")
    assert end["sum"]["lost_percent"] < 20 and end["sum"]["packets"] > 5000
    lab.finish()


def test_five_thousand_others_beside(lab: Lab) -> None:
    lab.start(Setup(others=5000))
    assert ping(lab, FAR[0])
    assert tcp(lab, FAR[0])["sum_received"]["bytes"] > 1 << 20
    west, _ = lab.finish()
    assert west["eroutes"] == 5002


def test_pass_goes_out_of_the_physical_device_unmodified(lab: Lab) -> None:
    lab.start(Setup(passing=True))
    for dst in FAR:
        assert ping(lab, dst)
        assert tcp(lab, dst)["sum_received"]["bytes"] > 1 << 20
    west, _ = lab.finish()
    assert west["sas"] == [] and west["devices"][0]["tx_packets"] > 100  # type: ignore[index]
