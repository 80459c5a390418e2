# SPDX-License-Identifier: GPL-2.0-or-later
"""The wired gateway inside one namespace: requests that make no sense, what stands in its way."""

from __future__ import annotations

from pathlib import Path

from openswan.base.errors import HostError
from openswan.wire.whack import encode_request
from tests.unit.daemon.running import Namespace, Running, network, nothing, sh


def test_requests_that_make_no_sense_are_answered(namespace: Namespace, tmp_path: Path) -> None:
    async def conversation(running: Running) -> None:
        assert (await running.ask(b"rubbish\n"))[0] == (1, "whack error: whack request is not JSON")
        assert (await running.ask(b'{"verb":7}\n'))[0][0] == 1
        assert (await running.ask(encode_request("frob")))[0][0] == 1
        assert (await running.ask(encode_request("match", src="x")))[0][0] == 1
        lines = await running.ask(encode_request("match", src="10.1.0.5", dst="10.2.0.5"))
        assert any("conn x" in text for _, text in lines)

    def work() -> None:
        network()
        Running(tmp_path).serve(conversation, keep_guard=False)

    namespace(work)


def test_what_stands_in_the_way_is_one_error(namespace: Namespace, tmp_path: Path) -> None:
    def work() -> None:
        network()
        sh("ip link add ipsec0 type veth peer name other")
        try:
            Running(tmp_path).serve(nothing, keep_guard=False)
        except HostError as why:
            assert "cannot take over interface ipsec0" in str(why)
        else:
            raise AssertionError("it started")

    namespace(work)
