// The command line as a shell sees it: arguments, pipes, output, exit codes.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "latentwire";
import { readBundle, writeBundle } from "latentwire/bundle";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MemorySource } from "../tables/byte-source.js";
import { readNpy, writeNpy } from "../tables/npy.js";
import { floats, integers } from "../tables/stored-tensor.js";
import { makeTable, random } from "./cases.js";
import { cli, type Outcome, runIn, scratchFolder } from "./command.js";
import { contextSample, randomNetwork } from "./context-cases.js";
import { sameNumbers } from "./expect.js";
import { onnxModel } from "./onnx-model.js";
import { root } from "./pack.js";

const { folder, at } = scratchFolder("cli");
const run = (args: string[], input?: Uint8Array) => runIn(folder, args, { input });
/** Runs `tables fit` with the packages of the repository: sharp, onnxruntime-node. */
const fitInRoot = (...args: string[]) => runIn(root, ["tables", "fit", ...args]);

/** Runs what must succeed, in silence. */
function done(args: string[], input?: Uint8Array): Outcome {
  const outcome = run(args, input);
  assert.is(outcome.status, 0, `${args.join(" ")}: ${outcome.error}`);
  // A loaded machine takes longer than the two seconds after which progress is said.
  assert.is(outcome.error.replace(/^latentwire: [\w ]+: (\d+ of \d+|.*s left.*)\n/gm, ""), "");
  return outcome;
}

/** Runs what must fail: one line on standard error, nothing on standard output. */
function fails(args: string[], status: number, message: RegExp, input?: Uint8Array): void {
  const outcome = run(args, input);
  assert.is(outcome.status, status, `${args.join(" ")}: ${outcome.error}`);
  assert.match(outcome.error, /^latentwire: .+\n$/);
  assert.match(outcome.error, message);
  assert.is(outcome.text, "");
}

const codec = await create();
const table = codec.table(makeTable(random(1), { rows: 4, entries: 30, flavour: "peaked", medians: true }));
const dims = [1, 4, 6, 5];
const rng = random(2);
const y = Float32Array.from({ length: 120 }, () => 12 * rng.unit() - 6);
const latent = { type: "float32", dims, data: y };
const scales = Float32Array.from({ length: 120 }, () => 0.2 + 3 * rng.unit());
const means = Float32Array.from({ length: 120 }, () => rng.unit());
const rows = Int32Array.from({ length: 120 }, () => rng(4));

writeFileSync(at("y.npy"), writeNpy("float32", dims, y));
writeFileSync(at("scales.npy"), writeNpy("float32", dims, scales));
writeFileSync(at("means.npy"), writeNpy("float32", dims, means));
writeFileSync(at("rows.npy"), writeNpy("int32", dims, rows));
writeFileSync(at("table.json"), JSON.stringify(table));
writeFileSync(at("table.lwt"), table.bytes());
writeFileSync(
  at("model.lwb"),
  writeBundle([
    { name: "z", kind: "factorized", table, step: 0.5 },
    { name: "y", kind: "gaussian", table: codec.gaussianTable(), rebuild: true },
  ]),
);
const fromNpy = (bytes: Uint8Array) => {
  const stored = readNpy(new MemorySource(bytes));
  return { shape: [...stored.shape], data: stored.type === "float32" ? floats(stored, "a") : integers(stored, "a") };
};

test("encode and decode are the codec's, whatever form the tables have", () => {
  const prior = codec.factorized(table);
  const packet = codec.encode(latent, prior);
  for (const tables of ["table.json", "table.lwt"]) {
    done(["encode", "y.npy", "--tables", tables, "-o", "y.lw"]);
    assert.equal(new Uint8Array(readFileSync(at("y.lw"))), packet);
    done(["decode", "y.lw", "--tables", tables, "-o", "back.npy"]);
    const { shape, data } = fromNpy(readFileSync(at("back.npy")));
    assert.equal(shape, dims);
    sameNumbers(data, codec.decode(packet, prior).data);
  }
  done(["encode", "y.npy", "--tables", "model.lwb", "-o", "y.lw"]);
  assert.equal(new Uint8Array(readFileSync(at("y.lw"))), codec.encode(latent, codec.factorized(table, { step: 0.5 })));
  done(["encode", "y.npy", "--tables", "model.lwb", "--step", "2", "-o", "y.lw"]);
  assert.equal(new Uint8Array(readFileSync(at("y.lw"))), codec.encode(latent, codec.factorized(table, { step: 2 })));
});

test("whole numbers in .npy are symbols, and decode reports what it wrote", () => {
  const prior = codec.factorized(table);
  const symbols = codec.quantize(latent, prior).data;
  const arrays = { int8: Int8Array, int16: Int16Array, int32: Int32Array };
  for (const [type, Kind] of Object.entries(arrays)) {
    const data = Kind.from(symbols);
    writeFileSync(at("symbols.npy"), writeNpy(type as "int8", dims, data));
    const { out } = done(["encode", "symbols.npy", "--tables", "table.json"]);
    assert.equal(new Uint8Array(out), codec.encode({ type, dims, data }, prior), type);
    writeFileSync(at("symbols.lw"), out);
    const options = ["--tables", "table.json", "--type", type, "--json", "-o", "symbols.npy"];
    const { text } = done(["decode", "symbols.lw", ...options]);
    assert.equal(JSON.parse(text), { type, dims, elements: 120, bytes: out.length });
    sameNumbers(fromNpy(readFileSync(at("symbols.npy"))).data, data);
  }
});

