// The loop of the fuzzer: it takes an input of the corpus, damages it, lets the library read it, and judges the outcome. One execution in so many is
// repeated by an instrumented copy of the library. An input that runs new code there joins the corpus.
import { type Random, random } from "../cases.js";
import { type Finding, type FindingKind, newTotals, type Totals } from "./totals.js";

/** What is read, and all that a second run needs to do the same. */
export interface Input {
  readonly bytes: Uint8Array;
  /** Which of the target's cases it belongs to. */
  readonly variant: number;
  /** Decides what a target leaves open: element types, where a reader stops. */
  readonly salt: number;
  /** A checksum in it, or in one of its ancestors, was computed anew after damage. */
  readonly forged: boolean;
}

/** One way into the library. */
export interface Target {
  readonly name: string;
  readonly kind: "packets" | "files";
  /** One execution in so many is repeated by the instrumented copy. */
  readonly every: number;
  readonly seeds: readonly Input[];
  mutate(input: Input, rng: Random, other: Input): Pick<Input, "bytes" | "forged">;
  /**
   * Reads an input. Returns the code of a typed error, or how it succeeded: `ok` under a checksum that fits, `forged` where the fuzzer made that
   * checksum, `unchecked` where there is none. Throws {@link WrongSuccess}, and what the library should not have thrown.
   */
  run(input: Input): string | Promise<string>;
  /** A hash of what the last `run` read: equal in both copies of the library. */
  digest(): number;
  /** Bytes of Wasm memory that the target holds. */
  wasmBytes(): number;
}

/** The library read something else than what was written. */
export class WrongSuccess extends Error {
  override readonly name = "WrongSuccess";
}

/** Outcomes that are no error. */
export const successes = ["ok", "forged", "unchecked", "accident"];

/** How often each block of the instrumented code ran, and which counts have been seen. */
export class Coverage {
  readonly #counters: Uint8Array;
  readonly #words: Uint32Array;
  readonly #seen: Uint8Array;
  /** Blocks that have run. */
  reached = 0;

  /** `counters`: one per block, a multiple of four of them. */
  constructor(counters: Uint8Array) {
    this.#counters = counters;
    this.#words = new Uint32Array(counters.buffer, counters.byteOffset, counters.length >> 2);
    this.#seen = new Uint8Array(counters.length);
    // What ran before the first input.
    counters.fill(0);
  }

