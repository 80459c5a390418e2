# SPDX-License-Identifier: GPL-2.0-or-later
class Esp:
    def __init__(
        self,
        cipher: str,
        key: bytes,
        integ: str = "",
        auth: bytes = b"",
        esn: bool = False,
        window: int = 64,
        provider: str = "auto",
    ) -> None: ...
    def seal(
        self, spi: int, sequence: int, payload: bytes, next_header: int = 4, iv: bytes | None = None
    ) -> bytes: ...
    def open(self, packet: bytes) -> tuple[int, bytes, int, int]: ...
    def repeat(self, size: int, times: int) -> None: ...
