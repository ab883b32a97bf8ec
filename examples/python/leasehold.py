"""Takes turns on a GPU through a Leasehold coordinator, with nothing but the standard library.

    from leasehold import gpu_lease

    with gpu_lease("train") as lease:
        for batch in batches:
            lease.check()                      # raises LeaseLost once the lease is over
            train(batch, device=lease.unit)

Copy this file into your program. The lease is renewed in a thread while the block runs, and given back on every path.
"""

import contextlib
import http.client
import json
import os
import random
import socket
import ssl
import threading
import time
import urllib.parse
import uuid

__all__ = ["gpu_lease", "Lease", "LeaseError", "LeaseLost", "LeaseRefused", "LeaseTimeout", "Unreachable"]


class LeaseError(Exception):
    """A lease was not granted, or is over. The text says what to do."""


class LeaseTimeout(LeaseError):
    """Nothing was granted in time."""


class LeaseRefused(LeaseError):
    """An administrator refused all waiting requests, or the request itself is wrong or not allowed."""


class Unreachable(LeaseError):
    """No coordinator could be reached."""


class LeaseLost(LeaseError):
    """The lease ended under its holder. `reason`: expired, revoked, preempted, force_released, released, lost or not_held."""

    def __init__(self, message, reason):
        super().__init__(message)
        self.reason = reason