  /** Counts of the last run: whether one is new, by its power of two. Sets all to 0. */
  takeNew(): boolean {
    let isNew = false;
    const words = this.#words;
    for (let w = 0; w < words.length; w++) {
      if (words[w] === 0) continue;
      for (let i = 4 * w; i < 4 * w + 4; i++) {
        const count = this.#counters[i];
        if (count === 0) continue;
        const bucket = 1 << (31 - Math.clz32(count));
        if ((this.#seen[i] & bucket) !== 0) continue;
        if (this.#seen[i] === 0) this.reached++;
        this.#seen[i] |= bucket;
        isNew = true;
      }
      words[w] = 0;
    }
    return isNew;
  }

  /** A bit per block that has run. */
  blocks(): Uint8Array {
    return this.#seen.slice();
  }
}

/** Where the loop notes what it is about to run, so that another thread knows if this one dies. */
export interface Notes {
  begin(input: Input): void;
}

/** When the loop ends. */
export interface Limit {
  /** Executions at most. */
  readonly count?: number;
  /** A time of `performance.now()`. */
  readonly deadline?: number;
  readonly stopped?: () => boolean;
}

const HANG_MS = 1000;
const MAX_CORPUS = 4096;
/** Findings of one kind with one message, and findings in all, that are kept with their bytes. */
const MAX_ALIKE = 2;
const MAX_FINDINGS = 60;

/** A target, its corpus and what has come of it. */
export class Fuzzer {
  readonly totals: Totals;
  readonly #target: Target;
  readonly #covered: Target | undefined;
  readonly #coverage: Coverage | undefined;
  readonly #notes: Notes | undefined;
  readonly #rng: Random;
  readonly #found: Input[] = [];

  constructor(target: Target, seed: number, instrumented?: { target: Target; coverage: Coverage }, notes?: Notes) {
    this.#target = target;
    this.#covered = instrumented?.target;
    this.#coverage = instrumented?.coverage;
    this.#notes = notes;
    this.#rng = random(seed);
    this.totals = newTotals(target.name, target.kind);
  }

  /** Runs every seed once, then damaged ones. `report` is called now and then. */
  async run(limit: Limit, report: () => void = () => {}): Promise<Totals> {
    const started = performance.now();
    const before = this.totals.seconds;
    const { count = Number.POSITIVE_INFINITY, deadline = Number.POSITIVE_INFINITY, stopped = () => false } = limit;
    const clock = () => {
      this.totals.seconds = before + (performance.now() - started) / 1000;
      this.totals.wasmBytes = Math.max(this.totals.wasmBytes, this.#target.wasmBytes());
      this.totals.corpus = this.#found.length;
      report();
    };
    for (const seed of this.#target.seeds) {
      await this.#execute(seed);
      await this.#explore(seed);
    }
    for (let done = 0; done < count; done++) {
      if (done % 64 === 0) {
        if (stopped() || performance.now() >= deadline) break;
        if (done % 1024 === 0) clock();
      }
      const input = this.#next();
      const outcome = this.#execute(input);
      if (typeof outcome !== "string") await outcome;
      if (done % this.#target.every === 0) await this.#explore(input);
    }
    clock();
    return this.totals;
  }

  #next(): Input {
    const rng = this.#rng;
    const parent = this.#pick();
    // What has no forged checksum gets none by a splice.
    const { seeds } = this.#target;
    const other = parent.forged ? this.#pick() : seeds[rng(seeds.length)];
    const { bytes, forged } = this.#target.mutate(parent, rng, other);
    return { bytes, forged, variant: parent.variant, salt: rng(2 ** 32) };
  }

  /** Half of the time a seed; else a find, the latest ones more often. */
  #pick(): Input {
    const rng = this.#rng;
    const { seeds } = this.#target;
    const found = this.#found;
    if (found.length === 0 || rng(2) === 0) return seeds[rng(seeds.length)];
    return found[rng(2) ? rng(found.length) : found.length - 1 - rng(Math.min(64, found.length))];
  }

  #execute(input: Input): string | Promise<string> {
    this.#notes?.begin(input);
    const started = performance.now();
    try {
      const outcome = this.#target.run(input);
      if (typeof outcome === "string") return this.#count(input, outcome, performance.now() - started);
      return outcome.then(
        (code) => this.#count(input, code, performance.now() - started),
        (error) => this.#fault(input, error),
      );
    } catch (error) {
      return this.#fault(input, error);
    }
  }

  #count(input: Input, code: string, ms: number): string | Promise<string> {
    const { totals } = this;
    totals.inputs++;
    totals.outcomes[code] = (totals.outcomes[code] ?? 0) + 1;
    if (ms > totals.slowestMs) totals.slowestMs = ms;
    return ms > HANG_MS ? this.#again(input, code) : code;
  }

  /** What took a second may have waited for the processor: it must take one again. */
  async #again(input: Input, code: string): Promise<string> {
    const { user, system } = process.cpuUsage();
    const started = performance.now();
    await this.#target.run(input);
    const spent = process.cpuUsage({ user, system });
    const ms = Math.min((spent.user + spent.system) / 1000, performance.now() - started);
    if (ms > HANG_MS) this.#find("hang", input, `${Math.round(ms)} ms, then ${code}`);
    return code;
  }

  #fault(input: Input, error: unknown): string {
    this.totals.inputs++;
    const { name, message } = Object(error) as Error;
    const isCrash =
      error instanceof WebAssembly.RuntimeError || /call stack|out of memory|allocation failed/i.test(message);
    const kind = name === "WrongSuccess" ? "wrong" : isCrash ? "crash" : "untyped";
    this.#find(kind, input, `${name}: ${message}`);
    return kind;
  }

  #find(kind: FindingKind, { bytes, variant, salt, forged }: Input, message: string): void {
    const { totals } = this;
    totals[kind]++;
    const alike = totals.findings.filter((one) => one.kind === kind && shapeOf(one.message) === shapeOf(message));
    if (alike.length >= MAX_ALIKE || totals.findings.length >= MAX_FINDINGS) return;
    const finding: Finding = { kind, target: totals.target, message, variant, salt, forged, bytes: bytes.slice() };
    totals.findings.push(finding);
  }

  /** Runs the input in the instrumented copy, which must agree. Keeps it where it reached something new. */
  async #explore(input: Input): Promise<void> {
    const [covered, coverage] = [this.#covered, this.#coverage];
    if (covered === undefined || coverage === undefined) return;
    const settled = async (target: Target): Promise<string> => {
      try {
        return `${await target.run(input)} ${target.digest()}`;
      } catch (error) {
        return String(error);
      }
    };
    const plain = await settled(this.#target);
    const outcome = await settled(covered);
    this.totals.covered++;
    if (coverage.takeNew() && this.#found.length < MAX_CORPUS)
      this.#found.push({ ...input, bytes: input.bytes.slice() });
    this.totals.reached = coverage.reached;
    if (plain !== outcome) this.#find("wrong", input, `one build: ${plain}; the other: ${outcome}`);
  }
}

/** A message without its numbers. */
export const shapeOf = (message: string): string => message.replace(/[\d.]+/g, "#").slice(0, 120);
