// latentwire/packet-file: records by number and name, appending, torn and damaged files, indexes that lie.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "latentwire";
import {
  appendPacketFile,
  CodecError,
  createPacketFile,
  type Damage,
  type FileRecord,
  openPacketFile,
  type PacketFile,
  type RangeInput,
  type StreamError,
} from "latentwire/packet-file";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { formatIndex, formatRecord, nameBytes } from "../tables/packet-record.js";
import { isFull } from "./builds.js";
import { type Random, random } from "./cases.js";
import { rejects } from "./expect.js";
import { damageStream } from "./mutate.js";
import { root } from "./pack.js";
import { FormatError, readPacketFile, writePacketFile } from "./reference.js";

const folder = mkdtempSync(join(tmpdir(), "latentwire-packet-file-"));
test.after(() => rmSync(folder, { recursive: true, force: true }));

const rng = random(3);
const contents = Array.from({ length: 30 }, (_, i) => ({
  name: i % 7 === 6 ? "" : `latents/Bild ${i} \u00e4\u{1f600}.npy`,
  packet: Uint8Array.from({ length: i === 4 ? 0 : 5 * i * i }, () => rng(256)),
}));

/** A file in memory. */
async function fileOf(records: readonly { name: string; packet: Uint8Array }[]): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const writer = await createPacketFile({ write: (bytes) => chunks.push(bytes.slice()) }, { bufferBytes: 1000 });
  for (const { name, packet } of records) await writer.add(packet, name);
  await writer.close();
  return new Uint8Array(Buffer.concat(chunks));
}

const bytes = await fileOf(contents);
const expected = contents.map((record, number) => ({ number, ...record }));

async function all(file: PacketFile): Promise<FileRecord[]> {
  const found: FileRecord[] = [];
  for await (const record of file.records()) found.push(record);
  return found;
}

/** Opens what may be damaged. */
async function skipping(source: RangeInput, options = {}): Promise<{ file: PacketFile; damages: Damage[] }> {
  const damages: Damage[] = [];
  const file = await openPacketFile(source, { damaged: "skip", onDamage: (one) => damages.push(one), ...options });
  return { file, damages };
}

async function codeOf(action: () => Promise<unknown>): Promise<string> {
  try {
    await action();
  } catch (error) {
    return (error as StreamError).code ?? (error as Error).name;
  }
  return "ok";
}

// ---- what was written is read

test("the reference writes the same bytes and reads them", () => {
  assert.equal(writePacketFile(expected), bytes);
  assert.equal(readPacketFile(bytes), { state: "indexed", records: expected });
});

test("the vectors: whole and damaged files", async () => {
  const vectors = JSON.parse(readFileSync(new URL("vectors/many-packets.json", import.meta.url), "utf8"));
  const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
  const written = vectors.packets.map((hex: string, i: number) => ({ name: vectors.names[i], packet: bytesOf(hex) }));
  assert.equal(await fileOf(written), bytesOf(vectors.files[0].hex));
  for (const { hex, state, numbers } of vectors.files) {
    let found: FileRecord[] = [];
    let outcome = "refused";
    let isWhole = true;
    try {
      const onDamage = () => {
        isWhole = false;
      };
      const file = await openPacketFile(bytesOf(hex), { damaged: "skip", onDamage });
      found = await all(file);
      outcome = file.state;
    } catch (error) {
      assert.instance(error, CodecError);
    }
    // The reference reads all records at once, and refuses a file of which one is damaged under a whole index.
    if (state === "refused") assert.ok(outcome === "refused" || (outcome === "indexed" && !isWhole));
    else assert.equal([outcome, found.map(({ number }) => number)], [state, numbers]);
    for (const { number, name, packet } of found) assert.equal({ name, packet }, written[number]);
  }
});

