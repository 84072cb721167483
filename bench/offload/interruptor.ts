/** What a shell says of a program that Ctrl-C has ended. */
export const INTERRUPTED = 130;

/** npm passes a signal on, so that one Ctrl-C can come twice. */
const SAME_MS = 1000;

/** The first Ctrl-C ends a run in order; a later one, when it should have ended, ends it at once. */
export function interruptor(stop: AbortController): () => void {
  let first = 0;
  return () => {
    if (stop.signal.aborted && performance.now() > first + SAME_MS) process.exit(INTERRUPTED);
    if (!stop.signal.aborted) first = performance.now();
    stop.abort();
  };
}
