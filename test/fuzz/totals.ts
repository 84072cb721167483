// What came of a target: counts, what went wrong with the bytes that did it, and the line that says so.

export type FindingKind = "crash" | "hang" | "untyped" | "wrong";

/** An input that did what none may do. */
export interface Finding {
  readonly kind: FindingKind;
  readonly target: string;
  readonly message: string;
  readonly variant: number;
  readonly salt: number;
  readonly forged: boolean;
  readonly bytes: Uint8Array;
}

export interface Totals {
  target: string;
  kind: "packets" | "files";
  inputs: number;
  /** Of one thread, all added. */
  seconds: number;
  /** Executions of the instrumented copy, which are not among the inputs. */
  covered: number;
  /** Blocks of the instrumented copy that have run. */
  reached: number;
  corpus: number;
  /** Codes of errors, and kinds of success. */
  outcomes: Record<string, number>;
  crash: number;
  /** Executions of more than a second. */
  hang: number;
  /** Errors that are no CodecError. */
  untyped: number;
  /** Successes that are not what was written, under a checksum that fits. */
  wrong: number;
  slowestMs: number;
  /** Most Wasm memory of one thread. */
  wasmBytes: number;
  findings: Finding[];
}

export const newTotals = (target: string, kind: Totals["kind"]): Totals => ({
  ...{ target, kind, inputs: 0, seconds: 0, covered: 0, reached: 0, corpus: 0, outcomes: {} },
  ...{ crash: 0, hang: 0, untyped: 0, wrong: 0, slowestMs: 0, wasmBytes: 0, findings: [] },
});

/** Totals of one target in several threads. Blocks that several of them reached count once only where `reached` says their number. */
export function sumOf(parts: readonly Totals[], reached?: number): Totals {
  const sum = newTotals(parts[0].target, parts[0].kind);
  for (const part of parts) {
    for (const key of ["inputs", "seconds", "covered", "corpus", "crash", "hang", "untyped", "wrong"] as const)
      sum[key] += part[key];
    for (const key of ["slowestMs", "wasmBytes", "reached"] as const) sum[key] = Math.max(sum[key], part[key]);
    for (const [code, count] of Object.entries(part.outcomes)) sum.outcomes[code] = (sum.outcomes[code] ?? 0) + count;
    sum.findings.push(...part.findings);
  }
  if (reached !== undefined) sum.reached = reached;
  return sum;
}

export const faultsOf = ({ crash, hang, untyped, wrong }: Totals): number => crash + hang + untyped + wrong;

const whole = (value: number): string => Math.round(value).toLocaleString("en-US");

/** One line. `blocks`: of the instrumented copy, all of them. */
export function totalsLine(totals: Totals, blocks: number): string {
  const { target, inputs, seconds, outcomes, reached, corpus, slowestMs, wasmBytes } = totals;
  const share = blocks > 0 ? `${reached} of ${blocks} branches, ${corpus} finds; ` : "";
  const of = (...codes: string[]) => codes.reduce((sum, code) => sum + (outcomes[code] ?? 0), 0);
  return (
    `${target}: ${whole(inputs)} inputs, ${whole(inputs / Math.max(seconds, 1e-9))}/s a thread; ${share}` +
    `${totals.crash} crashes, ${totals.hang} hangs, ${totals.untyped} untyped errors, ${totals.wrong} wrong successes; ` +
    `read ${whole(of("ok"))}, forged ${whole(of("forged", "accident"))}, without checksum ${whole(of("unchecked"))}; ` +
    `slowest ${whole(slowestMs)} ms, ${whole(wasmBytes / 65536)} Wasm pages`
  );
}
