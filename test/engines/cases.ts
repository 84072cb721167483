// The cases that every engine codes: seeded latents under every prior, with every lane count and form. Each outcome carries the whole packet,
// so that a difference names its case. All inputs come from integers, +, - and *: the last bit of a Math function may differ between engines.
import {
  type Codec,
  type CodecError,
  channels,
  checkerboardHalf,
  type EncodeOptions,
  type MixtureOptions,
  type Prior,
  permute,
  type TableJson,
  type TensorLike,
} from "latentwire";
import vectors from "../vectors/context-packets.json" with { type: "json" };

/** What one case gave. Engines agree if all their outcomes are equal. */
export interface Outcome {
  name: string;
  /** The packet in hex, or another text that must not differ. */
  packet: string;
  /** FNV-1a of the bytes of what was decoded. */
  decoded: string;
}

/** A case of test/vectors/context-packets.json. */
export interface ContextVector {
  name: string;
  parts: {
    network: string;
    table: TableJson;
    dims: number[];
    axis: number;
    symbols: number[];
    isStatic: boolean;
    /** Where each symbol is given one. */
    rows?: number[];
  }[];
  packets: { options: Omit<EncodeOptions, "out" | "maxBytes">; hex: string }[];
}

export interface ContextVectors {
  /** Parameters by name, in hex. */
  networks: Record<string, string>;
  cases: ContextVector[];
}

/** Numbers in [0, 1) that are the same in every engine. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
}

/** Rows of geometric frequencies around 0, flatter from row to row, with an escape entry. */
export function testTable(rows: number): TableJson {
  const offsets: number[] = [];
  const cdfs: number[][] = [];
  for (let row = 0; row < rows; row++) {
    const reach = 1 + (row % 12);
    const weights: number[] = [];
    for (let v = -reach; v <= reach; v++) weights.push(Math.floor((60000 * (row + 1)) / (row + 1 + 4 * v * v)) + 1);
    const sum = weights.reduce((a, b) => a + b);
    let cum = 0;
    cdfs.push([0, ...weights.map((weight) => (cum += 1 + Math.floor((weight * 65000) / sum))), 65536]);
    offsets.push(-reach);
  }
  return { offsets, cdfs, medians: offsets.map((_, row) => (row % 5) / 8 - 0.25) };
}

/** Sums of uniform numbers, so mostly small. One in 500 is far outside every row and becomes an escape. */
export function latent(dims: number[], seed: number, spread = 3): TensorLike & { data: Float32Array } {
  const random = generator(seed);
  const data = new Float32Array(dims.reduce((a, b) => a * b, 1)).map(() => {
    const value = (random() + random() + random() - 1.5) * spread;
    return random() < 1 / 500 ? value * 1e6 : value;
  });
  return { type: "float32", dims, data };
}

