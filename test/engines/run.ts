// `npm run test:engines`: every engine runs the conformance script with every build that it can run, and gives the packets that the SIMD build
// gives here. At the end the builds are compared in random cases. Arguments are parts of engines' names, or "random".
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { type BuildName, create } from "latentwire";
import * as ort from "onnxruntime-web";
import { root } from "../pack.js";
import { splitOutcomes } from "../split-model.js";
import { type Outcome, outcomes } from "./cases.js";
import type { Answer, Order, Speed } from "./conformance.js";
import { bundleTo, type Engine, engines, type Session } from "./engines.js";
import { bundleOutcomes } from "./extras.js";
import { compareRandom, randomOutcomes } from "./random.js";

/** An order, where it runs, and the build that must answer, or the code that it must be refused with. */
type Check = readonly [
  place: Parameters<Session["run"]>[1],
  order: Order,
  expected: BuildName | "WASM_BLOCKED" | "BUILD_MISSING" | "BIG_ENDIAN",
];

/** The order that checks the committed vectors, and how many there are. */
const golden: Check = ["", { golden: true }, "simd"];
const goldenChecks = 12 + 56 + 117;

/** Random cases that an emulated processor codes in a minute, and a part of those that are compared here. */
const emulatedCases = 500;

const program: readonly Check[] = [
  ["", {}, "simd"],
  ["", { build: "scalar" }, "scalar"],
  ["", { build: "javascript" }, "javascript"],
  ["", { without: "SIMD" }, "scalar"],
  ["", { without: "WebAssembly" }, "javascript"],
  golden,
];

/** No `import()` there: builds come by value. */
const isolated = (place: "service worker" | "audio worklet"): Check[] => [
  [place, { byValue: true }, "simd"],
  [place, { build: "scalar", byValue: true }, "scalar"],
  [place, { build: "javascript", byValue: true }, "javascript"],
  [place, { build: "javascript" }, "BUILD_MISSING"],
];

const page: readonly Check[] = [
  ...program.map(([, order, expected]): Check => ["page", order, expected]),
  ["worker", {}, "simd"],
  ["worker", { build: "javascript" }, "javascript"],
  ["blocked", {}, "WASM_BLOCKED"],
  ["blocked", { build: "javascript" }, "javascript"],
  ...isolated("service worker"),
  ...isolated("audio worklet"),
];

const checksOf: Record<string, readonly Check[]> = {
  chromium: page,
  firefox: page,
  webkitgtk: page,
  hermes: [["", {}, "javascript"]],
  "node arm64": [...program.slice(0, 3), golden, ["", { random: emulatedCases }, "simd"]],
  // Big-endian: refused by name, whatever the build.
  "node s390x": [{}, { build: "scalar" } as const, { build: "javascript" } as const].map(
    (order): Check => ["", order, "BIG_ENDIAN"],
  ),
  // It compiles no Wasm at run time: SIMD comes as a module, the scalar build cannot come.
  workerd: [
    ["", {}, "simd"],
    ["", { build: "scalar" }, "WASM_BLOCKED"],
    ["", { build: "javascript" }, "javascript"],
  ],
};

/** The first outcome that is not the expected one, in words; undefined if all are. */
function difference(answer: Answer, expected: readonly Outcome[]): string | undefined {
  if (answer.failure !== undefined) return answer.failure;
  for (const [i, { name, packet, decoded }] of expected.entries()) {
    const other = answer.outcomes?.[i];
    if (other?.packet !== packet) return `another packet in the case "${name}":\n  ${other?.packet}\n  ${packet}`;
    if (other.decoded !== decoded) return `other values in the case "${name}"`;
  }
  return answer.outcomes?.length === expected.length ? undefined : `${answer.outcomes?.length} cases`;
}

/** What an answer to the golden order lacks. */
function goldenFault({ failure, golden }: Answer): string | undefined {
  if (failure !== undefined || golden === undefined) return failure ?? "no answer";
  if (golden.failed.length > 0) return golden.failed.slice(0, 5).join("\n");
  return golden.passed === goldenChecks ? undefined : `${golden.passed} vectors instead of ${goldenChecks}`;
}

/** Everything that is computed once, in this Node with the SIMD build. */
export async function prepare() {
  const codec = await create();
  if (!codec.simd) throw new Error("this Node has no SIMD");
  const bundle = mkdtempSync(join(tmpdir(), "latentwire-engines-"));
  process.once("exit", () => rmSync(bundle, { recursive: true, force: true }));
  await bundleTo(bundle);
  ort.env.wasm.numThreads = 1;
  return {
    bundle,
    outcomes: outcomes(codec),
    random: randomOutcomes(codec, emulatedCases, 1),
    extras: {
      pool: [],
      split: await splitOutcomes(ort),
      bundles: await bundleOutcomes(codec, Promise.resolve(readFileSync(join(root, "test/vectors/python-bundle.lwb")))),
    },
  };
}

