/** The whole study of a model: which cuts, at which steps, for how many bytes, at what agreement; and which one to take. */
import { setTimeout as rest } from "node:timers/promises";
import { type Codec, CodecError, type Table } from "latentwire";
import type { ContextSize } from "../context-fit.js";
import { LEAST_KEPT } from "../fit.js";
import { type Runtime, refusedAs, type Session, type Sharp } from "../packages.js";
import { advise, type Goal, type Judged, meets, USUAL_AGREEMENT } from "./advise.js";
import { type Answer, answerOf, type Metric, metricOf, sameClass, withInterval } from "./agreement.js";
import { costsOfCuts, openCandidates, promising, shortlist, storeTensors } from "./candidates.js";
import { channelScaling } from "./channels.js";
import type { Cut } from "./graph.js";
import { TensorStore } from "./latents.js";
import {
  type Bench,
  type Candidate,
  type Contexts,
  contextsOf,
  mean,
  packetBytes,
  priorsOf,
  type Row,
  type Setting,
  sendThrough,
  tablesOf,
  uniform,
} from "./measure.js";
import { measureShapes, type Opened, openSession } from "./network.js";
import { type PicturePoint, picturePoints } from "./pictures.js";
import { type Samples, type Uses, usesOf } from "./samples.js";
import { costsOf, type Shapes } from "./work.js";

export interface StudyOptions {
  readonly codec: Codec;
  readonly runtime: Runtime;
  /** With images: measures JPEG and WebP, too. */
  readonly sharp: Sharp | undefined;
  readonly opened: Opened;
  readonly samples: Samples;
  /** Undefined: found out, and said. */
  readonly metric: Metric | undefined;
  /** Only this cut. */
  readonly at: Cut | undefined;
  /** Only this step, of the first tensor. */
  readonly step: number | undefined;
  readonly goal: Goal;
  /** Train context rows of this size for the best cuts. */
  readonly context: ContextSize | undefined;
  /** The class of each sample; undefined where they are not known. */
  readonly classes: readonly number[] | undefined;
  readonly threads: number;
  /** For temporary files. */
  readonly folder: string;
  progress(stage: string, done: number, total: number): void;
  /** Takes remarks for the user. */
  say(remark: string): void;
}

export interface Study {
  readonly bench: Bench;
  readonly shapes: Shapes;
  readonly uses: Uses;
  /** Names of the samples, which `uses` numbers. */
  readonly names: readonly string[];
  readonly goal: Goal;
  /** How the metric is known. */
  readonly metricReason: string;
  readonly rows: readonly Row[];
  readonly recommended: { readonly row: Row; readonly reason: string } | undefined;
  readonly pictures: readonly PicturePoint[];
  /** Of the uncut model, with the same labels. */
  readonly accuracy: number | null;
  /** Milliseconds of the uncut model. */
  readonly wholeMs: number;
}

/** Steps in deviations of the tensor. */
const GRID = [0.04, 0.06, 0.09, 0.125, 0.18, 0.25, 0.35, 0.5, 0.7, 1, 1.4, 2, 2.8, 4];
const FIRST = GRID.indexOf(1);
/** Finer steps are tried until answers agree so well, coarser ones until they agree so badly. */
const GOOD = 0.99;
const BAD = 0.85;
/** Cuts that get context rows and steps per channel: the best one, and another that takes not many more bytes. */
const MOST_FINALISTS = 2;
/** So does a coarser step of the best cut: the coarsest with this agreement that saves a tenth of the bytes. */
const COARSER_AGREEMENT = 0.95;
const COARSER_BYTES = 0.9;
const NEAR = 1.5;
/** Steps per channel must save so much. They are tried with so many times the common step. */
const PAYS = 0.97;
const COARSER = [0.85, 1, 1.2, 1.44];
/** Timed runs of each head, and of the whole: so many turns of so many runs, after one that warms up. */
const TURNS = 3;
const TURN_RUNS = 4;
/** Milliseconds before a turn. Threads of a runtime wait in a loop after a run, and would take the processor from the next session: 1.5 times as long was measured. */
const REST = 100;