/** Positive numbers, small ones more often. */
function positive(count: number, seed: number): Float32Array {
  const random = generator(seed);
  return new Float32Array(count).map(() => 0.05 + 40 * random() * random() * random());
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export function fnv(data: ArrayBufferView): string {
  let hash = 0x811c9dc5;
  for (const byte of new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16);
}

type Form = Omit<EncodeOptions, "out">;
const native: Form[] = [
  {},
  { lanes: 1 },
  { lanes: 8 },
  { lanes: 16 },
  { lanes: 32 },
  { checksum: false, fingerprint: false },
  { header: "none" },
  { header: "compact" },
  { header: "compact", checksum: 2 },
];
const forms: Form[] = [...native, { stream: "compressai" }, { stream: "compressai", header: "none" }];

/** Mixtures of three components, a distribution per element. */
function mixtureOf(codec: Codec, dims: number[], kind: NonNullable<MixtureOptions["kind"]>): Prior {
  const n = dims.reduce((a, b) => a * b);
  return codec.mixture(
    { weights: positive(3 * n, 25), means: latent([3 * n], 26, 20).data, scales: positive(3 * n, 27) },
    { components: 3, kind, support: [-40, 40], dims },
  );
}

/** One tensor per packet: every prior in every form. */
function singles(codec: Codec): Outcome[] {
  const list: Outcome[] = [];
  const add = (name: string, tensor: TensorLike, prior: Prior, options = forms) => {
    for (const encode of options) {
      const packet = codec.encode(tensor, prior, encode);
      const { lanes: _, fingerprint: __, ...form } = encode;
      const restored = codec.decode(packet, prior, { ...form, dims: tensor.dims });
      list.push({ name: `${name} ${JSON.stringify(encode)}`, packet: hex(packet), decoded: fnv(restored.data) });
    }
    const { bits, escapes } = codec.rate(tensor, prior);
    list.push({ name: `${name}: rate`, packet: `${bits.toFixed(3)} bits, ${escapes} escapes`, decoded: "" });
  };

  const table = codec.table(testTable(48));
  add("factorized", latent([1, 48, 14, 14], 1), codec.factorized(table));
  add("factorized, step 0.5, batch 2", latent([2, 48, 5, 7], 2), codec.factorized(table, { step: 0.5 }));
  add("one element", latent([1, 48, 1, 1], 6), codec.factorized(table));

  const dims = [1, 16, 12, 16];
  const means = latent(dims, 3).data;
  const scales = positive(means.length, 4);
  const wide = latent(dims, 5, 12);
  add("gaussian", wide, codec.gaussian(scales));
  add("gaussian, means", wide, codec.gaussian(scales, { means }));
  add("gaussian, built here", wide, codec.gaussian(scales, { table: codec.gaussianTable() }));

  const rows = Array.from(scales, (scale) => Math.floor(scale) % 48);
  add("indexed", wide, codec.indexed(table, rows));
  add("int8", { type: "int8", dims, data: Int8Array.from(wide.data) }, codec.indexed(table, rows));

  const small = latent([1, 12, 8, 8], 21, 9);
  for (const kind of ["gaussian", "laplace", "logistic"] as const)
    add(`${kind} mixture`, small, mixtureOf(codec, [1, 12, 8, 8], kind), native);
  return list;
}

/** Packets of every kind of part and a sequence, read back, for each lane count; then CompressAI's strings of the same. */
function severalParts(codec: Codec): Outcome[] {
  const dims = [1, 12, 8, 8];
  const n = 12 * 8 * 8;
  const y = latent(dims, 21, 9);
  const means = latent(dims, 22, 2);
  const scales = { type: "float32", dims, data: positive(n, 23) };
  const [front, back] = [channels(y, 0, 5), channels(y, 5, 12)];
  const backScales = channels(scales, 5, 12);
  const parts: [Prior, Parameters<Codec["encode"]>[0]][] = [
    [codec.factorized(codec.table(testTable(6)), { step: 0.5 }), latent([1, 6, 16, 16], 24)],
    [codec.gaussian(channels(scales, 0, 5), { means: channels(means, 0, 5) }), front],
    [
      codec.gaussian(checkerboardHalf(backScales, 0), { means: checkerboardHalf(channels(means, 5, 12), 0) }),
      checkerboardHalf(back, 0),
    ],
    [codec.gaussian(checkerboardHalf(backScales, 1), { table: codec.laplaceTable() }), checkerboardHalf(back, 1)],
    [codec.gaussian(permute(scales, [0, 2, 3, 1]), { table: codec.logisticTable() }), permute(y, [0, 2, 3, 1])],
    ...(["gaussian", "laplace", "logistic"] as const).map((kind): [Prior, TensorLike] => [
      mixtureOf(codec, dims, kind),
      y,
    ]),
  ];
  const pixel = new Float32Array(12);
  const list: Outcome[] = [];
  for (const lanes of ["auto", 1, 8, 16, 32] as const) {
    const writer = codec.writer({ lanes, guard: 1e-5 });
    const seen = parts.map(([prior, part]) => fnv(writer.write(part, prior, { dequantize: true }).data));
    const pushed = writer.sequence();
    for (let at = 0; at < n; at += 12)
      pushed.next(y.data.subarray(at, at + 12), scales.data.subarray(at, at + 12), undefined, pixel);
    seen.push(fnv(pixel));
    const packet = writer.finish();
    const reader = codec.reader(packet);
    const read = parts.map(([prior]) => fnv(reader.read(prior).data));
    const pulled = reader.sequence();
    for (let at = 0; at < n; at += 12) pulled.next(scales.data.subarray(at, at + 12), undefined, pixel);
    read.push(fnv(pixel));
    reader.finish();
    if (read.join() !== seen.join()) throw new Error(`lanes ${lanes}: the reader sees other values than the writer`);
    list.push({ name: `parts, lanes ${lanes}`, packet: hex(packet), decoded: read.join() });
  }
  const writer = codec.writer({ format: "strings" });
  for (const [prior, part] of parts) writer.write(part, prior);
  const strings = writer.finishStrings();
  const reader = codec.reader(strings);
  const read = parts.map(([prior, part]) => fnv(reader.read(prior, { dims: part.dims }).data));
  reader.finish();
  list.push({ name: "strings", packet: strings.map(hex).join(), decoded: read.join() });
  return list;
}

/** The code of a call's CodecError, the name of another error, or "none". */
export function codeOf(call: () => unknown): string {
  try {
    call();
    return "none";
  } catch (error) {
    // By name, because compiling down to ES5, as for Hermes, makes plain Errors of an Error's subclasses.
    const { name, code } = error as Partial<CodecError>;
    return name === "CodecError" && code ? code : String(error);
  }
}

/** The committed packets under a context, which every engine must write, and what it reads from them. */
function contexts(codec: Codec): Outcome[] {
  const { networks, cases } = vectors as unknown as ContextVectors;
  return cases.flatMap(({ name, parts, packets }) => {
    const own = parts.map(({ network, table, dims, axis, symbols, rows }) => ({
      prior: codec.context(
        bytesOf(networks[network]!),
        rows ? { over: codec.indexed(table, rows), axis } : { table, axis },
      ),
      latent: { type: "int32", dims, data: Int32Array.from(symbols) },
    }));
    return packets.map(({ options, hex: expected }) => {
      const { stream, fingerprint, lanes, ...form } = options;
      const [first] = own;
      let packet: Uint8Array;
      let read: string[];
      if (own.length === 1) {
        const { prior, latent } = first!;
        packet = codec.encode(latent, prior, options);
        const decode = { ...form, ...(stream && { stream }), dims: latent.dims, type: "int32" } as const;
        read = [fnv(codec.decode(packet, prior, decode).data)];
      } else {
        const writer = codec.writer({ ...form, lanes, fingerprint });
        for (const { prior, latent } of own) writer.write(latent, prior);
        packet = writer.finish();
        const reader = codec.reader(packet, form);
        read = own.map(({ prior, latent }) => fnv(reader.read(prior, { dims: latent.dims, type: "int32" }).data));
        reader.finish();
      }
      const what = `context ${name} ${JSON.stringify(options)}`;
      if (hex(packet) !== expected) throw new Error(`${what}: another packet than the committed one`);
      if (read.join() !== own.map(({ latent }) => fnv(latent.data)).join()) throw new Error(`${what}: other symbols`);
      return { name: what, packet: expected, decoded: read.join() };
    });
  });
}

/** What each damage of a packet is refused with. Without its checksum some damage decodes to other symbols, the same in every engine. */
function damages(codec: Codec): Outcome[] {
  const table = codec.table(testTable(8));
  const prior = codec.factorized(table);
  const tensor = latent([1, 8, 5, 5], 31);
  const list: Outcome[] = [];
  for (const checksum of [true, false]) {
    const packet = codec.encode(tensor, prior, { checksum });
    const flipped = Array.from(packet, (byte, at) => {
      const damaged = packet.slice();
      damaged[at] = byte ^ (1 << (at % 8));
      let decoded = "";
      const code = codeOf(() => {
        decoded = fnv(codec.decode(damaged, prior, { maxElements: 1000 }).data);
      });
      return code + decoded;
    });
    const cut = Array.from(packet, (_, length) => codeOf(() => codec.decode(packet.subarray(0, length), prior)));
    const name = `damage, ${checksum ? "with" : "without"} a checksum`;
    if (checksum && [...flipped, ...cut].some((code) => !/^[A-Z_]+$/.test(code)))
      throw new Error(`${name}: a packet is not refused with a CodecError: ${[...flipped, ...cut]}`);
    list.push({ name, packet: [...flipped, ...cut].join(), decoded: "" });
  }
  const packet = codec.encode(tensor, prior);
  const wrong = [
    () => codec.decode(packet, codec.factorized(table, { step: 2 })),
    () => codec.decode(packet, prior, { dims: [1, 8, 5, 6] }),
    () => codec.decode(packet, prior, { maxElements: 10 }),
    () => codec.encode({ ...tensor, data: tensor.data.map(() => Number.NaN) }, prior),
    () => codec.encode({ ...tensor, dims: [1, 7, 5, 5] }, prior),
    () => codec.table({ offsets: [0], cdfs: [[0, 9, 9, 65536]] }),
  ].map(codeOf);
  return [...list, { name: "codes of errors", packet: wrong.join(), decoded: "" }];
}

/** Everything that an engine must agree on. */
export function outcomes(codec: Codec): Outcome[] {
  const tables = (["gaussianTable", "laplaceTable", "logisticTable"] as const).map((name) => ({
    name,
    packet: codec[name]().fingerprint,
    decoded: "",
  }));
  return [...tables, ...singles(codec), ...severalParts(codec), ...contexts(codec), ...damages(codec)];
}
