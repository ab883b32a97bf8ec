/**
 * GPUController: takes turns on a GPU through a Leasehold coordinator, from a page, a worker or Node 20.
 *
 *   import { GPUController } from "http://localhost:8080/gpu-controller.js";
 *   await GPUController.withLock("Root-Mic", async ({ signal }) => transcribe(audio, signal));
 *
 * Three rules hold everywhere below:
 * - Only an answer that says "acquired" and carries a token is a lease. A dropped connection, a 5xx or a page of some
 *   proxy is tried again with the same request id, which keeps the place in the queue.
 * - Deadlines are counted from before the call that set them was sent, so whatever is late shortens them.
 * - When it is not certain that the lease still stands, it is over: the task's `signal` is aborted.
 */

const SECOND = 1000;
/** One place's number of lock calls that may hang at a time: a browser has six connections to a server for all tabs. */
const LONG_WAITS = 3;
/** The others only touch their tickets, which are kept for 5 s without their client: a touch at most, and the pause. */
const TOUCH = 2 * SECOND;
const BETWEEN_TOUCHES = 1500;
/** The bridge answers a timeout itself; this much later nobody waits for that answer any more. */
const ANSWER_GRACE = 3 * SECOND;
const CALL_TIMEOUT = 10 * SECOND;
/** A lease is renewed after a third of its time, but so often at least that a missed event is noticed. */
const LONGEST_RENEWAL_PAUSE = 20 * SECOND;
/** The longest wait that the wire takes, in seconds. */
const LONGEST_WAIT = 3600;
/** Why a call was ended by this module itself. */
const NO_ANSWER = new Error("no answer in time");
const ASK_AGAIN = new Error("asked again");
const TOUCHED = new Error("touched");
/** Kept from the original client, whose callers may look for it. */
const DIRECT_TOKEN = "direct-webgpu-fallback";
/** What the event stream is asked for: every way in which a lease can end. */
const ENDINGS = ["ending", "released", "expired", "revoked", "reset", "preempted", "force-released", "cancelled", "lost", "duplicate"];

const CLOCK = "leasehold-clock";
/** This module is also the script of its own little worker. */
const isClock = typeof document === "undefined" && globalThis.name === CLOCK;
const isBrowser = typeof document !== "undefined" || typeof WorkerGlobalScope !== "undefined";
const locks = isBrowser ? globalThis.navigator?.locks : undefined;
const pageId = randomId();

/** A unit was not granted. `message` says why. */
export class GPULockError extends Error {
  constructor(message, details = {}) {
    super(message);
    this.name = "GPULockError";
    Object.assign(this, details);
  }
}

/** A lease ended under its holder. `reason`: expired, revoked, preempted, force_released, released, lost or closed. */
export class LeaseLostError extends Error {
  constructor(lease, reason, details = {}) {
    super(details.message || `Lease ${lease} is over (${reason}). Stop using the unit and ask for a new one.`);
    this.name = "LeaseLostError";
    this.lease = lease;
    this.reason = reason;
    this.by = details.by;
    this.why = details.why;
    if (details.cause) this.cause = details.cause;
  }
}

// Small things

function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function storage() {
  try {
    return globalThis.sessionStorage;
  } catch {
    return undefined; // a page may be forbidden to keep anything
  }
}

/** A moment by both clocks: the steady one may stand still while the machine sleeps, the wall clock may be set. */
const mark = () => ({ steady: performance.now(), wall: Date.now() });
/** Milliseconds since a moment; the later clock counts, so a doubt ends a lease early and never late. */
const since = (moment) => Math.max(performance.now() - moment.steady, Date.now() - moment.wall);

const ago = (age) => ({ steady: performance.now() - age, wall: Date.now() - age });

/**
 * Timers of a worker: those of a page that nobody looks at fire once a minute only. Whatever comes first counts, the
 * worker or the page's own timer, for a worker may be forbidden.
 */
const clock = {
  tasks: new Map(),
  count: 0,

  get worker() {
    if (this.isStarted || typeof document === "undefined" || typeof Worker === "undefined") return this.started;
    this.isStarted = true;
    try {
      this.started = new Worker(import.meta.url, { type: "module", name: CLOCK });
      this.started.onmessage = ({ data }) => this.tasks.get(data)?.();
      this.started.onerror = () => (this.started = undefined);
    } catch {
      // Loaded from another origin.
    }
    return this.started;
  },
};

if (isClock) {
  globalThis.onmessage = ({ data: { id, milliseconds } }) => setTimeout(() => postMessage(id), milliseconds);
}

