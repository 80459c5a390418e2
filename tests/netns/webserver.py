# SPDX-License-Identifier: GPL-2.0-or-later
"""What authorities run beside IPsec: a web server for revocation lists, and OpenSSL's OCSP responder."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509

from tests.netns.keys import Authority
from tests.netns.lab import Host, end_process, wait_for


class WebServer:
    """Serves `pages` (path to content) in a host's namespace, on port 80 of every address; counts what was asked."""

    def __init__(self, host: Host) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                page = server.pages.get(self.path)
                self.send_response(200 if page is not None else 404)
                self.send_header("Content-Length", str(len(page or b"")))
                self.end_headers()
                self.wfile.write(page or b"")

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on stderr."""

        with host.inside():
            self._httpd = ThreadingHTTPServer(("0.0.0.0", 80), Handler)
        threading.Thread(target=self._httpd.serve_forever, daemon=True).start()
        host.lab.at_close(self.close)

    def close(self) -> None:
        """Stop."""
        self._httpd.shutdown()
        self._httpd.server_close()


class Responder:
    """`openssl ocsp` for one authority, on a TCP port of its host; knows the certificates it is given (PEM)."""

    def __init__(
        self, host: Host, authority: Authority, port: int, good: Iterable[bytes] = (), revoked: Iterable[bytes] = ()
    ) -> None:
        directory = host.lab.dir / f"ocsp-{port}"
        directory.mkdir()
        (directory / "ca.pem").write_bytes(authority.pem)
        (directory / "ca.key").write_bytes(authority.key)
        rows = [_row(pem, "V") for pem in good] + [_row(pem, "R") for pem in revoked]
        (directory / "index.txt").write_text("".join(rows))
        command = [
            "openssl",
            "ocsp",
            "-index",
            "index.txt",
            "-port",
            str(port),
            "-rsigner",
            "ca.pem",
            "-rkey",
            "ca.key",
        ]
        self.process: subprocess.Popen[str] = host.start(
            "sh", "-c", f"cd {directory} && exec {' '.join(command)} -CA ca.pem -ndays 1"
        )
        host.lab.at_close(self.close)
        wait_for("the OCSP responder", lambda: f":{port} " in host.run("ss", "-ltn").stdout, 5, 0.05)

    def close(self) -> None:
        """Stop."""
        if self.process.poll() is None:
            end_process(self.process.pid)


def _row(pem: bytes, state: str) -> str:
    """A line of OpenSSL's index."""
    cert = x509.load_pem_x509_certificate(pem)
    until, serial = f"{cert.not_valid_after_utc:%y%m%d%H%M%SZ}", f"{cert.serial_number:X}"
    serial = serial.zfill(len(serial) + len(serial) % 2)
    since = "260101000000Z" if state == "R" else ""
    return f"{state}\t{until}\t{since}\t{serial}\tunknown\t/CN=x\n"
