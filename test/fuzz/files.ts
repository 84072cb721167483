// Damaged files: tables, bundles, checkpoints and arrays. Each reader gives a result or throws a CodecError. What has a checksum of its own, or one
// canonical form, must be what was written.
import { type Codec, type CodecError, type CreateOptions, createSync } from "latentwire";
import { loadBundle, readBundle } from "latentwire/bundle";
import { MemorySource } from "../../tables/byte-source.js";
import { openCheckpoint } from "../../tables/checkpoint.js";
import { coreLatent, readLatent } from "../../tables/cli-latent.js";
import { openTables } from "../../tables/cli-prior.js";
import { importModels } from "../../tables/entropy-models.js";
import { isNpy, readNpy } from "../../tables/npy.js";
import { readPickle } from "../../tables/pickle.js";
import { floats } from "../../tables/stored-tensor.js";
import { xxh32 } from "../../tables/xxh32.js";
import { watchedOf } from "../builds.js";
import type { Random } from "../cases.js";
import { tableFromBytes, tableToBytes, xxh64 } from "../reference.js";
import { mutatePickle, mutateZip } from "./archives.js";
import { type Input, type Target, WrongSuccess } from "./engine.js";
import { anyNumber, editVarint, mutateFields, mutateJson, setWord, wordAt } from "./fields.js";
import { fileSeeds, kept } from "./file-seeds.js";
import { hashOf } from "./packets.js";

const latin = new TextDecoder("latin1");
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const textHash = (hash: number, text: string): number => hashOf(hash, Buffer.from(text));
const wrong = (message: string): never => {
  throw new WrongSuccess(message);
};

type Damaged = Pick<Input, "bytes" | "forged">;
export type Mutation = (bytes: Uint8Array, rng: Random, other: Uint8Array) => Damaged;

// ---- damage, by the kind of file

const zipWords = [
  "PK\x03\x04",
  "PK\x01\x02",
  "PK\x05\x06",
  "PK\x06\x06",
  "PK\x06\x07",
  "data.pkl",
  "\x00\x00\x00\x00",
].map(bytesOf);
const npyWords = [
  ...[
    "'descr'",
    "'fortran_order'",
    "'shape'",
    "'<f4'",
    "'|i1'",
    "'>f8'",
    "'<f2'",
    "'|b1'",
    "'<u8'",
    "'|O'",
    "True",
    "False",
  ],
  ...[
    "(",
    ")",
    "(1,)",
    "(0,)",
    "()",
    "(4294967296, 4294967296)",
    "(9007199254740993,)",
    "2L",
    ",",
    ":",
    "{",
    "}",
    '"',
    "\n",
    "[('a', '<f4')]",
  ],
].map(bytesOf);

const forged = (bytes: Uint8Array): Damaged => ({ bytes, forged: true });
const plainly = (bytes: Uint8Array): Damaged => ({ bytes, forged: false });

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The header is damaged as text, its length put right. */
function damageNpy(bytes: Uint8Array, rng: Random, other: Uint8Array): Uint8Array {
  const width = bytes[6] === 1 ? 2 : 4;
  const start = 8 + width;
  const end = start + wordAt(bytes, 8, width);
  if (rng(3) === 0 || end > bytes.length) return mutateFields(bytes, rng, other, { words: npyWords });
  const header = mutateFields(bytes.slice(start, end), rng, other.slice(10, 90), { words: npyWords });
  const head = bytes.slice(0, start);
  setWord(head, 8, width, header.length);
  return joined(head, header, bytes.subarray(end));
}

/** The header is damaged as JSON, its length put right. */
function damageSafetensors(bytes: Uint8Array, rng: Random, other: Uint8Array): Uint8Array {
  const end = 8 + wordAt(bytes, 0, 4);
  if (rng(4) === 0 || end > bytes.length) return mutateFields(bytes, rng, other, {});
  const twin = other.subarray(8, 8 + wordAt(other, 0, 4));
  const json = bytesOf(mutateJson(latin.decode(bytes.subarray(8, end)), rng, latin.decode(twin)));
  const head = new Uint8Array(8);
  setWord(head, 0, 8, json.length);
  return joined(head, json, bytes.subarray(end));
}

function sealBundle(bytes: Uint8Array): Damaged {
  if (bytes.length < 5) return plainly(bytes);
  setWord(bytes, bytes.length - 4, 4, xxh32(bytes.subarray(0, -4)));
  return forged(bytes);
}

/** The directory as JSON, or the tables behind it; three times in four under a right checksum. */
function damageBundle(bytes: Uint8Array, rng: Random, other: Uint8Array): Damaged {
  const end = 8 + wordAt(bytes, 4, 4);
  if (rng(4) === 0 || end + 4 > bytes.length) return plainly(mutateFields(bytes, rng, other, {}));
  const directory = bytes.subarray(8, end);
  const blobs = bytes.subarray(end, bytes.length - 4);
  const head = bytes.slice(0, 8);
  let json = directory;
  let tables = blobs;
  if (rng(3) > 0) {
    const twin = other.subarray(8, 8 + wordAt(other, 4, 4));
    json = bytesOf(mutateJson(latin.decode(directory), rng, latin.decode(twin)));
  } else if (rng(2) && blobs.length > 0) tables = mutateFields(blobs, rng, blobs, { reach: blobs.length });
  else {
    // The scales and places stay; a float of theirs becomes another.
    tables = blobs.slice();
    if (tables.length > 4) setWord(tables, rng(tables.length - 3), 4, anyNumber(rng, 0x3f800000));
  }
  setWord(head, 4, 4, json.length);
  return sealBundle(joined(head, json, tables, new Uint8Array(4)));
}