/** Does the work after a while; returns what calls it off. */
function later(work, milliseconds) {
  const id = (clock.count += 1);
  const callOff = () => {
    clearTimeout(timer);
    clock.tasks.delete(id);
  };
  const run = () => {
    callOff();
    work();
  };
  const timer = setTimeout(run, milliseconds);
  if (clock.worker) {
    clock.tasks.set(id, run);
    clock.worker.postMessage({ id, milliseconds });
  }
  return callOff;
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      callOff();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const callOff = later(done, milliseconds);
    signal?.addEventListener("abort", done);
  });
}

/** Waits longer from failure to failure, with chance in it, so that a crowd does not come back at one moment. */
const backOff = (failures) => Math.min(5 * SECOND, 200 * 2 ** Math.min(failures, 5)) * (0.5 + Math.random() / 2);

/** Takes a lock of this browser: resolves to a function that gives it back, or null where it cannot be had. */
function takeLock(name, options) {
  return new Promise((resolve) => {
    locks
      .request(name, options, (lock) => {
        if (lock) return new Promise((release) => resolve(release));
        resolve(null);
      })
      .catch(() => resolve(null));
  });
}

/** Takes a lock only if it is free now. */
const tryLock = (name) => takeLock(name, { ifAvailable: true });

// The wire

/** One coordinator. Its calls throw only where no answer came. */
class Bridge {
  constructor(url, token, fetchFunction) {
    this.url = url.replace(/\/+$/, "");
    this.token = token;
    this.fetch = fetchFunction || ((...given) => globalThis.fetch(...given));
  }

  headers(type) {
    const headers = {};
    if (type) headers["Content-Type"] = type;
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    return headers;
  }

  async call(method, path, body, { signal, timeout = CALL_TIMEOUT, keepalive = false, priority = "auto" } = {}) {
    const controller = new AbortController();
    const abort = () => controller.abort(signal.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    const callOff = later(() => controller.abort(NO_ANSWER), timeout);
    try {
      const response = await this.fetch(this.url + path, {
        method,
        headers: this.headers(body && "application/json"),
        body: body && JSON.stringify(body),
        signal: controller.signal,
        keepalive,
        priority,
        cache: "no-store",
      });
      const text = await response.text();
      let answer;
      try {
        answer = JSON.parse(text);
      } catch {
        answer = {};
      }
      return {
        status: response.status,
        body: answer && typeof answer === "object" ? answer : {},
        retryAfter: Number(response.headers.get("retry-after")) || 0,
      };
    } catch (error) {
      throw controller.signal.aborted ? controller.signal.reason : error;
    } finally {
      callOff();
      signal?.removeEventListener("abort", abort);
    }
  }

  async isThere() {
    try {
      await this.call("GET", "/health", undefined, { timeout: 2 * SECOND });
      return true;
    } catch {
      return false;
    }
  }

  /** Gives a lease back while the page goes away: nothing can be awaited any more. */
  releaseOnClose(token) {
    const body = JSON.stringify({ token });
    const address = `${this.url}/v1/gpu/unlock`;
    // A plain text needs no preflight, for which a closing page has no time.
    if (!this.token && globalThis.navigator?.sendBeacon?.(address, body)) return;
    this.fetch(address, {
      method: "POST",
      headers: this.headers("application/json"),
      body,
      keepalive: true,
    }).catch(() => {});
  }

  /** Calls `onEvent` for each event of a pool, "" for the first, until `signal` ends it or the stream breaks. */
  async follow(types, pool, onEvent, signal) {
    const query = `type=${types.join(",")}${pool ? `&pool=${encodeURIComponent(pool)}` : ""}`;
    const response = await this.fetch(`${this.url}/v1/gpu/events?${query}`, {
      headers: this.headers(),
      signal,
      cache: "no-store",
    });
    if (!response.ok || !response.body) throw new GPULockError(`events: ${response.status}`);
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + decoder.decode(value, { stream: true })).split(/\r?\n\r?\n/);
      rest = blocks.pop();
      for (const block of blocks) {
        const data = block
          .split(/\r?\n/)
          .filter((line) => line.startsWith("data:"))
          .map((line) => line.slice(5).trimStart());
        if (data.length) onEvent(JSON.parse(data.join("\n")));
      }
    }
  }
}

// Request ids that outlive a reload

