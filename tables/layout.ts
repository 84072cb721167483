/** Arrays of files: how their dimensions are understood, the same in every command, and errors that name them. */
import { CodecError, type ElementData, type ElementType } from "latentwire";

/** A latent whose elements are read when they are needed: a file may be larger than memory. */
export interface ReadLatent<D extends ElementData = ElementData> {
  readonly type: ElementType;
  readonly dims: number[];
  /** Elements [from, to), as an array of the type (of float16 the bits). Throws what reading a file throws. */
  read(from: number, to: number): D;
}

/** Number of elements of a shape. */
export const elementsOf = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

/** A latent in memory. */
export const inMemory = <D extends ElementData>(type: ElementType, dims: number[], data: D): ReadLatent<D> => ({
  type,
  dims,
  read: (from, to) => data.subarray(from, to) as D,
});

/** What is said of the arrays that a table is for, by options or by its bundle. */
export interface Layout {
  /** The dimension of the channels. */
  readonly axis?: number | undefined;
  readonly shape?: readonly (number | null)[] | undefined;
  /** Rows of the table. */
  readonly channels?: number | undefined;
}

/**
 * How every command understands dimensions. An array is taken as it is where its axis is said, or where the bundle's
 * shape has as many dimensions. Otherwise three dimensions are [C, H, W], a batch of one. The channels are dimension 1 unless
 * said otherwise, and dimension 0 of one dimension.
 *
 * @throws CodecError `SHAPE_MISMATCH` where the channels are not those of the table
 */
export function arrange(dims: readonly number[], layout: Layout, name: string): { dims: number[]; axis: number } {
  const isWhole = layout.axis !== undefined || layout.shape?.length === dims.length || dims.length !== 3;
  const arranged = isWhole ? [...dims] : [1, ...dims];
  const axis = layout.axis ?? (dims.length === 1 ? 0 : 1);
  const found = arranged[axis];
  const mismatch = (message: string): never => {
    throw new CodecError("SHAPE_MISMATCH", `${name}: ${message}`);
  };
  if (found === undefined) return mismatch(`the shape [${dims}] has no dimension ${axis}`);
  const { channels = found } = layout;
  if (found !== channels)
    mismatch(
      `the shape [${dims}] has ${found} channels, ${channels} are expected` +
        (isWhole ? "" : "; three dimensions are read as [C, H, W], for others say --axis"),
    );
  return { dims: arranged, axis };
}

/** Runs work on one of several inputs. A CodecError names it. */
export function naming<T>(name: string, work: () => T): T {
  const label = name === "-" ? "standard input" : name;
  try {
    return work();
  } catch (error) {
    if (!(error instanceof CodecError) || error.message.startsWith(label)) throw error;
    throw new CodecError(error.code, `${label}: ${error.message}`, { cause: error });
  }
}
