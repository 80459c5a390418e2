# SPDX-License-Identifier: GPL-2.0-or-later
"""IKEv1's targets of `make fuzz-ike`: every payload parser by its name (V1_SA, V1_KE ...), V1_message, V1_content,
V1_pieces, and V1_transaction for XAUTH and Mode Config.

Only WireError may leave a parser, with a notification of IKEv1 or none; what parses comes out as the octets it was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from openswan.base.errors import WireError
from openswan.ike.v1.pieces import MOST_PARTIAL, Assembler
from openswan.policy.modecfg import ConfigRole
from openswan.wire.cursor import Reader
from openswan.wire.v1.fragment import Fragment
from openswan.wire.v1.header import Flags, Header
from openswan.wire.v1.ident import Id
from openswan.wire.v1.message import Content, Message, padded
from openswan.wire.v1.modecfg import Attributes
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import CfgType, ExchangeType, NotifyType, PayloadType
from openswan.wire.v1.payload import REGISTRY, emit_chain, parse_chain
from tests.unit.ike.v1.pair import Pair
from tests.unit.ike.v1.test_modecfg import pair_of as modecfg_pair
from tests.unit.ike.v1.test_xauth import pair_of as xauth_pair
from tests.unit.wire.v1.samples import PAYLOADS

Target = Callable[[bytes], None]
HEADER = Header(b"initiatr", bytes(8), ExchangeType.MAIN)
LONGEST = 65000


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """WireErrors that a peer of this version could be told of."""
    try:
        yield
    except WireError as why:
        assert why.notify is None or (isinstance(why.notify, NotifyType) and why.notify.is_error), why.notify


def payload(kind: PayloadType) -> Target:
    """A payload's body; what parses comes out again as it came, and what reads it further raises nothing else."""

    def target(data: bytes) -> None:
        if len(data) > LONGEST:
            return
        chain = bytes([0, 0]) + (len(data) + 4).to_bytes(2, "big") + data
        with refusals():
            found, used = parse_chain(kind, chain)
            assert used == len(chain)
            assert emit_chain(found) == (kind, chain)
            for one in found:
                if isinstance(one, Id):
                    one.addresses()
                if isinstance(one, Notify):
                    one.sequence()
        with contextlib.suppress(WireError):
            for one in parse_chain(kind, chain)[0]:
                if isinstance(one, Notify):
                    one.attributes()

    return target


def message(data: bytes) -> None:
    """A whole datagram."""
    with refusals():
        assert Message.parse(data).emit() == data


def content(data: bytes) -> None:
    """Decrypted octets behind the type of their first payload."""
    if data:
        with refusals():
            found = Content.parse(data[0], data[1:])
            assert emit_chain(found.payloads)[1] == found.octets
            found.hashed()


def pieces(data: bytes) -> None:
    """Pieces of messages, each behind its length in an octet: little is kept, what is joined has come."""
    assembler, at = Assembler(), 0
    while at < len(data):
        octets = data[at]
        with contextlib.suppress(WireError):
            whole = assembler.add(Fragment.parse(Reader(data[at + 1 : at + 1 + octets])), at / 8)
            assert whole is None or 0 < len(whole) <= len(data)
        at += 1 + octets
        assert len(assembler) <= MOST_PARTIAL


def transaction(data: bytes) -> None:
    """An authentic Transaction message to an end that waits for XAUTH or Mode Config, or for nothing any more.

    The first octet says which end, the second of what kind it is. Nobody gets in by what it says itself.
    """
    if len(data) < 2:
        return
    which, kind, rest = data[0] % 4, CfgType(data[1] % 6), data[2:]
    with contextlib.suppress(WireError):
        said = Attributes.parse(Reader(bytes([kind, 0, 0, 9]) + rest))
        config = {"config": ConfigRole.CLIENT if which == 2 else ConfigRole.NONE, "config_pull": False}
        pair = (modecfg_pair(False, a=config) if which == 2 else xauth_pair()) if which < 3 else Pair()
        pair.bend = lambda sent: [] if sent.data[18] == ExchangeType.TRANSACTION else [sent]
        pair.start().run()
        end = pair.b if which == 0 else pair.a
        before = len(end.sent())
        pair.forge(end, [said], 0x77, exchange=ExchangeType.TRANSACTION)
        assert len(end.sent()) - before <= 2
        assert all(line.isprintable() for line in end.lines())
        assert which != 0 or not end.sa.is_established


def targets() -> dict[str, Callable[[], Target]]:
    """Every target's name, and what makes it ready."""
    parsers = {f"V1_{kind.name}": (lambda kind=kind: payload(kind)) for kind in REGISTRY}  # type: ignore[misc]
    return {
        **parsers,
        "V1_message": lambda: message,
        "V1_content": lambda: content,
        "V1_pieces": lambda: pieces,
        "V1_transaction": lambda: transaction,
    }


def seeds(name: str) -> list[bytes]:
    """What an input of that target looks like."""
    if name == "V1_message":
        sealed = Message.encrypted(Header(b"initiatr", b"responde", ExchangeType.QUICK, Flags.ENCRYPTION, 7),
                                   PayloadType.HASH, bytes(64))  # fmt: skip
        return [*(Message.clear(HEADER, [one]).emit() for one in PAYLOADS), sealed.emit()]
    if name == "V1_content":
        chains = [padded(PAYLOADS, 16), *(padded([one], 16) for one in PAYLOADS)]
        return [bytes([first]) + chain for first, chain in chains]
    if name == "V1_transaction":
        login = b"\x40\x89\0\5carla\x40\x8a\0\1x"
        address = b"\0\1\0\4\x0a\x09\0\5\x70\0\0\2hi\x70\4\0\x0e\x0a\2\0\0\xff\xff\0\0" + bytes(6)
        status = b"\xc0\x8f\0\1"
        return [bytes([which, kind]) + body for which in range(4) for kind in range(1, 5)
                for body in (login, address, status, b"\x40\x88\0\0" + login)]  # fmt: skip
    if name == "V1_pieces":
        bodies = [Fragment(1, number, number == 3, bytes([number] * number)).emit() for number in (1, 3, 2, 4)]
        return [b"".join(bytes([len(one)]) + one for one in bodies)]
    return [one.emit() for one in PAYLOADS if f"V1_{one.type.name}" == name]
