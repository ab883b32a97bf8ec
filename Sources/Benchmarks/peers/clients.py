"""Clients of locks that are reached through a Python library: one thread and one session a client.

    python clients.py KIND ADDRESS CLIENTS LOCKS WARM_UP SECONDS PIDS

KIND is kazoo, redis-py or python-redis-lock; ADDRESS is host:port. Client i takes lock i % LOCKS and gives it back, over
and over. Prints one JSON object: durations in nanoseconds, processor seconds of the processes PIDS and of this one.
"""

import json
import sys
import threading
import time

kind, address, clients, locks, warm_up, seconds, pids = sys.argv[1:8]
clients, locks, warm_up, seconds = int(clients), int(locks), float(warm_up), float(seconds)
pids = [int(pid) for pid in pids.split(",") if pid]
host, port = address.split(":")
now = time.monotonic_ns


def cpu(pid):
    """Processor seconds of another process; the kernel's name for its clock is made from its id."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


def make(number):
    """A lock of its own session, and what ends that."""
    name = f"bench-{number % locks}"
    if kind == "kazoo":
        from kazoo.client import KazooClient

        client = KazooClient(hosts=address, timeout=60)
        client.start(timeout=60)
        return client.Lock(f"/bench/{name}", f"client-{number}"), client.stop
    import redis

    client = redis.Redis(host=host, port=int(port))
    if kind == "redis-py":
        from redis.lock import Lock

        return Lock(client, name, timeout=120), client.close
    import redis_lock

    return redis_lock.Lock(client, name, expire=120), client.close


counting = ending = False
unlock_sent = 0
waits, releases, hand_offs = [], [], []
grants = [0] * clients
pairs = total = 0
begin = threading.Barrier(clients + 1)


def work(number):
    global unlock_sent, pairs, total
    lock, close = make(number)
    begin.wait()
    while not ending:
        asked = now()
        lock.acquire()
        granted = now()
        if counting:
            grants[number] += 1
            waits.append(granted - asked)
            if locks == 1 and unlock_sent:
                hand_offs.append(granted - unlock_sent)
        released = unlock_sent = now()
        lock.release()
        if counting:
            pairs += 1
            releases.append(now() - released)
        total += 1
    close()


threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(clients)]
for thread in threads:
    thread.start()
begin.wait(timeout=120)
time.sleep(warm_up)
cpus, own, began = [cpu(pid) for pid in pids], time.process_time(), now()
counting = True
time.sleep(seconds)
counting = False
lasted = (now() - began) / 1e9
used = [cpu(pid) - before for pid, before in zip(pids, cpus)]
own = time.process_time() - own
ending = True
for thread in threads:
    thread.join(timeout=60)
json.dump(
    {
        "seconds": lasted, "pairs": pairs, "total": total, "lock": waits, "unlock": releases, "hand_off": hand_offs,
        "grants": grants, "server_cpu": used, "own_cpu": own,
    },
    sys.stdout,
)
