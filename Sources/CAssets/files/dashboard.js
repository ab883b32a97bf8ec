// The dashboard: a copy of the pool, kept current by its events, and the views of it. Texts reach the page through
// textContent alone, so whatever a holder calls itself stays a text.

const SECOND = 1000;
const HOUR = 3600 * SECOND;
/** The steady look at the whole status; between two, events tell. */
const STEADY = 10 * SECOND;
const POLL = 3 * SECOND;
const EVENTS_KEPT = 3000;
const EVENTS_SHOWN = 250;
const QUEUE_SHOWN = 25;
const LANES_SHOWN = 14;
/** Up to so many units each is a card with all about it, or a tile with its holder; more are cells. */
const CARDS = 8;
const TILES = 64;

/** What the timeline may show, shortest first. */
const TIMES = [5 * 60 * SECOND, 15 * 60 * SECOND, HOUR];

const STATES = ["free", "held", "offered", "ending", "reserved", "resting", "unheard"];
const STATE_WORDS = {
  free: "free",
  held: "held",
  offered: "being handed over",
  ending: "being taken back",
  reserved: "held back for a request that takes several",
  resting: "resting after a restart of its agent",
  unheard: "not heard of",
};
const CLASSES = ["voice", "console", "standard", "dreamer"];
/** Ends that somebody should look at. */
const BAD_ENDS = ["expired", "revoked", "reset", "preempted", "force-released", "lost"];
const ENDS = ["released", "cancelled", "duplicate", "withdrawn", "rejected", "lapsed", ...BAD_ENDS];
const GROUPS = {
  grants: ["granted", "restored", "ending", ...ENDS],
  queue: ["queued", "requeued", "offered", "timeout", "refused", "cancelled", "dropped", "rejected", "lapsed"],
  trouble: [...BAD_ENDS, "ending", "timeout", "refused", "dropped", "rejected", "lapsed", "duplicate", "host-lost", "host-left", "cordoned", "draining", "drain-over"],
  hosts: ["registered", "host-lost", "host-back", "host-left", "cordoned", "uncordoned", "draining", "drain-over", "unit-state"],
};
const ROUTINE = ["renewed", "offered", "unit-state"];

// Small things

const find = (id) => document.getElementById(id);
const plural = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
const classOf = (priority) => CLASSES[[0, 10, 15].findIndex((most) => priority <= most)] || "dreamer";

/** An element with properties and children; children that are texts become text nodes. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "data") Object.assign(element.dataset, value);
    else if (name in element) element[name] = value;
    else if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null && child !== ""));
  return element;
}

function draw(tag, attributes = {}, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Writes only what differs: a text that is not touched is not read out again. */
function say(id, text) {
  const element = find(id);
  if (element.textContent !== String(text)) element.textContent = text;
}

/** A fencing token is the microsecond of the pool's clock in which its lease was made, or a little above it. */
function madeAt(lease, ended) {
  const made = Number(lease.slice(lease.lastIndexOf("#") + 1)) / 1000;
  return made <= ended ? made : 0;
}

function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / SECOND));
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 6000) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

const clockTime = (milliseconds) => new Date(milliseconds).toLocaleTimeString("en-GB");
const inMilliseconds = (at) => (at > 1e11 ? at : at * SECOND);
const memory = (megabytes) => (megabytes ? `${(megabytes / 1000).toLocaleString("en", { maximumFractionDigits: 0 })} GB` : "");

/** `work` once, a while after the first of several wishes. */
function gathered(work, wait) {
  let timer;
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      work();
    }, typeof wait === "function" ? wait() : wait);
  };
}

// The copy

