/** What goes wrong in a pool, and how errors pass between threads. */
import { CodecError, type ErrorCode } from "./errors.js";

/**
 * | code | meaning |
 * |---|---|
 * | `QUEUE_FULL` | `maxPending` tasks are under way or waiting: await `capacity()` first |
 * | `CLOSED` | the pool has been closed |
 * | `WORKER_LOST` | the worker that had the task died, or none could be started; `cause` has its error where there was one |
 */
export type PoolErrorCode = "QUEUE_FULL" | "CLOSED" | "WORKER_LOST";

/** Thrown for what a pool cannot do. What is wrong with the data of a task is a `CodecError`, as without a pool. */
export class PoolError extends Error {
  override readonly name = "PoolError";
  readonly code: PoolErrorCode;
  /** For the pool's own use. */
  constructor(code: PoolErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** An error on its way: structured cloning keeps neither the class CodecError nor its code. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly code: ErrorCode | undefined;
}

export function toWire(error: unknown): WireError {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return { name, message, code: error instanceof CodecError ? error.code : undefined };
}

export function fromWire({ name, message, code }: WireError): Error {
  if (code !== undefined) return new CodecError(code, message);
  return new ({ TypeError, RangeError }[name] ?? Error)(message);
}
