# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading ipsec.secrets: records, includes, preshared keys, RSA keys inline and private keys in files.

A bad record is skipped with one line, `"FILE" line N: ...`, which never repeats what might be a secret.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from openswan.base.errors import ConfigError, CryptoError, IpsecError
from openswan.base.octets import parse_octets
from openswan.config import places
from openswan.config.files import MOST_FILES, NESTING, Reader, matching, read_text
from openswan.config.secrets import Index, Secret, SecretKind, SecretStore
from openswan.crypto.pkcs12 import Bundle, is_pkcs12, load_bundle
from openswan.crypto.rsakey import NAMES, PrivateKey, PublicKey, RsaFields, load_private
from openswan.crypto.tokenkey import SCHEME, SigningKey, TokenKey, TokenUri, parse_uri
from openswan.policy.identity import IdKind, parse_identity

MOST_SECRETS = 100_000
MOST_KEY_FILE = 1 << 20
MOST_INDICES = 4096
TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"[^"]*"|'[^']*')(?=[\s:]|$)|(?P<open>["'])|(?P<brace>[{}])|(?P<word>[^\s#{}]\S*))"""
)
BARE_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")

KeyReader = Callable[[str], bytes]
"""Name of a private key file to its content; ConfigError names the file."""
TokenReader = Callable[[TokenUri], PublicKey]
"""The public half of a key in a token; IpsecError says why it cannot be had."""
SMARTCARD = re.compile(r"%smartcard(?P<slot>[0-9]{1,9})?(@(?P<module>[^:]{1,255}))?:(?P<id>[0-9A-Fa-f]{2,64})")


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a record."""

    text: str
    line: int
    quoted: bool = False


@dataclass(slots=True)
class Record:
    """One record: where it starts and its words, the lines' indentation already taken care of."""

    where: tuple[str, int]
    words: list[Word] = field(default_factory=list)
    broken: str = ""
    """Why its words could not be told apart."""
    loose_brace: bool = False
    """A closing brace stood in the first column."""


def parse_secrets(
    text: str, name: str, reader: Reader, keys: KeyReader, tokens: TokenReader | None = None
) -> tuple[SecretStore, tuple[str, ...]]:
    """The secrets of a file and what it includes, and one line for each record that was skipped.

    `reader` opens includes, `keys` private key files, `tokens` asks a token for a public key. Never raises for what is
    in the file.
    """
    loader = _Loader(reader, keys, tokens)
    loader.file(text, name, ())
    return SecretStore(tuple(loader.secrets)), tuple(loader.complaints)


def load_secrets(
    path: str | os.PathLike[str] | None = None,
    tokens: TokenReader | None = None,
    ipsec_d: Path | None = None,
) -> tuple[SecretStore, tuple[str, ...]]:
    """The secrets of ipsec.secrets and its complaints; key files are in `private` of ipsec.d.

    Both are by default where config setup says. A file others can read is refused with one line, as is one that is not
    there; the store is empty then.
    """
    name = os.fspath(path if path is not None else places.secrets_file())
    try:
        text = _private_text(name)
    except ConfigError as why:
        return SecretStore(), (why.reason,)

    return parse_secrets(text, name, _includes, key_reader(str((ipsec_d or places.ipsec_d()) / "private")), tokens)


def _includes(pattern: str, directory: str) -> list[tuple[str, str]]:
    return [(found, _private_text(found)) for found in matching(pattern, directory) if not os.path.isdir(found)]


def p12_passphrases(file: str, secrets: Path | None = None) -> list[str]:
    """The passphrases that ipsec.secrets has for a PKCS#12 file, for whoever wants its certificates alone."""
    path = os.fspath(secrets or places.secrets_file())
    try:
        text = _private_text(path)
    except ConfigError:
        return []

    def no_keys(name: str) -> bytes:
        raise ConfigError("not now")

    loader = _Loader(_includes, no_keys, None)
    loader.file(text, path, ())
    return loader.passphrases.get(file, [])


