/** Which of all cuts are measured: those that promise the fewest bytes for the work before them. */

import { elementsOf } from "../layout.js";
import { refusedAs, type Session } from "../packages.js";
import type { Cut } from "./graph.js";
import { statisticsOf, TensorStore } from "./latents.js";
import { type Bench, type Candidate, openTail } from "./measure.js";
import { exposed, openSession } from "./network.js";
import type { Samples } from "./samples.js";
import type { Costs, Shapes } from "./work.js";

/** Most cuts that are measured, with no more than the wanted work and with more; samples that are looked at to choose them. */
const MOST_WITHIN = 8;
const MOST_BEYOND = 4;
const MOST_CANDIDATES = MOST_WITHIN + MOST_BEYOND;
/** Cuts differ by the logarithm of their bits, and by so many times their work. */
const WORK_WEIGHT = 4;
const PROBED = 8;
/** A cut may hold so many times the elements of the smallest one before it, and take so many times its bits. */
const LARGER = 2;
const MORE_BITS = 1.15;
/** A cut with so many times the bits of the best one within the wanted work is of no use. */
const FAR_MORE_BITS = 4;
/** A cut is left out where one with this much more work takes fewer bits: both are the same to a device. */
const SAME_WORK = 0.01;
/** Bytes of tensors that one run gives at most: others are for the next run. */
const RUN_BYTES = 2 ** 28;

/** What crosses a cut must be numbers; their types by the names of the runtime. */
const NUMBERS = /^(float32|float16|float64|u?int(8|16)|int32|int64|bool)$/;
const EXACT = /^(u?int32|u?int64|bool)$/;

export interface CutCost {
  readonly cut: Cut;
  readonly elements: number;
  readonly workShare: number | null;
  readonly parametersShare: number;
}

/** All cuts with what they cost, in order. */
export function costsOfCuts(cuts: readonly Cut[], shapes: Shapes, costs: Costs): CutCost[] {
  return cuts.map((cut) => {
    const elements = cut.tensors.reduce((sum, tensor) => sum + elementsOf(shapes.get(tensor) ?? [0]), 0);
    const { work, parameters } = costs.share(cut);
    return { cut, elements, workShare: work, parametersShare: parameters };
  });
}

/** Cuts that are not much larger than the smallest one before them. Where all are, as in a U-net, the smallest ones. */
export function promising(cuts: readonly CutCost[], inputElements: number): CutCost[] {
  let least = inputElements;
  const found = cuts.filter(({ elements, workShare }) => {
    // Without any work before it a cut is the input itself.
    if (elements === 0 || elements > LARGER * least || workShare === 0) return false;
    least = Math.min(least, elements);
    return true;
  });
  if (found.length > 0) return found;
  const sizes = cuts.map(({ elements }) => elements).sort((a, b) => a - b);
  return cuts.filter(({ elements }) => elements <= (sizes[MOST_CANDIDATES - 1] ?? Number.POSITIVE_INFINITY));
}

/** Runs the model over samples with tensors between as its outputs, and keeps these. */
export async function storeTensors(
  bench: Bench,
  samples: Samples,
  numbers: readonly number[],
  tensors: readonly string[],
  shapes: Shapes,
  folder: string,
  progress: (done: number, total: number) => void,
): Promise<Map<string, TensorStore>> {
  const stores = new Map(tensors.map((name) => [name, new TensorStore(folder, name, fileNumber++)]));
  const runs = inRuns(tensors, shapes);
  let done = 0;
  for (const names of runs) {
    const session: Session = await openSession(
      bench.runtime,
      exposed(bench.opened, names),
      bench.opened.path,
      bench.threads,
    );
    for (const i of numbers) {
      const outputs = await refusedAs("MODEL", bench.opened.path, session.run(await samples.feeds(i)));
      for (const name of names) {
        const tensor = outputs[name]!;
        if (NUMBERS.test(tensor.type)) stores.get(name)!.add(tensor);
      }
      progress(++done, runs.length * numbers.length);
    }
    await session.release?.();
  }
  for (const [name, store] of stores) if (store.count === 0) stores.delete(name);
  return stores;
}
let fileNumber = 0;

