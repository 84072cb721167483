/** The codec of `latentwire/full`: priors of parts, and what opens writers and readers. */
import { CodecImplementation } from "./codec.js";
import type { FullCore } from "./core-full.js";
import type { LoadedScales } from "./core-tables.js";
import { CodecError } from "./errors.js";
import { MIXTURE_KINDS } from "./full-kernels.js";
import type {
  FullCodec,
  FullGaussianOptions,
  FullIndexedOptions,
  MixtureOptions,
  MixtureParameters,
  PartReader,
  PartWriter,
  Rate,
  RateOptions,
  ReaderOptions,
  SequenceOptions,
  TensorView,
  WriterOptions,
} from "./full-types.js";
import { MIXTURE_FINGERPRINT } from "./packet-parts.js";
import { type PartPrior, type Priors, shapesAgree } from "./part.js";
import type { PriorData } from "./prior.js";
import { rateOf } from "./rate.js";
import { Reader } from "./reader.js";
import { stockScales } from "./scales.js";
import { checkDims } from "./tensor.js";
import type { FactorizedOptions, Prior, Table, TableSource, TensorLike } from "./types.js";
import { floatSpan, type Span } from "./view.js";
import { Writer } from "./writer.js";

const NO_SCALES = new Float32Array(0);

export class FullCodecImplementation extends CodecImplementation implements Priors {
  readonly #core: FullCore;
  readonly #parts = new WeakMap<object, PartPrior>();

  constructor(core: FullCore) {
    super(core);
    this.#core = core;
  }

  // ---- priors

