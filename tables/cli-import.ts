/** latentwire tables import */
import { basename } from "node:path";
import { create } from "latentwire";
import { readBundle, writeBundle } from "latentwire/bundle";
import { openCheckpoint } from "./checkpoint.js";
import { type Command, EXIT, flag, text, texts } from "./cli-arguments.js";
import { checkOutput, print, printReport, remark, withInput, writeOutput } from "./cli-files.js";
import { entryLines } from "./cli-show.js";
import { importModels } from "./entropy-models.js";
import { naming } from "./layout.js";

export const importCommand: Command = {
  name: "tables import",
  summary: "take the tables out of a trained model's checkpoint",
  synopsis: "CHECKPOINT [-o BUNDLE] [--only NAME]",
  help: `  CHECKPOINT        .pth, .pth.tar, .pt of torch.save; .safetensors; .npz; - for standard input. Nothing in it is executed.
  -o, --output FILE the bundle; default: the checkpoint's name with .lwb, here; of standard input: standard output
  --only NAME       only this entropy model; may be repeated
  --json            for machines

Finds CompressAI's EntropyBottleneck and GaussianConditional, by all the names they have had, wherever they are in the file.
A model that was saved before update() has no tables. Then they are computed from its parameters, and the output says so.

  latentwire tables import checkpoint_best.pth.tar -o model.lwb`,
  options: {
    output: { type: "string", short: "o" },
    only: { type: "string", multiple: true },
    json: { type: "boolean" },
  },
  positionals: [1, 1],
  async run(values, [path]) {
    const checkpointName = basename(path!).replace(/(\.(pth|pt|tar|ckpt|bin|safetensors|npz))+$/i, "");
    const output = checkOutput(
      text(values, "output") ?? (path === "-" ? undefined : `${checkpointName}.lwb`),
      "a bundle",
    );
    return withInput(path!, async (source) => {
      const codec = await create();
      const [checkpoint, { models, failed }] = naming(path!, () => {
        const opened = openCheckpoint(source);
        return [opened, importModels(codec, opened, texts(values, "only"))] as const;
      });
      const meta = { made: "latentwire tables import", from: path === "-" ? "standard input" : basename(path!) };
      const bytes = writeBundle(
        models.map(({ input, notes }) => ({ ...input, ...(notes.length > 0 && { meta: { notes } }) })),
        meta,
      );
      await writeOutput(output, bytes);
      const { entries } = readBundle(bytes);
      const report = {
        output,
        bytes: bytes.length,
        format: checkpoint.format,
        entries: entries.map((entry, i) => ({
          ...entry,
          path: models[i]!.path,
          from: models[i]!.from,
          notes: models[i]!.notes,
        })),
      };
      if (flag(values, "json")) await printReport(output, report);
      else {
        if (output !== "-") await print(...entryLines(entries), `${bytes.length} bytes in ${output}`);
        for (const { input, notes } of models) for (const note of notes) remark(`${input.name}: ${note}`);
      }
      if (checkpoint.skipped.length > 0) remark(`not read: ${checkpoint.skipped.join(", ")}`);
      for (const { error } of failed) remark(`left out: ${error.code} ${error.message}`);
      return failed.length > 0 ? EXIT.data : EXIT.ok;
    });
  },
};
