# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec _keycensor` and `_secretcensor`: configuration as others may see it; what is not understood is left out."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator

from openswan.cli.syntax import Given, Syntax, run

SECRET_WORDS = re.compile(
    r"^(?P<head>\s*#?\s*(?P<name>[A-Za-z0-9_-]*(?:key2?|secret|pass(?:word|wd|phrase)?|pin|psk)[A-Za-z0-9_-]*)"
    r"\s*=\s*)(?P<value>.*)$",
    re.IGNORECASE,
)
"""keyword=value where the value is, or may be, a key."""
PLAIN = re.compile(r"%[a-z0-9-]+|yes|no|ike|ikev[12]|isakmp|oakley|rfc7296|never", re.IGNORECASE)
"""Values of such keywords that say something and hide nothing (keyexchange=, leftrsasigkey=%cert)."""
KINDS = {"psk", "rsa", "ecdsa", "pkcs8", "pem", "xauth", "eap", "ntlm", "pin", "p12", "ppks", "ppk", "ed25519", "ed448"}
FILES = {"rsa", "ecdsa", "pkcs8", "pem", "p12", "ed25519", "ed448"}
"""Kinds whose first word names a file."""
DATA = r"(?!.*0[xst][A-Za-z0-9+/_=]{8})"
FILE = re.compile(DATA + r"[A-Za-z0-9_./-]{1,128}\Z")
INDEX = re.compile(DATA + r"[A-Za-z0-9@%._:*#/=-]{1,256}")
FIELD = re.compile(r"\s+(?P<field>[A-Za-z][A-Za-z0-9]*:)(?P<rest>.*)")
REMARK = re.compile(
    r"\s*# (RSA|ECDSA) [0-9]+ bits\s[A-Za-z0-9 .:_-]*\Z"
    r"|\s*# (do not change the indenting of that \"}\"|everything after this point is secret"
    r"|for signatures only, UNSAFE FOR ENCRYPTION)\Z"
)
"""Comments that rsasigkey and newhostkey write."""
PUBLIC = re.compile(r"\s*#\s*pubkey=(?P<key>0s[A-Za-z0-9+/=]+)\s*\Z")
WORD = re.compile(r'"[^"]*"?|\'[^\']*\'?|\S+')
HIDDEN = "[...]"


def sums(value: str) -> str:
    """`[sums to ab12...]`: enough to see whether two values are the same, too little to find either."""
    return f"[sums to {hashlib.md5(value.encode(errors='surrogateescape'), usedforsecurity=False).hexdigest()[:4]}...]"


def keyid(value: str) -> str:
    """`[keyid AQOabcdef]` of an RSA public key in base64, which is no secret; the sum of anything else."""
    return f"[keyid {value[2:11]}]" if re.fullmatch(r"0s[A-Za-z0-9+/=]{40,}", value) else sums(value)


def censor_keys(lines: Iterable[str]) -> Iterator[str]:
    """ipsec.conf without its keys, line by line."""
    for line in lines:
        found = SECRET_WORDS.match(line.rstrip("\n"))
        if found is None:
            yield line.rstrip("\n")
            continue
        value = found["value"].strip()
        bare = value.strip('"{}')
        if not bare or PLAIN.fullmatch(bare.partition("#")[0].strip()):
            yield line.rstrip("\n")
        elif "rsa" in found["name"].lower():
            yield found["head"] + keyid(bare.split()[0] if bare.split() else bare)
        else:
            yield found["head"] + sums(bare)


def censor_secrets(lines: Iterable[str]) -> Iterator[str]:
    """ipsec.secrets without its secrets, line by line."""
    for line in lines:
        yield _secret_line(line.rstrip("\n"))


def _secret_line(line: str) -> str:
    stripped = line.strip()
    if not stripped:
        return line
    if stripped.startswith("#"):
        if found := PUBLIC.fullmatch(line):
            return line.replace(found["key"], keyid(found["key"]))
        return line if REMARK.fullmatch(line) else f"# {HIDDEN}"
    if stripped in ("{", "}", ": RSA {"):
        return line
    if re.fullmatch(r"include\s+[A-Za-z0-9_./*?\[\]{},-]+", line):
        return line
    if line[0].isspace():
        found = FIELD.fullmatch(line)
        return f"\t{found['field']} {HIDDEN}" if found and found["field"].lower() != "psk:" else f"\t{HIDDEN}"
    return _record(line)


def _record(line: str) -> str:
    """`index index : KIND secret`: what stands before the colon, and what kind it is."""
    words = WORD.findall(line)
    shown: list[str] = []
    for place, word in enumerate(words):
        if word == ":" or (word.endswith(":") and INDEX.fullmatch(word)):
            return " ".join([*shown, word, *_secret(words[place + 1 :])])
        if not INDEX.fullmatch(word) and not (word[0] in "\"'" and "=" in word):
            return HIDDEN
        # A distinguished name stands in quotes; anything else in them may be a secret that lost its colon.
        shown.append(word if word[0] not in "\"'" else f'"{HIDDEN}"')
    return HIDDEN


def _secret(words: list[str]) -> list[str]:
    """The words behind the colon."""
    if not words:
        return []
    kind = words[0].lower().rstrip("{")
    if kind not in KINDS:
        return [_hidden(word) for word in words]
    rest = words[1:]
    shown = [words[0]]
    if kind in FILES and rest and rest[0] != "{" and FILE.match(rest[0]):
        shown.append(rest.pop(0))
    return shown + [word if word == "%prompt" else _hidden(word) for word in rest]


def _hidden(word: str) -> str:
    if word in ("{", "}"):
        return word
    return f'"{sums(word[1:].rstrip(word[0]))}"' if word[0] in "\"'" else HIDDEN


KEYS = Syntax(
    "_keycensor",
    "copy an ipsec.conf from standard input without its keys",
    details=("RSA public keys become their key identifier, other keys the first digits of a sum.",),
)
SECRETS = Syntax(
    "_secretcensor",
    "copy an ipsec.secrets from standard input without its secrets",
    details=("What is not understood is left out: what it prints may be shown to anybody.",),
)
FILTERS: dict[str, tuple[Syntax, Callable[[Iterable[str]], Iterator[str]]]] = {
    "_keycensor": (KEYS, censor_keys),
    "_secretcensor": (SECRETS, censor_secrets),
}


def main(argv: list[str]) -> int:
    """The filter the first argument names (the table of commands puts it there)."""
    syntax, censor = FILTERS[argv[0]]

    def act(given: Given) -> int:
        for line in censor(sys.stdin):
            print(line)
        return 0

    return run(syntax, argv[1:], act)
