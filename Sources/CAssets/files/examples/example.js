// What the three pages have in common: load a model once, then take turns on the GPU; show every step.
import { GPUController, LeaseLostError } from "/gpu-controller.js";

const find = (id) => document.getElementById(id);

function show(state, title, detail = "") {
  const box = find("state");
  box.dataset.state = state;
  box.replaceChildren(Object.assign(document.createElement("strong"), { textContent: title }), detail);
}

const seconds = (milliseconds) => `${Math.round((milliseconds || 0) / 1000)} s`;

/** Says where in the queue a request is, and behind whom. */
function showPlace(what) {
  return ({ state, position, ahead = [], queueDepth, waitedMs, resumed }) => {
    if (state === "unreachable") return show("waiting", "The bridge cannot be reached", "Trying again…");
    if (!position) return undefined;
    const behind = ahead.length ? `behind ${ahead.join(", ")}` : "next in line";
    const kept = resumed ? ", place kept after the reload" : "";
    return show("waiting", `Waiting for ${what}: ${position} of ${queueDepth}`, `${behind}, for ${seconds(waitedMs)}${kept}`);
  };
}

const work = (milliseconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });

/** What a reload keeps: that the model lies in the browser's cache, and that this page is waiting. */
const kept = {
  has: (what) => sessionStorage.getItem(`${location.pathname} ${what}`) === "yes",
  set: (what) => sessionStorage.setItem(`${location.pathname} ${what}`, "yes"),
  forget: (what) => sessionStorage.removeItem(`${location.pathname} ${what}`),
};

async function turn({ id, priority, task, output }) {
  // A page that crashes keeps the GPU for `ttl` at most.
  const common = { priority, ttl: 20_000, metadata: { page: location.pathname } };
  if (!kept.has("model")) {
    const wish = { ...common, timeout: 300_000, onWait: showPlace("the model loader") };
    await GPUController.withModelLoadLock(id, async ({ unit, signal }) => {
      show("held", "Loading the model", `${unit}: nobody else loads one meanwhile`);
      await work(1500, signal);
      kept.set("model");
    }, wish);
  }
  const wish = { ...common, timeout: 120_000, onWait: showPlace("the GPU") };
  await GPUController.withLock(id, async ({ unit, fencingToken, signal, direct }) => {
    show("held", `${task} on ${unit}`, direct ? "without a lease" : `fencing token ${fencingToken}`);
    find("output").textContent = "";
    for (const word of output.split(" ")) {
      await work(250, signal);
      find("output").textContent += `${word} `;
    }
  }, wish);
  show("idle", "Done", "The GPU is free for the next one.");
}

/** Wires a page's button, and its state box, to one task. */
export function begin(page) {
  const button = find("go");
  button.addEventListener("click", async () => {
    button.disabled = true;
    kept.set("wish");
    try {
      await turn(page);
    } catch (error) {
      if (error instanceof LeaseLostError) show("lost", `The GPU was taken away (${error.reason})`, error.why || error.message);
      else show("failed", "No GPU", error.message);
    }
    kept.forget("wish");
    button.disabled = false;
  });
  show("idle", "Idle", "Press the button to take a turn.");
  // Reloaded while it waited: the same request again, which has kept its place.
  if (kept.has("wish")) button.click();
}
