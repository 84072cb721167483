import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Codec, create, type Prior, type TensorLike } from "latentwire";
import { bar, columns, command, filters, whole } from "./command.js";
import { compile } from "./compile.js";
import { type Context, contextsOf, SIZES } from "./contexts.js";
import { listImages, loadPrepared } from "./images.js";
import { machine } from "./machine.js";
import { mean, median, number, percent } from "./numbers.js";
import { Model, pointFolders } from "./offload/networks.js";

const HELP = `npm run bench:context -- [options]

What the context priors of the split model save, and what they cost: bytes of packets with and without, milliseconds, every round trip checked.

  --images DIR     PNG, JPEG and WebP images (default: the bundled photographs); 224x224 of their centre are used
  --model DIR      a point, or a folder of points (default: the bundled model); a point's contexts are its files context-SIZE.lwb
  --only A,B,..    only these points and sizes
  --limit N        only the first N images
  --rounds N       how often every packet is coded and decoded, ours and C++ in turns (default 3)
  --json           print one JSON object and nothing else
  --help`;

/** One size of the context at one point: means of full packets, medians of whole calls. */
interface Point {
  readonly point: string;
  readonly size: string;
  readonly images: number;
  readonly staticBytes: number;
  readonly contextBytes: number;
  /** What the static rows allow. */
  readonly idealStaticBytes: number;
  readonly encodeMs: number;
  readonly decodeMs: number;
  /** bench/native/context.cpp; null where it cannot be compiled. */
  readonly nativeDecodeMs: number | null;
  /** Every packet gives its symbols, and its latent bit for bit. */
  readonly roundTrip: boolean;
}

/** The latents of the images, with their packets under static rows. */
function withStaticRows(codec: Codec, prior: Prior, latents: readonly TensorLike[]) {
  const items = latents.map((latent) => ({ latent, symbols: codec.quantize(latent, prior, { type: "int32" }) }));
  return {
    items: items.map(({ latent, symbols }) => ({
      latent,
      symbols: symbols.data,
      restored: codec.dequantize(symbols, prior).data,
    })),
    staticBytes: mean(latents.map((latent) => codec.encode(latent, prior).length)),
    idealStaticBytes: mean(latents.map((latent) => codec.rate(latent, prior).bits / 8)),
  };
}

type Items = ReturnType<typeof withStaticRows>["items"];

const sameBits = (a: Float32Array, b: Float32Array) =>
  Buffer.compare(
    Buffer.from(a.buffer, a.byteOffset, a.byteLength),
    Buffer.from(b.buffer, b.byteOffset, b.byteLength),
  ) === 0;

/** The job of bench/native/context.cpp, which says what it reads: its words are little-endian, 32 bits. */
function writeJob({ parameters, prior }: Context, items: Items, packets: readonly Uint8Array[], file: string): void {
  const { offsets, cdfs } = prior.table.toJSON();
  const words = (...values: number[]) => new Uint8Array(Int32Array.from(values).buffer);
  const rows = offsets.map((offset, r) => words(offset, cdfs[r].length, ...cdfs[r]));
  const [count, , height, width] = items[0].latent.dims;
  const coded = packets.flatMap((packet, i) => [
    words(packet.length),
    packet,
    new Uint8Array(Int16Array.from(items[i].symbols).buffer),
  ]);
  const shape = words(count, height, width, packets.length);
  writeFileSync(
    file,
    Buffer.concat([words(parameters.length), parameters, words(rows.length), ...rows, shape, ...coded]),
  );
}

