/** Which cut and step to take: what is asked for, and what comes nearest. */
import type { Row } from "./measure.js";

/** What is asked for. */
export interface Goal {
  /** Least agreement with the uncut model, from 0 to 1. Without it and without `targetBytes`: {@link USUAL_AGREEMENT}. */
  readonly targetAgreement: number | undefined;
  /** Most bytes of a packet, on average. */
  readonly targetBytes: number | undefined;
  /** Most of the network's work before the cut, from 0 to 1. */
  readonly maxWork: number;
}

export const USUAL_AGREEMENT = 0.98;
export const USUAL_WORK = 0.5;
/** What context rows take of the bytes of static ones, roughly: 0.66 to 0.8 was measured (docs/context.md). */
const CONTEXT_SHARE = 0.75;

/** A cut under a setting, by the samples that choose. */
export interface Judged<C, S> {
  readonly candidate: C;
  readonly setting: S;
  readonly agreement: number;
  readonly bytes: number;
  readonly error: number;
  readonly workShare: number | null;
}

/** How far from the goal: the lower the better. All that meet it come before all that do not, those by bytes, these by what they miss. */
export function meets(
  { agreement, bytes, error, workShare }: Omit<Judged<unknown, unknown>, "candidate" | "setting">,
  { targetAgreement = USUAL_AGREEMENT, targetBytes, maxWork }: Goal,
  hasContext: boolean,
): number {
  const tooMuch = Math.max(0, (workShare ?? 0) - maxWork);
  if (tooMuch > 0) return 1e12 * (1 + tooMuch);
  if (targetBytes !== undefined) {
    const share = bytes / (targetBytes / (hasContext ? CONTEXT_SHARE : 1));
    // Within the bytes the best answers, and of equal ones the smallest error.
    return share <= 1 ? 1 - agreement + 1e-3 * error : 1e6 * share;
  }
  return agreement >= targetAgreement ? bytes : 1e9 * (1 + targetAgreement - agreement);
}

/** Without digits that say nothing: 40 %, 97.5 %. */
export const percent = (share: number): string => `${Number((100 * share).toFixed(1))} %`;

/** The row that is recommended, chosen by the samples that choose; undefined where nothing was measured. */
export function advise(rows: readonly Row[], goal: Goal): { row: Row; reason: string } | undefined {
  const made = rows.filter((row) => row.made !== undefined);
  const score = ({ chosen, candidate }: Row) => meets({ ...chosen, workShare: candidate.workShare }, goal, false);
  const [best] = [...made].sort((a, b) => score(a) - score(b));
  if (best === undefined) return undefined;
  const { targetAgreement = USUAL_AGREEMENT, targetBytes, maxWork } = goal;
  const within = maxWork < 1 ? ` with at most ${percent(maxWork)} of the work` : "";
  const work = best.candidate.workShare ?? 0;
  if (work > maxWork)
    return {
      row: best,
      reason: `no cut that was measured has at most ${percent(maxWork)} of the work: this one has the least of them`,
    };
  if (targetBytes !== undefined) {
    const bytes = best.contextBytes ?? best.bytes;
    const reason =
      bytes <= targetBytes
        ? `the best agreement of cuts${within} within ${targetBytes} bytes`
        : `the fewest bytes of cuts${within}; none takes ${targetBytes} bytes or fewer`;
    return { row: best, reason };
  }
  const samples = `on ${percent(targetAgreement)} of the samples that choose`;
  const reason =
    best.chosen.agreement >= targetAgreement
      ? `the fewest bytes of cuts${within} that agree ${samples}`
      : `no cut${within} agrees ${samples}: this one comes nearest, ${percent(best.chosen.agreement)}`;
  return { row: best, reason };
}

/** A row that looks better than the recommended one by the samples that are reported on. */
export interface Rival {
  readonly row: Row;
  readonly bytes: number;
  /** The recommended row's bytes, of the same kind. */
  readonly than: number;
  /** Whether that is with static rows although the recommended one has a context. */
  readonly isStatic: boolean;
}

/**
 * Of all rows within the limits that take fewer bytes than the recommended one and agree no less, on the samples that are reported on, the one
 * that agrees best, and of several the smallest; undefined where there is none. It is not recommended: nothing may be chosen by these samples.
 */
export function rivalOf(rows: readonly Row[], best: Row, { maxWork }: Goal): Rival | undefined {
  const isWithin = ({ candidate }: Row) => (candidate.workShare ?? 0) <= maxWork;
  if (!isWithin(best)) return undefined;
  const rivals = rows
    .filter((row) => row !== best && isWithin(row) && row.agreement >= best.agreement)
    .map((row): Rival => {
      const isStatic = row.contextBytes === null || best.contextBytes === null;
      const bytesOf = ({ bytes, contextBytes }: Row) => (isStatic ? bytes : contextBytes!);
      return { row, bytes: bytesOf(row), than: bytesOf(best), isStatic: isStatic && best.contextBytes !== null };
    })
    .filter(({ bytes, than }) => bytes < than);
  return rivals.sort((a, b) => b.row.agreement - a.row.agreement || a.bytes / a.than - b.bytes / b.than)[0];
}