/** The requests of this tab that have no end yet. A duplicated tab has a copy: a lock tells whose they are. */
const requests = {
  key: "leasehold:requests",
  claimed: new Set(),

  read() {
    try {
      const entries = JSON.parse(storage()?.getItem(this.key) || "[]");
      return entries.filter((entry) => entry.until > Date.now());
    } catch {
      return [];
    }
  },

  write(entries) {
    try {
      storage()?.setItem(this.key, JSON.stringify(entries));
    } catch {
      // Full or forbidden: then a reload queues anew.
    }
  },

  /** Takes up a request of the same wish that a reload cut off, or begins one. */
  async claim(wish, timeout) {
    for (const { id } of this.read().filter((entry) => entry.wish === wish && !this.claimed.has(entry.id))) {
      this.claimed.add(id);
      const unlock = await this.lock(id);
      if (unlock) return this.begin(id, wish, timeout, unlock, true);
      this.claimed.delete(id);
    }
    return this.fresh(wish, timeout);
  },

  async fresh(wish, timeout) {
    const id = randomId();
    this.claimed.add(id);
    return this.begin(id, wish, timeout, await this.lock(id), false);
  },

  begin(id, wish, timeout, unlock, resumed) {
    this.write([...this.read().filter((entry) => entry.id !== id), { id, wish, until: Date.now() + timeout + 600_000 }]);
    return {
      id,
      wish,
      resumed,
      end: () => {
        this.claimed.delete(id);
        this.write(this.read().filter((entry) => entry.id !== id));
        unlock?.();
      },
    };
  },

  /** The page before a reload may need a moment to go. */
  async lock(id) {
    if (!locks) return () => {};
    for (let attempt = 0; ; attempt += 1) {
      const unlock = await tryLock(`leasehold:request:${id}`);
      if (unlock || attempt === 5) return unlock;
      await pause(60);
    }
  },
};

// Waiting

/** The right to let a lock call hang. Nobody limits Node. */
async function takeLongWait(bridge) {
  if (!isBrowser) return () => {};
  if (!locks) {
    if (takeLongWait.taken >= LONG_WAITS) return null;
    takeLongWait.taken = (takeLongWait.taken || 0) + 1;
    return () => (takeLongWait.taken -= 1);
  }
  for (let place = 0; place < LONG_WAITS; place += 1) {
    const release = await tryLock(`leasehold:wait:${bridge.url}:${place}`);
    if (release) return release;
  }
  return null;
}

/** One wish for a unit until it has an answer. */
class Wait {
  constructor(bridge, wish, options, request) {
    this.bridge = bridge;
    this.wish = wish;
    this.options = options;
    this.request = request;
    this.asked = mark();
    this.failures = 0;
    this.wasAnswered = false;
    this.over = new AbortController();
    /** Ends the lock call that hangs, or the pause between two of them, so that it is sent again. */
    this.again = new AbortController();
  }

  get left() {
    return this.options.timeout - since(this.asked);
  }

  async answer() {
    this.watch();
    try {
      while (this.left > 0) {
        if (this.options.signal?.aborted) return this.leave({ error: "Lock acquisition cancelled", cancelled: true });
        const outcome = await this.ask();
        if (outcome) return outcome;
      }
      return this.leave({
        error: this.wasAnswered
          ? `Lock acquisition timeout after ${this.options.timeout} ms`
          : `The GPU bridge at ${this.bridge.url} cannot be reached. Start it, or give its address to GPUController.configure.`,
        timeout: true,
        unreachable: !this.wasAnswered,
      });
    } finally {
      this.over.abort();
    }
  }

  /** One lock call. Nothing when it has to be tried again. */
  async ask() {
    const again = (this.again = new AbortController());
    const stop = () => again.abort(ASK_AGAIN);
    this.options.signal?.addEventListener("abort", stop);
    const giveBack = await takeLongWait(this.bridge);
    // One touch at a time, so that a connection is left for renewals.
    const next = giveBack || !locks ? undefined : await takeLock(`leasehold:touch:${this.bridge.url}`, { signal: again.signal });
    const sent = mark();
    try {
      const timeout = Math.min(LONGEST_WAIT, Math.max(0, this.left) / SECOND);
      const body = { ...this.wish, request_id: this.request.id, timeout };
      const limits = { signal: again.signal, timeout: giveBack ? this.left + ANSWER_GRACE : TOUCH };
      this.wasSent = true;
      const call = this.bridge.call("POST", "/v1/gpu/lock", body, limits).finally(() => (giveBack || next)?.());
      if (!giveBack) this.touch(again);
      const answer = await call;
      this.wasAnswered = true;
      return await this.judge(answer, sent);
    } catch (error) {
      if (error === ASK_AGAIN) return undefined;
      if (error !== TOUCHED && (giveBack || error !== NO_ANSWER)) return await this.unanswered();
      this.isBetweenTouches = true;
      await pause(Math.min(BETWEEN_TOUCHES, this.left), again.signal);
      this.isBetweenTouches = false;
      return undefined;
    } finally {
      this.options.signal?.removeEventListener("abort", stop);
    }
  }

  /** Ends this touch as soon as the bridge knows of it: others need the connection. No timer, which might be slow. */
  async touch(again) {
    await pause(50, again.signal);
    while (!again.signal.aborted && !this.over.signal.aborted) {
      const state = await this.look();
      if (state === "queued") again.abort(TOUCHED);
      else await pause(200, again.signal);
    }
  }

