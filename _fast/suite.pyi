# SPDX-License-Identifier: GPL-2.0-or-later
CIPHERS: dict[str, int]
INTEGS: dict[str, int]

def sizes(cipher: str, integ: str) -> tuple[tuple[int, ...], int, int, int, int]: ...
