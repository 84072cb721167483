// What the Python package is compared with: messages, packets and damaged packets as one JSON file. A codec that only takes notes says how each prior is made.
import { crc32 } from "node:zlib";
import { type Codec, CodecError, type Prior, type ReaderOptions, type TableJson, type WriterOptions } from "latentwire";
import { channelGroups, type Family, type Net, type Tensors, variableRate } from "latentwire/onnx";
import { createPacketFile, type Damage, openPacketFile, StreamError } from "latentwire/packet-file";
import { type Random, random, type Sample, scaledTable } from "./cases.js";
import { givenSample, randomNetwork, uselessTable } from "./context-cases.js";
import { tensorBy } from "./family-cases.js";
import { type Case, packetCases } from "./fuzz/packet-cases.js";
import { type Options, writeParts } from "./io.js";
import { lists, samples } from "./messages.js";
import { damageStream, mutate } from "./mutate.js";

const base64 = (array: ArrayBufferView): string =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");

/** A value as JSON: typed arrays and tensors as their bytes. */
function plain(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) {
    const type = Object.prototype.toString.call(value).slice(8, -6).toLowerCase();
    return { array: base64(value), type };
  }
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  const { type, dims, data } = value as { type?: string; dims?: number[]; data?: ArrayBufferView };
  if (type !== undefined && dims && data) return { array: base64(data), type, dims };
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

const KINDS = ["factorized", "context", "indexed", "gaussian", "mixture"] as const;

/** How a sample's prior is made: the method of the codec and its arguments. */
function noted(sample: Sample): unknown {
  const notes = Object.fromEntries(
    KINDS.map((call) => [call, (...args: unknown[]) => ({ call, args: args.map(plain) })]),
  );
  return sample.prior(notes as unknown as Codec);
}

const part = (sample: Sample) => ({
  prior: noted(sample),
  latent: plain(sample.latent),
  values: plain({ type: "float32", dims: sample.dims, data: sample.values }),
});

/** A message, and the packets that the JavaScript package writes. */
export interface Message {
  readonly name: string;
  readonly samples: readonly Sample[];
  readonly forms: readonly { readonly options: Options; readonly packet: Uint8Array }[];
}

const compactForms: readonly Options[] = [{ header: "compact", checksum: 2, lanes: 1 }, { header: "none" }];

function formsOf(parts: readonly Sample[]): Options[] {
  const hasMixture = parts.some(({ reference }) => reference.kind === "mixture");
  const guard = hasMixture ? 2e-4 : 0.004;
  const strings = parts.length === 1 && !hasMixture ? [{}, ...compactForms.map(({ lanes, ...form }) => form)] : [];
  return [
    {},
    { lanes: 32, guard },
    { lanes: 8, indexChecks: true, fingerprint: false, checksum: false },
    ...compactForms,
    { header: "compact", lanes: 16, guard },
    ...strings.map((form) => ({ ...form, stream: "compressai" as const })),
  ];
}

/** Contexts over rows that each symbol is given. */
function given(): [string, Sample[]][] {
  const rng = random(31);
  const parameters = randomNetwork(rng, { channels: 3, active: 2, H: 32, given: 6, ends: [-9, 9] });
  const style = { table: uselessTable(6), scaleTable: scaledTable(rng, 6).scaleTable, parameters };
  const [plainRows, floats] = [
    givenSample(rng, [2, 3, 9, 8], style),
    givenSample(rng, [2, 3, 5, 6], { ...style, means: true, step: 0.3, float: true }),
  ] as const;
  return [
    ["a context over scales", [plainRows]],
    ["a context over scales and means", [floats]],
    ["contexts over scales, in parts", [plainRows, floats, plainRows]],
  ];
}

/** All messages; of the quick tier one form in `every`, another with each message. */
export function messagesOf(codec: Codec, every: number): Message[] {
  const all = [
    ...Object.entries(samples).map(([name, sample]) => [name, [sample]] as const),
    ...Object.entries(lists),
    ...given(),
  ];
  return all.map(([name, parts], i) => ({
    name,
    samples: parts,
    forms: formsOf(parts)
      .filter((_, k) => (i + k) % every === 0)
      .map((options) => {
        const { stream, guard, indexChecks, ...common } = options;
        const isWritten = parts.length !== 1 || guard !== undefined || indexChecks !== undefined;
        const packet = isWritten
          ? writeParts(codec, parts, { guard, indexChecks, ...common } as WriterOptions)
          : codec.encode(parts[0]!.latent, parts[0]!.prior(codec), { ...common, stream });
        return { options, packet };
      }),
  }));
}