def key_reader(directory: str) -> KeyReader:
    """Reads private key files relative to `directory`; those that others can read are refused."""

    def read(name: str) -> bytes:
        path = os.path.join(directory, name)
        _check_mode(path)
        try:
            with open(path, "rb") as file:
                data = file.read(MOST_KEY_FILE + 1)
        except (OSError, ValueError) as why:
            raise ConfigError(f"cannot read private key '{path}': {_reason(why)}") from None
        if len(data) > MOST_KEY_FILE:
            raise ConfigError(f"private key '{path}' is larger than {MOST_KEY_FILE >> 10} KiB")
        return data

    return read


def _private_text(path: str) -> str:
    _check_mode(path)
    return read_text(path)


def _check_mode(path: str) -> None:
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError as why:
        remedy = f"put your keys there, mode 0600 (ipsec newhostkey --output {path} makes one)"
        raise ConfigError(f"cannot read '{path}': {_reason(why)}; {remedy}") from None
    except (OSError, ValueError) as why:
        raise ConfigError(f"cannot read '{path}': {_reason(why)}") from None
    if mode & 0o077:
        raise ConfigError(f"'{path}' is refused: others can read it (mode {mode:04o}); run: chmod 600 {path}")


def _reason(why: Exception) -> str:
    return why.strerror if isinstance(why, OSError) and why.strerror else "not a file name"