test("records by number, by name and one after the other, from every kind of source", async () => {
  const path = join(folder, "whole.lws");
  writeFileSync(path, bytes);
  const server = createServer((request, response) => {
    const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [];
    if (request.url === "/endless" && from !== to) {
      response.writeHead(206, { "content-range": `bytes ${from}-${to}/${bytes.length}` });
      const chunk = new Uint8Array(2 ** 20);
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on("drain", more);
      more();
    } else if (request.url === "/page") {
      response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>app</title>");
    } else if (!["/whole.lws", "/endless"].includes(request.url!))
      response.writeHead(request.url === "/plain" ? 200 : 404).end("text");
    else
      response
        .writeHead(206, { "content-range": `bytes ${from}-${to}/${bytes.length}` })
        .end(bytes.subarray(Number(from), Number(to) + 1));
  });
  await new Promise<void>((done) => server.listen(0, done));
  const url = `http://localhost:${(server.address() as { port: number }).port}`;
  let read = 0;
  const own = {
    size: bytes.length,
    read: (offset: number, length: number) => {
      read += length;
      return bytes.subarray(offset, offset + length);
    },
  };
  const sources = [bytes, bytes.slice().buffer, new Blob([bytes.slice()]), path, new URL(`file://${path}`), own];
  for (const source of [...sources, `${url}/whole.lws`]) {
    const file = await openPacketFile(source as RangeInput);
    assert.equal([file.state, file.count, file.names], ["indexed", contents.length, contents.map(({ name }) => name)]);
    for (const number of [29, 0, 4, 6, 13]) {
      assert.equal(await file.get(number), expected[number]);
      if (contents[number].name) assert.equal(await file.get(contents[number].name), expected[number]);
    }
    assert.equal(await all(file), expected);
    assert.ok(file.has(29) && !file.has(30) && !file.has(-1) && !file.has(0.5) && !file.has("") && !file.has("x"));
    await file.close();
  }
  assert.is(await codeOf(() => openPacketFile(`${url}/plain`)), "NOT_A_PACKET");
  assert.is(await codeOf(() => openPacketFile(`${url}/missing`)), "NOT_A_PACKET");
  await rejects(
    openPacketFile(`${url}/page`),
    "NOT_A_PACKET",
    /\/page was asked for a range and answered with a page of/,
  );
  // A server that never stops is not waited for.
  assert.is(await codeOf(() => openPacketFile(`${url}/endless`)), "NOT_A_PACKET");
  server.close();
  // One record takes its own bytes, and the index.
  read = 0;
  const file = await openPacketFile(own);
  const opened = read;
  await file.get(5);
  assert.ok(opened < 1500, `${opened} bytes`);
  assert.is(read - opened, file.placeOf(5).bytes);
  assert.is(await codeOf(() => file.get(30)), "RangeError");
  assert.is(await codeOf(() => file.get("nothing")), "RangeError");
});

test("an empty file, a record without bytes, the longest name", async () => {
  const empty = await openPacketFile(await fileOf([]));
  assert.equal([empty.count, empty.state, await all(empty)], [0, "indexed", []]);
  const name = "n".repeat(1024);
  const file = await openPacketFile(await fileOf([{ name, packet: new Uint8Array() }]));
  assert.equal(await file.get(name), { number: 0, name, packet: new Uint8Array() });
});

test("maxPacketBytes holds with an index and without one, and nothing of a longer packet is read", async () => {
  const small = { name: "small", packet: Uint8Array.of(1, 2, 3) };
  const large = { name: "large", packet: new Uint8Array(3e6) };
  const content = await fileOf([small, large, small].map((record, i) => ({ ...record, name: `${i}` })));
  let read = 0;
  const source = {
    size: content.length,
    read: (offset: number, length: number) => {
      read += length;
      return content.subarray(offset, offset + length);
    },
  };
  const limit = { maxPacketBytes: 1000 };
  assert.is(await codeOf(() => openPacketFile(content, { ...limit, index: false })), "LIMIT_EXCEEDED");
  const file = await openPacketFile(source, limit);
  assert.is(await codeOf(() => file.get("1")), "LIMIT_EXCEEDED");
  assert.is(await codeOf(() => all(file)), "LIMIT_EXCEEDED");
  assert.is((await file.get(2)).packet.length, 3);
  const damages: string[] = [];
  const onDamage = ({ code }: { code: string }) => damages.push(code);
  const skipping = await openPacketFile(source, { ...limit, damaged: "skip", onDamage });
  assert.equal(
    (await all(skipping)).map(({ number }) => number),
    [0, 2],
  );
  assert.equal(damages, ["LIMIT_EXCEEDED"]);
  assert.ok(read < 1000, `${read} bytes`);
});

