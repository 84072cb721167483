// The test command must not be green where nothing was proven.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

// Inside the project, so that uvu and tsx are found from there.
const root = fileURLToPath(new URL("../.cache/run-test", import.meta.url));

const uvu = `import { test } from "uvu";\nimport * as assert from "uvu/assert";\n`;
const passing = `${uvu}test("one", () => assert.ok(true));\ntest("two", () => assert.ok(true));\ntest.run();\n`;

function run(files: Record<string, string>, args: string[] = [], requireAll = false) {
  rmSync(root, { recursive: true, force: true });
  for (const folder of ["test/inner", "bindings", "tables", "dist/bindings", "dist/tables"])
    mkdirSync(`${root}/${folder}`, { recursive: true });
  for (const name of ["run.mjs", "coverage.mjs"])
    copyFileSync(fileURLToPath(new URL(name, import.meta.url)), `${root}/test/${name}`);
  copyFileSync(fileURLToPath(new URL("../tsconfig.json", import.meta.url)), `${root}/tsconfig.json`);
  for (const [name, content] of Object.entries(files)) writeFileSync(`${root}/test/${name}`, content);
  const env = { ...process.env, LATENTWIRE_REQUIRE_ALL: requireAll ? "1" : "", LATENTWIRE_COVERAGE: "" };
  const { status, stdout } = spawnSync(process.execPath, [`${root}/test/run.mjs`, ...args], { encoding: "utf8", env });
  return { status, stdout, last: stdout.trimEnd().split("\n").pop() };
}

test.after(() => rmSync(root, { recursive: true, force: true }));

test("passing files are counted, in folders too", () => {
  const { status, last } = run({ "a.test.ts": passing, "inner/b.test.ts": passing, "c.ts": "process.exit(1)" });
  assert.equal([status, last], [0, "4 passed, 0 failed"]);
});

test("arguments filter by file name; a filter without a file is a failure", () => {
  const files = { "a.test.ts": passing, "inner/b.test.ts": passing };
  assert.is(run(files, ["inner"]).last, "2 passed, 0 failed");
  const { status, last } = run(files, ["nothing-of-that-name"]);
  assert.equal([status, last], [1, "0 passed, 1 failed"]);
});

test("no test file at all is a failure", () => {
  const { status, last } = run({});
  assert.equal([status, last], [1, "0 passed, 1 failed"]);
});

const red: Record<string, string> = {
  "a failing test": `${uvu}test("x", () => assert.ok(false));\ntest.run();\n`,
  "a forgotten test.run()": `${uvu}test("x", () => assert.ok(true));\n`,
  "a file without tests": "export {};\n",
  "a rejection that is no Error": `${uvu}test("x", () => Promise.reject("no error"));\ntest.run();\n`,
  "a rejection of undefined": `${uvu}test("x", () => Promise.reject());\ntest.run();\n`,
  "an unhandled rejection": `${uvu}test("x", () => { Promise.reject(new Error("lost")); });\ntest.run();\n`,
  "a file that throws": `throw new Error("at once");\n`,
  "a file that does not parse": "const = ;\n",
  "an exit in the middle": `${uvu}test("x", () => process.exit(0));\ntest.run();\n`,
  "a test that never ends": `${uvu}test("x", () => new Promise(() => {}));\ntest.run();\n`,
  "a hook that throws": `${uvu}test.before(() => { throw new Error("hook"); });\ntest("x", () => assert.ok(true));\ntest.run();\n`,
};

for (const [what, content] of Object.entries(red)) {
  test(`red: ${what}`, () => {
    const { status, last } = run({ "a.test.ts": passing, "bad.test.ts": content });
    assert.is(status, 1);
    assert.match(last ?? "", /^[23] passed, 1 failed$/);
  });
}

test("a skip is said, and is a failure where everything is required", () => {
  const files = {
    "a.test.ts": `${passing}console.log("skipped: no browser here");\n`,
    "b.test.ts": `${uvu}test.skip("x", () => {});\ntest("y", () => assert.ok(true));\ntest.run();\n`,
  };
  const relaxed = run(files);
  assert.equal([relaxed.status, relaxed.last], [0, "3 passed, 0 failed, 2 skipped"]);
  assert.match(relaxed.stdout, /skipped: no browser here/);
  const strict = run(files, [], true);
  assert.equal([strict.status, strict.last], [1, "3 passed, 2 failed, 2 skipped"]);
});

test("the full tier: files of its own, random tests at full length, the two commands, coverage", () => {
  const says = (text: string) => `node -e "console.log('${text}')"`;
  const scripts = (engines: string, bundlers: string) =>
    JSON.stringify({ type: "module", scripts: { "test:engines": engines, "test:bundlers": bundlers } });
  const tier = `const isFull = process.env.LATENTWIRE_TIER === "full";\n`;
  // As tsc leaves these lines.
  const built = (name: string, code: string) => ({ [`../${name}.ts`]: code, [`../dist/${name}.js`]: code });
  const used = "export const used = () => 1;\n";
  const files = {
    ...built("bindings/a", used),
    ...built("tables/b", `${used}export const unused = () => {\n${"    console.log();\n".repeat(9)}};\n`),
    "../package.json": scripts(says("5 passed, 0 failed"), says("6 passed, 0 failed, 1 skipped")),
    "a.test.ts": `${passing}import { used } from "../dist/bindings/a.js";\nused();\n`,
    "b.test.ts": `${uvu}${tier}test("x", () => assert.ok(isFull));\ntest.run();\n`,
    "snippets.test.ts": `${passing}import { used } from "../dist/tables/b.js";\nused();\n`,
  };
  assert.is(run(files).last, "2 passed, 1 failed");
  const all = run(files, ["--all"]);
  // 2 + 1 + 2 of the files, 5 and 6 of the commands; half of b.js is not covered.
  assert.equal([all.status, all.last], [1, "16 passed, 1 failed, 1 skipped"]);
  assert.match(all.stdout, /tables\/b\.ts: 2 of 11, not 3,4,5/);
  // A process that runs the source counts as one that runs what is built.
  const both = { ...files, "c.test.ts": `${passing}import { unused } from "../tables/b.js";\nunused();\n` };
  assert.is(run(both, ["--all"]).last, "19 passed, 0 failed, 1 skipped");
  const covered = { ...files, ...built("tables/b", used) };
  assert.is(run(covered, ["--all"]).last, "17 passed, 0 failed, 1 skipped");
  const stale = run({ ...covered, "../tables/b.ts": used.replace("1", "2") }, ["--all"]);
  assert.match(stale.stdout, /dist\/ has not what tsc makes of tables\/b\.ts/);
  assert.is(stale.last, "16 passed, 1 failed, 1 skipped");
  assert.is(run(covered, ["--all", "--after-quick"]).stdout.includes("a.test.ts"), false);
  for (const broken of ["node -e 0", says("0 passed, 0 failed"), `${says("3 passed, 0 failed")} && exit 1`]) {
    const { status, last } = run({ ...covered, "../package.json": scripts(broken, says("1 passed, 0 failed")) }, [
      "--all",
    ]);
    assert.is(status, 1);
    assert.match(last ?? "", /1 failed$/, broken);
  }
});

test("test.only is a failure where everything is required", () => {
  const only = {
    "a.test.ts": `${uvu}test.only("x", () => assert.ok(true));\ntest("y", () => assert.ok(false));\ntest.run();\n`,
  };
  assert.is(run(only, [], true).status, 1);
});

test.run();
