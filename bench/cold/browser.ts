import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { chromium } from "playwright-core";
import type { Op, Steps } from "./steps.js";

const PLACES = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
const FLAGS = "--no-sandbox --disable-gpu --no-first-run --disable-sync --disable-background-networking";

export function findChromium(): string | undefined {
  return PLACES.find((place) => place && existsSync(place));
}

async function serve(folder: string): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://127.0.0.1");
    const type =
      pathname === "/" ? "text/html" : pathname.endsWith(".js") ? "text/javascript" : "application/octet-stream";
    // Isolation makes performance.now() good to 5 microseconds instead of 100.
    response.writeHead(200, {
      "Content-Type": type,
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
    });
    if (pathname === "/") response.end('<!doctype html><script type="module" src="/page.js"></script>');
    else response.end(existsSync(join(folder, pathname)) ? readFileSync(join(folder, pathname)) : "");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

const left = () => (globalThis as unknown as { steps: Promise<Steps> }).steps;

/** A new browser each time: a page in an old one finds V8 warm and the module compiled. */
export async function inChromium(executablePath: string, folder: string, op: Op, times: number): Promise<Steps[]> {
  const { server, url } = await serve(folder);
  const all: Steps[] = [];
  try {
    for (let i = 0; i < times; i++) {
      const browser = await chromium.launch({ executablePath, args: FLAGS.split(" ") });
      try {
        const page = await browser.newPage();
        await page.goto(`${url}?${op}`, { waitUntil: "load" });
        all.push(await page.evaluate(left));
      } finally {
        await browser.close();
      }
    }
  } finally {
    server.close();
  }
  return all;
}
