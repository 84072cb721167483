// Encoded with one runtime, decoded with another, whose networks do not agree to the last bit: trained hyperpriors of bench/families.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Codec, CodecError, create, type TensorLike } from "latentwire";
import { InferenceSession } from "onnxruntime-node";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Job, jobsOf, type Open } from "../bench/families/jobs.js";
import { readLatents } from "../bench/workloads.js";
import { stockScales } from "../bindings/cdfs.js";
import { rowsOfScales } from "./reference.js";
import { webRuntime } from "./web-session.js";

const GUARD = 1e-5;

const file = (name: string) => fileURLToPath(new URL(`../bench/families/${name}`, import.meta.url));
const families = ["mean-scale", "channel-groups", "autoregressive"].filter((name) =>
  existsSync(file(`models/${name}`)),
);

/** A photograph's latent, or its middle where there is a network call for every pixel. */
function latent(side: number, photo = 0): TensorLike & { data: Float32Array } {
  const { data: all, dims } = readLatents(file("latents/photos.f32.npy"));
  const [count, c, h, w] = dims;
  const data = all.subarray((photo * all.length) / count, ((photo + 1) * all.length) / count);
  const [top, left] = [(h - side) >> 1, (w - side) >> 1];
  const out = new Float32Array(c * side * side);
  for (let i = 0; i < c * side; i++) {
    const from = (Math.floor(i / side) * h + top + (i % side)) * w + left;
    out.set(data.slice(from, from + side), i * side);
  }
  return { type: "float32", dims: [1, c, side, side], data: out };
}

/** The codec, and all scales that are given to it. */
function noting(codec: Codec): { codec: Codec; scales: Float32Array[] } {
  const scales: Float32Array[] = [];
  const note = (data: unknown) => scales.push((data as Float32Array).slice());
  const watched = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(_, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== "function") return value;
        return (...given: unknown[]) => {
          if (key === "gaussian") note((given[0] as TensorLike).data);
          // Of a sequence: the writer is given the values first.
          if (key === "next") note(given[given.length === 4 ? 1 : 0]);
          const result: unknown = value.apply(target, given);
          return key === "writer" || key === "reader" || key === "sequence" ? watched(result as object) : result;
        };
      },
    });
  return { codec: watched(codec), scales };
}

interface Difference {
  /** Largest |a - b| / a. */
  readonly relative: number;
  /** Share of scales that differ at all. */
  readonly share: number;
}

function difference(a: readonly Float32Array[], b: readonly Float32Array[]): Difference {
  let [relative, different, count] = [0, 0, 0];
  for (const [p, scales] of a.entries())
    for (const [i, scale] of scales.entries()) {
      relative = Math.max(relative, Math.abs(scale - b[p][i]) / scale);
      if (scale !== b[p][i]) different++;
      count++;
    }
  return { relative, share: different / count };
}

/** Largest difference of two latents. A wrong symbol makes it at least almost 1, a mean that another runtime computed at most a little. */
function apart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

const [single, several] = [webRuntime(1), webRuntime(4)];
const runtimes: Record<string, Open> = {
  "onnxruntime-node": (model) => InferenceSession.create(model),
  "onnxruntime-web, 1 thread": (model) => single.open(model),
  "onnxruntime-web, 4 threads": (model) => several.open(model),
};
const [node, ...web] = Object.keys(runtimes);

const codec = await create();

