"""An endpoint of ROS-TCP as it is mostly written: a thread that reads each client, one that writes to it, queues without end.

What the benchmark compares with. Idiomatic and not slowed down: rclpy's default executor, messages serialized as they come;
topics from ROS to a client only. Prints one line of JSON when it listens.
"""

import argparse
import functools
import importlib
import json
import queue
import socketserver
import struct
import threading

import rclpy
from rclpy.node import Node
from rclpy.serialization import serialize_message

from python_node import spin_to_the_end

QUEUE_SIZE = 10
HANDSHAKE = {"version": "v0.7.0", "metadata": json.dumps({"protocol": "ROS2"})}


def frame(destination, payload):
    name = destination.encode()
    return struct.pack("<I", len(name)) + name + struct.pack("<I", len(payload)) + payload


def message_class(name):
    package, _, message = name.rpartition("/")
    return getattr(importlib.import_module(f"{package.partition('/')[0]}.msg"), message)


class Client(socketserver.StreamRequestHandler):
    """One client: what it asks for, in the thread that the server has for it."""

    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.waiting = queue.Queue()
        self.subscriptions = []
        threading.Thread(target=self.send, daemon=True).start()

    def handle(self):
        self.waiting.put(frame("__handshake", json.dumps(HANDSHAKE).encode()))
        while (destination := self.read_part()) is not None:
            payload = self.read_part()
            if destination == b"__subscribe":
                self.subscribe(json.loads(payload))
            elif destination == b"__topic_list":
                self.tell_topics()

    def finish(self):
        # Its subscriptions stay: to end them beside a node that spins can hang, and each run has one client.
        self.waiting.put(None)

    def read_part(self):
        """The destination or the payload of a frame, without NULs at its end; None at the end."""
        length = self.rfile.read(4)
        return self.rfile.read(struct.unpack("<I", length)[0]).rstrip(b"\0") if len(length) == 4 else None

    def subscribe(self, wish):
        topic = wish["topic"]
        on_message = functools.partial(self.on_message, topic)
        subscribe = self.server.node.create_subscription
        self.subscriptions.append(subscribe(message_class(wish["message_name"]), topic, on_message, QUEUE_SIZE))

    def on_message(self, topic, message):
        self.waiting.put(frame(topic, serialize_message(message)))

    def tell_topics(self):
        names, types = zip(*self.server.node.get_topic_names_and_types())
        self.waiting.put(frame("__topic_list", json.dumps({"topics": names, "types": [name[0] for name in types]}).encode()))

    def send(self):
        while (message := self.waiting.get()) is not None:
            self.request.sendall(message)


class Server(socketserver.ThreadingTCPServer):
    """Takes clients, each in a thread of its own."""

    allow_reuse_address = True
    daemon_threads = True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=10000)
    arguments, ros_arguments = parser.parse_known_args()
    rclpy.init(args=ros_arguments)
    with Server(("127.0.0.1", arguments.port), Client) as server:
        server.node = Node("python_bridge")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(json.dumps({"port": arguments.port}), flush=True)
        spin_to_the_end(server.node)
        server.shutdown()


if __name__ == "__main__":
    main()