@dataclass(slots=True)
class _Loader:
    reader: Reader
    keys: KeyReader
    tokens: TokenReader | None
    passphrases: dict[str, list[str]] = field(default_factory=dict)
    """Of PKCS#12 files, by name."""
    secrets: list[Secret] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    files: int = 1

    def complain(self, where: tuple[str, int], text: str) -> None:
        self.complaints.append(f'"{where[0]}" line {where[1]}: {text}')

    def file(self, text: str, name: str, above: tuple[str, ...]) -> None:
        for record in _records(text, name):
            if record.broken:
                self.complain(record.where, record.broken)
            elif record.words[0].text.lower() == "include" and not record.words[0].quoted:
                self.include(record, name, above)
            elif len(self.secrets) >= MOST_SECRETS:
                self.complain(record.where, f"more than {MOST_SECRETS} secrets; this and later ones are ignored")
                return
            else:
                try:
                    self.secrets += self.record(record)
                except (ConfigError, CryptoError) as why:
                    self.complain(record.where, str(why))

    def include(self, record: Record, name: str, above: tuple[str, ...]) -> None:
        if len(record.words) != 2:
            self.complain(record.where, "include wants one file name or pattern")
            return
        pattern = record.words[1].text
        if len(above) >= NESTING:
            self.complain(record.where, f'preshared secrets file "{pattern}" nested too deeply')
            return
        try:
            found = self.reader(pattern, os.path.dirname(name))
        except ConfigError as why:
            self.complain(record.where, why.reason)
            return
        if not found:
            self.complain(record.where, f'no secrets filename matched "{pattern}"')
        for path, text in found:
            self.files += 1
            if path in (name, *above):
                self.complain(record.where, f"'{path}' includes itself")
            elif self.files > MOST_FILES:
                self.complain(record.where, f"more than {MOST_FILES} files are included")
                return
            else:
                self.file(text, path, (*above, name))

    def record(self, record: Record) -> list[Secret]:
        words = record.words
        colon = next((at for at, word in enumerate(words) if word.text == ":" and not word.quoted), None)
        if colon is None:
            raise ConfigError("a ':' must stand between the indices and the secret")
        if colon > MOST_INDICES:
            raise ConfigError(f"more than {MOST_INDICES} indices")
        indices = tuple(self.index(word, place) for place, word in enumerate(words[:colon], 1))
        where = f"{record.where[0]}:{record.where[1]}"
        rest = words[colon + 1 :]
        if not rest:
            raise ConfigError("nothing follows the ':': PSK, RSA, ECDSA, P12, PIN, XAUTH or EAP is wanted")
        if rest[0].quoted:
            return [Secret(SecretKind.PSK, indices, where, shared=_shared(rest))]
        kind = rest[0].text.upper()
        if kind == "PSK":
            return [Secret(SecretKind.PSK, indices, where, shared=_shared(rest[1:]))]
        if kind in ("XAUTH", "EAP"):
            return [Secret(SecretKind.XAUTH, indices, where, shared=_shared(rest[1:]))]
        if kind == "PPKS":
            if len(rest) != 3 or not rest[1].text:
                raise ConfigError('PPKS: the name of the key and the key are wanted, as in PPKS "name" "secret"')
            return [Secret(SecretKind.PPK, indices, where, shared=_shared(rest[2:]), name=rest[1].text)]
        if kind in ("RSA", "ECDSA", "EDDSA", "PKCS8"):
            key, certificates = self.private_key(rest[1:], record.loose_brace)
            return [Secret(SecretKind.PRIVATE_KEY, indices, where, key=key, certificates=certificates)]
        if kind in ("P12", "PKCS12"):
            bundle = self.bundle(*_file_and_passphrase(rest[1:]))
            return [Secret(SecretKind.PRIVATE_KEY, indices, where, key=bundle.key, certificates=bundle.certificates)]
        if kind == "PIN":
            name, pin = _file_and_passphrase(rest[1:])
            return [Secret(SecretKind.PRIVATE_KEY, indices, where, key=self.token(name, pin))]
        # What stands here may be a secret whose PSK was forgotten: do not show it.
        raise ConfigError("unrecognized key format: PSK, RSA, ECDSA, XAUTH or EAP is wanted after the ':'")

    @staticmethod
    def index(word: Word, place: int) -> Index:
        try:
            return parse_index(word)
        except ConfigError:
            # Not shown: with the colon in the wrong place this may be the secret.
            raise ConfigError(
                f"index {place} is no identity: an address, a name, @name, user@name, a distinguished name or %any is"
            ) from None

    def private_key(self, words: list[Word], loose_brace: bool) -> tuple[SigningKey, tuple[bytes, ...]]:
        """The key, and the certificates that came with it."""
        if not words:
            raise ConfigError("a key in { } or the name of a key file is wanted")
        if words[0].text == "{" and not words[0].quoted:
            if loose_brace:
                raise ConfigError("malformed end of RSA private key -- indented '}' required")
            return inline_key(words[1:]), ()
        name, passphrase = _file_and_passphrase(words)
        if name.startswith(SCHEME):
            return self.token(name, passphrase), ()
        data = self.keys(name)
        try:
            if is_pkcs12(data):
                bundle = load_bundle(data, passphrase)
                return bundle.key, bundle.certificates
            return load_private(data, passphrase), ()
        except CryptoError as why:
            raise ConfigError(f"'{name}': {why}") from None

    def bundle(self, name: str, passphrase: str) -> Bundle:
        """What a PKCS#12 file holds."""
        self.passphrases.setdefault(name, []).append(passphrase)
        try:
            return load_bundle(self.keys(name), passphrase)
        except CryptoError as why:
            raise ConfigError(f"'{name}': {why}") from None

    def token(self, name: str, pin: str) -> TokenKey:
        """A key in a PKCS#11 token, by its URI or in the form of smart cards."""
        uri = smartcard(name) if name.startswith("%smartcard") else parse_uri(name)
        if pin and pin != "%pinpad":
            uri = replace(uri, pin=pin)
        if self.tokens is None:
            raise ConfigError("keys in tokens are for pluto alone")
        try:
            return TokenKey(uri, self.tokens(uri))
        except IpsecError as why:
            raise ConfigError(f"'{name}': {why}") from None


def _file_and_passphrase(words: list[Word]) -> tuple[str, str]:
    if not words:
        raise ConfigError("the name of a key file is wanted")
    if len(words) > 2:
        raise ConfigError("a key file's name and at most a passphrase are wanted; quote what has blanks")
    passphrase = words[1].text if len(words) == 2 else ""
    if passphrase == "%prompt" and not words[1].quoted:
        raise ConfigError(f"'{words[0].text}': %prompt is not available; write the passphrase here")
    return words[0].text, passphrase


def smartcard(text: str) -> TokenUri:
    """`%smartcard[SLOT][@MODULE]:ID`, the classic way to name a key; ID is hexadecimal."""
    found = SMARTCARD.fullmatch(text)
    if found is None or len(found["id"]) % 2:
        raise ConfigError("%smartcard[SLOT][@MODULE]:ID is wanted, with ID in whole hexadecimal octets, or pkcs11:...")
    return TokenUri(slot=int(found["slot"] or -1), module=found["module"] or "", id=bytes.fromhex(found["id"]))


