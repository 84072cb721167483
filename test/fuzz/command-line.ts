// The command line in this thread: its commands are called with arguments and files, of which one is damaged, now and then an argument instead.
// Each call ends with an exit code of docs/cli.md. What goes wrong is a line of its own on standard error, never a stack.
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSync } from "latentwire";
import { writeBundle } from "latentwire/bundle";
import { writeNpy } from "../../tables/npy.js";
import { type Random, random } from "../cases.js";
import { type Input, type Target, WrongSuccess } from "./engine.js";
import { mutateFields } from "./fields.js";
import { fileSeeds, kept, tableJson } from "./file-seeds.js";
import { mutations } from "./files.js";
import { hashOf } from "./packets.js";

/** What dist/tables/cli.js exports in the bundle of the fuzzer; as a program it runs when it is loaded. */
type CommandLine = { run?(args: readonly string[]): Promise<number> };

/** The files of the commands below, by name. */
function files(): Record<string, Uint8Array> {
  const codec = createSync();
  const table = codec.table(tableJson[0]);
  const dims = [1, 3, 2, 4];
  const y = Float32Array.from({ length: 24 }, (_, i) => ((i * 7) % 11) / 4 - 1);
  const scales = y.map((value) => Math.abs(value) + 0.2);
  const [npz] = fileSeeds.npz(codec);
  const [pth] = fileSeeds.torch(codec);
  const [, safetensors] = fileSeeds.safetensors(codec);
  return {
    "y.npy": writeNpy("float32", dims, y),
    "scales.npy": writeNpy("float32", dims, scales),
    "means.npy": writeNpy("float32", dims, y),
    "rows.npy": writeNpy(
      "int32",
      dims,
      Int32Array.from(y, (_, i) => i % 3),
    ),
    "y.raw": new Uint8Array(y.buffer),
    "table.json": new TextEncoder().encode(JSON.stringify(table)),
    "table.lwt": table.bytes(),
    "model.lwb": writeBundle([
      { name: "z", kind: "factorized", table, step: 0.5, axis: 1, shape: [null, 3, null, null] },
      { name: "y", kind: "gaussian", table: codec.gaussianTable(), rebuild: true },
    ]),
    "y.lw": codec.encode({ type: "float32", dims, data: y }, codec.factorized(table)),
    "model.npz": npz,
    "model.pth": pth,
    "model.safetensors": safetensors,
  };
}

/** Commands; `!` stands before the file that is damaged. */
const commands = [
  ...["inspect !y.lw", "inspect !y.lw --json", "inspect !model.lwb"],
  ...[
    "encode !y.npy --tables table.json -o out",
    "encode y.npy --tables !table.json -o out",
    "encode y.npy --tables !table.lwt -o out",
  ],
  ...["encode y.npy --tables !model.lwb -o out", "encode !y.raw --dims 1,3,2,4 --tables model.lwb -o out --json"],
  ...[
    "encode y.npy --scales !scales.npy -o out",
    "encode y.npy --scales scales.npy --means !means.npy --tables model.lwb -o out",
  ],
  ...["encode y.npy --rows !rows.npy --tables table.lwt --lanes 8 --header compact -o out"],
  ...["decode !y.lw --tables table.json -o out", "decode y.lw --tables !model.lwb --step 1 -o out --type int16"],
  ...[
    "decode !y.lw --tables table.lwt --header none --dims 1,3,2,4 -o out --raw",
    "decode y.lw --scales !scales.npy -o out",
  ],
  ...[
    "tables import !model.pth -o out",
    "tables import !model.npz -o out --json",
    "tables import !model.safetensors -o out",
  ],
  ...[
    "tables show !model.lwb",
    "tables show !table.json --json",
    "tables show !model.lwb --table z",
    "tables show !table.lwt",
  ],
  ...["tables rate table.json !y.npy --channels", "tables rate !model.lwb y.npy --json"],
  ...["tables fit !y.npy -o out", "tables fit !y.npy y.npy -o out --json"],
].map((line) => line.split(" "));

const kinds: Record<string, string> = {
  npy: "npy",
  json: "tables",
  lwt: "tables",
  lwb: "bundles",
  npz: "npz",
  pth: "torch",
  safetensors: "safetensors",
};

const oddWords = [
  ...[
    "",
    "--",
    "-1",
    "0",
    "1e9",
    "NaN",
    "99999999999999999999",
    "0x10",
    "1,2",
    "1,3,2,4",
    "0,0",
    "1x3x2x4",
    "a=b",
    "\u0000",
    "\ud800",
  ],
  ...[
    "--help",
    "-h",
    "--json",
    "--axis",
    "--step",
    "--dims",
    "--type",
    "--lanes",
    "--header",
    "--stream",
    "--table",
    "--tables",
  ],
  ...[
    "--channels",
    "--raw",
    "--only",
    "--max-elements",
    "--no-checksum",
    "--unknown",
    "int8",
    "int64",
    "compact",
    "none",
    "compressai",
  ],
  ...["native", "z", "y", "auto", "32", "tables", "show", "inspect", "decode"],
];

class CommandTarget implements Target {
  readonly name = "commands";
  readonly kind = "files";
  readonly every = 8;
  readonly seeds: readonly Input[];
  readonly #folder: string;
  readonly #files = files();
  readonly #run: NonNullable<CommandLine["run"]>;
  #hash = 0;

