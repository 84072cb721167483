import type { Codec, PartReader } from "latentwire";
import type { Step } from "./recorder.js";

/** The codec's share of a recipe's encoder: no network runs. */
export function encodeSteps(codec: Codec, steps: readonly Step[]): Uint8Array {
  const writer = codec.writer();
  for (const step of steps) {
    if (step.kind === "part") {
      const { latent, out, dequantize } = step;
      writer.write(latent, step.prior(), dequantize ? (out ? { out } : { dequantize }) : {});
    } else {
      const sequence = writer.sequence(step.options);
      const out = new Float32Array(step.pieces[0].values.length);
      for (const { values, scales, means } of step.pieces) sequence.next(values, scales, means, out);
    }
  }
  return writer.finish();
}

/** The codec's share of the decoder. */
export function decodeSteps(codec: Codec, packet: Uint8Array, steps: readonly Step[]): void {
  const reader = codec.reader(packet);
  for (const step of steps) {
    if (step.kind === "part") {
      if (step.out) reader.read(step.prior(), { out: step.out });
      else reader.read(step.prior());
    } else {
      const sequence = reader.sequence(step.options);
      const out = new Float32Array(step.pieces[0].values.length);
      for (const { scales, means } of step.pieces) sequence.next(scales, means, out);
    }
  }
  reader.finish();
}

/** The symbols of every part, as the reader finds them. */
export function symbolsOf(codec: Codec, packet: Uint8Array, steps: readonly Step[]): Int32Array[] {
  const reader = codec.reader(packet);
  const symbols = steps.map((step) =>
    step.kind === "part" ? reader.read(step.prior(), { type: "int32" }).data : pulled(reader, step),
  );
  reader.finish();
  return symbols;
}

function pulled(reader: PartReader, step: Step & { kind: "pieces" }): Int32Array {
  const sequence = reader.sequence(step.options);
  return Int32Array.from(
    step.pieces.flatMap(({ values, scales, means }) => {
      const out = new Float32Array(values.length);
      sequence.next(scales, means, out);
      // The sum of a symbol and a mean is rounded, so the difference is only near the symbol.
      return Array.from(out, (value, i) => Math.round(value - (means?.[i] ?? 0)));
    }),
  );
}