const pool = {
  status: undefined,
  units: new Map(),
  leases: new Map(),
  hosts: [],
  waiters: [],
  events: [],
  /** unit → spans of the last hour: {lease, holder, priority, from, to, end} */
  history: new Map(),
  lastEvent: undefined,
  /** What the pool's clock is ahead of this one's, as far as live events tell. */
  ahead: 0,

  get now() {
    return Date.now() + this.ahead;
  },

  take(status) {
    this.status = status;
    this.takenAt = Date.now();
    this.hosts = status.hosts || [];
    this.units = new Map((status.units || []).map((unit) => [unit.unit, unit]));
    this.leases = new Map();
    for (const lease of status.leases || []) this.addLease(lease);
    this.waiters = (status.waiters || []).map((waiter) => ({ ...waiter, since: Date.now() - (waiter.waited_ms || 0) }));
  },

  addLease(lease) {
    lease.endsAt = Date.now() + (lease.expires_in || 0) * SECOND;
    this.leases.set(lease.lease, lease);
    if (lease.state !== "offered" && lease.granted_at) {
      for (const unit of lease.units || [lease.unit]) this.open(unit, lease.lease, lease.holder, lease.priority, lease.granted_at * SECOND);
    }
  },

  open(unit, lease, holder, priority, from) {
    const spans = this.history.get(unit) || [];
    const known = spans.find((other) => other.lease === lease);
    if (known) {
      known.priority ??= priority;
      return;
    }
    for (const other of spans) if (other.to === undefined && other.from <= from) other.to = from;
    spans.push({ lease, holder, priority, from });
    this.history.set(unit, spans);
  },

  /** What an event changes at once; the next status mends whatever it does not say. */
  hear(event) {
    event.time = inMilliseconds(event.at);
    this.lastEvent = event.id || this.lastEvent;
    if (event.type !== "renewed") {
      this.events.push(event);
      if (this.events.length > EVENTS_KEPT * 1.2) this.events.splice(0, this.events.length - EVENTS_KEPT);
    }
    // A lease may span several units: what happens to it happens to all.
    for (const unit of [event.unit, ...(event.also || "").split(" ").filter(Boolean)]) this.hearOf(unit, event);
  },

  hearOf(unit, event) {
    const { type, lease, holder } = event;
    const record = this.units.get(unit);
    if (type === "granted" || type === "restored") {
      this.open(unit, lease, holder, event.priority, event.time);
    } else if (lease && ENDS.includes(type)) {
      const known = this.history.get(unit)?.find((other) => other.lease === lease);
      if (known) Object.assign(known, { to: event.time, end: type });
      else if (!["withdrawn", "rejected", "lapsed"].includes(type) && unit) {
        // It began before the events that are remembered.
        const spans = this.history.get(unit) || [];
        const from = Math.max(event.time - HOUR, madeAt(lease, event.time), ...spans.map((one) => one.to ?? one.from));
        spans.push({ lease, holder, priority: event.priority, from, to: event.time, end: type });
        this.history.set(unit, spans);
      }
    }
    if (!record || event.time < this.status.atPool) return;
    if (type === "granted" || type === "restored") {
      Object.assign(record, { state: "held", lease, holder });
      const left = event.expires ? event.expires - event.time : event.ttl || 0;
      this.leases.set(lease, { ...event, units: [event.unit, ...(event.also || "").split(" ").filter(Boolean)], state: "held", granted_at: event.time / SECOND, endsAt: Date.now() + left, ttl: (event.ttl || 0) / SECOND });
      this.waiters = this.waiters.filter((waiter) => waiter.ticket !== event.ticket);
    } else if (type === "renewed" && this.leases.has(lease)) {
      this.leases.get(lease).endsAt = Date.now() + (event.expires - event.time);
    } else if (type === "ending") record.state = "ending";
    else if (lease && ENDS.includes(type)) {
      Object.assign(record, { state: event.state || "free", lease: null, holder: null });
      this.leases.delete(lease);
    } else if (type === "unit-state" && event.state) record.state = event.state;
    else if (type === "offered") Object.assign(record, { state: "offered", holder });
  },

  /** Forgets what is older than the hour shown. */
  prune() {
    const oldest = this.now - HOUR;
    for (const [unit, spans] of this.history) {
      const kept = spans.filter((one) => (one.to ?? Infinity) > oldest);
      if (kept.length) this.history.set(unit, kept);
      else this.history.delete(unit);
    }
  },
};

// The wire

/** The pool that the address names; none is the coordinator's first. */
const chosenPool = new URLSearchParams(location.search).get("pool") || "";

const wire = {
  /** A path that is read, of the chosen pool. */
  of(path) {
    return chosenPool ? `${path}?pool=${encodeURIComponent(chosenPool)}` : path;
  },

  get headers() {
    const token = sessionStorage.getItem("leasehold:token");
    return token ? { Authorization: `Bearer ${token}` } : {};
  },

  async call(method, path, body) {
    const headers = { ...this.headers, ...(body && { "Content-Type": "application/json" }) };
    const signal = AbortSignal.timeout(10 * SECOND);
    const sent = body && JSON.stringify({ ...body, ...(chosenPool && { pool: chosenPool }) });
    const response = await fetch(path, { method, headers, body: sent, signal, cache: "no-store" });
    // What comes in half is no answer: an empty one would be taken for an empty pool.
    const answer = response.ok ? await response.json() : await response.json().catch(() => ({}));
    if (response.status === 401) askForToken();
    if (!response.ok) throw new Error(answer.msg || answer.error || `${response.status} ${response.statusText}`);
    return answer;
  },

  async refresh() {
    const began = performance.now();
    try {
      const status = await this.call("GET", this.of("/v1/gpu/status"));
      status.atPool = pool.now - (performance.now() - began);
      pool.take(status);
      this.cost = performance.now() - began;
      this.isAway = false;
      showAll();
    } catch (error) {
      this.isAway = true;
      const isSilent = ["TimeoutError", "AbortError", "SyntaxError"].includes(error.name) || error instanceof TypeError;
      this.reason = isSilent ? "The coordinator does not answer." : error.message;
    }
    showLink();
  },

  /** Follows the events until they break; the first time from an hour ago. */
  async follow(signal) {
    const after = pool.lastEvent || `${Date.now() - HOUR}-0`;
    const response = await fetch(this.of("/v1/gpu/events"), { headers: { ...this.headers, "Last-Event-ID": after }, signal, cache: "no-store" });
    if (!response.ok || !response.body) throw new Error(`events: ${response.status}`);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      this.isLive = true;
      this.failures = 0;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const lines = block.split("\n");
        const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n");
        if (!data) continue;
        const event = JSON.parse(data);
        event.id ||= lines.find((line) => line.startsWith("id:"))?.slice(3).trim();
        pool.hear(event);
        this.noteClock(event);
      }
      if (blocks.length > 1 || !blocks[0]?.startsWith("retry")) heardSomething();
      showLink();
    }
  },

  /** The event that came quickest knows best how far the pool's clock is ahead. */
  noteClock(event) {
    const ahead = event.time - Date.now();
    if (Math.abs(ahead) > HOUR / 2) return;
    this.samples = [...(this.samples || []), ahead].slice(-20);
    const best = Math.max(...this.samples);
    pool.ahead = Math.abs(best) > 2 * SECOND && this.samples.length > 3 ? best : 0;
  },

  async keepFollowing() {
    for (this.failures = 0; ; this.failures += 1) {
      // A hidden page needs no connection: a browser has six for all of its tabs.
      while (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
      const stop = new AbortController();
      const hide = () => document.hidden && stop.abort();
      document.addEventListener("visibilitychange", hide);
      try {
        await this.follow(stop.signal);
      } catch {
        // Polling goes on meanwhile.
      }
      document.removeEventListener("visibilitychange", hide);
      if (stop.signal.aborted) {
        this.failures = 0;
        continue;
      }
      this.isLive = false;
      showLink();
      await new Promise((resolve) => setTimeout(resolve, Math.min(10, 2 ** this.failures / 2) * SECOND));
    }
  },

  async keepLooking() {
    for (;;) {
      if (!document.hidden) await this.refresh();
      await new Promise((resolve) => setTimeout(resolve, this.isLive ? STEADY : POLL));
    }
  },
};

