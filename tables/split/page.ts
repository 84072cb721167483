/** The study as a page of its own: the recommendation, two charts, the tables, time over links. */
import { availableParallelism, cpus } from "node:os";
import { basename } from "node:path";
import { escapeHtml, facts, page, table } from "../html.js";
import { endToEnd, LINKS } from "../links.js";
import { percent as short } from "./advise.js";
import { bytesAxis, chart, type Mark, type Series, shareAxis } from "./chart.js";
import { mean, type Row } from "./measure.js";
import {
  bestOfCuts,
  bytesOf,
  CONTEXTS,
  type Compared,
  choosingLegend,
  comparedWith,
  nameOf,
  PICTURES,
  percent,
  recommendation,
  shapeText,
  studyTable,
} from "./report.js";
import type { Study } from "./study.js";

/** What this page has beside the style of all pages. */
const OWN_STYLE = `
.legend i.round { border-radius: 50%; } .ring { fill: none; background: none; stroke: var(--ink); stroke-width: 2; }
.legend i.ring { border: 2px solid var(--ink); } .beyond { opacity: .3; }
summary { cursor: pointer; margin: 1rem 0 .5rem; } .more { display: none; }
@media (max-width: 44rem) { .more { display: block; } table { font-size: .75rem; } th, td { padding: .35rem .2rem; } td:first-child { min-width: 0; } details th, details td { white-space: nowrap; padding: .35rem .5rem; } }
`;

/** With commas between thousands. */
const whole = (value: number): string => value.toLocaleString("en-US", { maximumFractionDigits: 0 });
const isBeyond = ({ goal }: Study, { candidate }: Row): boolean => (candidate.workShare ?? 0) > goal.maxWork;

/** The figures that a colleague asks for first. */
function firstFigures(study: Study, row: Row): string {
  const { candidate, agreement, interval, encoderMs } = row;
  const shapes = candidate.tensors.map(({ store }) => shapeText(store.dims(0).slice(1))).join(" + ");
  const { bytes: webp, ...webpAt } = comparedWith(study, "WebP", row);
  const shown: [string, string, string][] = [
    ["cut", nameOf(candidate.cut.tensors), shapes],
    ["bytes of a packet", whole(bytesOf(row)), row.contextBytes === null ? "with static rows" : "with a context prior"],
    [
      "agreement with the uncut model",
      percent(agreement),
      `95 % interval ${short(interval[0])} to ${short(interval[1])}`,
    ],
    ["work on the device", percent(candidate.workShare), `${percent(candidate.parametersShare)} of the weights`],
    [
      "time on the device",
      `${encoderMs.toFixed(1)} ms`,
      `of ${study.wholeMs.toFixed(1)} ms for the whole network, on this machine`,
    ],
  ];
  if (webp !== null)
    shown.push([
      "share of WebP's bytes",
      (bytesOf(row) / webp).toFixed(2),
      `${whole(webp)} bytes at ${agreementText(webpAt)}`,
    ]);
  return facts(shown);
}

const agreementText = ({ agreement, isLeast }: Omit<Compared, "bytes">): string =>
  isLeast ? `${percent(agreement)}, the lower end of the interval` : "that agreement";

function charts(study: Study): string {
  const { rows, pictures, recommended, goal } = study;
  const best = recommended?.row;
  // Where answers agree well, bad ones would take most of the drawing.
  const least = (best?.agreement ?? 0) >= 0.8 ? 0.7 : 0;
  const shown = rows.filter(({ agreement }) => agreement >= least);
  const title = (row: Row) =>
    `${nameOf(row.candidate.cut.tensors)}, step ${Number(row.setting.steps[0]!.toPrecision(4))}: ${whole(bytesOf(row))} bytes, ${percent(row.agreement)} agreement, ${percent(row.candidate.workShare)} of the work`;
  const ofCuts = (some: readonly Row[], place: (row: Row) => Pick<Mark, "x" | "y">): Series[] => {
    const marks = (wanted: readonly Row[]) =>
      wanted.map((row): Mark => ({ ...place(row), title: title(row), isRinged: row === best }));
    const [within, beyond] = [false, true].map((is) => some.filter((row) => isBeyond(study, row) === is));
    const series = [
      { name: `cuts of more than ${short(goal.maxWork)} of the work`, css: "latent beyond", marks: marks(beyond!) },
      { name: "cuts, static rows", css: "latent", marks: marks(within!.filter((row) => row.contextBytes === null)) },
      {
        name: "cuts, context prior",
        css: "latentwire",
        marks: marks(within!.filter((row) => row.contextBytes !== null)),
      },
    ];
    return series.map((one) => ({ ...one, isLine: false })).filter(({ marks }) => marks.length > 0);
  };
  const codecs = (["WebP", "JPEG"] as const).map(
    (format): Series => ({
      name: format,
      css: format.toLowerCase(),
      isLine: true,
      marks: pictures
        .filter((point) => point.format === format && point.agreement >= least)
        .map(({ bytes, agreement, quality }) => ({
          x: bytes,
          y: agreement,
          title: `${format} ${quality}: ${whole(bytes)} bytes, ${percent(agreement)}`,
        })),
    }),
  );
  const first = [
    ...codecs.filter(({ marks }) => marks.length > 0),
    ...ofCuts(shown, (row) => ({ x: bytesOf(row), y: row.agreement })),
  ];
  const second = ofCuts(bestOfCuts(study), (row) => ({ x: row.candidate.workShare ?? 0, y: bytesOf(row) }));
  const bytesIn = (series: readonly Series[], key: "x" | "y") =>
    bytesAxis(series.flatMap(({ marks }) => marks.map((mark) => mark[key])));
  return `<div class="charts">${chart(
    "Agreement with the uncut model against bytes",
    first,
    bytesIn(first, "x"),
    shareAxis("agreement", least),
    "recommended",
  )}${chart("Bytes against work, the best of each cut", second, shareAxis("work on the device", 0), bytesIn(second, "y"), "recommended")}</div>`;
}

