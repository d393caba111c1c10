"""A Prometheus client reduced to what a measurement needs: one kept connection, one request, no parsing."""

import socket

TIMEOUT_SECONDS = 10
BUFFER_BYTES = 16 * 1024 * 1024


class ScrapeClient:
    """Scrapes one address, over one connection for as long as the server keeps it."""

    def __init__(self, port, headers=""):
        self.address = ("127.0.0.1", port)
        self.request = f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}\r\n".encode()
        self.buffer = bytearray(BUFFER_BYTES)
        self.connection = None

    def compressed(self):
        """Another client of the same address, that asks for gzip."""
        return ScrapeClient(self.address[1], "Accept-Encoding: gzip\r\n")

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def try_scrape(self):
        """The body, or None where nobody listens yet or the answer is not 200."""
        try:
            return self.scrape()
        except OSError:
            self.close()
            return None

    def scrape(self):
        """The body of a good answer."""
        begin, end = self.fetch()
        return bytes(memoryview(self.buffer)[begin:end])

    def fetch(self):
        """Scrapes, and leaves the body in the buffer, at the two offsets that are returned."""
        if self.connection is None:
            self.connection = socket.create_connection(self.address, TIMEOUT_SECONDS)
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.sendall(self.request)
        received, head_end = self.read_head()
        head = bytes(self.buffer[:head_end]).decode("latin-1").lower()
        body_end = self.read_body(received, head_end, head)
        if "\r\nconnection: close" in head or not head.startswith("http/1.1"):
            self.close()
        if head.split(" ", 2)[1] != "200":
            raise OSError(f"scrape answered: {head.splitlines()[0]}")
        return head_end, body_end

    def read_head(self):
        received = 0
        while (end := self.buffer.find(b"\r\n\r\n", 0, received)) < 0:
            received += self.receive(received)
        return received, end + 4

    def read_body(self, received, head_end, head):
        length = next(
            int(line.partition(":")[2]) for line in head.splitlines() if line.startswith("content-length:")
        )
        while received < head_end + length:
            received += self.receive(received)
        return head_end + length

    def receive(self, offset):
        count = self.connection.recv_into(memoryview(self.buffer)[offset:])
        if count == 0:
            raise ConnectionError("the server closed the connection within an answer")
        return count


def sample_sum(text, name):
    """The sum of all samples of one name, or None where there is none."""
    values = [
        float(line.rpartition(b" ")[2])
        for line in text.split(b"\n")
        if line.startswith((name.encode() + b"{", name.encode() + b" "))
    ]
    return sum(values) if values else None
