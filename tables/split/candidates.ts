/** Which of all cuts are measured: those that promise the fewest bytes for the work before them. */

import { CodecError } from "latentwire";
import { elementsOf } from "../layout.js";
import { refusedAs, type Session } from "../packages.js";
import type { Cut } from "./graph.js";
import { statisticsOf, TensorStore } from "./latents.js";
import { type Bench, type Candidate, openTail } from "./measure.js";
import { exposed, openSession } from "./network.js";
import type { Samples } from "./samples.js";
import type { Costs, Shapes } from "./work.js";

/** Most cuts that are measured: with no more than the wanted work, and with more. */
const MOST_WITHIN = 8;
const MOST_BEYOND = 4;
const MOST_CANDIDATES = MOST_WITHIN + MOST_BEYOND;
/** Samples that are looked at to choose them. */
const PROBED = 8;
/** A cut is left out if it has more than so many times the elements of the smallest cut before it. */
const LARGER = 2;
/** Or if its tensors take more than so many times the bits of a cut before it. A little more may be chance. */
const MORE_BITS = 1.15;
/** Or if they take more than so many times the bits of the best cut within the wanted work: it would never be recommended. */
const FAR_MORE_BITS = 4;
/** Or if a later cut takes fewer bits for so little more work that a device does not feel it. */
const SAME_WORK = 0.01;
/** To compare the two: all of the network's work is worth e^4, 55 times the bits. */
const WORK_WEIGHT = 4;
/** Bytes of tensors that one run gives at most: others are for the next run. */
const RUN_BYTES = 2 ** 28;
/** Bytes of temporary files at most: tensors of all samples at all cuts that are looked at. */
const MOST_STORED = 2 ** 34;

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
  const promised = tensors.reduce((sum, name) => sum + 4 * elementsOf(shapes.get(name) ?? [0]), 0);
  checkStored(numbers.length * promised);
  const stores = new Map(tensors.map((name) => [name, new TensorStore(folder, name)]));
  const runs = inRuns(tensors, shapes);
  let done = 0;
  let stored = 0;
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
        if (!NUMBERS.test(tensor.type)) continue;
        // Not what was promised where a shape depends on the sample.
        stored += 4 * tensor.data.length;
        checkStored(stored);
        stores.get(name)!.add(tensor);
      }
      progress(++done, runs.length * numbers.length);
    }
    await session.release?.();
  }
  for (const [name, store] of stores) if (store.count === 0) stores.delete(name);
  return stores;
}

function checkStored(bytes: number): void {
  if (bytes > MOST_STORED)
    throw new CodecError(
      "LIMIT_EXCEEDED",
      `the tensors of all samples at the cuts take ${(bytes / 2 ** 30).toFixed(1)} GiB of temporary files, ` +
        `${MOST_STORED / 2 ** 30} are the most: fewer samples (--limit N), smaller ones (--size), or one cut (--at TENSOR)`,
    );
}

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
  const bitsOf = new Map([...stores].map(([name, store]) => [name, statisticsOf(store, numbers).bits]));
  for (const store of stores.values()) store.close();
  const probed = cuts
    .filter(({ cut }) => cut.tensors.every((name) => bitsOf.has(name)))
    .map((cost) => ({
      cost,
      work: cost.workShare ?? cost.parametersShare,
      bits: cost.cut.tensors.reduce((sum, name) => sum + bitsOf.get(name)!, 0),
    }));
  return chosenOf(probed, maxWork).map(({ cost }) => cost);
}

/** What is known of a cut once some samples were looked at. */
export interface ProbedCut {
  /** Share of the network's work before it. */
  readonly work: number;
  /** Bits of its tensors, of one sample. */
  readonly bits: number;
}

/** The cuts that are measured, of cuts from input to output: the useful ones, thinned out on both sides of the wanted work. */
export function chosenOf<T extends ProbedCut>(cuts: readonly T[], maxWork: number): T[] {
  const useful = usefulOf(cuts, maxWork);
  const within = useful.filter(({ work }) => work <= maxWork);
  const beyond = useful.filter(({ work }) => work > maxWork);
  return [...thinnedOut(within, MOST_WITHIN), ...thinnedOut(beyond, MOST_BEYOND)];
}

/** Cuts that no other cut makes useless. Both lists of neighbours are in the order of the file: work never falls. */
function usefulOf<T extends ProbedCut>(cuts: readonly T[], maxWork: number): T[] {
  let fewestWithin = Number.POSITIVE_INFINITY;
  for (const { work, bits } of cuts) if (work <= maxWork && bits > 0) fewestWithin = Math.min(fewestWithin, bits);
  let fewestBefore = Number.POSITIVE_INFINITY;
  return cuts.filter((cut, k) => {
    const { work, bits } = cut;
    const isBeatenBefore = bits > MORE_BITS * fewestBefore;
    // The input itself is no cut, so what has no work before it beats none.
    if (work !== 0) fewestBefore = Math.min(fewestBefore, bits);
    if (bits <= 0 || bits > FAR_MORE_BITS * fewestWithin || isBeatenBefore) return false;
    for (let later = k + 1; later < cuts.length && cuts[later]!.work - work <= SAME_WORK; later++)
      if (cuts[later]!.bits < bits) return false;
    return true;
  });
}

/** At most so many cuts. Again and again the one goes that differs least from the next one, which does more of the work. */
function thinnedOut<T extends ProbedCut>(cuts: readonly T[], most: number): T[] {
  const left = [...cuts];
  const toNext = left.map((cut, place) => differenceOf(cut, left[place + 1]));
  while (left.length > most) {
    const least = toNext.reduce((best, difference, place) => (difference < toNext[best]! ? place : best), 0);
    left.splice(least, 1);
    toNext.splice(least, 1);
    if (least > 0) toNext[least - 1] = differenceOf(left[least - 1]!, left[least]);
  }
  return left;
}

/** How far a cut is from the next one, in bits and work; the last one has no next one and stays. */
function differenceOf({ work, bits }: ProbedCut, next: ProbedCut | undefined): number {
  if (next === undefined) return Number.POSITIVE_INFINITY;
  return Math.abs(Math.log(bits / next.bits)) + WORK_WEIGHT * (next.work - work);
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
