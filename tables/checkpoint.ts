/** Opens any kind of file that may hold trained parameters. The first bytes say which kind it is. */
import { CodecError } from "latentwire";
import { begins, kindOf } from "../bindings/kinds.js";
import type { ByteSource } from "./byte-source.js";
import { npzTensors } from "./npy.js";
import { isSafetensors, safetensors } from "./safetensors.js";
import type { StoredTensor } from "./stored-tensor.js";
import { isLegacyTorch, torchTensors } from "./torch-file.js";
import { isZip, ZipArchive } from "./zip.js";

/** Names of files that {@link openCheckpoint} may be able to open. */
const CHECKPOINT = /\.(pth|pt|ckpt|bin|tar|safetensors|npz)$/i;
/** `model-00001-of-00003.safetensors`, as Hugging Face writes a large model. */
const SHARD = /-(\d{5})-of-(\d{5})\./;
/** A list of shards has this key. It follows metadata, which is short. */
const SHARD_LIST = '"weight_map"';
const SHARD_LIST_BYTES = 2 ** 16;
/** An item of it: `"entropy_bottleneck._offset": "model-00001-of-00003.safetensors"`. */
const SHARD_OF_TABLES = /(?:_quantized_cdf|_cdf_length|_offset|quantiles)"\s*:\s*"([^"\\]{1,99})"/;

const unsupported = (message: string): never => {
  throw new CodecError("UNSUPPORTED_FILE", message);
};

/** A checkpoint's tensors by their paths, none of them read yet. */
export interface Checkpoint {
  readonly format: "torch" | "safetensors" | "npz";
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** What may hold tensors and is not among them, with the reason: a few of them, if there are many. */
  readonly skipped: readonly string[];
}

/**
 * Opens a file of torch.save, safetensors or numpy.savez, or a zip that holds one of them. Nothing in it is executed.
 *
 * @throws CodecError `UNSUPPORTED_FILE`, `INVALID_FILE`, `TRUNCATED`, `LIMIT_EXCEEDED`
 */
export function openCheckpoint(source: ByteSource): Checkpoint {
  return open(source, false);
}

function open(source: ByteSource, isInner: boolean): Checkpoint {
  const skipped: string[] = [];
  const [, shard, shards] = SHARD.exec(source.name ?? "") ?? [];
  if (shard !== undefined) skipped.push(`the other files of the model (this is ${Number(shard)} of ${Number(shards)})`);
  if (/\.distcp$/.test(source.name ?? ""))
    return unsupported(
      "the file is a shard of torch.distributed.checkpoint; join the shards first: " +
        "torch.distributed.checkpoint.format_utils.dcp_to_torch_save(folder, new_path)",
    );
  const head = source.read(0, Math.min(16, source.size));
  if (isZip(head)) return openZip(new ZipArchive(source), skipped, isInner);
  if (isLegacyTorch(head))
    return unsupported(
      "the file is of torch.save's former format, which is a pickle to be run; write it anew with " +
        "torch.save(torch.load(path, weights_only=True), new_path)",
    );
  // A bundle would pass as a header of safetensors.
  const kind = kindOf(head);
  if (kind && begins(head, "LW")) return unsupported(`the file is ${kind}`);
  if (isSafetensors(head)) return { format: "safetensors", tensors: safetensors(source, skipped), skipped };
  if (head[0] === 0x80) return unsupported("the file is a plain pickle, not one of torch.save");
  if (head[0] === 0x1f && head[1] === 0x8b) return unsupported("the file is gzipped; unpack it first");
  const text = Buffer.from(source.read(0, Math.min(SHARD_LIST_BYTES, source.size))).toString("latin1");
  if (head[0] === 0x7b && text.includes(SHARD_LIST)) {
    const [, shard] = SHARD_OF_TABLES.exec(text) ?? [];
    return unsupported(
      `the file is the list of a sharded model; give ${shard ?? "the file that it names for the entropy model"}`,
    );
  }
  return unsupported(kind ? `the file is ${kind}` : "the file is none of torch.save, safetensors and .npz");
}

/** A file of torch.save or numpy.savez, or a zip around one checkpoint. */
function openZip(archive: ZipArchive, skipped: string[], isInner: boolean): Checkpoint {
  const { names } = archive;
  if (names.some((name) => /^([^/]+\/)?data\.pkl$/.test(name)))
    return { format: "torch", tensors: torchTensors(archive, skipped), skipped };
  const inner = names.filter((name) => CHECKPOINT.test(name) && !/(^|\/)\._/.test(name));
  const arrays = npzTensors(archive);
  if (inner.length === 0 || arrays.size > 0)
    return { format: "npz", tensors: arrays, skipped: [...skipped, ...inner.map((name) => `${name} (a file)`)] };
  if (inner.length > 1)
    return unsupported(
      `the zip holds ${inner.length} checkpoints (${inner.slice(0, 8).join(", ")}): unpack it, give one`,
    );
  if (isInner) return unsupported("a zip in a zip in a zip: unpack it");
  return open(archive.open(inner[0]!), true);
}
