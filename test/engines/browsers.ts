// The browsers: how each is started, and the site that they visit.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createServer as listen } from "node:net";
import { extname, join, normalize } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";
import puppeteer from "puppeteer-core";
import { root } from "../pack.js";

/** A browser's window. */
export interface Window {
  visit(url: string): Promise<void>;
  /** The value of an expression on the page, awaited. */
  evaluate(expression: string): Promise<unknown>;
  close(): Promise<void>;
}

export interface Browser {
  readonly name: string;
  /** Where to look, the user's own word first. */
  readonly executables: (string | undefined)[];
  /** Debian's packages. */
  readonly packages: string;
  open(executable: string): Promise<Window>;
}

/** A window of playwright or puppeteer. */
interface DriverPage {
  goto(url: string, options: { waitUntil: "load" }): Promise<unknown>;
  evaluate(expression: string): Promise<unknown>;
}

const windowOf = (page: DriverPage, browser: { close(): Promise<void> }): Window => ({
  async visit(url) {
    await page.goto(url, { waitUntil: "load" });
  },
  evaluate: (expression) => page.evaluate(expression),
  close: () => browser.close(),
});

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = listen().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

/** WebKitGTK by W3C WebDriver, for which a few requests are enough. */
async function webkit(executable: string): Promise<Window> {
  const port = await freePort();
  const driver = ["WebKitWebDriver", `--port=${port}`];
  const [command, ...args] = process.env.DISPLAY ? driver : ["xvfb-run", "-a", ...driver];
  // A process group of its own, which ends with its display and its browser.
  const child = spawn(command!, args, { detached: true, stdio: "ignore" });
  const end = () => {
    try {
      process.kill(-child.pid!);
    } catch {}
  };
  process.once("exit", end);
  const call = async (method: string, path: string, body?: object): Promise<unknown> => {
    const payload = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, ...payload });
    const { value } = (await response.json()) as { value: { error?: string; message?: string } };
    if (!response.ok) throw new Error(`WebKitWebDriver: ${value.error}: ${value.message}`);
    return value;
  };
  for (let tries = 0; !(await call("GET", "/status").catch(() => false)); tries++) {
    if (tries === 100) throw new Error("WebKitWebDriver does not answer");
    await sleep(100);
  }
  const options = { "webkitgtk:browserOptions": { binary: executable, args: ["--automation"] } };
  const opened = await call("POST", "/session", { capabilities: { alwaysMatch: options } });
  const session = `/session/${(opened as { sessionId: string }).sessionId}`;
  await call("POST", `${session}/timeouts`, { script: 300_000 });
  const evaluate = (expression: string) =>
    call("POST", `${session}/execute/sync`, { script: `return ${expression}`, args: [] });
  return {
    async visit(url) {
      await call("POST", `${session}/url`, { url });
      // This driver does not always wait for the page's module.
      while (!(await evaluate("typeof conformance === 'function'"))) await sleep(20);
    },
    evaluate,
    async close() {
      await call("DELETE", session).catch(() => undefined);
      process.off("exit", end);
      end();
    },
  };
}

export const browsers: Browser[] = [
  {
    name: "chromium",
    executables: [
      process.env.CHROMIUM,
      "/usr/bin/chromium",
      "/usr/bin/chromium-browser",
      "/usr/bin/google-chrome",
      "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ],
    packages: "chromium",
    async open(executablePath) {
      const flags = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync";
      const quiet = "--disable-background-networking --disable-component-update";
      const browser = await chromium.launch({ executablePath, args: `${flags} ${quiet}`.split(" ") });
      return windowOf(await browser.newPage(), browser);
    },
  },
  {
    name: "firefox",
    executables: [
      process.env.FIREFOX,
      "/usr/bin/firefox-esr",
      "/usr/bin/firefox",
      "/Applications/Firefox.app/Contents/MacOS/firefox",
    ],
    packages: "firefox-esr",
    async open(executablePath) {
      const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });
      return windowOf(await browser.newPage(), browser);
    },
  },
  {
    name: "webkitgtk",
    executables: [
      process.env.MINIBROWSER,
      "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser",
      "/usr/lib/aarch64-linux-gnu/webkit2gtk-4.1/MiniBrowser",
    ],
    packages: "webkit2gtk-driver libjavascriptcoregtk-4.0-bin xvfb xauth",
    open: webkit,
  },
];

const types: Record<string, string> = {
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

// What the package needs of a Content-Security-Policy (the pool starts its Workers from text), and a policy that forbids Wasm.
const open = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:";
const blocked = "default-src 'self'; script-src 'self'";
const page =
  '<!doctype html><meta charset="utf-8"><title>latentwire</title><script type="module" src="/page.js"></script>';

/** Serves the conformance page, with a policy that allows Wasm at / and one that does not at /blocked, on a free port of 127.0.0.1. */
export async function serve(bundle: string): Promise<{ url: string; close(): void }> {
  const content = (path: string): string | Buffer => {
    if (path === "/" || path === "/blocked") return page;
    if (path === "/python-bundle.lwb") return readFileSync(join(root, "test/vectors/python-bundle.lwb"));
    if (path.startsWith("/ort/")) return readFileSync(join(root, "node_modules/onnxruntime-web/dist", path.slice(5)));
    return readFileSync(join(bundle, path));
  };
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://127.0.0.1").pathname);
    try {
      const body = content(path);
      response.writeHead(200, {
        "Content-Type": types[extname(path)] ?? "text/html",
        "Content-Security-Policy": path === "/blocked" ? blocked : open,
      });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${port}`, close };
}
