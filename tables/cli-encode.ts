/** latentwire encode */
import { type Command, EXIT, flag, text } from "./cli-arguments.js";
import { makeEncoder } from "./cli-coders.js";
import { checkOutput, printReport, remark, withInput, writeOutput } from "./cli-files.js";
import { rawOptions } from "./cli-latent.js";
import { encodeMany, isMany, manyHelp, refuseManyOptions } from "./cli-many.js";
import { priorHelp, priorOptions } from "./cli-prior.js";
import { elementsOf } from "./layout.js";
import { manyOptions } from "./many.js";

export const encodeCommand: Command = {
  name: "encode",
  summary: "latents in, packets out",
  synopsis: "LATENTS... [-o PACKETS] [--tables FILE] [options]",
  help: `  LATENTS           .npy of floats or integers, or raw elements; - for standard input. Or several files, folders, patterns
  -o, --output FILE the packet; default, and -: standard output. Of many files: PACKETS.lws, or FOLDER/ for a file each
${manyHelp}
  --dims D,D,..     shape of raw elements
  --type TYPE       their type: float32 (default), float16, float64, int8 to int64, uint8 to uint64, bool
  --zero-point Z    of int8, uint8, int16, uint16 as QDQ models have them: symbols are elements - Z; --step is the scale
${priorHelp}
  --stream KIND     native (default), or compressai: what CompressAI's rANS coder writes
  --header KIND     packet (default), compact: for a reader that knows prior and shape, or none: the bare stream
  --lanes N         1, 8, 16, 32 or auto (default)
  --no-checksum, --no-fingerprint
  --json            say what was written, on standard output or, where the packet goes there, on standard error

  latentwire encode latent.npy --tables model.lwb -o latent.lw
  latentwire encode latents/ --tables model.lwb -o packets.lws
  encoder | latentwire encode - --dims 1,48,28,28 --tables model.lwb > latent.lw`,
  options: {
    ...priorOptions,
    ...rawOptions,
    ...manyOptions,
    output: { type: "string", short: "o" },
    "zero-point": { type: "string" },
    stream: { type: "string" },
    header: { type: "string" },
    lanes: { type: "string" },
    "no-checksum": { type: "boolean" },
    "no-fingerprint": { type: "boolean" },
    json: { type: "boolean" },
  },
  positionals: [1, Number.POSITIVE_INFINITY],
  async run(values, paths) {
    if (isMany(paths, text(values, "output"))) return encodeMany(values, paths);
    refuseManyOptions(values);
    const [path] = paths;
    const output = checkOutput(text(values, "output"), "a packet");
    const { prior, encode } = await makeEncoder(values);
    const { packet, dims } = await withInput(path!, (source) => encode(source, path!));
    await writeOutput(output, packet);
    const elements = elementsOf(dims);
    const report = { bytes: packet.length, dims, elements, fingerprint: prior.table.fingerprint };
    if (flag(values, "json")) await printReport(output, report);
    else if (output !== "-" && process.stderr.isTTY) remark(`${packet.length} bytes for ${elements} elements`);
    return EXIT.ok;
  },
};
