// Builds the wheel of the Python package from dist/, and installs it into an environment under .cache/python.
//
//   npm run python                the wheel into bindings/python/dist, and its path on the screen
//   node bindings/python/wheel.mjs --json   {"python", "wheel"}: also where the environment's interpreter is
//
// The environment is made once and kept; the wheel is installed when its bytes have changed. Where Python or its packages
// cannot be had the command says why in one line, and exits with 3.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const cache = join(folder, "../../.cache/python");
/** What builds the wheel, what it needs, and what tests it. */
const PACKAGES = ["hatchling", "numpy", "wasmtime>=49", "pytest"];

function giveUp(reason) {
  console.error(reason);
  process.exit(3);
}

/** Runs a command. Returns what it prints, or undefined where it fails; `last` gets the last line of its messages. */
function tried(command, args, last = () => {}) {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    last(
      String(error.stderr ?? error.message)
        .trim()
        .split("\n")
        .pop(),
    );
    return undefined;
  }
}

/** The interpreter of an environment that has the packages. */
function environment() {
  const base = process.env.PYTHON ?? "python3";
  const version = tried(base, ["-c", "import sys; print('.'.join(map(str, sys.version_info[:3])))"])?.trim();
  if (version === undefined) giveUp(`no Python: ${base} does not run; PYTHON names another`);
  const [major, minor] = version.split(".").map(Number);
  if (major < 3 || (major === 3 && minor < 9)) giveUp(`Python ${version} is too old; PYTHON names another`);
  const name = createHash("sha256")
    .update(JSON.stringify([base, version, PACKAGES]))
    .digest("hex")
    .slice(0, 12);
  const home = join(cache, name);
  const python = join(home, ...(process.platform === "win32" ? ["Scripts", "python.exe"] : ["bin", "python"]));
  const stamp = join(home, "complete");
  if (existsSync(stamp)) return { python, home };
  rmSync(home, { recursive: true, force: true });
  mkdirSync(cache, { recursive: true });
  let reason = "";
  const why = (line) => {
    reason = line;
  };
  if (tried(base, ["-m", "venv", home], why) === undefined) giveUp(`no environment of Python: ${reason}`);
  const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...PACKAGES];
  if (tried(python, install, why) === undefined) giveUp(`pip cannot install ${PACKAGES.join(", ")}: ${reason}`);
  writeFileSync(stamp, "");
  return { python, home };
}

const { python, home } = environment();
const dist = join(folder, "dist");
rmSync(dist, { recursive: true, force: true });
const wheels = ["-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"];
execFileSync(python, [...wheels, "--wheel-dir", dist, folder], { stdio: "inherit" });
const wheel = join(
  dist,
  readdirSync(dist).find((name) => name.endsWith(".whl")),
);

// The archive holds times, so its files are compared.
const installed = join(home, "installed");
const content = createHash("sha256");
const sources = join(folder, "src/latentwire");
for (const file of readdirSync(sources, { recursive: true }).sort())
  if (/\.(py|wasm|typed)$/.test(file)) content.update(`${file}\n`).update(readFileSync(join(sources, file)));
const hash = content.digest("hex");
if (!existsSync(installed) || readFileSync(installed, "utf8") !== hash) {
  const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--force-reinstall"];
  execFileSync(python, [...install, wheel], { stdio: "inherit" });
  writeFileSync(installed, hash);
}
console.log(process.argv.includes("--json") ? JSON.stringify({ python, wheel }) : wheel);
