// Runs the vectors of a folder against the built package, through its public API, and against the reference: npm run -s golden -- DIR.
// Formats: test/vectors/README.md.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { builds } from "./builds.js";
import { checkFiles, packageSubject, type Report, referenceSubject } from "./golden-checks.js";

/** Every vector of a folder, with both builds and the reference. */
export function runGolden(folder: string): Report {
  const subjects = [...builds.map(({ name, codec }) => packageSubject(name, codec)), referenceSubject];
  const files = readdirSync(folder)
    .sort()
    .map((file) => [file, () => JSON.parse(readFileSync(join(folder, file), "utf8"))]);
  return checkFiles(Object.fromEntries(files), subjects);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [, , folder] = process.argv;
  if (folder === undefined) {
    console.error("usage: npm run -s golden -- DIR");
    process.exit(2);
  }
  const { passed, failed, skipped } = runGolden(folder);
  for (const check of passed) console.log(`ok    ${check}`);
  for (const file of skipped) console.log(`skip  ${file}: another kind of file`);
  for (const check of failed) console.log(`FAIL  ${check}`);
  console.log(`${passed.length} passed, ${failed.length} failed`);
  // A folder without a vector proves nothing.
  process.exitCode = failed.length > 0 || passed.length === 0 ? 1 : 0;
}
