"""Upstreams that say what they saw: one listening socket for each (cluster, endpoint), all in one thread.

The answer is JSON: which upstream, method, path, headers as they came. A request may ask for a status with x-echo-status.
"""
import asyncio
import collections
import json
import threading


class Backends:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.servers = []
        self.ports = {}                              # key -> port
        self.arrivals = collections.Counter()        # (key, x-test-id) -> requests

    def port(self, key):
        """The port of the upstream called `key`, a string; opened at the first call."""
        if key not in self.ports:
            opened = asyncio.run_coroutine_threadsafe(self._open(key), self.loop).result(10)
            self.ports[key] = opened
        return self.ports[key]

    def stop(self):
        async def end():
            for server in self.servers: server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}: task.cancel()

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    async def _open(self, key):
        async def serve(reader, writer):
            try:
                while await self._exchange(key, reader, writer):
                    pass
            except asyncio.CancelledError:
                return
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
        self.servers.append(server)
        return server.sockets[0].getsockname()[1]

    async def _exchange(self, key, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = [(line.split(":", 1)[0], line.split(":", 1)[1].strip()) for line in lines]
        named = {name.lower(): value for name, value in headers}
        body = b""
        if "chunked" in named.get("transfer-encoding", ""):
            while (size := int((await reader.readline()).split(b";")[0], 16)) > 0:
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readuntil(b"\r\n")
        elif length := int(named.get("content-length", "0")):
            body = await reader.readexactly(length)
        self.arrivals[(key, named.get("x-test-id", ""))] += 1
        answer = json.dumps({"upstream": key, "method": method, "path": path, "headers": headers, "body": body.decode("latin-1")}).encode()
        status = named.get("x-echo-status", "200")
        response = f"HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\nx-upstream-header: seen\r\ncontent-length: {len(answer)}\r\n\r\n"
        writer.write(response.encode() + (b"" if method == "HEAD" else answer))
        await writer.drain()
        return True