def parse_index(word: Word) -> Index:
    """One index; ConfigError when it is none."""
    if word.text.lower() in ("%any", "%any6", "0.0.0.0", "::"):
        return Index(version=6 if word.text.lower() in ("%any6", "::") else 4)
    identity = parse_identity(word.text)
    if identity.kind is IdKind.FQDN and word.text[:1] != "@" and BARE_NAME.fullmatch(word.text):
        return Index(name=word.text)
    return Index(identity)


def inline_key(words: list[Word]) -> PrivateKey:
    """The RSA key between braces, its fields in their fixed order, checked as numbers."""
    if not words or words[-1].text != "}" or words[-1].quoted:
        raise ConfigError("malformed end of RSA private key -- indented '}' required")
    texts = [word.text for word in words[:-1] if word.text != ":"]
    values: dict[str, int] = {}
    for name in NAMES.values():
        at = len(values) * 2
        if len(texts) < at + 2 or texts[at].rstrip(":").lower() != name.lower():
            raise ConfigError(f"{name} keyword not found where expected in RSA key")
        try:
            values[name] = int.from_bytes(parse_octets(texts[at + 1]), "big")
        except ConfigError as why:
            raise ConfigError(f"{name} in RSA key: {why.reason}") from None
    rest = texts[2 * len(NAMES) :]
    if rest and rest[0].rstrip(":").lower() != "ckaidnss":
        raise ConfigError("RSA key holds more than its fields")
    return RsaFields.named(values).key()


def _shared(words: list[Word]) -> bytes:
    if len(words) != 1:
        raise ConfigError("PSK data malformed: one word is wanted, quoted if it has blanks")
    if words[0].quoted:
        secret = words[0].text.encode("utf-8", "surrogateescape")
    elif words[0].text.startswith("0"):
        try:
            secret = parse_octets(words[0].text)
        except ConfigError as why:
            raise ConfigError(f"PSK data malformed ({why.reason})") from None
    else:
        raise ConfigError("PSK data malformed: PSK must start with a double-quote or a zero.")
    if not secret:
        raise ConfigError("PSK data malformed: the secret is empty")
    return secret


def _records(text: str, name: str) -> Iterator[Record]:
    """Cut a file into records: what starts in the first column and the indented lines after it."""
    current: Record | None = None
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped or stripped[0] == "#":
            continue
        if line[0] in "}" and current is not None and any(word.text == "{" for word in current.words):
            current.loose_brace = True
            continue
        if not line[0].isspace() or current is None:
            if current is not None:
                yield current
            current = Record((name, number))
            if line[0].isspace():
                current.broken = "a record must begin in the first column"
        try:
            current.words += _words(stripped, number)
        except ConfigError as why:
            current.broken = current.broken or why.reason
    if current is not None:
        yield current


def _words(line: str, number: int) -> list[Word]:
    """The words of a line; a `:` that ends a word or stands alone becomes a word of its own."""
    words: list[Word] = []
    at = 0
    while at < len(line):
        found = TOKEN.match(line, at)
        if found is None:
            break  # nothing but blanks and a comment
        at = found.end()
        if found["open"]:
            raise ConfigError(f"{found['open']} without the closing {found['open']}")
        if found["quoted"] is not None:
            words.append(Word(found["quoted"][1:-1], number, True))
            if line[at : at + 1] == ":":
                words.append(Word(":", number))
                at += 1
        elif found["brace"]:
            words.append(Word(found["brace"], number))
        else:
            words += _split_colon(found["word"], number)
    return words


def _split_colon(word: str, number: int) -> list[Word]:
    if word == ":":
        return [Word(word, number)]
    if word.startswith(":") and not word.startswith("::"):
        return [Word(":", number), Word(word[1:], number)]
    if word.endswith(":") and not word.endswith("::"):
        return [Word(word[:-1], number), Word(":", number)]
    return [Word(word, number)]
