"""One computer of the namespace test: listens and connects as it is told, one JSON document a line."""

from __future__ import annotations

import asyncio
import json
import socket
import sys

WAIT_S = 0.8


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


class Answer(asyncio.DatagramProtocol):
    def __init__(self):
        self.got = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, address):
        if not self.got.done():
            self.got.set_result(True)

    def error_received(self, problem):
        if not self.got.done():
            self.got.set_exception(problem)


async def listen(address, transport, port):
    loop = asyncio.get_running_loop()
    if transport == "udp":
        return await loop.create_datagram_endpoint(Echo, local_addr=(address, port))
    return await asyncio.start_server(lambda reader, writer: writer.close(), address, port)


async def connect(source, address, transport, port):
    """Whether a new connection comes about, or a datagram is answered."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(WAIT_S):
            if transport == "udp":
                way, answer = await loop.create_datagram_endpoint(
                    Answer, local_addr=(source, 0), remote_addr=(address, port)
                )
                try:
                    way.sendto(b"?")
                    return await answer.got
                finally:
                    way.close()
            _, writer = await asyncio.open_connection(address, port, local_addr=(source, 0))
            writer.close()
            return True
    except (OSError, TimeoutError):
        return False


async def main():
    kept = []
    while line := await asyncio.to_thread(sys.stdin.readline):  # echoes go on meanwhile
        wanted = json.loads(line)
        if "listen" in wanted:
            kept += [await listen(*one) for one in wanted["listen"]]
            print(json.dumps(len(kept)), flush=True)
        else:
            print(json.dumps(await asyncio.gather(*(connect(*one) for one in wanted["connect"]))), flush=True)


socket.setdefaulttimeout(10)
asyncio.run(main())
