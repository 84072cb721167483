import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import type { Link } from "../../links.js";

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
export class ThrottledSocket extends Duplex {
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

  /** Node's HTTP asks this of its sockets. */
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }

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
