import { createHash } from "node:crypto";
import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Picture } from "../images.js";
import type { ClientMs, ServerMs, Way } from "./way.js";

/** What one way made of one image. */
export interface Outcome {
  readonly bytes: number;
  readonly answer: number | null;
  /** Squared difference of the features to those without quantization, over their square; null where it was not computed. */
  readonly featureError: number | null;
  /** Null where the answer is another way's and the server did not have to run. */
  readonly server: ServerMs | null;
}

export const hashOf = ({ rgb }: Picture) => createHash("sha256").update(rgb).digest("hex").slice(0, 16);

export const keyOf = (image: string, way: Way) => [image, way.identity, way.codec, way.setting].join("|");

/** Outcomes and client times on the disk, one JSON line each, so that a long run can be cut off and go on. */
export class Cache {
  private readonly known = new Map<string, Outcome>();
  private readonly clients = new Map<string, ClientMs>();

  private constructor(private readonly file: string) {}

  static open(folder: string): Cache {
    const cache = new Cache(join(folder, "outcomes.jsonl"));
    let lines: string[];
    try {
      mkdirSync(folder, { recursive: true });
      // Now, not after the first image, it is known whether anything can be kept.
      appendFileSync(cache.file, "");
      lines = readFileSync(cache.file, "utf8").split("\n");
      // The last line is empty, or was cut off: it is done again, behind a line end of its own.
      if (lines.pop() !== "") appendFileSync(cache.file, "\n");
    } catch (error) {
      throw new Error(`--cache DIR has to be a folder that can be written: ${(error as Error).message}`);
    }
    for (const line of lines) {
      try {
        const { key, client, ...outcome } = JSON.parse(line);
        if ("bytes" in outcome) cache.known.set(key, outcome);
        else cache.clients.set(key, client);
      } catch {}
    }
    return cache;
  }

  get(key: string): Outcome | undefined {
    return this.known.get(key);
  }

  add(key: string, outcome: Outcome): void {
    this.known.set(key, outcome);
    appendFileSync(this.file, `${JSON.stringify({ key, ...outcome })}\n`);
  }

  clientMs(key: string): ClientMs | undefined {
    return this.clients.get(key);
  }

  addClientMs(key: string, client: ClientMs): void {
    this.clients.set(key, client);
    appendFileSync(this.file, `${JSON.stringify({ key, client })}\n`);
  }
}
