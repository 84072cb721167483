/** The page of `bench:browser`: runs the comparison in this browser and shows it. */
import { escapeHtml, facts, table } from "../../tables/html.js";
import { LINKS } from "../../tables/links.js";
import { barChart, bytesChart, colorOf, timeChart, timeLegend } from "../charts.js";
import { milliseconds, number, percent } from "../numbers.js";
import { type BrowserResults, type BrowserSetup, compare } from "./compare.js";
import { USUAL_QUALITY } from "./device.js";

const place = (id: string) => document.getElementById(id)!;
/** The page stretches a chart to the width of its card, as that of `npm start` does. */
const PAPER = { width: 360 };

const chart = (title: string, drawn: Element) =>
  `<figure class="chart"><figcaption><h3>${escapeHtml(title)}</h3></figcaption>${drawn.outerHTML}</figure>`;

/** The share of the images that are answered as the backbone answers the image itself. */
const agreementChart = (rows: BrowserResults["rows"]) =>
  barChart(
    "agreement",
    rows.map(({ name, family, agreement }) => {
      const value = percent(agreement, 0);
      const segment = { length: 100 * agreement, fill: colorOf(family), title: `${name}: ${value}` };
      return { name, value, segments: [segment], isMain: family === "latentwire" };
    }),
    PAPER,
  );

function show({ agent, images, backboneMs, rows: found, skipped }: BrowserResults): string {
  const isPacket = ({ family }: (typeof found)[number]) => family === "latentwire";
  const packets = found.filter(isPacket).sort((a, b) => a.bytes - b.bytes);
  const rows = [...packets, ...found.filter((row) => !isPacket(row))];
  const timed = rows.filter((row) => isPacket(row) || row.quality === USUAL_QUALITY);
  const device = packets.map(({ senderMs }) => senderMs);
  const cells = rows.map((row) => [
    row.name,
    number(row.bytes),
    percent(row.agreement, 0),
    ...(isPacket(row)
      ? [milliseconds(row.encoderMs), milliseconds(row.codecMs), "-"]
      : ["-", "-", milliseconds(row.imageMs)]),
    milliseconds(row.receiverMs),
    isPacket(row) ? percent(row.encoderMs / backboneMs) : "-",
  ]);
  const head = ["", "bytes", "agreement", "encoder network", "codec", "image codec", "server", "of the backbone"];
  const list = facts([
    [images === 1 ? "photograph" : "photographs", number(images)],
    ["the whole backbone in this browser", milliseconds(backboneMs)],
    [
      "the device's part for a packet: encoder network and codec",
      [...new Set([Math.min(...device), Math.max(...device)])].map((ms) => milliseconds(ms)).join(" to "),
    ],
  ]);
  return `${list}${skipped.map((line) => `<p>Left out: ${escapeHtml(line)}</p>`).join("")}
<h2>Bytes, and how often the label is the backbone's</h2>
${images < 50 ? `<p>${images === 1 ? "One photograph says" : `${images} photographs say`} little about agreement: give it a folder of more with <code>--images</code>.</p>` : ""}
<div class="charts">${chart("Bytes", bytesChart(rows, PAPER))}${chart("Agreement", agreementChart(rows))}</div>
<h2>From photograph to label</h2>
<p>Both ends run in this browser. JPEG and WebP have quality ${100 * USUAL_QUALITY} here, which serves eyes, too.</p>
${timeLegend()}
<div class="charts">${LINKS.map((link) => chart(`${link.name}: ${link.mbitPerSecond} Mbit/s, round trip ${link.rttMs} ms`, timeChart(timed, link, PAPER))).join("")}</div>
<h2>Every step</h2>
${table(head, cells)}
<p class="rules">Medians on this device for both ends; onnxruntime-web (Wasm) with one thread; the links are computed: bytes over the rate, and a round trip. Agreement: answered as the backbone answers the image itself. "Of the backbone": the encoder network's time over that of running the whole backbone here.
Browsers round their clocks, so a codec's fraction of a millisecond is coarse. ${escapeHtml(agent)}</p>`;
}

async function run(): Promise<BrowserResults> {
  const setup: BrowserSetup = await (await fetch("/setup.json")).json();
  const passes = Number(new URLSearchParams(location.search).get("passes") ?? 5);
  const results = await compare(setup, passes, (what) => {
    place("doing").textContent = `Running: ${what}`;
  });
  place("doing").textContent = "Done.";
  place("report").innerHTML = show(results);
  return results;
}

const results = run();
results.catch((error: unknown) => {
  place("doing").textContent = `Failed: ${error}`;
});
// For those who drive the page from outside.
Object.assign(globalThis, { results });
