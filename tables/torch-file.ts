/** Files of torch.save: a zip of one pickle and the tensors' storages. The pickle is read, never run; see pickle.ts. */
import { CodecError } from "latentwire";
import { readPickle } from "./pickle.js";
import { PickleForeign, PickleGlobal, PickleObject, PickleTuple, type PickleValue } from "./pickle-values.js";
import {
  elementBytes,
  elementCount,
  gather,
  MAX_TENSOR_BYTES,
  type StoredTensor,
  type StoredType,
} from "./stored-tensor.js";
import type { ZipArchive } from "./zip.js";

const MAX_PICKLE = 2 ** 27;
/** Deepest nesting that is read. Modules nest a few levels deep; a pickle can nest without end. */
const MAX_DEPTH = 64;
const MAX_KEY = 256;
/** Most characters of all names together. */
const MAX_CHARACTERS = 2 ** 25;
/** The limit of torch. */
const MAX_RANK = 64;
/** Most elements of a tensor that is not stored in one piece. */
const MAX_GATHERED = 2 ** 24;

const invalid = (message: string): never => {
  throw new CodecError("INVALID_FILE", `torch: ${message}`);
};
const unsupported = (message: string): never => {
  throw new CodecError("UNSUPPORTED_FILE", `torch: ${message}`);
};

const STORAGES: Record<string, StoredType> = {
  DoubleStorage: "float64",
  FloatStorage: "float32",
  HalfStorage: "float16",
  BFloat16Storage: "bfloat16",
  LongStorage: "int64",
  IntStorage: "int32",
  ShortStorage: "int16",
  CharStorage: "int8",
  ByteStorage: "uint8",
  BoolStorage: "bool",
};

/** The pickle's first bytes in a file of `_use_new_zipfile_serialization=False`: the number 0x1950a86a20f9469cfc6c. */
const LEGACY = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/** Whether a file is torch.save's former format, which is not a zip. */
export const isLegacyTorch = (head: Uint8Array): boolean => LEGACY.every((byte, i) => head[i] === byte);

class Storage extends PickleForeign {
  constructor(
    /** Undefined for types that no table needs. */
    readonly type: StoredType | undefined,
    readonly typeName: string,
    readonly key: string,
    readonly count: number,
  ) {
    super();
  }
}

class TorchTensor extends PickleForeign {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {
    super();
  }
}

/**
 * Every tensor of the file under its path: `state_dict.entropy_bottleneck.quantiles`. Nothing is read but the pickle.
 *
 * @throws CodecError `INVALID_FILE`, `UNSUPPORTED_FILE`, `TRUNCATED`, `LIMIT_EXCEEDED`
 */
export function torchTensors(archive: ZipArchive): Map<string, StoredTensor> {
  const pickle = archive.names.find((name) => /^([^/]+\/)?data\.pkl$/.test(name));
  if (pickle === undefined) return invalid("the zip has no data.pkl: it is not a file of torch.save");
  const folder = pickle.slice(0, -"data.pkl".length);
  if (archive.names.includes(`${folder}constants.pkl`))
    unsupported("a TorchScript archive; save the state dict instead: torch.save(model.state_dict(), path)");
  if (archive.names.includes(`${folder}byteorder`)) {
    const order = new TextDecoder().decode(archive.read(`${folder}byteorder`, 16));
    if (order !== "little") unsupported(`its bytes are ${order}-endian; save it on a little-endian machine`);
  }
  const root = readPickle(archive.read(pickle, MAX_PICKLE), { persistent: storage, reduce });
  const collector = new Collector(archive, folder);
  collector.collect(root, [], 0);
  return collector.found;
}

/** `('storage', torch.FloatStorage, '0', 'cpu', 1152)` */
function storage(id: PickleValue): PickleValue {
  const [kind, type, key, , count] = id instanceof PickleTuple ? id.items : [];
  if (kind !== "storage" || !(type instanceof PickleGlobal) || typeof key !== "string" || !isWhole(count))
    return invalid("a persistent id that is no storage");
  return new Storage(STORAGES[type.name], String(type), key, count);
}

