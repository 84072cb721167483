/** `npm run bench:chart`: the chart of docs/benchmarks.md. */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { parseHTML } from "linkedom";
import { barChart } from "./charts.js";
import { program } from "./command.js";

const HELP = `npm run bench:chart -- FILE.. --out CHART.svg

Draws what \`npm run -s bench -- --json\` and \`npm run -s bench:native -- --json\` have printed into FILEs.`;

/** What the chart shows, by the names of the codecs, and what it calls them. */
const SHOWN: Record<string, string> = {
  latentwire: "latentwire",
  "latentwire-scalar": "latentwire, scalar",
  "latentwire-javascript": "latentwire, JavaScript",
  "compressai-stream": "CompressAI's stream, ours",
  "reference-ts": "plain TypeScript",
  "native-32": "C++ twin, 32 lanes",
  "native-16": "C++ twin, 16 lanes",
  "compressai-cpp": "CompressAI's C++",
  deflate: "deflate",
  zstd: "zstd -19",
  brotli: "brotli -11",
};
/** The twin with the lanes that latentwire chooses there. */
const TWIN: Record<string, string> = { W1: "native-32", W2: "native-16" };

interface Result {
  readonly workload: string;
  readonly op: string;
  readonly codec: string;
  readonly msymPerSecond: number;
}

const [WIDTH, HEAD, GAP] = [430, 24, 20];
const { document } = parseHTML("<html></html>");

const STYLE = `
  svg { color: #1d2126; font-family: system-ui, sans-serif; --own: #0b7a75; --latent: #b9bfc4; } .head { font-size: 13px; font-weight: 600; fill: currentColor; }
  @media (prefers-color-scheme: dark) { svg { color: #e8e8e4; --own: #35b5ab; --latent: #59626a; } }
`;

function panel(title: string, results: readonly Result[]): { svg: Element; height: number } {
  const bars = [...results]
    .sort((a, b) => b.msymPerSecond - a.msymPerSecond)
    .map(({ codec, msymPerSecond: rate }) => {
      const name = SHOWN[codec];
      const value = rate < 10 ? rate.toFixed(1) : rate.toFixed(0);
      const isOwn = codec.startsWith("latentwire") || codec === "compressai-stream";
      const segment = { length: rate, fill: isOwn ? "var(--own)" : "var(--latent)", title: `${name}: ${value} Msym/s` };
      return { name, value, segments: [segment], isMain: codec === "latentwire" };
    });
  const svg = barChart(`${title}, Msym/s`, bars, { width: WIDTH, document });
  return { svg, height: Number(svg.getAttribute("height")) };
}

/** Panels side by side, encode and decode of a workload in a line. */
function chart(results: readonly Result[]): string {
  let y = 0;
  const panels: string[] = [];
  for (const workload of ["W1", "W2"]) {
    const line = ["encode", "decode"].map((op) => {
      const shown = results.filter(
        (one) =>
          one.workload === workload &&
          one.op === op &&
          one.codec in SHOWN &&
          (!one.codec.startsWith("native-") || one.codec === TWIN[workload]),
      );
      // The first file that has a codec gives its figure.
      const once = shown.filter((one, i) => shown.findIndex((other) => other.codec === one.codec) === i);
      if (once.length === 0) throw new Error(`no file has figures of ${workload} ${op}`);
      return { title: `${workload} ${op}`, ...panel(`${workload} ${op}`, once) };
    });
    for (const [p, { title, svg }] of line.entries()) {
      const x = p * (WIDTH + GAP);
      svg.setAttribute("x", String(x));
      svg.setAttribute("y", String(y + HEAD));
      panels.push(
        `<text x="${x}" y="${y + 16}" class="head">${title}, million symbols a second</text>\n${svg.outerHTML}`,
      );
    }
    y += HEAD + Math.max(...line.map(({ height }) => height)) + GAP;
  }
  const box = `viewBox="0 0 ${2 * WIDTH + GAP} ${y - GAP}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${box} role="img" aria-label="speed of the codecs">\n<style>${STYLE}</style>\n${panels.join("\n")}\n</svg>\n`;
}

program(async () => {
  const { values: args, positionals: files } = parseArgs({
    allowPositionals: true,
    options: { out: { type: "string" }, help: { type: "boolean", default: false } },
  });
  if (args.help) return console.log(HELP);
  if (args.out === undefined || files.length === 0) throw new Error("FILE.. and --out are wanted");
  writeFileSync(args.out, chart(files.flatMap((file) => JSON.parse(readFileSync(file, "utf8")).results)));
});
