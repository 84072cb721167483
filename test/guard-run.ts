// npm run guard -- --symbols N --seed S
// Decodes with perturbed parameters: symbols wrong under a guard (there must be none), what happens without, and what a guard costs.
import { parseArgs } from "node:util";
import { builds } from "./builds.js";
import { type Random, random } from "./cases.js";
import { gaussianTrial, mixtureTrial, type Trial, wrongSymbols } from "./guard-trial.js";
import type { ReferenceGuard } from "./reference.js";

const { values } = parseArgs({
  options: { symbols: { type: "string", default: "10000000" }, seed: { type: "string", default: "20250607" } },
});
const symbols = Number(values.symbols);
const seed = Number(values.seed);
if (!Number.isInteger(symbols) || symbols < 1 || !Number.isInteger(seed)) {
  console.error("usage: npm run guard -- [--symbols N] [--seed S]");
  process.exit(2);
}

// Two halves of 192 channels of 16 x 16, as one image of 256 x 256 has them.
const partSize = 96 * 16 * 16;
const [{ codec }] = builds;

interface Kind {
  readonly errors: readonly number[];
  readonly packets: number;
  /** Of the seeds, so that two kinds do not share their random numbers. */
  readonly factor: number;
  /** Every tenth packet has all its scales at boundaries; it does not count for the cost. */
  readonly hasHard: boolean;
  readonly trial: (rng: Random, bound: ReferenceGuard, isHard: boolean) => Trial;
}

const gaussians: Kind = {
  errors: [1e-6, 1e-5, 1e-4, 1e-3],
  packets: Math.ceil(symbols / (2 * partSize)),
  factor: 1,
  hasHard: true,
  trial: (rng, bound, isHard) => gaussianTrial(rng, [partSize, partSize], bound, isHard),
};
// Mixtures have nine parameters a symbol and are slower to decode: one packet of 24,576 symbols in forty.
const mixtures: Kind = {
  errors: [1e-6, 1e-5, 1e-4],
  packets: Math.ceil(symbols / (40 * partSize)),
  factor: 7,
  hasHard: false,
  trial: (rng, bound, isHard) => mixtureTrial(rng, partSize, bound, isHard),
};

const total = [gaussians, mixtures].reduce((sum, { errors, packets }) => sum + errors.length * packets, 0);
const started = Date.now();
let done = 0;

function progress(): void {
  const share = ++done / total;
  const left = ((Date.now() - started) / 1000 / share) * (1 - share);
  process.stderr.write(
    `\r[${"#".repeat(Math.round(share * 30)).padEnd(30)}] ${Math.round(share * 100)} %, ${left.toFixed(0)} s left   `,
  );
}

/** Sums over the packets of one error. */
class Row {
  symbols = 0;
  wrong = 0;
  refused = 0;
  /** Without a guard: refused by index checks, wrong in spite of them, wrong without them. */
  plainFailures = 0;
  undetected = 0;
  silent = 0;
  costSymbols = 0;
  bytes = 0;
  guardedBytes = 0;
  corrections = 0;
  constructor(readonly error: number) {}
}

function measure({ packets, factor, hasHard, trial }: Kind, error: number): Row {
  const rng = random(seed + Math.round(factor / error));
  const row = new Row(error);
  for (let round = 0; round < packets; round++) {
    const isHard = hasHard && round % 10 === 9;
    const own = trial(rng, { relative: error, absolute: 0 }, isHard);
    const guarded = own.write(codec, { guard: error, indexChecks: false });
    const truth = own.read(codec, guarded.packet, false);
    if (!Array.isArray(truth)) throw truth;
    const wrongIn = (packet: Uint8Array) => {
      const found = own.read(codec, packet, true);
      return Array.isArray(found) ? wrongSymbols(found, truth) : undefined;
    };
    const wrong = wrongIn(guarded.packet);
    row.symbols += own.symbols;
    row.wrong += wrong ?? 0;
    row.refused += +(wrong === undefined);

    const plain = own.write(codec, {}).packet;
    const unguarded = wrongIn(own.write(codec, { indexChecks: true }).packet);
    row.plainFailures += +(unguarded === undefined);
    row.undetected += +((unguarded ?? 0) > 0);
    row.silent += +((wrongIn(plain) ?? 0) > 0);
    if (!isHard) {
      row.costSymbols += own.symbols;
      row.bytes += plain.length;
      row.guardedBytes += guarded.packet.length;
      row.corrections += guarded.corrections;
    }
    progress();
  }
  return row;
}

const columns: Record<string, (row: Row) => string | number> = {
  error: ({ error }) => error.toExponential(0),
  symbols: (row) => row.symbols,
  wrong: ({ wrong }) => wrong,
  "packets refused": ({ refused }) => refused,
  "refused by index checks": ({ plainFailures }) => plainFailures,
  "wrong in spite of them": ({ undetected }) => undetected,
  "wrong and unnoticed without them": ({ silent }) => silent,
  "bits/symbol": ({ bytes, costSymbols }) => ((8 * bytes) / costSymbols).toFixed(3),
  corrected: ({ corrections, costSymbols }) => `${((100 * corrections) / costSymbols).toFixed(4)} %`,
  bytes: ({ bytes, guardedBytes }) => `+${((100 * (guardedBytes - bytes)) / bytes).toFixed(3)} %`,
};

function print(title: string, rows: readonly Row[], names: readonly string[]): void {
  const line = (cells: readonly (string | number)[]) =>
    console.log(cells.map((cell, i) => String(cell).padEnd(Math.max(10, names[i].length + 2))).join(""));
  console.log(`\n${title}`);
  line(names);
  for (const row of rows) line(names.map((name) => columns[name](row)));
}

const all = [gaussians, mixtures].map((kind) => kind.errors.map((error) => measure(kind, error)));
process.stderr.write("\n");
["gaussians", "mixtures of three components"].forEach((name, i) => {
  const { packets } = [gaussians, mixtures][i];
  print(`${name}, guard = error: decoded with parameters of another machine`, all[i], Object.keys(columns).slice(0, 4));
  const failures = ["error", ...Object.keys(columns).slice(4, 7)];
  print(`${name}, no guard: of ${packets} packets, those that could not be decoded`, all[i], failures);
  print(`${name}, what a guard costs`, all[i], ["error", ...Object.keys(columns).slice(7)]);
});
if (all.flat().some(({ wrong, refused, undetected }) => wrong + refused + undetected > 0)) process.exitCode = 1;