test("pipes: raw elements in, packet through, raw elements out", () => {
  const raw = new Uint8Array(y.buffer);
  const packet = done(["encode", "-", "--dims", "1,4,6,5", "--tables", "table.json"], raw).out;
  assert.equal(new Uint8Array(packet), codec.encode(latent, codec.factorized(table)));
  const back = done(["decode", "-", "--tables", "table.json", "--raw", "--type", "int16"], packet).out;
  const symbols = codec.decode(new Uint8Array(packet), codec.factorized(table), { type: "int16" }).data;
  assert.equal(new Uint8Array(back), new Uint8Array(symbols.buffer));
  const again = done(
    ["encode", "-", "--dims", "1x4x6x5", "--type", "int16", "--tables", "table.json", "-o", "-"],
    back,
  );
  assert.equal(again.out, packet);
  assert.is(JSON.parse(done(["inspect", "-", "--json"], packet).text).elements, 120);
});

test("every option reaches the codec", () => {
  const prior = codec.factorized(table);
  const encoded = (...args: string[]) =>
    new Uint8Array(done(["encode", "y.npy", "--tables", "table.json", ...args]).out);
  for (const [words, options] of [
    ["--no-checksum", { checksum: false }],
    ["--no-fingerprint", { fingerprint: false }],
    ["--lanes 8", { lanes: 8 }],
    ["--header none", { header: "none" }],
    ["--stream compressai", { stream: "compressai" }],
    ["--stream compressai --header none", { stream: "compressai", header: "none" }],
  ] as const)
    assert.equal(encoded(...words.split(" ")), codec.encode(latent, prior, options), words);
  const bare = encoded("--stream", "compressai", "--header", "none");
  const options = ["--stream", "compressai", "--header", "none", "--dims", "1,4,6,5", "--type", "int32"];
  const { data } = fromNpy(done(["decode", "-", "--tables", "table.json", ...options], bare).out);
  sameNumbers(data, codec.quantize(latent, prior).data);
  for (const check of [[], ["--no-checksum"]]) {
    const compact = encoded("--header", "compact", ...check);
    assert.equal(compact, codec.encode(latent, prior, { header: "compact", checksum: check.length === 0 }));
    const agreed = ["--header", "compact", "--dims", "1,4,6,5", "--type", "int32", ...check];
    sameNumbers(fromNpy(done(["decode", "-", "--tables", "table.json", ...agreed], compact).out).data, data);
  }
  writeFileSync(at("turned.npy"), writeNpy("float32", [4, 30], y));
  const turned = done(["encode", "turned.npy", "--tables", "table.json", "--axis", "0"]).out;
  const alongFirst = codec.encode({ ...latent, dims: [4, 30] }, codec.factorized(table, { axis: 0 }));
  assert.equal(new Uint8Array(turned), alongFirst);
});

test("scales and rows", () => {
  const gaussian = ["--scales", "scales.npy", "--means", "means.npy"];
  const expected = codec.encode(latent, codec.gaussian(scales, { means }));
  assert.equal(new Uint8Array(done(["encode", "y.npy", ...gaussian]).out), expected);
  assert.equal(new Uint8Array(done(["encode", "y.npy", "--tables", "model.lwb", ...gaussian]).out), expected);
  const back = done(["decode", "-", "--tables", "model.lwb", "--table", "y", ...gaussian], expected).out;
  sameNumbers(fromNpy(back).data, codec.decode(expected, codec.gaussian(scales, { means })).data);
  const byRow = done(["encode", "y.npy", "--tables", "table.json", "--rows", "rows.npy"]).out;
  assert.equal(new Uint8Array(byRow), codec.encode(latent, codec.indexed(table, rows)));
});

test("inspect says what codec.inspect() says, and minds the checksum", () => {
  const packet = codec.encode(latent, codec.factorized(table), { lanes: 8 });
  assert.equal(
    JSON.parse(done(["inspect", "-", "--json"], packet).text),
    JSON.parse(JSON.stringify(codec.inspect(packet))),
  );
  const { text } = done(["inspect", "-"], packet);
  assert.match(text, /shape +\[1, 4, 6, 5\], 120 elements/);
  assert.match(text, /checksum +valid/);
  const writer = codec.writer({ indexChecks: true });
  writer.write(latent, codec.factorized(table));
  writer.write(latent, codec.gaussian(scales));
  const parts = done(["inspect", "-"], writer.finish()).text;
  assert.match(parts, /stream +native, 1 lane/);
  assert.match(parts, /parts +2\n/);
  assert.match(parts, /symbols +240, all parts together/);
  assert.match(parts, /factorized +\[1, 4, 6, 5\]/);
  packet[packet.length - 6] ^= 1;
  const damaged = run(["inspect", "-"], packet);
  assert.is(damaged.status, 1);
  assert.match(damaged.text, /checksum +invalid/);
});

test("import, show, encode: from a checkpoint to a packet", () => {
  const checkpoint = join(root, "test/vectors/checkpoints/mean-scale.pth");
  const { text } = done(["tables", "import", checkpoint, "-o", "imported.lwb"]);
  assert.match(text, /entropy_bottleneck +factorized +2 /);
  assert.match(text, /gaussian_conditional +gaussian +12 /);
  const report = JSON.parse(done(["tables", "import", checkpoint, "--json"]).text);
  assert.is(report.output, "mean-scale.lwb");
  assert.equal(readFileSync(at("mean-scale.lwb")), readFileSync(at("imported.lwb")));
  const bundle = readBundle(readFileSync(at("imported.lwb")));
  const shown = JSON.parse(done(["tables", "show", "imported.lwb", "--json"]).text);
  assert.equal(shown.entries, JSON.parse(JSON.stringify(bundle.entries)));
  assert.equal(shown.meta, { made: "latentwire tables import", from: "mean-scale.pth" });
  const json = JSON.parse(done(["tables", "show", "imported.lwb", "--table", "gaussian_conditional"]).text);
  assert.is(codec.table(json).fingerprint, bundle.entry("gaussian_conditional").fingerprint);
  const fromPipe = done(["tables", "import", "-", "-o", "-"], readFileSync(checkpoint)).out;
  assert.equal(readBundle(new Uint8Array(fromPipe)).entries, bundle.entries);
  const remarks = run(["tables", "import", join(root, "test/vectors/checkpoints/not-updated.pth"), "-o", "n.lwb"]);
  assert.is(remarks.status, 0);
  assert.match(remarks.error, /^latentwire: entropy_bottleneck: .*built from its parameters$/m);
  fails(["tables", "import", join(root, "test/vectors/checkpoints/empty.pth")], 1, /NO_TABLES/);
  assert.not(existsSync(at("empty.lwb")));
});

