// npm run -s golden -- DIR
import { runGolden } from "./golden.js";

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error("usage: npm run -s golden -- DIR");
  process.exit(2);
}
const { passed, failed, skipped } = await runGolden(folder);
for (const check of passed) console.log(`ok    ${check}`);
for (const file of skipped) console.log(`skip  ${file}: another kind of file`);
for (const { check, reason } of failed) console.log(`FAIL  ${check}: ${reason}`);
console.log(`${passed.length} passed, ${failed.length} failed`);
// A folder without a vector proves nothing.
process.exitCode = failed.length > 0 || passed.length === 0 ? 1 : 0;
