# SPDX-License-Identifier: GPL-2.0-or-later
def fragments(
    sealed: bytes,
    local: bytes,
    port: int,
    remote: bytes,
    remote_port: int,
    encap: bool,
    tos: int,
    cut: int,
    ident: int,
) -> list[bytes] | None: ...
