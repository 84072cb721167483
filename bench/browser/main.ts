import { milliseconds, number, percent } from "../numbers.js";
import { escapeHtml, table } from "../report/html.js";
import { type BrowserResults, type BrowserSetup, compare } from "./compare.js";

const place = (id: string) => document.getElementById(id)!;

function show({ agent, images, backboneMs, backboneTop1, rows, skipped }: BrowserResults): string {
  const cells = rows.map((row) => [
    row.name,
    number(row.bytes),
    percent(row.top1),
    percent(row.agreement),
    ...(row.encoderMs > 0
      ? [milliseconds(row.encoderMs), milliseconds(row.codecMs), "-"]
      : ["-", "-", milliseconds(row.imageMs)]),
    milliseconds(row.serverMs),
    backboneMs === null || row.encoderMs === 0 ? "-" : percent(row.encoderMs / backboneMs),
  ]);
  const head = ["way", "bytes", "top-1", "agreement", "encoder", "codec", "image codec", "server", "of the backbone"];
  const whole = backboneMs === null ? "" : `, the whole backbone on the device ${milliseconds(backboneMs)}`;
  const top1 = backboneTop1 === null ? "" : `, its top-1 ${percent(backboneTop1)}`;
  const left = skipped.map((line) => `<p>Left out: ${escapeHtml(line)}</p>`).join("");
  const missing = rows.every(({ top1 }) => top1 !== null)
    ? ""
    : " Top-1 needs --labels and --backbone, agreement --backbone.";
  return `<p>${images} image(s)${whole}${top1}.</p>${left}${table(head, cells)}
<p class="rules">Medians on this device for both ends; onnxruntime-web (Wasm) with one thread. "Of the backbone": the encoder's time over that of running the whole backbone here.
Browsers round their clocks, so a codec's fraction of a millisecond is coarse.${missing} ${escapeHtml(agent)}</p>`;
}

async function run(): Promise<BrowserResults> {
  const setup: BrowserSetup = await (await fetch("/setup.json")).json();
  const passes = Number(new URLSearchParams(location.search).get("passes") ?? 5);
  const results = await compare(setup, passes, (what) => {
    place("doing").textContent = what;
  });
  place("doing").textContent = "done";
  place("report").innerHTML = show(results);
  return results;
}

const results = run();
results.catch((error: unknown) => {
  place("doing").textContent = `failed: ${error}`;
});
// For those who drive the page from outside.
Object.assign(globalThis, { results });
