/** The study as a page of its own: two charts, the table, the recommendation, time over links. */
import { basename } from "node:path";
import { escapeHtml, STYLE, table } from "../html.js";
import { endToEnd, LINKS } from "../links.js";
import type { Row } from "./measure.js";
import { pictureBytes, recommendation, studyTable } from "./report.js";
import type { Study } from "./study.js";

const WIDTH = 480;
const HEIGHT = 300;
const LEFT = 44;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 34;
/** Agreements below are of no use to anyone. */
const LEAST_AGREEMENT = 0.5;
const TICKS = [100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000];

interface Mark {
  readonly x: number;
  readonly y: number;
  readonly title: string;
  readonly strong?: boolean;
}

interface Series {
  readonly name: string;
  /** A class of the pages' style, which is a colour. */
  readonly css: string;
  readonly marks: readonly Mark[];
  /** Whether its marks are joined by a line. */
  readonly isLine: boolean;
}

interface Axis {
  readonly ticks: readonly number[];
  readonly label: string;
  readonly isLogarithmic: boolean;
  show(value: number): string;
}

/** Marks on two axes, each with a title for the pointer. */
function chart(title: string, series: readonly Series[], xAxis: Axis, yAxis: Axis): string {
  const place = ({ ticks, isLogarithmic }: Axis, from: number, to: number) => {
    const [low, high] = [ticks[0]!, ticks.at(-1)!];
    const at = (value: number) =>
      isLogarithmic ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
    return (value: number) => from + Math.min(1, Math.max(0, at(value))) * (to - from);
  };
  const x = place(xAxis, LEFT, WIDTH - RIGHT);
  const y = place(yAxis, HEIGHT - BOTTOM, TOP);
  const grid = [
    ...xAxis.ticks.map(
      (t) => `<text x="${x(t).toFixed(1)}" y="${HEIGHT - 16}" text-anchor="middle">${xAxis.show(t)}</text>`,
    ),
    ...yAxis.ticks.map(
      (t) =>
        `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(t).toFixed(1)}" y2="${y(t).toFixed(1)}" class="grid"/><text x="${LEFT - 6}" y="${(y(t) + 4).toFixed(1)}" text-anchor="end">${yAxis.show(t)}</text>`,
    ),
    `<text x="${WIDTH - RIGHT}" y="${HEIGHT - 2}" text-anchor="end">${escapeHtml(xAxis.label)}</text>`,
  ];
  const drawn = series.map(({ css, marks, isLine }) => {
    const points = marks.map((mark) => `${x(mark.x).toFixed(1)},${y(mark.y).toFixed(1)}`).join(" ");
    const dots = marks.map(
      (mark) =>
        `<circle cx="${x(mark.x).toFixed(1)}" cy="${y(mark.y).toFixed(1)}" r="${mark.strong ? 7 : 4}" class="${css}"><title>${escapeHtml(mark.title)}</title></circle>`,
    );
    return `${isLine ? `<polyline points="${points}" class="line ${css}"/>` : ""}${dots.join("")}`;
  });
  const legend = series.map(({ name, css }) => `<span><i class="${css}"></i>${escapeHtml(name)}</span>`);
  return `<div class="chart"><h3>${escapeHtml(title)}</h3><p class="legend">${legend.join("")}</p><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(title)}">${grid.join("")}${drawn.join("")}</svg></div>`;
}

const kilobytes = (bytes: number): string => (bytes < 1000 ? String(bytes) : `${bytes / 1000}K`);
const percent = (share: number): string => `${Math.round(100 * share)} %`;

function bytesAxis(values: readonly number[]): Axis {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const from = Math.max(0, TICKS.filter((tick) => tick <= least).length - 1);
  const to = TICKS.findIndex((tick) => tick >= most);
  const ticks = TICKS.slice(from, to < 0 ? undefined : to + 1);
  return {
    ticks: ticks.length > 1 ? ticks : TICKS.slice(from - 1, from + 1),
    label: "bytes",
    isLogarithmic: true,
    show: kilobytes,
  };
}

const AGREEMENT: Axis = {
  ticks: [0.5, 0.6, 0.7, 0.8, 0.9, 1],
  label: "agreement",
  isLogarithmic: false,
  show: percent,
};
const WORK: Axis = {
  ticks: [0, 0.2, 0.4, 0.6, 0.8, 1],
  label: "work on the device",
  isLogarithmic: false,
  show: percent,
};

const bytesOf = ({ contextBytes, bytes }: Row): number => contextBytes ?? bytes;

