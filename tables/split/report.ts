/** What is printed of cuts: the list without samples, and the study. */
import { table } from "../cli-files.js";
import { elementsOf } from "../layout.js";
import { bytesAt } from "./agreement.js";
import { type CutCost, costsOfCuts } from "./candidates.js";
import type { Row } from "./measure.js";
import type { Opened } from "./network.js";
import type { Format } from "./pictures.js";
import type { Study } from "./study.js";
import type { Costs, Shapes } from "./work.js";

const percent = (share: number | null): string => (share === null ? "-" : `${(100 * share).toFixed(1)} %`);
const nameOf = (tensors: readonly string[]): string => tensors.join(" + ");
const shapeText = (dims: readonly number[]): string => dims.join("x");

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

/** Bytes of a picture codec at the agreement of a row; null where it does not reach that. */
export const pictureBytes = ({ pictures }: Study, format: Format, agreement: number): number | null =>
  bytesAt(
    pictures.filter((point) => point.format === format),
    agreement,
  );

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
    agreement: rounded(agreement, 4),
    agreement95: interval.map((bound) => rounded(bound, 4)),
    ...(accuracy !== null && { accuracy: rounded(accuracy, 4) }),
    encoderMs: rounded(encoderMs, 2),
    webpBytes: rounded(pictureBytes(study, "WebP", agreement), 1),
    jpegBytes: rounded(pictureBytes(study, "JPEG", agreement), 1),
  };
}

/** The study for machines. */
export function studyJson(study: Study, model: string) {
  const { rows, uses, recommended, bench, pictures, accuracy, wholeMs } = study;
  const count = uses.fit.length + uses.choose.length + uses.report.length;
  return {
    model,
    images: count,
    uses: { fit: uses.fit.length, choose: uses.choose.length, report: uses.report.length },
    metric: bench.metric,
    ...(accuracy !== null && { accuracy: rounded(accuracy, 4) }),
    wholeMs: rounded(wholeMs, 2),
    cuts: rows.map((row) => rowJson(study, row)),
    pictures,
    recommended: recommended && {
      ...rowJson(study, recommended.row),
      choosingAgreement: rounded(recommended.row.chosen.agreement, 4),
      reason: recommended.reason,
    },
  };
}

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

const bytesText = (bytes: number | null): string => (bytes === null ? "-" : bytes.toFixed(0));

/** Head and rows of the table; of all that was tried, or of what another row does not beat. */
export function studyTable(study: Study, isAll: boolean): { head: string[]; rows: string[][] } {
  const { rows, recommended } = study;
  const shown = worthShowing(rows, isAll).sort(
    (a, b) =>
      (a.candidate.workShare ?? 0) - (b.candidate.workShare ?? 0) || a.setting.coarseness - b.setting.coarseness,
  );
  const hasContext = rows.some(({ contextBytes }) => contextBytes !== null);
  const hasAccuracy = study.accuracy !== null;
  const formats = study.pictures.length > 0 ? (["WebP", "JPEG"] as const) : [];
  const head = [
    ...["cut", "shape", "work", "step", "bytes", ...(hasContext ? ["context"] : []), "agreement", "95 % of it"],
    ...(hasAccuracy ? ["accuracy"] : []),
    ...["ms", ...formats],
  ];
  const lines = shown.map((row) => [
    `${row === recommended?.row ? "> " : ""}${nameOf(row.candidate.cut.tensors)}`,
    row.candidate.tensors.map(({ store }) => shapeText(store.dims(0).slice(1))).join(" + "),
    percent(row.candidate.workShare),
    row.setting.steps.map((step) => Number(step.toPrecision(4))).join(" + ") + (row.setting.scalings[0] ? " *" : ""),
    bytesText(row.bytes),
    ...(hasContext ? [bytesText(row.contextBytes)] : []),
    percent(row.agreement),
    `${(100 * row.interval[0]).toFixed(0)}..${(100 * row.interval[1]).toFixed(0)}`,
    ...(hasAccuracy ? [percent(row.accuracy)] : []),
    row.encoderMs.toFixed(1),
    ...formats.map((format) => bytesText(pictureBytes(study, format, row.agreement))),
  ]);
  return { head, rows: lines };
}

export function studyLines(study: Study, isAll: boolean): string[] {
  const { recommended, uses, bench, wholeMs } = study;
  const { head, rows } = studyTable(study, isAll);
  const kind = bench.metric === "top-1" ? "same highest class as the uncut model" : "1 - relative error of the outputs";
  const hasPictures = study.pictures.length > 0;
  const hasSteps = study.rows.some(({ setting }) => setting.scalings[0] !== undefined);
  return [
    ...table([head, ...rows], 2),
    "",
    `agreement: ${kind}, ${uses.report.length} samples that nothing was fitted to or chosen by.${hasPictures ? " WebP, JPEG: their bytes at that agreement." : ""}`,
    `ms: the device's part here, of ${wholeMs.toFixed(1)} for the whole.${hasSteps ? " *: a step per channel." : ""}`,
    ...(recommended ? ["", ...recommendation(study, recommended)] : []),
  ];
}

/** The recommendation in two sentences. */
export function recommendation(study: Study, { row, reason }: NonNullable<Study["recommended"]>): string[] {
  const bytes = row.contextBytes ?? row.bytes;
  const webp = pictureBytes(study, "WebP", row.agreement);
  const ratio = webp === null ? "" : `, ${(bytes / webp).toFixed(2)} of WebP's ${webp.toFixed(0)} at that agreement`;
  return [
    `recommended: ${nameOf(row.candidate.cut.tensors)}, step ${row.setting.steps.map((step) => Number(step.toPrecision(6))).join(" + ")}: ${reason}`,
    `${bytes.toFixed(0)} bytes at ${percent(row.agreement)} agreement (${percent(row.chosen.agreement)} on the ${study.uses.choose.length} samples that chose it)${ratio}`,
  ];
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