test("import keeps CompressAI's scale_bound: scales below it have the row of the bound", () => {
  const faults = (name: string) => readFileSync(join(root, "test/vectors/faults", name));
  const checkpoint = faults("scale_bound_0.11_table_from_0.02.pth");
  const bundle = readBundle(new Uint8Array(done(["tables", "import", "-", "-o", "-"], checkpoint).out));
  const name = "gaussian_conditional";
  const sigmas = floats(readNpy(new MemorySource(faults("scale_bound_scales.npy"))), "scales");
  const expected = integers(readNpy(new MemorySource(faults("scale_bound_indexes_expected.npy"))), "indexes");
  // Rows that may be chosen are the checkpoint's own, which are those of its scales.
  const own = codec.gaussianTable(bundle.scaleTable(name));
  const data = sigmas.map((sigma) => 3 * sigma * (rng.unit() - rng.unit()));
  const symbols = { type: "float32", dims: [data.length], data };
  for (const options of [{}, { stream: "compressai", header: "none" }] as const) {
    const found = codec.encode(symbols, bundle.gaussian(codec, name, sigmas), { ...options, fingerprint: false });
    assert.equal(found, codec.encode(symbols, codec.indexed(own, expected), { ...options, fingerprint: false }));
  }
  assert.ok(bundle.table(codec, name).fingerprint !== own.fingerprint, "the bound changes no row");
});

test("fit and rate: from samples to a bundle that fits them", () => {
  mkdirSync(at("latents"), { recursive: true });
  for (let i = 0; i < 10; i++) {
    const data = Float32Array.from({ length: 4 * 256 }, (_, k) => (rng.unit() - rng.unit()) * 2 ** (k >> 8));
    writeFileSync(at(`latents/${i}.npy`), writeNpy("float32", [1, 4, 16, 16], data));
  }
  const { text } = done(["tables", "fit", "latents", "-o", "fit.lwb", "--target-bytes", "300"]);
  assert.match(text, /held out +2 samples/);
  const report = JSON.parse(
    done(["tables", "fit", "latents/*.npy", "-o", "again.lwb", "--target-bytes", "300", "--json"]).text,
  );
  assert.equal(readFileSync(at("again.lwb")), readFileSync(at("fit.lwb")), "the same samples, the same bundle");
  assert.ok(Math.abs(report.heldOut.packetBytes - 300) < 15, report.heldOut.packetBytes);
  const packet = done(["encode", "latents/4.npy", "--tables", "fit.lwb"]).out;
  assert.ok(Math.abs(packet.length - 300) < 30, String(packet.length));
  const rate = JSON.parse(done(["tables", "rate", "fit.lwb", "latents", "--channels", "--json"]).text);
  assert.is(rate.latents.length, 10);
  assert.is(rate.total.symbols, 10 * 1024);
  assert.is(rate.latents[0].channels.bits.length, 4);
  assert.ok(rate.latents[4].bits / 8 < packet.length && rate.latents[4].bits / 8 > packet.length - 40);
  assert.match(done(["tables", "rate", "fit.lwb", "latents", "--channels"]).text, /^all +10240 /m);

  // The same latents, scaled: rows that were fitted to something else.
  const far = Float32Array.from({ length: 1024 }, () => 1000 * rng.unit());
  writeFileSync(at("far.npy"), writeNpy("float32", [1, 4, 16, 16], far));
  const byScales = ["tables", "rate", "model.lwb", "y.npy", "--table", "y", "--scales", "scales.npy", "--json"];
  const ofScales = codec.rate(latent, codec.gaussian(scales));
  assert.ok(Math.abs(JSON.parse(run(byScales).text).total.bits - ofScales.bits) < 1e-6);
  const warned = run(["tables", "rate", "fit.lwb", "far.npy"]);
  assert.is(warned.status, 0);
  assert.match(warned.error, /^latentwire: .*far\.npy: .*the table does not reach/);
});

// Latents of 2 channels, the second four times as wide, in several orders of dimensions.
test("fit --context: the table or one that is there gets a context, and encode uses it", () => {
  const rng = random(3);
  const dims = [40, 2, 8, 8];
  // Each position resembles the one to its left.
  const data = new Float32Array(40 * 128);
  for (let i = 0; i < data.length; i++)
    data[i] = Math.round((i % 8 === 0 ? 0 : 0.9 * data[i - 1]!) + 4 * (rng.unit() - rng.unit()));
  writeFileSync(at("rows.npy"), writeNpy("float32", dims, data));
  const fit = (...options: string[]) => {
    const outcome = run(["tables", "fit", at("rows.npy"), ...options]);
    assert.is(outcome.status, 0, outcome.error);
    return outcome;
  };
  const short = ["--context", "fast", "--positions", "8000", "--seed", "7"];

  const { text, error } = fit(...short, "-o", at("context.lwb"));
  assert.match(text, /^context {3}fast, 2 of 2 channels, \d+ bytes, trained on 32 samples and 7936 positions$/m);
  assert.match(text, /^ {2}all +\d+\.\d +\d+\.\d +-\d+\.\d %$/m);
  assert.match(error, /^latentwire: 40 samples are far too few: .* chosen by 4 samples, .* rests on 4 samples/m);
  const { context } = JSON.parse(fit(...short, "-o", at("again.lwb"), "--threads", "1", "--json").text);
  assert.ok(context.active === 2 && context.bytesAfter < context.bytesBefore && context.channels.length === 2);
  assert.equal(readFileSync(at("again.lwb")), readFileSync(at("context.lwb")));

  fit("-o", at("static.lwb"));
  fit(...short, "--tables", at("static.lwb"), "-o", at("added.lwb"));
  const [made, added] = ["context.lwb", "added.lwb"].map((name) => readBundle(new Uint8Array(readFileSync(at(name)))));
  assert.equal(added.entry("latent").context, made.entry("latent").context);
  assert.is(added.entry("latent").fingerprint, made.entry("latent").fingerprint);
  assert.match(done(["tables", "show", at("added.lwb")]).text, /context.*\nlatent .* \d+, 2 channels /);

  const sizes = ["static.lwb", "added.lwb"].map((name) => {
    done(["encode", at("rows.npy"), "--tables", at(name), "-o", at("rows.lw")]);
    done(["decode", at("rows.lw"), "--tables", at(name), "-o", at("rows-back.npy")]);
    const back = readNpy(new MemorySource(new Uint8Array(readFileSync(at("rows-back.npy")))));
    sameNumbers(floats(back, "rows-back.npy"), data);
    return readFileSync(at("rows.lw")).length;
  });
  assert.ok(sizes[1] < 0.95 * sizes[0], String(sizes));
  const plain = done(["inspect", at("rows.lw")]).text;
  assert.not.match(plain, /static rows|part 0/);
  assert.match(done(["inspect", at("rows.lw"), "--tables", at("added.lwb")]).text, /^part 0 +latent, context: used$/m);
  const limited = ["decode", at("rows.lw"), "--tables", at("added.lwb"), "--max-context-elements", "5119"];
  fails(limited, 1, /^latentwire: LIMIT_EXCEEDED .*maxContextElements/);
});