/** After events: views at once, the whole status a little later, less often where it is long. */
const heardSomething = gathered(() => {
  showAll();
  lookAgain();
}, 120);
const lookAgain = gathered(() => wire.refresh(), () => Math.min(5 * SECOND, 400 + pool.units.size + 4 * (wire.cost || 0)));

// In short

function showLink() {
  const state = wire.isAway ? "away" : wire.isLive ? "live" : "polling";
  find("link").dataset.state = state;
  say("link-text", { away: "No connection", live: "Live", polling: "Looking every 3 s" }[state]);
  const degraded = pool.status?.degraded && (pool.status.degraded_reason || "This coordinator has lost its Redis.");
  const age = pool.takenAt ? ` What is shown is ${span(Date.now() - pool.takenAt + (pool.status?.age_ms || 0))} old.` : "";
  const text = wire.isAway ? `${wire.reason}${age}` : degraded ? `Degraded: ${degraded}${age}` : "";
  find("banner").hidden = !text;
  if (text) say("banner", text);
}

function showTiles() {
  const units = [...pool.units.values()].filter((unit) => unit.kind !== "model-load");
  const held = units.filter((unit) => unit.state === "held" || unit.state === "ending");
  const free = units.filter((unit) => unit.state === "free");
  showPools();
  say("tile-held", held.length.toLocaleString("en"));
  say("tile-units", `of ${units.length.toLocaleString("en")}`);
  say("tile-free", free.length.toLocaleString("en"));
  const out = units.filter((unit) => unit.state === "resting" || unit.state === "unheard").length;
  say("tile-free-note", out ? `${plural(out, "unit")} out of service` : units.length ? "all others in use" : "no agent has registered");
  showStack(units, held);
  say("tile-waiting", pool.waiters.length.toLocaleString("en"));
  const longest = Math.min(...pool.waiters.map((waiter) => waiter.since));
  say("tile-waiting-note", pool.waiters.length ? `longest for ${span(Date.now() - longest)}` : "nobody");
  const present = pool.hosts.filter((host) => host.present).length;
  say("tile-hosts", present.toLocaleString("en"));
  say("tile-hosts-all", `of ${pool.hosts.length.toLocaleString("en")}`);
  const cordoned = pool.hosts.filter((host) => host.cordoned).length;
  say("tile-hosts-note", present < pool.hosts.length ? `${plural(pool.hosts.length - present, "host")} away` : cordoned ? `${cordoned} cordoned` : "all present");
  const oldest = pool.now - HOUR;
  const spans = [...pool.history.values()].flat();
  say("tile-grants", spans.filter((one) => one.from > oldest).length.toLocaleString("en"));
  const bad = spans.filter((one) => one.to > oldest && BAD_ENDS.includes(one.end)).length;
  say("tile-grants-note", bad ? `${bad} did not end well` : "none lost");
}

/** The pool's name where it has one of its own, and the choice where this coordinator serves several. */
function showPools() {
  const { pool: name = "", pools = [] } = pool.status;
  const isChoice = pools.length > 1;
  say("pool", isChoice || name === "default" ? "" : name);
  find("pool-label").hidden = !isChoice;
  const choice = find("pool-choice");
  const face = pools.join();
  if (!isChoice || choice.face === face) return;
  choice.face = face;
  // Its own pool comes first in each status: sorted, the list stays the same whichever is shown.
  choice.replaceChildren(...[...pools].sort().map((one) => make("option", { value: one }, `Pool: ${one}`)));
  choice.value = name;
}

function showStack(units, held) {
  const counts = CLASSES.map((name) => held.filter((unit) => classOf(pool.leases.get(unit.lease)?.priority ?? 15) === name).length);
  const stack = find("tile-stack");
  if (!stack.childElementCount) stack.append(...CLASSES.map((name) => make("span", { className: name })), make("span"));
  [...stack.children].forEach((part, index) => {
    part.style.flexGrow = index < CLASSES.length ? counts[index] : Math.max(0, units.length - held.length);
    part.style.background = index < CLASSES.length ? "var(--tint)" : "transparent";
    part.hidden = index < CLASSES.length ? counts[index] === 0 : held.length >= units.length;
  });
  stack.setAttribute("aria-label", CLASSES.map((name, index) => `${counts[index]} ${name}`).join(", "));
}

// Hosts and units

const fleet = { cells: new Map(), shape: "", selected: undefined, onlyState: undefined };

function sayLeft(lease) {
  return lease ? `${span(lease.endsAt - Date.now())} left` : "";
}

function describe(unit) {
  const lease = pool.leases.get(unit.lease);
  const holder = unit.holder || lease?.holder;
  const who = holder && unit.state !== "free" ? ` by ${holder}, priority ${lease?.priority ?? "unknown"}` : "";
  return `${unit.unit}: ${STATE_WORDS[unit.state] || unit.state}${who}`;
}