def now():
    """Seconds by a clock that nobody sets, and that counts while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def back_off(failures):
    """Longer from failure to failure, with chance in it, so that a crowd does not come back at one moment."""
    return min(5.0, 0.1 * 2 ** min(failures, 6)) * random.uniform(0.5, 1.0)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class _Coordinators:
    """Asks one coordinator until it fails, then the next."""

    def __init__(self, url, token):
        given = url or os.environ.get("LEASEHOLD_URL") or "http://localhost:8080"
        self.urls = [one.strip() for one in given.split(",")]
        self.token = token or os.environ.get("LEASEHOLD_TOKEN")
        self.present = 0

    def call(self, path, body, timeout):
        """One call: status, members and headers of the answer. OSError and HTTPException mean that there was none."""
        asked = self.present
        try:
            connection = self._connection(self.urls[asked], timeout)
            headers = {"Content-Type": "application/json"}
            if self.token:
                headers["Authorization"] = "Bearer " + self.token
            with contextlib.closing(connection):
                connection.request("POST", path, json.dumps(body), headers)
                response = connection.getresponse()
                text = response.read()
        except (OSError, http.client.HTTPException):
            self.turn_away(asked)
            raise
        if response.status >= 500:
            self.turn_away(asked)
        try:
            members = json.loads(text)
        except ValueError:
            members = {}  # a proxy's page: its status says enough
        return response.status, members if isinstance(members, dict) else {}, response.headers

    def turn_away(self, asked):
        if asked == self.present:
            self.present = (asked + 1) % len(self.urls)

    @staticmethod
    def _connection(url, timeout):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme == "unix":
            return _UnixConnection(parts.path, timeout)
        if parts.scheme == "https":
            return http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=timeout, context=ssl.create_default_context()
            )
        if parts.scheme == "http" and parts.hostname:
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        raise LeaseRefused(f"{url!r} is no address: write http://host:port, https://host:port or unix:///path")

    def release(self, token, patience):
        """By its token a lease can be given back again and again."""
        end = now() + patience
        failures = 0
        while True:
            try:
                status, _, _ = self.call("/v1/gpu/unlock", {"token": token}, max(0.1, min(2.0, end - now())))
                if status < 500:
                    return status == 200
            except (OSError, http.client.HTTPException):
                pass  # tried again; in the end its own deadline frees the unit
            failures += 1
            if now() >= end:
                return False
            time.sleep(min(back_off(failures), max(0.0, end - now())))


class Lease:
    """The exclusive right to a unit until it is given back or lost."""

    def __init__(self, coordinators, answer, sent):
        self.id = answer["lease"]
        self.unit = answer["unit"]
        self.units = answer.get("units", [self.unit])
        self.host = answer.get("host")
        self.holder = answer.get("holder")
        self.fencing_token = answer["fencing_token"]
        self.environment = answer.get("env") or {}
        self.ttl = answer["ttl"]
        self.token = answer["token"]
        # Counted from before the call was sent, so that whatever is late shortens it.
        self.deadline = sent + answer.get("waited_ms", 0) / 1000 + answer["expires_in"]
        self.lost = threading.Event()
        self.loss = None
        self._coordinators = coordinators
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="leasehold", daemon=True)

    @property
    def is_held(self):
        return not self.lost.is_set() and not self._over.is_set() and now() < self.deadline

    def check(self):
        """Raises LeaseLost unless the lease stands for certain."""
        if self.loss is None and not self._over.is_set() and now() >= self.deadline:
            self._lose(LeaseLost(f"The lease {self.id} could not be renewed in time. Stop using the unit.", "expired"))
        if self.loss is not None:
            raise self.loss

    def release(self):
        """Gives the unit back. May be called again."""
        if self._over.is_set():
            return
        self._over.set()
        if self.loss is None:
            self._coordinators.release(self.token, max(0.1, min(5.0, self.deadline - now())))

    def _lose(self, loss):
        if self.loss is None:
            self.loss = loss
        self.lost.set()

    def _keep(self):
        interval = min(self.ttl / 3, 20.0)
        pause = min(interval, max(0.0, self.deadline - now()) / 2)
        while not self._over.wait(max(0.0, min(pause, self.deadline - now()))):
            sent = now()
            if sent >= self.deadline:
                return self._lose(
                    LeaseLost(f"The lease {self.id} could not be renewed in time. Stop using the unit.", "expired")
                )
            pause = min(2.0, self.ttl / 10)
            try:
                status, answer, _ = self._coordinators.call(
                    "/v1/gpu/renew", {"token": self.token}, max(0.05, min(4.0, (self.deadline - sent) / 2))
                )
            except (OSError, http.client.HTTPException):
                continue
            if status == 200 and answer.get("expires_in"):
                self.deadline = max(self.deadline, sent + answer["expires_in"])
                pause = interval
            elif status == 410 and not self._over.is_set():
                text = answer.get("msg") or f"The lease {self.id} is over. Stop using the unit."
                return self._lose(LeaseLost(text, answer.get("error", "lost")))


@contextlib.contextmanager
def gpu_lease(holder, *, timeout=120.0, ttl=60.0, url=None, token=None, reconnecting=15.0, **wish):
    """Waits for a unit, and holds it while the block runs.

    timeout: seconds to wait for a unit, 0 to 3600; 0 takes what is free now. ttl: seconds that the lease stands without a
    renewal, 0.1 to 600. url: one or several apart by commas; default LEASEHOLD_URL, else http://localhost:8080. token:
    default LEASEHOLD_TOKEN. reconnecting: seconds that no coordinator may be reachable. All else goes into the call: priority,
    kind, host, unit, count, min_vram_mb, device_type, labels, affinity, pool, metadata, request_id, takeover.

    Raises LeaseTimeout, LeaseRefused, Unreachable, and LeaseLost where the lease was lost before the block had ended.
    """
    coordinators = _Coordinators(url, token)
    lease = _wait(coordinators, {"id": holder, "ttl": ttl, **wish}, timeout, reconnecting)
    lease._thread.start()
    try:
        yield lease
        lease.check()
    finally:
        lease.release()


def _wait(coordinators, wish, timeout, reconnecting):
    """The same call with the same request_id, again and again, until it has an answer: it keeps its place."""
    wish = {"request_id": str(uuid.uuid4()), **wish}
    end = now() + timeout
    heard, failures, tries, trouble = now(), 0, 0, ""
    try:
        while now() < end or (timeout <= 0 and tries < len(coordinators.urls)):
            tries += 1
            sent = now()
            left = max(0.0, end - sent)
            try:
                status, answer, headers = coordinators.call("/v1/gpu/lock", {**wish, "timeout": left}, left + 3.0)
            except (OSError, http.client.HTTPException) as error:
                trouble = f"{error}"
                if now() - sent > 1 and not isinstance(error, ConnectionRefusedError):
                    heard = now()
                if now() - heard >= reconnecting:
                    break
                pause = back_off(failures)
            else:
                heard = now()
                lease = _judge(coordinators, status, answer, sent)
                if lease is not None:
                    return lease
                trouble = answer.get("msg") or f"the answer was {status}"
                pause = max(back_off(failures), float(headers.get("Retry-After") or 0))
            failures += 1
            wish.pop("takeover", None)
            time.sleep(min(pause, max(0.0, end - now())))
    except BaseException as error:
        if not isinstance(error, LeaseError):
            _leave(coordinators, wish)  # Control-C, for one
        raise
    _leave(coordinators, wish)
    if trouble:
        raise Unreachable(f"No coordinator answered in time: {trouble}. Start one (leasehold up), or set LEASEHOLD_URL.")
    raise LeaseTimeout("No unit was granted in time. Wait longer, or ask for less.")


def _judge(coordinators, status, answer, sent):
    """The lease, or None where the same call has to be sent again."""
    if status == 200 and answer.get("status") == "acquired" and answer.get("token"):
        lease = Lease(coordinators, answer, sent)
        return lease if lease.deadline > now() else None
    text = answer.get("msg") or answer.get("error") or f"The coordinator answered {status}."
    if status == 503 and answer.get("status") == "timeout":
        raise LeaseTimeout(answer.get("reason") or text)
    if status == 503 and answer.get("status") == "refused":
        raise LeaseRefused(text)
    if 400 <= status < 500 and status not in (408, 409, 425, 429):
        raise LeaseRefused(text)
    return None


def _leave(coordinators, wish):
    """Gives the place in the queue up: a call that has no time to wait ends its request."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        _, answer, _ = coordinators.call("/v1/gpu/lock", {**wish, "timeout": 0}, 3.0)
        if answer.get("token"):
            coordinators.release(answer["token"], 2.0)


if __name__ == "__main__":
    with gpu_lease("python-example", timeout=30) as held:
        print(f"{held.unit} is mine until I am done, fencing token {held.fencing_token}")
        for step in range(1, 4):
            held.check()
            print(f"step {step}")
            time.sleep(0.2)
    print("given back")