  async judge({ status, body, retryAfter }, sent) {
    if (status === 200 && body.status === "acquired" && typeof body.token === "string" && body.expires_in > 0) {
      const lasts = (body.waited_ms || 0) + body.expires_in * SECOND;
      // Where the page slept in between, the same call is answered as a renewal.
      if (lasts > since(sent)) return { success: true, answer: body, sent, lasts };
      return undefined;
    }
    if (status === 503 && body.status === "timeout") {
      this.request.end();
      return { success: false, error: body.msg || "GPU Queue Timeout", timeout: true, position: body.position };
    }
    if (status === 503 && body.status === "refused") {
      this.request.end();
      return { success: false, error: body.msg || "Refused by an admin", refused: true };
    }
    if (status === 409) {
      // Somebody else speaks for this id, a copy of this tab perhaps: it is theirs.
      this.request.end();
      this.request = await requests.fresh(this.request.wish, this.options.timeout);
      return undefined;
    }
    if (status >= 400 && status < 500 && status !== 408 && status !== 425 && status !== 429) {
      this.request.end();
      const why = [body.error, body.msg].filter(Boolean).join(": ");
      return { success: false, error: why || `GPU Lock Failed (${status})`, status };
    }
    this.failures += 1;
    await pause(Math.min(Math.max(backOff(this.failures), retryAfter * SECOND), Math.max(0, this.left)), this.options.signal);
    return undefined;
  }

  get mayGoDirectly() {
    return this.options.fallback === "direct" && !this.wasAnswered;
  }

  async unanswered() {
    this.failures += 1;
    this.firstFailure ||= mark();
    this.report({ state: "unreachable" });
    if (this.mayGoDirectly && since(this.firstFailure) >= this.options.unreachableAfter) {
      if (!(await this.bridge.isThere())) {
        this.request.end();
        return { success: true, direct: true };
      }
      this.wasAnswered = true;
    }
    await pause(Math.min(backOff(this.failures), Math.max(0, this.left)), this.options.signal);
    return undefined;
  }

  /** Gives the place up, so that nothing is granted to nobody. A timeout of 0 ends a request at once. */
  async leave(outcome) {
    const { bridge, wish, request } = this;
    request.end();
    if (this.wasSent) {
      bridge
        .call("POST", "/v1/gpu/lock", { ...wish, request_id: request.id, timeout: 0 }, { keepalive: true })
        .then(({ body }) => body.token && bridge.call("POST", "/v1/gpu/unlock", { token: body.token }))
        .catch(() => {});
    }
    return { success: false, ...outcome };
  }

  report(progress) {
    try {
      this.options.onWait?.({ requestId: this.request.id, resumed: this.request.resumed, ...progress });
    } catch (error) {
      console.error("onWait failed", error);
    }
  }

  /** Asks for the place in the queue and reports it. Resolves to the request's state, nothing where no answer came. */
  async look() {
    const over = this.over.signal;
    this.lookedAt = mark();
    try {
      const path = `/v1/gpu/requests/${encodeURIComponent(this.request.id)}`;
      const { status, body } = await this.bridge.call("GET", path, undefined, { signal: over, timeout: 4 * SECOND, priority: "low" });
      this.wasAnswered = true;
      if (over.aborted || status !== 200) return "unknown";
      this.report({
        state: body.state,
        position: body.position,
        ahead: body.ahead || [],
        queueDepth: body.queue_depth,
        waitedMs: body.waited_ms,
        timeLeftMs: body.time_left_ms,
      });
      return body.state;
    } catch {
      return undefined;
    }
  }

  /** Looks again and again, and notices a hanging call that no answer can reach any more. */
  async watch() {
    const over = this.over.signal;
    const every = this.options.onWait ? this.options.progressEvery : 5 * SECOND;
    let doubts = 0;
    await pause(250, over);
    while (!over.aborted) {
      const rest = this.lookedAt ? every - since(this.lookedAt) : 0;
      if (rest > every / 4) {
        await pause(rest, over);
        continue;
      }
      const state = await this.look();
      if (state === "held" && this.isBetweenTouches) this.again.abort(ASK_AGAIN);
      doubts = state === "queued" || state === "offered" ? 0 : doubts + 1;
      if (doubts >= 3) {
        doubts = 0;
        this.again.abort(ASK_AGAIN);
      }
      await pause(every, over);
    }
  }
}

// Holding

/** A lease of this page. */
class Lease {
  constructor(bridge, agentId, kind, pool, { answer, sent, lasts }, request) {
    this.bridge = bridge;
    this.agentId = agentId;
    this.kind = kind;
    this.pool = pool || "";
    this.id = answer.lease;
    this.token = answer.token;
    this.ttl = (answer.ttl || answer.expires_in) * SECOND;
    this.request = request;
    this.aborter = new AbortController();
    this.isOver = false;
    this.extend(sent, lasts);
  }

