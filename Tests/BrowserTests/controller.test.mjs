// The browser module under Node, against the real service.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { GPUController, GPULockError, LeaseLostError } from "../../Sources/CAssets/files/gpu-controller.js";
import { until } from "./browser.mjs";
import { Service, startCable, startProxy } from "./service.mjs";

let service;
let place;
/** Ended when the test has ended. */
const held = [];

before(async () => {
  service = await Service.start();
  place = await service.place();
});
beforeEach(async () => {
  await Promise.all(held.splice(0).map((lock) => lock.release()));
  await service.clear();
  GPUController.configure({ url: service.url });
});
after(async () => {
  await Promise.all(held.splice(0).map((lock) => lock.release()));
  await service?.stop();
});

async function acquire(id, options = {}) {
  const lock = await GPUController.acquireLock(id, { ...place, timeout: 20_000, ...options });
  if (lock.success) held.push(lock);
  return lock;
}

/** The status follows the events, a moment behind what its callers were answered. */
const shown = (holder) => until(async () => (await service.holderOf(place)) === holder, { what: `${holder} is shown as the holder` });

const waiting = async () => (await service.status()).waiters.map((waiter) => waiter.holder);

test("a lease outlives its time while the task runs, and is given back after it", async () => {
  const ttl = 3000;
  const result = await GPUController.withLock(
    "task",
    async (lock) => {
      const began = Date.now();
      await until(() => Date.now() - began > 2 * ttl);
      assert.equal(lock.signal.aborted, false);
      assert.ok(lock.expiresIn() > 0 && lock.expiresIn() < ttl);
      assert.equal(await service.holderOf(place), "task");
      return "done";
    },
    { ...place, ttl },
  );
  assert.equal(result, "done");
  await shown(null);
});

test("who holds a unit is told once that a request of better priority asks for it", async () => {
  const wishes = [];
  const dream = await acquire("dreamer", { priority: 20, onPreempt: (wish) => wishes.push(wish) });
  const voice = acquire("voice", { priority: 0, preempt: true });
  await until(() => wishes.length > 0, { within: 10_000, what: "a wish" });
  assert.equal(wishes[0].by, "voice");
  assert.equal(wishes[0].priority, 0);
  assert.ok(wishes[0].within > 0 && wishes[0].within <= 30_000);
  assert.equal(dream.signal.aborted, false);
  await dream.release();
  assert.equal((await voice).success, true);
  assert.equal(wishes.length, 1);
});

test("the original's calls work unchanged", async () => {
  const lock = await GPUController.acquireLock("Root-Console", 20_000);
  assert.equal(lock.success, true);
  assert.equal(typeof lock.token, "string");
  const status = await until(async () => {
    const now = await GPUController.checkStatus();
    return now.units.some((unit) => unit.holder === "Root-Console") && now;
  });
  assert.ok(Array.isArray(status.queued));
  await GPUController.releaseLock("Root-Console");
  await shown(null);
  await GPUController.releaseLock("Root-Console");
  assert.deepEqual(GPUController.getModelLoadStatus().activeLoaders, []);
  await assert.rejects(GPUController.withLock("Root-Mic", () => Promise.reject(new Error("mine")), 20_000), /mine/);
  await until(async () => (await service.status()).leases.length === 0);
});

test("a task is told when an admin takes its lease", async () => {
  let told;
  const run = GPUController.withLock(
    "task",
    async ({ lease, signal }) => {
      service.call("POST", "/v1/gpu/reset", { lease, why: "maintenance" });
      const began = Date.now();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      told = Date.now() - began;
    },
    place,
  );
  await assert.rejects(run, (error) => error instanceof LeaseLostError && error.reason === "revoked");
  // By the stream of events: a renewal would have told it after a third of two minutes.
  assert.ok(told < 15_000, `told after ${told} ms`);
});

test("a waiter keeps its place when its connection is cut", async () => {
  const first = await acquire("first");
  const cable = await startCable(service.url);
  GPUController.configure({ url: cable.url });
  const places = [];
  const second = acquire("second", { onWait: (progress) => progress.position && places.push(progress.position) });
  await until(async () => (await waiting()).length === 1);
  GPUController.configure({ url: service.url });
  const third = acquire("third");
  await until(async () => (await waiting()).length === 2);
  cable.cut();
  await until(() => places.length > 0);
  const before = places.length;
  await until(() => places.length > before);
  assert.deepEqual(await waiting(), ["second", "third"]);
  await first.release();
  const lock = await second;
  assert.equal(lock.success, true);
  assert.ok(places.every((number) => number === 1));
  await lock.release();
  await (await third).release();
  await cable.stop();
});

test("errors and pages of a proxy are no grant", async () => {
  let bad = 0;
  const proxy = await startProxy(service.url, (request, response) => {
    if (request.url !== "/v1/gpu/lock" || bad === 4) return false;
    bad += 1;
    if (bad === 1) request.socket.destroy();
    else if (bad === 2) response.writeHead(502, { "Content-Type": "text/html" }).end("<h1>Bad gateway</h1>");
    else if (bad === 3) response.writeHead(200, { "Content-Type": "text/html" }).end("<h1>Welcome</h1>");
    else response.writeHead(200, { "Content-Type": "application/json" }).end('{"status":"acquired"}');
    return true;
  });
  GPUController.configure({ url: proxy.url });
  const lock = await acquire("patient", { fallback: "direct" });
  assert.equal(bad, 4);
  assert.equal(lock.success, true);
  assert.equal(lock.direct, false);
  await shown("patient");
  await lock.release();
  await proxy.stop();
});