test("fit --context over scales and means: encode, decode and inspect use it", () => {
  const rng = random(4);
  const dims = [40, 2, 8, 8];
  const scales = Float32Array.from({ length: 40 * 128 }, (_, i) => (i % 128 < 64 ? 0.8 : 4));
  const means = scales.map(() => 4 * rng.unit());
  const noise = new Float32Array(scales.length);
  for (let i = 0; i < noise.length; i++)
    noise[i] = (i % 8 === 0 ? 0 : 0.9 * noise[i - 1]!) + 2 * (rng.unit() - rng.unit());
  const latents = noise.map((value, i) => means[i]! + 0.5 * scales[i]! * value);
  for (const [name, data] of Object.entries({ latents, scales, means }))
    writeFileSync(at(`given-${name}.npy`), writeNpy("float32", dims, data));
  const given = ["--scales", at("given-scales.npy"), "--means", at("given-means.npy")];
  const short = ["--context", "fast", "--positions", "8000", "--seed", "7"];
  const latent = at("given-latents.npy");
  const { status, text, error } = run([
    "tables",
    "fit",
    latent,
    ...given,
    ...short,
    "--name",
    "y",
    "-o",
    at("given.lwb"),
  ]);
  assert.is(status, 0, error);
  assert.match(text, /^context {3}fast, 2 of 2 channels/m);
  assert.match(done(["tables", "show", at("given.lwb")]).text, /^y +gaussian +64 +built +\d+, 2 channels/m);
  done(["encode", latent, ...given, "-o", at("given-64.lw")]);
  done(["encode", latent, ...given, "--tables", at("given.lwb"), "-o", at("given.lw")]);
  const sizes = ["given-64.lw", "given.lw"].map((name) => readFileSync(at(name)).length);
  assert.ok(sizes[1]! < 0.95 * sizes[0]!, String(sizes));
  for (const [packet, ...tables] of [["given-64.lw"], ["given.lw", "--tables", at("given.lwb")]] as const)
    done(["decode", at(packet), ...given, ...tables, "-o", at(`${packet}.npy`)]);
  assert.equal(readFileSync(at("given.lw.npy")), readFileSync(at("given-64.lw.npy")));
  assert.match(done(["inspect", at("given.lw"), "--tables", at("given.lwb")]).text, /^part 0 +y, context: used$/m);
  fails(["tables", "fit", latent, "--means", "m", ...short, "-o", "q"], 2, /--means needs --scales or --rows/);
  fails(["tables", "fit", latent, "--rows", "m", ...short, "-o", "q"], 2, /--rows needs --tables/);
  fails(["tables", "fit", latent, "--scales", latent, "-o", "q"], 2, /--scales needs --context/);
});

test("inspect --tables says for each part its table, and whether it uses its context", () => {
  const rng = random(5);
  const parameters = randomNetwork(rng, { channels: 2, H: 32, ends: [-3, 3] });
  // Rows that have every symbol, and rows that have none: the encoder takes these, and not those.
  const fitting = { offsets: [0, 0], cdfs: [0, 1].map(() => [0, 65535, 65536]) };
  const own = contextSample(rng, [1, 2, 4, 4], { parameters });
  const zero = { type: "int8", dims: [1, 2, 4, 4], data: new Int8Array(32) } as const;
  const entries = [
    { name: "y", kind: "factorized", table: codec.table(own.table), context: own.bytes },
    { name: "z", kind: "factorized", table: codec.table(fitting), context: own.bytes, step: 0.5 },
    { name: "g", kind: "gaussian", table: codec.gaussianTable() },
  ] as const;
  const bundle = readBundle(writeBundle(entries));
  writeFileSync(at("parts.lwb"), writeBundle(entries));
  const writer = codec.writer();
  writer.write(own.latent, bundle.factorized(codec, "y"));
  writer.write(zero, bundle.factorized(codec, "z"));
  writer.write(zero, bundle.factorized(codec, "z", { context: false }));
  writer.write(zero, bundle.gaussian(codec, "g", new Float32Array(32).fill(1), { means: new Float32Array(32) }));
  const packet = writer.finish();
  const { text } = done(["inspect", "-", "--tables", at("parts.lwb")], packet);
  assert.match(text, /^static rows +part 1: the encoder did not use the context prior$/m);
  assert.match(
    text,
    /^part 0 +y, context: used\npart 1 +z, context: not used, static rows\npart 2 +z, factorized\npart 3 +g, gaussian$/m,
  );
  const { priors } = JSON.parse(done(["inspect", "-", "--tables", at("parts.lwb"), "--json"], packet).text);
  assert.equal(
    priors.map(({ context }: { context: string }) => context),
    ["used", "static rows", "none", "none"],
  );
  assert.match(done(["inspect", "-"], codec.encode(zero, bundle.factorized(codec, "z"))).text, /^static rows +yes:/m);
  const string = codec.encode(own.latent, bundle.factorized(codec, "y"), { stream: "compressai" });
  assert.match(done(["inspect", "-", "--tables", at("parts.lwb")], string).text, /^part 0 +y, context: not used/m);
  const other = codec.encode(zero, codec.factorized(fitting, { step: 3 }));
  assert.match(done(["inspect", "-", "--tables", at("parts.lwb")], other).text, /^tables +none of .*parts\.lwb fits$/m);
  const silent = codec.encode(zero, codec.factorized(fitting), { fingerprint: false });
  assert.match(done(["inspect", "-", "--tables", at("parts.lwb")], silent).text, /^tables +the packet does not say/m);
});

