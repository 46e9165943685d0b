"""A small OpenID Connect issuer over HTTPS: discovery, keys that can be changed, and tokens."""

from __future__ import annotations

import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm


class Issuer:
    """Runs in threads of the test's process."""

    def __init__(self, place: Path) -> None:
        self.asked: list[str] = []
        authority = trustme.CA()
        self.authority = place / "issuer-ca.pem"
        authority.cert_pem.write_to_path(self.authority)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                document = issuer.documents().get(self.path)
                body = json.dumps(document).encode()
                self.send_response(200 if document else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}"
        self.rotate()
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def rotate(self) -> None:
        """A new key, and the old one forgotten."""
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.number = f"key-{time.monotonic_ns()}"

    def documents(self) -> dict[str, object]:
        public = {**json.loads(RSAAlgorithm.to_jwk(self.key.public_key())), "kid": self.number, "alg": "RS256"}
        return {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
            "/keys": {"keys": [public]},
        }

    def token(self, address: str, **changes: object) -> str:
        claims = {"iss": self.url, "aud": "mail", "exp": int(time.time()) + 300, "email": address, **changes}
        return jwt.encode(claims, self.key, "RS256", headers={"kid": self.number})

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
