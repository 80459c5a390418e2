# SPDX-License-Identifier: GPL-2.0-or-later
"""The control socket's language: what goes in comes out, and nonsense is refused."""

import pytest

from openswan.base.errors import WireError
from openswan.wire.whack import MAX_REQUEST, decode_reply, decode_request, encode_reply, encode_request


def test_request_round_trip():
    assert decode_request(encode_request("initiate", name="net-net", asynchronous=True)) == (
        "initiate",
        {"name": "net-net", "asynchronous": True},
    )


@pytest.mark.parametrize("line", [b"", b"\xff\xfe", b"[]", b"{}", b'{"verb": 3}', b"null", b"[" * 100_000])
def test_nonsense_is_refused(line):
    with pytest.raises(WireError):
        decode_request(line)


def test_oversized_requests_are_refused_both_ways():
    with pytest.raises(WireError):
        encode_request("add", connection="x" * MAX_REQUEST)
    with pytest.raises(WireError):
        decode_request(b"x" * (MAX_REQUEST + 1))


def test_reply_has_three_digits_a_blank_and_one_line():
    assert encode_reply(4, "STATE_PARENT_I3:\nup") == b"004 STATE_PARENT_I3: up\n"
    assert decode_reply("134 sent v2I2\n") == (134, "sent v2I2")
    assert decode_reply("000 \n") == (0, "")


@pytest.mark.parametrize("line", ["", "12", "abc text"])
def test_reply_without_code_is_refused(line):
    with pytest.raises(WireError):
        decode_reply(line)
