"""The bridge that Leasehold takes the place of, as lean as asyncio lets it be: one process, one lock in memory.

    python bridge.py PORT

POST /v1/gpu/lock {"id", "priority"} waits for its turn, lower priorities first; POST /v1/gpu/unlock {"token"} or {"id"}
gives the lock back. No leases, no fencing, no second process: what it holds is gone when it ends.
"""

import asyncio
import heapq
import itertools
import json
import secrets
import sys

waiting = []
order = itertools.count()
owner = None


def grant():
    """Gives the free lock to the first who still waits."""
    global owner
    while owner is None and waiting:
        _, _, holder, future = heapq.heappop(waiting)
        if not future.done():
            owner = (holder, secrets.token_hex(16))
            future.set_result(owner[1])


async def lock(body):
    global owner
    future = asyncio.get_running_loop().create_future()
    heapq.heappush(waiting, (body.get("priority", 15), next(order), body["id"], future))
    grant()
    try:
        token = await asyncio.wait_for(future, body.get("timeout", 120))
    except asyncio.TimeoutError:
        return 503, {"status": "timeout", "msg": "GPU Queue Timeout"}
    return 200, {"status": "acquired", "token": token}


async def unlock(body):
    global owner
    if owner is None or body.get("token", owner[1]) != owner[1] or body.get("id", owner[0]) != owner[0]:
        return 200, {"status": "not_held", "released": 0}
    owner = None
    grant()
    return 200, {"status": "released", "released": 1}


routes = {b"/v1/gpu/lock": lock, b"/v1/gpu/unlock": unlock}
reasons = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}


async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            length = next((int(line[15:]) for line in lines if line[:15].lower() == b"content-length:"), 0)
            body = json.loads(await reader.readexactly(length) or b"{}")
            call = routes.get(lines[0].split(b" ")[1])
            status, answer = await call(body) if call else (404, {"error": "not_found"})
            text = json.dumps(answer).encode()
            writer.write(
                b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (status, reasons[status].encode(), len(text), text)
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    await server.serve_forever()


asyncio.run(main())