/** What a packet is read as: a checksum of its symbols, or the code and message of the error. */
function outcomeOf(codec: Codec, priors: readonly Prior[], { parts, options }: Case, packet: Uint8Array): string {
  const { header, checksum, stream } = options;
  try {
    const isStated = header !== undefined && header !== "packet";
    if (parts.length === 1) {
      const dims = isStated ? { dims: parts[0]!.dims } : {};
      const found = codec.decode(packet, priors[0]!, { header, checksum, stream, ...dims, type: "int32" });
      return `read ${crc32(found.data)}`;
    }
    const reader = codec.reader(packet, { header, checksum } as ReaderOptions);
    const sums = priors.map((prior, i) => {
      const withDims = isStated || parts[i]!.reference.kind === "rows";
      return crc32(reader.read(prior, { type: "int32", ...(withDims && { dims: parts[i]!.dims }) }).data);
    });
    reader.finish();
    return `read ${sums}`;
  } catch (error) {
    if (error instanceof CodecError) return `${error.code}: ${error.message}`;
    return String((error as Error).name);
  }
}

/** Damaged packets of every form and prior, and what the JavaScript package makes of them. */
function damaged(codec: Codec, each: number): unknown[] {
  const rng: Random = random(77);
  const cases = packetCases(codec);
  return cases.map((one) => {
    const other = cases[rng(cases.length)]!.packet;
    const packets = [one.packet, ...Array.from({ length: each }, () => mutate(one.packet, rng, other))];
    return {
      name: one.name,
      options: one.options,
      parts: one.parts.map((sample) => ({
        prior: noted(sample),
        dims: sample.dims,
        isPlain: sample.reference.kind === "rows",
      })),
      packets: packets.map((packet) => [base64(packet), outcomeOf(codec, one.priors, one, packet)]),
    };
  });
}

/** A packet file, damaged ones, and what the JavaScript package reads of each: with and without its index, skipping damage or not. */
async function damagedFiles(codec: Codec, count: number): Promise<unknown[]> {
  const rng = random(83);
  const chunks: Uint8Array[] = [];
  const writer = await createPacketFile({ write: (bytes) => void chunks.push(bytes) });
  for (const [i, { packet }] of packetCases(codec).slice(0, 12).entries())
    await writer.add(packet.subarray(0, 300), i % 5 === 4 ? "" : `latents/Bild ${i} \u00e4\u{1f600}.npy`);
  await writer.close();
  const whole = new Uint8Array(Buffer.concat(chunks));
  const found: unknown[] = [];
  for (let i = 0; i < count; i++) {
    const isCut = i % 5 === 4;
    const file = i === 0 ? whole : isCut ? whole.slice(0, rng(whole.length)) : damageStream(whole, rng).bytes;
    for (const [index, skips] of [
      [true, true],
      [false, i % 2 === 0],
    ] as const)
      found.push([base64(file), index, skips, await fileOutcome(file, index, skips)]);
  }
  return found;
}

async function fileOutcome(bytes: Uint8Array, index: boolean, skips: boolean): Promise<unknown> {
  const damages: unknown[] = [];
  const onDamage = ({ offset, bytes: lost, code, message }: Damage) => damages.push([offset, lost, code, message]);
  try {
    const file = await openPacketFile(bytes, { index, ...(skips && { damaged: "skip", onDamage }) });
    const records: unknown[] = [];
    for await (const { number, name, packet } of file.records()) records.push([number, name, crc32(packet)]);
    return [file.state, file.end, records, damages];
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return [error.code, error instanceof StreamError ? error.offset : null, error.message];
  }
}

const TABLE: TableJson = { offsets: [-2, -2], cdfs: Array(2).fill([0, 13000, 26000, 39000, 52000, 65000, 65536]) };

/**
 * Families whose networks give recorded answers, and what the JavaScript package writes. Those of CompressAI's own models are in
 * test/vectors/families.json.
 */
