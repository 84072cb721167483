import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { program } from "./terminal.js";

const HELP = `node --import tsx bench/chart.ts FILE.. --out CHART.svg

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

const [WIDTH, LABEL, VALUE, ROW, BAR, HEAD, GAP] = [388, 176, 44, 20, 12, 30, 20];

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #1d2126; } .head { font-weight: 600; } .own { fill: #0b7a75; } .other { fill: #b9bfc4; }
  @media (prefers-color-scheme: dark) { text { fill: #e8e8e4; } .own { fill: #35b5ab; } .other { fill: #59626a; } }
`;

function panel(title: string, results: readonly Result[]): { svg: string; height: number } {
  const rows = [...results].sort((a, b) => b.msymPerSecond - a.msymPerSecond);
  const scale = (WIDTH - LABEL - VALUE) / rows[0].msymPerSecond;
  const bars = rows.map(({ codec, msymPerSecond: rate }, r) => {
    const y = HEAD + r * ROW;
    const width = Math.max(rate * scale, 0.5).toFixed(1);
    const value = rate < 10 ? rate.toFixed(1) : rate.toFixed(0);
    const own = codec.startsWith("latentwire") || codec === "compressai-stream" ? "own" : "other";
    return (
      `<text x="${LABEL - 6}" y="${y + 10}" text-anchor="end">${SHOWN[codec]}</text>` +
      `<rect x="${LABEL}" y="${y}" width="${width}" height="${BAR}" class="${own}"/>` +
      `<text x="${(LABEL + Number(width) + 5).toFixed(1)}" y="${y + 10}">${value}</text>`
    );
  });
  const svg = `<text x="${LABEL}" y="16" class="head">${title}, Msym/s</text>\n${bars.join("\n")}`;
  return { svg, height: HEAD + rows.length * ROW };
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
      return panel(`${workload} ${op}`, once);
    });
    line.forEach(({ svg }, p) => {
      panels.push(`<g transform="translate(${p * (WIDTH + GAP)} ${y})">\n${svg}\n</g>`);
    });
    y += Math.max(...line.map(({ height }) => height)) + GAP;
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
