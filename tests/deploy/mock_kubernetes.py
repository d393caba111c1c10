"""A mock of the Kubernetes API server, since none that is new enough can be had: it answers GET with objects that the
test makes, refuses or hangs where it is told to, and forwards ports of pods to real programs on this host.
"""

import base64
import hashlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

from web import Address

Object = dict[str, Any]

# RFC 6455.
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BINARY, CLOSE = 2, 8
FINAL = 0x80

# Of the protocol v4.channel.k8s.io, for one port: each message begins with its channel.
PROTOCOL = "v4.channel.k8s.io"
DATA, ERROR = b"\0", b"\1"

VERSION = {"major": "1", "minor": "33", "gitVersion": "v1.33.4", "platform": "linux/amd64"} | dict.fromkeys(
    ("gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler"), ""
)

# Where the objects are that are asked for most.
NODES = "/api/v1/nodes"
PODS = "/api/v1/namespaces/digital-twin-system/pods"

# By group and version: kind, its plural's ending, whether it is in a namespace.
RESOURCES = {
    "v1": [
        ("ConfigMap", "s", True),
        ("Namespace", "s", False),
        ("Node", "s", False),
        ("PersistentVolumeClaim", "s", True),
        ("Pod", "s", True),
        ("Secret", "s", True),
        ("Service", "s", True),
    ],
    "apps/v1": [("Deployment", "s", True)],
    "node.k8s.io/v1": [("RuntimeClass", "es", False)],
    "scheduling.k8s.io/v1": [("PriorityClass", "es", False)],
    "storage.k8s.io/v1": [("StorageClass", "es", False)],
}


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    query: Mapping[str, list[str]]


@dataclass
class MockKubernetes:
    """The server; a path is answered with the list or the object that stands there."""

    tls: ssl.SSLContext | None = None
    objects: dict[str, Object] = field(default_factory=lambda: {"/version": VERSION})
    # By path, with what status.
    refused: dict[str, HTTPStatus] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)
    # Where the ports of pods really are.
    forwards: dict[tuple[str, int], Address] = field(default_factory=dict)
    # Of whoever asks what he may: verb, resource and, where it is denied there alone, namespace.
    denied: set[tuple[str, ...]] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> "MockKubernetes":
        self.is_over = threading.Event()
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.kubernetes = self
        if self.tls:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="mock_kubernetes")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def add(self, path: str, *objects: Object) -> None:
        """A list of objects, and each of them by its name."""
        group, kind = kind_at(path)
        items = [{"apiVersion": group, "kind": kind, **one} for one in objects]
        self.objects[path] = {"apiVersion": group, "kind": f"{kind}List", "metadata": {}, "items": items}
        for item in items:
            self.objects[f"{path}/{item['metadata']['name']}"] = item

    def discover(self) -> None:
        """Says what resources there are, as kubectl wants to know."""
        self.objects["/api"] = {"kind": "APIVersions", "versions": ["v1"]}
        groups = [group.rpartition("/") for group in RESOURCES if group != "v1"]
        versions = [(name, {"groupVersion": f"{name}/{version}", "version": version}) for name, _, version in groups]
        self.objects["/apis"] = {
            "kind": "APIGroupList",
            "groups": [{"name": name, "versions": [v], "preferredVersion": v} for name, v in versions],
        }
        for group, resources in RESOURCES.items():
            path = "/api/v1" if group == "v1" else f"/apis/{group}"
            self.objects[path] = {
                "kind": "APIResourceList",
                "groupVersion": group,
                "resources": [
                    {"name": f"{kind.lower()}{ending}", "singularName": kind.lower(), "kind": kind, "namespaced": namespaced}
                    | {"verbs": ["create", "delete", "get", "list", "patch"]}
                    for kind, ending, namespaced in resources
                ],
            }

    def page(self, path: str, query: Mapping[str, list[str]]) -> Object:
        """The object, or as much of the list as is asked for."""
        found = self.objects[path]
        if "items" not in found or "limit" not in query:
            return found
        start, count = int(query.get("continue", ["0"])[0]), int(query["limit"][0])
        end = start + count
        metadata = {"continue": str(end)} if end < len(found["items"]) else {}
        return {**found, "metadata": metadata, "items": found["items"][start:end]}

    def kubeconfig(self, folder: Path, ca: Path | None = None, user: Object | None = None) -> Path:
        """A file that leads here; JSON is YAML too."""
        cluster: Object = {"server": f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"}
        if ca:
            cluster["certificate-authority"] = str(ca)
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "mock",
            "clusters": [{"name": "mock", "cluster": cluster}],
            "contexts": [{"name": "mock", "context": {"cluster": "mock", "user": "mock"}}],
            "users": [{"name": "mock", "user": user or {}}],
        }
        file = folder / "kubeconfig"
        file.write_text(json.dumps(config))
        return file


