# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys in PKCS#11 tokens: finding one by its URI, and having it sign in a thread of its own.

The library `python-pkcs11` is wanted only where such a key is configured: `pip install openswan[pkcs11]`. Whatever the
token's shared library does happens in one thread, off the event loop; a session stays open, because logging in is slow.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509 import load_der_x509_certificate

from openswan.base.errors import HostError
from openswan.crypto.rsakey import PublicKey
from openswan.crypto.sign import RAW_ECDSA, RAW_RSA, Encoding, Scheme
from openswan.crypto.tokenkey import TokenKey, TokenUri

DEFAULT_MODULE = "p11-kit-proxy.so"
"""Offers every token of the system where p11-kit is installed; found by the dynamic linker."""
SLOW = 30.0
"""Seconds a token may take."""
MOST_PIN = 256


class Tokens:
    """The tokens of this machine."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "pkcs11")
        self._sessions: dict[tuple[str, str, int], Any] = {}

    def public(self, uri: TokenUri) -> PublicKey:
        """The public half of a key; HostError says why it cannot be had. Blocks until the token answers."""
        try:
            return self._thread.submit(self._public, uri).result(SLOW)
        except TimeoutError:
            raise HostError(f"the token does not answer within {SLOW:g} s") from None

    async def sign(self, key: TokenKey, scheme: Scheme, octets: bytes) -> bytes:
        """A signature as `crypto.sign.sign` makes it; HostError when the token refuses."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(SLOW):
                return await loop.run_in_executor(self._thread, self._sign, key.uri, scheme, octets)
        except TimeoutError:
            raise HostError(f"the token does not answer within {SLOW:g} s") from None

    def close(self) -> None:
        """Log out and end the thread; a token that hangs is not waited for."""
        self._thread.submit(self._log_out)
        self._thread.shutdown(wait=False)

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _public(self, uri: TokenUri) -> PublicKey:
        import pkcs11
        import pkcs11.util.ec
        import pkcs11.util.rsa

        with _Refusals():
            private = self._find(uri)
            if private.key_type is pkcs11.KeyType.RSA:
                return _loaded(pkcs11.util.rsa.encode_rsa_public_key(private))
            session = private.session
            for kind in (pkcs11.ObjectClass.PUBLIC_KEY, pkcs11.ObjectClass.CERTIFICATE):
                for found in session.get_objects({pkcs11.Attribute.CLASS: kind, **_named(uri, private)}):
                    if kind is pkcs11.ObjectClass.CERTIFICATE:
                        return _certified(found[pkcs11.Attribute.VALUE])
                    return _loaded(pkcs11.util.ec.encode_ec_public_key(found))
        raise HostError("the token holds neither the public key nor a certificate beside the private key")

    def _sign(self, uri: TokenUri, scheme: Scheme, octets: bytes) -> bytes:
        with _Refusals():
            try:
                return _signature(self._find(uri), scheme, octets)
            except HostError:
                raise
            except Exception:  # the session may have ended: the token was taken out and put back
                self._forget(uri)
                return _signature(self._find(uri), scheme, octets)

    def _find(self, uri: TokenUri) -> Any:
        """The private key."""
        import pkcs11

        attributes: dict[Any, Any] = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY}
        if uri.label:
            attributes[pkcs11.Attribute.LABEL] = uri.label
        if uri.id:
            attributes[pkcs11.Attribute.ID] = uri.id
        found = list(self._session(uri).get_objects(attributes))
        if len(found) != 1:
            raise HostError(f"{len(found) or 'no'} private keys in the token fit the URI: object= and id= name one")
        return found[0]

    def _session(self, uri: TokenUri) -> Any:
        name = self._name(uri)
        if name not in self._sessions:
            import pkcs11

            token = _token(uri)
            pin = _pin(uri)
            try:
                self._sessions[name] = token.open(user_pin=pin) if pin else token.open()
            except pkcs11.UserAlreadyLoggedIn:  # by another URI: a process logs in once
                self._sessions[name] = token.open()
        return self._sessions[name]

    @staticmethod
    def _name(uri: TokenUri) -> tuple[str, str, int]:
        return uri.module, uri.token + uri.serial, uri.slot

    def _log_out(self) -> None:
        while self._sessions:
            _close(self._sessions.popitem()[1])

    def _forget(self, uri: TokenUri) -> None:
        session = self._sessions.pop(self._name(uri), None)
        if session is not None:
            _close(session)