/** The constructors of a state dict; anything else remains a record. */
function reduce(callable: PickleGlobal, args: readonly PickleValue[]): PickleValue | undefined {
  switch (String(callable)) {
    case "collections.OrderedDict":
    case "builtins.dict":
      return dict(args[0]);
    case "torch.Size":
      return args[0] instanceof PickleTuple ? args[0] : undefined;
    case "torch._utils._rebuild_tensor":
    case "torch._utils._rebuild_tensor_v2":
      return tensor(args);
    case "torch._utils._rebuild_parameter":
    case "torch._utils._rebuild_parameter_with_state":
      return args[0] instanceof TorchTensor ? args[0] : undefined;
    case "torch._tensor._rebuild_from_type_v2": {
      const [inner, , innerArgs] = args;
      return inner instanceof PickleGlobal && innerArgs instanceof PickleTuple && String(inner) !== String(callable)
        ? reduce(inner, innerArgs.items)
        : undefined;
    }
    default:
      return undefined;
  }
}

function dict(pairs: PickleValue | undefined): Map<PickleValue, PickleValue> | undefined {
  const made = new Map<PickleValue, PickleValue>();
  if (pairs === undefined) return made;
  if (!Array.isArray(pairs)) return undefined;
  for (const pair of pairs) {
    const items = pair instanceof PickleTuple ? pair.items : pair;
    if (!Array.isArray(items) || items.length !== 2) return undefined;
    made.set(items[0], items[1]);
  }
  return made;
}

function tensor([from, offset, shape, strides]: readonly PickleValue[]): TorchTensor {
  const numbers = (value: PickleValue | undefined) =>
    value instanceof PickleTuple && value.items.length <= MAX_RANK && value.items.every(isWhole)
      ? value.items
      : undefined;
  const dims = numbers(shape as PickleValue);
  const steps = numbers(strides as PickleValue);
  if (!(from instanceof Storage) || !isWhole(offset) || dims === undefined || dims.length !== steps?.length)
    return invalid("a tensor that is described by something else than storage, offset, size and stride");
  return new TorchTensor(from, offset, dims, steps as number[]);
}

const isWhole = (value: PickleValue | undefined): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;

/** Walks through dicts and modules. Each is visited once: a pickle may refer to one from many places, and to itself. */
class Collector {
  readonly found = new Map<string, StoredTensor>();
  readonly #archive: ZipArchive;
  readonly #folder: string;
  readonly #seen = new Set<PickleValue>();
  #characters = 0;

  constructor(archive: ZipArchive, folder: string) {
    this.#archive = archive;
    this.#folder = folder;
  }

  collect(value: PickleValue, path: readonly string[], depth: number): void {
    if (value instanceof TorchTensor) this.#add(value, path.join("."));
    if (depth > MAX_DEPTH) return;
    for (const one of value instanceof PickleObject ? [value.items, value.state] : [value]) {
      if (!(one instanceof Map) || this.#seen.has(one)) continue;
      this.#seen.add(one);
      for (const [key, item] of one) {
        if (typeof key !== "string" || key.length > MAX_KEY) continue;
        // A pickled module keeps its children and tensors in dicts of these names, which a state dict leaves out.
        const own = value instanceof PickleObject && /^_(modules|parameters|buffers)$/.test(key);
        this.collect(item, own ? path : [...path, key], depth + 1);
      }
    }
  }

  #add(tensor: TorchTensor, name: string): void {
    // A few bytes of pickle can give a tensor any number of long names.
    this.#characters += name.length;
    if (this.#characters > MAX_CHARACTERS) throw new CodecError("LIMIT_EXCEEDED", "torch: too many tensors");
    const { type } = tensor.storage;
    if (type !== undefined) this.found.set(name, stored(name, tensor, type, this.#archive, this.#folder));
  }
}

function stored(
  name: string,
  tensor: TorchTensor,
  type: StoredType,
  archive: ZipArchive,
  folder: string,
): StoredTensor {
  const { storage, offset, shape, strides } = tensor;
  const bytes = () => {
    const count = elementCount(shape, type, name);
    if (count === 0) return new Uint8Array(0);
    const width = elementBytes[type];
    const last = shape.reduce((sum, d, i) => sum + (d - 1) * strides[i]!, 0);
    if (!(offset + last < storage.count)) invalid(`${name} reaches past its storage`);
    const span = (last + 1) * width;
    if (span > MAX_TENSOR_BYTES) throw new CodecError("LIMIT_EXCEEDED", `${name} is spread over ${span} bytes`);
    const part = archive.readPart(`${folder}data/${storage.key}`, offset * width, span, MAX_TENSOR_BYTES);
    if (isContiguous(shape, strides)) return part;
    if (count > MAX_GATHERED) throw new CodecError("LIMIT_EXCEEDED", `${name} has ${count} elements, not in one piece`);
    return gather(part, count, width, shape, strides);
  };
  return { type, shape, bytes };
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== expected) return false;
    expected *= shape[i]!;
  }
  return true;
}
