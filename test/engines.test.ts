// The quick tier's browser: the installed Chromium, and nothing else of `npm run test:engines`.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { engines } from "./engines/engines.js";
import { check, prepare } from "./engines/run.js";

const chromium = engines.find(({ name }) => name === "chromium")!;

test("Chromium: page, Worker, Service Worker, AudioWorklet, every build: the packets of this Node", async () => {
  const results = await check(chromium, await prepare());
  if (results === undefined) return console.log(`skipped: no chromium: ${chromium.install}`);
  assert.ok(results.length > 10);
  assert.equal(
    results.filter(({ wrong }) => wrong !== undefined),
    [],
  );
});

test.run();
