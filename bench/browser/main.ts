import { escapeHtml, table } from "../../tables/html.js";
import { milliseconds, number, percent } from "../numbers.js";
import { type BrowserResults, type BrowserSetup, compare } from "./compare.js";

const place = (id: string) => document.getElementById(id)!;

function show({ agent, images, backboneMs, rows, skipped }: BrowserResults): string {
  const cells = rows.map((row) => [
    row.name,
    number(row.bytes),
    percent(row.agreement),
    ...(row.encoderMs > 0
      ? [milliseconds(row.encoderMs), milliseconds(row.codecMs), "-"]
      : ["-", "-", milliseconds(row.imageMs)]),
    milliseconds(row.serverMs),
    row.encoderMs === 0 ? "-" : percent(row.encoderMs / backboneMs),
  ]);
  const head = ["way", "bytes", "agreement", "encoder", "codec", "image codec", "server", "of the backbone"];
  const left = skipped.map((line) => `<p>Left out: ${escapeHtml(line)}</p>`).join("");
  return `<p>${images} image(s), the whole backbone on the device ${milliseconds(backboneMs)}.</p>${left}${table(head, cells)}
<p class="rules">Medians on this device for both ends; onnxruntime-web (Wasm) with one thread. Agreement: answered as the backbone answers the image itself. "Of the backbone": the encoder's time over that of running the whole backbone here.
Browsers round their clocks, so a codec's fraction of a millisecond is coarse. ${escapeHtml(agent)}</p>`;
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
