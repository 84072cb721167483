/** What the pages of `bench:browser` and of docs/demo are served with, on this machine alone. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname } from "node:path";

/** The files of onnxruntime-web, in its folder dist, that `device.ts` loads. */
export const RUNTIME = ["ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"];

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".wasm": "application/wasm",
  ".txt": "text/plain; charset=utf-8",
};

/** A file, and what its response says beside its type. */
export interface Served {
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Serves what `find` has for a path, "/" for the page itself; anything else is a 404. Port 0 is any free one. */
export async function serveFiles(
  find: (path: string) => Served | undefined,
  port: number,
): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://127.0.0.1").pathname;
    const found = find(path);
    if (found === undefined) return response.writeHead(404).end();
    const type = TYPES[path.endsWith("/") ? ".html" : extname(path)] ?? "application/octet-stream";
    response.writeHead(200, { "content-type": type, ...found.headers }).end(found.body);
  });
  await new Promise<void>((done, failed) => server.once("error", failed).listen(port, "127.0.0.1", done));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}