test("a writer refuses what a file cannot hold, and goes on", async () => {
  const chunks: Uint8Array[] = [];
  const writer = await createPacketFile({ write: (one) => chunks.push(one) }, { maxPacketBytes: 100 });
  assert.is(await writer.add(Uint8Array.of(1), "a"), 0);
  assert.is(await codeOf(() => writer.add(Uint8Array.of(2), "a")), "RangeError");
  assert.is(await codeOf(() => writer.add(Uint8Array.of(2), "n".repeat(1025))), "RangeError");
  assert.is(await codeOf(() => writer.add(Uint8Array.of(2), "\ud800")), "RangeError");
  assert.is(await codeOf(() => writer.add("text" as never, "b")), "TypeError");
  assert.is(await codeOf(() => writer.add(new Uint8Array(101), "b")), "LIMIT_EXCEEDED");
  assert.is(await writer.add(Uint8Array.of(2)), 1);
  await writer.close();
  assert.is(await codeOf(() => writer.add(Uint8Array.of(2))), "TypeError");
  assert.is((await openPacketFile(new Uint8Array(Buffer.concat(chunks)))).count, 2);
  assert.is(await codeOf(() => createPacketFile({} as never)), "TypeError");
  assert.is(await codeOf(() => openPacketFile(bytes, { damaged: "skip" })), "TypeError");
  assert.is(await codeOf(() => openPacketFile(5 as never)), "TypeError");
});

test("after a write that failed no other follows", async () => {
  let calls = 0;
  const sink = {
    write() {
      calls++;
      throw new Error("the disk is full");
    },
  };
  const writer = await createPacketFile(sink, { bufferBytes: 0 });
  for (let i = 0; i < 3; i++)
    assert.is(await writer.add(Uint8Array.of(1)).catch(({ message }) => message), "the disk is full");
  assert.is(await writer.close().catch(({ message }) => message), "the disk is full");
  assert.is(calls, 1);
});

// ---- going on with a file

test("append goes on with whole, torn and missing files; what comes out is the file that one writer makes", async () => {
  const path = join(folder, "append.lws");
  const cuts = [0, 2, 4, 5, 700, 9000, bytes.length - 17, bytes.length - 300, bytes.length - 1, bytes.length];
  for (const cut of [...cuts, undefined]) {
    rmSync(path, { force: true });
    if (cut !== undefined) writeFileSync(path, bytes.subarray(0, cut));
    const writer = await appendPacketFile(path);
    assert.ok(writer.count < contents.length || cut === undefined || cut > bytes.length - 1500, String(cut));
    const kept = writer.count;
    if (kept > 0) assert.ok(writer.has(contents[0].name));
    assert.is(writer.cutBytes > 0, cut === 2 || cut === 700 || cut === 9000 || cut === 5, String(cut));
    for (const { name, packet } of contents.slice(kept)) await writer.add(packet, name);
    await writer.close();
    assert.equal(new Uint8Array(readFileSync(path)), bytes, String(cut));
  }
  assert.is(await codeOf(() => createPacketFile(path)), "EEXIST");
});

test("append leaves a file alone that it cannot continue", async () => {
  const path = join(folder, "other.lws");
  const damaged = bytes.slice();
  damaged[600] ^= 1;
  damaged[bytes.length - 6] ^= 1; // the index's check
  for (const [content, code] of [
    [damaged, "CORRUPTED"],
    [Buffer.from("something else"), "NOT_A_PACKET"],
    [Uint8Array.of(0x4c, 0x57, 0x53, 2, 0), "UNSUPPORTED_VERSION"],
  ] as const) {
    writeFileSync(path, content);
    assert.is(await codeOf(() => appendPacketFile(path)), code);
    assert.equal(new Uint8Array(readFileSync(path)), new Uint8Array(content));
  }
  // A record that the limit refuses is not a torn end.
  writeFileSync(path, await fileOf([{ name: "a", packet: new Uint8Array(9000) }]));
  truncateSync(path, statSync(path).size - 30);
  assert.is(await codeOf(() => appendPacketFile(path, { maxPacketBytes: 1000 })), "LIMIT_EXCEEDED");
  const writer = await appendPacketFile(path);
  assert.is(writer.count, 0);
  await writer.close();
});

