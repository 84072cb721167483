/** Arguments of the command line: what a command declares, what was given, what is wrong with it. */
import { type ParseArgsConfig, parseArgs } from "node:util";

/** Exit codes; docs/cli.md. */
export const EXIT = { ok: 0, data: 1, usage: 2 } as const;

/** The caller's mistake: exit code 2. */
export class UsageError extends Error {}

/**
 * Calls the library with what was typed. A TypeError or RangeError of its arguments is then a mistake of the command line. Anywhere else
 * such an error is a fault of this program, and is shown as one.
 */
export function typed<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError) || isMemory(error)) throw error;
    throw new UsageError(error.message, { cause: error });
  }
}

/** V8 has no code for it. What a file promises is checked before: so it is the machine that has too little. */
export const isMemory = (error: unknown): boolean =>
  error instanceof RangeError && /allocation failed|Invalid (typed )?array length/i.test(error.message);

/** Values of a command's options, as strings; flags are true. */
export type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/** One command. */
export interface Command {
  /** As it is typed: `tables import`. */
  readonly name: string;
  /** What it does, in one line. */
  readonly summary: string;
  /** Arguments after the name, for the first line of the help. */
  readonly synopsis: string;
  /** The rest of the help: options, one per line, and an example. */
  readonly help: string;
  readonly options: NonNullable<ParseArgsConfig["options"]>;
  /** Least and most positional arguments. */
  readonly positionals: readonly [number, number];
  /** @returns the exit code. */
  run(values: Values, positionals: string[]): Promise<number> | number;
}

/** Splits arguments by a command's options. `help` is set where help is asked for, whatever else is wrong. */
export function parseCommand(
  command: Command,
  args: string[],
): { values: Values; positionals: string[]; help: boolean } {
  if (args.includes("--help") || args.includes("-h")) return { values: {}, positionals: [], help: true };
  const { options } = command;
  let parsed: { values: Values; positionals: string[]; tokens: { kind: string; name?: string }[] };
  try {
    parsed = parseArgs({ args, options, allowPositionals: true, strict: true, tokens: true });
  } catch (error) {
    const { message } = error as Error;
    const [, unknown] = /^Unknown option '(-[^']*)'/.exec(message) ?? [];
    if (unknown === undefined) throw new UsageError(message.replaceAll("\n", " "));
    const known = Object.keys(options).map((name) => `--${name}`);
    throw new UsageError(`${command.name} has no option ${unknown}; ${suggestion(unknown, known)}`);
  }
  const once = parsed.tokens.filter(({ kind, name }) => kind === "option" && !options[name!]?.multiple);
  const twice = once.find(({ name }, i) => once.findIndex((token) => token.name === name) < i);
  if (twice !== undefined) throw new UsageError(`--${twice.name} is given twice`);
  const [least, most] = command.positionals;
  const count = parsed.positionals.length;
  if (count < least) throw new UsageError(`${command.name} needs ${command.synopsis.split(" [")[0]}`);
  if (count > most)
    throw new UsageError(`what is ${parsed.positionals[most]}? ${command.name} takes ${most} argument(s)`);
  return { values: parsed.values, positionals: parsed.positionals, help: false };
}

/** `did you mean .. ?`, with the nearest of some names. */
export function suggestion(given: string, names: readonly string[]): string {
  const distances = names.map((name) => distance(given, name));
  return `did you mean ${names[distances.indexOf(Math.min(...distances))]}?`;
}

/** How many letters must be put in, left out or replaced to make one word of another. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1];
    for (let j = 0; j < to.length; j++)
      next.push(Math.min(row[j + 1]! + 1, next[j]! + 1, row[j]! + (letter === to[j] ? 0 : 1)));
    row = next;
  }
  return row[to.length]!;
}

/** The text of an option, or undefined. */
export const text = (values: Values, name: string): string | undefined => values[name] as string | undefined;

/** The texts of an option that may be repeated. */
export const texts = (values: Values, name: string): string[] => (values[name] as string[] | undefined) ?? [];

export const flag = (values: Values, name: string): boolean => values[name] === true;

/** A positive number, or undefined. */
export function positive(values: Values, name: string): number | undefined {
  const given = text(values, name);
  if (given === undefined) return undefined;
  const number = Number(given);
  // As the codec has it.
  const single = Math.fround(number);
  if (given.trim() !== "" && single > 0 && single < Number.POSITIVE_INFINITY) return number;
  throw new UsageError(`--${name} must be a positive number that a float32 can hold, not ${given}`);
}

/** A whole number from `least` to `most`, or undefined. */
export function whole(values: Values, name: string, least: number, most: number): number | undefined {
  const given = text(values, name);
  if (given === undefined) return undefined;
  const number = Number(given);
  if (/^\d+$/.test(given) && number >= least && number <= most) return number;
  throw new UsageError(`--${name} must be a whole number from ${least} to ${most}, not ${given}`);
}

/** Whole numbers separated by commas or `x`, or undefined. */
export function list(values: Values, name: string): number[] | undefined {
  const given = text(values, name);
  if (given === undefined) return undefined;
  if (/^\d+([,x]\d+)*$/.test(given)) return given.split(/[,x]/).map(Number);
  throw new UsageError(`--${name} must be whole numbers such as 1,48,28,28, not ${given}`);
}

/** One of some words, or undefined. */
export function choice<T extends string>(values: Values, name: string, choices: readonly T[]): T | undefined {
  const given = text(values, name);
  if (given === undefined || choices.includes(given as T)) return given as T | undefined;
  throw new UsageError(`--${name} must be ${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}, not ${given}`);
}