export async function study(options: StudyOptions): Promise<Study> {
  const { codec, runtime, opened, samples, threads, progress } = options;
  const uses = usesOf(samples.count);
  const all = Array.from({ length: samples.count }, (_, i) => i);
  const uncut = await openSession(
    runtime,
    opened.writer.head(opened.graph.outputNames, { outputs: opened.graph.model.outputs }),
    opened.path,
    threads,
  );
  const { metricReason, ...answers } = await answersOf(options, uncut, all);
  const feeds = await samples.feeds(0);
  const bench: Bench = { codec, runtime, opened, feeds, threads, outputs: opened.graph.outputNames, ...answers };

  const shapes = await measureShapes(runtime, opened, feeds);
  const costs = costsOf(opened.graph, opened.reader, shapes);
  const inputElements = Object.values(feeds).reduce((sum, { data }) => sum + data.length, 0);
  const listed = costsOfCuts(options.at ? [options.at] : opened.graph.cuts(), shapes, costs);
  const wanted = options.at ? listed : promising(listed, inputElements);
  if (wanted.length === 0)
    throw new CodecError("MODEL", `${opened.path}: no four tensors or fewer cut it in two, outside of its subgraphs`);
  const near = await shortlist(bench, samples, wanted, options.goal.maxWork, shapes, options.folder, (done, total) =>
    progress("looking at cuts", done, total),
  );
  const crossing = [...new Set(near.flatMap(({ cut }) => cut.tensors))];
  const stores = await storeTensors(bench, samples, all, crossing, shapes, options.folder, (done, total) =>
    progress("keeping what crosses the cuts", done, total),
  );
  const candidates = await openCandidates(bench, near, stores, uses.fit);

  const judged: Judged<Candidate, Setting>[] = [];
  for (const [k, candidate] of candidates.entries()) {
    judged.push(...(await scan(bench, options, candidate, uses)));
    progress("trying steps", k + 1, candidates.length);
  }
  const finalists = await finalistsOf(bench, options, judged, uses);
  const { wholeMs, encoderMs } = await timesOf(bench, samples, uncut, candidates, uses);
  const rows = await report(bench, options, uses, judged, finalists, encoderMs);
  const pictures =
    options.sharp && samples.images
      ? await picturePoints(bench, options.sharp, samples, uncut, uses.report, (done, total) =>
          progress("JPEG and WebP", done, total),
        )
      : [];
  const study = {
    bench,
    shapes,
    uses,
    names: samples.names,
    goal: options.goal,
    metricReason,
    rows,
    pictures,
    accuracy: accuracyOf(
      options,
      uses.report.map((i) => bench.expected(i).top),
      uses,
    ),
    wholeMs,
    recommended: advise(rows, options.goal),
  };
  for (const store of stores.values()) store.close();
  return study;
}

/** The uncut model's answers to all samples, and how answers are compared. */
async function answersOf(
  { samples, opened, folder, progress, metric, say }: StudyOptions,
  uncut: Session,
  all: readonly number[],
) {
  const store = new TensorStore(folder, "answers");
  const names = opened.graph.outputNames;
  const tops: number[] = [];
  let shapes: (readonly number[])[] = [];
  for (const i of all) {
    const outputs = await refusedAs("MODEL", opened.path, uncut.run(await samples.feeds(i)));
    const answer = answerOf(outputs, names);
    shapes = names.map((name) => outputs[name]!.dims);
    store.add({ type: "float32", dims: [answer.values.length], data: answer.values });
    tops.push(answer.top);
    progress("running the uncut model", i + 1, all.length);
  }
  const expected = (i: number): Answer => ({ top: tops[i]!, values: store.read(i) });
  const found = metric
    ? { metric, reason: "--metric says so" }
    : metricOf(
        names,
        shapes,
        all.map((i) => store.read(i)),
      );
  if (metric === undefined) say(`--metric ${found.metric}: ${found.reason}`);
  const same = found.metric === "top-1" ? sameClass(tops) : undefined;
  if (same) say(same);
  return { metric: found.metric, metricReason: found.reason, expected };
}

