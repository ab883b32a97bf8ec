// The browser module, the examples and the dashboard in Chromium, against the real service.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { Browser, until } from "./browser.mjs";
import { Service } from "./service.mjs";

let service;
let browser;
let place;
let tabs = [];

before(async () => {
  service = await Service.start();
  place = await service.place();
  browser = await Browser.start();
});
beforeEach(async () => {
  await Promise.all(tabs.map((tab) => tab.close()));
  tabs = [];
  await service.clear();
});
after(async () => {
  await browser?.close();
  await service?.stop();
});

/** A tab of the coordinator's own origin; its task runs until `finish()`. */
class Agent {
  static async open(id, options = {}) {
    const tab = await browser.tab(`${service.url}/examples/mic.html`);
    tabs.push(tab);
    return new Agent(tab, id, options);
  }

  constructor(tab, id, options) {
    Object.assign(this, { tab, id, options: { ...place, timeout: 60_000, ...options } });
  }

  /** Asks for the place; everything that happens to it is written down in the page. */
  async ask() {
    await this.tab.evaluate(`(async () => {
      const { GPUController } = await import("/gpu-controller.js");
      window.seen = { places: [] };
      const finished = new Promise((resolve) => (window.finish = resolve));
      const onWait = ({ position, resumed }) => { seen.resumed = resumed; if (position) seen.places.push(position); };
      const task = async (lock) => {
        seen.started = lock.fencingToken;
        seen.waitedMs = lock.waitedMs;
        lock.signal.addEventListener("abort", () => (seen.lost = lock.signal.reason.reason));
        await Promise.race([finished, new Promise((resolve) => lock.signal.addEventListener("abort", resolve))]);
      };
      GPUController.withLock(${JSON.stringify(this.id)}, task, { ...${JSON.stringify(this.options)}, onWait }).then(
        () => (seen.ended = "done"), (error) => (seen.ended = error.name + ": " + error.message));
    })()`);
    return this;
  }

  seen() {
    return this.tab.evaluate("window.seen");
  }

  waits() {
    return until(async () => (await service.status()).waiters.some((waiter) => waiter.holder === this.id), { what: `${this.id} waits` });
  }

  holds() {
    return until(async () => (await this.seen()).started, { what: `${this.id} holds` });
  }

  finish() {
    return this.tab.evaluate("window.finish()");
  }

  ends() {
    return until(async () => (await this.seen()).ended, { what: `${this.id} ends` });
  }
}

/** The events from now on, by type and holder. */
async function record() {
  const stop = new AbortController();
  const response = await fetch(`${service.url}/v1/gpu/events`, { signal: stop.signal });
  const events = [];
  (async () => {
    let rest = "";
    for await (const data of response.body.pipeThrough(new TextDecoderStream())) {
      const blocks = (rest + data).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const line = block.split("\n").find((one) => one.startsWith("data:"));
        if (line) events.push(JSON.parse(line.slice(5)));
      }
    }
  })().catch(() => {});
  return { events, has: (type, holder) => events.some((event) => event.type === type && event.holder === holder), stop: () => stop.abort() };
}

test("five tabs compete: one is closed while it holds, one reloads while it waits, one loses its lease", async () => {
  const log = await record();
  const agents = [];
  for (const number of [1, 2, 3, 4, 5]) {
    const agent = await Agent.open(`tab-${number}`, { ttl: 20_000 });
    await agent.ask();
    await (number === 1 ? agent.holds() : agent.waits());
    agents.push(agent);
  }
  const [first, second, third, fourth, fifth] = agents;
  await until(async () => (await third.seen()).places.at(-1) === 2);

  await third.tab.reload();
  await third.ask();
  await until(async () => (await third.seen()).places.at(-1) === 2, { what: "the place is kept" });
  assert.equal((await third.seen()).resumed, true);
  assert.deepEqual((await service.status()).waiters.map((waiter) => waiter.holder), ["tab-2", "tab-3", "tab-4", "tab-5"]);

  await first.tab.close();
  await second.holds();
  await until(() => log.has("granted", "tab-2"));
  assert.ok(log.has("released", "tab-1") && !log.has("expired", "tab-1"), "the closing page gave its lease back");

  await second.finish();
  assert.equal(await second.ends(), "done");
  await third.holds();

  // The status follows the events: a grant is shown there a moment after its holder has heard of it.
  const { lease } = await until(async () => (await service.status()).leases.find((one) => one.holder === "tab-3"));
  await service.call("POST", "/v1/gpu/reset", { lease, why: "a drill" });
  assert.match(await third.ends(), /^LeaseLostError/);
  assert.equal((await third.seen()).lost, "revoked");

  await fourth.holds();
  await fourth.finish();
  await fifth.holds();
  await fifth.finish();
  assert.equal(await fifth.ends(), "done");

  await until(() => log.has("granted", "tab-5"));
  const grants = log.events.filter((event) => event.type === "granted" && event.unit === place.unit);
  assert.deepEqual(grants.map((event) => event.holder), ["tab-1", "tab-2", "tab-3", "tab-4", "tab-5"]);
  const tokens = await Promise.all([second, third, fourth, fifth].map(async (agent) => (await agent.seen()).started));
  assert.deepEqual([...tokens].sort((left, right) => left - right), tokens);
  await until(async () => (await service.holderOf(place)) === null);
  log.stop();
});

