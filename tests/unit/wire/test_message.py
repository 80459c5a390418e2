# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.message promises."""

from __future__ import annotations

import pytest

from openswan.base.errors import WireError
from openswan.wire.header import NO_SPI, Flags, Header
from openswan.wire.message import Message, sk_prefix, skf_prefix
from openswan.wire.v2.fragment import Skf
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ExchangeType, NotifyType, PayloadType
from openswan.wire.v2.sk import Sk
from openswan.wire.v2.vendor import VendorId

HEADER = Header(b"initiatr", NO_SPI, ExchangeType.IKE_SA_INIT, Flags.INITIATOR)
PLAIN = Message(HEADER, (Nonce(bytes(16)), Notify(NotifyType.COOKIE, b"c"), Notify(NotifyType.REDIRECT_SUPPORTED)))


def test_a_message_in_clear_round_trips() -> None:
    data = PLAIN.emit()
    again = Message.parse(data)
    assert again.payloads == PLAIN.payloads
    assert (again.header.length, again.header.next_payload) == (len(data), PayloadType.NONCE)
    assert again.encrypted is None
    with pytest.raises(WireError, match="without an Encrypted payload"):
        again.associated(data)


def test_finding_payloads() -> None:
    assert PLAIN.first(Nonce) == Nonce(bytes(16))
    assert PLAIN.first(VendorId) is None
    assert len(PLAIN.all(Notify)) == 2
    cookie = PLAIN.notify(NotifyType.COOKIE)
    assert cookie is not None
    assert cookie.data == b"c"
    assert PLAIN.notify(NotifyType.INVALID_SYNTAX) is None


@pytest.mark.parametrize("outer", [(), (VendorId(b"v"),), (VendorId(b"v"), Notify(NotifyType.COOKIE))])
def test_prefix_and_associated_data_agree(outer: tuple[VendorId | Notify, ...]) -> None:
    """RFC 5282 5.1: the associated data is all from the header through SK's generic header."""
    body = b"iv and ciphertext and icv"
    prefix = sk_prefix(HEADER, PayloadType.ID_I, len(body), outer)
    data = prefix + body
    message = Message.parse(data)
    assert message.payloads == (*outer, Sk(PayloadType.ID_I, body))
    assert message.encrypted == Sk(PayloadType.ID_I, body)
    assert message.associated(data) == prefix
    assert Message(HEADER, message.payloads).emit() == data


def test_a_fragments_numbers_are_associated_data() -> None:
    body = b"sealed"
    prefix = skf_prefix(HEADER, PayloadType.NONE, 2, 3, len(body))
    message = Message.parse(prefix + body)
    assert message.encrypted == Skf(PayloadType.NONE, 2, 3, body)
    assert message.associated(prefix + body) == prefix
    assert prefix[-4:] == bytes.fromhex("00020003")


def test_truncated_at_each_octet() -> None:
    data = PLAIN.emit()
    for end in range(len(data)):
        with pytest.raises(WireError):
            Message.parse(data[:end])
        claimed = data[:24] + end.to_bytes(4, "big") + data[28:end]
        if end >= 28:
            with pytest.raises(WireError):
                Message.parse(claimed)


def test_nothing_longer_than_a_datagram_is_emitted() -> None:
    with pytest.raises(WireError, match="longer than 65535"):
        Message(HEADER, (VendorId(bytes(65535 - 4)),)).emit()
    with pytest.raises(WireError, match="longer than 65535"):
        sk_prefix(HEADER, PayloadType.NONE, 65520)
    largest = Message(HEADER, (VendorId(bytes(65535 - 32)),)).emit()
    assert Message.parse(largest).emit() == largest


def test_other_versions_are_not_parsed() -> None:
    data = bytearray(PLAIN.emit())
    data[17] = 0x10
    with pytest.raises(WireError, match=r"IKE version 1\.0"):
        Message.parse(bytes(data))