  #remember(prior: Prior, part: Partial<PartPrior>): Prior {
    this.#parts.set(prior, {
      base: prior as PriorData,
      mixture: undefined,
      sigmas: undefined,
      means: undefined,
      dims: undefined,
      fingerprint: (prior as PriorData).loaded.shortFingerprint,
      scaleTable: undefined,
      ...part,
    });
    return prior;
  }

  partPrior(prior: Prior): PartPrior {
    const part = this.#parts.get(prior);
    if (!part)
      throw new TypeError("prior must come from factorized(), gaussian(), indexed() or mixture() of this codec");
    return part;
  }

  sequencePrior({ table, scaleTable, step }: SequenceOptions): PartPrior {
    return this.partPrior(this.gaussian(NO_SCALES, { table, scaleTable, step }));
  }

  override factorized(table: TableSource, options: FactorizedOptions = {}): Prior {
    return this.#remember(super.factorized(table, options), {});
  }

  override gaussian(
    scales: Float32Array | TensorLike | TensorView,
    { means, ...options }: FullGaussianOptions = {},
  ): Prior {
    const sigmas = floatSpan(scales, "scales");
    const centre = means === undefined ? undefined : floatSpan(means, "means");
    checkParameters("means", centre, sigmas);
    const plain = super.gaussian(sigmas.data as Float32Array, { ...options, means: centre?.data as Float32Array });
    return this.#remember(withoutViews(plain, sigmas, centre), {
      sigmas,
      means: centre,
      dims: sigmas.dims,
      scaleTable: options.scaleTable ?? stockScales,
    });
  }

  override indexed(table: TableSource, rows: ArrayLike<number>, { means, ...options }: FullIndexedOptions = {}): Prior {
    const centre = means === undefined ? undefined : floatSpan(means, "means");
    const plain = super.indexed(table, rows, { ...options, means: centre?.data as Float32Array });
    const dims = centre && centre.n === rows.length ? centre.dims : [rows.length];
    return this.#remember(withoutViews(plain, centre), { means: centre, dims });
  }

  mixture({ weights, means, scales }: MixtureParameters, options: MixtureOptions = {}): Prior {
    const { components = 1, kind = "gaussian", support = [-128, 127] } = options;
    if (!(Number.isInteger(components) && components >= 1 && components <= 16))
      throw new RangeError(`components must be 1 .. 16, not ${components}`);
    const shape = MIXTURE_KINDS.indexOf(kind);
    if (shape < 0) throw new TypeError(`kind must be one of ${MIXTURE_KINDS.join(", ")}, not ${JSON.stringify(kind)}`);
    const [low, high] = support;
    if (!(Number.isInteger(low) && Number.isInteger(high) && low >= -32768 && low <= high && high <= 32767))
      throw new RangeError(`support must be two ascending int16 numbers, not [${support}]`);
    if (high - low > 4095) throw new RangeError(`support [${support}] has more than 4096 values`);
    const sigmas = floatSpan(scales, "scales");
    const centre = floatSpan(means, "means");
    const mixing = weights === undefined ? undefined : floatSpan(weights, "weights");
    if (sigmas.n % components !== 0)
      throw new CodecError("SHAPE_MISMATCH", `${sigmas.n} scales are no multiple of ${components} components`);
    for (const [name, span] of [
      ["means", centre],
      ["weights", mixing],
    ] as const) {
      if (span && span.n !== sigmas.n)
        throw new CodecError("SHAPE_MISMATCH", `${span.n} ${name}, but ${sigmas.n} scales`);
      checkParameters(name, span, sigmas);
    }
    const dims = options.dims ? [...options.dims] : mixtureDims(sigmas.dims, components, sigmas.n);
    checkDims(dims);
    // Loads the stock table and scales, which say what a scale is rounded to.
    const stock = super.gaussian(NO_SCALES) as PriorData;
    const loaded = (stock.rows as { scales: LoadedScales }).scales;
    const prior = Object.freeze({ kind: "mixture" as const, table: stock.table, step: 1 }) as unknown as Prior;
    this.#parts.set(prior, {
      base: undefined,
      mixture: {
        kind: "mixture",
        sigmas,
        means: centre,
        weights: mixing,
        components,
        shape,
        low,
        size: high - low + 1,
        scales: loaded,
      },
      sigmas: undefined,
      means: undefined,
      dims,
      fingerprint: (MIXTURE_FINGERPRINT + shape) >>> 0,
      scaleTable: stockScales,
    });
    return prior;
  }

  // ---- tables

  laplaceTable(scales: Float32Array = stockScales): Table {
    return this.#tailedTable(scales, false);
  }

  logisticTable(scales: Float32Array = stockScales): Table {
    return this.#tailedTable(scales, true);
  }

  #tailedTable(scales: Float32Array, logistic: boolean): Table {
    return this.tableOfScales(scales, 1500, (scale) => this.#core.tailedRow(scale, logistic));
  }

  // ---- parts

  writer(options: WriterOptions = {}): PartWriter {
    return new Writer(this.#core, this, options);
  }

  reader(packet: Uint8Array | readonly Uint8Array[], options: ReaderOptions = {}): PartReader {
    return new Reader(this.#core, this, packet, options);
  }

  rate(latent: TensorLike | TensorView, prior: Prior, options: RateOptions = {}): Rate {
    return rateOf(this.#core, this.partPrior(prior), latent, options);
  }
}

/** Parameters of one prior are of one shape, as checkShape compares it. */
function checkParameters(name: string, found: Span | undefined, { dims }: Span): void {
  if (found && !shapesAgree(found.dims, dims))
    throw new CodecError("SHAPE_MISMATCH", `the ${name} have the shape [${found.dims}], the scales [${dims}]`);
}

/** `encode` knows no views: a prior made of one is another object, which it refuses instead of reading the elements in the wrong order. */
function withoutViews(prior: Prior, ...spans: (Span | undefined)[]): Prior {
  return spans.some((span) => span?.strides !== undefined) ? Object.freeze({ ...prior }) : prior;
}

/** [K, C, H, W] and [1, K * C, H, W] are the shapes of parameters of [C, H, W] and [1, C, H, W] symbols. */
function mixtureDims(dims: number[], components: number, n: number): number[] {
  if (components === 1) return dims;
  if (dims.length > 1 && dims[0] === components) return dims.slice(1);
  if (dims.length > 2 && dims[0] === 1 && dims[1] % components === 0)
    return [1, dims[1] / components, ...dims.slice(2)];
  return [n / components];
}

export const asFullCodec = (codec: FullCodecImplementation): FullCodec => codec as unknown as FullCodec;
