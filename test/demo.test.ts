// The page of docs/demo as a visitor sees it, in Chromium and Firefox. Screenshots stay in .cache/demo.
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import puppeteer from "puppeteer-core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { buildDemo, serveDemo } from "../docs/demo/build.js";
import { browsers } from "./engines/browsers.js";
import { root } from "./pack.js";

const kept = join(root, ".cache/demo");
mkdirSync(kept, { recursive: true });
const site = join(kept, "site");
await buildDemo(site);
const { url, server, sent } = await serveDemo(site);
test.after(() => {
  server.closeAllConnections();
  server.close();
});

const executable = (browser: string) =>
  browsers.find(({ name }) => name === browser)?.executables.find((path) => path !== undefined && existsSync(path));

/** What the pages of playwright and of puppeteer have in common. */
interface Page {
  evaluate(expression: string): Promise<unknown>;
  screenshot(options: { path: string; fullPage?: boolean }): Promise<unknown>;
}

/** Waits until an expression of the page is true. */
async function until(page: Page, expression: string, seconds = 120): Promise<void> {
  const end = Date.now() + 1000 * seconds;
  while (!(await page.evaluate(expression))) {
    if (Date.now() > end) throw new Error(`never true: ${expression}; the page says: ${await text(page, "#status")}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

const text = async (page: Page, selector: string) =>
  String(await page.evaluate(`document.querySelector(${JSON.stringify(selector)}).textContent`));
const bytesOf = async (page: Page) => Number((await text(page, "#bytes")).replace(",", ""));

/** Does something that makes the page send once more, and waits until all of it is shown. */
async function change(page: Page, expression: string): Promise<void> {
  const before = await page.evaluate("document.body.dataset.done");
  await page.evaluate(expression);
  await until(page, `document.body.dataset.done !== ${JSON.stringify(before)} && /^Done/.test(${status})`);
}
const status = "document.querySelector('#status').textContent";
const set = (id: string, value: string | number) =>
  `(() => { const one = document.getElementById(${JSON.stringify(id)}); one.value = ${JSON.stringify(String(value))}; one.dispatchEvent(new Event("input", { bubbles: true })); })()`;

/** Hands a file to an input of the page. */
const give = (id: string, name: string, bytes: string, type = "") =>
  `(async () => { const files = new DataTransfer(); files.items.add(new File([${bytes}], ${JSON.stringify(name)}, { type: ${JSON.stringify(type)} }));
     const one = document.getElementById(${JSON.stringify(id)}); one.files = files.files; one.dispatchEvent(new Event("change", { bubbles: true })); })()`;

const cards = ["original", "packet", "JPEG", "WebP"];
const labels = (page: Page) =>
  page.evaluate(
    `${JSON.stringify(cards)}.map((way) => document.querySelector("#answer-" + way + " .guesses li span")?.textContent)`,
  ) as Promise<string[]>;

/** The whole visit, the same in every browser. */
async function look(page: Page, browser: string): Promise<void> {
  await until(page, `/^Done/.test(${status})`);
  await page.screenshot({ path: join(kept, `${browser}.png`), fullPage: true });
  const first = await labels(page);
  assert.is(first[0], "espresso");
  assert.is(first[1], "espresso");
  assert.ok(first.every(Boolean), String(first));
  const mid = await bytesOf(page);
  assert.ok(mid > 1000 && mid < 2500, String(mid));
  assert.is(await page.evaluate("document.querySelectorAll('#channels li').length"), 20);
  assert.is(await page.evaluate("document.querySelectorAll('#results figure svg').length"), 2);
  assert.match(await text(page, "#fields"), /checksumvalid/);

  // Without the context the packet is larger, and the page said by how much. The tiles get stronger on the same scale.
  const promised = Number(/without ([\d,]+)/.exec(await text(page, "#channels-text"))![1]!.replace(",", ""));
  const tiles =
    "[...document.querySelectorAll('#channels li')].map((tile) => [tile.querySelector('b').textContent, tile.querySelector('canvas').style.backgroundColor])";
  const [withContext, scale] = [(await page.evaluate(tiles)) as string[][], await text(page, "#most-bits")];
  assert.match(scale, /^\d\.\d$/);
  await change(page, "document.querySelector('#context').click()");
  assert.is(await bytesOf(page), promised);
  assert.ok(promised > 1.1 * mid);
  const without = (await page.evaluate(tiles)) as string[][];
  for (const [i, [bytes, color]] of without.slice(0, 8).entries()) {
    assert.ok(Number.parseInt(bytes!, 10) > Number.parseInt(withContext[i]![0]!, 10), `tile ${i}`);
    assert.is.not(color, withContext[i]![1]);
  }
  assert.is(await text(page, "#most-bits"), scale);
  await change(page, "document.querySelector('#context').click()");
  assert.equal(await page.evaluate(tiles), withContext);

  // The operating points, from the most bytes to the fewest.
  const sizes: number[] = [];
  for (const point of [0, 1, 2, 3]) {
    if (point !== 2) await change(page, set("point", point));
    sizes.push(point === 2 ? mid : await bytesOf(page));
  }
  assert.ok(sizes[2]! < sizes[0]! && sizes[2]! < sizes[1]! && sizes[3]! < sizes[2]!, String(sizes));

  // A budget makes a coarser packet; where nothing fits, the page says so.
  await change(page, set("point", 0));
  await change(page, set("budget", 20));
  const budget = Number((await text(page, "#budget-name")).replace(/\D/g, ""));
  assert.ok((await bytesOf(page)) <= budget, `${await bytesOf(page)} of ${budget}`);
  assert.match(await text(page, "#budget-note"), /^Sent coarser, to fit: low/);
  await page.evaluate(set("budget", 0));
  await until(page, "document.querySelector('#budget-note.failed') !== null");
  const [, least] = /^No packet fits: the smallest one .* (\d+) bytes/.exec(await text(page, "#budget-note"))!;
  assert.is(await text(page, "#bytes"), `${least} or more`);
  assert.match(await text(page, "#status"), /^Nothing was sent/);
  const isOld =
    "document.querySelector('#results').inert && document.querySelector('#results').classList.contains('old')";
  assert.is(await page.evaluate(isOld), true);
  await page.screenshot({ path: join(kept, `${browser}-nothing-sent.png`), fullPage: true });
  await change(page, set("budget", 40));
  assert.is(await page.evaluate(isOld), false);

  // The link is reckoned anew.
  const drawn = await text(page, "#time-plot");
  await page.evaluate(set("link", 3));
  assert.is(await text(page, "#link-name"), "5G");
  assert.is.not(await text(page, "#time-plot"), drawn);

  // A packet that was downloaded opens, and damage is named.
  const saved = await page.evaluate(
    "fetch(document.querySelector('#download').href).then((r) => r.arrayBuffer()).then((b) => [...new Uint8Array(b)])",
  );
  const packet = saved as number[];
  assert.is(packet.length, await bytesOf(page));
  await page.evaluate(give("open", "mine.lw", `Uint8Array.from(${JSON.stringify(packet)})`));
  await until(
    page,
    "/^mine.lw: MobileNetV2 itself.* The server sees: espresso/.test(document.querySelector('#opened').textContent)",
  );
  await page.evaluate(give("file", "dropped.lw", `Uint8Array.from(${JSON.stringify(packet)})`));
  await until(page, `/^dropped.lw is a packet/.test(${status})`);
  assert.match(await text(page, "#opened"), /^dropped.lw: .*espresso/);
  packet[packet.length >> 1]! ^= 255;
  await page.evaluate(give("open", "torn.lw", `Uint8Array.from(${JSON.stringify(packet)})`));
  await until(page, "/torn.lw: CORRUPTED/.test(document.querySelector('#opened.failed')?.textContent)");
  await page.evaluate(give("open", "not.lw", "'hello'"));
  await until(page, "/not.lw: NOT_A_PACKET/.test(document.querySelector('#opened').textContent)");

  // A photograph of one's own.
  const own =
    "await new Promise((done) => Object.assign(document.createElement('canvas'), { width: 640, height: 480 }).toBlob(done))";
  await change(page, give("file", "mine.png", own));
  assert.is(await page.evaluate("document.querySelectorAll('#photos [aria-pressed=true]').length"), 0);

  // What no photograph can be made of is named, with what to do.
  const failed = async (expression: string, message: RegExp) => {
    await page.evaluate(expression);
    await until(page, `document.querySelector("#status.failed") && ${message}.test(${status})`);
  };
  await failed(give("file", "text.txt", "'hello'"), /^text.txt is not an image/);
  await failed(give("file", "torn.png", "'hello'", "image/png"), /^torn.png: .*too large.* Save it as JPEG or PNG/);
  await failed(give("file", "IMG_1.HEIC", "'hello'"), /^IMG_1.HEIC: .*Save the photograph as JPEG/);
  await failed("document.body.dispatchEvent(new DragEvent('drop', { bubbles: true }))", /^That was not a file/);
  await failed(
    `navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", "NotAllowedError"));
     document.querySelector("#shoot").click()`,
    /^The camera was refused/,
  );
  await change(page, "document.querySelectorAll('#photos button')[3].click()");
}

test("Chromium: the whole visit; nothing moves, nothing is against WCAG, at most 10 MB until the first result", async () => {
  const browser = await chromium.launch({ executablePath: executable("chromium")!, args: ["--no-sandbox"] });
  try {
    const context = await browser.newContext({ viewport: { width: 1200, height: 900 } });
    const page = await context.newPage();
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    const asked = new Set<string>();
    page.on("request", (request) => asked.add(new URL(request.url()).origin));
    await page.addInitScript(`globalThis.moved = 0; new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) moved += entry.value; }).observe({ type: "layout-shift", buffered: true });`);
    sent.bytes = 0;
    await page.goto(url);
    await until(page, `/^(First result|Done)/.test(${status})`);
    assert.ok(sent.bytes < 10e6, `${sent.bytes} bytes until the first result`);
    await until(page, `/^Done/.test(${status})`);
    const moved = Number(await page.evaluate("moved"));
    assert.ok(moved < 0.02, `layout shift ${moved}`);
    await look(page, "chromium");
    assert.equal(
      [...asked].filter((origin) => !url.startsWith(origin) && origin !== "null"),
      [],
    );
    assert.equal(problems, []);

    const axe = join(root, "node_modules/axe-core/axe.min.js");
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await page.evaluate((await import("node:fs")).readFileSync(axe, "utf8"));
      const violations = (await page.evaluate(
        "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' ')))",
      )) as string[];
      assert.equal(violations, [], colorScheme);
    }
    await page.screenshot({ path: join(kept, "chromium-dark.png"), fullPage: true });

    // All by keyboard: to the first slider, and one step.
    await page.evaluate("document.activeElement.blur()");
    for (let i = 0; i < 20 && (await page.evaluate("document.activeElement.id")) !== "point"; i++)
      await page.keyboard.press("Tab");
    const before = await text(page, "#point-name");
    await page.keyboard.press("ArrowRight");
    assert.is.not(await text(page, "#point-name"), before);
    await until(page, `/^Done/.test(${status})`);

    // A second visit needs no network.
    await until(page, "navigator.serviceWorker.ready.then(() => navigator.serviceWorker.controller !== null)");
    await context.setOffline(true);
    await page.goto(url);
    await until(page, `/^Done/.test(${status})`);
    assert.is((await labels(page))[0], "espresso");
    await context.setOffline(false);

    const phone = await browser.newContext({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
    const small = await phone.newPage();
    await small.goto(url);
    await until(small, `/^Done/.test(${status})`);
    assert.is(await small.evaluate("document.documentElement.scrollWidth"), 390);
    await small.screenshot({ path: join(kept, "phone.png"), fullPage: true });
  } finally {
    await browser.close();
  }
});

test("Firefox: the whole visit", async () => {
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: executable("firefox")!,
    headless: true,
  });
  try {
    const page = await browser.newPage();
    await page.setViewport({ width: 1200, height: 900 });
    await page.goto(url);
    await look(page as unknown as Page, "firefox");
  } finally {
    await browser.close();
  }
});

test.run();