/** One line per check of an engine: its name, and what is wrong. Undefined where the engine is not installed. */
export async function check(engine: Engine, expected: Awaited<ReturnType<typeof prepare>>) {
  const session = await engine.start(expected.bundle);
  if (session === undefined) return undefined;
  const results: { name: string; wrong: string | undefined }[] = [];
  try {
    const checks = checksOf[engine.name] ?? (engine.name.includes(" --") ? [program[0]!, golden] : program);
    for (const [place, order, build] of checks) {
      const answer = await session
        .run(order, place)
        .catch((error): Answer => ({ failure: `did not answer: ${error}` }));
      const code = answer.failure?.split(":")[0];
      let wrong: string | undefined;
      if (order.golden) wrong = goldenFault(answer);
      else if (build !== code) wrong = difference(answer, order.random ? expected.random : expected.outcomes);
      if (wrong === undefined && answer.build !== undefined && answer.build !== build) wrong = `build ${answer.build}`;
      const how = Object.entries(order).map(([key, value]) => (value === true ? key : `${key} ${value}`));
      results.push({ name: [engine.name, place, ...how, `-> ${build}`].filter(Boolean).join(", "), wrong });
    }
    if (session.extras !== undefined) {
      const found = await session.extras().catch((error): unknown => `${error}`);
      const wrong = isDeepStrictEqual(found, expected.extras) ? undefined : JSON.stringify(found).slice(0, 2000);
      results.push({ name: `${engine.name}, page, onnxruntime-web, pool, bundles`, wrong });
    }
  } finally {
    await session.close?.();
  }
  return results;
}

/** Prints how fast the builds are in an engine, and their ratios to SIMD there. */
async function printSpeed(engine: Engine, bundle: string): Promise<void> {
  const session = await engine.start(bundle);
  if (session === undefined) return;
  let simd: Speed | undefined;
  for (const build of ["simd", "scalar", "javascript"] as const) {
    const { speed } = await session.run({ build, speed: true }, "");
    if (speed === undefined) continue;
    if (build === "simd") simd = speed;
    const text = (["encode", "decode"] as const).map((op) => {
      const ratio = simd === undefined ? "" : ` (${(speed[op] / simd[op]).toFixed(2)})`;
      return `${op} ${speed[op].toPrecision(3)} Msym/s${ratio}`;
    });
    console.log(`${engine.name}, ${build}: ${text.join(", ")}`);
  }
  await session.close?.();
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: {
      cases: { type: "string", default: "10000" },
      seed: { type: "string", default: "1" },
      speed: { type: "boolean" },
    },
    allowPositionals: true,
  });
  const expected = await prepare();
  const hash = createHash("sha256").update(JSON.stringify(expected.outcomes)).digest("hex").slice(0, 16);
  console.log(`${expected.outcomes.length} cases, node ${process.version}, SIMD: ${hash}`);
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const report = ({ name, wrong }: { name: string; wrong: string | undefined }) => {
    sum[wrong === undefined ? "passed" : "failed"]++;
    console.log(wrong === undefined ? `ok   ${name}` : `FAIL ${name}\n     ${wrong}`);
  };
  const isWanted = (name: string) => positionals.length === 0 || positionals.some((word) => name.includes(word));
  if (values.speed) {
    // workerd's clock stands still while a request runs.
    for (const engine of engines)
      if (isWanted(engine.name) && engine.name !== "workerd" && !/ --|64|390/.test(engine.name))
        await printSpeed(engine, expected.bundle);
    return;
  }
  for (const engine of engines.filter(({ name }) => isWanted(name))) {
    const results = await check(engine, expected).catch((error) => [{ name: engine.name, wrong: `${error}` }]);
    for (const result of results ?? []) report(result);
    if (results !== undefined) continue;
    sum.skipped++;
    console.log(`skipped: ${engine.name} is not installed: ${engine.install}`);
  }
  if (isWanted("random")) report(await compareRandom(Number(values.cases), Number(values.seed)));
  console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
  const strict = process.env.LATENTWIRE_REQUIRE_ALL === "1";
  process.exitCode = sum.failed > 0 || sum.passed + sum.skipped === 0 || (strict && sum.skipped > 0) ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
