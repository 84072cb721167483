// Random latents under every prior and in every form: the three builds must write the same bytes, and each must read them back.
import { type Codec, create } from "latentwire";
import { anySample, makeTable, type Random, random, type Sample } from "../cases.js";
import { contextSample, givenSample, randomNetwork } from "../context-cases.js";
import { codeOf, fnv, hex, type Outcome } from "./cases.js";

const forms = [{}, {}, { header: "compact" }, { header: "compact", checksum: 2 }, { checksum: false }] as const;
const lanes = ["auto", 1, 8, 16, 32] as const;

/** A small latent under a context: rows of channels or given ones, networks of every size and temper, static rows that may win. */
function anyContext(rng: Random): Sample {
  const channels = 1 + rng(3);
  const dims = [1 + rng(2), channels, 1 + rng(5), 1 + rng(6)];
  const style = { channels, temper: (["tame", "wild", "extreme"] as const)[rng(3)] };
  const symbols = (["zero", "small", "large", "int32"] as const)[rng(4)];
  const rows = 1 + rng(4);
  const table = (count: number) => makeTable(rng, { rows: count, entries: 9, flavour: "peaked" });
  if (rng(3) === 0)
    return givenSample(rng, dims, {
      parameters: randomNetwork(rng, { ...style, given: rows }),
      table: table(rows),
      symbols,
    });
  const fitting = rng(2) ? { table: table(channels) } : {};
  return contextSample(rng, dims, { parameters: randomNetwork(rng, style), symbols, ...fitting });
}

/** One packet of one to four parts, or CompressAI's string of one, and what comes back. The same numbers give the same case. */
function coded(codec: Codec, rng: Random, kinds: Record<string, number>): string {
  const parts = Array.from({ length: rng(3) ? 1 : 2 + rng(3) }, () =>
    rng(6) ? anySample(rng, 1 + rng(120), [0, 0.01, 0.2][rng(3)]) : anyContext(rng),
  );
  const priors = parts.map((part) => part.prior(codec));
  for (const { kind } of priors) kinds[kind] = (kinds[kind] ?? 0) + 1;
  const [first, prior] = [parts[0]!, priors[0]!];
  if (prior.kind !== "mixture" && rng(6) === 0) {
    const form = { stream: "compressai", header: "none" } as const;
    const packet = codec.encode(first.latent, prior, form);
    return hex(packet) + fnv(codec.decode(packet, prior, { ...form, dims: first.dims }).data);
  }
  const form = { ...forms[rng(forms.length)]!, lanes: lanes[rng(lanes.length)]! };
  const writer = codec.writer({ ...form, guard: rng(2) ? 1e-5 : 0, indexChecks: rng(2) === 0 });
  for (const [i, part] of parts.entries()) writer.write(part.latent, priors[i]!);
  const packet = writer.finish();
  const { lanes: _, ...read } = form;
  const reader = codec.reader(packet, read);
  const values = priors.map((own, i) => fnv(reader.read(own, { dims: parts[i]!.dims }).data));
  reader.finish();
  return `${hex(packet)} ${values}`;
}

/** What each of so many seeded cases gives. `kinds` counts the parts by their priors. */
export function randomOutcomes(
  codec: Codec,
  cases: number,
  seed: number,
  kinds: Record<string, number> = {},
): Outcome[] {
  return Array.from({ length: cases }, (_, i) => {
    let text = "";
    // Each case has a seed of its own, so that one can be repeated alone.
    const code = codeOf(() => {
      text = coded(codec, random(seed + i), kinds);
    });
    return { name: `random case ${seed + i}`, packet: code === "none" ? text : `threw ${code}`, decoded: "" };
  });
}

/** Compares so many seeded cases. Names the first that differs. */
export async function compareRandom(cases: number, seed: number): Promise<{ name: string; wrong: string | undefined }> {
  const make = () => Promise.all((["simd", "scalar", "javascript"] as const).map((build) => create({ build })));
  let builds = await make();
  const kinds: Record<string, number> = {};
  let wrong: string | undefined;
  for (let i = 0; i < cases && wrong === undefined; i++) {
    // A codec keeps its tables, and here each case has tables of its own.
    if (i % 200 === 199) builds = await make();
    const [simd, ...others] = builds.map((codec) => randomOutcomes(codec, 1, seed + i, kinds)[0]!.packet);
    if (simd!.startsWith("threw") || others.some((text) => text !== simd))
      wrong = `npm run test:engines -- random --cases 1 --seed ${seed + i}:\n${[simd, ...others].map((text) => `     ${text}`).join("\n")}`;
  }
  // Each of the builds has counted.
  const parts = Object.entries(kinds).map(([kind, count]) => `${count / builds.length} ${kind}`);
  return {
    name: `${cases} random cases from seed ${seed}, simd, scalar and javascript: ${parts.join(", ")} parts`,
    wrong,
  };
}
