/** What the commands of this folder share: how they end, their tables, their progress. */
import { readFileSync } from "node:fs";
import { type ParseArgsConfig, parseArgs } from "node:util";
import { Presets, SingleBar } from "cli-progress";
import { table } from "../tables/cli-files.js";
import { LINKS, type Link } from "../tables/links.js";

/** Runs a command: a mistake of the user ends in one line, not in a stack; a closed pipe (`| head`) ends it quietly. */
export function program(main: () => Promise<void>): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });
  main().catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  });
}

type Options = NonNullable<ParseArgsConfig["options"]>;
const HELP = { help: { type: "boolean", default: false } } as const;
type Values<Given extends Options> = ReturnType<typeof parseArgs<{ options: Given & typeof HELP }>>["values"];

/** A program with options; `--help` prints `help` and does nothing else. */
export function command<const Given extends Options>(
  help: string,
  options: Given,
  main: (args: Values<Given>) => Promise<void>,
): void {
  program(async () => {
    const { values } = parseArgs({ options: { ...options, ...HELP } });
    if ("help" in values && values.help) console.log(help);
    else await main(values as Values<Given>);
  });
}

/** A whole number from 1, as the option `--NAME` gives it. */
export function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} ${text}: a whole number from 1 is wanted`);
  return value;
}

/** Which names `--only` lets through, kind by kind: naming none of a kind means all of it. */
export function filters(only: string | undefined, kinds: readonly (readonly string[])[]) {
  const names = only?.split(",").map((name) => name.trim()) ?? [];
  const known = kinds.flat();
  for (const name of names)
    if (!known.includes(name)) throw new Error(`--only ${name}: choose from ${known.join(" ")}`);
  return kinds.map((kind) => {
    const chosen = kind.filter((name) => names.includes(name));
    return (name: string) => chosen.length === 0 || chosen.includes(name);
  });
}

/** Milliseconds, as the option `--time` gives them. */
export function timeOption(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--time ${text}: a number of milliseconds is wanted`);
  return value;
}

/** Lines of a text table; the first `left` columns are aligned to the left, the others to the right. */
export const columns = (head: readonly string[], rows: readonly (readonly string[])[], left = 1): string[] =>
  table([head, ...rows], left);

export interface Progress {
  /** Called before a step, so that the bar shows what is going on now. */
  step(doing: string): void;
  stop(): void;
}

/** Where no bar can be drawn, a line as often as this: enough to see that it goes on, and few enough for a log. */
const LINE_MS = 15_000;

/** 42 s, 3:05 min, 1:20 h; "?" as long as nothing is known. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  const whole = Math.round(seconds);
  const parts = (large: number, small: number) => `${large}:${String(small).padStart(2, "0")}`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${parts(Math.floor(whole / 60), whole % 60)} min`;
  return `${parts(Math.floor(whole / 3600), Math.floor((whole % 3600) / 60))} h`;
}

/** For a file or a pipe. The time left is estimated from the steps since the line before. */
function lines(title: string, steps: number): Progress {
  let done = 0;
  let last = { done: 0, time: performance.now() };
  return {
    step(doing) {
      const time = performance.now();
      if (time - last.time > LINE_MS) {
        const left = ((time - last.time) / (done - last.done) / 1000) * (steps - done);
        console.error(`${title} ${done}/${steps}, ${duration(left)} left, ${doing}`);
        last = { done, time };
      }
      done++;
    },
    stop() {},
  };
}

/** A bar on standard error, or a line now and then where that is no terminal; nothing where `quiet` is set. */
export function bar(title: string, steps: number, quiet = false): Progress {
  if (quiet) return { step() {}, stop() {} };
  if (!process.stderr.isTTY) return lines(title, steps);
  const single = new SingleBar(
    {
      format: `${title} {bar} {value}/{total}  {eta_formatted} left  {doing}`,
      formatTime: duration,
      stream: process.stderr,
      // Work that a cache spares is over at once; a short memory would take its speed for that of the rest.
      etaBuffer: 50,
      clearOnComplete: true,
    },
    Presets.shades_classic,
  );
  single.start(steps, 0, { doing: "" });
  let done = 0;
  return { step: (doing) => single.update(done++, { doing }), stop: () => single.stop() };
}

/** The links of a file, checked; without one the usual ones. */
export function readLinks(file: string | undefined): readonly Link[] {
  if (file === undefined) return LINKS;
  let links: unknown;
  try {
    links = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new Error(`cannot read the links in ${file}: ${(error as Error).message}`);
  }
  const usable = (link: Link) =>
    typeof link?.name === "string" &&
    link.name.trim() !== "" &&
    Number.isFinite(link.mbitPerSecond) &&
    link.mbitPerSecond > 0 &&
    Number.isFinite(link.rttMs) &&
    link.rttMs >= 0;
  if (!Array.isArray(links) || links.length === 0 || !links.every(usable))
    throw new Error(`${file}: a list of {"name", "mbitPerSecond" > 0, "rttMs" >= 0} is wanted`);
  const names = links.map(({ name }: Link) => name);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw new Error(`${file}: two links are called ${twice}`);
  return links;
}