class Server(ThreadingHTTPServer):
    kubernetes: MockKubernetes
    # Those that hang end with the test, and none outlives it.
    daemon_threads = False

    def handle_error(self, *_: object) -> None:
        """A client that goes away, or does not believe in our certificate, is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server
    # A client may keep a connection that it does not use.
    timeout = 5

    def do_GET(self) -> None:
        kubernetes = self.server.kubernetes
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        kubernetes.asked.append(Asked(self.command, url.path, query))
        if url.path in kubernetes.hanging:
            kubernetes.is_over.wait()
            self.close_connection = True
        elif url.path in kubernetes.refused:
            self.fail(kubernetes.refused[url.path], f"{url.path} is refused")
        elif url.path.endswith("/portforward"):
            self.forward(url.path.split("/")[-2], int(query["ports"][0]))
        elif url.path in kubernetes.objects:
            self.answer(HTTPStatus.OK, kubernetes.page(url.path, query))
        else:
            self.fail(HTTPStatus.NOT_FOUND, f"{url.path} not found")

    def do_POST(self) -> None:
        """Whether something is allowed; nothing else is posted here. It comes as protobuf, which has the words in it."""
        review = self.rfile.read(int(self.headers["Content-Length"]))
        denied = self.server.kubernetes.denied
        allowed = not any(all(word.encode() in review for word in words) for words in denied)
        kind = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}
        self.answer(HTTPStatus.CREATED, {**kind, "spec": {}, "status": {"allowed": allowed}})

    def fail(self, status: HTTPStatus, message: str) -> None:
        failure = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": status}
        self.answer(status, {**failure, "reason": status.phrase.replace(" ", "")})

    def answer(self, status: HTTPStatus, answer: Object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def forward(self, pod: str, port: int) -> None:
        accept = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + WEBSOCKET_GUID).encode()).digest()
        self.send_response(HTTPStatus.SWITCHING_PROTOCOLS)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(accept).decode())
        self.send_header("Sec-WebSocket-Protocol", PROTOCOL)
        self.end_headers()
        self.close_connection = True
        for channel in (DATA, ERROR):
            self.send_frame(channel + struct.pack("<H", port))
        address = self.server.kubernetes.forwards.get((pod, port))
        if address is None:
            self.send_frame(ERROR + b"failed to connect to localhost:%d inside namespace: connection refused" % port)
            self.send_frame(b"", CLOSE)
            return
        with socket.create_connection((address.host, address.port)) as there:
            back = threading.Thread(target=self.bring_back, args=(there,))
            back.start()
            while (message := read_frame(self.rfile)) is not None:
                there.sendall(message.removeprefix(DATA))
            there.shutdown(socket.SHUT_RDWR)
            back.join()

    def bring_back(self, there: socket.socket) -> None:
        while chunk := there.recv(65536):
            self.send_frame(DATA + chunk)

    def send_frame(self, payload: bytes, kind: int = BINARY) -> None:
        length = len(payload)
        if length < 126:
            header = bytes((FINAL | kind, length))
        elif length < 1 << 16:
            header = struct.pack(">BBH", FINAL | kind, 126, length)
        else:
            header = struct.pack(">BBQ", FINAL | kind, 127, length)
        self.wfile.write(header + payload)

    def log_message(self, *_: object) -> None:
        pass


def read_frame(stream: BinaryIO) -> bytes | None:
    """The payload of a client's frame, or None when it has ended the conversation."""
    header = stream.read(2)
    if len(header) < 2 or header[0] & 0x0F == CLOSE:
        return None
    length = header[1] & 0x7F
    if length == 126:
        (length,) = struct.unpack(">H", stream.read(2))
    elif length == 127:
        (length,) = struct.unpack(">Q", stream.read(8))
    mask = stream.read(4)
    masked = stream.read(length)
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(masked))


def kind_at(path: str) -> tuple[str, str]:
    """Group and version, and the kind, of the objects of a path."""
    _, api, *parts = path.split("/")
    group = parts[0] if api == "api" else "/".join(parts[:2])
    (kind,) = [kind for kind, ending, _ in RESOURCES[group] if f"{kind.lower()}{ending}" == parts[-1]]
    return group, kind


def node(name: str, *conditions: tuple[str, str]) -> Object:
    """A node of the cluster with these conditions, or one that is well."""
    told = [{"type": kind, "status": status} for kind, status in conditions or [("Ready", "True")]]
    return {"metadata": {"name": name}, "spec": {}, "status": {"conditions": told}}


def pod(name: str, ports: Mapping[str, int] | None = None, status: Object | None = None) -> Object:
    """A pod whose container has these ports, ready unless its status is given."""
    named = [{"name": name, "containerPort": port} for name, port in (ports or {}).items()]
    well = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    spec = {"containers": [{"name": "node", "image": "image", "ports": named}]}
    return {"metadata": {"name": name}, "spec": spec, "status": status or well}


def container(state: Object) -> Object:
    """The status of a container that is not ready."""
    return {"name": "node", "ready": False, "restartCount": 3, "image": "image", "imageID": "", "state": state}
