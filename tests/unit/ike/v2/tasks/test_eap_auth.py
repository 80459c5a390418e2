# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE_AUTH by EAP: passwords, certificates, EAP alone, and every way it must not end well."""

from __future__ import annotations

from typing import Any

import pytest

from openswan.ike.eap import mschapv2
from openswan.ike.eap.peer import EapPeer
from openswan.ike.effects import IkeFailed
from openswan.ike.policy import IkePolicy
from openswan.ike.v2.states import State
from openswan.ike.v2.tasks import eap_auth
from openswan.policy.connection import Auth as Means
from openswan.policy.identity import parse_identity, user_identity
from openswan.wire.v2.auth import Auth
from openswan.wire.v2.eap import Eap, EapCode, EapType
from openswan.wire.v2.numbers import AuthMethod
from tests.unit.ike.pair import Pair
from tests.unit.ike.pki import authority, certified, holder

WHOLE = {"fragmentation": False}
MSCHAP = {"private_key": None, "certificates": (), **WHOLE}


def client(**more: Any) -> IkePolicy:
    """A road warrior with a password, that knows the server's authority."""
    values: dict[str, Any] = {"my_auth": Means.EAP_MSCHAPV2, "eap_identity": "joe", **MSCHAP}
    return certified("a", "b", **{**values, **more})


def server(**more: Any) -> IkePolicy:
    values: dict[str, Any] = {"peer_auth": Means.EAP_MSCHAPV2, "peer_id": None, **WHOLE}
    return certified("b", "a", **{**values, **more})


def pair(a: IkePolicy | None = None, b: IkePolicy | None = None, theirs: str = "secret", ours: str = "secret") -> Pair:
    it = Pair(a or client(), b or server())
    it.a.ask.passwords, it.b.ask.passwords = {"joe": theirs}, {"joe": ours, "ann": "x"}
    return it


def tls(kind: Means = Means.EAP_TLS, b: dict[str, Any] | None = None, **more: Any) -> Pair:
    return pair(certified("a", "b", my_auth=kind, **WHOLE, **more), certified("b", "a", peer_auth=kind, **(b or {})))


def refused(it: Pair, reason: str) -> None:
    it.start()
    it.pass_time(200)
    reasons = [e.reason for side in (it.a, it.b) for e in side.seen(IkeFailed)]
    assert any(reason in text for text in reasons), reasons
    assert not it.a.machines and not it.b.machines
    assert not it.a.installed and not it.b.installed


def eap_of(it: Pair) -> list[tuple[str, Eap]]:
    return [(d.sender.name, p) for d in it.log if d.data[18] == 35 for p in it.peek(d) if isinstance(p, Eap)]


def test_a_password() -> None:
    it = pair().up()
    it.agree()
    assert it.b.sa.peer_id == user_identity("joe") and it.a.sa.peer_id == parse_identity("@b")
    kinds = [(who, p.code, p.kind) for who, p in eap_of(it)]
    assert kinds[0] == ("b", EapCode.REQUEST, EapType.IDENTITY) and kinds[-1][1] == EapCode.SUCCESS
    proofs = [(d.sender.name, p.method) for d in it.log if d.data[18] == 35 for p in it.peek(d) if isinstance(p, Auth)]
    shared = AuthMethod.SHARED_KEY
    assert proofs == [("b", AuthMethod.DIGITAL_SIGNATURE), ("a", shared), ("b", shared)]
    assert any("theirsig=EAP_MSCHAPV2" in line for line in it.b.logs())
    assert any("oursig=EAP_MSCHAPV2" in line for line in it.a.logs())
    assert it.b.sa.rounds is None


@pytest.mark.parametrize("lost", range(6))
def test_every_message_may_be_lost_once(lost: int) -> None:
    it = pair()
    seen: set[bytes] = set()

    def drop(datagram: Any) -> bool:
        if datagram.data[18] != 35 or datagram.data in seen:
            return True
        seen.add(datagram.data)
        return len(seen) != lost + 1

    it.filter = drop
    it.start()
    it.pass_time(20)
    it.agree()
    assert it.a.installed


def test_wrong_passwords() -> None:
    it = pair(ours="other")
    refused(it, "wrong password of 'joe', or no such user")
    assert any("refuses our user name or password" in line for line in it.a.logs())
    refused(pair(client(eap_identity="nobody")), "no password of 'nobody' in ipsec.secrets")


def test_only_the_user_of_eap_identity() -> None:
    refused(pair(b=server(eap_identity="ann")), "wrong password")
    pair(b=server(eap_identity="joe")).up()


def test_certificates_in_eap() -> None:
    it = tls().up()
    it.agree()
    assert it.b.sa.peer_id == parse_identity("@a"), "what it claims and its certificate says"
    assert len(eap_of(it)) > 6


def test_a_certificate_that_says_something_else() -> None:
    it = tls(b={"peer_id": None}, my_id=parse_identity("@other")).up()
    assert str(it.b.sa.peer_id).endswith("CN=a"), "what its certificate says"
    refused(tls(b={"peer_id": parse_identity("@c")}, my_id=parse_identity("@c")), "we require peer to have ID '@c'")


