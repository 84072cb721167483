// npm run guard -- --symbols N --seed S
// Decodes with perturbed parameters: symbols wrong under a guard (there must be none), what happens without, and what a guard costs.
import { parseArgs } from "node:util";
import { builds } from "./builds.js";
import { random } from "./cases.js";
import { mixtureFieldOf, perturbedMixture, readMixture, writeMixture } from "./guard-mixture.js";
import {
  boundaryScale,
  type Field,
  fieldOf,
  naturalScale,
  perturbed,
  read,
  write,
  wrongSymbols,
} from "./guard-trial.js";

const { values } = parseArgs({
  options: { symbols: { type: "string", default: "10000000" }, seed: { type: "string", default: "20250607" } },
});
const symbols = Number(values.symbols);
const seed = Number(values.seed);
if (!Number.isInteger(symbols) || symbols < 1 || !Number.isInteger(seed)) {
  console.error("usage: npm run guard -- [--symbols N] [--seed S]");
  process.exit(2);
}

const errors = [1e-6, 1e-5, 1e-4, 1e-3];
// Two halves of 192 channels of 16 x 16, as one image of 256 x 256 has them.
const partSize = 96 * 16 * 16;
const rounds = Math.ceil(symbols / (2 * partSize));
const [{ codec }] = builds;
const started = Date.now();
let done = 0;

function progress(): void {
  const share = ++done / (errors.length * rounds);
  const left = ((Date.now() - started) / 1000 / share) * (1 - share);
  process.stderr.write(
    `\r[${"#".repeat(Math.round(share * 30)).padEnd(30)}] ${Math.round(share * 100)} %, ${left.toFixed(0)} s left   `,
  );
}

interface Row {
  error: number;
  symbols: number;
  wrong: number;
  refused: number;
  plainFailures: number;
  undetected: number;
  silent: number;
  bytes: number;
  guardedBytes: number;
  corrections: number;
}

function trial(error: number): Row {
  const rng = random(seed + Math.round(1 / error));
  const bound = { relative: error, absolute: 0 };
  const row: Row = {
    error,
    symbols: 0,
    wrong: 0,
    refused: 0,
    plainFailures: 0,
    undetected: 0,
    silent: 0,
    bytes: 0,
    guardedBytes: 0,
    corrections: 0,
  };
  for (let round = 0; round < rounds; round++) {
    // Every tenth packet is made of nothing but scales at boundaries; it does not count for the cost.
    const hard = round % 10 === 9;
    const fields: Field[] = [0, 1].map(() =>
      fieldOf(rng, partSize, hard ? boundaryScale(rng, error) : naturalScale(rng)),
    );
    const others = fields.map(({ scales, means }) => ({
      scales: perturbed(rng, scales, bound),
      means: perturbed(rng, means, bound),
    }));
    const guarded = write(codec, fields, { guard: error, indexChecks: false });
    const truth = read(codec, guarded.packet, fields);
    if (!Array.isArray(truth)) throw truth;
    const found = read(codec, guarded.packet, others);
    row.symbols += 2 * partSize;
    if (Array.isArray(found)) row.wrong += wrongSymbols(found, truth);
    else row.refused++;

    const plain = write(codec, fields, {}).packet;
    const checked = write(codec, fields, { indexChecks: true }).packet;
    const unguarded = read(codec, checked, others);
    const unchecked = read(codec, plain, others);
    if (!Array.isArray(unguarded)) row.plainFailures++;
    else if (wrongSymbols(unguarded, truth) > 0) row.undetected++;
    if (Array.isArray(unchecked) && wrongSymbols(unchecked, truth) > 0) row.silent++;
    if (!hard) {
      row.bytes += plain.length;
      row.guardedBytes += guarded.packet.length;
      row.corrections += guarded.corrections;
    }
    progress();
  }
  return row;
}

console.log(`${rounds} packets of ${2 * partSize} symbols for each error, seed ${seed}`);
const rows = errors.map(trial);
process.stderr.write("\n");

console.log("\nguard = error: decoded with parameters of another machine");
console.log("error     symbols     wrong  packets refused");
for (const row of rows)
  console.log(
    `${row.error.toExponential(0).padEnd(9)} ${String(row.symbols).padEnd(11)} ${String(row.wrong).padEnd(6)} ${row.refused}`,
  );

console.log("\nno guard: packets that could not be decoded");
console.log("error     packets  refused by index checks  wrong in spite of them  wrong and unnoticed without them");
for (const row of rows)
  console.log(
    `${row.error.toExponential(0).padEnd(9)} ${String(rounds).padEnd(8)} ${String(row.plainFailures).padEnd(24)} ${String(row.undetected).padEnd(23)} ${row.silent}`,
  );

console.log("\nwhat a guard costs");
console.log("guard     bits/symbol  corrected    bytes");
for (const row of rows) {
  const packets = rounds - Math.floor(rounds / 10);
  const n = packets * 2 * partSize;
  const more = (100 * (row.guardedBytes - row.bytes)) / row.bytes;
  console.log(
    `${row.error.toExponential(0).padEnd(9)} ${((8 * row.bytes) / n).toFixed(3).padEnd(12)} ${`${((100 * row.corrections) / n).toFixed(4)} %`.padEnd(12)} +${more.toFixed(3)} %`,
  );
}
// Mixtures have nine parameters a symbol and are slower to decode: one packet of 24,576 symbols in forty.
const mixturePackets = Math.ceil(symbols / (40 * partSize));
console.log(`\nmixtures of three components, ${mixturePackets * partSize} symbols for each error`);
console.log("guard     wrong  bits/symbol  corrections  bytes     no guard: packets that could not be decoded");
let mixtureFailures = 0;
for (const error of errors.slice(0, 3)) {
  const rng = random(seed + Math.round(7 / error));
  const sum = { wrong: 0, plain: 0, guarded: 0, corrections: 0, refused: 0 };
  for (let i = 0; i < mixturePackets; i++) {
    const field = mixtureFieldOf(rng, partSize);
    const other = perturbedMixture(rng, field.parameters, { relative: error, absolute: 0 });
    const { packet, corrections } = writeMixture(codec, field, { guard: error, indexChecks: true });
    const found = readMixture(codec, packet, other);
    sum.wrong += found instanceof Int32Array ? wrongSymbols([found], [field.symbols]) : partSize;
    const plain = writeMixture(codec, field, { indexChecks: true }).packet;
    const unguarded = readMixture(codec, plain, other);
    if (!(unguarded instanceof Int32Array)) sum.refused++;
    else if (wrongSymbols([unguarded], [field.symbols]) > 0) mixtureFailures++;
    sum.plain += plain.length;
    sum.guarded += packet.length;
    sum.corrections += corrections;
  }
  mixtureFailures += sum.wrong;
  const n = mixturePackets * partSize;
  console.log(
    `${error.toExponential(0).padEnd(9)} ${String(sum.wrong).padEnd(6)} ${((8 * sum.plain) / n).toFixed(3).padEnd(12)} ${`${((100 * sum.corrections) / n).toFixed(3)} %`.padEnd(12)} ${`+${((100 * (sum.guarded - sum.plain)) / sum.plain).toFixed(2)} %`.padEnd(9)} ${sum.refused} of ${mixturePackets}`,
  );
}
if (mixtureFailures > 0) process.exitCode = 1;
if (rows.some(({ wrong, refused, undetected }) => wrong + refused + undetected > 0)) process.exitCode = 1;
