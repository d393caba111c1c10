"""A client of ROS-TCP, written from what goes over the wire: what Unity's connector sends, and what it expects."""

import json
import select
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from rclpy.serialization import deserialize_message, serialize_message

from waiting import TIMEOUT_S
from web import Address

# What Unity sends on connecting, and after a second in which it had nothing to say.
KEEPALIVE = bytes(8)

# Unity's ids begin here, those of the endpoint at 1001.
FIRST_REQUEST = 101

RECEIVE_BYTES = 1 << 20


class Frame(NamedTuple):
    """A destination and what is for it."""

    destination: str
    payload: bytes

    @property
    def fields(self) -> Any:
        """Of a command."""
        return json.loads(self.payload)


def encode(destination: bytes, payload: bytes) -> bytes:
    return b"".join([struct.pack("<I", len(destination)), destination, struct.pack("<I", len(payload)), payload])


def unity_name(interface: Any) -> str:
    """A type as Unity calls it: std_msgs/String, std_srvs/SetBool."""
    return f"{interface.__module__.partition('.')[0]}/{interface.__name__}"


class Speech:
    """What a client says, in bytes."""

    def __init__(self, *, ends_with_nul: bool = True) -> None:
        """Unity ends names and JSON with a NUL, other clients do not."""
        self._end = b"\0" if ends_with_nul else b""

    def frame(self, destination: str, payload: bytes) -> bytes:
        return encode(destination.encode() + self._end, payload)

    def command(self, name: str, **fields: Any) -> bytes:
        return self.frame(name, json.dumps(fields, separators=(",", ":")).encode() + self._end)

    def message(self, topic: str, message: Any) -> bytes:
        return self.frame(topic, serialize_message(message))

    def subscribe(self, topic: str, message_type: Any, **more: Any) -> bytes:
        return self.command("__subscribe", topic=topic, message_name=unity_name(message_type), **more)

    def publish(self, topic: str, message_type: Any, *, latch: bool = False) -> bytes:
        return self.command(
            "__publish", topic=topic, message_name=unity_name(message_type), queue_size=10, latch=latch
        )

    def ros_service(self, service: str, service_type: Any) -> bytes:
        return self.command("__ros_service", topic=service, message_name=unity_name(service_type))

    def unity_service(self, service: str, service_type: Any) -> bytes:
        return self.command("__unity_service", topic=service, message_name=unity_name(service_type))

    def request(self, srv_id: int, service: str, request: Any) -> list[bytes]:
        return [self.command("__request", srv_id=srv_id), self.message(service, request)]

    def response(self, srv_id: int, service: str, response: Any) -> list[bytes]:
        return [self.command("__response", srv_id=srv_id), self.message(service, response)]


class Unity:
    """A client that is connected. What has come and was not asked for yet is kept."""

    def __init__(
        self,
        address: Address,
        *,
        ends_with_nul: bool = True,
        tls: ssl.SSLContext | None = None,
        receive_buffer_bytes: int | None = None,
    ) -> None:
        self.say = Speech(ends_with_nul=ends_with_nul)
        self._received = bytearray()
        self._frames: list[Frame] = []
        self._socket = connected(address, receive_buffer_bytes)
        if tls:
            self._socket = tls.wrap_socket(self._socket, server_hostname=address.host)

    def send(self, *frames: bytes) -> None:
        """All of them in one write."""
        self._socket.sendall(b"".join(frames))

    def send_byte_by_byte(self, *frames: bytes) -> None:
        for byte in b"".join(frames):
            self._socket.sendall(bytes([byte]))

    def next(self) -> Frame:
        """The oldest frame that was not taken yet."""
        if not self._frames:
            self._frames.append(self._read())
        return self._frames.pop(0)

    def receive(self, destination: str) -> Frame:
        """The oldest frame for this destination; others wait."""
        return self._frames.pop(self._index_of(destination))

    def receive_call(self, command: str) -> tuple[int, Frame]:
        """The id and the payload of a request or a response: they come in a row."""
        index = self._index_of(command)
        if len(self._frames) == index + 1:
            self._frames.append(self._read())
        announcement, payload = self._frames[index : index + 2]
        del self._frames[index : index + 2]
        return announcement.fields["srv_id"], payload

    def receive_message(self, topic: str, message_type: Any) -> Any:
        return deserialize_message(self.receive(topic).payload, message_type)

    def error(self) -> str:
        return str(self.receive("__error").fields["text"])

    def warning(self) -> str:
        return str(self.receive("__warn").fields["text"])

    def synchronize(self) -> dict[str, str]:
        """All topics with their types. By the time that this is answered, what was said before has been done."""
        self.send(self.say.command("__topic_list"))
        fields = self.receive("__topic_list").fields
        return dict(zip(fields["topics"], fields["types"], strict=True))

    def has_come(self, destination: str) -> list[Frame]:
        """All frames for this destination that are there, without waiting."""
        while select.select([self._socket], [], [], 0)[0] and self._fill():
            pass
        self._frames += self._whole_frames()
        found = [frame for frame in self._frames if frame.destination == destination]
        self._frames = [frame for frame in self._frames if frame.destination != destination]
        return found

    def wait_until_closed(self) -> None:
        """Waits for the end of what the endpoint says; all of it is kept."""
        with suppress(ConnectionResetError):
            while self._fill():
                pass
        self._frames += self._whole_frames()

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Goes without a farewell, as a process does that has not read what was sent to it."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _index_of(self, destination: str) -> int:
        index = 0
        while True:
            if index == len(self._frames):
                self._frames.append(self._read())
            if self._frames[index].destination == destination:
                return index
            index += 1

    def _read(self) -> Frame:
        while (frame := self._whole_frame()) is None:
            assert self._fill(), f"the endpoint has closed the connection; not asked for: {self._frames[-10:]}"
        return frame

    def _fill(self) -> bool:
        """Waits for more; false at the end."""
        try:
            chunk = self._socket.recv(RECEIVE_BYTES)
        except TimeoutError:
            raise AssertionError(f"nothing has come; not asked for: {self._frames[-10:]}") from None
        self._received += chunk
        return bool(chunk)

    def _whole_frames(self) -> Iterator[Frame]:
        while (frame := self._whole_frame()) is not None:
            yield frame

    def _whole_frame(self) -> Frame | None:
        parts: list[bytes] = []
        at = 0
        for _ in Frame._fields:
            if len(self._received) < at + 4:
                return None
            (length,) = struct.unpack_from("<I", self._received, at)
            at += 4 + length
            parts.append(bytes(self._received[at - length : at]))
        if len(self._received) < at:
            return None
        del self._received[:at]
        destination, payload = parts
        return Frame(destination.decode(), payload)


def connected(address: Address, receive_buffer_bytes: int | None = None) -> socket.socket:
    """A connection as Unity's: what is written goes out at once."""
    connection = socket.socket(socket.AF_INET)
    if receive_buffer_bytes:
        # The window that the peer is shown is settled when the connection is made.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    connection.settimeout(TIMEOUT_S)
    connection.connect((address.host, address.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