test("a writer that is killed leaves every record that it has flushed", async () => {
  const path = join(folder, "killed.lws");
  const program = `
    const { appendPacketFile } = await import("latentwire/packet-file");
    const writer = await appendPacketFile(${JSON.stringify(path)}, { bufferBytes: 3000 });
    for (let i = writer.count; ; i++) {
      await writer.add(new Uint8Array(50 + (i * 37) % 400).fill(i), "name " + i);
      if (i % 50 === 49) { await writer.flush(); process.stdout.write(i + 1 + "\\n"); }
    }`;
  let least = 0;
  for (let round = 0; round < (isFull ? 20 : 4); round++) {
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], { cwd: root });
    let output = "";
    child.stderr.on("data", (chunk) => console.error(String(chunk)));
    await new Promise<void>((done) => {
      child.stdout.on("data", (chunk) => {
        output += chunk;
        if (output.split("\n").length > 3) setTimeout(() => child.kill("SIGKILL"), rng(20));
      });
      child.on("close", () => done());
    });
    const flushed = Number(output.trim().split("\n").at(-1));
    assert.ok(flushed > least, `${flushed} records after ${least}`);
    const { file } = await skipping(path);
    assert.ok(file.count >= flushed && file.state === "torn", `${file.count} of ${flushed}, ${file.state}`);
    for await (const { number, name, packet } of file.records())
      assert.ok(name === `name ${number}` && packet.every((byte) => byte === (number & 255)));
    await file.close();
    least = flushed;
  }
  const writer = await appendPacketFile(path);
  await writer.close();
  const file = await openPacketFile(path);
  assert.ok(file.state === "indexed" && file.count >= least);
  await file.close();
});

// ---- damage

test("an error of a file names its path, and the place once", async () => {
  const path = join(folder, "torn.lws");
  writeFileSync(path, bytes.subarray(0, 900));
  await rejects(openPacketFile(path), "TRUNCATED", /torn\.lws: the file is torn: [^(]*\(byte \d+\)$/);
});

test("every cut is found: nothing is lost in silence, and no index is needed", async () => {
  const small = await fileOf(contents.slice(0, 6));
  const marked = (await openPacketFile(small)).end;
  for (let length = 1; length < small.length; length++) {
    const cut = small.slice(0, length);
    const { file, damages } = await skipping(cut);
    const isComplete = length > marked;
    assert.is(file.state, isComplete ? "scanned" : "torn", String(length));
    assert.is(damages.length > 0, !isComplete, String(length));
    const records = await all(file);
    assert.equal(records, expected.slice(0, records.length), String(length));
    if (isComplete) assert.is(records.length, 6);
    assert.is(await codeOf(() => openPacketFile(cut)), isComplete ? "ok" : "TRUNCATED", String(length));
  }
  assert.is(await codeOf(() => openPacketFile(new Uint8Array())), "NOT_A_PACKET");
});

test("a zeroed end is torn, a damaged index is not", async () => {
  const zeroed = bytes.slice();
  zeroed.fill(0, 9000);
  const { file, damages } = await skipping(zeroed);
  assert.is(file.state, "torn");
  assert.is(damages.at(-1)!.offset + damages.at(-1)!.bytes, bytes.length);
  const damaged = bytes.slice();
  damaged[bytes.length - 40] ^= 1;
  assert.equal(await all(await openPacketFile(damaged)), expected);
  assert.is((await openPacketFile(damaged)).state, "scanned");
});

test("a damaged record is named, and the others are read, with and without the index", async () => {
  const places = await openPacketFile(bytes);
  let at = 4;
  for (let i = 0; i < 12; i++) at += places.placeOf(i).bytes;
  const damaged = bytes.slice();
  damaged[at + 40] ^= 4;
  const others = expected.filter(({ number }) => number !== 12);
  const indexed = await openPacketFile(damaged);
  assert.is(await codeOf(() => indexed.get(12)), "CORRUPTED");
  assert.equal(await indexed.get(13), expected[13]);
  assert.is(await codeOf(() => all(indexed)), "CORRUPTED");
  for (const index of [true, false]) {
    const { file, damages } = await skipping(damaged, { index });
    assert.equal(await all(file), others);
    assert.is(file.state, index ? "indexed" : "damaged");
    assert.equal(
      damages.map(({ offset, bytes: lost, code }) => [offset, lost, code]),
      [[at, places.placeOf(12).bytes, "CORRUPTED"]],
    );
    assert.equal(await file.get(contents[21].name), expected[21]);
  }
  assert.is(await codeOf(() => openPacketFile(damaged, { index: false })), "CORRUPTED");
  // A whole record taken out is missed by its number.
  const without = new Uint8Array(Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + places.placeOf(12).bytes)]));
  assert.is(await codeOf(() => openPacketFile(without)), "CORRUPTED");
  const { file, damages } = await skipping(without, { index: false });
  assert.equal([file.state, file.has(12), await all(file)], ["damaged", false, others]);
  assert.match(damages[0].message, /record 12 is missing/);
});

