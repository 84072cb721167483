/** Parameters of context priors (docs/format.md section 10): loading them, and what is coded under them. */
import * as abi from "./abi.js";
import { CodecError } from "./errors.js";
import { begins, refuseKind } from "./kinds.js";
import type { Memory } from "./memory.js";
import { elementsOf, isBytes } from "./tensor.js";

/** Loaded parameters. */
export interface Network {
  /** Where they are in the codec's memory. */
  readonly address: number;
  /** Channels of the tensor. */
  readonly channels: number;
  /** How many of them are coded under the context. */
  readonly active: number;
  /** All channels: first the active ones in the order of coding, then the others, ascending. */
  readonly order: readonly number[];
  /** Rows of the table where each symbol is given one, otherwise 0. */
  readonly givenRows: number;
}

/**
 * Loads the binary form. Loading the same parameters twice costs no memory.
 *
 * @throws CodecError `INVALID_CONTEXT`, `UNSUPPORTED_VERSION`, `LIMIT_EXCEEDED`; TypeError for what is no Uint8Array.
 */
export function loadNetwork(memory: Memory, parameters: Uint8Array): Network {
  if (!isBytes(parameters)) throw new TypeError("parameters must be a Uint8Array");
  const { wasm } = memory;
  const size = memory.u8.length;
  const source = memory.address(wasm.contextSource(parameters.length));
  memory.u8.set(parameters, source);
  const address = wasm.loadContext(source, parameters.length) >>> 0;
  memory.sync();
  if (address === 0) {
    const code = memory.faultCode;
    memory.trim(size);
    if (code === abi.UNSUPPORTED_VERSION)
      throw new CodecError(
        "UNSUPPORTED_VERSION",
        "the parameters of the context prior have another version: update latentwire, or fit them again",
      );
    if (!begins(parameters, "LWC")) refuseKind("INVALID_CONTEXT", parameters, "context prior");
    throw new CodecError(
      "INVALID_CONTEXT",
      "the parameters of the context prior are damaged: `latentwire tables fit --context` makes them",
    );
  }
  const channels = memory.word(address, abi.CONTEXT_CHANNELS);
  const order = memory.words(memory.word(address, abi.CONTEXT_ORDER), 0, channels);
  const [active, givenRows] = [abi.CONTEXT_ACTIVE, abi.CONTEXT_GIVEN_ROWS].map((field) => memory.word(address, field));
  return { address, channels, active: active!, order, givenRows: givenRows! };
}

/** How the elements of a shape lie, as a context sees them: docs/format.md section 10.1. */
export interface Planes {
  /** What is coded by itself: an image of a batch. */
  readonly items: number;
  /** Of the plane that each channel of an item has. */
  readonly height: number;
  readonly width: number;
  /** Whether the channels of a position follow one another (NHWC); otherwise the positions of a channel do (NCHW). */
  readonly isLast: boolean;
}

/** The planes of a shape. `axis` is the dimension of the channels. */
export function planesOf(dims: readonly number[], axis: number): Planes {
  const isLast = dims.length > 2 && axis === dims.length - 1;
  const before = isLast ? dims.slice(0, axis - 2) : dims.slice(0, axis);
  const plane = isLast ? dims.slice(axis - 2, axis) : dims.slice(axis + 1);
  return { items: elementsOf(before), height: elementsOf(plane.slice(0, -1)), width: plane.at(-1) ?? 1, isLast };
}
