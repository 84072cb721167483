// What a trial found, and how it is written.
import type { TensorLike } from "latentwire";

/** Packets of all images, one way and back. */
export interface Ways {
  there: number;
  back: number;
  bytes: number;
  failures: string[];
}

export interface Row {
  readonly name: string;
  readonly sizes: string;
  readonly family: string;
  readonly images: number;
  readonly leftOut: readonly string[];
  symbols?: number;
  guard?: number;
  unguarded?: Ways;
  guarded?: Ways;
  /** Images whose strings are CompressAI's byte for byte, and read to the same latent. */
  strings?: number;
  /** Images whose strings onnxruntime's rows read. */
  stringsUnguarded?: number;
}

/**
 * Of a decoded latent: `right`, the error's code, or `wrong` without an error. Means of two machines differ in their last digits; one symbol
 * makes a difference of a step.
 */
export function outcome(sent: TensorLike, found: TensorLike | Error): string {
  if (found instanceof Error) return (found as Error & { code?: string }).code ?? found.name;
  const [a, b] = [sent.data, found.data] as Float32Array[];
  if (a.length !== b.length) return "wrong";
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most < 0.1 ? "right" : "wrong";
}

const of = (count: number | undefined, all: number): string => (count === all ? "all" : `${count} of ${all}`);

/** A line of the table in docs/families.md for each class. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const { images, unguarded, guarded, guard } = row;
    const more = guarded && unguarded ? 100 * (guarded.bytes / unguarded.bytes - 1) : 0;
    const cells = [
      row.name,
      row.sizes,
      row.family,
      `${of(unguarded?.there, images)}, ${of(unguarded?.back, images)}`,
      guard === undefined ? "none needed" : guard.toExponential().replace("e-", "e-"),
      `${of(guarded?.there, images)}, ${of(guarded?.back, images)}`,
      guard === undefined ? "" : `+${more.toFixed(2)} %`,
      of(row.stringsUnguarded, images),
      of(row.strings, images),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  const head = [
    "class",
    "sizes",
    "family",
    "no guard: there, back",
    "guard",
    "with it: there, back",
    "bytes",
    "strings, onnxruntime's rows",
    "strings, torch's rows",
  ];
  return [`| ${head.join(" | ")} |`, `|${"---|".repeat(head.length)}`, ...lines].join("\n");
}
