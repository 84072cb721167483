/** Places for tasks: how many are taken, and who waits for one. */

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

export class Gate {
  readonly #places: number;
  readonly #waiters: Waiter[] = [];
  /** Places promised to those who waited, not yet taken. */
  readonly #kept = new Set<object>();
  #taken = 0;

  constructor(places: number) {
    this.#places = places;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Takes a place; false if there is none. */
  enter(): boolean {
    const [kept] = this.#kept;
    if (kept) this.#kept.delete(kept);
    else if (this.#taken + this.#kept.size >= this.#places) return false;
    this.#taken++;
    return true;
  }

  leave(count: number): void {
    this.#taken -= count;
    this.#admit();
  }

  /** Resolves when there is a place, which is kept until the next timer runs. */
  wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      signal?.throwIfAborted();
      const end = () => {
        signal?.removeEventListener("abort", abort);
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      };
      const abort = () => waiter.reject(signal!.reason);
      const waiter: Waiter = {
        resolve() {
          end();
          resolve();
        },
        reject(error) {
          end();
          reject(error);
        },
      };
      signal?.addEventListener("abort", abort);
      this.#waiters.push(waiter);
      this.#admit();
    });
  }

  /** Nobody will be let in any more. */
  refuse(reason: unknown): void {
    for (const waiter of [...this.#waiters]) waiter.reject(reason);
  }

  #admit(): void {
    while (this.#waiters.length > 0 && this.#taken + this.#kept.size < this.#places) {
      const place = {};
      this.#kept.add(place);
      setTimeout(() => {
        if (this.#kept.delete(place)) this.#admit();
      }, 0);
      this.#waiters[0]!.resolve();
    }
  }
}