function showFleet() {
  const hosts = find("hosts");
  const gpus = [...pool.units.values()].filter((unit) => unit.kind !== "model-load").length;
  const size = gpus <= CARDS ? "cards" : gpus <= TILES ? "tiled" : "dense";
  const shape = `${size} ${pool.hosts.map((host) => `${host.host}(${(host.units || []).join(" ")})`).join()}`;
  if (shape !== fleet.shape) {
    fleet.shape = shape;
    hosts.className = `hosts ${size}`;
    find("board").classList.toggle("many", size === "dense");
    buildFleet(hosts, size);
  }
  for (const host of pool.hosts) {
    const element = fleet.hosts.get(host.host);
    element.className = `host${host.present ? "" : " away"}${host.cordoned ? " cordoned" : ""}`;
    element.querySelector(".host-note").textContent = host.present ? (host.draining ? "draining" : host.cordoned ? "cordoned" : "") : "away";
  }
  for (const [id, cell] of fleet.cells) if (pool.units.has(id)) showCell(cell, pool.units.get(id), size);
  showLegend();
  applyFleetFilter();
  find("fleet-empty").hidden = pool.units.size > 0;
  say("fleet-empty", "No unit yet. Start an agent on a machine with a GPU: leasehold-agent --redis …");
  showDetail();
}

function buildFleet(hosts, size) {
  fleet.cells.clear();
  fleet.hosts = new Map();
  const parts = pool.hosts.map((host) => {
    const labels = Object.entries(host.labels || {}).map(([name, value]) => `${name}=${value}`).join(" ");
    const units = make("div", { className: "units" });
    for (const id of host.units || []) {
      const cell = make("button", { type: "button", tabIndex: -1, data: { unit: id } });
      if (size !== "dense") {
        cell.append(
          make("span", { className: "card-top" }, make("span", {}, id.slice(id.indexOf("/") + 1)), make("span", { className: "card-state" })),
          make("div", { className: "card-holder" }),
          make("div", { className: "card-note" }),
          make("span", { className: "card-left" }),
        );
      }
      fleet.cells.set(id, cell);
      units.append(cell);
    }
    const address = host.address?.startsWith("unix:") ? "" : host.address;
    const name = make("div", { className: "host-name" },
      make("b", { title: [host.host, host.address, labels].filter(Boolean).join(", ") }, host.host),
      make("span", { className: "host-note" }),
      make("span", { className: "extra" }, [address, labels, host.agent_version && `agent ${host.agent_version}`].filter(Boolean).join(" · ")));
    const element = make("div", { className: "host", role: "group", "aria-label": `Host ${host.host}` }, name, units);
    fleet.hosts.set(host.host, element);
    return element;
  });
  hosts.replaceChildren(...parts);
  const first = fleet.cells.get(fleet.selected) || fleet.cells.values().next().value;
  if (first) first.tabIndex = 0;
}

function showCell(cell, unit, size) {
  const lease = pool.leases.get(unit.lease);
  const isTaken = unit.state === "held" || unit.state === "offered" || unit.state === "ending";
  const tint = isTaken ? classOf(lease?.priority ?? 15) : "";
  const holder = isTaken ? unit.holder || lease?.holder || "" : "";
  const face = `${unit.state} ${tint} ${holder} ${unit.name}`;
  if (cell.face !== face) {
    const wasShown = cell.face !== undefined;
    cell.face = face;
    cell.className = `cell ${unit.state} ${unit.kind === "model-load" ? "model-load" : ""} ${tint}`;
    const text = describe(unit);
    cell.title = text;
    cell.setAttribute("aria-label", text);
    cell.setAttribute("aria-pressed", String(fleet.selected === unit.unit));
    if (wasShown) flash(cell);
    if (size !== "dense") {
      const [state, body, note] = [cell.querySelector(".card-state"), cell.querySelector(".card-holder"), cell.querySelector(".card-note")];
      state.textContent = unit.state;
      body.textContent = holder || (unit.kind === "model-load" ? "Nobody loads" : unit.state === "free" ? "Free" : STATE_WORDS[unit.state]);
      note.textContent = [unit.kind === "model-load" ? "model loading, one at a time" : unit.name, memory(unit.vram_mb)].filter(Boolean).join(" · ");
    }
  }
  if (size !== "dense") {
    const left = isTaken && lease?.ttl ? Math.min(1, Math.max(0, (lease.endsAt - Date.now()) / (lease.ttl * SECOND))) : 0;
    cell.lastElementChild.style.setProperty("--left", left.toFixed(3));
  }
}

function flash(cell) {
  cell.classList.remove("changed");
  requestAnimationFrame(() => cell.classList.add("changed"));
}

function showLegend() {
  const legend = find("legend");
  const counts = Object.fromEntries(STATES.map((state) => [state, 0]));
  for (const unit of pool.units.values()) counts[unit.state] = (counts[unit.state] || 0) + 1;
  if (!legend.childElementCount) {
    legend.append(...STATES.map((state) => {
      const swatch = make("span", { className: `cell ${state} console`, "aria-hidden": "true" });
      const button = make("button", { type: "button", data: { state }, title: STATE_WORDS[state] }, swatch, make("span", {}, state), make("b"));
      return make("li", {}, button);
    }));
  }
  for (const button of legend.querySelectorAll("button")) {
    const { state } = button.dataset;
    button.querySelector("b").textContent = counts[state].toLocaleString("en");
    button.setAttribute("aria-pressed", String(fleet.onlyState === state));
    button.parentElement.hidden = counts[state] === 0 && fleet.onlyState !== state && state !== "free" && state !== "held";
  }
}

function applyFleetFilter() {
  const wanted = find("fleet-filter").value.trim().toLowerCase();
  for (const [id, cell] of fleet.cells) {
    const unit = pool.units.get(id);
    if (!unit) continue;
    const fits = !wanted || `${id} ${unit.holder || ""} ${unit.name || ""}`.toLowerCase().includes(wanted);
    cell.classList.toggle("dimmed", !fits || (fleet.onlyState !== undefined && unit.state !== fleet.onlyState));
  }
}

