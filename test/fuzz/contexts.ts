// Context priors (docs/format.md section 10): damaged parameters, and damaged packets under a context. Parameters that are taken must code any latent and decode
// it again, in every build to the same bytes.
import { type Codec, CodecError, type CreateOptions, createSync, type EncodeOptions, type Prior } from "latentwire";
import { xxh32 } from "../../tables/xxh32.js";
import { watchedOf } from "../builds.js";
import { makeTable, type Random, random } from "../cases.js";
import { type NetworkShape, randomNetwork } from "../context-cases.js";
import { contextToBytes, xxh64 } from "../reference.js";
import { type Input, type Target, WrongSuccess } from "./engine.js";
import { anyNumber, editVarint, mutateFields, setWord } from "./fields.js";
import { hashOf } from "./packets.js";

const CHANNELS = 3;
const dims = [1, CHANNELS, 4, 5];
const table = makeTable(random(91), { rows: CHANNELS, entries: 12, flavour: "peaked" });
const rng = random(92);
const symbols = Int32Array.from({ length: 60 }, (_, i) => Math.round(3 * Math.sin(i * i) + rng.unit()));
const latent = { type: "int32", dims, data: symbols };
/** For parameters over rows that each symbol is given: bit 7 of the byte of the taps says so. */
const rows = Uint8Array.from(symbols, (_, i) => i % CHANNELS);
const TAPS = 6;

/** Bytes before the list of active channels, and before the first one's numbers. */
const HEAD = 9;

function sealed(bytes: Uint8Array): Uint8Array {
  if (bytes.length < 8) return bytes;
  new DataView(bytes.buffer).setBigUint64(bytes.length - 8, xxh64(bytes.subarray(0, -8)), true);
  return bytes;
}

/** Small networks; with large numbers sums saturate and wrap. */
const shapes: readonly Omit<NetworkShape, "channels">[] = [
  { active: 2, H: 32, Z: 8, taps: 12, ends: [-9, 9] },
  { active: 1, H: 32, Z: 16, taps: 20, temper: "wild" },
  { active: 3, H: 64, Z: 8, taps: 12, temper: "extreme" },
  { active: 2, H: 32, Z: 8, taps: 12, given: CHANNELS },
];
const parameters = shapes.map((shape) => contextToBytes(randomNetwork(rng, { channels: CHANNELS, ...shape })));

/** How a packet is written and read. */
const forms: readonly EncodeOptions[] = [
  { lanes: 1 },
  { lanes: 8 },
  { header: "compact" },
  { header: "none" },
  { checksum: false, fingerprint: false },
];

/** Variants below this number are parameters, the others packets. */
const PACKETS = parameters.length;
/** Work of a symbol under a context is that of a hundred others. */
const MAX_ELEMENTS = 1 << 10;
const MAX_WASM = 1 << 24;

class ContextTarget implements Target {
  readonly name = "contexts";
  readonly kind = "packets";
  readonly every = 16;
  readonly seeds: readonly Input[];
  readonly #options: CreateOptions;
  readonly #packets: readonly Uint8Array[];
  #codecs: ReturnType<typeof watchedOf>;
  #prior: Prior;
  #hash = 0;