export async function familiesOf(codec: Codec): Promise<unknown[]> {
  const rng = random(19);
  const prior = codec.factorized(TABLE);
  const y = tensorBy([1, 4, 4, 4], () => 8 * rng.unit() - 4);
  const drawn = (dims: number[], low: number, high: number) => tensorBy(dims, () => low + (high - low) * rng.unit());
  const written = async <M extends D, D, X>(
    name: string,
    family: Family<M, D, X>,
    fields: object,
    nets: Record<string, () => Tensors>,
    joined: (nets: Record<string, Net>) => object,
    options: object = {},
  ) => {
    const answers: Record<string, unknown[]> = {};
    const taken = Object.entries(nets).map(([net, make]) => {
      answers[net] = [];
      const run = () => {
        const found = make();
        answers[net]!.push(plain(found));
        return found;
      };
      return [net, run] as const;
    });
    const model = { prior, ...fields, ...joined(Object.fromEntries(taken)) } as unknown as M;
    const { packet, latent, shape } = await family.encode(codec, model, y, options as never);
    const found = Array.isArray(packet) ? packet.map(base64) : base64(packet as Uint8Array);
    return { name, fields, options, shape, table: TABLE, y: plain(y), packet: found, latent: plain(latent), answers };
  };
  const h_a = () => ({ z: drawn([1, 2, 2, 2], -2, 2) });
  const group = (c: number) => () => ({
    scales: drawn([1, c, 4, 4], 0.2, 3),
    means: drawn([1, c, 4, 4], -1, 1),
    support: drawn([1, 1, 4, 4], -1, 1),
  });
  const refined = (c: number) => () => ({ refined: drawn([1, c, 4, 4], -3, 3) });
  const slices = {
    ...{ h_a, h_s: () => ({ psi: drawn([1, 3, 4, 4], -1, 1) }) },
    ...{ net0: group(1), net1: group(3), refine0: refined(1), refine1: refined(3) },
  };
  const ofSlices = ({ net0, net1, refine0, refine1, ...hyper }: Record<string, Net>) => ({
    ...hyper,
    nets: [net0, net1],
    refine: [refine0, refine1],
  });
  const rates = {
    h_a,
    h_s: () => ({
      scales: drawn([1, 4, 4, 4], 0.2, 3),
      means: drawn([1, 4, 4, 4], -1, 1),
      offsets: drawn([1, 4, 4, 4], -0.3, 0),
    }),
  };
  const bare = { h_a, h_s: () => ({ scales: drawn([1, 4, 4, 4], 0.2, 3) }) };
  const pixels = {
    ...{ h_a, h_s: () => ({ psi: drawn([1, 3, 4, 4], -1, 1) }) },
    pixel: () => ({
      scales: drawn([1, 4, 1, 1], 0.2, 3),
      means: drawn([1, 4, 1, 1], -1, 1),
      offsets: drawn([1, 4, 1, 1], -0.3, 0),
    }),
  };
  const same = (nets: Record<string, Net>) => nets;
  const strings = { format: "strings" } as const;
  const groups = { groups: [1, 3], oneString: true };
  const gains = { gains: [0.5, 1.7] };
  return [
    await written("channel_groups", channelGroups, groups, slices, ofSlices),
    await written("channel_groups", channelGroups, groups, slices, ofSlices, strings),
    await written("channel_groups", channelGroups, { groups: [1, 3] }, slices, ofSlices, strings),
    await written("variable_rate", variableRate, gains, rates, same, { level: 1 }),
    await written("variable_rate", variableRate, gains, rates, same, { level: 0, ...strings }),
    await written("variable_rate", variableRate, gains, bare, same, { level: 1 }),
    await written("variable_rate", variableRate, { ...gains, channels: 4, kernel: 3 }, pixels, same, { level: 1 }),
  ];
}

/** Everything as JSON. */
export const manifestOf = async (codec: Codec, messages: readonly Message[], each: number): Promise<string> =>
  JSON.stringify({
    families: await familiesOf(codec),
    messages: messages.map(({ name, samples: parts, forms }) => ({
      name,
      parts: parts.map(part),
      forms: forms.map(({ options, packet }) => ({
        ...{ options, packet: base64(packet) },
        ...((options.header ?? "packet") === "packet" && { info: codec.inspect(packet) }),
      })),
    })),
    damaged: damaged(codec, each),
    packetFiles: await damagedFiles(codec, 100 * each),
    rates: messages
      .filter(({ samples: { length } }) => length === 1)
      .map(({ name, samples: [one] }) => {
        const { bits, escapes, warning, channels } = codec.rate(one!.latent, one!.prior(codec), { axis: 0 });
        return { name, part: part(one!), bits, escapes, warning, channels: [...channels.bits] };
      }),
  });
