// Packets of several parts; docs/format.md section 8.
import { indexCheck } from "./corrections.js";
import { corrupted, FormatError } from "./errors.js";
import { parseParts, writeParts } from "./part-header.js";
import { chainFingerprints, countOf, type PartCoding, type PartPrior, parametersOf, partCoding } from "./prior.js";
import { decodeNative, encodeNative, type LaneCount } from "./stream.js";
import type { Coding } from "./symbol.js";
import type { Row } from "./table.js";

export interface ReferencePart {
  readonly prior: PartPrior;
  readonly dims: readonly number[];
  readonly symbols: ArrayLike<number>;
  /** Positions, within the part, of the parameters that are corrected. */
  readonly corrections?: readonly number[];
}

export interface PartsOptions {
  readonly lanes: LaneCount;
  readonly checksum: boolean;
  readonly fingerprint: boolean;
  readonly indexChecks: boolean;
}

const productOf = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);

/** All parts as one sequence of symbols. */
function join(codings: readonly PartCoding[]): Coding {
  const rows: Row[] = [];
  const index: number[] = [];
  for (const coding of codings) {
    const first = rows.length;
    for (const row of coding.rows) rows.push(row);
    for (let i = 0; i < coding.index.length; i++) index.push(first + coding.index[i]);
  }
  return { rows, index, run: index.length };
}

/** Where each symbol stands in its part, or in its run where that is long enough for all lanes. */
function placesOf(codings: readonly PartCoding[], lanes: number): number[] {
  return codings.flatMap(({ index, run }) =>
    Array.from(index, (_, i) => (run !== undefined && run >= lanes ? i % run : i)),
  );
}

export function encodeParts(parts: readonly ReferencePart[], options: PartsOptions): Uint8Array {
  const codings = parts.map(({ prior, dims, corrections = [] }) => partCoding(prior, dims, corrections));
  const symbols = parts.flatMap((part) => Array.from(part.symbols));
  const places = placesOf(codings, options.lanes);
  const { form, stream } = encodeNative(symbols, join(codings), options.lanes, "continuous", (i) => places[i]);
  let start = 0;
  const corrections = parts.flatMap((part) => {
    const own = (part.corrections ?? []).map((at) => start + at);
    start += parametersOf(part.prior, part.symbols.length);
    return own;
  });
  const header = {
    form,
    n: symbols.length,
    shapes: parts.filter(({ prior }) => prior.kind === "factorized").map(({ dims }) => dims),
    corrections,
    checks: options.indexChecks ? codings.map(({ checked }) => indexCheck(checked)) : [],
    fingerprint: options.fingerprint ? chainFingerprints(parts.map(({ prior }) => prior)) : undefined,
    checksum: options.checksum,
  };
  return writeParts(header, stream);
}

/** The symbols of every part. A reader that networks feed knows each prior only behind the part before; the outcome is the same. */
export function decodeParts(bytes: Uint8Array, priors: readonly PartPrior[]): Int32Array[] {
  const { form, n, shapes, corrections, checks, fingerprint, stream } = parseParts(bytes);
  const factorized = priors.filter(({ kind }) => kind === "factorized").length;
  if (shapes.length !== factorized)
    throw new FormatError("SHAPE_MISMATCH", `${shapes.length} shapes, not ${factorized}`);
  if (checks.length > 0 && checks.length !== priors.length)
    throw new FormatError("SHAPE_MISMATCH", `${checks.length} parts, not ${priors.length}`);
  const left = [...shapes];
  let start = 0;
  let parameters = 0;
  const codings = priors.map((prior, part) => {
    const dims = prior.kind === "factorized" ? left.shift()! : [];
    const end = start + (countOf(prior) ?? productOf(dims));
    if (end > n) throw new FormatError("SHAPE_MISMATCH", `part ${part} ends behind the last of ${n} symbols`);
    const next = parameters + parametersOf(prior, end - start);
    const own = corrections.filter((at) => at >= parameters && at < next).map((at) => at - parameters);
    parameters = next;
    const coding = partCoding(prior, dims, own);
    if (checks.length > 0 && indexCheck(coding.checked) !== checks[part])
      throw new FormatError("MODEL_MISMATCH", `part ${part}`);
    start = end;
    return coding;
  });
  if (start !== n) throw new FormatError("SHAPE_MISMATCH", `${start} symbols, not ${n}`);
  if (corrections.some((at) => at >= parameters)) corrupted("a correction behind the last parameter");
  const places = placesOf(codings, form.lanes);
  const symbols = decodeNative(stream, form, n, join(codings), (i) => places[i]);
  if (fingerprint !== undefined && fingerprint !== chainFingerprints(priors))
    throw new FormatError("WRONG_TABLES", "fingerprint");
  let at = 0;
  return codings.map(({ index }) => {
    at += index.length;
    return symbols.slice(at - index.length, at);
  });
}