test("an index that lies is refused, whatever its check says", async () => {
  const records = contents
    .slice(0, 4)
    .map(({ name }, i) => ({ name: name || "x", packet: new Uint8Array(50).fill(i) }));
  const whole = await fileOf(records);
  const { end } = await openPacketFile(whole);
  const lengths = Array.from(
    { length: 4 },
    (_, i) => formatRecord(i, nameBytes(records[i].name), records[i].packet).length - 1,
  );
  const names = records.map(({ name }) => name);
  const lying = (index: { lengths: number[]; names: string[] }) =>
    new Uint8Array(Buffer.concat([whole.subarray(0, end), Uint8Array.of(0), formatIndex(index)]));
  assert.equal(lying({ lengths, names }), whole);
  const refused: [string, Uint8Array][] = [
    ["a record too few", lying({ lengths: lengths.slice(1), names: names.slice(1) })],
    ["a wrong length", lying({ lengths: [lengths[0] + 1, ...lengths.slice(1)], names })],
    ["a name twice", lying({ lengths, names: [names[0], names[0], names[2], names[3]] })],
  ];
  for (const [label, file] of refused) {
    assert.is(await codeOf(() => openPacketFile(file)), "CORRUPTED", label);
    const scanned = await openPacketFile(file, { index: false });
    assert.equal(
      await all(scanned),
      records.map((record, number) => ({ number, ...record })),
      label,
    );
  }
  // What the index may say although it is wrong is found when a record is read.
  const exchanged = await openPacketFile(lying({ lengths, names: [names[1], names[0], names[2], names[3]] }));
  assert.is(await codeOf(() => exchanged.get(names[0])), "CORRUPTED");
  assert.is(await codeOf(() => exchanged.get(0)), "CORRUPTED");
  assert.is((await exchanged.get(3)).number, 3);
  const [a, b] = [lengths[0], lengths[1]];
  const shifted = await openPacketFile(lying({ lengths: [a + 1, b - 1, ...lengths.slice(2)], names }));
  assert.is(await codeOf(() => shifted.get(0)), "CORRUPTED");
  assert.is(await codeOf(() => shifted.get(1)), "CORRUPTED");
  // A record under the number of another.
  const frames = [0, 2, 1, 3].map((i) => formatRecord(i, nameBytes(names[i]), records[i].packet));
  const moved = new Uint8Array(Buffer.concat([whole.subarray(0, 4), ...frames, whole.subarray(end)]));
  assert.is(await codeOf(async () => (await openPacketFile(moved)).get(1)), "CORRUPTED");
  assert.is(await codeOf(() => openPacketFile(whole, { maxIndexBytes: 20 })), "LIMIT_EXCEEDED");
});

// ---- the command line

