/** What threads of a pool say to each other, and which memory changes hands with it. */
import type { WireError } from "./pool-errors.js";
import type { DecodeOptions, EncodeOptions, Latent, LatentData, Prior, TensorLike } from "./types.js";

/** The first message to a worker. */
export interface Start {
  readonly module: WebAssembly.Module;
}

/** Every other message to a worker. */
export interface Work {
  /** Tables it has not seen yet, with their fingerprints. */
  readonly tables: readonly (readonly [string, Uint8Array])[];
  readonly tasks: readonly WireTask[];
}

export interface WireTask {
  readonly id: number;
  /** Undefined: the prior of the task before. */
  readonly prior: WirePrior | undefined;
  readonly encode?: { readonly latent: TensorLike; readonly options: EncodeOptions };
  readonly decode?: {
    readonly packet: Uint8Array;
    readonly options: DecodeOptions;
    readonly out: LatentData | undefined;
  };
}

export interface WirePrior {
  readonly kind: Prior["kind"];
  /** Fingerprint. */
  readonly table: string;
  readonly axis?: number | undefined;
  readonly step?: number | undefined;
  readonly scales?: Float32Array;
  readonly scaleTable?: Float32Array | undefined;
  readonly rows?: ArrayLike<number>;
  readonly means?: Float32Array | undefined;
}

/** A worker's answer to Start is `ready`, to Work a list of these. */
export interface Reply {
  readonly id: number;
  readonly result?: Uint8Array | Latent;
  readonly error?: WireError;
}

const COPIES = { Uint8Array, Uint16Array, Float32Array, Int32Array, Int16Array, Int8Array } as const;
const tag = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1);

export const isShared = (view: ArrayBufferView): boolean => tag(view.buffer) === "SharedArrayBuffer";

/** Whether nothing but `view` lies in its buffer, so that handing over one is handing over the other. */
export const spansBuffer = (view: ArrayBufferView): boolean => view.byteLength === view.buffer.byteLength;

/**
 * An array as it goes into a message. Shared memory goes as it is; the rest is copied unless it is given away. Cloning would copy twice, and
 * the whole buffer that a view is cut from.
 */
export function hand<V extends ArrayBufferView>(view: V, give: boolean, transfer: ArrayBuffer[]): V {
  if (isShared(view)) return view;
  const own =
    give && spansBuffer(view) ? view : (new COPIES[tag(view) as keyof typeof COPIES](view as never) as never as V);
  transfer.push(own.buffer as ArrayBuffer);
  return own;
}

/** As {@link hand}, for rows: any other array than these is copied by cloning. */
export function handRows(rows: ArrayLike<number>, give: boolean, transfer: ArrayBuffer[]): ArrayLike<number> {
  return tag(rows) in COPIES ? (hand(rows as Uint16Array, give, transfer) as Uint16Array) : Array.from(rows);
}
