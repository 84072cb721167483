// Workers know no import maps, so the package is imported by its path here, and its Wasm comes as bytes: the way of a page that shares one module.
import { outcomes } from "./cases.js";

const root = new URL("/node_modules/latentwire/dist/", import.meta.url);
const { create } = (await import(new URL("bindings/index.js", root).href)) as typeof import("latentwire");
const module = await WebAssembly.compileStreaming(fetch(new URL("codec.wasm", root)));
postMessage(outcomes(await create({ module })));
