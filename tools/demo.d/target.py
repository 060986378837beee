#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The flood's target: answers every request with a small page, after as long as a small web
application takes, so that the guests that flood it still have time for their own work. Keeps in a
file the instants of the first and the newest request, and how many there were.

target.py ADDRESS PORT FILE
"""
import asyncio
import json
import os
import sys
import time

PAGE = b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n"
DELAY_SECONDS = 0.2
WRITE_SECONDS = 0.1


class Target:
    """Counts and answers."""

    def __init__(self):
        self.first = self.newest = None
        self.requests = 0

    async def answer(self, reader, writer):
        self.newest = time.time()
        self.first = self.first or self.newest
        self.requests += 1
        try:
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            await asyncio.sleep(DELAY_SECONDS)
            writer.write(PAGE)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError,
                asyncio.TimeoutError):
            pass
        finally:
            writer.close()

    async def keep(self, path):
        """Whole at every instant, for whoever reads it meanwhile."""
        written = 0
        while True:
            if self.requests != written:
                written = self.requests
                with open(path + ".new", "w", encoding="ascii") as stream:
                    json.dump({"first": self.first, "newest": self.newest,
                               "requests": self.requests}, stream)
                os.rename(path + ".new", path)
            await asyncio.sleep(WRITE_SECONDS)


async def main(address, port, path):
    target = Target()
    server = await asyncio.start_server(target.answer, address, int(port))
    async with server:
        await target.keep(path)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
