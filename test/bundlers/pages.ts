// Serves what was built, and opens it in Chromium.
import type { ChildProcess } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import type { Page } from "playwright-core";
import { executablePath, visit } from "../chromium.js";
import type { Digests } from "./program.js";

/** Why a case cannot run here. */
export class Skip extends Error {}

// ---- servers

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** What docs/pool.md calls a page that lets no `blob:` worker start. */
const POLICY = "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";
const types: Record<string, string> = { ".html": "text/html", ".wasm": "application/wasm" };

/** Serves the projects, which are folders of `cache`. A bundle without a page of its own gets that of its project. */
export async function serveFiles(cache: string): Promise<{ server: Server; url: string }> {
  const server = createServer(({ url = "/" }, response) => {
    const { pathname, search } = new URL(url, "http://127.0.0.1");
    const path = normalize(pathname);
    if (search === "?policy") response.setHeader("Content-Security-Policy", POLICY);
    const [, project = ""] = path.split("/");
    const own = join(cache, path.endsWith("/") ? `${path}index.html` : path);
    const file = existsSync(own) ? own : join(cache, project, "index.html");
    if (file !== own && !path.endsWith("/")) return response.writeHead(404).end();
    response.writeHead(200, { "Content-Type": types[extname(file)] ?? "text/javascript" });
    response.end(readFileSync(file));
  });
  return { url: `http://127.0.0.1:${await listening(server)}/`, server };
}

/** A command that runs, and what it has printed up to now. */
export interface Started {
  child: ChildProcess;
  printed: string;
}

/** Starts the server of a project on a free port and waits until it answers. */
export async function serveWith(start: (port: string) => Started): Promise<{ url: string; server: Started }> {
  const probe = createServer();
  const port = await listening(probe);
  await new Promise((resolve) => probe.close(resolve));
  const server = start(`${port}`);
  const url = `http://127.0.0.1:${port}/`;
  for (let i = 0; i < 300 && server.child.exitCode === null; i++) {
    if (await fetch(url).catch(() => undefined)) return { url, server };
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`the server does not answer\n${server.printed}`);
}

// ---- Chromium

async function see<T>(url: string, look: (page: Page) => Promise<T>): Promise<T> {
  if (executablePath === undefined) throw new Skip("no Chromium; CHROMIUM may name one");
  return visit(url, look);
}

/** The text of a page or of an answer. */
export const textOf = (url: string) => see(url, (page) => page.innerText("body"));

/** What the functions of `trial` return on a page, and how many files the second of them had loaded. */
export function tried(url: string): Promise<{ digests: Digests; loadedLater: number }> {
  return see(url, async (page) => {
    await page.waitForFunction("globalThis.trial !== undefined");
    const first: Digests = await page.evaluate("trial.first()");
    let loadedLater = 0;
    page.on("response", () => loadedLater++);
    const later: Digests = await page.evaluate("trial.later()");
    return { digests: { ...first, ...later }, loadedLater };
  });
}