  /** @param sent a moment before the call that gave the time was sent */
  extend(sent, lasts) {
    if (this.isOver) return;
    this.renewedAt = mark();
    this.retryAt = undefined;
    const left = lasts - since(sent);
    if (this.from && left < this.left) return;
    this.from = sent;
    this.lasts = lasts;
    this.callOff?.();
    this.callOff = later(() => this.checkDeadline(), Math.max(0, left));
  }

  get left() {
    return this.lasts - since(this.from);
  }

  checkDeadline() {
    if (this.isOver) return;
    if (this.left > 0) this.callOff = later(() => this.checkDeadline(), this.left);
    else this.lose("expired", { message: `Lease ${this.id} could not be renewed in time. Stop using the unit.` });
  }

  /** Somebody of better priority asks for the unit. Told once, by whoever says it first. */
  asked(by, priority, within) {
    if (this.isOver || this.isAsked || !by) return;
    this.isAsked = true;
    try {
      this.onPreempt?.({ by, priority, within });
    } catch (error) {
      console.error("onPreempt failed", error);
    }
  }

  lose(reason, details) {
    if (this.isOver) return;
    this.close();
    this.aborter.abort(new LeaseLostError(this.id, reason, details));
  }

  close() {
    this.isOver = true;
    this.callOff?.();
    this.request?.end();
    keeperOf(this.bridge).drop(this);
  }

  async release() {
    if (this.isOver) return;
    this.close();
    // By token it can be said again: an earlier lease's token releases nothing else.
    for (let failures = 0; failures < 5; failures += 1) {
      try {
        const { status } = await this.bridge.call("POST", "/v1/gpu/unlock", { token: this.token }, { keepalive: true, timeout: 5 * SECOND });
        if (status < 500) return;
      } catch {
        // Tried again; in the end its own deadline frees the unit.
      }
      await pause(backOff(failures));
    }
    console.warn(`Lease ${this.id} could not be given back; it ends by its own deadline.`);
  }
}

/**
 * Keeps leases alive. One page of a browser, whoever has the lock, does it for all of its tabs and follows the events for
 * them: a tab whose timers are throttled or whose thread is busy keeps its lease. Every other page looks after itself
 * where it hears nothing.
 */
class Keeper {
  constructor(bridge) {
    this.bridge = bridge;
    this.leases = new Map(); // of this page: lease id → Lease
    this.charges = new Map(); // of other pages, while this one leads: lease id → {token, ttl, page, pool, renewedAt}
    this.streams = new Map(); // of events, while this one leads: pool → AbortController
    this.stamps = new Map();
    this.isLeader = false;
    if (isBrowser && locks && typeof BroadcastChannel !== "undefined") {
      this.channel = new BroadcastChannel(`leasehold:${bridge.url}`);
      this.channel.onmessage = ({ data }) => this.hear(data);
      locks.request(`leasehold:page:${pageId}`, () => new Promise(() => {})).catch(() => {});
    }
  }

  add(lease) {
    this.leases.set(lease.id, lease);
    this.announce(lease);
    this.lead();
    this.plan();
  }

  drop(lease) {
    if (!this.leases.delete(lease.id)) return;
    this.say({ type: "drop", lease: lease.id });
    if (this.leases.size === 0) this.resign?.();
    this.plan();
  }

  say(message) {
    this.channel?.postMessage({ ...message, page: pageId });
  }

  announce(lease) {
    this.say({ type: "hold", lease: lease.id, token: lease.token, ttl: lease.ttl, pool: lease.pool, age: since(lease.renewedAt) });
  }

  /** Queues for the lead; without locks every page leads itself. */
  lead() {
    if (this.isLeader || this.isQueued) return;
    const work = () =>
      new Promise((resolve) => {
        this.isLeader = true;
        this.resign = () => {
          this.isLeader = false;
          this.isQueued = false;
          this.resign = undefined;
          this.charges.clear();
          this.plan();
          resolve();
        };
        if (this.leases.size === 0) return this.resign();
        this.say({ type: "who" });
        this.plan();
      });
    if (!this.channel) return void work();
    this.isQueued = true;
    locks.request(`leasehold:keeper:${this.bridge.url}`, work).catch(() => (this.isQueued = false));
  }

  /** Follows the events of each pool that a lease of these pages is in, and no others. */
  followPools() {
    const held = this.isLeader ? [...this.leases.values(), ...this.charges.values()] : [];
    const pools = new Set(held.map(({ pool }) => pool || ""));
    for (const [pool, stop] of this.streams) {
      if (pools.has(pool)) continue;
      this.streams.delete(pool);
      stop.abort();
    }
    for (const pool of pools) if (!this.streams.has(pool)) this.followEvents(pool);
  }

