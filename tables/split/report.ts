/** What is printed of cuts: the list without samples, and the study. */
import { table } from "../cli-files.js";
import { elementsOf } from "../layout.js";
import { meets, rivalOf } from "./advise.js";
import { bytesAt } from "./agreement.js";
import { type CutCost, costsOfCuts } from "./candidates.js";
import type { Row } from "./measure.js";
import type { Opened } from "./network.js";
import type { Format } from "./pictures.js";
import type { Study } from "./study.js";
import type { Costs, Shapes } from "./work.js";

export const percent = (share: number | null): string => (share === null ? "-" : `${(100 * share).toFixed(1)} %`);
export const nameOf = (tensors: readonly string[]): string => tensors.join(" + ");
export const shapeText = (dims: readonly number[]): string => dims.join("x");

const described = ({ cut, elements, workShare, parametersShare }: CutCost, shapes: Shapes) => ({
  tensor: nameOf(cut.tensors),
  dims: cut.tensors.length === 1 ? shapes.get(cut.tensors[0]!) : cut.tensors.map((tensor) => shapes.get(tensor)),
  float32Bytes: 4 * elements,
  int8Bytes: elements,
  workShare,
  parametersShare,
});

/** Every cut, for machines. */
export function listingJson({ graph, path }: Opened, shapes: Shapes, costs: Costs) {
  const { multiplyAdds, parameters } = costs;
  const cuts = costsOfCuts(graph.cuts(), shapes, costs).map((cost) => described(cost, shapes));
  return { model: path, multiplyAdds, parameters, cuts };
}

/** Cuts as a table: all, or those that have no more elements than any before them. */
export function listingLines({ graph, path }: Opened, shapes: Shapes, costs: Costs, isAll: boolean): string[] {
  const cuts = costsOfCuts(graph.cuts(), shapes, costs);
  let least = Number.POSITIVE_INFINITY;
  const listed = cuts.filter(({ elements }) => {
    if (isAll) return true;
    if (elements > least) return false;
    least = elements;
    return true;
  });
  if (cuts.length === 0) return [`${path} has no cut of at most four tensors`];
  const rows = listed.map(({ cut, elements, workShare, parametersShare }) => [
    nameOf(cut.tensors),
    cut.tensors.map((tensor) => shapeText(shapes.get(tensor) ?? [])).join(" + "),
    String(4 * elements),
    String(elements),
    percent(workShare),
    percent(parametersShare),
  ]);
  const hidden = cuts.length - listed.length;
  return [
    ...table([["cut", "shape", "float32", "int8", "work", "weights"], ...rows], 2),
    "",
    `${(costs.multiplyAdds / 1e6).toFixed(1)} million multiply-adds, ${costs.parameters} weights` +
      (hidden > 0 ? `; ${hidden} larger cuts are not listed: --all` : ""),
    "To measure bytes and agreement: --images DIR, or --inputs FILE.npy",
  ];
}

/** Bytes of a picture codec at an agreement; null where it does not reach that. */
export const pictureBytes = ({ pictures }: Study, format: Format, agreement: number): number | null =>
  bytesAt(
    pictures.filter((point) => point.format === format),
    agreement,
  );

/** What a row is compared with. */
export interface Compared {
  /** Null where the codec does not reach the agreement. */
  readonly bytes: number | null;
  readonly agreement: number;
  /** Whether that is the lower end of the row's interval: the codec takes as many bytes, or more. */
  readonly isLeast: boolean;
}

/**
 * A picture codec at the agreement of a row. If no sample differs, samples cannot tell how near to 1 that is, and a codec would have to be nearly
 * without loss. Then it is compared at the lower end of the interval.
 */
export function comparedWith(study: Study, format: Format, { agreement, interval }: Row): Compared {
  const isLeast = agreement === 1;
  const at = isLeast ? interval[0] : agreement;
  return { bytes: pictureBytes(study, format, at), agreement: at, isLeast };
}

const rounded = (value: number | null, digits = 0): number | null =>
  value === null ? null : Number(value.toFixed(digits));

export function rowJson(study: Study, row: Row) {
  const { candidate, setting, bytes, contextBytes, agreement, interval, accuracy, encoderMs } = row;
  const { tensors } = candidate;
  const dims = tensors.map(({ store }) => store.dims(0));
  const elements = dims.reduce((sum, one) => sum + elementsOf(one), 0);
  const scaling = setting.scalings[0];
  return {
    tensor: nameOf(candidate.cut.tensors),
    dims: dims.length === 1 ? dims[0] : dims,
    float32Bytes: 4 * elements,
    int8Bytes: elements,
    workShare: rounded(candidate.workShare, 4),
    parametersShare: rounded(candidate.parametersShare, 4),
    step: setting.steps.length === 1 ? setting.steps[0] : setting.steps,
    stepInDeviations: rounded(setting.coarseness, 3),
    ...(scaling && {
      perChannel: true,
      channelsLeftOut: scaling.factors.reduce((count, factor) => count + Number(factor === 0), 0),
    }),
    bytes: rounded(bytes, 1),
    contextBytes: rounded(contextBytes, 1),
    choosingAgreement: rounded(row.chosen.agreement, 4),
    agreement: rounded(agreement, 4),
    agreement95: interval.map((bound) => rounded(bound, 4)),
    ...(accuracy !== null && { accuracy: rounded(accuracy, 4) }),
    encoderMs: rounded(encoderMs, 2),
    webpBytes: rounded(pictureBytes(study, "WebP", agreement), 1),
    jpegBytes: rounded(pictureBytes(study, "JPEG", agreement), 1),
    webpBytes95: interval.map((end) => rounded(pictureBytes(study, "WebP", end), 1)),
    jpegBytes95: interval.map((end) => rounded(pictureBytes(study, "JPEG", end), 1)),
  };
}