test("latentwire inspect lists a file, --check says where it is damaged", async () => {
  const codec = await create();
  const prior = codec.factorized({ offsets: [-1], cdfs: [[0, 16384, 49152, 65535, 65536]] });
  const latent = { type: "int8", dims: [1, 1, 40], data: new Int8Array(40) } as const;
  const packet = codec.encode(latent, prior);
  const spoilt = packet.slice();
  spoilt[10] ^= 1;
  const path = join(folder, "listed.lws");
  const content = await fileOf([
    { name: "a.npy", packet },
    { name: "", packet: codec.encode(latent, prior, { header: "compact" }) },
    { name: "b c.npy", packet },
  ]);
  writeFileSync(path, content);
  const run = (args: string[], input?: Uint8Array) => {
    const cli = join(root, "dist/tables/cli.js");
    return spawnSync(process.execPath, [cli, "inspect", ...args], { encoding: "utf8", ...(input && { input }) });
  };
  const { status, stdout } = run([path]);
  assert.is(status, 0);
  const lines = stdout.split("\n").map((line) => line.trim().replace(/\s+/g, " "));
  assert.equal(lines.slice(0, 4), [
    "number bytes shape name",
    `0 ${packet.length} [1, 1, 40] a.npy`,
    `1 ${packet.length - 9} -`,
    `2 ${packet.length} [1, 1, 40] b c.npy`,
  ]);
  assert.match(
    lines[5],
    new RegExp(`^3 packets, indexed, ${content.length} bytes: packets ${3 * packet.length - 9}, `),
  );
  assert.is(run(["-"], content).stdout, stdout);
  assert.match(run([path, "--check"]).stdout, /^3 packets, indexed, .*\nnothing is damaged\n$/);
  const { records, ...totals } = JSON.parse(run([path, "--json"]).stdout);
  assert.equal([totals.state, totals.packets, totals.damages, records[0].dims], ["indexed", 3, [], [1, 1, 40]]);

  const damaged = content.slice();
  damaged[30] ^= 1;
  writeFileSync(path, damaged);
  for (const args of [[path], [path, "--check"], [path, "--check", "--json"]]) {
    const { status: code, stdout: text } = run(args);
    assert.is(code, 1);
    assert.match(
      text,
      args.length === 3 ? /"offset": 4/ : /CORRUPTED at byte 4, \d+ bytes: record 0 \(a\.npy\) is damaged/,
    );
  }
  writeFileSync(path, content.subarray(0, 50));
  assert.match(run([path]).stdout, /1 packets, torn, .*\nTRUNCATED at byte/);
  writeFileSync(path, await fileOf([{ name: "s", packet: spoilt }]));
  assert.match(run([path, "--check"]).stdout, /CORRUPTED at byte 4, \d+ bytes: .*damaged before it came into the file/);
  assert.is(run([path, "--tables", path]).status, 2);
  writeFileSync(path, packet);
  assert.is(run([path, "--check"]).status, 2);
});

// ---- random damage

/** What the reference reads, or the code of its error. */
function byReference(damaged: Uint8Array): ReturnType<typeof readPacketFile> | string {
  try {
    return readPacketFile(damaged);
  } catch (error) {
    assert.instance(error, FormatError);
    return (error as FormatError).code;
  }
}

function trial(random: Random): Promise<void> {
  const { bytes: damaged, spans } = damageStream(bytes, random);
  return judge(damaged, spans, random(3) === 0);
}

const starts = [4];
const whole = await openPacketFile(bytes);
for (let i = 0; i < contents.length; i++) starts.push(starts[i] + whole.placeOf(i).bytes);

async function judge(damaged: Uint8Array, spans: [number, number][], index: boolean): Promise<void> {
  const damages: Damage[] = [];
  let found: FileRecord[];
  let state: string;
  try {
    const file = await openPacketFile(damaged, { damaged: "skip", onDamage: (one) => damages.push(one), index });
    found = await all(file);
    state = file.state;
  } catch (error) {
    // Its first bytes, or an index that no longer fits to what lies before it.
    assert.instance(error, CodecError);
    if (index) assert.type(byReference(damaged), "string");
    return;
  }
  if (index) {
    const measure = byReference(damaged);
    if (state === "indexed" && damages.length > 0) assert.type(measure, "string");
    else assert.equal(measure, { state, records: found });
  }
  const isTouched = (i: number) => spans.some(([from, to]) => from < starts[i + 1] && to > starts[i]);
  const label = () => `${JSON.stringify(spans)}, ${state}: ${found.map(({ number }) => number)}`;
  // No wrong packet, under no name and no number.
  for (const record of found) assert.equal(record, expected[record.number], label());
  assert.ok(
    found.every(({ number }, i) => i === 0 || number > found[i - 1].number),
    label(),
  );
  // A scan finds all that is whole, and does not keep quiet about the rest.
  if (state !== "indexed")
    for (const { number } of expected)
      assert.ok(isTouched(number) || found.some((one) => one.number === number), `${number} is lost: ${label()}`);
  if (found.length < expected.length) assert.ok(damages.length > 0, label());
}

const trials = isFull ? 20_000 : 400;
test(`${trials} damaged files: whole records are found, no wrong one is given, every loss is told`, async () => {
  const own = random(77);
  for (let i = 0; i < trials; i++) await trial(own);
});

test.run();