function select(id, { focusDetail = false } = {}) {
  const before = fleet.cells.get(fleet.selected);
  before?.setAttribute("aria-pressed", "false");
  fleet.selected = id;
  fleet.cells.get(id)?.setAttribute("aria-pressed", "true");
  fleet.detailFace = undefined;
  showDetail();
  if (id && focusDetail) find("detail-title")?.focus();
  if (!id) before?.focus();
}

function showDetail() {
  const detail = find("detail");
  const unit = pool.units.get(fleet.selected);
  detail.hidden = !unit;
  if (!unit) return;
  const lease = pool.leases.get(unit.lease);
  const host = pool.hosts.find((one) => one.host === unit.host);
  const face = JSON.stringify([unit, lease?.lease, lease?.endsAt && Math.round(lease.endsAt / SECOND), host?.cordoned, host?.present]);
  const left = detail.querySelector("[data-left]");
  if (face === fleet.detailFace && left && lease) left.textContent = sayLeft(lease);
  if (face === fleet.detailFace) return;
  const hadFocus = detail.contains(document.activeElement) && document.activeElement.id;
  fleet.detailFace = face;
  const rows = [
    ["State", STATE_WORDS[unit.state] || unit.state],
    ["Device", unit.name],
    ["Memory", memory(unit.vram_mb)],
    ["Driver", unit.driver],
    ["PCI", unit.pci, "code"],
    ["UUID", unit.uuid, "code"],
    ["Host", `${unit.host}${host?.cordoned ? ", cordoned" : ""}${host && !host.present ? ", away" : ""}`],
    ["Holder", lease?.holder || unit.holder],
    ["Priority", lease && `${lease.priority} (${classOf(lease.priority)})`],
    ["Since", lease?.granted_at && clockTime(lease.granted_at * SECOND - pool.ahead)],
    ["Ends", lease && sayLeft(lease), "", "left"],
    ["Lease", lease?.lease, "code"],
    ["Metadata", lease?.metadata && JSON.stringify(lease.metadata), "code"],
  ].filter(([, value]) => value);
  const list = make("dl");
  for (const [name, value, className, mark] of rows) {
    list.append(make("dt", {}, name), make("dd", { className: className || "", data: mark ? { [mark]: "" } : {} }, String(value)));
  }
  const buttons = make("p", { className: "detail-buttons" });
  if (lease) buttons.append(make("button", { type: "button", id: "detail-end", onclick: () => openAdmin("reset", "lease", lease.lease) }, "End this lease…"));
  if (host) {
    const action = host.cordoned ? "uncordon" : "cordon";
    buttons.append(make("button", { type: "button", id: "detail-cordon", onclick: () => openAdmin(action, "host", host.host) }, host.cordoned ? "Uncordon host…" : "Cordon host…"));
  }
  const close = make("button", { type: "button", id: "detail-close", title: "Close", "aria-label": "Close", onclick: () => select(undefined) }, "✕");
  const head = make("div", { className: "detail-head" }, make("h3", { id: "detail-title", tabIndex: -1 }, unit.unit), close);
  detail.replaceChildren(head, list, buttons);
  if (hadFocus) find(hadFocus)?.focus();
}

function moveInFleet(event) {
  const cell = event.target.closest(".cell");
  if (!cell) return;
  const cells = [...fleet.cells.values()].filter((other) => !other.classList.contains("dimmed"));
  const at = cells.indexOf(cell);
  const box = cell.getBoundingClientRect();
  const beside = (direction) => {
    const middle = box.left + box.width / 2;
    let best;
    for (const other of cells) {
      const its = other.getBoundingClientRect();
      const down = (its.top - box.top) * direction;
      if (down < 4) continue;
      const distance = down * 3 + Math.abs(its.left + its.width / 2 - middle);
      if (!best || distance < best.distance) best = { other, distance };
    }
    return best?.other;
  };
  const target = {
    ArrowRight: () => cells[at + 1],
    ArrowLeft: () => cells[at - 1],
    ArrowDown: () => beside(1),
    ArrowUp: () => beside(-1),
    Home: () => cells[0],
    End: () => cells[cells.length - 1],
  }[event.key]?.();
  if (!target) return;
  event.preventDefault();
  cell.tabIndex = -1;
  target.tabIndex = 0;
  target.focus();
}

// The queue

const queue = { shown: QUEUE_SHOWN };

function wants(selector = "") {
  const [kind, place = ""] = selector.split("/");
  const words = [kind === "model-load" ? "model load" : "", place === "any" ? "" : place.replaceAll("=", " ")];
  return selector.startsWith("gpu/any") && !place.includes("?") ? "" : words.filter(Boolean).join(", ");
}

function showQueue() {
  const { waiters } = pool;
  say("queue-count", waiters.length ? `${plural(waiters.length, "request")} in the order of service` : "");
  find("queue-empty").hidden = waiters.length > 0;
  const counts = CLASSES.map((name) => waiters.filter((waiter) => classOf(waiter.priority) === name).length);
  const lanes = CLASSES.map((name, index) => [name, counts[index]]).filter(([, count]) => count);
  find("lanes").replaceChildren(...lanes.map(([name, count]) => {
    const lane = make("span", { className: name }, `${count} ${name}`);
    lane.style.flexGrow = count;
    return lane;
  }));
  const places = {};
  const rows = waiters.slice(0, queue.shown).map((waiter) => {
    const kind = (waiter.selector || "").split("/")[0];
    places[kind] = (places[kind] || 0) + 1;
    return make("li", {},
      make("span", { className: "place" }, String(places[kind])),
      make("span", { className: "who", title: waiter.holder }, waiter.holder, make("span", {}, wants(waiter.selector))),
      make("span", { className: `badge ${classOf(waiter.priority)}`, title: `priority ${waiter.priority}` }, `${classOf(waiter.priority)} ${waiter.priority}`),
      make("span", { className: "waited" }, span(Date.now() - waiter.since)));
  });
  find("queue").replaceChildren(...rows);
  const more = waiters.length - queue.shown;
  find("queue-more").hidden = more <= 0;
  say("queue-more", `Show ${Math.min(more, 100)} more of ${more.toLocaleString("en")}`);
}