/** The study for machines. */
export function studyJson(study: Study, model: string) {
  const { rows, uses, names, recommended, bench, pictures, accuracy, wholeMs } = study;
  const named = (numbers: readonly number[]) => numbers.map((i) => names[i]);
  const count = uses.fit.length + uses.choose.length + uses.report.length;
  const remark = recommended && besideRival(study, recommended.row);
  return {
    model,
    images: count,
    uses: { fit: uses.fit.length, choose: uses.choose.length, report: uses.report.length },
    samples: { fit: named(uses.fit), choose: named(uses.choose), report: named(uses.report) },
    metric: bench.metric,
    metricReason: study.metricReason,
    ...(accuracy !== null && { accuracy: rounded(accuracy, 4) }),
    wholeMs: rounded(wholeMs, 2),
    cuts: rows.map((row) => rowJson(study, row)),
    pictures,
    recommended: recommended && {
      ...rowJson(study, recommended.row),
      reason: recommended.reason,
      ...(remark && { remark }),
    },
  };
}

/** Of each cut the row that comes nearest to the goal by the samples that choose, and the one that is recommended; in order of work. */
export function bestOfCuts({ rows, goal, recommended }: Study): Row[] {
  // Whether a cut has too much work is the same for all of its rows.
  const score = ({ chosen }: Row) => meets({ ...chosen, workShare: null }, goal, false);
  const best = new Map<unknown, Row>();
  for (const row of rows) {
    const other = best.get(row.candidate);
    if (other === undefined || score(row) < score(other)) best.set(row.candidate, row);
  }
  if (recommended) best.set(recommended.row.candidate, recommended.row);
  return [...best.values()].sort(byWork);
}

const byWork = (a: Row, b: Row): number =>
  (a.candidate.workShare ?? 0) - (b.candidate.workShare ?? 0) || a.setting.coarseness - b.setting.coarseness;

/** Rows that no other one beats in work, bytes and agreement, and those that may be written. */
function worthShowing(rows: readonly Row[], isAll: boolean): Row[] {
  const sizeOf = ({ bytes }: Row) => bytes;
  const isBeaten = (a: Row) =>
    rows.some(
      (b) =>
        b !== a &&
        (b.candidate.workShare ?? 0) <= (a.candidate.workShare ?? 0) &&
        sizeOf(b) < sizeOf(a) &&
        b.agreement >= a.agreement,
    );
  return rows.filter((row) => isAll || row.made !== undefined || (!isBeaten(row) && row.agreement > 0.8));
}

/** Bytes of a packet: with context rows where they were trained. */
export const bytesOf = ({ contextBytes, bytes }: Row): number => contextBytes ?? bytes;

const bytesText = (bytes: number | null): string => (bytes === null ? "-" : bytes.toFixed(0));

const comparedText = ({ bytes, isLeast }: Compared): string =>
  (isLeast && bytes !== null ? ">=" : "") + bytesText(bytes);

/** A table, and which of its rows is the recommended one; -1 where none is. */
export interface StudyTable {
  readonly head: string[];
  readonly rows: string[][];
  readonly recommended: number;
}

/** Of all that was tried, or of what another row does not beat. */
export function studyTable(study: Study, isAll: boolean): StudyTable {
  const { rows, recommended } = study;
  const shown = worthShowing(rows, isAll).sort(byWork);
  const hasContext = rows.some(({ contextBytes }) => contextBytes !== null);
  const hasAccuracy = study.accuracy !== null;
  const formats = study.pictures.length > 0 ? (["WebP", "JPEG"] as const) : [];
  const head = [
    ...["cut", "shape", "work", "step", "bytes", ...(hasContext ? ["context"] : [])],
    ...["choosing", "agreement", "95 % interval"],
    ...(hasAccuracy ? ["accuracy"] : []),
    ...["ms", ...formats],
  ];
  const lines = shown.map((row) => [
    nameOf(row.candidate.cut.tensors),
    row.candidate.tensors.map(({ store }) => shapeText(store.dims(0).slice(1))).join(" + "),
    percent(row.candidate.workShare),
    row.setting.steps.map((step) => Number(step.toPrecision(4))).join(" + ") + (row.setting.scalings[0] ? " *" : ""),
    bytesText(row.bytes),
    ...(hasContext ? [row.contextBytes === null ? "not trained" : bytesText(row.contextBytes)] : []),
    percent(row.chosen.agreement),
    percent(row.agreement),
    `${(100 * row.interval[0]).toFixed(0)}..${(100 * row.interval[1]).toFixed(0)}`,
    ...(hasAccuracy ? [percent(row.accuracy)] : []),
    row.encoderMs.toFixed(1),
    ...formats.map((format) => comparedText(comparedWith(study, format, row))),
  ]);
  return { head, rows: lines, recommended: recommended ? shown.indexOf(recommended.row) : -1 };
}