/** One row for each cut: what it costs to get as near to the goal as it can. */
function cutTable(study: Study): string {
  const rows = bestOfCuts(study);
  const hasPictures = study.pictures.length > 0;
  const hasContext = study.rows.some(({ contextBytes }) => contextBytes !== null);
  const isRecommended = (row: Row) => row === study.recommended?.row;
  const head = ["cut", "work", "bytes", "agreement", ...(hasPictures ? ["WebP"] : [])];
  const cells = rows.map((row) => {
    const { bytes: webp, isLeast } = comparedWith(study, "WebP", row);
    const [low, high] = row.interval.map((end) => whole(100 * end));
    return [
      `${nameOf(row.candidate.cut.tensors)}${isRecommended(row) ? ", recommended" : ""}`,
      percent(row.candidate.workShare),
      row.contextBytes === null
        ? `${whole(row.bytes)}${hasContext ? " static" : ""}`
        : `${whole(row.contextBytes)} (static ${whole(row.bytes)})`,
      `${percent(row.agreement)} (${low}..${high})`,
      ...(hasPictures ? [webp === null ? "-" : `${isLeast ? "≥\u00a0" : ""}${whole(webp)}`] : []),
    ];
  });
  return table(head, cells, (r) => isRecommended(rows[r]!));
}

/** Milliseconds from the image to the answer, over usual links; computed. */
function linkTable(study: Study, row: Row): string {
  const { bytes: webp, ...webpAt } = comparedWith(study, "WebP", row);
  const encodeMs = mean(study.pictures.filter(({ format }) => format === "WebP").map((point) => point.encodeMs));
  const tailMs = Math.max(0, study.wholeMs - row.encoderMs);
  const ways = [
    { name: "packet", bytes: bytesOf(row), sender: row.encoderMs, receiver: tailMs },
    ...(webp === null ? [] : [{ name: "WebP", bytes: webp, sender: encodeMs, receiver: study.wholeMs }]),
  ];
  const head = ["link", ...ways.map(({ name, bytes }) => `${name}, ${whole(bytes)} bytes`)];
  const rows = LINKS.map((link) => [
    `${link.name}, ${link.mbitPerSecond} Mbit/s`,
    ...ways.map(({ bytes, sender, receiver }) => `${endToEnd(link, bytes, sender, receiver).totalMs.toFixed(1)} ms`),
  ]);
  const compared = webp === null ? "" : ` WebP at ${agreementText(webpAt)}.`;
  return `<h2>From the image to the answer</h2>${table(head, rows)}<p class="rules">Computed: the device's part, bytes over the link, a round trip, the rest of the network, all with the speed of this machine.${compared}</p>`;
}

/** One file, without anything from elsewhere. */
export function studyPage(study: Study, model: string): string {
  const { uses, recommended, rows: all } = study;
  const everything = studyTable(study, true);
  const said = recommended ? recommendation(study, recommended) : [];
  const count = uses.fit.length + uses.choose.length + uses.report.length;
  const processor = cpus()[0]?.model ?? "unknown processor";
  const made = `${processor}, ${availableParallelism()} cores, Node ${process.versions.node}, ${new Date().toISOString().slice(0, 10)}`;
  const title = `${basename(model)}: where to cut it`;
  return page(
    title,
    `<p class="brand">latentwire split</p>
<h1>${escapeHtml(title)}</h1>
<p class="soft">The first part of the network runs on the device and sends a packet, the rest runs on a server.</p>
${recommended ? firstFigures(study, recommended.row) : ""}
${said.map((line) => `<p>${escapeHtml(line)}</p>`).join("\n")}
${charts(study)}
<h2>The best of each cut</h2>
${cutTable(study)}
<p class="rules">Of ${count} samples ${uses.fit.length} made the first tables, ${uses.choose.length} chose, and ${uses.report.length} are reported on: nothing was fitted to them or chosen by them. Bytes are of packets with a context prior where one was trained, otherwise with static rows. Behind the agreement its 95 % interval. ${study.pictures.length > 0 ? escapeHtml(PICTURES.replaceAll(">=", "≥")) : ""}</p>
<details><summary>All ${all.length} cuts and steps that were tried</summary>
<p class="rules">${escapeHtml(choosingLegend(study))}${all.some(({ contextBytes }) => contextBytes !== null) ? ` ${escapeHtml(CONTEXTS)}` : ""}</p>
<p class="soft more">The table is wider than this screen: move it sideways.</p>
${table(everything.head, everything.rows, (r) => everything.recommended === r)}
</details>
${recommended ? linkTable(study, recommended.row) : ""}
<p class="rules">${escapeHtml(made)}</p>`,
    OWN_STYLE,
  );
}