  constructor(run: NonNullable<CommandLine["run"]>) {
    this.#run = run;
    const memory = "/dev/shm";
    this.#folder = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), "latentwire-fuzz-"));
    process.on("exit", () => rmSync(this.#folder, { recursive: true, force: true }));
    for (const [name, bytes] of Object.entries(this.#files)) writeFileSync(this.#at(name), bytes);
    mkdirSync(this.#at("folder"));
    const seeds = commands.map((words, variant) => ({
      bytes: this.#files[damagedOf(words)],
      variant,
      salt: 1,
      forged: false,
    }));
    this.seeds = [...seeds, ...kept(this.name).map((bytes) => ({ bytes, variant: 0, salt: 1, forged: false }))];
  }

  #at(name: string): string {
    return join(this.#folder, name);
  }

  digest(): number {
    return this.#hash;
  }

  wasmBytes(): number {
    return 0;
  }

  mutate({ bytes, variant }: Input, rng: Random, other: Input): Pick<Input, "bytes" | "forged"> {
    const kind = kinds[damagedOf(commands[variant]).split(".")[1]];
    const damaged = kind
      ? mutations[kind](bytes, rng, other.bytes).bytes
      : mutateFields(bytes, rng, other.bytes, { reach: 24 });
    return { bytes: damaged.slice(0, 16_384), forged: true };
  }

  async run({ bytes, variant, salt }: Input): Promise<string> {
    const words = commands[variant];
    const damaged = damagedOf(words);
    const isAltered = salt !== 1 && salt % 4 === 0;
    const given = words.map((word) => this.#argument(word.replace("!", "")));
    const args = isAltered ? this.#altered(given, random(salt)) : given;
    writeFileSync(this.#at(damaged), bytes);
    const errors: string[] = [];
    let status: number;
    const restore = silence(errors);
    try {
      status = await this.#run(args);
    } finally {
      restore();
      writeFileSync(this.#at(damaged), this.#files[damaged]);
    }
    this.#judge(args, status, errors, isAltered);
    this.#hash = hashOf(0, [status]);
    rmSync(this.#at("out"), { force: true, recursive: true });
    return status === 0 ? "unchecked" : `exit ${status}`;
  }

  #judge(args: readonly string[], status: number, errors: readonly string[], isAltered: boolean): void {
    const shown = `${args.join(" ").replaceAll(`${this.#folder}/`, "")}: exit ${status}, ${errors.join(" | ").slice(0, 300)}`;
    if (![0, 1, 2].includes(status)) throw new Error(shown);
    // With LATENTWIRE_DEBUG a mistake that the library found shows its name. Of a file alone it is a fault.
    const strange = errors.find((line) => /^\w*Error\b/.test(line));
    if (strange !== undefined && !(isAltered && /^(Type|Range)Error/.test(strange))) throw new Error(shown);
    if (status !== 0 && errors.length === 0 && !args.includes("inspect")) throw new Error(`without a word: ${shown}`);
    if (
      !isAltered &&
      status === 0 &&
      args.includes("-o") &&
      !statSync(this.#at("out"), { throwIfNoEntry: false })?.isFile()
    )
      throw new WrongSuccess(`it wrote nothing: ${shown}`);
  }

  /** A file of ours by its path; words and numbers as they are. */
  #argument(word: string): string {
    return word in this.#files || word === "out" || word === "folder" ? this.#at(word) : word;
  }

  /** Other arguments. What is written stays in the folder. */
  #altered(given: readonly string[], rng: Random): string[] {
    const args = [...given];
    const names = [...Object.keys(this.#files), "folder", "nothing", "*.npy"];
    for (let count = 1 + rng(2); count > 0; count--) {
      const at = rng(args.length + 1);
      const word = rng(3) ? oddWords[rng(oddWords.length)] : this.#at(names[rng(names.length)]);
      if (rng(4) === 0) args.splice(at, 1);
      else args.splice(at, rng(2), word);
    }
    return this.#within(args.filter((word) => word !== "-"));
  }

  #within(args: readonly string[]): string[] {
    const out = args.map((word, i) =>
      ["-o", "--output"].includes(args[i - 1]) && !word.startsWith(this.#folder) ? this.#at("out") : word,
    );
    // Without -o they write where they are.
    const isWriter = out.includes("import") || out.includes("fit");
    return isWriter && !out.includes("-o") ? [...out, "-o", this.#at("out")] : out;
  }
}

const damagedOf = (words: readonly string[]): string => words.find((word) => word.startsWith("!"))!.slice(1);

/** Takes what is written to standard output and standard error until the function that it returns is called. */
function silence(errors: string[]): () => void {
  const { write } = process.stdout;
  const { error } = console;
  process.stdout.write = ((_: unknown, done: unknown) => {
    if (typeof done === "function") done();
    return true;
  }) as typeof write;
  console.error = (text: unknown) => errors.push(String(text));
  return () => {
    process.stdout.write = write;
    console.error = error;
  };
}

/** Only in the bundle: elsewhere the command line runs when it is loaded. It chooses its own build. */
export async function openCommands(): Promise<Target> {
  process.env.LATENTWIRE_DEBUG = "1";
  const { run } = (await import("../../tables/cli.js")) as CommandLine;
  if (run === undefined) throw new TypeError("the command line is a target of the bundle alone");
  return new CommandTarget(run);
}
