/** Runs sessions of any ONNX runtime, which are known by their structure. No runtime is imported. */
import { isElementType } from "./elements.js";
import { CodecError } from "./errors.js";
import { float16Array, narrow, widen } from "./float16.js";
import { isArrayOf } from "./tensor.js";
import type { Codec, ElementType, TensorLike } from "./types.js";

/** A tensor as a session returns it: on the CPU, or elsewhere with a `getData` that fetches it. */
export interface SessionTensor extends TensorLike {
  /** `cpu`, `cpu-pinned`, `gpu-buffer`, `texture`, `ml-tensor`; a tensor without it is on the CPU. */
  readonly location?: string;
  /** Copies the data to the CPU. */
  getData?(): Promise<unknown>;
  /** Frees what is not on the CPU. */
  dispose?(): void;
}

/** The part of ONNX Runtime's `InferenceSession` that is used here. */
export interface SessionLike {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Present from ONNX Runtime 1.21 on; only read to see whether an input is float16, and of which shape. */
  readonly inputMetadata?: readonly {
    readonly name: string;
    readonly type?: string;
    readonly shape?: readonly (number | string)[];
  }[];
  /** Computes the outputs named in `fetches`. */
  run(feeds: Record<string, unknown>, fetches: readonly string[]): Promise<{ readonly [name: string]: SessionTensor }>;
}

/** Throws TypeError for what is no session, and says what a forgotten `await` looks like. */
export function checkSession(session: SessionLike): void {
  if (!Array.isArray(session?.inputNames) || !Array.isArray(session.outputNames) || typeof session.run !== "function")
    throw new TypeError(`session must be an InferenceSession of an ONNX runtime${awaited(session)}`);
}

/** Throws TypeError for what is no codec. */
export function checkCodec(codec: Codec): void {
  if (typeof codec?.encode !== "function") throw new TypeError(`codec must come from create()${awaited(codec)}`);
}

const awaited = (value: unknown): string =>
  typeof (value as PromiseLike<unknown> | null | undefined)?.then === "function" ? "; it is a Promise: await it" : "";

/** The name `wanted`, or the only one there is. Throws MODEL. */
export function pick(kind: "input" | "output", names: readonly string[], wanted: string | undefined): string {
  const list = names.map((name) => `"${name}"`).join(", ");
  if (wanted !== undefined) {
    if (!names.includes(wanted))
      throw new CodecError("MODEL", `the session has no ${kind} "${wanted}"; it has ${list}`);
    return wanted;
  }
  const [only] = names;
  if (only === undefined || names.length > 1)
    throw new CodecError("MODEL", `name the ${kind}: the session has ${names.length} (${list})`);
  return only;
}

/** Runs the session. Its own error is the `cause` of a `MODEL`. */
export async function runSession<S extends SessionLike>(
  session: S,
  feeds: Record<string, unknown>,
  wanted: readonly string[],
): Promise<Awaited<ReturnType<S["run"]>>> {
  try {
    return (await session.run(feeds, wanted)) as Awaited<ReturnType<S["run"]>>;
  } catch (cause) {
    if (cause instanceof CodecError) throw cause;
    throw new CodecError("MODEL", `the session failed: ${(cause as Error | null)?.message ?? cause}`, { cause });
  }
}

/** Runs the session and returns the outputs `wanted`, as {@link allToCpu}. */
export async function runToCpu(
  session: SessionLike,
  feeds: Record<string, unknown>,
  wanted: readonly string[],
): Promise<Record<string, TensorLike>> {
  const results = await runSession(session, feeds, wanted);
  const found = wanted.map((name): [string, SessionTensor] => {
    const tensor = results?.[name];
    if (tensor === undefined) throw new CodecError("MODEL", `the session returned no "${name}"`);
    return [name, tensor];
  });
  return allToCpu(found);
}

/** Tensors with their data on the CPU, float16 as float32. Those elsewhere are disposed, also if fetching fails. */
export async function allToCpu(found: [string, SessionTensor][]): Promise<Record<string, TensorLike>> {
  const outputs: Record<string, TensorLike> = {};
  // Listed before the fetch, because getData sets a tensor's location to cpu but keeps its GPU memory.
  const away = found.filter(([, tensor]) => !onCpu(tensor));
  try {
    for (const [name, tensor] of found) outputs[name] = await toCpu(tensor);
  } finally {
    for (const [, tensor] of away) tensor.dispose?.();
  }
  return outputs;
}

const declared = (session: SessionLike, input: string) => session.inputMetadata?.find(({ name }) => name === input);

/** Refuses an image that the session would refuse, with the remedy for the usual mistakes. Throws MODEL. */
export function checkImage(session: SessionLike, input: string, image: TensorLike): void {
  if (!Array.isArray(image?.dims))
    throw new TypeError(`the image must be a tensor {type, dims, data}${awaited(image)}`);
  const { dims, type } = image;
  const isRgba = declared(session, input)?.shape?.[1] === 3 && dims[1] === 4;
  const remedy = isRgba ? '. Tensor.fromImage(bitmap, { tensorFormat: "RGB" }) makes 3 channels of an ImageBitmap' : "";
  checkShape("MODEL", session, input, "image", dims, remedy);
  const wanted = inputType(session, input);
  if (wanted !== undefined && wanted !== type)
    throw new CodecError("MODEL", `the session's "${input}" is ${wanted}, the image is ${type}: convert its elements`);
}

/** Refuses a shape that the session would refuse. `what`: "image". Throws `code`. */
export function checkShape(
  code: "MODEL" | "SHAPE_MISMATCH",
  session: SessionLike,
  input: string,
  what: string,
  dims: readonly number[],
  remedy = "",
): void {
  const shape = declared(session, input)?.shape ?? [];
  // Without metadata and where the rank is not known there is no size; one that may be anything has a name, or none.
  const differs = shape.some((size, d) => typeof size === "number" && size > 0 && size !== dims[d]);
  if (shape.length === 0 || (shape.length === dims.length && !differs)) return;
  throw new CodecError(code, `the session's "${input}" is [${shape}], the ${what} is [${dims}]${remedy}`);
}

/** The type of elements that the session says its input has (ONNX Runtime 1.21 and later do). */
export function inputType(session: SessionLike, input: string): ElementType | undefined {
  const type = declared(session, input)?.type;
  return isElementType(type) ? type : undefined;
}

function onCpu({ location }: SessionTensor): boolean {
  return location === undefined || location === "cpu" || location === "cpu-pinned";
}

/** The tensor with its data on the CPU, float16 as float32. The tensor itself is not disposed. */
export async function toCpu(tensor: SessionTensor): Promise<TensorLike> {
  const { type, dims } = tensor;
  const data = onCpu(tensor) || tensor.getData === undefined ? tensor.data : await tensor.getData();
  return type === "float16" ? { type: "float32", dims, data: widen(data as ArrayBufferView) } : { type, dims, data };
}

/**
 * A plain object, because `run` of every runtime takes one and no two runtimes share a Tensor class. `float16`: rounds
 * float32 to it.
 */
export function feed({ type, dims, data }: TensorLike, float16 = false): object {
  if (float16 && isArrayOf("float32", data)) return feed({ type: "float16", dims, data: float16Array(narrow(data)) });
  return { type, dims, data, size: (data as ArrayLike<unknown>).length, location: "cpu" };
}
