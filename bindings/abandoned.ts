/** Frees Wasm memory of readers and sequences that nobody closed and nobody holds any more. Not every engine can. */
const registry =
  typeof FinalizationRegistry === "undefined"
    ? undefined
    : new FinalizationRegistry<() => void>((free) => {
        free();
      });

/** `free` must not hold `owner`. */
export function whenAbandoned(owner: object, free: () => void): void {
  registry?.register(owner, free, owner);
}

export function notAbandoned(owner: object): void {
  registry?.unregister(owner);
}