test("without a bridge nobody gets the GPU who has not asked for that", async () => {
  const nobody = await startCable("http://127.0.0.1:1");
  await nobody.stop();
  GPUController.configure({ url: nobody.url });
  const refused = await GPUController.acquireLock("careful", 1200);
  assert.equal(refused.success, false);
  assert.equal(refused.unreachable, true);
  await assert.rejects(GPUController.withLock("careful", () => "never", 600), GPULockError);
  const lock = await GPUController.acquireLock("bold", { timeout: 3000, fallback: "direct", unreachableAfter: 300 });
  assert.equal(lock.success, true);
  assert.equal(lock.direct, true);
  assert.equal(lock.signal.aborted, false);
  await lock.release();
});

test("what is late on its way shortens a lease", async () => {
  const proxy = await startProxy(service.url, undefined, ({ url }) => (url === "/v1/gpu/lock" ? 1500 : 0));
  GPUController.configure({ url: proxy.url });
  const lock = await acquire("slow", { ttl: 5000 });
  assert.equal(lock.success, true);
  assert.ok(lock.expiresIn() <= 5000 - 1500, `${lock.expiresIn()} ms left`);
  await lock.release();
  await proxy.stop();
});

test("a lease that cannot be renewed ends for its holder before it ends for its agent", async () => {
  const cable = await startCable(service.url);
  GPUController.configure({ url: cable.url });
  const began = Date.now();
  const lock = await acquire("cut-off", { ttl: 3000 });
  await shown("cut-off");
  await cable.stop();
  await new Promise((resolve) => lock.signal.addEventListener("abort", resolve));
  // The agent's end is its time and 2 s more after it has heard of it.
  assert.ok(Date.now() - began < 5000);
  assert.equal(lock.signal.reason.reason, "expired");
  assert.equal(await service.holderOf(place), "cut-off");
});

test("who waits in vain, is refused or gives up is told so, and leaves the queue", async () => {
  const first = await acquire("first");
  const timeout = await acquire("in-vain", { timeout: 700 });
  assert.equal(timeout.success, false);
  assert.equal(timeout.timeout, true);
  const stop = new AbortController();
  const cancelled = acquire("fickle", { signal: stop.signal });
  await until(async () => (await waiting()).includes("fickle"));
  stop.abort();
  assert.equal((await cancelled).cancelled, true);
  // A named request that was only abandoned would wait for 5 s.
  await until(async () => (await waiting()).length === 0, { within: 4000 });
  const refused = acquire("refused");
  await until(async () => (await waiting()).includes("refused"));
  await service.call("POST", "/v1/gpu/force-release-all", { why: "a drill" });
  assert.equal((await refused).refused, true);
  await until(() => first.signal.aborted);
});

test("models are loaded one at a time", async () => {
  const loading = [];
  let most = 0;
  const load = (id) =>
    GPUController.withModelLoadLock(id, async ({ unit }) => {
      loading.push(id);
      most = Math.max(most, loading.length);
      assert.match(unit, /\/model-load$/);
      await new Promise((resolve) => setTimeout(resolve, 150));
      loading.pop();
      return id;
    });
  const runs = [load("a"), load("b"), load("c")];
  assert.equal(GPUController.getModelLoadStatus().queueSize, 3);
  assert.deepEqual(await Promise.all(runs), ["a", "b", "c"]);
  assert.equal(most, 1);
  assert.equal(GPUController.getModelLoadStatus().hasPendingLoad, false);
});

test("a task in any pool of a coordinator is told at once when its lease is taken", async () => {
  const own = await Service.start("--simulate", "1");
  let proxy;
  try {
    const both = await own.pools("default", "night");
    // What is renewed every 20 s at most would otherwise tell it: that stays without an answer here.
    proxy = await startProxy(both.url, (request) => request.url === "/v1/gpu/renew");
    GPUController.configure({ url: proxy.url });
    const day = await GPUController.acquireLock("day", { timeout: 20_000 });
    const night = await GPUController.acquireLock("night", { timeout: 20_000, pool: "night" });
    assert.equal(night.unit, "night/0");
    const streams = async (pool) => /^leasehold_event_stream_subscribers (\d+)$/m.exec(await (await fetch(`${both.url}/metrics?pool=${pool}`)).text())?.[1];
    for (const pool of ["default", "night"]) await until(async () => (await streams(pool)) === "1", { what: `a stream of ${pool}` });
    await both.call("POST", "/v1/gpu/reset", { pool: "night", why: "a drill" });
    await until(() => night.signal.aborted);
    assert.equal(night.signal.reason.reason, "revoked");
    assert.equal(day.signal.aborted, false);
    // The stream of a pool in which nothing is held any more is given up.
    await until(async () => (await streams("night")) === "0", { what: "no stream of night" });
    await day.release();
  } finally {
    await proxy?.stop();
    await own.stop();
  }
});
