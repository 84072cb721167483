/** What a family's recipe does with the codec, written down, and done again without the networks. */
import type {
  Codec,
  PartWriter,
  Prior,
  SequenceOptions,
  SequenceWriter,
  Table,
  TensorLike,
  TensorView,
  WriteOptions,
} from "latentwire";

/** What a prior was made of. */
export type Source =
  | { readonly kind: "factorized"; readonly table: Table }
  | { readonly kind: "gaussian"; readonly arguments: Parameters<Codec["gaussian"]> }
  | { readonly kind: "indexed"; readonly arguments: Parameters<Codec["indexed"]> }
  | { readonly kind: "mixture"; readonly arguments: Parameters<Codec["mixture"]> };

/** One pixel, or whatever a sequence is given at a time. */
export interface Piece {
  readonly values: Float32Array;
  readonly scales: Float32Array;
  readonly means: Float32Array | undefined;
}

/** What a recipe did with its writer. */
export type Step =
  | {
      readonly kind: "part";
      readonly latent: TensorLike | TensorView;
      /** Where both ends put the dequantized part; undefined: into a new tensor. */
      readonly out: TensorView | undefined;
      /** Whether the encoder asks for the dequantized part. */
      readonly dequantize: boolean;
      readonly source: Source;
      /** Makes the prior again: that is the codec's work, too. */
      readonly prior: () => Prior;
    }
  | { readonly kind: "pieces"; readonly options: SequenceOptions | undefined; readonly pieces: Piece[] };

/** The codec, and what is written with it from now on. */
export function recording(codec: Codec): { codec: Codec; steps: Step[] } {
  const steps: Step[] = [];
  const made = new WeakMap<Prior, { source: Source; prior: () => Prior }>();
  const noted = (prior: Prior, source: Source, again: () => Prior): Prior => {
    made.set(prior, { source, prior: again });
    return prior;
  };
  const makers = {
    gaussian: (...a: Parameters<Codec["gaussian"]>) =>
      noted(codec.gaussian(...a), { kind: "gaussian", arguments: a }, () => codec.gaussian(...a)),
    indexed: (...a: Parameters<Codec["indexed"]>) =>
      noted(codec.indexed(...a), { kind: "indexed", arguments: a }, () => codec.indexed(...a)),
    mixture: (...a: Parameters<Codec["mixture"]>) =>
      noted(codec.mixture(...a), { kind: "mixture", arguments: a }, () => codec.mixture(...a)),
    writer: (...a: Parameters<Codec["writer"]>) => recordingWriter(codec.writer(...a)),
  };

  const recordingWriter = (writer: PartWriter): PartWriter => {
    const write = (latent: TensorLike | TensorView, prior: Prior, options: WriteOptions = {}) => {
      const source: Source = { kind: "factorized", table: prior.table };
      const out = options.out as TensorView | undefined;
      const dequantize = out !== undefined || options.dequantize === true;
      steps.push({ kind: "part", latent, out, dequantize, ...(made.get(prior) ?? { source, prior: () => prior }) });
      return writer.write(latent, prior, options as { out: TensorView });
    };
    return over(writer, {
      write,
      sequence: (options?: SequenceOptions) => {
        const pieces: Piece[] = [];
        steps.push({ kind: "pieces", options, pieces });
        return noteAll(writer.sequence(options), pieces);
      },
    });
  };
  return { codec: over(codec, makers), steps };
}

function noteAll(sequence: SequenceWriter, pieces: Piece[]): SequenceWriter {
  return over(sequence, {
    next: (...[values, scales, means, out]: Parameters<SequenceWriter["next"]>) => {
      // The recipe uses its arrays again for the next pixel.
      pieces.push({ values: values.slice(), scales: scales.slice(), means: means?.slice() });
      sequence.next(values, scales, means, out);
    },
  });
}

/** An object with some members of its own and the rest from another. */
function over<T extends object>(target: T, own: object): T {
  return new Proxy(target, {
    get: (_, key) => {
      if (Object.hasOwn(own, key)) return own[key as keyof typeof own];
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

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

/** Elements of all parts together. */
export const countOf = (steps: readonly Step[]): number =>
  steps.reduce(
    (sum, step) =>
      sum +
      (step.kind === "part"
        ? step.latent.dims.reduce((a, b) => a * b, 1)
        : step.pieces.reduce((count, { values }) => count + values.length, 0)),
    0,
  );

/** Bytes that the rows of all parts allow, values of escapes included (`codec.rate`). */
export function idealBytes(codec: Codec, steps: readonly Step[]): number {
  const bits = steps.map((step) => {
    if (step.kind === "part") return codec.rate(step.latent, step.prior()).bits;
    const joined = (pick: (piece: Piece) => Float32Array | undefined) =>
      Float32Array.from(step.pieces.flatMap((piece) => [...(pick(piece) ?? [])]));
    const data = joined(({ values }) => values);
    const means = step.pieces[0].means && joined((piece) => piece.means);
    const prior = codec.gaussian(
      joined(({ scales }) => scales),
      { ...step.options, ...(means && { means }) },
    );
    return codec.rate({ type: "float32", dims: [data.length], data }, prior).bits;
  });
  return bits.reduce((a, b) => a + b, 0) / 8;
}