def _close(session: Any) -> None:
    with suppress(Exception):  # it may be what has failed
        session.close()


class _Refusals:
    """Whatever the library raises becomes a HostError."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, why: BaseException | None, trace: object) -> None:
        if isinstance(why, Exception) and not isinstance(why, HostError):
            name = type(why).__name__
            raise HostError(f"{name}{f' ({why})' if str(why) else ''}") from None


def _token(uri: TokenUri) -> Any:
    """The one token the URI names."""
    try:
        import pkcs11
    except ImportError:
        raise HostError("keys in tokens need python-pkcs11: pip install python-pkcs11") from None
    module = uri.module or DEFAULT_MODULE
    try:
        slots = pkcs11.lib(module).get_slots(token_present=True)
    except Exception as why:
        raise HostError(f"cannot use the PKCS#11 module '{module}': {why}; name it by ?module-path=") from None
    found = []
    for slot in slots:
        token = slot.get_token()
        given = (
            (uri.token, token.label),
            (uri.manufacturer, token.manufacturer_id),
            (uri.model, token.model),
            (uri.serial, token.serial.decode("ascii", "replace")),
        )
        fits = all(not wanted or wanted == got.strip() for wanted, got in given)
        if fits and uri.slot in (-1, slot.slot_id) and pkcs11.TokenFlag.TOKEN_INITIALIZED in token.flags:
            found.append(token)
    if len(found) != 1:
        raise HostError(f"{len(found) or 'no'} tokens fit the URI: token=, serial= and slot-id= name one")
    return found[0]


def _pin(uri: TokenUri) -> str:
    if uri.pin or not uri.pin_source:
        return uri.pin
    path = Path(uri.pin_source)
    try:
        if path.stat().st_mode & 0o077:
            raise HostError(f"'{path}' is refused: others can read it; run: chmod 600 {path}")
        with path.open("rb") as file:
            return file.read(MOST_PIN).decode().strip()
    except (OSError, UnicodeDecodeError) as why:
        raise HostError(f"the PIN cannot be read from '{path}': {why}") from None


def _named(uri: TokenUri, private: Any) -> dict[Any, Any]:
    """What belongs to a private key has its id, or else its label."""
    import pkcs11

    number = uri.id or private.id
    return {pkcs11.Attribute.ID: number} if number else {pkcs11.Attribute.LABEL: uri.label}


def _signature(key: Any, scheme: Scheme, octets: bytes) -> bytes:
    from pkcs11 import MGF, Mechanism

    if scheme == RAW_RSA:
        return bytes(key.sign(octets, mechanism=Mechanism.RSA_PKCS))
    if scheme.encoding is Encoding.PKCS1:
        return bytes(key.sign(octets, mechanism=getattr(Mechanism, f"{scheme.hash.upper()}_RSA_PKCS")))
    if scheme.encoding is Encoding.PSS:
        name = scheme.hash.upper()
        parameters = (getattr(Mechanism, name), getattr(MGF, name), hashlib.new(scheme.hash).digest_size)
        mechanism = getattr(Mechanism, f"{name}_RSA_PKCS_PSS")
        return bytes(key.sign(octets, mechanism=mechanism, mechanism_param=parameters))
    if scheme.encoding is Encoding.EDDSA:
        return bytes(key.sign(octets, mechanism=Mechanism.EDDSA))
    # Tokens sign a hash and give r and s side by side.
    digest = octets if scheme == RAW_ECDSA else hashlib.new(scheme.hash, octets).digest()
    raw = bytes(key.sign(digest, mechanism=Mechanism.ECDSA))
    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))


def _loaded(der: bytes) -> PublicKey:
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as why:
        raise HostError(f"the token's public key cannot be read: {why}") from None
    return _used(key)


def _certified(der: bytes) -> PublicKey:
    try:
        return _used(load_der_x509_certificate(der).public_key())
    except ValueError as why:
        raise HostError(f"the token's certificate cannot be read: {why}") from None


def _used(key: object) -> PublicKey:
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        return key
    raise HostError("the token's key is neither RSA nor ECDSA nor Ed25519")
