// The site of `npm run docs`: every link leads somewhere, the navigation has its groups, the search finds, a phone can read it.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { chromium } from "playwright-core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { buildDemo, serveDemo } from "../docs/demo/build.js";
import { browsers } from "./engines/browsers.js";
import { root } from "./pack.js";

const site = join(root, ".cache/site");

const typedoc = join(root, "node_modules/typedoc/bin/typedoc");
execFileSync(process.execPath, [typedoc, "--out", site], { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
await buildDemo(join(site, "demo"));

/** The file that a link of a page leads to. */
function targetOf(page: string, path: string): string {
  const target = path === "" ? join(site, page) : join(site, dirname(page), decodeURIComponent(path));
  return existsSync(target) && statSync(target).isDirectory() ? join(target, "index.html") : target;
}

test("every relative link leads to a file, and to a place in it", () => {
  const pages = readdirSync(site, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".html"));
  const ids = new Map<string, Set<string>>();
  const idsOf = (file: string) => {
    const found =
      ids.get(file) ?? new Set([...readFileSync(file, "utf8").matchAll(/\bid="([^"]+)"/g)].map(([, id]) => id!));
    ids.set(file, found);
    return found;
  };
  let count = 0;
  const dead: string[] = [];
  for (const page of pages)
    for (const [, link] of readFileSync(join(site, page), "utf8").matchAll(/\b(?:href|src)="([^"]*)"/g)) {
      if (/^[a-z]+:/i.test(link!)) continue;
      count++;
      const [path, id] = link!.replaceAll("&amp;", "&").split("#");
      const file = targetOf(page, path!);
      const isThere = existsSync(file) && (!id || !file.endsWith(".html") || idsOf(file).has(decodeURIComponent(id)));
      if (!isThere) dead.push(`${page}: ${link}`);
    }
  assert.equal(dead, []);
  assert.ok(pages.length > 150 && count > 5000, `${pages.length} pages, ${count} links`);
  for (const page of [
    "documents/guide.html",
    "documents/format.html",
    "interfaces/latentwire.Codec.html",
    "demo/index.html",
  ])
    assert.ok(pages.includes(page), page);
});

test("Chromium: groups, search, the page of docs/demo; nothing is wider than a phone", async () => {
  const { executables } = browsers.find(({ name }) => name === "chromium")!;
  const executablePath = executables.find((path) => path !== undefined && existsSync(path))!;
  const { url, server } = await serveDemo(site);
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage();
    await page.goto(url);
    await page.waitForSelector("#tsd-nav-container > li");
    const groups = await page.locator("#tsd-nav-container > li > details > summary").allInnerTexts();
    const names = ["Start", "Guides", "Modules", "Examples", "In practice", "Measurements", "Format and inside"];
    assert.equal(
      groups.map((group) => group.trim()),
      names,
    );
    await page.click("#tsd-search-trigger");
    await page.keyboard.type("guard");
    await page.waitForSelector("#tsd-search-results li a");
    assert.match(
      (await page.locator("#tsd-search-results li").allInnerTexts()).join("\n"),
      /Decoding on another machine/,
    );
    await page.keyboard.press("Escape");
    await page.click('a[href$="demo/index.html"]');
    await page.waitForURL(/demo\/index\.html$/);
    assert.match(await page.locator("h1").innerText(), /A phone would send/);

    const phone = await browser.newContext({ viewport: { width: 390, height: 844 }, isMobile: true });
    const small = await phone.newPage();
    const documents = readdirSync(join(site, "documents")).map((name) => `documents/${name}`);
    for (const path of ["index.html", "modules.html", "interfaces/latentwire.Codec.html", ...documents]) {
      await small.goto(`${url}${path === "index.html" ? "" : path}`, { waitUntil: "load" });
      assert.is(await small.evaluate("document.documentElement.scrollWidth"), 390, path);
    }
  } finally {
    await browser.close();
    server.closeAllConnections();
    server.close();
  }
});

test.run();
