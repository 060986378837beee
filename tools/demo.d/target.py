#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The flood's target: answers every request with a small page, and writes the instant of the first one.

target.py ADDRESS PORT FILE
"""
import asyncio
import sys
import time

PAGE = b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n"


async def main(address, port, path):
    seen = False

    async def answer(reader, writer):
        nonlocal seen
        if not seen:
            seen = True
            with open(path, "w", encoding="ascii") as stream:
                stream.write(f"{time.time():.6f}")
        try:
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            writer.write(PAGE)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError,
                asyncio.TimeoutError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, address, int(port))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
