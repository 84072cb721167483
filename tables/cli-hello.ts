/** latentwire hello: the whole way with the sample that the package contains. */
import { mkdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type Codec, create, type Prior } from "latentwire";
import { loadBundle } from "./bundle.js";
import { MemorySource } from "./byte-source.js";
import { type Command, EXIT, flag, text } from "./cli-arguments.js";
import { print, printJson, remark, table, writeOutput } from "./cli-files.js";
import { readNpy } from "./npy.js";
import { integers } from "./stored-tensor.js";

const sample = (name: string) => readFile(new URL(`../../tables/hello/${name}`, import.meta.url));

interface Sample {
  readonly type: "int8";
  readonly dims: readonly number[];
  readonly data: Int8Array;
}

/** Calls that are timed, so that the engine has compiled the codec before the median. */
const CALLS = 21;

export const helloCommand: Command = {
  name: "hello",
  summary: "encode, inspect and decode a sample that comes with the package",
  synopsis: "[-o FOLDER] [--json]",
  help: `  -o, --output DIR  also write the sample there: latent.npy, model.lwb and packet.lw
  --json            for machines

  latentwire hello`,
  options: { output: { type: "string", short: "o" }, json: { type: "boolean" } },
  positionals: [0, 0],
  async run(values) {
    const [npy, model] = await Promise.all([sample("latent.npy"), sample("model.lwb")]);
    const stored = readNpy(new MemorySource(npy));
    const data = Int8Array.from(integers(stored, "latent.npy"));
    const latent: Sample = { type: "int8", dims: stored.shape, data };
    const codec = await create();
    const bundle = await loadBundle(model);
    const rows = bundle.factorized(codec, "latent", { context: false });
    const context = bundle.factorized(codec, "latent");

    const packet = codec.encode(latent, context);
    const decoded = codec.decode(packet, context, { type: "int8" });
    const exact = data.every((symbol, i) => symbol === decoded.data[i]);
    const report = {
      dims: latent.dims,
      float32Bytes: 4 * data.length,
      int8Bytes: data.length,
      staticBytes: codec.encode(latent, rows).length,
      contextBytes: packet.length,
      ...times(codec, latent, context, packet),
      exact,
    };

    const folder = text(values, "output");
    if (folder !== undefined) {
      mkdirSync(folder, { recursive: true });
      for (const [name, bytes] of Object.entries({ "latent.npy": npy, "model.lwb": model, "packet.lw": packet }))
        await writeOutput(join(folder, name), bytes);
      remark(`wrote latent.npy, model.lwb and packet.lw to ${folder}`);
    }
    if (flag(values, "json")) await printJson(report);
    else await print(...story(report, picture(latent), folder ?? "hello", folder !== undefined));
    return exact ? EXIT.ok : EXIT.data;
  },
};

function times(codec: Codec, latent: Sample, prior: Prior, packet: Uint8Array) {
  const median = (call: () => unknown) => {
    const taken = Array.from({ length: CALLS }, () => {
      const start = performance.now();
      call();
      return performance.now() - start;
    });
    return Number(taken.sort((a, b) => a - b)[CALLS >> 1]!.toFixed(2));
  };
  return {
    encodeMs: median(() => codec.encode(latent, prior)),
    decodeMs: median(() => codec.decode(packet, prior)),
  };
}

/** The channel whose neighbours differ most often, as lines of text. */
function picture({ dims, data }: Sample): { channel: number; lines: string[] } {
  const [, channels, height, width] = dims as [number, number, number, number];
  const size = height * width;
  const plane = (c: number) => data.subarray(c * size, (c + 1) * size);
  const changes = (symbols: Int8Array) => symbols.reduce((sum, v, i) => sum + (v === symbols[i - 1] ? 0 : 1), 0);
  const counts = Array.from({ length: channels }, (_, c) => changes(plane(c)));
  const channel = counts.indexOf(Math.max(...counts));
  const drawn = plane(channel);
  const usual = drawn.slice().sort()[size >> 1]!;
  const at = (y: number, x: number) => Math.abs((drawn[y * width + x] ?? usual) - usual);
  const lines = Array.from({ length: Math.ceil(height / 2) }, (_, line) =>
    Array.from({ length: width }, (_, x) => "·░▒▓█"[Math.min(4, at(2 * line, x) + at(2 * line + 1, x))]).join(""),
  );
  return { channel, lines };
}

interface Report {
  readonly dims: readonly number[];
  readonly float32Bytes: number;
  readonly int8Bytes: number;
  readonly staticBytes: number;
  readonly contextBytes: number;
  readonly encodeMs: number;
  readonly decodeMs: number;
  readonly exact: boolean;
}

function story(report: Report, drawn: { channel: number; lines: string[] }, folder: string, written: boolean) {
  const { dims, float32Bytes, int8Bytes, staticBytes, contextBytes, encodeMs, decodeMs, exact } = report;
  const size = (label: string, bytes: number) => [label, String(bytes), `${(float32Bytes / bytes).toFixed(1)}x`];
  return [
    `A photograph of a cat, after the first layers of a small network: a latent of ${dims.join("x")} numbers.`,
    `Channel ${drawn.channel}, rounded. A darker place is farther from the channel's usual number; a line shows two rows:`,
    "",
    ...drawn.lines.map((line) => `  ${line}`.trimEnd()),
    "",
    ...table([
      ["", "bytes", "smaller by"],
      size("as float32", float32Bytes),
      size("rounded, as int8", int8Bytes),
      size("packet: one row of probabilities for each channel", staticBytes),
      size("packet: rows made from decoded neighbours (context prior)", contextBytes),
    ]).map((line) => `  ${line}`),
    "",
    `Encoding took ${encodeMs} ms, decoding ${decodeMs} ms. ${
      exact ? "All decoded symbols are equal to the encoded ones." : "THE DECODED SYMBOLS DIFFER: please report this."
    }`,
    "",
    "The same by hand:",
    "",
    ...(written ? [] : [`  npx latentwire hello -o ${folder}`]),
    `  npx latentwire encode ${join(folder, "latent.npy")} --tables ${join(folder, "model.lwb")} -o latent.lw`,
    "  npx latentwire inspect latent.lw",
    `  npx latentwire decode latent.lw --tables ${join(folder, "model.lwb")} -o decoded.npy`,
    "",
    "What next, if you have",
    "",
    ...table(
      [
        ["a whole ONNX network", "npx latentwire split model.onnx --images photos/ -o split"],
        ["an ONNX encoder and photographs", "npx latentwire tables fit photos/ --encoder encoder.onnx -o model.lwb"],
        ["latents (.npy)", "npx latentwire tables fit latents/ --context default -o model.lwb"],
        ["a CompressAI checkpoint", "npx latentwire tables import checkpoint.pth.tar -o model.lwb"],
      ],
      2,
    ).map((line) => `  ${line}`),
    "",
    `What to read, in ${docsFolder()}`,
    "",
    ...table(
      [
        ["a page and a server in Node", "examples/vite-onnxruntime-web/README.md"],
        ["a server in Python", "examples/python-server/README.md, python.md"],
        ["networks of CompressAI", "compressai.md"],
        ["ONNX networks of your own", "split.md, onnx.md"],
        ["everything, in the order in which one needs it", "guide.md"],
      ],
      2,
    ).map((line) => `  ${line}`),
  ];
}

/** Where this package keeps its guides, from the folder that the command runs in. */
function docsFolder(): string {
  const folder = fileURLToPath(new URL("../../docs", import.meta.url));
  const near = relative(".", folder);
  return near.startsWith("..") ? folder : near;
}
