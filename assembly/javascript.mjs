// The scalar build as JavaScript, for engines without WebAssembly: binaryen's wasm2js translates it, esbuild makes it
// small. Nothing of the codec is written by hand here.
import { readFileSync, rmSync } from "node:fs";
import { transformSync } from "esbuild";
import ts from "typescript";
import { binaryen } from "./binaryen.mjs";

// wasm2js's own function throws at 2 GB instead of returning -1, and copies all memory for each 64 KB. This one doubles.
// Addresses are signed in JavaScript's integer operations, so memory ends at 2 GB.
const GROW = `function __wasm_memory_grow(pages) {
  var before = buffer.byteLength / 65536;
  var needed = before + (pages >>> 0);
  if (needed > 32767) return -1;
  var larger = buffer;
  if (needed > before) {
    try {
      larger = new ArrayBuffer(Math.min(Math.max(needed, 2 * before), 32767) * 65536);
    } catch (_) {
      try {
        larger = new ArrayBuffer(needed * 65536);
      } catch (_) {
        return -1;
      }
    }
    new Uint8Array(larger).set(HEAPU8);
    VIEWS
    buffer = larger;
    bufferView = HEAPU8;
  }
  return before;
}`;

/**
 * wasm2js forgets that a call may grow memory: in `HEAP32[i] = f()` JavaScript reads HEAP32 before it calls f, and stores into the old memory. Such accesses become
 * functions, whose arguments are there before they look at HEAP32.
 */
function withGrowth(text) {
  const { factory } = ts;
  const used = new Set();
  const through = (kind, array, ...args) => {
    used.add(`${kind} ${array}`);
    return factory.createCallExpression(factory.createIdentifier(`${kind}${array}`), undefined, args);
  };
  const grows = (node) =>
    (ts.isCallExpression(node) && !/^(Math_|wasm2js_)/.test(node.expression.getText())) ||
    ts.forEachChild(node, grows) === true;
  const heap = (node) => ts.isElementAccessExpression(node) && /^HEAP/.test(node.expression.getText());
  const source = ts.createSourceFile("codec.js", text, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS);
  const { transformed } = ts.transform(source, [
    (context) => (root) => {
      const visit = (node) => {
        const stores = ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.EqualsToken;
        if (stores && heap(node.left) && (grows(node.left.argumentExpression) || grows(node.right)))
          return through("set", node.left.expression.getText(), visit(node.left.argumentExpression), visit(node.right));
        if (heap(node) && grows(node.argumentExpression))
          return through("get", node.expression.getText(), visit(node.argumentExpression));
        return ts.visitEachChild(node, visit, context);
      };
      return visit(root);
    },
  ]);
  const functions = [...used].map((name) => {
    const [kind, array] = name.split(" ");
    return kind === "set"
      ? `function set${array}(at, value) { ${array}[at] = value; }`
      : `function get${array}(at) { return ${array}[at]; }`;
  });
  const printed = ts.createPrinter().printFile(transformed[0]);
  return replaced(printed, /function __wasm_memory_grow/, `${functions.join("\n")}\nfunction __wasm_memory_grow`);
}

function replaced(text, pattern, replacement) {
  if (!pattern.test(text)) throw new Error(`wasm2js wrote no ${pattern}`);
  return text.replace(pattern, replacement);
}

/** The text of `instantiate`, a function without arguments that returns the exports of a new instance. `flags`: the features of the build. */
export function toJavaScript(wasm, flags) {
  const lowered = `${wasm}.lowered.wasm`;
  binaryen("wasm-opt", wasm, ...flags, "--llvm-nontrapping-fptoint-lowering", "--alignment-lowering", "-o", lowered);
  const output = `${wasm}.js`;
  binaryen("wasm2js", lowered, ...flags, "-O3", "-o", output);
  let text = withGrowth(readFileSync(output, "utf8"));
  rmSync(lowered);
  rmSync(output);
  const views = [...text.matchAll(/\bvar (HEAP\w+) = new (\w+)\(buffer\);/g)];
  const grow = GROW.replace("VIEWS", views.map(([, name, type]) => `${name} = new ${type}(larger);`).join(" "));
  text = replaced(text, /function __wasm_memory_grow[\s\S]*?\n {4}\}\n/, `${grow}\n`);
  // wasm2js keeps one instance per file. A codec needs one of its own, helpers and all.
  text = replaced(text, /var retasmFunc = asmFunc\(\{\n?\}\);[\s\S]*$/, "return asmFunc({});");
  return transformSync(`function instantiate() {\n${text}\n}`, { minify: true, target: "es2018" }).code;
}