test("a holder renews although more tabs wait than a browser has connections", async () => {
  const ttl = 4000;
  const first = await Agent.open("holder", { ttl });
  await first.ask();
  await first.holds();
  const crowd = [];
  for (let number = 1; number <= 7; number += 1) crowd.push(await Agent.open(`crowd-${number}`, { ttl: 20_000 }));
  for (const agent of crowd) {
    await agent.ask();
    await agent.waits();
  }
  const began = Date.now();
  await until(() => Date.now() - began > 2 * ttl);
  assert.equal((await first.seen()).lost, undefined);
  await first.finish();
  for (const agent of crowd) {
    await agent.holds();
    await agent.finish();
    assert.equal(await agent.ends(), "done");
  }
});

test("one tab renews for the others", async () => {
  const ttl = 4000;
  const leader = await Agent.open("leader", { ttl });
  await leader.ask();
  await leader.holds();
  const other = await Agent.open("other", { ttl, ...(await service.place("model-load")) });
  await other.ask();
  await other.holds();
  // From now on it cannot renew by itself.
  await other.tab.evaluate('{ const real = fetch; window.fetch = (to, ...more) => String(to).includes("renew") ? Promise.reject(new TypeError()) : real(to, ...more); }');
  const began = Date.now();
  await until(() => Date.now() - began > 3 * ttl);
  assert.equal((await other.seen()).lost, undefined);
  assert.ok((await service.status()).leases.some((lease) => lease.holder === "other"));
  await other.finish();
  assert.equal(await other.ends(), "done");
  await leader.finish();
});

test("the lease of a tab that crashed is given back by another tab", async () => {
  const log = await record();
  const leader = await Agent.open("leader", { ttl: 12_000 });
  await leader.ask();
  await leader.holds();
  const other = await Agent.open("crashing", { ttl: 12_000, ...(await service.place("model-load")) });
  await other.ask();
  await other.holds();
  other.tab.command("Page.crash").catch(() => {});
  await until(() => log.has("released", "crashing") || log.has("expired", "crashing"), { within: 30_000 });
  assert.ok(!log.has("expired", "crashing"), "it was given back before its time was over");
  assert.equal((await leader.seen()).lost, undefined);
  await leader.finish();
  log.stop();
});

test("the example pages load a model, take a turn and show a loss", async () => {
  const tab = await browser.tab(`${service.url}/examples/dreamer.html`);
  tabs.push(tab);
  const state = () => tab.evaluate('document.getElementById("state").dataset.state');
  await until(async () => (await state()) === "idle");
  // What is shown for a while only is written down, whoever looks when.
  const log = await record();
  await tab.evaluate(`{
    window.shown = [];
    new MutationObserver(() => shown.push(document.getElementById("state").textContent)).observe(
      document.getElementById("state"), { childList: true, characterData: true, subtree: true });
  }`);
  await tab.evaluate('document.getElementById("go").click()');
  await until(() => tab.evaluate('window.shown.some((text) => text.includes("Loading the model"))'));
  await until(() => log.events.some(({ type, holder, priority }) => type === "granted" && holder === "Root-Dreamer" && priority === 20));
  await until(() => tab.evaluate('document.getElementById("output").textContent.includes("quiet machines")'));
  await service.call("POST", "/v1/gpu/reset", { holder: "Root-Dreamer", why: "the mic needs it" });
  await until(async () => (await state()) === "lost");
  assert.match(await tab.evaluate('document.getElementById("state").textContent'), /taken away \(revoked\).*the mic needs it/);
  log.stop();
});

/** One of the three pages, used as a person does: by its button. Its task goes on word by word, as the test lets it. */
class Page {
  static async open(name) {
    const tab = await browser.tab(`${service.url}/examples/${name}.html`);
    tabs.push(tab);
    const page = new Page(tab, name);
    await page.slow();
    return page;
  }

