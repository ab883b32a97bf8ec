// The service that the tests run against: the built program on a free port with a state directory of its own, or the
// one at LEASEHOLD_URL.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "./browser.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

export class Service {
  static program = process.env.LEASEHOLD_BIN || path.join(root, ".build/debug/leasehold");

  /** @param more options of `leasehold up` */
  static async start(...more) {
    if (process.env.LEASEHOLD_URL && more.length === 0) return new Service(process.env.LEASEHOLD_URL);
    const folder = await mkdtemp(path.join(os.tmpdir(), "leasehold-web-"));
    const given = ["up", "--listen", "127.0.0.1:0", "--state", folder, "--min-run", "0", ...more];
    const child = spawn(Service.program, given, { stdio: ["ignore", "pipe", "pipe"], detached: true });
    let said = "";
    const listen = (data) => (said += data);
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.on("error", (error) => (said += error));
    try {
      const address = await until(() => /http:\/\/[\w.:[\]-]+:[1-9]\d*/.exec(said)?.[0], { within: 60_000, what: "an address to listen at" });
      const service = new Service(address, child, folder);
      await until(async () => (await service.status()).units.length > 0, { within: 60_000, what: "a unit" });
      return service;
    } catch (error) {
      child.kill("SIGKILL");
      throw new Error(`${Service.program} ${given.join(" ")}: ${error.message}\n${said}`);
    }
  }

  constructor(url, child, folder) {
    Object.assign(this, { url, child, folder });
    this.others = [];
  }

  /** One more coordinator on the same Redis, which serves the pools `names`; each but the first gets a host of its name. */
  async pools(...names) {
    const redis = `unix://${this.folder}/redis/redis.sock`;
    const begin = (program, ...given) => {
      const child = spawn(path.join(path.dirname(Service.program), program), ["--redis", redis, ...given], { stdio: ["ignore", "ignore", "pipe"] });
      child.said = "";
      child.stderr.on("data", (data) => (child.said += data));
      this.others.push(child);
      return child;
    };
    for (const name of names.slice(1)) {
      begin("leasehold-agent", "--pool", name, "--host-id", name, "--state-dir", `${this.folder}/${name}`, "--simulate", "1", "--first-join");
    }
    const front = begin("leasehold-coordinator", "--listen", "127.0.0.1:0", ...names.flatMap((name) => ["--pool", name]));
    const url = await until(() => /http:\/\/[\w.:[\]-]+:[1-9]\d*/.exec(front.said)?.[0], { within: 60_000, what: "an address to listen at" });
    const both = new Service(url);
    for (const name of names.slice(1)) {
      await until(async () => (await both.call("GET", `/v1/gpu/status?pool=${name}`)).units?.some(({ state }) => state === "free"), { what: `a free unit of ${name}` });
    }
    return both;
  }

  async call(method, where, body) {
    const response = await fetch(this.url + where, { method, body: body && JSON.stringify(body) });
    return response.json();
  }

  status() {
    return this.call("GET", "/v1/gpu/status");
  }

  /** A place to compete for: `{unit, kind}`. */
  async place(kind = "gpu") {
    const { units } = await this.status();
    const unit = units.find((one) => one.kind === kind) || units[0];
    return { unit: unit.unit, kind: unit.kind };
  }

  async holderOf({ unit }) {
    const { units } = await this.status();
    return units.find((one) => one.unit === unit)?.holder ?? null;
  }

  /** Ends whatever an earlier test has left. */
  async clear() {
    await until(async () => {
      await this.call("POST", "/v1/gpu/force-release-all", { why: "a test begins" });
      const { leases, waiters } = await this.status();
      return leases.length === 0 && waiters.length === 0;
    });
  }

  async stop() {
    for (const other of this.others) {
      const gone = new Promise((resolve) => (other.exitCode === null ? other.once("exit", resolve) : resolve()));
      other.kill("SIGTERM");
      await gone;
    }
    if (!this.child) return;
    if (this.child.exitCode === null) {
      const gone = new Promise((resolve) => this.child.once("exit", resolve));
      this.child.kill("SIGTERM");
      const timer = setTimeout(() => process.kill(-this.child.pid, "SIGKILL"), 15_000);
      await gone;
      clearTimeout(timer);
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

const listening = (server) => new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${server.address().port}`)));

/** Passes bytes on, and can cut every connection at once. */
export async function startCable(target) {
  const { hostname, port } = new URL(target);
  const open = new Set();
  const server = net.createServer((near) => {
    const far = net.connect(Number(port), hostname);
    open.add(near);
    near.on("close", () => open.delete(near));
    for (const [from, to] of [[near, far], [far, near]]) {
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
      from.pipe(to);
    }
  });
  const url = await listening(server);
  return {
    url,
    cut: () => open.forEach((socket) => socket.destroy()),
    stop: () => new Promise((resolve) => {
      server.close(resolve);
      open.forEach((socket) => socket.destroy());
    }),
  };
}

/** Passes requests on unless `interfere(request, response)` has answered; `late(request)` says by how many ms an answer is held back. */
export async function startProxy(target, interfere = () => false, late = () => 0) {
  const server = http.createServer((request, response) => {
    if (interfere(request, response)) return;
    const far = http.request(target + request.url, { method: request.method, headers: request.headers }, (answer) => {
      setTimeout(() => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      }, late(request));
    });
    far.on("error", () => response.destroy());
    response.on("close", () => far.destroy());
    request.pipe(far);
  });
  const url = await listening(server);
  return {
    url,
    stop: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}