/** JSON by its tokens; a binary form by its varints, half of the time under a right fingerprint. */
function damageTable(bytes: Uint8Array, rng: Random, other: Uint8Array): Damaged {
  if (bytes[0] === 0x7b) {
    if (rng(8) === 0) return forged(mutateFields(bytes, rng, other, {}));
    return forged(bytesOf(mutateJson(latin.decode(bytes), rng, latin.decode(other))));
  }
  const out = rng(2) ? editVarint(bytes, rng, bytes.length) : mutateFields(bytes, rng, other, { reach: 24 });
  if (rng(2) || out.length < 9) return plainly(out);
  const sealed = out.slice();
  new DataView(sealed.buffer).setBigUint64(sealed.length - 8, xxh64(sealed.subarray(0, -8)), true);
  return forged(sealed);
}

const member = (name: string, data: Uint8Array, rng: Random, other: Uint8Array): Uint8Array =>
  name.endsWith(".pkl")
    ? mutatePickle(data, rng, other)
    : name.endsWith(".npy")
      ? damageNpy(data, rng, other)
      : mutateFields(data, rng, other, {});

// ---- what reads

/** What a target has: a codec that is made anew now and then, because each table that it has loaded stays. */
interface Reader {
  readonly codec: Codec;
  /** Whether these are the bytes of a file as it was written; a splice may be another one as a whole. */
  isWritten(bytes: Uint8Array): boolean;
  readonly salt: number;
  readonly forged: boolean;
}

/** Reads; returns what it read as a hash, and whether a checksum vouches for it. */
type Read = (
  bytes: Uint8Array,
  reader: Reader,
) => { hash: number; checked: boolean } | Promise<{ hash: number; checked: boolean }>;

function tableHash(codec: Codec, bytes: Uint8Array): number {
  const table = codec.table(bytes);
  const binary = table.bytes();
  // A writer may have put -0 there. JSON has no -0.
  if (table.medians?.some((median) => Object.is(median, -0))) return hashOf(0, binary);
  // One table has one binary form. Once it has been loaded, nothing of it may be refused: an error here is no refusal of the input.
  const again = loaded(() => codec.table(JSON.parse(JSON.stringify(table))).bytes());
  if (Buffer.compare(again, binary) !== 0) wrong("its JSON form is another table");
  if (
    Buffer.compare(
      loaded(() => tableToBytes(tableFromBytes(binary))),
      binary,
    ) !== 0
  )
    wrong("the reference reads another table");
  return hashOf(0, binary);
}

function loaded<R>(action: () => R): R {
  try {
    return action();
  } catch (error) {
    return wrong(`a table that was loaded is refused afterwards: ${error}`);
  }
}

const readTable: Read = (bytes, { codec }) => {
  const isBinary = bytes[0] === 0x4c && bytes[1] === 0x57 && bytes[2] === 0x54;
  const bundle = openTables(codec, bytes, "indexed");
  const binary = bundle.table(codec, "table").bytes();
  if (isBinary && Buffer.compare(binary, bytes) !== 0) wrong("another binary form than the table's own was read");
  return { hash: tableHash(codec, binary), checked: isBinary };
};

function bundleHash(bundle: ReturnType<typeof readBundle>, codec: Codec): number {
  let hash = 0;
  for (const entry of bundle.entries) {
    const { name, kind, axis } = entry;
    const table = bundle.table(codec, name);
    if (table.rows !== entry.rows || table.fingerprint !== entry.fingerprint) wrong(`${name} is another table`);
    hash = hashOf(hash, table.bytes());
    if (kind === "gaussian") bundle.gaussian(codec, name, Float32Array.of(1));
    else if (kind === "factorized") bundle.factorized(codec, name);
    else bundle.indexed(codec, name, [0]);
    hash = textHash(hash, `${name} ${kind} ${axis} ${entry.step}`);
  }
  return textHash(hash, JSON.stringify([bundle.entries, bundle.meta]));
}

const readBundles: Read = (bytes, { codec, isWritten, salt, forged }) => {
  const judged = (bundle: ReturnType<typeof readBundle>) => {
    const hash = bundleHash(bundle, codec);
    if (!forged && !isWritten(bytes)) wrong("other bytes than the writer's passed the checksum");
    return { hash, checked: true };
  };
  // As bytes, now and then as a Blob, whose bytes come later.
  if (salt % 64 === 0) return loadBundle(new Blob([bytes as Uint8Array<ArrayBuffer>])).then(judged);
  if (salt % 64 === 1) return loadBundle(bytes).then(judged);
  return judged(readBundle(bytes));
};

