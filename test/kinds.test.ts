// Every kind of file under every call and command that wants another one: the message says what it is, and what reads it.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CodecError, create } from "latentwire";
import { readBundle, writeBundle } from "latentwire/bundle";
import { createPacketFile, openPacketFile } from "latentwire/packet-file";
import { readPackets, writePackets } from "latentwire/stream";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { writeNpy } from "../tables/npy.js";
import { isFull } from "./builds.js";
import { random } from "./cases.js";
import { randomNetwork, uselessTable } from "./context-cases.js";
import { root } from "./pack.js";
import { contextToBytes } from "./reference/context-parameters.js";
import { writeZip } from "./zip-writer.js";

const codec = await create();
const prior = codec.factorized({ offsets: [-1], cdfs: [[0, 16384, 49152, 65535, 65536]] });
const latent = {
  type: "int8",
  dims: [1, 1, 400],
  data: Int8Array.from({ length: 400 }, (_, i) => (i % 3) - 1),
} as const;
const packet = codec.encode(latent, prior);

async function joined(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return new Uint8Array(Buffer.concat(all));
}

async function packetFile(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const writer = await createPacketFile({ write: (bytes: Uint8Array) => void chunks.push(bytes) });
  await writer.add(packet, "a.npy");
  await writer.close();
  return new Uint8Array(Buffer.concat(chunks));
}

/** A file of each kind, and what messages say of it. */
const files: Record<string, { bytes: Uint8Array; said: RegExp }> = {
  packet: { bytes: packet, said: /a packet, read by codec\.decode/ },
  stream: {
    bytes: await joined(writePackets([packet, packet], { codec })),
    said: /a stream of packets, read by latentwire\/stream/,
  },
  file: { bytes: await packetFile(), said: /a packet file \(\.lws\), read by latentwire\/packet-file/ },
  bundle: {
    bytes: writeBundle([{ name: "y", kind: "factorized", table: prior.table }]),
    said: /a table bundle \(\.lwb\), read by latentwire\/bundle, `latentwire tables show`/,
  },
  table: { bytes: prior.table.bytes(), said: /a table in binary form, read by codec\.table/ },
  context: {
    bytes: contextToBytes(randomNetwork(random(3), { channels: 3, active: 2, H: 32, ends: [-9, 9] })),
    said: /a context prior's parameters, read by codec\.context/,
  },
  npy: {
    bytes: writeNpy("int8", [1, 1, 400], latent.data),
    said: /a NumPy array \(\.npy\), read by `latentwire encode`/,
  },
  zip: {
    bytes: writeZip([{ name: "a.txt", data: new Uint8Array(40) }]),
    said: /archive, read by `latentwire tables import`/,
  },
  html: { bytes: new TextEncoder().encode("\n<!doctype html><title>404</title>"), said: /a page of HTML/ },
};

/** Every call that takes a file, the kinds that it reads, and the code of its refusal. */
const calls: [string, readonly string[], string, (bytes: Uint8Array) => unknown][] = [
  ["codec.decode", ["packet"], "NOT_A_PACKET", (bytes) => codec.decode(bytes, prior)],
  ["codec.inspect", ["packet"], "NOT_A_PACKET", (bytes) => codec.inspect(bytes)],
  ["codec.reader", ["packet"], "NOT_A_PACKET", (bytes) => codec.reader(bytes)],
  ["codec.table", ["table"], "INVALID_TABLE", (bytes) => codec.table(bytes)],
  ["codec.context", ["context"], "INVALID_CONTEXT", (bytes) => codec.context(bytes, { table: uselessTable(3) })],
  ["readBundle", ["bundle"], "NOT_A_BUNDLE", readBundle],
  ["openPacketFile", ["file"], "NOT_A_PACKET", (bytes) => openPacketFile(bytes)],
  ["readPackets", ["stream"], "NOT_A_PACKET", (bytes) => joined(readPackets([bytes], { codec }))],
];

for (const [name, takes, code, call] of calls)
  test(`${name} says what another file is`, async () => {
    for (const [kind, { bytes, said }] of Object.entries(files)) {
      let error: unknown;
      try {
        await call(bytes);
      } catch (thrown) {
        error = thrown;
      }
      if (takes.includes(kind)) {
        assert.not.instance(error, CodecError, `${kind}: ${error}`);
        continue;
      }
      assert.instance(error, CodecError, kind);
      assert.is((error as CodecError).code, code, kind);
      assert.match((error as CodecError).message, said, kind);
    }
    // Nothing of what is known.
    let message = "";
    try {
      await call(new TextEncoder().encode("something else, of twenty bytes and more"));
    } catch (error) {
      message = (error as Error).message;
    }
    assert.match(message, /the input is no |no full packet begins here|must be/);
  });

test("commands say what another file is", () => {
  const folder = mkdtempSync(join(tmpdir(), "latentwire-kinds-"));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [kind, { bytes }] of Object.entries(files)) writeFileSync(join(folder, kind), bytes);
  const commands: [string, readonly string[]][] = [
    ["inspect FILE", ["packet", "file"]],
    ["decode FILE --tables bundle -o out", ["packet"]],
    ["encode FILE --tables bundle -o out", ["npy"]],
    ["encode npy --tables FILE -o out", ["bundle", "table"]],
    ["tables show FILE", ["bundle", "table"]],
    ["tables import FILE -o out", ["zip"]],
    ["tables rate bundle FILE", ["npy"]],
  ];
  for (const [i, [command, takes]] of commands.entries())
    for (const [k, [kind, { said }]] of Object.entries(files).entries()) {
      // A process for each takes its time.
      if (takes.includes(kind) || (!isFull && (i + k) % 4 !== 0)) continue;
      const args = [join(root, "dist/tables/cli.js"), ...command.replace("FILE", kind).split(" ")];
      const { status, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
      assert.ok(status === 1 || status === 2, `${command} ${kind}: ${status}`);
      assert.match(stderr, said, `${command}: ${kind}`);
      assert.is(stderr.trim().split("\n").length, 1, stderr);
    }
});

test.run();