// The last hour

const lanes = { shown: LANES_SHOWN, time: HOUR };

/** The hour, or as much of its end as anything has happened in: what has just been started shows more than a sliver. */
function timeShown() {
  const chosen = find("history-time").value;
  if (chosen) return Number(chosen) * 60 * SECOND;
  const first = Math.min(...[...pool.history.values()].flat().map((one) => one.from));
  return TIMES.find((time) => pool.now - first < time * 0.95) || HOUR;
}

/** Spans of a lane, those that are too short for the screen joined into one. */
function fit(spans, from, scale) {
  const fitted = [];
  for (const one of spans.filter((one) => (one.to ?? Infinity) > from).sort((left, right) => left.from - right.from)) {
    const start = Math.max(0, (one.from - from) * scale);
    const width = Math.max(1, ((one.to ?? pool.now) - from) * scale - start);
    const last = fitted[fitted.length - 1];
    if (last && width < 2 && start - (last.start + last.width) < 1) last.width = Math.max(last.width, start + width - last.start);
    else fitted.push({ ...one, start, width });
  }
  return fitted;
}

function showHistory() {
  if (!pool.status) return;
  pool.prune();
  const wanted = find("history-filter").value.trim().toLowerCase();
  lanes.time = timeShown();
  const from = pool.now - lanes.time;
  const share = (spans) => spans.reduce((sum, one) => sum + Math.max(0, Math.min(one.to ?? pool.now, pool.now) - Math.max(one.from, from)), 0) / lanes.time;
  let units = [...new Set([...pool.units.keys(), ...pool.history.keys()])].map((id) => {
    const spans = pool.history.get(id) || [];
    return { id, spans, share: share(spans), isLoader: pool.units.get(id)?.kind === "model-load" };
  });
  if (wanted) units = units.filter(({ id, spans }) => id.toLowerCase().includes(wanted) || spans.some((one) => (one.holder || "").toLowerCase().includes(wanted)));
  // Where not all fit, those on which most has happened come first.
  if (units.length > lanes.shown) units.sort((left, right) => right.spans.length - left.spans.length || right.share - left.share);
  const shown = units.slice(0, lanes.shown).sort((left, right) => left.isLoader - right.isLoader || left.id.localeCompare(right.id, "en", { numeric: true }));
  const history = find("history");
  const width = Math.max(120, (history.querySelector("svg")?.clientWidth || history.clientWidth - 220));
  const parts = shown.map((unit) => lane(unit, from, width, wanted));
  history.replaceChildren(axis(width), ...parts);
  const more = units.length - shown.length;
  find("history-more").hidden = more <= 0;
  say("history-more", `Show ${Math.min(more, 30)} more of ${more.toLocaleString("en")} units`);
}

const showHistorySoon = gathered(showHistory, 500);

function axis(width) {
  const picture = draw("svg", { "aria-hidden": "true" });
  const all = lanes.time / SECOND / 60;
  const parts = (width < 260 ? { 5: 1, 15: 3, 60: 2 } : width < 420 ? { 5: 5, 15: 3, 60: 3 } : { 5: 5, 15: 5, 60: 6 })[all];
  for (let part = parts; part >= 0; part -= 1) {
    const minutes = (all / parts) * part;
    const anchor = part === parts ? "start" : part === 0 ? "end" : "middle";
    const x = (1 - part / parts) * width;
    picture.append(draw("text", { x, y: 12, "text-anchor": anchor }, minutes ? `−${minutes} min` : "now"));
  }
  return make("div", { className: "lane axis" }, make("span"), picture, make("span"));
}

function lane({ id, spans, share }, from, width, wanted) {
  const height = 22;
  const held = `${Math.round(share * 100)} %`;
  const label = `${id}: ${plural(spans.length, "lease")} in the last hour, held ${held} of the last ${plural(lanes.time / SECOND / 60, "minute")}`;
  const picture = draw("svg", { role: "img", "aria-label": label });
  for (let part = 1; part < 6; part += 1) {
    const x = (part / (lanes.time === HOUR ? 6 : 5)) * width;
    picture.append(draw("line", { class: "tick", x1: x, x2: x, y1: 0, y2: height }));
  }
  for (const one of fit(spans, from, width / lanes.time)) {
    const isDim = wanted && !id.toLowerCase().includes(wanted) && !(one.holder || "").toLowerCase().includes(wanted);
    const tint = one.priority === undefined ? "" : classOf(one.priority);
    const group = draw("g", isDim ? { class: tint, opacity: 0.25 } : { class: tint });
    const bar = draw("rect", { class: one.to === undefined ? "span open" : "span", x: one.start, y: 2, width: Math.max(1.5, one.width - 1), height: height - 4 });
    const end = one.to === undefined ? "holds it now" : `${one.end || "ended"} ${clockTime(one.to - pool.ahead)}`;
    bar.append(draw("title", {}, `${one.holder || "unknown"}, ${clockTime(one.from - pool.ahead)}, ${end}, ${span((one.to ?? pool.now) - one.from)}`));
    group.append(bar);
    if (BAD_ENDS.includes(one.end)) group.append(draw("rect", { class: "span-end", x: one.start + one.width - 4, y: 2, width: 3, height: height - 4 }));
    const room = Math.floor((one.width - 9) / 6.9);
    const holder = one.holder || "";
    if (room >= 4) group.append(draw("text", { class: "span-text", x: one.start + 5, y: 15 }, holder.length > room ? `${holder.slice(0, room - 1)}…` : holder));
    picture.append(group);
  }
  return make("div", { className: "lane" }, make("span", { className: "lane-name", title: id }, `\u200e${id}\u200e`), picture, make("span", { className: "lane-share" }, held));
}

