# SPDX-License-Identifier: GPL-2.0-or-later
CIPHERS: dict[str, int]
INTEGS: dict[str, int]
PROVIDERS: dict[str, int]

def providers() -> tuple[str, ...]: ...
def key_octets(cipher: str, key: bytes, integ: str = "", auth: bytes = b"", provider: str = "auto") -> int: ...
