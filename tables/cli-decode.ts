/** latentwire decode */
import { type Command, EXIT, flag, text } from "./cli-arguments.js";
import { makeDecoder } from "./cli-coders.js";
import { checkOutput, printReport, readInput, writeOutput } from "./cli-files.js";
import { formatLatent } from "./cli-latent.js";
import { decodeMany, isMany, manyHelp, refuseManyOptions } from "./cli-many.js";
import { priorHelp, priorOptions } from "./cli-prior.js";
import { manyOptions } from "./many.js";

export const decodeCommand: Command = {
  name: "decode",
  summary: "packets in, latents out",
  synopsis: "PACKETS... [-o LATENTS] [--tables FILE] [options]",
  help: `  PACKETS           a file, or - for standard input. Or a file of many packets (.lws), or several files, folders, patterns
  -o, --output FILE the latent; default, and -: standard output. Of many packets: FOLDER/
${manyHelp}
  --raw             write the elements alone, little-endian; default: .npy
  --type TYPE       float32 (default), float16, float64: dequantized; int8 to int64, uint8 to uint64, bool: symbols
  --zero-point Z    with --type int8, uint8, int16 or uint16: what the encoder was given
  --dims D,D,..     shape: needed with --header compact or none, otherwise checked
${priorHelp}
  --stream KIND     of a bare stream: native (default), or compressai
  --header KIND     packet (default), compact, or none: what the encoder was given
  --no-checksum     of a compact packet: the encoder was told the same
  --max-elements N  refuse packets of more; default 16777216
  --max-context-elements N  the same for symbols under a context prior, which take longer; default 1048576
  --json            say what was decoded, on standard output or, where the latent goes there, on standard error

  latentwire decode latent.lw --tables model.lwb -o latent.npy
  latentwire decode packets.lws --tables model.lwb -o latents/`,
  options: {
    ...priorOptions,
    ...manyOptions,
    output: { type: "string", short: "o" },
    raw: { type: "boolean" },
    type: { type: "string" },
    "zero-point": { type: "string" },
    dims: { type: "string" },
    stream: { type: "string" },
    header: { type: "string" },
    "no-checksum": { type: "boolean" },
    "max-elements": { type: "string" },
    "max-context-elements": { type: "string" },
    json: { type: "boolean" },
  },
  positionals: [1, Number.POSITIVE_INFINITY],
  async run(values, paths) {
    if (isMany(paths, text(values, "output"))) return decodeMany(values, paths);
    refuseManyOptions(values);
    const [path] = paths;
    const output = checkOutput(text(values, "output"), "a latent");
    const { decode } = await makeDecoder(values);
    // A copy: the codec takes a Uint8Array, Node's Buffer is a view of a shared one.
    const packet = new Uint8Array(await readInput(path!));
    const latent = decode(packet, path!);
    await writeOutput(output, formatLatent(latent, flag(values, "raw")));
    if (flag(values, "json")) {
      const { type, dims, data } = latent;
      await printReport(output, { type, dims, elements: data.length, bytes: packet.length });
    }
    return EXIT.ok;
  },
};