// Events

const feed = { isPaused: false };

function sentence({ type, holder, unit, host, by, why, reason, selector, scope, name }) {
  const who = holder || "";
  const place = unit || host || "";
  const text = {
    granted: `${who} has ${place}`,
    restored: `${who} still has ${place}`,
    renewed: `${who} keeps ${place}`,
    queued: `${who} asks${wants(selector) ? ` for ${wants(selector)}` : ""}`,
    requeued: `${who} waits again`,
    offered: `${place} for ${who}`,
    released: `${who} gave ${place} back`,
    expired: `${who} did not renew ${place}`,
    timeout: `${who} waited in vain`,
    cancelled: place ? `${who} was not there to take ${place}` : `${who} left the queue`,
    ending: `${place} is being taken from ${who}`,
    preempting: `${who} is asked to give ${place} back`,
    spared: `${who} may keep ${place}`,
    "host-lost": `${place} has gone silent`,
    "host-back": `${place} is heard again`,
    "host-left": `${place} has been stopped`,
  }[type];
  const tail = [by && by !== "local" ? `by ${by}` : "", why || (type === "ending" ? reason : "")].filter(Boolean).join(": ");
  return { text: text || [who, place, scope && `${scope} ${name || ""}`].filter(Boolean).join(", "), tail };
}

const tone = (type) =>
  type === "granted" || type === "restored" || type === "host-back" || type === "registered" ? "good"
    : BAD_ENDS.includes(type) || type === "host-lost" || type === "refused" ? "bad"
      : GROUPS.trouble.includes(type) ? "warn" : "";

function showEvents() {
  if (feed.isPaused) return;
  const kind = find("events-kind").value;
  const wanted = find("events-filter").value.trim().toLowerCase();
  const shown = [];
  for (let index = pool.events.length - 1; index >= 0 && shown.length < EVENTS_SHOWN; index -= 1) {
    const event = pool.events[index];
    if (kind === "notable" ? ROUTINE.includes(event.type) : kind !== "all" && !GROUPS[kind].includes(event.type)) continue;
    if (wanted && !`${event.type} ${event.holder || ""} ${event.unit || ""} ${event.host || ""} ${event.by || ""} ${event.why || ""}`.toLowerCase().includes(wanted)) continue;
    shown.push(event);
  }
  const face = `${kind} ${wanted} ${shown.length} ${shown[0]?.id}`;
  find("events-empty").hidden = shown.length > 0;
  if (face === feed.face) return;
  feed.face = face;
  const list = find("events");
  // Who reads further down is not pushed away.
  if (list.scrollTop > 40 && feed.kind === kind && feed.wanted === wanted) return;
  Object.assign(feed, { kind, wanted });
  list.replaceChildren(...shown.map((event) => {
    const { text, tail } = sentence(event);
    const line = make("p", {}, make("span", { className: `kind ${tone(event.type)}` }, event.type), ` ${text}`, tail && make("span", { className: "why" }, ` (${tail})`));
    return make("li", {}, make("time", { dateTime: new Date(event.time).toISOString() }, clockTime(event.time - pool.ahead)), line);
  }));
}

// Dialogs

function toast(text, isBad = false) {
  const element = make("div", { className: `toast${isBad ? " bad" : ""}` }, text);
  find("toasts").append(element);
  setTimeout(() => element.remove(), isBad ? 12 * SECOND : 6 * SECOND);
}

function askForToken() {
  const dialog = find("token-dialog");
  if (dialog.open || askForToken.isSilenced) return;
  find("token").value = "";
  dialog.showModal();
}

function openAdmin(action, scope, name = "") {
  find("admin-dialog").querySelector("form").reset();
  for (const choice of document.getElementsByName("action")) choice.checked = choice.value === action;
  find("scope-kind").value = scope;
  find("scope-name").value = name;
  showConsequence();
  find("admin-dialog").showModal();
  find("reason").focus();
}

function adminWish() {
  const action = [...document.getElementsByName("action")].find((choice) => choice.checked).value;
  const onlyHosts = action.endsWith("cordon");
  if (onlyHosts) find("scope-kind").value = "host";
  find("scope-kind").disabled = onlyHosts;
  const scope = find("scope-kind").value;
  return { action, scope, name: scope === "pool" ? "" : find("scope-name").value.trim(), why: find("reason").value.trim() };
}

