// latentwire/stream: framing, chunks of any size, faults with their places, aborting, and streams that go on behind damage.
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { create } from "latentwire";
import {
  bytesToPackets,
  type Damage,
  packetsToBytes,
  type ReadOptions,
  readPackets,
  StreamError,
  writePackets,
} from "latentwire/stream";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { FrameReader } from "../bindings/frames.js";
import { isFull } from "./builds.js";
import { type Random, random } from "./cases.js";
import { damageStream } from "./mutate.js";
import { isGoodPacket, readFrames, recoverFrames, writeFrames } from "./reference.js";

const codec = await create();
const prior = codec.factorized({ offsets: [-1], cdfs: [[0, 16384, 49152, 65535, 65536]] });

/** A full packet of about n / 4 bytes; its content follows from the salt. */
function packetOf(n: number, salt = 0, options = {}): Uint8Array {
  const rng = random(salt + 1);
  const data = Int8Array.from({ length: n }, () => rng(3) - 1);
  return codec.encode({ type: "int8", dims: [1, 1, n], data }, prior, options);
}

const packets = Array.from({ length: 40 }, (_, i) => packetOf(7 * i * i, i));
const frames = writeFrames(packets);

async function all<T>(source: AsyncIterable<T> | ReadableStream<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of source) found.push(one);
  return found;
}

/** A ReadableStream of some pieces. */
const webStream = (pieces: readonly Uint8Array[]): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });

const joined = (chunks: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(chunks));

/** The same bytes in pieces. */
function cut(bytes: Uint8Array, sizes: () => number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = sizes();
    pieces.push(bytes.slice(at, at + size));
    at += size;
  }
  return pieces;
}

async function faultOf(bytes: Uint8Array, options: ReadOptions = { codec }): Promise<StreamError> {
  try {
    await all(
      readPackets(
        cut(bytes, () => 7),
        options,
      ),
    );
  } catch (error) {
    assert.instance(error, StreamError);
    return error as StreamError;
  }
  throw new Error("no fault was found");
}

// ---- framing

test("both forms write and read the reference's frames, in chunks of any size", async () => {
  assert.equal(joined(await all(writePackets(packets, { codec }))), frames);
  assert.equal(joined(await all(webStream(packets).pipeThrough(packetsToBytes({ codec })))), frames);
  assert.equal(readFrames(frames), packets);
  const rng = random(5);
  for (const sizes of [() => 1, () => 3, () => 64, () => 1 + rng(3000), () => frames.length]) {
    const pieces = cut(frames, sizes);
    for (const options of [{ codec }, {}]) {
      assert.equal(await all(readPackets(pieces, options)), packets);
      assert.equal(await all(webStream(pieces).pipeThrough(bytesToPackets(options))), packets);
    }
  }
});

test("a frame of a packet below 16,384 bytes costs at most two bytes", async () => {
  for (const [length, extra] of [
    [1, 1],
    [127, 1],
    [128, 2],
    [16383, 2],
    [16384, 3],
    [2 ** 21 - 1, 3],
    [2 ** 21, 4],
  ] as const) {
    const [frame, end] = await all(writePackets([new Uint8Array(length)]));
    assert.equal([frame.length - length, [...end]], [extra, [0]]);
    assert.equal(await all(readPackets([frame, end])), [new Uint8Array(length)]);
  }
});

test("an empty stream is an end mark, and nothing is no stream", async () => {
  assert.equal(joined(await all(writePackets([]))), Uint8Array.of(0));
  assert.equal(await all(readPackets([Uint8Array.of(0)])), []);
  const { code, offset } = await faultOf(new Uint8Array());
  assert.equal([code, offset], ["TRUNCATED", 0]);
});

test("packets are given as copies, and a source may use the memory of a chunk again", async () => {
  const memory = new Uint8Array(50);
  function* reusing() {
    for (let at = 0; at < frames.length; at += 50) {
      const piece = frames.subarray(at, at + 50);
      memory.set(piece);
      yield memory.subarray(0, piece.length);
      memory.fill(0x6c);
    }
  }
  const found = await all(readPackets(reusing(), { codec }));
  assert.equal(found, packets);
  assert.ok(found.every(({ length, buffer }) => buffer.byteLength === length));
});

test("compact packets and strings go through without a codec, ArrayBuffers on both sides", async () => {
  const compact = [4, 60, 900].map((n) => packetOf(n, n, { header: "compact" }));
  const bytes = joined(await all(writePackets(compact.map((one) => one.slice().buffer))));
  assert.equal(await all(readPackets([bytes.buffer as ArrayBuffer])), compact);
  const { code, offset, message } = await faultOf(bytes);
  assert.equal([code, offset], ["NOT_A_PACKET", 0]);
  assert.match(message, /without the option codec/);
});