test("one rule for dimensions in fit, encode, decode and rate", () => {
  const channel = (c: number) => (rng.unit() - rng.unit()) * (c === 0 ? 2 : 8);
  const cases: [string, number[], number, string[], number[]][] = [
    // name, dims, dimension of the channels, what fit is told, dims of the packet
    ["chw", [2, 3, 5], 0, [], [1, 2, 3, 5]],
    ["square", [2, 2, 7], 0, [], [1, 2, 2, 7]],
    ["nchw", [1, 2, 3, 5], 1, [], [1, 2, 3, 5]],
    ["nct", [5, 2, 6], 1, ["--axis", "1"], [5, 2, 6]],
    ["nhwc", [1, 4, 3, 2], 3, ["--axis", "3"], [1, 4, 3, 2]],
    ["nc", [30, 2], 1, [], [30, 2]],
  ];
  for (const [name, shape, axis, told, coded] of cases) {
    mkdirSync(at(name));
    const run = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    const count = shape.reduce((a, b) => a * b, 1);
    for (let i = 0; i < 6; i++) {
      const data = Float32Array.from({ length: count }, (_, k) => channel(Math.floor(k / run) % 2));
      writeFileSync(at(`${name}/${i}.npy`), writeNpy("float32", shape, data));
    }
    done(["tables", "fit", name, "-o", `${name}.lwb`, ...told]);
    const sample = `${name}/3.npy`;
    const packet = new Uint8Array(done(["encode", sample, "--tables", `${name}.lwb`]).out);
    const { data } = fromNpy(readFileSync(at(sample)));
    const tensor = { type: "float32", dims: coded, data: data as Float32Array } as const;
    const bundle = readBundle(readFileSync(at(`${name}.lwb`)));
    assert.is(bundle.entry("latent").rows, 2, name);
    assert.equal(packet, codec.encode(tensor, bundle.factorized(codec, "latent")), name);
    const args = ["--tables", `${name}.lwb`, "--dims", shape.join(), "--raw"];
    const back = done(["decode", "-", ...args], packet).out;
    const compact = done(["encode", sample, "--tables", `${name}.lwb`, "--header", "compact"]).out;
    assert.equal(done(["decode", "-", ...args, "--header", "compact"], compact).out, back, name);
    const rate = JSON.parse(done(["tables", "rate", `${name}.lwb`, sample, "--channels", "--json"]).text);
    const { bits } = rate.latents[0].channels;
    assert.is(bits.length, 2, `${name}: channels of rate`);
    assert.ok(bits[1] > bits[0] + count / 4, `${name}: ${bits}`);
  }
});

test("folders are searched as a whole, and what is skipped is named", () => {
  mkdirSync(at("nested/deep/.git"), { recursive: true });
  for (const name of ["nested/0.npy", "nested/deep/1.npy"]) writeFileSync(at(name), writeNpy("float32", dims, y));
  for (const name of ["nested/._0.npy", "nested/text.npy", "nested/deep/notes.txt"])
    writeFileSync(at(name), "no array");
  for (const line of ["tables rate table.json nested --json", "tables fit nested -o nested.lwb --json"]) {
    const { status, text, error } = run(line.split(" "));
    assert.is(status, 0, error);
    assert.match(error, /^latentwire: skipped: nested\/\._0\.npy, nested\/deep\/notes\.txt, nested\/text\.npy\n/);
    assert.match(text, /"samples": 2,|nested\/0\.npy.*nested\/deep\/1\.npy/s);
  }
  for (const command of ["rate table.json", "fit -o x.lwb"])
    fails(["tables", ...command.split(" "), "nested/text.npy"], 1, /INVALID_FILE nested\/text\.npy is no \.npy file\n/);
});

test("standard input is - in every command", () => {
  const bytes = readFileSync(at("y.npy"));
  const [latentRate] = JSON.parse(run(["tables", "rate", "table.json", "-", "--json"], bytes).text).latents;
  assert.is(latentRate.bits, codec.rate(latent, codec.factorized(table), { axis: 1 }).bits);
  const fitted = (path: string) => run(["tables", "fit", path, "-o", "-"], bytes).out;
  assert.equal(readBundle(fitted("-")).entries, readBundle(fitted("y.npy")).entries);
  const checkpoint = readFileSync(join(root, "test/vectors/checkpoints/mean-scale.pth"));
  const imported = run(["tables", "import", "-", "--json"], checkpoint);
  assert.is(imported.status, 0, imported.error);
  assert.equal(JSON.parse(imported.error).entries.length, readBundle(imported.out).entries.length);
  assert.not(existsSync(at("-.lwb")));
  assert.match(done(["tables", "show", "-"], readFileSync(at("model.lwb"))).text, /^z +factorized +4 /m);
  fails(["encode", "-", "--scales", "-"], 2, /- is given twice/, readFileSync(at("scales.npy")));
});