  constructor(tab, name) {
    Object.assign(this, { tab, name });
  }

  /** Words wait for `speak`; all other times pass as they do. */
  slow() {
    return this.tab.evaluate(`{
      const real = window.setTimeout;
      window.words = [];
      window.setTimeout = (work, time, ...more) => {
        if (time !== 250) return real(work, time, ...more);
        return window.isFast ? queueMicrotask(work) : words.push(work);
      };
    }`);
  }

  press() {
    return this.tab.evaluate('document.getElementById("go").click()');
  }

  /** Lets the task run to its end. */
  speak() {
    return this.tab.evaluate("{ window.isFast = true; words.splice(0).forEach((work) => work()); }");
  }

  shows(state, text) {
    return until(async () => {
      const now = await this.tab.evaluate('(({ dataset, textContent }) => ({ state: dataset.state, text: textContent }))(document.getElementById("state"))');
      if (now.state !== state || !text.test(now.text)) throw new Error(`${now.state}: ${now.text}`);
      return now.text;
    }, { within: 60_000, what: `${this.name} is ${state}: ${text}` });
  }

  said() {
    return this.tab.evaluate('document.getElementById("output").textContent');
  }
}

test("the three pages in five tabs: one is killed while it holds, one reloads while it waits, one loses its lease", async () => {
  const log = await record();
  const dashboard = await browser.tab(`${service.url}/`);
  tabs.push(dashboard);
  const dashboardShows = async (expression) => {
    await dashboard.command("Page.bringToFront");
    return until(() => dashboard.evaluate(expression), { what: `the dashboard: ${expression}` });
  };
  const killed = await Page.open("dreamer");
  await killed.press();
  await killed.shows("held", /^Dreaming on /);
  const pages = [];
  for (const name of ["dreamer", "console", "console", "mic"]) {
    const page = await Page.open(name);
    await page.press();
    await page.shows("waiting", /^Waiting for the GPU: \d of /);
    if (name === "dreamer") pages.push(page);
    else pages.splice(name === "mic" ? 0 : pages.length - 1, 0, page);
  }
  const [mic, first, second, dreamer] = pages;
  const order = ["Root-Mic", "Root-Console", "Root-Console", "Root-Dreamer"];
  assert.deepEqual((await service.status()).waiters.map((waiter) => waiter.holder), order);
  await second.shows("waiting", /: 3 of 4behind Root-Mic, Root-Console, for/);
  await dashboardShows(`document.getElementById("tile-waiting").textContent === "4"
    && [...document.querySelectorAll("#queue .who")].map((one) => one.title).join() === "${order}"`);

  await second.tab.reload();
  await second.slow();
  await second.shows("waiting", /: 3 of 4.*place kept after the reload/);
  assert.deepEqual((await service.status()).waiters.map((waiter) => waiter.holder), order);

  killed.tab.command("Page.crash").catch(() => {});
  await mic.shows("held", /^Transcribing on /);
  await until(() => log.has("granted", "Root-Mic"));
  assert.ok(log.has("expired", "Root-Dreamer"), "its time was over: nobody could say that it is gone");

  await dashboardShows('document.getElementById("tile-waiting").textContent === "3"');
  await service.call("POST", "/v1/gpu/reset", { holder: "Root-Mic", why: "a drill" });
  await mic.shows("lost", /taken away \(revoked\)a drill/);
  // Its task was aborted: what it would have said next is never said.
  await mic.speak();
  assert.equal(await mic.said(), "");
  await dashboardShows('document.getElementById("events").textContent.includes("a drill")');

  for (const page of [first, second, dreamer]) {
    await page.shows("held", / on /);
    await page.speak();
    await page.shows("idle", /^Done/);
    assert.match(await page.said(), page === dreamer ? /waits for ever\. $/ : /knows that it will come\. $/);
  }
  await until(() => log.events.filter(({ type, unit }) => type === "released" && unit === place.unit).length === 3);
  const grants = log.events.filter((event) => event.type === "granted" && event.unit === place.unit);
  assert.deepEqual(grants.map((event) => event.holder), ["Root-Dreamer", ...order]);
  assert.deepEqual(grants.map((event) => event.priority), [20, 0, 10, 10, 20]);
  await dashboardShows(`document.getElementById("tile-waiting").textContent === "0" && document.getElementById("tile-held").textContent === "0"`);
  log.stop();
});