/** Says what will happen before it happens, and asks for a word where it is much. */
function showConsequence() {
  const { action, scope, name } = adminWish();
  const covers = (unit, host, holder, lease) =>
    scope === "pool" || { unit, host, holder, lease }[scope] === name;
  const leases = [...pool.leases.values()].filter((one) => covers(one.unit, one.unit?.split("/")[0], one.holder, one.lease));
  const waiters = pool.waiters.filter((waiter) => scope === "pool" || (scope === "holder" && waiter.holder === name));
  const isWide = scope === "pool" && !action.endsWith("cordon");
  const word = pool.status?.pool || "default";
  find("scope-name-label").hidden = scope === "pool";
  find("scope-name").required = scope !== "pool";
  find("confirm-label").hidden = !isWide;
  say("confirm-word", word);
  const holders = leases.slice(0, 3).map((one) => one.holder).join(", ") + (leases.length > 3 ? ", …" : "");
  const ends = `${plural(leases.length, "lease")} will end${leases.length ? ` (${holders})` : ""}`;
  say("consequence", {
    reset: `${ends}; those who wait are served next.`,
    force: `${ends}, and ${scope === "pool" || scope === "holder" ? plural(waiters.length, "waiter") : "whoever waits for it"} will be refused.`,
    cordon: `No unit of ${name || "that host"} will be offered to anybody; its leases stand until they end.`,
    uncordon: `Units of ${name || "that host"} will be offered again.`,
  }[action]);
  const names = { host: pool.hosts.map((host) => host.host), unit: [...pool.units.keys()], lease: [...pool.leases.keys()],
    holder: [...new Set([...pool.leases.values(), ...pool.waiters].map((one) => one.holder))] }[scope] || [];
  find("scope-names").replaceChildren(...names.slice(0, 500).map((value) => make("option", { value })));
  find("admin-go").disabled = (isWide && find("confirm").value.trim() !== word) || (scope !== "pool" && !name) || !find("reason").value.trim();
}

async function intervene() {
  const { action, scope, name, why } = adminWish();
  const where = scope === "pool" ? {} : { [scope]: name };
  try {
    if (action.endsWith("cordon")) {
      await wire.call("POST", "/v1/gpu/cordon", { host: name, on: action === "cordon", why });
      toast(action === "cordon" ? `${name} is cordoned.` : `${name} takes leases again.`);
    } else {
      const path = action === "force" ? "/v1/gpu/force-release-all" : "/v1/gpu/reset";
      const { released = 0, ending = 0, refused = 0 } = await wire.call("POST", path, { ...where, why });
      const parts = [`${plural(released, "lease")} ended`, ending && `${ending} still ending`, refused && `${plural(refused, "waiter")} refused`];
      toast(`${parts.filter(Boolean).join(", ")}.`);
    }
  } catch (error) {
    toast(error.message, true);
  }
  lookAgain();
}

function wireDialogs() {
  for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
  find("open-token").addEventListener("click", () => {
    askForToken.isSilenced = false;
    askForToken();
  });
  find("token-dialog").addEventListener("close", () => (askForToken.isSilenced = !sessionStorage.getItem("leasehold:token")));
  find("token-forget").addEventListener("click", () => {
    sessionStorage.removeItem("leasehold:token");
    location.reload();
  });
  find("token-dialog").querySelector("form").addEventListener("submit", () => {
    const token = find("token").value.trim();
    if (!token) return;
    sessionStorage.setItem("leasehold:token", token);
    location.reload();
  });
  find("open-admin").addEventListener("click", () => openAdmin("reset", "pool"));
  const form = find("admin-dialog").querySelector("form");
  form.addEventListener("input", showConsequence);
  form.addEventListener("submit", (event) => {
    if (find("admin-go").disabled) event.preventDefault();
    else intervene();
  });
}

// Start

function showAll() {
  if (!pool.status) return;
  showTiles();
  showFleet();
  showQueue();
  showHistorySoon();
  showEvents();
  const { version, coordinator } = pool.status;
  say("foot", `Leasehold ${version || ""}, coordinator ${(coordinator || "").slice(0, 8)}, ${plural(pool.hosts.length, "host")}, ${plural(pool.units.size, "unit")}`);
}

/** Once a second: what runs down or up by itself. */
function tick() {
  if (document.hidden || !pool.status) return;
  if (pool.units.size <= 2 * TILES) for (const [id, cell] of fleet.cells) if (pool.units.has(id)) showCell(cell, pool.units.get(id), fleet.shape.split(" ")[0]);
  showDetail();
  showQueue();
  showLink();
  if (tick.count++ % 5 === 0) showHistory();
}
tick.count = 1;

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  find("theme").value = name;
}

setTheme(localStorage.getItem("leasehold:theme") || "");
find("theme").addEventListener("change", ({ target }) => {
  localStorage.setItem("leasehold:theme", target.value);
  setTheme(target.value);
});
find("pool-choice").addEventListener("change", ({ target }) => {
  location.search = new URLSearchParams({ pool: target.value });
});
wireDialogs();
find("hosts").addEventListener("click", ({ target, detail }) => {
  const id = target.closest(".cell")?.dataset.unit;
  // A click that the keyboard made goes on into the details.
  if (id) select(id === fleet.selected ? undefined : id, { focusDetail: detail === 0 });
});
find("hosts").addEventListener("keydown", moveInFleet);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && fleet.selected && !document.querySelector("dialog[open]")) select(undefined);
});
find("legend").addEventListener("click", ({ target }) => {
  const state = target.closest("button")?.dataset.state;
  if (!state) return;
  fleet.onlyState = fleet.onlyState === state ? undefined : state;
  showFleet();
});
find("fleet-filter").addEventListener("input", applyFleetFilter);
find("history-filter").addEventListener("input", showHistory);
find("history-time").addEventListener("change", showHistory);
find("history-more").addEventListener("click", () => {
  lanes.shown += 30;
  showHistory();
});
find("queue-more").addEventListener("click", () => {
  queue.shown += 100;
  showQueue();
});
find("events-filter").addEventListener("input", showEvents);
find("events-kind").addEventListener("change", showEvents);
find("events-pause").addEventListener("click", ({ target }) => {
  feed.isPaused = !feed.isPaused;
  target.setAttribute("aria-pressed", String(feed.isPaused));
  target.textContent = feed.isPaused ? "Go on" : "Pause";
  showEvents();
});
new ResizeObserver(gathered(showHistory, 100)).observe(find("history"));
setInterval(tick, SECOND);
wire.keepLooking();
wire.keepFollowing();
