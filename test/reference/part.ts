// A part of a packet: its prior, the fingerprint of that, and which rows code its symbols; docs/format.md sections 8 to 10.
import { corrupted, fail, Writer } from "./bytes.js";
import { contextTurns, planesOf } from "./context.js";
import { type ContextParameters, contextHash } from "./context-parameters.js";
import { xxh32, xxh64 } from "./hash.js";
import { type Mixture, mixtureKinds, mixtureRow, quantizeMixture } from "./mixture.js";
import { compressaiScales, correctedRow, rowsOfAxis, rowsOfScales } from "./rows.js";
import { type Coding, type Entry, entryOf } from "./symbol.js";
import { type ReferenceTable, tableToBytes } from "./table.js";

/** In the order of their numbers. */
const centres = ["none", "medians", "means"] as const;
export type Centre = (typeof centres)[number];

interface TablePrior {
  readonly table: ReferenceTable;
  /** Default: 1. */
  readonly step?: number;
  /** What is subtracted. Default: the medians where rows belong to channels and the table has them, otherwise nothing. */
  readonly centre?: Centre;
}

/** A context over given rows, and the dimension of its channels; 0 without a context. */
interface Given {
  readonly context?: ContextParameters;
  readonly axis?: number;
  /** The shape of the scales or rows: that of the part, except for dimensions of 1. Needed under a context. */
  readonly shape?: readonly number[];
}

export type PartPrior =
  | (TablePrior & { readonly kind: "channels"; readonly axis: number; readonly context?: ContextParameters })
  | (TablePrior & Given & { readonly kind: "rows"; readonly index: ArrayLike<number> })
  | (TablePrior & Given & { readonly kind: "scales"; readonly scales: Float32Array; readonly scaleTable: Float32Array })
  | {
      readonly kind: "mixture";
      readonly mixture: Mixture;
      /** The format knows one, CompressAI's. */
      readonly scaleTable?: Float32Array;
    };

const kinds: readonly PartPrior["kind"][] = ["channels", "rows", "scales", "mixture"];
const P1 = 0x9e3779b1;
const P2 = 0x85ebca77;
/** Section 6. */
const mostStep = 2 ** 94;

export function productOf(dims: readonly number[]): number {
  return dims.reduce((a, b) => a * b, 1);
}

/** The 32 bits of a float32, as a u32. */
function bitsOf(value: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  return view.getUint32(0);
}

/** T: the low 32 bits of the table's fingerprint. */
function tableHash(prior: PartPrior): number {
  if (prior.kind === "mixture") return 0;
  const bytes = tableToBytes(prior.table);
  return Number(xxh64(bytes.subarray(0, bytes.length - 8)) & 0xffffffffn);
}

/** X: what makes rows of parameters. */
function rowsHash(prior: PartPrior): number {
  if (prior.kind !== "mixture") {
    const out = new Writer();
    if (prior.kind === "scales") out.float32(prior.scaleTable);
    const scales = prior.kind === "scales" ? xxh32(out.done()) : 0;
    return scales ^ (prior.context ? contextHash(prior.context) : 0);
  }
  const { kind, components, support } = prior.mixture;
  const [low, high] = support;
  const ends = (low & 0xffff) + 65536 * (high & 0xffff);
  return ends ^ Math.imul(mixtureKinds.indexOf(kind) + 4 * components, P2);
}

function centreOf(prior: PartPrior): Centre {
  if (prior.kind === "mixture") return "none";
  return prior.centre ?? (prior.kind === "channels" && prior.table.medians ? "medians" : "none");
}

/** f of section 8.1. */
export function partFingerprint(prior: PartPrior): number {
  const axis = prior.kind === "mixture" ? 0 : (prior.axis ?? 0);
  const step = prior.kind === "mixture" ? 1 : (prior.step ?? 1);
  if (!(step > 0 && step <= mostStep)) throw new RangeError(`a step of ${step}`);
  const a = kinds.indexOf(prior.kind) + 4 * centres.indexOf(centreOf(prior)) + 16 * axis;
  return (tableHash(prior) ^ rowsHash(prior) ^ Math.imul(bitsOf(step) ^ Math.imul(a, P2), P1)) >>> 0;
}

/** (h * P1) ^ value, for one value after the other. */
function chain(values: readonly number[]): number {
  return values.reduce((h, value) => Math.imul(h, P1) ^ value, 0) >>> 0;
}

export function packetFingerprint(priors: readonly PartPrior[]): number {
  return chain(priors.map(partFingerprint));
}

/** Seed of a compact packet's check, section 2.4. `counted`: the packet holds the number of symbols. */
export function compactSeed(
  parts: readonly { prior: PartPrior; dims: readonly number[] }[],
  counted = parts.length !== 1,
): number {
  return chain(
    parts.flatMap(({ prior, dims }) => [
      partFingerprint(prior),
      ...(!counted || prior.kind === "channels" ? [dims.length, ...dims] : [productOf(dims)]),
    ]),
  );
}

