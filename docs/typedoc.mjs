// A plugin of typedoc: the site's navigation has the guides in groups and under their titles, the entries under the names that one
// imports, and the page of docs/demo, which is no document, before all of them.
import { readFileSync } from "node:fs";
import { relative, resolve } from "node:path";
import { Converter, JSX, Renderer } from "typedoc";

/** The first pattern that a document's path begins with is that of its group. */
const GROUPS = [
  ["Start", ["docs/guide.md", "docs/split.md", "docs/cli.md"]],
  ["Examples", ["docs/examples/"]],
  ["In practice", ["docs/errors.md", "docs/bundlers.md", "docs/runtimes.md", "docs/determinism.md", "SECURITY.md"]],
  ["Measurements", ["docs/benchmarks.md", "docs/offload.md", "bench/"]],
  [
    "Format and inside",
    ["docs/format.md", "docs/abi.md", "docs/math.md", "docs/architecture.md", "CONTRIBUTING.md", "CHANGELOG.md"],
  ],
  ["Guides", ["docs/"]],
];

const root = resolve(import.meta.dirname, "..");

/** Entry points by their files: "bindings/onnx" is "latentwire/onnx". */
function entryNames() {
  const { name, exports } = JSON.parse(readFileSync(resolve(root, "package.json"), "utf8"));
  return new Map(
    Object.entries(exports).flatMap(([path, { types }]) =>
      types ? [[types.replace("./dist/", "").replace(/(\/index)?\.d\.ts$/, ""), `${name}${path.slice(1)}`]] : [],
    ),
  );
}

/** @param {import("typedoc").Application} app */
export function load(app) {
  const titles = new Map();
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_, document) => {
    const path = relative(root, document.project.files.getReflectionPath(document) ?? "").replaceAll("\\", "/");
    document.frontmatter.group = GROUPS.find(([, starts]) => starts.some((start) => path.startsWith(start)))?.[0];
    document.name = path.replace(/^docs\//, "").replace(/(\/README)?\.md$/, "");
    const [, title] = /^# (.+)$/m.exec(document.content.map(({ text }) => text).join("")) ?? [];
    titles.set(document, title?.replaceAll("`", "") ?? document.name);
  });
  // Not before: the address of a page is made of its file's name, which outlives a title.
  app.renderer.on(Renderer.EVENT_BEGIN, () => {
    for (const [document, title] of titles) document.name = title;
  });
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    const names = entryNames();
    for (const module of project.children ?? []) module.name = names.get(module.name) ?? module.name;
  });
  app.renderer.hooks.on("sidebar.begin", (context) =>
    JSX.createElement(
      "p",
      null,
      JSX.createElement(
        "a",
        { href: context.relativeURL("demo/index.html") },
        "Try it: the page that sends a photograph",
      ),
    ),
  );
}
