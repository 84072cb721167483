/**
 * The observed link: messages go to a second process over throttled connections, and the time that it takes stands beside the arithmetic.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Picture } from "../images.js";
import { endToEnd, type Link } from "../links.js";
import { median } from "../numbers.js";
import { bar } from "../terminal.js";
import { nameOf, type ServerMs, type Setup, totalMs, type Way } from "./ways.js";

/** What leaves at once, at least; a fast link sends what it carries in a millisecond. */
const BURST_BYTES = 256;

/** Timers are a millisecond coarse and late; the rest is waited for actively. */
async function until(time: number): Promise<void> {
  const early = time - performance.now() - 2;
  if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
  while (performance.now() < time) await new Promise(setImmediate);
}

/**
 * A connection to 127.0.0.1 whose uplink is a token bucket of the link's rate, and which delays either direction by half its round trip.
 * It counts every byte that goes up, HTTP headers included.
 */
class ThrottledSocket extends Duplex {
  private readonly socket: Socket;
  private readonly bytesPerMs: number;
  private readonly halfTrip: number;
  /** When the link has carried all that was given to it so far. */
  private drained = 0;
  private sent = Promise.resolve();
  private received = Promise.resolve();

  constructor(port: number, link: Link) {
    super();
    this.bytesPerMs = (link.mbitPerSecond * 1000) / 8;
    this.halfTrip = link.rttMs / 2;
    this.socket = connect({ host: "127.0.0.1", port, noDelay: true });
    this.socket.on("data", (chunk) => this.later(chunk));
    this.socket.on("end", () => this.later(null));
    this.socket.on("error", (error) => this.destroy(error));
  }

  // Node's HTTP asks this of its sockets.
  setTimeout = () => this;
  setNoDelay = () => this;
  setKeepAlive = () => this;
  ref = () => this;
  unref = () => this;

  private later(chunk: Buffer | null): void {
    const arrival = performance.now() + this.halfTrip;
    this.received = this.received.then(() => until(arrival)).then(() => void this.push(chunk));
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.pace(chunk).then(() => done(), done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.pace(Buffer.concat(chunks.map(({ chunk }) => chunk))).then(() => done(), done);
  }

  private async pace(bytes: Buffer): Promise<void> {
    this.drained = Math.max(this.drained, performance.now());
    const burst = Math.max(BURST_BYTES, Math.floor(this.bytesPerMs));
    for (let at = 0; at < bytes.length; at += burst) {
      const piece = bytes.subarray(at, at + burst);
      this.drained += piece.length / this.bytesPerMs;
      const arrival = this.drained + this.halfTrip;
      this.sent = this.sent.then(() => until(arrival)).then(() => void this.socket.write(piece));
    }
    await until(this.drained);
  }

  override _final(done: () => void): void {
    this.sent.then(() => this.socket.end(done));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.socket.destroy();
    done(error);
  }
}

/** A server in a process of its own; closing it ends the process. */
async function startServer(setup: Setup): Promise<{ port: number; close(): void }> {
  const script = fileURLToPath(new URL("link-server.ts", import.meta.url));
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
class Connection {
  private readonly agent: ThrottledAgent;

  constructor(
    private readonly port: number,
    link: Link,
  ) {
    this.agent = new ThrottledAgent(port, link);
  }

  async post(way: number, message: Uint8Array): Promise<{ ms: ServerMs }> {
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

/** Passes over each image, after one that is not counted. */
const PASSES = 5;

/** Medians of one way over one link. */
export interface Observed {
  readonly link: string;
  readonly name: string;
  readonly bytes: number;
  /** From the picture in memory to the answer in the client's hands. */
  readonly observedMs: number;
  /** The arithmetic from the same passes' client and server times. */
  readonly modelledMs: number;
}

/** Sends images to a second process over throttled connections, and sets the time that it takes beside the arithmetic. */
export async function observe(
  setup: Setup,
  ways: readonly Way[],
  chosen: readonly Way[],
  links: readonly Link[],
  pictures: readonly Picture[],
  stop: AbortSignal,
): Promise<Observed[]> {
  const rows: Observed[] = [];
  const progress = bar("links", links.length * chosen.length);
  const server = await startServer(setup);
  let closing = () => {};
  try {
    for (const link of links) {
      const connection = new Connection(server.port, link);
      closing = () => connection.close();
      for (const way of chosen) {
        progress.step(`${nameOf(way)} over ${link.name}`);
        const number = ways.indexOf(way);
        const passes: { bytes: number; observed: number; modelled: number }[] = [];
        for (let pass = -1; pass < PASSES; pass++)
          for (const picture of pictures) {
            if (stop.aborted) return rows;
            const start = performance.now();
            const { message, ms } = await way.client(picture);
            const reply = await connection.post(number, message);
            const observed = performance.now() - start;
            const modelled = endToEnd(link, message.length, totalMs(ms), totalMs(reply.ms)).totalMs;
            if (pass >= 0) passes.push({ bytes: message.length, observed, modelled });
          }
        rows.push({
          link: link.name,
          name: nameOf(way),
          bytes: median(passes.map((pass) => pass.bytes)),
          observedMs: median(passes.map((pass) => pass.observed)),
          modelledMs: median(passes.map((pass) => pass.modelled)),
        });
      }
      connection.close();
    }
  } finally {
    closing();
    progress.stop();
    server.close();
  }
  return rows;
}