// ---- faults

test("every fault has its code and its place", async () => {
  const first = packets[0].length + 1;
  const replaced = (at: number, ...bytes: number[]) => {
    const copy = frames.slice();
    copy.set(bytes, at);
    return copy;
  };
  const start = (bytes: number[]) => joined([frames.slice(0, first), Uint8Array.from(bytes)]);
  const cases: [string, number, Uint8Array][] = [
    ["CORRUPTED", first, replaced(first + 12, frames[first + 12] ^ 1)],
    ["NOT_A_PACKET", first, replaced(first + 1, 0x6d)],
    ["UNSUPPORTED_VERSION", first, replaced(first + 3, frames[first + 3] ^ 2)],
    ["CORRUPTED", first, start([0x80, 0x00])],
    ["CORRUPTED", first, start([0xff, 0xff, 0xff, 0xff, 0xff, 0x01])],
    ["LIMIT_EXCEEDED", first, start([0x81, 0x80, 0x80, 0x08])],
    ["TRUNCATED", first, start([0x81])],
    ["TRUNCATED", first, frames.slice(0, first + 5)],
    ["TRUNCATED", frames.length - 1, frames.slice(0, -1)],
    ["CORRUPTED", frames.length - 1, joined([frames, Uint8Array.of(1)])],
    ["CORRUPTED", frames.length - 1, joined([frames, frames])],
  ];
  for (const [code, offset, bytes] of cases) {
    const fault = await faultOf(bytes);
    assert.equal([fault.code, fault.offset], [code, offset], `${code} ${offset}: ${fault.message}`);
    assert.match(fault.message, `(byte ${offset})`);
  }
});

test("packets before a fault are given", async () => {
  const found: Uint8Array[] = [];
  try {
    for await (const packet of readPackets([frames.slice(0, -3)], { codec })) found.push(packet);
    assert.unreachable();
  } catch (error) {
    assert.is((error as StreamError).code, "TRUNCATED");
  }
  assert.equal(found, packets.slice(0, -1));
});

test("a writer refuses what a reader would not take", async () => {
  const refused = async (packet: unknown, options: object, expected: RegExp) => {
    try {
      await all(writePackets([packets[0], packet as Uint8Array], options));
    } catch (error) {
      return assert.match(String(error), expected);
    }
    assert.unreachable(String(expected));
  };
  await refused(new Uint8Array(), {}, /RangeError: packet 1 is empty/);
  await refused("text", {}, /TypeError: packet 1 must be/);
  await refused(new Uint8Array(101), { maxPacketBytes: 100 }, /packet 1 has 101 bytes: raise maxPacketBytes/);
  await refused(packetOf(90, 1, { header: "compact" }), { codec }, /the input is no packet/);
  await refused(packetOf(90, 1, { checksum: false }), { codec }, /TypeError: packet 1 has no checksum/);
  const damaged = packetOf(90);
  damaged[20] ^= 1;
  await refused(damaged, { codec }, /packet 1 is damaged/);
});

test("wrong arguments are refused at once", () => {
  const onDamage = () => {};
  for (const [options, expected] of [
    [{ damaged: "skip", onDamage }, /needs the option codec/],
    [{ damaged: "skip", codec }, /belong together/],
    [{ onDamage, codec }, /belong together/],
    [{ damaged: "ignore", codec }, /damaged must be "fatal" or "skip"/],
    [{ maxPacketBytes: 0 }, /maxPacketBytes/],
    [{ limit: 5 }, /unknown option "limit"/],
  ] as const) {
    assert.throws(() => readPackets([], options as ReadOptions), expected);
    assert.throws(() => bytesToPackets(options as ReadOptions), expected);
  }
  assert.throws(() => writePackets([], { damaged: "skip" } as object), /unknown option/);
  assert.throws(() => readPackets(frames as never), /put them into/);
  assert.throws(() => readPackets(undefined as never), /source must be/);
});

// ---- sources

test("the next chunk is asked for when the packets before are taken; leaving the loop ends the source", async () => {
  let asked = 0;
  let ended = 0;
  async function* source() {
    try {
      for (const piece of cut(frames, () => 1000)) {
        asked++;
        yield piece;
      }
    } finally {
      ended++;
    }
  }
  let taken = 0;
  for await (const packet of readPackets(source(), { codec })) {
    assert.equal(packet, packets[taken++]);
    const bytes = packets.slice(0, taken).reduce((sum, one) => sum + one.length + 3, 0);
    assert.ok(asked <= bytes / 1000 + 1, `${asked} chunks for ${bytes} bytes`);
    if (taken === 30) break;
  }
  await new Promise((done) => setTimeout(done));
  assert.equal([taken, ended], [30, 1]);
  let cancelled: unknown;
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(frames.slice(0, -1)),
    cancel: (reason) => {
      cancelled = reason ?? "yes";
    },
  });
  for await (const packet of readPackets(stream, { codec })) if (packet.length > 500) break;
  assert.is(cancelled, "yes");
});

