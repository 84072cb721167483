// Builds the wheel of the Python package from dist/, and installs it into an environment under .cache/python.
//
//   npm run python                the wheel into bindings/python/dist, and its path on the screen
//   node bindings/python/wheel.mjs --json   {"python", "wheel"}: also where the environment's interpreter is
//   --with onnxruntime            puts this package into the environment, too
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

/** Installs a package into the environment, once. */
function add(name) {
  const stamp = join(home, `with-${name}`);
  if (existsSync(stamp)) return;
  let reason = "";
  const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", name];
  const why = (line) => {
    reason = line;
  };
  if (tried(python, install, why) === undefined) giveUp(`pip cannot install ${name}: ${reason}`);
  writeFileSync(stamp, "");
}

/** Waits until no other run is at work, which two tests may start at once. A run that was killed does not count. */
function alone() {
  const lock = join(cache, "lock");
  mkdirSync(cache, { recursive: true });
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    try {
      process.kill(Number(readFileSync(lock, "utf8")), 0);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    } catch {
      rmSync(lock, { force: true });
    }
  }
  process.on("exit", () => rmSync(lock, { force: true }));
}

/** Says whether anything that goes into the wheel has changed. The archive itself holds times. */
function contentHash() {
  const content = createHash("sha256");
  const files = ["pyproject.toml", "README.md", "LICENSE"];
  for (const file of readdirSync(join(folder, "src"), { recursive: true }).sort())
    if (/\.(py|wasm|typed)$/.test(file)) files.push(join("src", file));
  for (const file of files) content.update(`${file}\n`).update(readFileSync(join(folder, file)));
  return content.digest("hex");
}

alone();
const { python, home } = environment();
for (const [i, word] of process.argv.entries()) if (word === "--with") add(process.argv[i + 1]);
const dist = join(folder, "dist");
const installed = join(home, "installed");
const wheelIn = () => existsSync(dist) && readdirSync(dist).find((name) => name.endsWith(".whl"));
const hash = contentHash();
if (!wheelIn() || !existsSync(installed) || readFileSync(installed, "utf8") !== hash) {
  rmSync(dist, { recursive: true, force: true });
  const quiet = ["--quiet", "--disable-pip-version-check", "--no-deps"];
  execFileSync(python, ["-m", "pip", "wheel", ...quiet, "--no-build-isolation", "--wheel-dir", dist, folder], {
    stdio: "inherit",
  });
  execFileSync(python, ["-m", "pip", "install", ...quiet, "--force-reinstall", join(dist, wheelIn())], {
    stdio: "inherit",
  });
  writeFileSync(installed, hash);
}
const wheel = join(dist, wheelIn());
console.log(process.argv.includes("--json") ? JSON.stringify({ python, wheel }) : wheel);
