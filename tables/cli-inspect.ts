/** latentwire inspect */
import { CodecError, inspect } from "latentwire";
import { type Command, EXIT, flag } from "./cli-arguments.js";
import { print, printJson, readInput } from "./cli-files.js";

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
    if (bytes[0] === 0x4c && bytes[1] === 0x57 && bytes[2] === 0x42)
      throw new CodecError("NOT_A_PACKET", `${path} is a table bundle: latentwire tables show ${path}`);
    const info = inspect(bytes);
    const { dims, elements, lanes, layout, escapes, fingerprint, checksum } = info;
    if (flag(values, "json")) await printJson(info);
    else
      await print(
        `version      ${info.version}`,
        `stream       ${info.stream}${info.stream === "native" ? `, ${lanes} ${lanes === 1 ? "lane" : `lanes, ${layout}`}` : ""}`,
        `shape        [${dims.join(", ")}], ${elements} elements`,
        `escapes      ${escapes ? "yes" : "no"}`,
        `table        ${fingerprint === undefined ? "not said" : `..${fingerprint}`}`,
        `checksum     ${checksum}`,
        `bytes        ${info.totalBytes}: header ${info.headerBytes}, stream ${info.streamBytes}` +
          (checksum === "absent" ? "" : ", checksum 4"),
        `bits         ${elements === 0 ? "-" : ((8 * info.totalBytes) / elements).toFixed(4)} per element`,
      );
    return checksum === "invalid" ? EXIT.data : EXIT.ok;
  },
};
