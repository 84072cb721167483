// What the Python package is compared with: messages, packets and damaged packets as one JSON file. A codec that only takes notes says how each prior is made.
import { crc32 } from "node:zlib";
import { type Codec, CodecError, type Prior, type ReaderOptions, type WriterOptions } from "latentwire";
import { type Random, random, type Sample, scaledTable } from "./cases.js";
import { givenSample, randomNetwork, uselessTable } from "./context-cases.js";
import { type Case, packetCases } from "./fuzz/packet-cases.js";
import { type Options, writeParts } from "./io.js";
import { lists, samples } from "./messages.js";
import { mutate } from "./mutate.js";

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

/** Everything as JSON. */
export const manifestOf = (codec: Codec, messages: readonly Message[], each: number): string =>
  JSON.stringify({
    version: 1,
    messages: messages.map(({ name, samples: parts, forms }) => ({
      name,
      parts: parts.map(part),
      forms: forms.map(({ options, packet }) => ({
        ...{ options, packet: base64(packet) },
        ...((options.header ?? "packet") === "packet" && { info: codec.inspect(packet) }),
      })),
    })),
    damaged: damaged(codec, each),
    rates: messages
      .filter(({ samples: { length } }) => length === 1)
      .map(({ name, samples: [one] }) => {
        const { bits, escapes, warning, channels } = codec.rate(one!.latent, one!.prior(codec), { axis: 0 });
        return { name, part: part(one!), bits, escapes, warning, channels: [...channels.bits] };
      }),
  });
