/** latentwire inspect */
import { CodecError, create, type PacketInfo } from "latentwire";
import { type Command, EXIT, flag } from "./cli-arguments.js";
import { print, printJson, readInput } from "./cli-files.js";
import { isBundle } from "./cli-prior.js";
import { naming } from "./layout.js";

export const inspectCommand: Command = {
  name: "inspect",
  summary: "say what a packet is, without its tables",
  synopsis: "PACKET [--json]",
  help: `  PACKET            a file, or - for standard input
  --json            for machines

The exit code is 1 where the checksum does not match.

  latentwire inspect latent.lw`,
  options: { json: { type: "boolean" } },
  positionals: [1, 1],
  async run(values, [path]) {
    const bytes = await readInput(path!);
    if (isBundle(bytes))
      throw new CodecError("NOT_A_PACKET", `${path} is a table bundle: latentwire tables show ${path}`);
    const codec = await create();
    const info = naming(path!, () => codec.inspect(new Uint8Array(bytes)));
    if (flag(values, "json")) await printJson(info);
    else await print(...lines(info));
    return info.checksum === "invalid" ? EXIT.data : EXIT.ok;
  },
};

function lines(info: PacketInfo): string[] {
  const { elements, lanes, escapes, fingerprint, checksum } = info;
  const perElement = elements === 0 ? "-" : ((8 * info.totalBytes) / elements).toFixed(4);
  const stream = info.stream === "compressai" ? "compressai" : `native, ${lanes} ${lanes === 1 ? "lane" : "lanes"}`;
  return [
    `version      ${info.version}`,
    `stream       ${stream}`,
    `parts        ${info.parts}`,
    ...(info.dims
      ? [`shape        [${info.dims.join(", ")}], ${elements} elements`]
      : [
          `symbols      ${elements}, all parts together`,
          `factorized   ${info.shapes.map((shape) => `[${shape.join(", ")}]`).join(", ") || "no parts"}`,
        ]),
    `corrections  ${info.corrections}`,
    `row checks   ${info.indexChecks ? "yes" : "no"}`,
    `escapes      ${escapes ? "yes" : "no"}`,
    `prior        ${fingerprint ?? "not said"}`,
    `checksum     ${checksum}`,
    `bytes        ${info.totalBytes}: header ${info.headerBytes}, stream ${info.streamBytes}${checksum === "absent" ? "" : ", checksum 4"}`,
    `bits         ${perElement} per element`,
  ];
}