  constructor(options: CreateOptions) {
    this.#options = options;
    [this.#codecs, this.#prior] = this.#fresh();
    const { codec } = this.#codecs;
    const far = { ...latent, data: symbols.map((symbol, i) => symbol + (i % 7 ? 0 : 100 + i)) };
    const other = codec.factorized(table);
    const writer = codec.writer();
    writer.write(latent, this.#prior);
    writer.write(latent, other);
    this.#packets = [
      ...forms.map((form) => codec.encode(latent, this.#prior, form)),
      // Its rows are static.
      codec.encode(far, this.#prior),
      writer.finish(),
    ];
    const bytes = [...parameters, ...this.#packets];
    this.seeds = bytes.map((one, variant) => ({ bytes: one, variant, salt: 1, forged: false }));
  }

  /** Loaded parameters stay in memory. */
  #fresh(): [ReturnType<typeof watchedOf>, Prior] {
    const codecs = watchedOf(() => createSync(this.#options));
    return [codecs, codecs.codec.context(parameters[0], { table })];
  }

  digest(): number {
    return this.#hash;
  }

  wasmBytes(): number {
    return this.#codecs.bytes();
  }

  mutate({ bytes, variant, forged }: Input, rng: Random, other: Input): Pick<Input, "bytes" | "forged"> {
    if (variant < PACKETS) {
      const damaged = damageParameters(bytes, rng, other.bytes);
      return rng(8) ? { bytes: sealed(damaged), forged: true } : { bytes: damaged, forged };
    }
    const damaged = mutateFields(bytes, rng, other.bytes, { reach: 24 });
    if (rng(4) === 0 || damaged.length < 5) return { bytes: damaged, forged };
    const out = damaged.slice();
    setWord(out, out.length - 4, 4, xxh32(out.subarray(0, -4)));
    return { bytes: out, forged: true };
  }

  run({ bytes, variant, forged }: Input): string {
    this.#hash = 0;
    if (this.#codecs.bytes() > MAX_WASM) [this.#codecs, this.#prior] = this.#fresh();
    const { codec } = this.#codecs;
    try {
      if (variant < PACKETS) return this.#roundTrip(codec, bytes, forged);
      return this.#read(codec, bytes, variant - PACKETS, forged);
    } catch (error) {
      if (error instanceof CodecError) return error.code;
      throw error;
    }
  }

  #roundTrip(codec: Codec, bytes: Uint8Array, forged: boolean): string {
    const isGiven = bytes.length > TAPS && bytes[TAPS] > 127;
    const prior = codec.context(bytes, isGiven ? { over: codec.indexed(table, rows) } : { table });
    const packet = codec.encode(latent, prior, { checksum: false });
    this.#hash = hashOf(0, packet);
    const { data } = codec.decode(packet, prior, { type: "int32" });
    for (let i = 0; i < symbols.length; i++)
      if (data[i] !== symbols[i]) throw new WrongSuccess(`symbol ${i} is ${data[i]} instead of ${symbols[i]}`);
    return forged ? "forged" : "ok";
  }

  #read(codec: Codec, bytes: Uint8Array, index: number, forged: boolean): string {
    const form = forms[index] ?? {};
    const limits = { maxElements: MAX_ELEMENTS, maxContextElements: MAX_ELEMENTS };
    const isSeveral = index === this.#packets.length - 1;
    if (isSeveral) {
      const reader = codec.reader(bytes, limits);
      for (const prior of [this.#prior, codec.factorized(table)])
        this.#hash = hashOf(this.#hash, reader.read(prior, { type: "int32" }).data);
      reader.finish();
    } else {
      const given = { ...limits, header: form.header, ...(form.header && { dims }), type: "int32" } as const;
      this.#hash = hashOf(0, codec.decode(bytes, this.#prior, given).data);
    }
    const isChecked = form.header ? form.header === "compact" : (bytes[1] & 1) === 1;
    if (!isChecked) return "unchecked";
    if (forged) return "forged";
    // A splice may be another packet as a whole.
    if (this.#packets.some((packet) => Buffer.compare(packet, bytes) === 0)) return "ok";
    throw new WrongSuccess("other bytes than the writer's passed the checksum");
  }
}

/** The header, a channel's numbers, or weights. */
function damageParameters(bytes: Uint8Array, rng: Random, other: Uint8Array): Uint8Array {
  if (rng(4) === 0) return editVarint(bytes, rng, HEAD + 8).slice();
  if (rng(3) === 0) return mutateFields(bytes, rng, other, { reach: HEAD + 8 }).slice();
  const out = bytes.slice();
  for (let count = 1 + rng(40); count > 0; count--) {
    const at = HEAD + rng(Math.max(1, out.length - HEAD));
    out[at] = [0, 127, 129, 128, 8, anyNumber(rng, out[at])][rng(6)];
  }
  return out;
}

export const openContexts = (options: CreateOptions): Target => new ContextTarget(options);
