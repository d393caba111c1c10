"""What is between a client and a server, and may go without a word, as a Wi-Fi or a VPN does."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from web import Address

CHUNK_BYTES = 1 << 16


class Proxy:
    """Forwards the bytes of TCP connections to a server and back."""

    def __init__(self, server: Address) -> None:
        self._server = server
        # Connections that were made before are forwarded no more, and stay open.
        self._generation = 0
        self._connections: list[asyncio.Task[None]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = Address(*self._listener.getsockname())
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), name="proxy")
        self._thread.start()

    def fall_silent(self) -> None:
        """Of the connections that there are nothing comes through any more, not even their end."""
        self._generation += 1

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _run(self) -> None:
        server = await asyncio.start_server(self._connect, sock=self._listener)
        await self._stop.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(self._server.host, self._server.port)
        for source, sink in ((reader, server_writer), (server_reader, writer)):
            self._connections.append(asyncio.create_task(self._forward(source, sink, self._generation)))

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, generation: int) -> None:
        try:
            while True:
                read = await source.read(CHUNK_BYTES)
                if generation != self._generation:
                    await self._stop.wait()
                if not read:
                    return
                sink.write(read)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()


@contextmanager
def proxy(server: Address) -> Iterator[Proxy]:
    between = Proxy(server)
    try:
        yield between
    finally:
        between.close()
