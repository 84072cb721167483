import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { transformSync } from "esbuild";
import { root } from "../pack.js";

const types: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

// What the README promises to be enough. The import map is inline, hence unsafe-inline, which the package itself does not need.
const policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' 'unsafe-inline'";

/** Serves test/page, TypeScript compiled on the way, and the node_modules of `project` on a free port of 127.0.0.1. */
export async function serve(project: string): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://127.0.0.1").pathname);
    try {
      const body = content(path === "/" ? "/page/index.html" : path, project);
      response.writeHead(200, {
        "Content-Type": types[extname(path)] ?? types[".html"],
        "Content-Security-Policy": policy,
      });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

function content(path: string, project: string): string | Buffer {
  if (path.startsWith("/node_modules/")) return readFileSync(join(project, path));
  const source = join(root, "test", path);
  if (!path.endsWith(".js")) return readFileSync(source);
  const typescript = readFileSync(source.replace(/\.js$/, ".ts"), "utf8");
  return transformSync(typescript, { loader: "ts", format: "esm", target: "es2022" }).code;
}
