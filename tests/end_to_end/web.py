"""One HTTP request at a time, each on a connection of its own."""

import base64
import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Response:
    status: int
    # Names in lower case.
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def request(
    address: Address,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    tls: ssl.SSLContext | None = None,
    via: socket.socket | None = None,
) -> Response:
    """`via` is a connection to the address, for one that is in a network other than ours."""
    connection: http.client.HTTPConnection
    if tls:
        connection = http.client.HTTPSConnection(address.host, address.port, timeout=TIMEOUT_S, context=tls)
    else:
        connection = http.client.HTTPConnection(address.host, address.port, timeout=TIMEOUT_S)
    connection.sock = via
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        return Response(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        )
    finally:
        connection.close()


def basic_auth(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
