import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/** 16 hex digits that change when a byte of these files changes. */
export function fingerprint(files: readonly string[]): string {
  const hash = createHash("sha256");
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest("hex").slice(0, 16);
}