test("a signal ends a reader that waits", async () => {
  const controller = new AbortController();
  let isCancelled = false;
  const silent = new ReadableStream<Uint8Array>({
    start: (own) => own.enqueue(frames.slice(0, 100)),
    cancel: () => {
      isCancelled = true;
    },
  });
  let count = 0;
  try {
    for await (const _ of readPackets(silent, { codec, signal: controller.signal }))
      if (++count === 2) setTimeout(() => controller.abort(new Error("enough")), 5);
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).message, "enough");
  }
  assert.ok(count >= 2 && isCancelled);
  const never = {
    [Symbol.asyncIterator]: () => ({ next: () => new Promise<IteratorResult<Uint8Array>>(() => {}) }),
  };
  // The timer of a signal does not keep Node alive.
  const alive = setTimeout(() => {}, 5000);
  for (const run of [readPackets, writePackets])
    try {
      await all(run(never, { signal: AbortSignal.timeout(5) }));
      assert.unreachable();
    } catch (error) {
      assert.is((error as Error).name, "TimeoutError");
    }
  clearTimeout(alive);
  assert.is(await all(readPackets([frames], { signal: AbortSignal.abort("no") })).catch(String), "no");
});

test("a socket of Node, in both directions", async () => {
  const server = createServer({ allowHalfOpen: true }, async (socket) => {
    // It answers each packet with the packet itself.
    const echoed = readPackets(socket, { codec });
    for await (const chunk of writePackets(echoed, { codec })) socket.write(chunk);
    socket.end();
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as { port: number };
  const socket = connect({ port, host: "127.0.0.1" });
  const back = all(readPackets(socket, { codec }));
  for (const piece of cut(joined(await all(writePackets(packets, { codec }))), () => 1300)) socket.write(piece);
  socket.end();
  assert.equal(await back, packets);
  server.close();
});

// ---- behind damage

interface Outcome {
  readonly found: readonly Uint8Array[];
  readonly damages: readonly Damage[];
}

/** The stream through the reader itself, without waiting. */
function skipping(pieces: Iterable<Uint8Array>): Outcome {
  const found: Uint8Array[] = [];
  const damages: Damage[] = [];
  const judge = {
    ...{ first: 0x6c, otherwise: "no packet", refused: "damaged" },
    front: (bytes: Uint8Array, total: number) => codec.judge(bytes, total),
    whole: (bytes: Uint8Array) => codec.judge(bytes),
  };
  const reader = new FrameReader({ maxBytes: 2 ** 24, judge, onDamage: (one) => damages.push(one) });
  const take = () => {
    for (let packet = reader.next(); packet; packet = reader.next()) found.push(packet.slice());
  };
  for (const piece of pieces) {
    reader.push(piece);
    take();
  }
  reader.end();
  take();
  return { found, damages };
}

test("skip gives every packet that damage has left whole, and tells what is lost", async () => {
  for (const [at, lost] of [
    [1, 1], // magic
    [0, 1], // length
    [frames.length - 8, 1], // the last checksum
  ] as const) {
    const damaged = frames.slice();
    damaged[at] ^= 0x10;
    const damages: Damage[] = [];
    const options: ReadOptions = { codec, damaged: "skip", onDamage: (one) => damages.push(one) };
    const found = await all(
      readPackets(
        cut(damaged, () => 11),
        options,
      ),
    );
    assert.is(found.length, packets.length - lost);
    assert.is(damages.length, 1);
    const kept = found.reduce((sum, packet) => sum + writeFrames([packet]).length - 1, 0);
    // Damage at the end takes the end mark with it.
    assert.is(damages[0].bytes + kept, frames.length - (at < 9 ? 1 : 0));
    assert.equal(found, at < 9 ? packets.slice(1) : packets.slice(0, -1));
  }
});

test("a false length hides nothing: not one that covers the whole stream, nor an end mark in the middle", () => {
  // The header of the first packet says 4,000 symbols, so its length may be 97,536 bytes.
  const large = packetOf(4000);
  const rest = Array.from({ length: 30 }, (_, i) => packetOf(600, i));
  const honest = writeFrames([large, ...rest]);
  const lying = joined([Uint8Array.of(0xff, 0xff, 5), honest.slice(2)]);
  assert.equal(skipping(cut(lying, () => 100)).found, rest);
  const ended = joined([Uint8Array.of(0), honest]);
  const { found, damages } = skipping([ended]);
  assert.equal(found, [large, ...rest]);
  assert.equal(damages, [{ offset: 0, bytes: 1, code: "CORRUPTED", message: "bytes follow the end of the stream" }]);
  // Its front does not allow 16 MB, so the reader does not wait for them.
  const waiting: Uint8Array[] = [];
  const reader = new FrameReader({
    ...{ maxBytes: 2 ** 24, onDamage: () => {} },
    judge: {
      ...{ first: 0x6c, otherwise: "", refused: "" },
      front: (bytes, total) => codec.judge(bytes, total),
      whole: (bytes) => codec.judge(bytes),
    },
  });
  reader.push(joined([Uint8Array.of(0xff, 0xff, 0xff, 7), honest.slice(2)]));
  for (let packet = reader.next(); packet; packet = reader.next()) waiting.push(packet.slice());
  assert.equal(waiting, rest);
});

/** A stream of some packets with damage in one or several places, and what must come out of it. */
function trial(rng: Random, isMeasured: boolean): void {
  const chosen = Array.from({ length: 2 + rng(6) }, () => packets[rng(rng(4) ? 12 : packets.length)]);
  const whole = writeFrames(chosen);
  const { bytes, spans } = damageStream(whole, rng);
  const sizes = [() => 1, () => 1 + rng(40), () => 1 + rng(2000), () => bytes.length][rng(4)];
  const { found, damages } = skipping(cut(bytes, sizes));
  // Frames that no damage touches stand in the damaged stream as they were.
  let at = 0;
  const intact: Uint8Array[] = [];
  for (const packet of chosen) {
    const end = at + packet.length + (packet.length < 128 ? 1 : packet.length < 16384 ? 2 : 3);
    if (!spans.some(([from, to]) => from < end && to > at)) intact.push(packet);
    at = end;
  }
  const named = () =>
    `${intact.length} whole, ${found.length} found, damage at ${JSON.stringify(spans)} of ${whole.length}`;
  // In order, nothing that was not sent, everything that is whole.
  let next = 0;
  for (const packet of found) if (next < intact.length && same(packet, intact[next])) next++;
  if (next < intact.length) assert.unreachable(`lost: ${named()}`);
  for (const packet of found) if (!chosen.some((one) => same(one, packet))) assert.unreachable(`false: ${named()}`);
  if (isMeasured) compare(bytes, found, damages, named);
  // Nothing is lost in silence: the bytes that are not given are those that are reported.
  const given = found.reduce((sum, { length }) => sum + length + (length < 128 ? 1 : length < 16384 ? 2 : 3), 0);
  const lost = damages.reduce((sum, one) => sum + one.bytes, 0);
  const mark = bytes.length - given - lost;
  assert.ok(mark === 0 || mark === 1, `${mark} bytes are neither given nor reported: ${named()}`);
  assert.ok(mark === 1 || damages.length > 0);
}

/** The reference, written from the document alone, finds the same frames and the same losses. */
function compare(
  bytes: Uint8Array,
  found: readonly Uint8Array[],
  damages: readonly Damage[],
  named: () => string,
): void {
  const measure = recoverFrames(bytes, isGoodPacket);
  assert.equal(measure.frames.length, found.length, named());
  for (const [i, { content }] of measure.frames.entries()) if (!same(content, found[i])) assert.unreachable(named());
  const expected = measure.lost.map(([from, to]) => [from, to - from]);
  const told = damages.filter((one) => one.bytes > 0).map((one) => [one.offset, one.bytes]);
  assert.equal(told, expected, named());
  assert.is(
    damages.some((one) => one.bytes === 0),
    !measure.isEnded && measure.lost.at(-1)?.[1] !== bytes.length,
    named(),
  );
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const streams = isFull ? 100_000 : 3000;
test(`${streams} streams with random damage: every packet behind it is recovered, in order, and nothing else is given`, () => {
  const rng = random(20261127);
  for (let i = 0; i < streams; i++) trial(rng, i % 20 === 0);
  console.error(`progress: ${streams} damaged streams`);
});

test("the vectors: whole and damaged streams", () => {
  const path = new URL("vectors/many-packets.json", import.meta.url);
  const vectors = JSON.parse(readFileSync(path, "utf8"));
  const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
  assert.equal(skipping([bytesOf(vectors.streams[0].hex)]).found, vectors.packets.map(bytesOf));
  for (const { hex, frames, lost, isEnded } of vectors.streams) {
    const bytes = bytesOf(hex);
    const { found, damages } = skipping(cut(bytes, () => 100));
    const size = (length: number) => (length < 128 ? 1 : 2);
    assert.equal(
      found,
      frames.map(([at, length]: [number, number]) => bytes.slice(at + size(length), at + size(length) + length)),
    );
    const told = damages.filter((one) => one.bytes > 0).map((one) => [one.offset, one.offset + one.bytes]);
    assert.equal(told, lost);
    if (isEnded) assert.ok(damages.every((one) => one.bytes > 0));
  }
});

test("a compact stream with damage ends with an error, never with a wrong length in silence", async () => {
  const compact = packets.slice(2).map((_, i) => packetOf(i * i, i, { header: "compact" }));
  const bytes = writeFrames(compact);
  const rng = random(3);
  for (let i = 0; i < 300; i++) {
    const damaged = damageStream(bytes, rng).bytes;
    const outcome = await all(readPackets([damaged])).catch((error) => error);
    // Damage inside a packet is for codec.decode to find. The frames are those of the reference.
    let expected: Uint8Array[] | string;
    try {
      expected = readFrames(damaged);
    } catch (error) {
      expected = (error as StreamError).code;
    }
    if (Array.isArray(outcome)) assert.equal(outcome, expected);
    else assert.instance(outcome, StreamError);
  }
});

// ---- work

/** A judge that counts what it looks at, and refuses every packet at last. */
function countingJudge() {
  const counts = { fronts: 0, bytes: 0 };
  const judge = {
    ...{ first: 0x6c, otherwise: "", refused: "" },
    front: () => {
      counts.fronts++;
      return undefined;
    },
    whole: ({ length }: Uint8Array) => {
      counts.bytes += length;
      return "CORRUPTED" as const;
    },
  };
  return { counts, judge };
}

test("hostile streams: the work is bounded by the bytes that came in", () => {
  for (const [length, maxBytes] of [
    [3000, 2 ** 24],
    [100_000, 2 ** 24],
    [1_000_000, 2 ** 14],
    [1_000_000, 300_000],
  ]) {
    const { counts, judge } = countingJudge();
    const reader = new FrameReader({ maxBytes, judge, onDamage: () => {} });
    // A packet begins everywhere, and each says that it is as long as it may be.
    const size = Math.min(maxBytes, length - 10);
    const claim = [(size & 127) | 128, ((size >> 7) & 127) | 128, size >> 14, 0x6c, 0x77, 0x09];
    const bytes = Uint8Array.from({ length }, (_, i) => claim[i % claim.length]);
    let received = 0;
    let code: string | undefined;
    try {
      for (const piece of cut(bytes, () => 1000)) {
        received += piece.length;
        reader.push(piece);
        while (reader.next());
      }
      reader.end();
      while (reader.next());
    } catch (error) {
      code = (error as StreamError).code;
    }
    const most = 2 ** 20 + 64 * received + maxBytes;
    assert.ok(counts.bytes <= most, `${counts.bytes} bytes judged, ${most} allowed`);
    assert.ok(counts.fronts <= received, `${counts.fronts} fronts of ${received} bytes`);
    assert.is(code, length > 3000 && size > 64 * 6 ? "LIMIT_EXCEEDED" : undefined);
  }
});

test("chunks of one byte cost no more than their number: what is moved is counted", () => {
  const { prototype } = Uint8Array;
  const original = prototype.set;
  let moved = 0;
  prototype.set = function (this: Uint8Array, from: ArrayLike<number>, at?: number) {
    moved += from.length;
    original.call(this, from, at);
  };
  try {
    for (const length of [20_000, 200_000]) {
      moved = 0;
      const reader = new FrameReader({ maxBytes: 2 ** 24, onDamage: () => {} });
      const bytes = writeFrames([new Uint8Array(length), new Uint8Array(3)]);
      for (const byte of bytes) {
        reader.push(Uint8Array.of(byte));
        while (reader.next());
      }
      assert.ok(moved < 4 * length, `${moved} bytes moved for ${length}`);
    }
  } finally {
    prototype.set = original;
  }
});

test("an honest reader of accidents stays far from the limit of its work", () => {
  const small = Array.from({ length: 400 }, (_, i) => packetOf(560, i));
  const bytes = writeFrames(small);
  const rng = random(9);
  // Every length is damaged, in one of its bits.
  for (let at = 0, i = 0; i < small.length; i++) {
    bytes[at + rng(2)] ^= 1 << rng(7);
    at += 2 + small[i].length;
  }
  assert.equal(skipping([bytes]).found, []);
});

test.run();