/** What the columns of picture codecs are. */
export const PICTURES =
  "WebP, JPEG: their bytes at that agreement; with >= at the lower end of the interval, where no sample differs.";

/** What the column is by which the recommendation goes. */
export const choosingLegend = ({ uses }: Study): string =>
  `choosing: agreement on the ${uses.choose.length} samples that choose. The recommendation goes by it.`;

/** What the column of context priors is. */
export const CONTEXTS =
  "context: bytes with a context prior. Where none was trained, compare bytes with bytes: a context would save there, too.";

export function studyLines(study: Study, isAll: boolean): string[] {
  const { recommended, uses, bench, wholeMs } = study;
  const { head, rows, recommended: best } = studyTable(study, isAll);
  const marked = rows.map(([cut, ...cells], r) => [`${r === best ? "> " : ""}${cut}`, ...cells]);
  const kind = bench.metric === "top-1" ? "same highest class as the uncut model" : "1 - relative error of the outputs";
  const hasPictures = study.pictures.length > 0;
  const hasSteps = study.rows.some(({ setting }) => setting.scalings[0] !== undefined);
  return [
    ...table([head, ...marked], 2),
    "",
    `agreement: ${kind}, ${uses.report.length} samples that nothing was fitted to or chosen by.`,
    choosingLegend(study),
    ...(study.rows.some(({ contextBytes }) => contextBytes !== null) ? [CONTEXTS] : []),
    ...(hasPictures ? [PICTURES] : []),
    `ms: the device's part here, of ${wholeMs.toFixed(1)} for the whole.${hasSteps ? " *: a step per channel." : ""}`,
    ...(recommended ? ["", ...recommendation(study, recommended)] : []),
  ];
}

/** The recommendation in two sentences, and a third where another row looks better. */
export function recommendation(study: Study, { row, reason }: NonNullable<Study["recommended"]>): string[] {
  const step = row.setting.steps.map((one) => Number(one.toPrecision(6))).join(" + ");
  const chosen = `${percent(row.chosen.agreement)} on the ${study.uses.choose.length} samples that chose it`;
  return [
    `recommended: ${nameOf(row.candidate.cut.tensors)}, step ${step}: ${reason}`,
    `${bytesOf(row).toFixed(0)} bytes at ${percent(row.agreement)} agreement (${chosen})${besideWebp(study, row)}`,
    ...[besideRival(study, row)].filter((line) => line !== undefined),
  ];
}

/** What is said where another row has fewer bytes and agrees no less, on the samples that are reported on. */
export function besideRival({ rows, goal }: Study, row: Row): string | undefined {
  const rival = rivalOf(rows, row, goal);
  if (rival === undefined) return undefined;
  const { candidate, setting, chosen } = rival.row;
  const step = setting.steps.map((one) => Number(one.toPrecision(4))).join(" + ");
  const kind = rival.isStatic ? " with static rows" : "";
  const at = candidate.cut.tensors.join(",");
  return [
    `${nameOf(candidate.cut.tensors)}, step ${step}, takes fewer bytes here, ${rival.bytes.toFixed(0)} of ${rival.than.toFixed(0)}${kind}, at ${percent(rival.row.agreement)} agreement.`,
    `On the samples that choose it had ${percent(chosen.agreement)} and ${chosen.bytes.toFixed(0)} bytes.`,
    `So few samples cannot tell the two apart: give more, or measure that cut alone with --at ${at}`,
  ].join(" ");
}

/** The bytes beside WebP's; empty where it does not reach the agreement. */
function besideWebp(study: Study, row: Row): string {
  const { bytes, isLeast } = comparedWith(study, "WebP", row);
  if (bytes === null) return "";
  const share = (webp: number, whose: string) => `${(bytesOf(row) / webp).toFixed(2)} of ${whose} ${webp.toFixed(0)}`;
  const [low] = row.interval;
  const end = `${percent(low)}, the lower end of the interval`;
  if (isLeast)
    return `, ${share(bytes, "WebP's")} at ${end}: no sample differs, and ${study.uses.report.length} cannot tell more`;
  const least = pictureBytes(study, "WebP", low);
  return `, ${share(bytes, "WebP's")} at that agreement${least === null ? "" : ` and ${share(least, "its")} at ${end}`}`;
}

/** So many samples are reported on of 200, which docs/split.md advises. */
const ENOUGH_REPORTED = 80;

/** What is said of a study with few samples. */
export function fewSamples({ uses, bench }: Study): string | undefined {
  const count = uses.report.length;
  if (count >= ENOUGH_REPORTED) return undefined;
  const points = bench.metric === "top-1" ? `: one of them is ${(100 / count).toFixed(1)} points` : "";
  return `only ${count} samples are reported on${points}; give 200 or more`;
}