  async followEvents(pool) {
    const stop = new AbortController();
    this.streams.set(pool, stop);
    for (let failures = 0; !stop.signal.aborted; ) {
      const began = mark();
      try {
        await this.bridge.follow([...ENDINGS, "preempting", "spared"], pool, (event) => this.saw(event), stop.signal);
      } catch {
        // Renewals are the authority, events only come sooner.
      }
      failures = since(began) > 10 * SECOND ? 0 : failures + 1;
      await pause(backOff(failures), stop.signal);
    }
  }

  saw(event) {
    const { type, lease, priority, grace } = event;
    if (type === "preempting" || type === "spared") {
      this.hearAsked({ lease, by: type === "spared" ? null : event.for, priority, within: grace });
      if (this.charges.has(lease)) this.say({ type: "asked", lease, by: type === "spared" ? null : event.for, priority, within: grace });
    } else {
      this.sawEnd(event);
    }
  }

  hearAsked({ lease, by, priority, within }) {
    const own = this.leases.get(lease);
    if (by) own?.asked(by, priority, within);
    else if (own) own.isAsked = false;
  }

  sawEnd({ type, lease, by, why, reason }) {
    const word = { "force-released": "force_released", reset: "revoked", ending: "revoked" };
    const cause = type === "ending" && reason ? reason : type;
    const details = { by, why };
    if (this.leases.has(lease)) this.leases.get(lease).lose(word[cause] || cause, details);
    else if (this.charges.delete(lease)) this.say({ type: "gone", lease, reason: word[cause] || cause, details });
  }

  hear(message) {
    const own = this.leases.get(message.lease);
    switch (message.type) {
      case "asked":
        this.hearAsked(message);
        break;
      case "who":
        for (const lease of this.leases.values()) this.announce(lease);
        break;
      case "hold": {
        if (!this.isLeader) break;
        const { token, ttl, page, pool, age } = message;
        this.charges.set(message.lease, { token, ttl, page, pool, renewedAt: ago(age) });
        this.plan();
        break;
      }
      case "drop":
        if (this.charges.delete(message.lease)) this.plan();
        break;
      case "stamp?":
        // From this moment the renewal that follows is counted: it has not been sent yet.
        if (!own) break;
        this.stamps.set(message.lease, { number: message.number, at: mark() });
        this.say({ type: "stamp", lease: message.lease, number: message.number });
        break;
      case "stamp":
        this.charges.get(message.lease)?.stamped?.(message.number);
        break;
      case "renewed": {
        if (!own) break;
        const stamp = this.stamps.get(message.lease);
        if (message.stamped && stamp?.number === message.number) own.extend(stamp.at, message.lasts);
        else this.renew(own);
        this.plan();
        break;
      }
      case "gone":
        own?.lose(message.reason, message.details);
        break;
    }
  }

  /** Follows what is held now, and sets the one timer for whatever has to be renewed first. */
  plan() {
    this.followPools();
    this.callOff?.();
    let next = Infinity;
    for (const lease of this.leases.values()) next = Math.min(next, this.due(lease));
    for (const charge of this.charges.values()) next = Math.min(next, this.due(charge));
    if (next < Infinity) this.callOff = later(() => this.work(), Math.max(10, next));
  }

  /** Milliseconds until a renewal; a page that does not lead leaves the leader its turn first. */
  due(held) {
    if (held.isRenewing) return Infinity;
    if (held.retryAt) return held.retryAfter - since(held.retryAt);
    return Math.min(held.ttl / 3, LONGEST_RENEWAL_PAUSE) * (this.isLeader ? 1 : 1.5) - since(held.renewedAt);
  }

  work() {
    for (const lease of this.leases.values()) if (this.due(lease) <= 10) this.renew(lease);
    for (const [id, charge] of this.charges) if (this.due(charge) <= 10) this.renewFor(id, charge);
    this.plan();
  }

  /** Tries again soon, more often where little time is left. */
  postpone(held) {
    held.retryAt = mark();
    held.retryAfter = Math.min(2 * SECOND, held.ttl / 10);
  }

  async callRenew(held, limit) {
    const sent = mark();
    try {
      const answer = await this.bridge.call("POST", "/v1/gpu/renew", { token: held.token }, { timeout: limit, priority: "high" });
      return { ...answer, sent };
    } catch {
      return { status: 0, body: {}, sent };
    }
  }

  async renew(lease) {
    if (lease.isRenewing || lease.isOver) return;
    lease.isRenewing = true;
    const { status, body, sent } = await this.callRenew(lease, Math.max(50, Math.min(4 * SECOND, lease.left)));
    lease.isRenewing = false;
    if (status === 200 && body.expires_in > 0) {
      lease.extend(sent, body.expires_in * SECOND);
      const wish = body.preemption;
      if (wish) lease.asked(wish.by, wish.priority, wish.release_within * SECOND);
    } else if (status === 410) lease.lose(body.error || "lost", { message: body.msg, by: body.by, why: body.why });
    else this.postpone(lease);
    this.plan();
  }