/** Tries steps, from the middle to both sides. */
async function scan(bench: Bench, { step, goal }: StudyOptions, candidate: Candidate, uses: Uses) {
  const found = new Map<string, Judged<Candidate, Setting> | undefined>();
  const tryOne = async (setting: Setting) => {
    const key = String(setting.steps);
    if (!found.has(key)) found.set(key, await judge(bench, candidate, setting, uses));
    return found.get(key);
  };
  if (step !== undefined) {
    const { deviation } = candidate.tensors[0]!.statistics;
    await tryOne(uniform(candidate, step / (deviation || 1)));
  } else {
    const wanted = Math.max(GOOD, goal.targetAgreement ?? 0);
    for (let g = FIRST; g >= 0; g--)
      if (((await tryOne(uniform(candidate, GRID[g]!)))?.agreement ?? 0) >= wanted) break;
    for (let g = FIRST; g < GRID.length; g++)
      if (((await tryOne(uniform(candidate, GRID[g]!)))?.agreement ?? 0) < BAD) break;
  }
  return [...found.values()].filter((one) => one !== undefined);
}

/** A setting by the samples that choose; undefined where it leaves nothing. */
async function judge(bench: Bench, candidate: Candidate, setting: Setting, uses: Uses) {
  const priors = priorsOf(bench, candidate, setting, tablesOf(bench, candidate, setting, uses.fit, 1));
  const outcome = await sendThrough(bench, candidate, setting, priors, uses.choose);
  if (outcome.kept < LEAST_KEPT) return undefined;
  return {
    candidate,
    setting,
    agreement: mean(outcome.agreements),
    bytes: mean(outcome.bytes),
    error: mean(outcome.errors),
    workShare: candidate.workShare,
  };
}

interface Finalist extends Judged<Candidate, Setting> {
  readonly tables: readonly Table[];
  readonly contexts: Contexts | undefined;
}

/** The best cuts by static rows, with a finer step where that helps, steps per channel where they pay, and context rows. */
async function finalistsOf(
  bench: Bench,
  options: StudyOptions,
  judged: Judged<Candidate, Setting>[],
  uses: Uses,
): Promise<Finalist[]> {
  const { goal, context, progress } = options;
  const best = new Map<Candidate, Judged<Candidate, Setting>>();
  for (const one of judged) {
    const other = best.get(one.candidate);
    if (other === undefined || meets(one, goal, context !== undefined) < meets(other, goal, context !== undefined))
      best.set(one.candidate, one);
  }
  const ranked = [...best.values()].sort(
    (a, b) => meets(a, goal, context !== undefined) - meets(b, goal, context !== undefined),
  );
  const finalists: Finalist[] = [];
  const near = ranked.filter(({ bytes }, k) => k === 0 || bytes <= NEAR * ranked[0]!.bytes).slice(0, MOST_FINALISTS);
  const [first] = near;
  const coarser = judged
    .filter(
      ({ candidate, agreement, bytes }) =>
        candidate === first?.candidate && agreement >= COARSER_AGREEMENT && bytes < COARSER_BYTES * first.bytes,
    )
    .sort((a, b) => a.bytes - b.bytes);
  near.push(...coarser.slice(0, 1));
  for (const [k, one] of near.entries()) {
    const part = (done: number) => progress("steps per channel", Math.round(100 * (k + done)), 100 * near.length);
    const scaled = options.step === undefined ? await perChannel(bench, one, goal, uses, part) : undefined;
    if (scaled) judged.push(scaled);
    const chosen = scaled ?? one;
    const numbers = [...uses.fit, ...uses.choose];
    const tables = tablesOf(bench, chosen.candidate, chosen.setting, numbers, 5);
    finalists.push({ ...chosen, tables, contexts: undefined });
  }
  if (context === undefined) return finalists;
  const trained: Finalist[] = [];
  for (const [k, one] of finalists.entries()) {
    const done = (share: number) =>
      progress("training context priors", Math.round(1000 * (k + share)), 1000 * finalists.length);
    const numbers = [...uses.fit, ...uses.choose];
    const contexts = await contextsOf(bench, one.candidate, one.setting, one.tables, numbers, context, done);
    const bytes = mean(packetBytes(bench, one.candidate, one.setting, contexts.priors, uses.choose));
    trained.push({ ...one, contexts, bytes });
    done(1);
  }
  return trained;
}