function measure(codec: Codec, context: Context, items: Items, native: string | undefined, rounds: number) {
  const { prior } = context;
  const packets = items.map(({ latent }) => codec.encode(latent, prior));
  const roundTrip = packets.every((packet, i) => {
    const { data } = codec.decode(packet, prior, { type: "int32" });
    return (
      data.every((symbol, s) => symbol === items[i].symbols[s]) &&
      sameBits(codec.decode(packet, prior).data, items[i].restored)
    );
  });
  const folder = mkdtempSync(join(tmpdir(), "latentwire-context-"));
  try {
    const job = join(folder, "job");
    if (native !== undefined) writeJob(context, items, packets, job);
    const ms = { encode: [] as number[], decode: [] as number[], native: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      for (const { latent } of items) {
        const t0 = performance.now();
        const packet = codec.encode(latent, prior);
        const t1 = performance.now();
        codec.decode(packet, prior);
        ms.encode.push(t1 - t0);
        ms.decode.push(performance.now() - t1);
      }
      // It ends with an error where a symbol is wrong.
      if (native !== undefined) ms.native.push(JSON.parse(execFileSync(native, [job], { encoding: "utf8" })).decodeMs);
    }
    return {
      contextBytes: mean(packets.map(({ length }) => length)),
      encodeMs: median(ms.encode),
      decodeMs: median(ms.decode),
      nativeDecodeMs: ms.native.length === 0 ? null : median(ms.native),
      roundTrip,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function table(points: readonly Point[]): string[] {
  const head = [
    "point",
    "context",
    "images",
    "static B",
    "context B",
    "of static",
    "of its ideal",
    "encode ms",
    "decode ms",
    "C++ ms",
    "x C++",
    "exact",
  ];
  const rows = points.map((point) => [
    ...[point.point, point.size, number(point.images), number(point.staticBytes, 1), number(point.contextBytes, 1)],
    ...[point.staticBytes, point.idealStaticBytes].map((bytes) => percent(point.contextBytes / bytes)),
    ...[number(point.encodeMs, 2), number(point.decodeMs, 2)],
    ...(point.nativeDecodeMs === null
      ? ["-", "-"]
      : [number(point.nativeDecodeMs, 2), number(point.nativeDecodeMs / point.decodeMs, 2)]),
    point.roundTrip ? "yes" : "NO",
  ]);
  return [
    ...columns(head, rows, 2),
    "Means of full packets, medians of whole calls. x C++: how fast the decoder is beside bench/native/context.cpp, which makes no checks and no copies.",
  ];
}

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

const OPTIONS = {
  images: { type: "string", default: here("photos") },
  model: { type: "string", default: here("model/points") },
  only: { type: "string" },
  limit: { type: "string" },
  rounds: { type: "string", default: "3" },
  json: { type: "boolean", default: false },
} as const;

command(HELP, OPTIONS, async (args) => {
  const rounds = whole("rounds", args.rounds);
  const files = listImages(args.images).slice(0, args.limit === undefined ? undefined : whole("limit", args.limit));
  const codec = await create();
  const native = compile("context");
  if ("reason" in native) console.error(`bench/native is left out: ${native.reason}`);
  const models: Model[] = [];
  for (const folder of pointFolders(args.model)) models.push(await Model.open(folder, 1));
  const [wantsPoint, wantsSize] = filters(args.only, [models.map(({ name }) => name), SIZES]);
  const wanted = models.filter(({ name }) => wantsPoint(name));
  const latents = wanted.map((): TensorLike[] => []);
  const progress = bar("context", files.length + wanted.length * SIZES.length);
  for (const file of files) {
    progress.step(file);
    const { planes } = await loadPrepared(file);
    for (const [m, model] of wanted.entries()) latents[m].push(await model.latent(planes));
  }
  const points: Point[] = [];
  for (const [m, model] of wanted.entries()) {
    const { items, ...bytes } = withStaticRows(codec, model.prior(codec, 1), latents[m]);
    const contexts = contextsOf(codec, model.folder, /^context-[a-z]+\.lwb$/);
    for (const size of SIZES.filter(wantsSize)) {
      progress.step(`${model.name}, ${size}`);
      const context = contexts.find(({ name }) => name === `context-${size}`);
      if (context === undefined) console.error(`left out: ${model.name} has no context-${size}.lwb`);
      else {
        const measured = measure(codec, context, items, "command" in native ? native.command : undefined, rounds);
        points.push({ point: model.name, size, images: items.length, ...bytes, ...measured });
      }
    }
  }
  progress.stop();
  console.log(args.json ? JSON.stringify({ points, machine: machine(1, codec.simd) }) : table(points).join("\n"));
  if (points.some(({ roundTrip }) => !roundTrip)) process.exitCode = 1;
});