def test_a_client_of_another_authority() -> None:
    refused(tls(b={"anchors": (authority("ecdsa", 3).der,)}), "EAP failed")


def test_nothing_but_eap() -> None:
    """The server does not sign: its TLS certificate must be that of whom we want (RFC 5998)."""
    only = Means.EAP_ONLY
    a, b = (certified(*names, my_auth=only, peer_auth=only, **WHOLE) for names in ("ab", "ba"))
    it = pair(a, b).up()
    it.agree()
    proofs = [p for d in it.log if d.data[18] == 35 for p in it.peek(d) if isinstance(p, Auth)]
    assert [p.method for p in proofs] == [AuthMethod.SHARED_KEY] * 2
    impostor = certified("b", "a", my_auth=only, peer_auth=only, certificates=(holder("c").der,),
                         private_key=holder("c").key)  # fmt: skip
    refused(pair(a, impostor), "vouch for identity '@b'")


def test_eap_alone_must_be_wanted_by_both() -> None:
    only = Means.EAP_ONLY
    b = certified("b", "a", my_auth=only, peer_auth=only)
    refused(pair(certified("a", "b", my_auth=Means.EAP_TLS), b), "IKE_AUTH")
    # A password alone does not prove a server.
    refused(pair(client(peer_auth=only), certified("b", "a", my_auth=only, peer_auth=Means.EAP_MSCHAPV2,
                 peer_id=None)), "EAP")  # fmt: skip


def test_no_password_for_a_server_that_has_not_proved_itself() -> None:
    refused(pair(client(anchors=(authority("ecdsa", 3).der,))), "not trusted")


def test_the_servers_wish_for_something_else() -> None:
    refused(pair(b=server(peer_auth=Means.RSASIG)), "does not allow it")
    refused(pair(client(my_auth=Means.EAP_TLS), server()), "which the connection does not allow")


def test_either_method_by_nak() -> None:
    both = Means.EAP_TLS | Means.EAP_MSCHAPV2
    it = pair(b=server(peer_auth=both)).up()
    it.agree()
    assert EapType.NAK in {p.kind for _, p in eap_of(it)}


def test_a_forged_success_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that skips its part of the method proves nothing, and gets no AUTH from us (CVE-2021-45079)."""
    real = eap_auth.ServerRounds.take

    def hurry(self: Any, sa: Any, request: Any) -> Any:
        real(self, sa, request)
        return [Eap(EapCode.SUCCESS, 9)]

    monkeypatch.setattr(eap_auth.ServerRounds, "take", hurry)
    refused(pair(), "success before the method has ended")


def test_auth_before_success_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An initiator that leaves EAP out (CVE-2015-8023)."""

    def skip(self: Any, packet: Any) -> None:
        self._method = mschapv2.MschapPeer("joe", "", type("R", (), {"octets": lambda self, n: bytes(n)})())
        self._method.msk, self._over = bytes(64), True

    monkeypatch.setattr(EapPeer, "take", skip)
    refused(pair(), "IKE_AUTH request with EAP without EAP payload")


def test_a_wrong_last_auth(monkeypatch: pytest.MonkeyPatch) -> None:
    real = EapPeer.msk.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(EapPeer, "msk", property(lambda self: real(self) and bytes(64)))
    refused(pair(), "EAP authentication failed AUTH mismatch")


def test_a_half_open_sa_ends_in_time() -> None:
    it = pair()
    it.start()
    it.filter = lambda datagram: len([d for d in it.log if d.data[18] == 35]) < 4
    it.pass_time(30)
    assert it.b.sa.state is State.R1
    it.pass_time(200)
    assert not it.a.machines and not it.b.machines


def test_who_answers_cannot_prove_itself_by_eap() -> None:
    """The server initiates towards a road warrior that has only a password."""
    refused(pair(server(peer_id=parse_identity("@a")), client()), "AUTHENTICATION_FAILED")


def test_a_client_that_gives_up_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of EAP it says so in an INFORMATIONAL exchange, which is answered; before EAP nobody may."""
    it = pair(theirs="")
    it.a.ask.passwords = {}
    it.start()
    it.run()
    assert any("gives up in the middle of EAP" in e.reason for e in it.b.seen(IkeFailed))
    assert it.b.sa.state is State.LINGER
    it.pass_time(60)
    assert not it.a.machines and not it.b.machines


def test_something_else_in_the_middle_changes_nothing() -> None:
    it = pair()
    it.start()
    for _ in range(4):
        it.step()
    assert it.b.sa.rounds is not None
    it.filter = lambda datagram: False
    it.inject(it.a, it.forge(it.a, 37, [], message_id=it.b.sa.receive_window.expected))
    assert it.b.sa.state is State.R1 and it.b.sa.rounds is not None
    it.inject(it.a, it.forge(it.a, 36, [], message_id=it.b.sa.receive_window.expected))
    assert it.b.sa.state is State.R1
