// A short run of the fuzzer (test/fuzz): each way into the library, with a fixed seed. `npm run fuzz -- --minutes 60` runs longer, or elsewhere.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scalar } from "latentwire/scalar";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { isFull } from "./builds.js";
import { Coverage, Fuzzer, type Input, type Target, WrongSuccess } from "./fuzz/engine.js";
import { openTarget } from "./fuzz/targets.js";
import { faultsOf, type Totals } from "./fuzz/totals.js";
import { root } from "./pack.js";

// A script without types.
const { COUNTERS, instrument } = await import(new URL("./fuzz/instrument.mjs", import.meta.url).href);

/** Inputs of the quick tier; the full one has eight times as many. Packets and parts are compared with the reference. */
const counts: Record<string, number> = {
  packets: 20_000,
  parts: 10_000,
  inspect: 10_000,
  strings: 4000,
  contexts: 1500,
  pool: 2000,
  streams: 2000,
  "packet-files": 2000,
  tables: 5000,
  bundles: 5000,
  torch: 3000,
  npz: 3000,
  npy: 5000,
  safetensors: 4000,
  pickles: 10_000,
};

const shown = ({ outcomes, findings }: Totals): string =>
  `${JSON.stringify(outcomes)} ${findings.map(({ kind, message, bytes }) => `${kind}: ${message} ${Buffer.from(bytes).toString("hex")}`).join("\n")}`;

for (const [name, quick] of Object.entries(counts))
  test(`${name}: damaged ones are refused with a code or read rightly, in both builds`, async () => {
    const count = isFull ? 8 * quick : quick;
    const target = await openTarget(name, {}, true);
    // Two pools would share the one program of a worker that a process has.
    const other = name !== "pool" && {
      target: await openTarget(name, { build: scalar }, true),
      coverage: new Coverage(new Uint8Array(4)),
    };
    const totals = await new Fuzzer(target, 20240607, other || undefined).run({ count });
    assert.is(faultsOf(totals), 0, shown(totals));
    assert.is(totals.inputs, count + target.seeds.length);
    assert.ok(!other || totals.covered > count / target.every, shown(totals));
    // A fuzzer whose inputs all fail at once, or all pass, tests nothing.
    const { ok = 0, forged = 0, unchecked = 0 } = totals.outcomes;
    const read = ok + forged + unchecked;
    assert.ok(read > count / 200 && read < 0.7 * count, shown(totals));
    if (name === "packets") {
      const codes =
        "CORRUPTED TRUNCATED NOT_A_PACKET UNSUPPORTED_VERSION WRONG_PRIOR SHAPE_MISMATCH MODEL_MISMATCH LIMIT_EXCEEDED";
      for (const outcome of ["ok", "forged", "unchecked", ...codes.split(" ")])
        assert.ok((totals.outcomes[outcome] ?? 0) > count / 4000, `${outcome}: ${shown(totals)}`);
    }
    // The inputs have some hundred bytes; what they claim is not allocated.
    assert.ok(totals.wasmBytes < 24e6, `${totals.wasmBytes} bytes of memory`);
  });

test("what goes wrong is found, each kind as itself", async () => {
  const errors: Record<number, () => unknown> = {
    1: () => {
      throw new TypeError("not typed");
    },
    2: () => {
      throw new WrongSuccess("another symbol");
    },
    3: () => {
      throw new RangeError("Maximum call stack size exceeded");
    },
    4: () => Promise.reject(new WebAssembly.RuntimeError("unreachable")),
  };
  const seed: Input = { bytes: Uint8Array.of(0), variant: 0, salt: 0, forged: false };
  const target: Target = {
    ...{ name: "stub", kind: "packets", every: 2, seeds: [seed], digest: () => 0, wasmBytes: () => 65536 },
    mutate: ({ forged }, rng) => ({ bytes: Uint8Array.of(rng(6)), forged }),
    run: ({ bytes: [first] }) => (errors[first]?.() as string | Promise<string>) ?? "CORRUPTED",
  };
  const disagreeing = {
    ...target,
    run: ({ bytes: [first] }: Input) => (first === 5 ? "ok" : target.run({ ...seed, bytes: Uint8Array.of(first) })),
  };
  const totals = await new Fuzzer(target, 1, { target: disagreeing, coverage: new Coverage(new Uint8Array(4)) }).run({
    count: 600,
  });
  for (const kind of ["untyped", "crash"] as const) assert.ok(totals[kind] > 30, shown(totals));
  assert.ok(totals.wrong > 60 && totals.hang === 0, shown(totals));
  const messages = totals.findings.map(({ kind, message }) => `${kind} ${message}`).join("\n");
  for (const expected of [
    "untyped TypeError: not typed",
    "wrong WrongSuccess: another",
    "crash RangeError",
    "crash RuntimeError",
    "wrong one build: CORRUPTED 0; the other: ok 0",
  ])
    assert.ok(messages.includes(expected), messages);
  assert.ok(totals.findings.length <= 10, messages);
});

test("counters stand in every block, and change no result", () => {
  const text = `
    const f = (a) => a ? a > 1 ? "many" : "one" : "none";
    function g(n) { let s = 0; for (let i = 0; i < n; i++) if (i % 2) s += i; else { s -= 1 } do s++; while (s < 0); return s || -7; }
    const h = (x) => { switch (x) { case 1: case 2: return x ?? 3; default: try { throw x } catch { return x && 9 } } };
    return [f(0), f(1), f(2), g(0), g(5), h(1), h(4)];`;
  const counted = instrument(`async () => {${text}}`, 10);
  assert.is(counted.next, 28);
  const run = (body: string) => {
    const counters = new Uint8Array(counted.next);
    return { result: new Function(COUNTERS, body)(counters), counters };
  };
  const { text: body } = instrument(`(() => {${text}})()`, 0);
  const plain = run(`return (() => {${text}})()`);
  const { result, counters } = run(`return ${body}`);
  assert.equal(result, plain.result);
  assert.is(
    counters.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0),
    16,
  );
  assert.is(
    plain.counters.reduce((sum, count) => sum + count, 0),
    0,
  );
});

test("the command: bundles that need Node alone, coverage, totals, JSON", () => {
  const folder = mkdtempSync(join(tmpdir(), "latentwire-fuzz-test-"));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  execFileSync(process.execPath, [join(root, "test/fuzz/build.mjs"), folder]);
  const words = [
    "--runs",
    "400",
    "--seed",
    "5",
    "--jobs",
    "2",
    "--json",
    join(folder, "totals.json"),
    "--findings",
    folder,
  ];
  const targets = ["--target", "packets,commands", "--target", "torch"];
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [join(folder, "run.mjs"), ...args], { cwd: root, encoding: "utf8" });
  const { status, stdout, stderr } = run(...words, ...targets);
  assert.is(status, 0, stdout + stderr);
  assert.match(
    stdout,
    /^commands: [\d,]+ inputs, .* branches, .* 0 crashes, 0 hangs, 0 untyped errors, 0 wrong successes/m,
  );
  const { totals, allBlocks } = JSON.parse(readFileSync(join(folder, "totals.json"), "utf8"));
  assert.equal(
    totals.map(({ target }: Totals) => target),
    ["packets", "commands", "torch"],
  );
  for (const { inputs, reached, corpus } of totals as Totals[])
    assert.ok(inputs >= 800 && reached > 200 && reached < allBlocks && corpus > 10, stdout);
  const { status: usage, stderr: message } = run("--target", "nothing");
  assert.is(usage, 2);
  assert.match(message, /no target nothing/);
});

test.run();