const readCheckpoint: Read = (bytes, { codec }) => {
  const { models, failed } = importModels(codec, openCheckpoint(new MemorySource(bytes)));
  let hash = failed.length;
  for (const { input, from, notes } of models) {
    const { table } = input;
    hash = hashOf(
      textHash(hash, `${input.name} ${input.kind} ${from} ${notes}`),
      "bytes" in table ? table.bytes() : table,
    );
  }
  return { hash, checked: false };
};

const readArray: Read = (bytes, { salt }) => {
  const source = new MemorySource(bytes);
  if (salt % 2 || !isNpy(bytes)) {
    const stored = readNpy(source);
    return { hash: hashOf(stored.shape.length, floats(stored, "a")), checked: false };
  }
  // As the command line does, in pieces.
  const { dims, read } = coreLatent(readLatent(source, {}, "a"), "a");
  const count = dims.reduce((a, b) => a * b, 1);
  const middle = Math.floor((count * ((salt >>> 8) % 16)) / 16);
  return { hash: hashOf(hashOf(dims.length, read(0, middle)), read(middle, count)), checked: false };
};

const readPickles: Read = (bytes) => {
  const value = readPickle(bytes);
  return { hash: textHash(0, Object.prototype.toString.call(value)), checked: false };
};

// ---- targets

export const mutations: Record<string, Mutation> = {
  tables: damageTable,
  bundles: damageBundle,
  npy: (bytes, rng, other) => plainly(damageNpy(bytes, rng, other)),
  npz: (bytes, rng, other) => plainly(mutateZip(bytes, rng, other, member, zipWords)),
  torch: (bytes, rng, other) => plainly(mutateZip(bytes, rng, other, member, zipWords)),
  pickles: (bytes, rng, other) => plainly(mutatePickle(bytes, rng, other)),
  safetensors: (bytes, rng, other) => plainly(damageSafetensors(bytes, rng, other)),
};

const readers: Record<string, Read> = {
  tables: readTable,
  bundles: readBundles,
  npy: readArray,
  npz: readCheckpoint,
  torch: readCheckpoint,
  pickles: readPickles,
  safetensors: readCheckpoint,
};

/** Bytes of Wasm memory at which a codec is made anew, with the tables of some thousand inputs in it. */
const MAX_WASM = 1 << 24;
/** Files grow by splices; a larger one is cut. */
const MAX_FILE = 16_384;

class FileTarget implements Target {
  readonly kind = "files";
  readonly every = 16;
  readonly seeds: readonly Input[];
  readonly #options: CreateOptions;
  #codecs: ReturnType<typeof watchedOf>;
  #tables = 0;
  #hash = 0;
  #most = 0;

  constructor(
    readonly name: string,
    options: CreateOptions,
  ) {
    this.#options = options;
    this.#codecs = this.#fresh();
    this.seeds = [...fileSeeds[name](this.#codecs.codec), ...kept(name)].map((bytes, variant) => ({
      bytes,
      variant,
      salt: variant,
      forged: false,
    }));
  }

  #fresh(): ReturnType<typeof watchedOf> {
    this.#tables = 0;
    return watchedOf(() => createSync(this.#options));
  }

  mutate({ bytes, forged: was }: Input, rng: Random, other: Input): Damaged {
    const { bytes: damaged, forged: is } = mutations[this.name](bytes, rng, other.bytes);
    return { bytes: damaged.length > MAX_FILE ? damaged.slice(0, MAX_FILE) : damaged, forged: was || is };
  }

  run({ bytes, salt, forged }: Input): string | Promise<string> {
    this.#hash = 0;
    if (this.#codecs.bytes() > MAX_WASM || this.#tables > 3000) this.#codecs = this.#fresh();
    const judged = ({ hash, checked }: { hash: number; checked: boolean }) => {
      this.#hash = hash;
      this.#tables++;
      this.#most = Math.max(this.#most, this.#codecs.bytes());
      return checked ? (forged ? "forged" : "ok") : "unchecked";
    };
    const refused = (error: unknown) => {
      // By name: tables/ runs from its sources here, and some of it takes CodecError from the sources of bindings/, not from dist/.
      if ((error as Error)?.name === "CodecError") return (error as CodecError).code;
      throw error;
    };
    try {
      const isWritten = (given: Uint8Array) => this.seeds.some((seed) => Buffer.compare(seed.bytes, given) === 0);
      const found = readers[this.name](bytes, { codec: this.#codecs.codec, isWritten, salt, forged });
      return found instanceof Promise ? found.then(judged, refused) : judged(found);
    } catch (error) {
      return refused(error);
    }
  }

  digest(): number {
    return this.#hash;
  }

  wasmBytes(): number {
    return Math.max(this.#most, this.#codecs.bytes());
  }
}

export const fileTargets = Object.keys(readers);

/** A target of files, over a codec of its own. */
export const openFiles = (name: string, options: CreateOptions): Target => new FileTarget(name, options);