test("a table outside a bundle carries no step, and show says so", () => {
  const printed = run(["tables", "show", "model.lwb", "--table", "z"]);
  assert.is(codec.table(JSON.parse(printed.text)).fingerprint, table.fingerprint);
  assert.match(printed.error, /^latentwire: a table as JSON carries no step .*--step 0\.5\n$/);
  assert.is(JSON.parse(done(["tables", "show", "table.json", "--json"]).text).entries[0].step, null);
  assert.is(JSON.parse(done(["tables", "show", "model.lwb", "--json"]).text).entries[0].step, 0.5);
});

/** An encoder whose latent is its image. */
function identityEncoder(): string {
  const value = { type: "float32" as const, dims: [1, 3, 8, 8] };
  const nodes = [{ op: "Identity", inputs: ["x"], output: "y" }];
  writeFileSync(at("identity.onnx"), onnxModel({ nodes, inputs: { x: value }, outputs: { y: value } }));
  return at("identity.onnx");
}

test("--normalize: what the encoder is given", () => {
  const encoder = identityEncoder();
  const photo = join(root, "bench/photos/chelsea.png");
  const medians = (kind: string) => {
    const options = ["--encoder", encoder, "--normalize", kind, "--step", "0.001", "-o", "-"];
    const { status, out, error } = fitInRoot(photo, ...options);
    assert.is(status, 0, error);
    return [...readBundle(new Uint8Array(out)).table(codec, "latent").medians!];
  };
  const [unit, bytes, imagenet] = ["0..1", "0..255", "imagenet"].map(medians);
  unit.forEach((m, c) => {
    assert.ok(m > 0.1 && m < 1 && Math.abs(bytes[c] / 255 - m) < 1e-5, `${unit} ${bytes}`);
    assert.ok(Math.abs(imagenet[c] - (m - [0.485, 0.456, 0.406][c]) / [0.229, 0.224, 0.225][c]) < 1e-5);
  });
});

test("without --normalize the encoder's graph is asked, and what was taken is said", () => {
  const photo = join(root, "bench/photos/chelsea.png");
  const said = (encoder: string) => fitInRoot(photo, "--encoder", encoder, "--step", "9", "-o", "-").error;
  assert.match(said(identityEncoder()), /^latentwire: --normalize 0\.\.1: this is a guess/m);
  const value = { type: "float32" as const, dims: [1, 3, 8, 8] };
  const nodes = [{ op: "Div", inputs: ["x", "by"], output: "y" }];
  const weights = { by: { dims: [], data: [255] } };
  writeFileSync(at("divided.onnx"), onnxModel({ nodes, weights, inputs: { x: value }, outputs: { y: value } }));
  const text = said(at("divided.onnx"));
  assert.match(text, /^latentwire: --normalize 0\.\.255: its first node is Div by 255$/m);
  // A step of 9 is far too coarse for 0 to 1.
  assert.match(text, /^latentwire: step 9 leaves nothing of the latents but their medians: take a finer one$/m);
});

test("fit runs an encoder over images", () => {
  const encoder = join(root, "bench/model/points/mid/encoder.onnx");
  const photos = join(root, "bench/photos");
  const options = ["--encoder", encoder, "--size", "128x160", "--normalize", "imagenet", "-o", "-"];
  const { status, out, error } = fitInRoot(photos, ...options);
  assert.is(status, 0, error);
  const [entry] = readBundle(new Uint8Array(out)).entries;
  assert.equal(entry.shape?.slice(0, 2), [null, entry.rows]);
});

test("an image of a folder that cannot be read is skipped and named; one that is named itself is an error", () => {
  mkdirSync(at("mixed"));
  mkdirSync(at("junk"));
  copyFileSync(join(root, "bench/photos/chelsea.png"), at("mixed/a.png"));
  // Its name is right and its first bytes are, but its pixels end early.
  writeFileSync(at("mixed/b.png"), readFileSync(at("mixed/a.png")).subarray(0, 5000));
  writeFileSync(at("junk/c.jpg"), "no image");
  const fit = (...paths: string[]) =>
    fitInRoot(...paths, "--encoder", identityEncoder(), "--step", "0.01", "-o", at("mixed.lwb"));
  const skipping = fit(at("mixed"));
  assert.is(skipping.status, 0, skipping.error);
  assert.match(skipping.error, /^latentwire: skipped, cannot be read: \S+b\.png$/m);
  const named = fit(at("mixed/a.png"), at("mixed/b.png"));
  assert.match(`${named.status} ${named.error}`, /^1 (.*\n)*latentwire: INVALID_FILE .*b\.png: /);
  assert.match(fit(at("junk")).error, /^latentwire: INVALID_FILE none of 1 images can be read: .*c\.jpg: /m);
});

test("what onnxruntime and sharp refuse is one line with a code", () => {
  const photo = join(root, "bench/photos/chelsea.png");
  const fit = (...args: string[]) => {
    // The runtime logs to standard error, too.
    const { status, error } = fitInRoot(...args, "-o", at("none.lwb"));
    assert.is(status, 1);
    assert.not.match(error, /\n +at /, "a stack trace");
    return error;
  };
  assert.match(fit(photo, "--encoder", "none.onnx"), /^latentwire: MODEL none\.onnx: .*\n$/);
  const encoder = join(root, "bench/model/points/mid/encoder.onnx");
  assert.match(fit(photo, "--encoder", encoder, "--size", "5x5"), /^latentwire: MODEL .*chelsea\.png: .*\n$/m);
  assert.match(fit(at("y.npy"), "--encoder", encoder, "--size", "64x64"), /^latentwire: INVALID_FILE .*y\.npy: .*\n$/);
});

