/** latentwire encode */
import { create } from "latentwire";
import { Pieces } from "../bindings/tensor.js";
import { type Command, choice, EXIT, flag, text } from "./cli-arguments.js";
import { checkOutput, printReport, remark, withInput, writeOutput } from "./cli-files.js";
import { affineOf, rawOptions, readLatent } from "./cli-latent.js";
import { makePrior, priorHelp, priorOptions, refuseIdleAxis } from "./cli-prior.js";
import { arrange, elementsOf, naming } from "./layout.js";

export const encodeCommand: Command = {
  name: "encode",
  summary: "latent in, packet out",
  synopsis: "LATENT [-o PACKET] [--tables FILE] [options]",
  help: `  LATENT            .npy of floats or integers, or raw elements; - for standard input
  -o, --output FILE the packet; default, and -: standard output
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
  encoder | latentwire encode - --dims 1,48,28,28 --tables model.lwb > latent.lw`,
  options: {
    ...priorOptions,
    ...rawOptions,
    output: { type: "string", short: "o" },
    "zero-point": { type: "string" },
    stream: { type: "string" },
    header: { type: "string" },
    lanes: { type: "string" },
    "no-checksum": { type: "boolean" },
    "no-fingerprint": { type: "boolean" },
    json: { type: "boolean" },
  },
  positionals: [1, 1],
  async run(values, [path]) {
    const output = checkOutput(text(values, "output"), "a packet");
    refuseIdleAxis(values);
    const lanes = choice(values, "lanes", ["auto", "1", "8", "16", "32"]) ?? "auto";
    const stream = choice(values, "stream", ["native", "compressai"]) ?? "native";
    const header = choice(values, "header", ["packet", "compact", "none"]) ?? "packet";
    const codec = await create();
    const { prior, layout } = await makePrior(codec, values);
    const { packet, dims } = await withInput(path!, (source) => {
      const latent = readLatent(source, values, path!);
      const dims = layout ? arrange(latent.dims, layout, path!).dims : latent.dims;
      const packet = naming(path!, () =>
        codec.encode(new Pieces(latent.type, dims, latent.read), prior, {
          stream,
          header,
          lanes: lanes === "auto" ? lanes : (Number(lanes) as 1 | 8 | 16 | 32),
          checksum: !flag(values, "no-checksum"),
          fingerprint: !flag(values, "no-fingerprint"),
          affine: affineOf(values, prior),
        }),
      );
      return { packet, dims };
    });
    await writeOutput(output, packet);
    const elements = elementsOf(dims);
    const report = { bytes: packet.length, dims, elements, fingerprint: prior.table.fingerprint };
    if (flag(values, "json")) await printReport(output, report);
    else if (output !== "-" && process.stderr.isTTY) remark(`${packet.length} bytes for ${elements} elements`);
    return EXIT.ok;
  },
};
