#!/usr/bin/env node
/** The command line: `npx latentwire`. */
import { readFile } from "node:fs/promises";
import { CodecError } from "latentwire";
import { type Command, EXIT, isMemory, parseCommand, suggestion, UsageError } from "./cli-arguments.js";
import { decodeCommand } from "./cli-decode.js";
import { encodeCommand } from "./cli-encode.js";
import { print, refuseInputAsOutput } from "./cli-files.js";
import { fitCommand } from "./cli-fit.js";
import { helloCommand } from "./cli-hello.js";
import { importCommand } from "./cli-import.js";
import { inspectCommand } from "./cli-inspect.js";
import { rateCommand } from "./cli-rate.js";
import { showCommand } from "./cli-show.js";
import { splitCommand } from "./cli-split.js";
import { MissingPackage } from "./packages.js";

const commands: readonly Command[] = [
  helloCommand,
  inspectCommand,
  encodeCommand,
  decodeCommand,
  importCommand,
  fitCommand,
  rateCommand,
  showCommand,
  splitCommand,
];

function overview(): string[] {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    "usage: latentwire COMMAND",
    "",
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "latentwire COMMAND --help says more. Exit codes: 0 done, 1 the data is at fault, 2 the command line is.",
  ];
}

/** The command that is named, and what follows its name. */
function findCommand(args: readonly string[]): { command: Command; rest: string[] } {
  for (const words of [2, 1]) {
    const command = commands.find(({ name }) => name === args.slice(0, words).join(" "));
    if (command !== undefined) return { command, rest: args.slice(words) };
  }
  const given = args.slice(0, args[0] === "tables" ? 2 : 1).join(" ");
  const names = commands.map(({ name }) => name);
  throw new UsageError(`there is no command ${given}; ${suggestion(given, names)}`);
}

async function main(args: string[]): Promise<number> {
  if (args.length === 1 && (args[0] === "--version" || args[0] === "-v")) {
    const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
    await print(version);
    return EXIT.ok;
  }
  const topics = args.filter((arg) => arg !== "--help" && arg !== "-h" && arg !== "help");
  if (topics.length === 0) {
    if (args.length > 0) await print(...overview());
    else console.error(overview().join("\n"));
    return args.length > 0 ? EXIT.ok : EXIT.usage;
  }
  if (args.length < 3 && topics.length === 1 && topics[0] === "tables") {
    if (args.length === 1) throw new UsageError("tables what? import, fit, rate or show");
    await print(...overview());
    return EXIT.ok;
  }
  const { command, rest } = findCommand(args[0] === "help" ? args.slice(1) : args);
  const { values, positionals, help } = parseCommand(command, args[0] === "help" ? ["--help"] : rest);
  if (!help) {
    refuseInputAsOutput(values, positionals);
    return command.run(values, positionals);
  }
  await print(`usage: latentwire ${command.name} ${command.synopsis}`, "", command.help);
  return EXIT.ok;
}

/** One line on standard error, and the exit code. */
function fail(error: unknown): number {
  const { code, message, stack } = error as NodeJS.ErrnoException;
  // The reader of our output closed its pipe: it needs no more, and that is no error.
  if (code === "EPIPE") return EXIT.ok;
  const say = (label: string, exit: number) => {
    console.error(`latentwire: ${label} ${message}`);
    return exit;
  };
  if (error instanceof CodecError) return say(error.code, EXIT.data);
  if (error instanceof UsageError) {
    if (process.env.LATENTWIRE_DEBUG && error.cause) console.error((error.cause as Error).stack);
    return say("USAGE", EXIT.usage);
  }
  if (error instanceof MissingPackage) return say(error.code, EXIT.data);
  if (typeof code === "string" && "syscall" in (error as object)) {
    console.error(`latentwire: ${code} ${message.replace(/^[A-Z]+: /, "")}`);
    return EXIT.data;
  }
  if (isMemory(error)) return say("LIMIT_EXCEEDED", EXIT.data);
  console.error(stack ?? String(error));
  console.error("latentwire: INTERNAL a fault of latentwire. Please report it with these lines: npm bugs latentwire");
  return EXIT.data;
}

process.exitCode = await main(process.argv.slice(2)).catch(fail);