  async renewFor(id, charge) {
    if (charge.isRenewing) return;
    charge.isRenewing = true;
    const number = (charge.number || 0) + 1;
    charge.number = number;
    const stamped = await new Promise((resolve) => {
      charge.stamped = (answered) => answered === number && resolve(true);
      later(() => resolve(false), Math.min(300, charge.ttl / 10));
      this.say({ type: "stamp?", lease: id, number });
    });
    if (!stamped && (await this.isDead(charge.page))) {
      // A tab that crashed could not say so.
      this.charges.delete(id);
      this.bridge.call("POST", "/v1/gpu/unlock", { token: charge.token }).catch(() => {});
      return this.plan();
    }
    const { status, body } = await this.callRenew(charge, 4 * SECOND);
    charge.isRenewing = false;
    if (!this.charges.has(id)) return undefined;
    if (status === 200) {
      charge.renewedAt = mark();
      charge.retryAt = undefined;
      this.say({ type: "renewed", lease: id, number, stamped, lasts: body.expires_in * SECOND });
    } else if (status === 410) {
      this.charges.delete(id);
      this.say({ type: "gone", lease: id, reason: body.error || "lost", details: { message: body.msg, by: body.by, why: body.why } });
    } else {
      this.postpone(charge);
    }
    return this.plan();
  }

  async isDead(page) {
    const release = await tryLock(`leasehold:page:${page}`);
    release?.();
    return release !== null;
  }

  closePage() {
    for (const lease of [...this.leases.values()]) {
      this.bridge.releaseOnClose(lease.token);
      lease.lose("closed", { message: "The page was closed." });
    }
  }
}

const keepers = new Map();

function keeperOf(bridge) {
  const key = `${bridge.url} ${bridge.token || ""}`;
  if (!keepers.has(key)) keepers.set(key, new Keeper(bridge));
  return keepers.get(key);
}

if (isBrowser && typeof globalThis.addEventListener === "function") {
  globalThis.addEventListener("pagehide", () => {
    for (const keeper of keepers.values()) keeper.closePage();
  });
}

/** Without a bridge the tabs of this browser can at least take turns among themselves. */
async function accessDirectly(left) {
  const aborter = new AbortController();
  let release = () => {};
  if (locks) {
    const waiting = new AbortController();
    const callOff = later(() => waiting.abort(), Math.max(1, left));
    release = await takeLock("leasehold:direct", { signal: waiting.signal });
    callOff();
    if (!release) return { success: false, error: "Another tab uses the GPU directly", timeout: true };
  }
  return { success: true, direct: true, token: DIRECT_TOKEN, signal: aborter.signal, release: async () => release() };
}

// The face

const settings = { url: undefined, token: undefined, fetch: undefined };

function defaultUrl() {
  const given = globalThis.process?.env?.LEASEHOLD_URL;
  if (given) return given;
  const here = new URL(import.meta.url);
  // Loaded from a coordinator, it speaks to that one; copied elsewhere, to the one on this machine.
  return here.protocol.startsWith("http") && here.pathname === "/gpu-controller.js" ? here.origin : "http://localhost:8080";
}

function optionsOf(given, timeout) {
  const options = typeof given === "object" && given !== null ? given : { timeout: given };
  const patience = options.timeout ?? timeout;
  return { unreachableAfter: Math.min(3 * SECOND, patience / 2), progressEvery: SECOND, ...options, timeout: patience };
}

/** The members of a lock call, in the words of the wire; what is not given is not sent. */
function wishOf(agentId, options, kind) {
  const { priority, host, unit, count, labels, affinity, metadata, pool } = options;
  const wish = { id: agentId, kind, priority, host, unit, count, labels, affinity, metadata, pool };
  wish.ttl = options.ttl && options.ttl / SECOND;
  wish.min_vram_mb = options.minVramMb;
  wish.preempt = options.preempt;
  wish.device_type = options.deviceType;
  return JSON.parse(JSON.stringify(wish));
}

export class GPUController {
  static #held = new Map(); // kind and agent → results not yet released
  static #loaders = new Map(); // agent → number of its model loads under way

  /** The coordinator's address. */
  static get BRIDGE_URL() {
    return settings.url || defaultUrl();
  }

  /** @param given url, token, fetch: whatever differs from the defaults */
  static configure(given) {
    Object.assign(settings, given);
  }

