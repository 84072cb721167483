// Chromium for tests that look at a page as a visitor does.
import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { browsers } from "./engines/browsers.js";

const { executables } = browsers.find(({ name }) => name === "chromium")!;

/** Where Chromium is; undefined where there is none. */
export const executablePath = executables.find((path) => path !== undefined && existsSync(path));

let started: Promise<Browser> | undefined;

/** Opens a page for `look`, in one browser per process. Errors of the page that nobody caught are thrown here. */
export async function visit<T>(url: string, look: (page: Page) => Promise<T>): Promise<T> {
  const quiet = ["networking", "sync"].map((what) => `--disable-background-${what}`);
  const args = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-component-update", ...quiet];
  started ??= chromium.launch({ executablePath: executablePath!, args });
  const page = await (await started).newPage();
  page.setDefaultTimeout(120_000);
  const uncaught = new Promise<never>((_, reject) => page.on("pageerror", reject));
  try {
    return await Promise.race([uncaught, page.goto(url, { waitUntil: "load" }).then(() => look(page))]);
  } finally {
    await page.close();
  }
}

/** Ends the browser; otherwise the process would not end. */
export const closeChromium = async () => (await started)?.close();
