/** Opens any kind of file that may hold trained parameters. The first bytes say which kind it is. */
import { CodecError } from "latentwire";
import type { ByteSource } from "./byte-source.js";
import { npzTensors } from "./npy.js";
import { isSafetensors, safetensors } from "./safetensors.js";
import type { StoredTensor } from "./stored-tensor.js";
import { isLegacyTorch, torchTensors } from "./torch-file.js";
import { isZip, ZipArchive } from "./zip.js";

const unsupported = (message: string): never => {
  throw new CodecError("UNSUPPORTED_FILE", message);
};

/** A checkpoint's tensors by their paths, none of them read yet. */
export interface Checkpoint {
  readonly format: "torch" | "safetensors" | "npz";
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/**
 * Opens a file of torch.save, safetensors or numpy.savez. Nothing in it is executed.
 *
 * @throws CodecError `UNSUPPORTED_FILE`, `INVALID_FILE`, `TRUNCATED`, `LIMIT_EXCEEDED`
 */
export function openCheckpoint(source: ByteSource): Checkpoint {
  const head = source.read(0, Math.min(16, source.size));
  if (isZip(head)) {
    const archive = new ZipArchive(source);
    const isTorch = archive.names.some((name) => /(^|\/)data\.pkl$/.test(name));
    return isTorch
      ? { format: "torch", tensors: torchTensors(archive) }
      : { format: "npz", tensors: npzTensors(archive) };
  }
  if (isLegacyTorch(head))
    return unsupported(
      "the file is of torch.save's former format, which is a pickle to be run; write it anew with " +
        "torch.save(torch.load(path, weights_only=True), new_path)",
    );
  if (isSafetensors(head)) return { format: "safetensors", tensors: safetensors(source) };
  if (head[0] === 0x80) return unsupported("the file is a plain pickle, not one of torch.save");
  if (head[0] === 0x1f && head[1] === 0x8b) return unsupported("the file is gzipped; unpack it first");
  return unsupported("the file is none of torch.save, safetensors and .npz");
}