  static #bridge() {
    const token = settings.token ?? storage()?.getItem("leasehold:token") ?? globalThis.process?.env?.LEASEHOLD_TOKEN;
    return new Bridge(this.BRIDGE_URL, token || undefined, settings.fetch);
  }

  /**
   * Waits for a GPU. Never throws: `success` tells, `error` says why not. The lease is renewed until `releaseLock`, the end
   * of the page, or its loss, of which `signal` tells.
   * @param timeout milliseconds to wait, or an object of options
   */
  static async acquireLock(agentId, timeout = 120_000) {
    return this.#acquire(agentId, optionsOf(timeout, 120_000), "gpu");
  }

  static async #acquire(agentId, options, kind) {
    const bridge = this.#bridge();
    const { kind: wanted = kind } = options;
    const wish = wishOf(agentId, options, wanted);
    const began = mark();
    const request = await requests.claim(JSON.stringify([bridge.url, wish]), options.timeout);
    const wait = new Wait(bridge, wish, options, request);
    const outcome = await wait.answer();
    if (!outcome.success) return outcome;
    const result = outcome.direct
      ? await accessDirectly(options.timeout - since(began))
      : this.#hold(new Lease(bridge, agentId, wanted, options.pool, outcome, wait.request), outcome.answer, options.onPreempt);
    if (result.direct) console.warn(`No GPU bridge at ${bridge.url}: "${agentId}" uses the GPU without a lease, as it asked to.`);
    if (result.success) this.#remember(`${wanted} ${agentId}`, result);
    return result;
  }

  static #hold(lease, answer, onPreempt) {
    lease.onPreempt = onPreempt;
    keeperOf(lease.bridge).add(lease);
    return {
      success: true,
      direct: false,
      token: lease.token,
      lease: lease.id,
      unit: answer.unit,
      units: answer.units || [answer.unit],
      host: answer.host,
      holder: answer.holder,
      fencingToken: answer.fencing_token,
      ttl: lease.ttl,
      waitedMs: answer.waited_ms,
      requestId: answer.request_id,
      env: answer.env || {},
      signal: lease.aborter.signal,
      expiresIn: () => (lease.isOver ? 0 : Math.max(0, lease.left)),
      release: () => lease.release(),
    };
  }

  static #remember(key, result) {
    const results = this.#held.get(key) || [];
    this.#held.set(key, [...results, result]);
    const release = result.release;
    result.release = async () => {
      const others = (this.#held.get(key) || []).filter((other) => other !== result);
      if (others.length) this.#held.set(key, others);
      else this.#held.delete(key);
      await release();
    };
  }

  /** Gives back what this agent holds. Never throws. */
  static async releaseLock(agentId) {
    const results = this.#held.get(`gpu ${agentId}`) || [];
    if (results.length) {
      await Promise.all(results.map((result) => result.release()));
      return;
    }
    try {
      await this.#bridge().call("POST", "/v1/gpu/unlock", { id: agentId }, { keepalive: true });
    } catch (error) {
      console.warn("Failed to release lock", error);
    }
  }

  /**
   * Runs a task while a GPU is held.
   * @throws GPULockError where no GPU was granted, LeaseLostError where it was lost before the task had ended
   */
  static async withLock(agentId, taskFn, timeout = 120_000) {
    return this.#run(await this.acquireLock(agentId, timeout), taskFn);
  }

  static async #run(lock, taskFn) {
    if (!lock.success) throw new GPULockError(`Could not acquire GPU lock: ${lock.error}`, { details: lock });
    let failure;
    try {
      const result = await taskFn(lock);
      if (!lock.signal.aborted) return result;
    } catch (error) {
      failure = error;
    } finally {
      await lock.release();
    }
    if (!lock.signal.aborted) throw failure;
    const lost = lock.signal.reason;
    if (failure && failure !== lost) lost.cause ??= failure;
    throw lost;
  }

  /** Runs a task while no other model is loaded on that host. The task takes its own GPU lock if it needs one. */
  static async withModelLoadLock(agentId, taskFn, timeout = 300_000) {
    const count = (change) => {
      const number = (this.#loaders.get(agentId) || 0) + change;
      if (number > 0) this.#loaders.set(agentId, number);
      else this.#loaders.delete(agentId);
    };
    count(1);
    try {
      return await this.#run(await this.#acquire(agentId, optionsOf(timeout, 300_000), "model-load"), taskFn);
    } finally {
      count(-1);
    }
  }

  /** The model loads of this page, waiting ones included. */
  static getModelLoadStatus() {
    const activeLoaders = [...this.#loaders.keys()];
    const hasPendingLoad = activeLoaders.length > 0;
    const modelLoadQueueInfo = `Model Load Queue: ${activeLoaders.length} active, ${hasPendingLoad ? "loading" : "idle"}`;
    return { queueSize: activeLoaders.length, activeLoaders, hasPendingLoad, modelLoadQueueInfo };
  }

  /** The coordinator's status, or `{error}`. Never throws. */
  static async checkStatus() {
    try {
      const { status, body } = await this.#bridge().call("GET", "/v1/gpu/status");
      return status === 200 ? body : { error: body.msg || `Status check failed (${status})` };
    } catch (error) {
      return { error: error.message };
    }
  }
}

export default GPUController;