/** How many symbols the prior says there are. Undefined where rows belong to channels. */
export function countOf(prior: PartPrior): number | undefined {
  if (prior.kind === "rows") return prior.index.length;
  if (prior.kind === "scales") return prior.scales.length;
  return prior.kind === "mixture" ? prior.mixture.means.length / prior.mixture.components : undefined;
}

/** Parameters of a part of n symbols: what section 8.3 counts. */
export function parametersOf(prior: PartPrior, n: number): number {
  return prior.kind === "mixture" ? 3 * prior.mixture.components * n : n;
}

/** One part, ready to be coded. */
export interface PartCoding extends Coding {
  /** What section 8.4 hashes. */
  readonly checked: ArrayLike<number>;
}

/** `corrections`: positions of parameters within the part. `isStatic`: a context is not used. */
export function partCoding(
  prior: PartPrior,
  dims: readonly number[],
  corrections: readonly number[],
  isStatic: boolean,
): PartCoding {
  const n = countOf(prior) ?? productOf(dims);
  if (n !== productOf(dims)) fail("SHAPE_MISMATCH", `the shape [${dims}], but ${n} symbols`);
  if (corrections.length > 0 && (prior.kind === "channels" || prior.kind === "rows"))
    corrupted("a correction of a part without scales");
  if (prior.kind === "mixture") {
    const { mixture, scaleTable = compressaiScales } = prior;
    const symbols = quantizeMixture(mixture, scaleTable, corrections);
    return {
      rows: symbols.map((own) => mixtureRow(own, mixture, scaleTable)),
      index: symbols.map((_, i) => i),
      run: 1,
      checked: symbols.flat().flatMap(({ weight, mean, scale }) => [weight, mean + 2 ** 21, scale]),
    };
  }
  const { rows } = prior.table;
  if (prior.kind === "channels") {
    if (dims[prior.axis] !== rows.length)
      fail("SHAPE_MISMATCH", `${rows.length} rows along axis ${prior.axis} of [${dims}]`);
    const { index, run } = rowsOfAxis(dims, prior.axis);
    return underContext(prior, dims, { rows, index, run, checked: index }, isStatic);
  }
  if (prior.kind === "rows")
    return underContext(prior, dims, { rows, index: prior.index, run: 1, checked: prior.index }, isStatic);
  const { scales, scaleTable } = prior;
  if (corrections.length > 0 && scaleTable.length === 1) corrupted("a correction under a table of one row");
  const index = rowsOfScales(scales, scaleTable);
  for (const at of corrections) index[at] = correctedRow(scales[at], index[at], scaleTable);
  return underContext(prior, dims, { rows, index, run: 1, checked: index }, isStatic);
}

const squeezed = (dims: readonly number[]) => dims.filter((d) => d !== 1);

/** The same part under the context of its prior, where it has one and uses it. */
function underContext(
  prior: Exclude<PartPrior, { kind: "mixture" }>,
  dims: readonly number[],
  coding: PartCoding,
  isStatic: boolean,
): PartCoding {
  const { kind, context, axis = 0 } = prior;
  if (!context) return coding;
  const { rows, index } = coding;
  if (kind !== "channels" && prior.shape && `${squeezed(prior.shape)}` !== `${squeezed(dims)}`)
    fail("SHAPE_MISMATCH", `scales [${prior.shape}], a part [${dims}]`);
  if ((context.given === undefined) !== (kind === "channels"))
    fail("WRONG_PRIOR", "a context for priors of another kind");
  if (context.given && context.given.length !== rows.length)
    fail("SHAPE_MISMATCH", `a context over ${context.given.length} rows, a table of ${rows.length}`);
  if (context.channels !== dims[axis])
    fail("SHAPE_MISMATCH", `a context of ${context.channels} channels, ${dims[axis]} in the shape`);
  if (isStatic) return coding;
  const planes = planesOf(dims, axis) ?? corrupted("planes of more than 2^22 positions under a context");
  return { ...coding, turns: (symbols) => contextTurns(context, planes, rows, index, symbols) };
}

/** Bits of the symbols under a context prior: with its context, and with static rows. Escapes take the bytes of their numbers, too. */
export function contextBits(
  prior: PartPrior,
  dims: readonly number[],
  symbols: ArrayLike<number>,
): { context: number; rows: number; escapes: number } {
  const [coding, rows] = [false, true].map((isStatic) => partCoding(prior, dims, [], isStatic));
  const bitsOf = ({ freq, raw }: Entry) => {
    const escape = new Writer();
    if (raw !== undefined) escape.varint(raw);
    return 16 - Math.log2(freq) + 8 * escape.bytes.length;
  };
  const sum = (entries: readonly Entry[]) => entries.reduce((bits, entry) => bits + bitsOf(entry), 0);
  const own = [...(coding.turns?.(symbols) ?? [])].map(({ at, row }) => entryOf(row, symbols[at]));
  return {
    context: sum(own),
    rows: sum(Array.from(symbols, (symbol, i) => entryOf(rows.rows[rows.index[i]], symbol))),
    escapes: own.filter(({ raw }) => raw !== undefined).length,
  };
}