/** The same cut with a step for each channel, if that takes fewer bytes at no larger error. */
async function perChannel(
  bench: Bench,
  one: Judged<Candidate, Setting>,
  goal: Goal,
  uses: Uses,
  progress: (done: number) => void,
) {
  const { candidate, setting } = one;
  const scaling = await channelScaling(bench, candidate, setting, uses.fit, progress);
  let best: Judged<Candidate, Setting> | undefined;
  if (scaling === undefined) return best;
  for (const coarser of COARSER) {
    const [step] = setting.steps as [number];
    const next: Setting = {
      steps: [Math.fround(coarser * step)],
      coarseness: coarser * setting.coarseness,
      scalings: [scaling],
    };
    const found = await judge(bench, candidate, next, uses);
    if (found === undefined || found.error > one.error) break;
    const isGood = found.agreement >= Math.min(one.agreement, goal.targetAgreement ?? USUAL_AGREEMENT);
    if (isGood && found.bytes < PAYS * one.bytes) best = found;
  }
  return best;
}

/** Everything that was tried, on the samples that are reported on. */
async function report(
  bench: Bench,
  options: StudyOptions,
  uses: Uses,
  judged: readonly Judged<Candidate, Setting>[],
  finalists: readonly Finalist[],
  encoderMs: ReadonlyMap<Candidate, number>,
) {
  const rows: Row[] = [];
  for (const [k, one] of judged.entries()) {
    const { candidate, setting } = one;
    const finalist = finalists.find((other) => other.setting === setting);
    const tables = finalist?.tables ?? tablesOf(bench, candidate, setting, uses.fit, 1);
    const priors = priorsOf(bench, candidate, setting, tables);
    const outcome = await sendThrough(bench, candidate, setting, priors, uses.report);
    const contexts = finalist?.contexts;
    const contextBytes = contexts && mean(packetBytes(bench, candidate, setting, contexts.priors, uses.report));
    const { mean: agreement, interval } = withInterval(bench.metric, outcome.agreements);
    rows.push({
      candidate,
      setting,
      chosen: { agreement: one.agreement, bytes: finalist?.bytes ?? one.bytes, error: one.error },
      bytes: mean(outcome.bytes),
      contextBytes: contextBytes ?? null,
      agreement,
      interval,
      accuracy: accuracyOf(options, outcome.tops, uses),
      encoderMs: encoderMs.get(candidate)!,
      made: finalist && { tables, contexts, priors: contexts?.priors ?? priors },
    });
    options.progress("reporting", k + 1, judged.length);
  }
  return rows;
}

/** Share of right answers to the samples that are reported on; null without classes. */
const accuracyOf = ({ classes }: StudyOptions, tops: readonly number[], { report }: Uses): number | null =>
  classes === undefined ? null : mean(report.map((i, k) => Number(tops[k] === classes[i])));

/**
 * Milliseconds of the whole model and of each head, for one sample: the lower quartile of some runs. They take turns, so that what else the
 * machine does meets all of them.
 */
async function timesOf(
  { runtime, opened, threads }: Bench,
  samples: Samples,
  uncut: Session,
  candidates: readonly Candidate[],
  { report }: Uses,
) {
  const heads: Session[] = [];
  for (const { cut } of candidates) {
    const head = opened.writer.head(cut.tensors, { outputs: cut.tensors.map((name) => ({ name })) });
    heads.push(await openSession(runtime, head, opened.path, threads));
  }
  const timed = [uncut, ...heads].map((session) => ({ session, times: [] as number[] }));
  for (let turn = 0; turn < TURNS; turn++) {
    const first = TURN_RUNS * turn;
    const feeds = await Promise.all(
      Array.from({ length: TURN_RUNS }, (_, r) => samples.feeds(report[(first + r) % report.length]!)),
    );
    for (const { session, times } of timed) {
      await rest(REST);
      for (const [r, one] of [feeds[0]!, ...feeds].entries()) {
        const own = Object.fromEntries(session.inputNames.map((name) => [name, one[name]]));
        const began = performance.now();
        await session.run(own);
        if (r > 0) times.push(performance.now() - began);
      }
    }
  }
  for (const head of heads) await head.release?.();
  const [wholeMs, ...headMs] = timed.map(({ times }) => times.sort((a, b) => a - b)[times.length >> 2]!);
  return { wholeMs: wholeMs!, encoderMs: new Map(candidates.map((candidate, k) => [candidate, headMs[k]!])) };
}
