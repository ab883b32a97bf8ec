"""What scripts/contract adds to Schemathesis: calls that come back soon, and some that meet something that is there."""

import atexit
import collections
import json
import os
import random
import urllib.request

import schemathesis

CHOICE = random.Random(1)
COUNTS = collections.Counter()
URL = os.environ["CONTRACT_URL"]
TOKEN = os.environ["CONTRACT_TOKEN"]


def ask(path, body):
    """A call besides those that are judged."""
    request = urllib.request.Request(
        URL + path, json.dumps(body).encode(), {"Authorization": f"Bearer {TOKEN}"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response)


def granted():
    """A lease that stands, as a lock call is answered."""
    return ask("/v1/gpu/lock", {"id": "contract", "timeout": 5, "ttl": 20, "request_id": f"r{CHOICE.getrandbits(64)}"})


# Texts whose length the document can only bound in characters, with the bytes that they may have.
BYTES = {"id": 200, "holder": 200, "request_id": 200, "affinity": 200, "reason": 500, "why": 500}


def is_number(value):
    """Whether JSON calls it a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def make_sound(body):
    """Keeps to the rules that join several members or count bytes, which the document has in words."""
    for name, limit in BYTES.items():
        while isinstance(body.get(name), str) and len(body[name].encode()) > limit:
            body[name] = body[name][: len(body[name]) // 2]
    if body.get("unit") is not None:
        for name in ("host", "kind"):
            body.pop(name, None)
    if is_number(body.get("count")) and body["count"] != 1:
        # Several units are of one host, and are not taken from others.
        for name in ("unit", "preempt"):
            body.pop(name, None)
    scopes = [name for name in ("host", "unit", "holder", "lease") if body.get(name) is not None]
    for name in scopes[1:]:
        del body[name]
    if len(json.dumps(body.get("metadata"), ensure_ascii=False).encode()) > 1900:
        del body["metadata"]
    if body.get("pool") is not None:
        body["pool"] = "default"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Caps what a call may wait for, and gives some calls the name of something that exists."""
    path = case.operation.path
    is_sound = case.meta is not None and case.meta.generation.mode.is_positive
    if is_sound and "pool" in (case.query or {}):
        case.query["pool"] = "default"
    if is_sound and path == "/v1/gpu/requests/{request_id}" and CHOICE.random() < 0.3:
        case.path_parameters["request_id"] = granted()["request_id"]
    body = case.body
    if not isinstance(body, dict):
        return
    if path == "/v1/gpu/lock":
        timeout = body.get("timeout")
        if timeout is None or is_number(timeout) and 0.05 < timeout <= 3600:
            body["timeout"] = 0.05
        ttl = body.get("ttl")
        if ttl is None or is_number(ttl) and 20 < ttl <= 600:
            body["ttl"] = 20
    # A wrong case has to stay wrong.
    if not is_sound:
        return
    make_sound(body)
    if path == "/v1/gpu/lock":
        # Most wishes drawn at random are for what no pool has.
        for name in ("unit", "labels", "device_type", "min_vram_mb", "kind"):
            if CHOICE.random() < 0.7:
                body.pop(name, None)
        if body.get("host") is not None and CHOICE.random() < 0.5:
            body["host"] = "h1"
    elif path in ("/v1/gpu/cordon", "/v1/gpu/drain"):
        if CHOICE.random() < 0.5:
            body["host"] = "h1"
    elif CHOICE.random() < 0.3:
        lease = granted()
        for name in ("token", "lease", "unit", "fencing_token"):
            if body.get(name) is not None:
                body[name] = lease[name]


@schemathesis.hook
def after_call(context, case, response):
    """Counts, and lets a closed host in again."""
    path = case.operation.path
    COUNTS[case.operation.label, response.status_code] += 1
    if path in ("/v1/gpu/cordon", "/v1/gpu/drain") and response.status_code == 200:
        ask("/v1/gpu/cordon", {"host": "h1", "on": False})


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
