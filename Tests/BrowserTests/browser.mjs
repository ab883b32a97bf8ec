// Chromium without a window, driven through its DevTools protocol with nothing but Node.
import { spawn } from "node:child_process";
import crypto from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";

/** A client for text messages: as much of RFC 6455 as the DevTools protocol needs. */
class Socket {
  static connect(address) {
    const { hostname, port, pathname } = new URL(address);
    const key = crypto.randomBytes(16).toString("base64");
    return new Promise((resolve, reject) => {
      const socket = net.connect(Number(port), hostname, () => {
        socket.write(
          `GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
            `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
        );
      });
      let head = Buffer.alloc(0);
      socket.on("error", reject);
      socket.on("data", function read(data) {
        head = Buffer.concat([head, data]);
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        socket.off("data", read);
        if (!head.toString("latin1").startsWith("HTTP/1.1 101")) return reject(new Error("no upgrade"));
        resolve(new Socket(socket, head.subarray(end + 4)));
      });
    });
  }

  constructor(socket, rest) {
    this.socket = socket;
    this.buffer = rest;
    this.parts = [];
    socket.on("data", (data) => {
      this.buffer = Buffer.concat([this.buffer, data]);
      this.read();
    });
    queueMicrotask(() => this.read());
  }

  read() {
    for (;;) {
      if (this.buffer.length < 2) return;
      let length = this.buffer[1] & 127;
      let at = 2;
      if (length === 126) [length, at] = [this.buffer.length < 4 ? Infinity : this.buffer.readUInt16BE(2), 4];
      else if (length === 127) [length, at] = [this.buffer.length < 10 ? Infinity : Number(this.buffer.readBigUInt64BE(2)), 10];
      if (this.buffer.length < at + length) return;
      const [isLast, kind] = [this.buffer[0] & 128, this.buffer[0] & 15];
      const payload = this.buffer.subarray(at, at + length);
      this.buffer = this.buffer.subarray(at + length);
      if (kind === 9) this.send(payload, 10);
      if (kind > 2) continue;
      this.parts.push(payload);
      if (!isLast) continue;
      const text = Buffer.concat(this.parts).toString();
      this.parts = [];
      this.onmessage?.(text);
    }
  }

  send(payload, kind = 1) {
    const data = Buffer.from(payload);
    const mask = crypto.randomBytes(4);
    const head = data.length < 126 ? Buffer.alloc(2) : data.length < 65536 ? Buffer.alloc(4) : Buffer.alloc(10);
    head[0] = 128 | kind;
    head[1] = 128 | (head.length === 2 ? data.length : head.length === 4 ? 126 : 127);
    if (head.length === 4) head.writeUInt16BE(data.length, 2);
    if (head.length === 10) head.writeBigUInt64BE(BigInt(data.length), 2);
    for (let index = 0; index < data.length; index += 1) data[index] ^= mask[index & 3];
    this.socket.write(Buffer.concat([head, mask, data]));
  }
}

/** One tab. */
class Tab {
  constructor(browser, target, session) {
    Object.assign(this, { browser, target, session });
  }

  command(method, params = {}) {
    return this.browser.command(method, params, this.session);
  }

  /** The value of an expression in the page; a promise is awaited. */
  async evaluate(expression) {
    const { result, exceptionDetails } = await this.command("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description || exceptionDetails.text);
    return result.value;
  }

  async go(address) {
    await this.command("Page.navigate", { url: address });
    await until(() => this.evaluate(`location.href === ${JSON.stringify(address)} && document.readyState === "complete"`));
  }

  async reload() {
    await this.evaluate("window.wasThereBefore = true");
    await this.command("Page.reload");
    await until(() => this.evaluate('window.wasThereBefore === undefined && document.readyState === "complete"'));
  }

  async picture({ width = 1280, height = 800, full = false } = {}) {
    await this.command("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
    await new Promise((resolve) => setTimeout(resolve, 400));
    const { data } = await this.command("Page.captureScreenshot", { format: "png", captureBeyondViewport: full });
    return Buffer.from(data, "base64");
  }

  /** Closes the tab as a user does: the page gets its pagehide. */
  async close() {
    await this.command("Page.close").catch(() => {});
  }
}

/** Waits until `condition` holds; what throws does not hold yet. */
export async function until(condition, { within = 15_000, what = String(condition) } = {}) {
  const end = Date.now() + within;
  let last;
  for (;;) {
    try {
      last = await condition();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`not within ${within} ms: ${what}; last: ${last}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export class Browser {
  static program = process.env.CHROMIUM || "/usr/bin/chromium";

  static async start() {
    const folder = await mkdtemp(path.join(os.tmpdir(), "leasehold-browser-"));
    const options = [
      "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions", "--remote-debugging-port=0",
      `--user-data-dir=${folder}`, "about:blank",
    ];
    const child = spawn(Browser.program, options, { stdio: ["ignore", "ignore", "pipe"], detached: true });
    const address = await new Promise((resolve, reject) => {
      let said = "";
      child.stderr.on("data", (data) => {
        said += data;
        const found = /DevTools listening on (ws:\S+)/.exec(said);
        if (found) resolve(found[1]);
      });
      child.on("exit", () => reject(new Error(`the browser has ended: ${said}`)));
    });
    return new Browser(await Socket.connect(address), child, folder);
  }

  constructor(socket, child, folder) {
    Object.assign(this, { socket, child, folder });
    this.waiting = new Map();
    this.count = 0;
    socket.onmessage = (text) => {
      const message = JSON.parse(text);
      const { id, result, error } = message;
      const one = this.waiting.get(id);
      if (!one) return this.onevent?.(message);
      this.waiting.delete(id);
      if (error) one.reject(new Error(error.message));
      else one.resolve(result);
    };
  }

  command(method, params = {}, sessionId = undefined) {
    const id = (this.count += 1);
    this.socket.send(JSON.stringify({ id, method, params, sessionId }));
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  async tab(address) {
    const { targetId } = await this.command("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.command("Target.attachToTarget", { targetId, flatten: true });
    const tab = new Tab(this, targetId, sessionId);
    await tab.command("Page.enable");
    if (address) await tab.go(address);
    return tab;
  }

  async close() {
    const gone = new Promise((resolve) => this.child.once("exit", resolve));
    this.command("Browser.close").catch(() => {});
    const timer = setTimeout(() => process.kill(-this.child.pid, "SIGKILL"), 5000);
    await gone;
    clearTimeout(timer);
    this.socket.socket.destroy();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}
