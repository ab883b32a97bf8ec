"""What scripts/contract adds to Schemathesis: calls that come back soon, and calls that meet something that is there."""

import atexit
import collections
import os
import random

import requests
import schemathesis

CHOICE = random.Random(1)
COUNTS = collections.Counter()
# Tokens and leases of lock calls that were granted, the latest last.
GRANTED = collections.deque(maxlen=8)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Caps what a call may wait for, and gives some calls the name of something that exists."""
    body = case.body
    if not isinstance(body, dict):
        return
    path = case.operation.path
    if path == "/v1/gpu/lock":
        timeout = body.get("timeout", 120)
        if isinstance(timeout, (int, float)) and not isinstance(timeout, bool) and 0.05 < timeout <= 3600:
            body["timeout"] = 0.05
        ttl = body.get("ttl", 120)
        if isinstance(ttl, (int, float)) and not isinstance(ttl, bool) and 1 < ttl <= 600:
            body["ttl"] = 1
        if "host" in body and CHOICE.random() < 0.3:
            body["host"] = "h1"
        for name in ("unit", "labels", "device_type", "min_vram_mb", "pool"):
            if CHOICE.random() < 0.5:
                body.pop(name, None)
    elif GRANTED and CHOICE.random() < 0.3:
        granted = CHOICE.choice(GRANTED)
        for name in ("token", "lease", "unit", "fencing_token"):
            if name in body:
                body[name] = granted[name]
    if path == "/v1/gpu/cordon" and CHOICE.random() < 0.3:
        body["host"] = "h1"
        body["on"] = False


@schemathesis.hook
def after_call(context, case, response):
    """Counts, and remembers what was granted."""
    COUNTS[case.operation.label, response.status_code] += 1
    if case.operation.path == "/v1/gpu/lock" and response.status_code == 200:
        GRANTED.append(response.json())


send = requests.Session.send


def send_and_leave(session, request, **options):
    """Sends; of a stream of events, which does not end, it reads the beginning and goes."""
    wanted = options.pop("stream", False)
    response = send(session, request, stream=True, **options)
    if response.headers.get("Content-Type", "").startswith("text/event-stream"):
        piece = b"" if request.method == "HEAD" else response.raw.read1(1024)
        response._content, response._content_consumed = piece, True
        response.close()
    elif not wanted:
        response.content
    return response


requests.Session.send = send_and_leave


@atexit.register
def tell():
    """How many cases of each operation were answered with what."""
    lines = collections.defaultdict(list)
    for (label, status), count in sorted(COUNTS.items()):
        lines[label].append(f"{status}: {count}")
    with open(os.environ["CONTRACT_COUNTS"], "w", encoding="utf-8") as file:
        for label, words in lines.items():
            print(f"{label}  {', '.join(words)}", file=file)
        print(f"{sum(COUNTS.values())} cases", file=file)
