import { spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Link } from "../../links.js";
import type { ServerMs } from "../way.js";
import type { Setup } from "../ways.js";
import { ThrottledSocket } from "./throttle.js";

export interface Reply {
  readonly answer: number | null;
  readonly ms: ServerMs;
}

/** A server in a process of its own; closing it ends the process. */
export async function startServer(setup: Setup): Promise<{ port: number; close(): void }> {
  const script = fileURLToPath(new URL("server.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", script, JSON.stringify(setup)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([once(lines, "line"), once(child, "exit").then(() => [undefined])]);
  if (line === undefined) throw new Error("the server of the link did not start");
  return { port: Number(line), close: () => void child.stdin.end() };
}

class ThrottledAgent extends Agent {
  constructor(
    private readonly port: number,
    private readonly link: Link,
  ) {
    super({ keepAlive: true, maxSockets: 1 });
  }

  override createConnection(): ThrottledSocket {
    return new ThrottledSocket(this.port, this.link);
  }
}

/** One connection over the link, kept open as an app keeps it: the handshake is paid once and not per image. */
export class Connection {
  private readonly agent: ThrottledAgent;

  constructor(
    private readonly port: number,
    link: Link,
  ) {
    this.agent = new ThrottledAgent(port, link);
  }

  async post(way: number, message: Uint8Array): Promise<Reply> {
    const { agent, port } = this;
    const sent = request({ agent, host: "127.0.0.1", port, method: "POST", path: `/${way}` });
    sent.setHeader("Content-Length", message.length);
    sent.end(message);
    const [response] = await once(sent, "response");
    let text = "";
    for await (const chunk of response) text += chunk;
    if (response.statusCode !== 200) throw new Error(`the server of the link: ${text}`);
    return JSON.parse(text);
  }

  close(): void {
    this.agent.destroy();
  }
}