test("an encoder that cannot be asked: exit code 2 says what is missing", () => {
  const photo = join(root, "bench/photos/chelsea.png");
  const encoder = join(root, "bench/model/points/mid/encoder.onnx");
  for (const [args, message] of [
    [["--encoder", encoder], /takes any size of image: say which with --size HEIGHTxWIDTH/],
    [["--encoder", encoder, "--size", "64x64", "--latent", "none"], /has the outputs \w+, not none/],
  ] as const) {
    const { status, error } = fitInRoot(photo, ...args, "-o", at("none.lwb"));
    assert.is(status, 2, error);
    assert.match(error, message);
  }
});

/** Node as npx starts it: what the package needs is not beside it. */
const apart = `data:text/javascript,${encodeURIComponent(`
  import { register } from "node:module";
  const hook = \`export const resolve = (name, context, next) => {
    if (/^(sharp|onnxruntime-node|protobufjs.minimal.js)$/.test(name)) throw Object.assign(new Error("not beside the package"), { code: "ERR_MODULE_NOT_FOUND" });
    return next(name, context);
  };\`;
  register("data:text/javascript," + encodeURIComponent(hook));`)}`;

test("what an encoder needs is taken from the folder where the command runs; without it one line says what to install", () => {
  const options = ["--encoder", identityEncoder(), "--size", "8x8", "-o", "-"];
  const node = ["--import", apart];
  const where = (cwd: string) =>
    runIn(cwd, ["tables", "fit", join(root, "bench/photos/chelsea.png"), ...options], { node });
  const missing = where(folder);
  assert.is(missing.status, 1);
  // What is said behind the line is for machines on which files for GPUs would be downloaded.
  const gpu = /( \(with ONNXRUNTIME_NODE_INSTALL=skip [^)]+\))?\n$/;
  const line =
    "latentwire: MISSING_PACKAGE onnxruntime-node, sharp are needed to run an encoder over images: npm install onnxruntime-node sharp";
  assert.is(missing.error.replace(gpu, ""), line);
  const splitting = (...args: string[]) => runIn(folder, ["split", at("identity.onnx"), ...args], { node });
  const needed = (names: string) => `${names.replaceAll(" ", ", ")} are needed to split a model: npm install ${names}`;
  for (const [args, names] of [
    [[], "protobufjs onnxruntime-node"],
    [["--images", folder], "protobufjs onnxruntime-node sharp"],
  ] as const)
    assert.is(splitting(...args).error.replace(gpu, ""), `latentwire: MISSING_PACKAGE ${needed(names)}`);
  const found = where(root);
  assert.is(found.status, 0, found.error);
  assert.is(readBundle(new Uint8Array(found.out)).entries.length, 1);
});

test("on a terminal long work shows how far it has come, and leaves nothing of that behind", () => {
  // Only Linux's `script` takes a command like this; it gives it a terminal.
  if (process.platform !== "linux") return console.log("skipped: no terminal to be had here");
  const command = `'${process.execPath}' '${cli}' tables rate table.json y.npy y.npy y.npy`;
  const { status, stdout } = spawnSync("script", ["-qec", command, "/dev/null"], { cwd: folder, encoding: "utf8" });
  assert.is(status, 0, stdout);
  const [bar, rest] = stdout.split("\r\x1b[K");
  // On a slow machine a second one follows.
  assert.match(bar, /^\rreading \[#{10} {20}\] 1 of 3\b/);
  assert.match(rest, /y\.npy/);
});

test("help, for all and for each", () => {
  assert.match(done(["--version"]).text, /^\d+\.\d+\.\d+\n$/);
  const { text } = done(["--help"]);
  const names = Array.from(text.matchAll(/^ {2}((?:tables )?\w+) /gm), ([, name]) => name);
  assert.equal(names, [
    "hello",
    "inspect",
    "encode",
    "decode",
    "tables import",
    "tables fit",
    "tables rate",
    "tables show",
    "split",
  ]);
  for (const name of names) {
    const words = name.split(" ");
    const { text: help } = done([...words, "--help"]);
    assert.match(help, new RegExp(`^usage: latentwire ${name} `));
    assert.is(done(["help", ...words]).text, help);
    // docs/cli.md is what --help says.
    assert.ok(
      readFileSync(join(root, "docs/cli.md"), "utf8").includes(help.trimEnd()),
      `docs/cli.md lacks ${name}'s help`,
    );
  }
  for (const words of [["help"], ["tables", "--help"]]) assert.is(done(words).text, text);
  assert.is(run([]).status, 2);
});

test("a fault of the program is called one: not the command line's, not the data's", () => {
  const broken = "data:text/javascript,JSON.parse = () => { return undefined.nothing; }";
  const { status, error } = runIn(folder, ["encode", "y.npy", "--tables", "table.json"], {
    node: ["--import", broken],
  });
  assert.is(status, 1);
  assert.match(error, /^TypeError: .*undefined.*\n {4}at .*\nlatentwire: INTERNAL .*npm bugs latentwire\n$/s);
});

