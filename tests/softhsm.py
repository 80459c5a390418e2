# SPDX-License-Identifier: GPL-2.0-or-later
"""A PKCS#11 token in software, with its files in a directory of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from openswan.crypto.tokenkey import TokenUri

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
MODULE = next(filter(os.path.exists, MODULES), MODULES[0])
PIN = "4711"


class Softhsm:
    """An initialised token called `lab`; `environment` is what a process needs to see it."""

    def __init__(self, directory: Path) -> None:
        (directory / "tokens").mkdir()
        conf = directory / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {directory / 'tokens'}\nobjectstore.backend = file\n")
        self.directory = directory
        self.environment = {"SOFTHSM2_CONF": str(conf)}
        os.environ |= self.environment
        self.keys: dict[str, Any] = {}
        self.numbers: dict[str, bytes] = {}
        self._util("--init-token", "--free", "--label", "lab", "--so-pin", "0815", "--pin", PIN)

    def _util(self, *args: str) -> None:
        env = {**os.environ, **self.environment}
        subprocess.run(["softhsm2-util", *args], check=True, capture_output=True, env=env)

    def make(self, kind: str, key: Any = None) -> TokenUri:
        """Put a key into the token, once; what names it."""
        if kind not in self.keys:
            if key is None:
                made_rsa = kind == "rsa"
                key = rsa.generate_private_key(65537, 2048) if made_rsa else ec.generate_private_key(ec.SECP256R1())
            file = self.directory / f"{kind}.pem"
            style = serialization.PrivateFormat.PKCS8
            file.write_bytes(key.private_bytes(serialization.Encoding.PEM, style, serialization.NoEncryption()))
            self.numbers[kind] = bytes([0xA0 + len(self.keys)])
            self._util(
                "--import", str(file), "--token", "lab", "--label", kind, "--id", self.numbers[kind].hex(), "--pin", PIN
            )
            self.keys[kind] = key
        return TokenUri(token="lab", label=kind, module=MODULE, pin=PIN)

    def public(self, kind: str) -> Any:
        """The public half of a key made here."""
        return self.keys[kind].public_key()
