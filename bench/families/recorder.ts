import type { Prior, Table, TensorLike } from "latentwire";
import type { FullCodec, PartWriter, SequenceOptions, SequenceWriter, TensorView } from "latentwire/full";

/** What a prior was made of. */
export type Source =
  | { readonly kind: "factorized"; readonly table: Table }
  | { readonly kind: "gaussian"; readonly arguments: Parameters<FullCodec["gaussian"]> }
  | { readonly kind: "indexed"; readonly arguments: Parameters<FullCodec["indexed"]> }
  | { readonly kind: "mixture"; readonly arguments: Parameters<FullCodec["mixture"]> };

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
      readonly out: TensorView | undefined;
      readonly source: Source;
      /** The prior, made again: that is the codec's work, too. */
      readonly prior: () => Prior;
    }
  | { readonly kind: "pieces"; readonly options: SequenceOptions | undefined; readonly pieces: Piece[] };

/** The codec, and what is written with it from now on. */
export function recording(codec: FullCodec): { codec: FullCodec; steps: Step[] } {
  const steps: Step[] = [];
  const made = new WeakMap<Prior, { source: Source; prior: () => Prior }>();
  const noted = (prior: Prior, source: Source, again: () => Prior): Prior => {
    made.set(prior, { source, prior: again });
    return prior;
  };
  const makers = {
    gaussian: (...a: Parameters<FullCodec["gaussian"]>) =>
      noted(codec.gaussian(...a), { kind: "gaussian", arguments: a }, () => codec.gaussian(...a)),
    indexed: (...a: Parameters<FullCodec["indexed"]>) =>
      noted(codec.indexed(...a), { kind: "indexed", arguments: a }, () => codec.indexed(...a)),
    mixture: (...a: Parameters<FullCodec["mixture"]>) =>
      noted(codec.mixture(...a), { kind: "mixture", arguments: a }, () => codec.mixture(...a)),
    writer: (...a: Parameters<FullCodec["writer"]>) => recordingWriter(codec.writer(...a)),
  };

  const recordingWriter = (writer: PartWriter): PartWriter => {
    const write = (latent: TensorLike | TensorView, prior: Prior, options: { out?: TensorView } = {}) => {
      const source: Source = { kind: "factorized", table: prior.table };
      const { out } = options;
      steps.push({ kind: "part", latent, out, ...(made.get(prior) ?? { source, prior: () => prior }) });
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
      // The arrays are used again for the next pixel.
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