function inRuns(tensors: readonly string[], shapes: Shapes): string[][] {
  const runs: string[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const name of tensors) {
    const own = 4 * elementsOf(shapes.get(name) ?? [1]);
    if (bytes + own > RUN_BYTES) {
      runs.push([]);
      bytes = 0;
    }
    runs.at(-1)!.push(name);
    bytes += own;
  }
  return runs;
}

/** Of promising cuts those that are measured: none that another one beats in both work and bits, at most twelve. */
export async function shortlist(
  bench: Bench,
  samples: Samples,
  cuts: readonly CutCost[],
  maxWork: number,
  shapes: Shapes,
  folder: string,
  progress: (done: number, total: number) => void,
): Promise<CutCost[]> {
  if (cuts.length <= 1) return [...cuts];
  const numbers = Array.from({ length: Math.min(PROBED, samples.count) }, (_, i) => i);
  const names = [...new Set(cuts.flatMap(({ cut }) => cut.tensors))];
  const stores = await storeTensors(bench, samples, numbers, names, shapes, folder, progress);
  const bits = new Map([...stores].map(([name, store]) => [name, statisticsOf(store, numbers).bits]));
  for (const store of stores.values()) store.close();
  const judged = cuts
    .filter(({ cut }) => cut.tensors.every((name) => stores.has(name)))
    .map((cost) => ({ cost, bits: cost.cut.tensors.reduce((sum, name) => sum + bits.get(name)!, 0) }));
  const work = (one: (typeof judged)[number]) => one.cost.workShare ?? one.cost.parametersShare;
  const within = judged.filter((one) => work(one) <= maxWork && one.bits > 0).map((one) => one.bits);
  const most = FAR_MORE_BITS * Math.min(...within);
  const good = judged.filter((one, k) => {
    const earlier = judged.slice(0, k);
    const later = judged.slice(k + 1);
    return (
      one.bits > 0 &&
      one.bits <= most &&
      earlier.every((other) => one.bits <= MORE_BITS * other.bits || work(other) === 0) &&
      later.every((other) => work(other) - work(one) > SAME_WORK || other.bits >= one.bits)
    );
  });
  // Too many: those go that differ least from the next one, which does more of the work that is allowed anyway.
  const thinned = (list: typeof good, most: number) => {
    const left = [...list];
    while (left.length > most) {
      const gains = left.map((one, k) => {
        const next = left[k + 1];
        return next
          ? Math.abs(Math.log(one.bits / next.bits)) + WORK_WEIGHT * (work(next) - work(one))
          : Number.POSITIVE_INFINITY;
      });
      left.splice(gains.indexOf(Math.min(...gains)), 1);
    }
    return left;
  };
  const [inside, beyond] = [true, false].map((wanted) => good.filter((one) => work(one) <= maxWork === wanted));
  return [...thinned(inside!, MOST_WITHIN), ...thinned(beyond!, MOST_BEYOND)].map(({ cost }) => cost);
}

/** Opens what measuring a cut takes: its tensors of all samples, their statistics of those that fit, the tail. */
export async function openCandidates(
  bench: Bench,
  costs: readonly CutCost[],
  stores: ReadonlyMap<string, TensorStore>,
  fit: readonly number[],
): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  for (const { cut, workShare, parametersShare } of costs) {
    const tensors = cut.tensors.map((name) => {
      const store = stores.get(name)!;
      return { store, statistics: statisticsOf(store, fit), isExact: EXACT.test(store.type) };
    });
    const tail = await openTail(
      bench,
      cut,
      tensors.map(({ store }) => store),
    );
    candidates.push({ cut, tensors, workShare, parametersShare, tail });
  }
  return candidates;
}
