import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Server } from "node:http";
import { create } from "latentwire";
import * as ort from "onnxruntime-web";
import { chromium } from "playwright-core";
import puppeteer from "puppeteer-core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { root, scratchProject } from "./pack.js";
import { bundleOutcomes } from "./page/bundles.js";
import { type Outcome, outcomes } from "./page/cases.js";
import type { PageResults } from "./page/main.js";
import { partsOutcomes } from "./page/parts-cases.js";
import { serve } from "./page/serve.js";
import { splitOutcomes } from "./page/split.js";

interface Browser {
  name: string;
  /** Where to look, the user's own word first. */
  executables: (string | undefined)[];
  visit(executable: string, url: string): Promise<PageResults>;
}

/** What main.ts leaves on the page. */
const results = () => (globalThis as unknown as { results: Promise<PageResults> }).results;

const browsers: Browser[] = [
  {
    name: "chromium",
    executables: [
      process.env.CHROMIUM,
      "/usr/bin/chromium",
      "/usr/bin/chromium-browser",
      "/usr/bin/google-chrome",
      "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ],
    async visit(executablePath, url) {
      const flags = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync";
      const quiet = "--disable-background-networking --disable-component-update";
      const browser = await chromium.launch({ executablePath, args: `${flags} ${quiet}`.split(" ") });
      try {
        const page = await browser.newPage();
        await page.goto(url, { waitUntil: "load" });
        return await page.evaluate(results);
      } finally {
        await browser.close();
      }
    },
  },
  {
    name: "firefox",
    executables: [
      process.env.FIREFOX,
      "/usr/bin/firefox-esr",
      "/usr/bin/firefox",
      "/Applications/Firefox.app/Contents/MacOS/firefox",
    ],
    async visit(executablePath, url) {
      const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });
      try {
        const page = await browser.newPage();
        await page.goto(url, { waitUntil: "load" });
        return await page.evaluate(results);
      } finally {
        await browser.close();
      }
    },
  },
];

let site: { server: Server; url: string };
let expected: Outcome[];
let expectedParts: Outcome[];

test.before(async () => {
  site = await serve(scratchProject(["onnxruntime-web", "onnxruntime-common"]));
  const codec = await create();
  expected = outcomes(codec);
  expectedParts = partsOutcomes(codec);
});
test.after(() => {
  site.server.close();
});

function agree(actual: Outcome[], where: string, wanted = expected) {
  assert.is(actual.length, wanted.length, where);
  for (const [i, outcome] of wanted.entries()) assert.equal(actual[i], outcome, `${where}: ${outcome.name}`);
}

test("Node: the scalar build agrees with the SIMD build", async () => {
  const scalar = await create({ build: "scalar" });
  agree(outcomes(scalar), "scalar");
  agree(partsOutcomes(scalar), "parts, scalar", expectedParts);
});

for (const { name, executables, visit } of browsers) {
  test(`${name}: the packed package on a page and in a Worker makes the bytes that Node makes`, async () => {
    const executable = executables.find((path) => path !== undefined && existsSync(path));
    if (executable === undefined) return console.log(`skipped: no ${name}`);
    const page = await visit(executable, site.url);
    assert.is(page.simd, true, "SIMD build");
    agree(page.default, "page");
    agree(page.scalar, "page, scalar build");
    agree(page.worker, "worker");
    agree(page.parts, "parts", expectedParts);
    agree(page.partsScalar, "parts, scalar build", expectedParts);
    const pool = { wrong: 0, code: "NOT_A_PACKET", aborted: "AbortError", lost: "WORKER_LOST", afterwards: true };
    assert.equal(page.pool, pool, "latentwire/pool");
    assert.equal(page.split, await splitOutcomes(ort), "latentwire/onnx with onnxruntime-web");
    const bundles = await bundleOutcomes(await create(), readFile(`${root}/test/vectors/python-bundle.lwb`));
    assert.equal(page.bundles, bundles, "latentwire/bundle");
  });
}

test.run();