for (const family of families) {
  const y = latent(family === "autoregressive" ? 12 : 28);
  const jobs: Record<string, Job> = {};
  test.before(async () => {
    for (const [name, open] of Object.entries(runtimes)) [jobs[name]] = await jobsOf(family, codec, open);
  });

  for (const [from, to] of web.flatMap((name) => [
    [node, name],
    [name, node],
  ])) {
    test(`${family}: ${from} -> ${to}`, async () => {
      const [sender, receiver] = [noting(codec), noting(codec)];
      const plain = await jobs[from].encode(codec, y);
      const guarded = await jobs[from].encode(sender.codec, y, { guard: GUARD, indexChecks: true });
      const decoded = await jobs[to].decode(receiver.codec, guarded.packet);
      assert.ok(apart(decoded.data, guarded.latent.data) < 1e-3, "with a guard every symbol is the encoder's");
      assert.equal(decoded.dims, y.dims);

      const { relative, share } = difference(sender.scales, receiver.scales);
      assert.ok(relative < GUARD, `scales differ by ${relative}, which the guard does not cover`);

      const checked = await jobs[from].encode(codec, y, { indexChecks: true });
      const outcome = await jobs[to].decode(codec, checked.packet).then(
        (found) => (apart(found.data, checked.latent.data) < 1e-3 ? "was lucky" : "WRONG SYMBOLS"),
        (error: unknown) => (error instanceof CodecError ? error.code : error),
      );
      assert.ok(outcome === "was lucky" || outcome === "MODEL_MISMATCH", `without a guard: ${outcome}`);
      console.error(
        `progress: ${family}, ${from} -> ${to}: ${(100 * share).toFixed(0)} % of the scales differ, by ${relative.toExponential(1)} at most; ` +
          `guard ${GUARD}: ${guarded.corrections} corrections, ${guarded.packet.length - checked.packet.length} of ${plain.packet.length} bytes; without: ${outcome}`,
      );
    });
  }
}

test("without a guard some latent fails, and with one it does not", async () => {
  // Most latents are lucky, so other brightnesses of the four are tried until the runtimes choose different rows for one scale.
  const [[sender], [receiver]] = await Promise.all(
    [node, web[0]].map((name) => jobsOf("mean-scale", codec, runtimes[name])),
  );
  for (let t = 0; t < 4000; t++) {
    // On the machine where this was written the first few tens are lucky.
    const trial = (2950 + t) % 4000;
    const photo = latent(28, trial % 4);
    const y = { ...photo, data: photo.data.map((value) => value * (0.5 + trial / 2000)) };
    // A narrow guard tells which latents have a scale near a boundary: others need not be tried.
    if ((await sender.encode(codec, y, { guard: 1e-6 })).corrections === 0) continue;
    const [here, there] = [noting(codec), noting(codec)];
    const guarded = await sender.encode(here.codec, y, { guard: GUARD });
    const decoded = await receiver.decode(there.codec, guarded.packet);
    assert.ok(apart(decoded.data, guarded.latent.data) < 1e-3, `trial ${trial}: a wrong symbol behind a guard`);
    const [rows, others] = [here, there].map(({ scales }) => rowsOfScales(scales[0], stockScales));
    const unlike = rows.filter((row, i) => row !== others[i]).length;
    if (unlike === 0) continue;

    const checked = await sender.encode(codec, y, { indexChecks: true });
    const code = await receiver.decode(codec, checked.packet).then(
      () => "no error",
      (error: unknown) => (error as CodecError).code,
    );
    assert.is(code, "MODEL_MISMATCH");
    const bare = await sender.encode(codec, y);
    const silent = await receiver.decode(codec, bare.packet).then(
      (found) => apart(found.data, bare.latent.data),
      (error: unknown) => error,
    );
    assert.ok(silent instanceof CodecError || (silent as number) > 0.5, "another row, but the same symbols");
    const outcome = silent instanceof CodecError ? silent.code : `symbols wrong by ${(silent as number).toFixed(0)}`;
    console.error(
      `progress: latent ${trial}: ${unlike} of ${rows.length} rows are others in the other runtime; without a guard: ${outcome}; ` +
        `with index checks: ${code}; with a guard: exact, ${guarded.corrections} corrections`,
    );
    return;
  }
  assert.unreachable("4000 latents, and the runtimes agree about every row");
});

test.after(async () => {
  await single.close();
  await several.close();
});
test.run();