test("the dashboard shows the pool that is chosen, and acts in it alone", async () => {
  const own = await Service.start("--simulate", "1", "--host-id", "day");
  try {
    const both = await own.pools("default", "night");
    const day = await both.call("POST", "/v1/gpu/lock", { id: "by-day" });
    await both.call("POST", "/v1/gpu/lock", { id: "by-night", pool: "night" });
    const tab = await browser.tab(`${both.url}/`);
    tabs.push(tab);
    const shows = (text) => until(() => tab.evaluate(`document.getElementById("hosts").textContent.includes(${JSON.stringify(text)})`), { what: text });
    await shows("by-day");
    assert.equal(await tab.evaluate('document.getElementById("pool-choice").value'), "default");
    await tab.evaluate('{ const choice = document.getElementById("pool-choice"); choice.value = "night"; choice.dispatchEvent(new Event("change")); }');
    await until(() => tab.evaluate('location.search === "?pool=night" && document.readyState === "complete"'));
    await shows("by-night");
    await until(() => tab.evaluate('document.getElementById("pool-choice").value === "night" && document.getElementById("link").dataset.state === "live"'));
    assert.ok(!(await tab.evaluate('document.getElementById("hosts").textContent.includes("by-day")')));
    await tab.evaluate('document.querySelector("#hosts .cell.held").click()');
    await tab.evaluate('document.getElementById("detail-end").click()');
    await tab.evaluate('{ const reason = document.getElementById("reason"); reason.value = "a test"; reason.dispatchEvent(new Event("input", { bubbles: true })); }');
    await tab.evaluate('document.getElementById("admin-go").click()');
    await until(async () => (await both.call("GET", "/v1/gpu/status?pool=night")).leases.length === 0);
    assert.equal((await both.call("POST", "/v1/gpu/renew", { token: day.token })).status, "renewed");
    await tab.close();
    tabs.pop();
  } finally {
    await own.stop();
  }
});

test("the dashboard shows the pool, takes names for texts, and ends a lease with a reason", async () => {
  const evil = '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">';
  const token = (await service.call("POST", "/v1/gpu/lock", { id: evil, ...place, timeout: 10 })).token;
  assert.ok(token);
  const tab = await browser.tab("about:blank");
  tabs.push(tab);
  const complaints = [];
  browser.onevent = ({ method, params }) => {
    if (method === "Runtime.exceptionThrown") complaints.push(params.exceptionDetails.exception?.description);
    if (method === "Log.entryAdded" && params.entry.level === "error") complaints.push(`${params.entry.text} ${params.entry.url}`);
  };
  await tab.command("Runtime.enable");
  await tab.command("Log.enable");
  await tab.go(`${service.url}/`);
  await until(() => tab.evaluate('document.getElementById("link").dataset.state === "live"'));
  await until(() => tab.evaluate('document.getElementById("tile-held").textContent === "1"'));
  assert.equal(await tab.evaluate("window.hacked"), undefined);
  assert.ok(await tab.evaluate(`document.getElementById("hosts").textContent.includes(${JSON.stringify(evil)})`));
  await until(() => tab.evaluate('document.querySelectorAll("#history .span").length > 0'));
  await until(() => tab.evaluate('document.getElementById("events").textContent.includes("granted")'));

  const cell = `[...document.querySelectorAll("#hosts .cell")].find((one) => one.dataset.unit === ${JSON.stringify(place.unit)})`;
  await tab.evaluate(`${cell}.click()`);
  await tab.evaluate('document.getElementById("detail-end").click()');
  assert.ok(await tab.evaluate('document.getElementById("admin-dialog").open'));
  assert.ok(await tab.evaluate('document.getElementById("admin-go").disabled'), "a reason is needed");
  await tab.evaluate('{ const reason = document.getElementById("reason"); reason.value = "a test"; reason.dispatchEvent(new Event("input", { bubbles: true })); }');
  await tab.evaluate('document.getElementById("admin-go").click()');
  await until(async () => (await service.holderOf(place)) === null);
  await until(() => tab.evaluate('document.getElementById("tile-held").textContent === "0"'));
  await until(() => tab.evaluate('document.getElementById("events").textContent.includes("a test")'));

  for (const theme of ["light", "dark"]) {
    await tab.evaluate(`{ const theme = document.getElementById("theme"); theme.value = "${theme}"; theme.dispatchEvent(new Event("change")); }`);
    assert.equal(await tab.evaluate("getComputedStyle(document.documentElement).colorScheme"), theme);
  }
  assert.deepEqual(complaints, []);
  browser.onevent = undefined;
});
