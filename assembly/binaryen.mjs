// binaryen's tools, which assemblyscript brings, and one change of the SIMD build that they do not make.
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(createRequire(import.meta.url).resolve("assemblyscript/bin/asc.js"));

/** Runs a tool of binaryen. */
export function binaryen(tool, ...args) {
  execFileSync(process.execPath, [require.resolve(`binaryen/bin/${tool}`), ...args], { stdio: "inherit" });
}

// A fault of V8 that the kernels step around. On processors without AVX the baseline compiler of Node 20 and 22 computes
// `i8x16.swizzle` as zeros where the first operand is a local and the second a temporary: it puts the result into the
// temporary's register before it has read it. A second operand that is a local as well keeps its register.
const SWIZZLE = "(i8x16.swizzle";

/** The end of the expression that begins with the parenthesis at `from`. */
function endOf(text, from) {
  for (let at = from, depth = 0; ; at++) {
    if (text[at] === "(") depth++;
    else if (text[at] === ")" && --depth === 0) return at + 1;
  }
}

/** Puts the second operand of such swizzles into a local, in place. Nothing that removes unused locals may run after it. */
export function withLocalMasks(wasm, flags) {
  const file = `${wasm}.wat`;
  binaryen("wasm-dis", wasm, ...flags, "-o", file);
  let text = readFileSync(file, "utf8");
  const functions = new Set();
  // From the last one to the first, so that those before keep their places.
  for (let at = text.lastIndexOf(SWIZZLE); at >= 0; at = text.lastIndexOf(SWIZZLE, at - 1)) {
    const first = text.indexOf("(", at + 1);
    const second = text.indexOf("(", endOf(text, first));
    if (!text.startsWith("(local.", first) || text.startsWith("(local.", second)) continue;
    const end = endOf(text, second);
    text = `${text.slice(0, second)}(local.tee $mask ${text.slice(second, end)})${text.slice(end)}`;
    functions.add(/\$\S+/.exec(text.slice(text.lastIndexOf("\n (func ", at)))[0]);
  }
  for (const name of functions) {
    const at = text.indexOf(`\n (func ${name} `);
    const header = text.indexOf("\n", at + 1);
    const locals = /^(?:\n {2}\((?:param|result|local) [^\n]*)*/.exec(text.slice(header))[0].length;
    text = `${text.slice(0, header + locals)}\n  (local $mask v128)${text.slice(header + locals)}`;
  }
  writeFileSync(file, text);
  binaryen("wasm-as", file, ...flags, "-o", wasm);
  rmSync(file);
}