function charts(study: Study): string {
  const { rows, pictures, recommended } = study;
  const title = (row: Row) =>
    `${row.candidate.cut.tensors.join(" + ")}, step ${Number(row.setting.steps[0]!.toPrecision(4))}: ${Math.round(bytesOf(row))} B, ${percent(row.agreement)} agreement, ${percent(row.candidate.workShare ?? 0)} of the work`;
  const usable = rows.filter(({ agreement }) => agreement >= LEAST_AGREEMENT);
  const mark = (row: Row, x: number, y: number): Mark => ({
    x,
    y,
    title: title(row),
    strong: row === recommended?.row,
  });
  const codecs = (["WebP", "JPEG"] as const).map(
    (format): Series => ({
      name: format,
      css: format.toLowerCase(),
      isLine: true,
      marks: pictures
        .filter((point) => point.format === format && point.agreement >= LEAST_AGREEMENT)
        .map(({ bytes, agreement, quality }) => ({
          x: bytes,
          y: agreement,
          title: `${format} ${quality}: ${Math.round(bytes)} B, ${percent(agreement)}`,
        })),
    }),
  );
  const cuts = (name: string, css: string, some: readonly Row[], isBytes: boolean): Series => ({
    name,
    css,
    isLine: false,
    marks: some.map((row) =>
      isBytes ? mark(row, bytesOf(row), row.agreement) : mark(row, row.candidate.workShare ?? 0, bytesOf(row)),
    ),
  });
  const withContext = usable.filter(({ contextBytes }) => contextBytes !== null);
  const fixed = usable.filter(({ contextBytes }) => contextBytes === null);
  const both = (isBytes: boolean, some: (row: Row) => boolean) =>
    [
      cuts("cut, static rows", "latent", fixed.filter(some), isBytes),
      cuts("cut, context prior", "latentwire", withContext.filter(some), isBytes),
    ].filter(({ marks }) => marks.length > 0);
  const first = [...codecs.filter(({ marks }) => marks.length > 0), ...both(true, () => true)];
  const target = recommended?.row.chosen.agreement ?? 1;
  const near = (row: Row) => row.agreement >= Math.min(target, recommended?.row.agreement ?? 1) - 0.02;
  const bytes = bytesAxis(first.flatMap(({ marks }) => marks.map(({ x }) => x)));
  return `<div class="charts">${chart("agreement with the uncut model against bytes", first, bytes, AGREEMENT)}${chart(
    "bytes against work, of cuts that agree as well as the one that is recommended",
    both(false, near),
    WORK,
    bytes,
  )}</div>`;
}

/** Milliseconds from the image to the answer, over usual links; computed. */
export function linkRows(study: Study): { head: string[]; rows: string[][] } {
  const row = study.recommended?.row;
  if (row === undefined) return { head: [], rows: [] };
  const webp = pictureBytes(study, "WebP", row.agreement);
  const encodeMs = study.pictures.filter(({ format }) => format === "WebP").map((point) => point.encodeMs);
  const pictureMs = encodeMs.reduce((a, b) => a + b, 0) / Math.max(1, encodeMs.length);
  const tailMs = Math.max(0, study.wholeMs - row.encoderMs);
  const ways = [
    { name: "packet", bytes: bytesOf(row), sender: row.encoderMs, receiver: tailMs },
    ...(webp === null
      ? []
      : [{ name: "WebP of the same agreement", bytes: webp, sender: pictureMs, receiver: study.wholeMs }]),
  ];
  return {
    head: ["", "bytes", ...LINKS.map(({ name }) => name)],
    rows: ways.map(({ name, bytes, sender, receiver }) => [
      name,
      bytes.toFixed(0),
      ...LINKS.map((link) => `${endToEnd(link, bytes, sender, receiver).totalMs.toFixed(1)} ms`),
    ]),
  };
}

/** One file, without anything from elsewhere. */
export function studyPage(study: Study, model: string): string {
  const name = escapeHtml(basename(model));
  const { head, rows } = studyTable(study, true);
  const links = linkRows(study);
  const said = study.recommended ? recommendation(study, study.recommended) : [];
  const { uses } = study;
  const count = uses.fit.length + uses.choose.length + uses.report.length;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${name}: where to cut it</title><style>${STYLE}</style></head>
<body><main><h1>${name}: where to cut it</h1>
<p class="soft">${count} samples: ${uses.fit.length} made the tables, ${uses.choose.length} chose, ${uses.report.length} are reported on.</p>
${said.map((line) => `<p>${escapeHtml(line)}</p>`).join("\n")}
${charts(study)}
<h2>Every cut and step that was tried</h2>
${table(head, rows)}
${links.rows.length > 0 ? `<h2>From the image to the answer</h2>${table(links.head, links.rows)}<p class="soft">Computed: the device's part, bytes over the link, a round trip, the rest of the network, all with the speed of this machine.</p>` : ""}
</main></body></html>
`;
}