test("exit code 2: the command line is at fault", () => {
  for (const [line, message] of [
    ["no-such", /USAGE there is no command no-such/],
    ["encod y.npy", /no command encod; did you mean encode\?/],
    ["tables imprt a.pth", /did you mean tables import\?/],
    ["encode y.npy --tabels table.json", /encode has no option --tabels; did you mean --tables\?/],
    ["tables fit latents -o q --target-byte 9", /did you mean --target-bytes\?/],
    ["encode y.npy --tables table.json --step 1 --step 2", /--step is given twice/],
    ["encode y.npy --tables table.json --dims 1,4,6,5", /--dims and --type are for raw elements/],
    ["encode y.npy --scales scales.npy --axis 3", /--axis is for factorized tables/],
    ["encode y.npy --scales scales.npy --table y", /--table needs --tables/],
    [
      "tables fit y.npy --encoder e.onnx --normalize 0..256 -o q",
      /--normalize must be 0\.\.1, 0\.\.255, -1\.\.1, imagenet, or MEAN,STD, not 0\.\.256/,
    ],
    ["tables", /import, fit, rate or show/],
    ["tables no-such", /no command tables no-such/],
    ["encode", /needs LATENT/],
    ["inspect a b", /what is b\?/],
    ["encode a b --tables table.json", /many files need -o PACKETS\.lws, or -o FOLDER/],
    ["encode latents --tables table.json", /many files need -o/],
    ["encode y.npy --bogus", /--bogus/],
    ["encode y.npy", /--tables is needed/],
    ["encode y.npy --tables table.json --lanes 7", /--lanes must be/],
    ["encode y.npy --tables table.json --step 0", /--step must be/],
    ["encode y.npy --tables table.json --step 1e-60", /--step must be/],
    ["encode y.npy --tables table.json --axis x", /--axis must be/],
    ["encode y.npy --tables model.lwb --table x", /--table x is none of/],
    ["encode y.npy --tables model.lwb --rows rows.npy", /--table is needed, 2 of the tables are indexed: z .*, y /],
    ["encode table.lwt --tables table.json --dims 1,x", /--dims must be whole numbers such as 1,48,28,28, not 1,x/],
    ["encode y.npy --tables model.lwb --table y", /it takes --scales/],
    ["encode y.npy --tables table.json --means means.npy", /--means needs/],
    ["encode y.npy --scales scales.npy --rows rows.npy", /exclude/],
    ["encode table.lwt --tables table.json", /raw elements need --dims/],
    ["decode - --tables table.json --header none", /needs --dims/],
    ["tables show model.lwb --table q", /--table q/],
    ["tables fit latents -o q --step 1 --target-bytes 9", /exclude/],
    ["tables fit latents -o q --size 1x2", /needs --encoder/],
    ["tables fit latents -o q --minutes 1", /--minutes needs --context/],
    ["tables fit latents -o q --context large", /--context must be fast, default or small/],
    ["tables fit latents -o q --context fast --positions 9 --minutes 1", /exclude/],
    ["tables fit y.npy -o q --context fast --table y", /--table needs --tables/],
    ["tables fit y.npy -o q --context fast --tables table.json --step 2", /--step is for new tables/],
    ["tables fit latents --name", /^latentwire: USAGE .*--name.*\n$/],
    ["tables rate model.lwb", /needs TABLES LATENTS/],
  ] as const)
    fails(line.split(" "), 2, message);
});

test("exit code 1: the data is at fault", () => {
  writeFileSync(at("wide.npy"), writeNpy("float32", [1, 5, 24], y));
  const packet = codec.encode(latent, codec.factorized(table));
  const damaged = packet.slice();
  damaged[20] ^= 4;
  writeFileSync(
    at("nan.npy"),
    writeNpy(
      "float32",
      dims,
      y.map((value, i) => (i === 7 ? Number.NaN : value)),
    ),
  );
  writeFileSync(
    at("rows9.npy"),
    writeNpy(
      "int32",
      [120],
      rows.map((row) => row && 9),
    ),
  );
  writeFileSync(at("large.lw"), "");
  // A hole: it takes no space on the disk.
  truncateSync(at("large.lw"), 2 ** 31 + 1);
  for (const [line, message, input] of [
    ["inspect none.lw", /^latentwire: ENOENT /],
    ["inspect large.lw", /^latentwire: LIMIT_EXCEEDED large\.lw has more than 2 GiB/],
    ["tables show large.lw", /^latentwire: LIMIT_EXCEEDED large\.lw /],
    ["encode nan.npy --tables table.json", /^latentwire: NON_FINITE nan\.npy: /],
    ["tables rate table.json y.npy nan.npy", /^latentwire: NON_FINITE nan\.npy: /],
    ["tables fit y.npy nan.npy -o q", /^latentwire: NON_FINITE nan\.npy: /],
    ["tables fit y.npy -o q --context fast", /^latentwire: NO_TABLES .*at least 10 samples/],
    ["tables fit y.npy far.npy --step 1e-30 -o q", /^latentwire: OUT_OF_RANGE y\.npy: /],
    ["tables rate table.json y.npy wide.npy", /^latentwire: SHAPE_MISMATCH wide\.npy: /],
    ["encode nct/0.npy --tables chw.lwb", /nct\/0\.npy: the shape \[5,2,6\] has 5 channels, 2 .*--axis/],
    ["decode none.npy --tables y.npy", /^latentwire: INVALID_TABLE y\.npy: /],
    ["inspect y.npy", /NOT_A_PACKET/],
    ["inspect model.lwb", /NOT_A_PACKET .*tables show/],
    ["encode y.npy --tables y.npy", /INVALID_TABLE/],
    ["encode scales.npy --tables model.lwb -o none/x", /ENOENT/],
    ["encode wide.npy --tables table.json", /SHAPE_MISMATCH/],
    ["encode - --dims 1,4,6,6 --tables table.json", /SHAPE_MISMATCH/, new Uint8Array(y.buffer)],
    ["decode - --tables model.lwb --scales scales.npy", /WRONG_PRIOR/, packet],
    ["decode - --tables table.json --max-elements 9", /LIMIT_EXCEEDED/, packet],
    ["decode - --tables table.json -o broken.npy", /CORRUPTED/, damaged],
    ["tables import y.npy", /UNSUPPORTED_FILE y\.npy: /],
    ["encode y.npy --tables latents", /^latentwire: EISDIR .*'latents'/],
    ["tables show y.npy", /INVALID_TABLE/],
    ["encode y.npy --tables table.json --rows rows9.npy", /^latentwire: INVALID_FILE rows9\.npy: there is no row 9,/],
    ["encode y.npy --tables table.json --rows y.npy", /^latentwire: INVALID_FILE y\.npy: element 0 /],
  ] as const)
    fails(line.split(" "), 1, message, input);
  assert.not(existsSync(at("broken.npy")));
});

test.run();
