// `npm publish` runs this first: what a release needs and no other check looks at. It changes nothing.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { version, repository } = JSON.parse(readFileSync("package.json", "utf8"));
const faults = [];

if (repository.includes("OWNER"))
  faults.push('package.json: "repository" still has OWNER in it; put in the name of the account');
if (
  !new RegExp(`^## ${version.replaceAll(".", "\\.")} \\(\\d{4}-\\d\\d-\\d\\d\\)$`, "m").test(
    readFileSync("CHANGELOG.md", "utf8"),
  )
)
  faults.push(`CHANGELOG.md: no section "## ${version} (date)"`);
const changed = execFileSync("git", ["status", "--porcelain"], { encoding: "utf8" });
if (changed !== "") faults.push(`the working tree differs from the commit:\n${changed}`);

for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
