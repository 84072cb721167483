/** latentwire decode */
import { create } from "latentwire";
import { type Command, choice, EXIT, flag, list, text, UsageError, whole } from "./cli-arguments.js";
import { checkOutput, printReport, readInput, writeOutput } from "./cli-files.js";
import { affineOf, ELEMENT_TYPES, formatLatent } from "./cli-latent.js";
import { makePrior, priorHelp, priorOptions, refuseIdleAxis } from "./cli-prior.js";
import { arrange, naming } from "./layout.js";

export const decodeCommand: Command = {
  name: "decode",
  summary: "packet in, latent out",
  synopsis: "PACKET [-o LATENT] [--tables FILE] [options]",
  help: `  PACKET            a file, or - for standard input
  -o, --output FILE the latent; default, and -: standard output
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

  latentwire decode latent.lw --tables model.lwb -o latent.npy`,
  options: {
    ...priorOptions,
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
  positionals: [1, 1],
  async run(values, [path]) {
    const output = checkOutput(text(values, "output"), "a latent");
    refuseIdleAxis(values);
    const type = choice(values, "type", ELEMENT_TYPES) ?? "float32";
    const stream = choice(values, "stream", ["native", "compressai"]) ?? "native";
    const header = choice(values, "header", ["packet", "compact", "none"]) ?? "packet";
    const given = list(values, "dims");
    if (header !== "packet" && given === undefined) throw new UsageError(`--header ${header} needs --dims`);
    const maxElements = whole(values, "max-elements", 0, 2 ** 31 - 1);
    const maxContextElements = whole(values, "max-context-elements", 0, 2 ** 31 - 1);
    const codec = await create();
    const { prior, layout } = await makePrior(codec, values);
    // A copy: the codec takes a Uint8Array, Node's Buffer is a view of a shared one.
    const packet = new Uint8Array(await readInput(path!));
    const latent = naming(path!, () => {
      // A whole packet says how many dimensions its latent has.
      const shape = given && header === "packet" ? codec.inspect(packet).dims : layout?.shape;
      const dims = given && layout ? arrange(given, { ...layout, shape }, path!).dims : given;
      return codec.decode(packet, prior, {
        type,
        stream,
        header,
        affine: affineOf(values, prior),
        checksum: !flag(values, "no-checksum"),
        ...(dims !== undefined && { dims }),
        ...(maxElements !== undefined && { maxElements }),
        ...(maxContextElements !== undefined && { maxContextElements }),
      });
    });
    await writeOutput(output, formatLatent(latent, flag(values, "raw")));
    if (flag(values, "json")) {
      const report = { type, dims: latent.dims, elements: latent.data.length, bytes: packet.length };
      await printReport(output, report);
    }
    return EXIT.ok;
  },
};
