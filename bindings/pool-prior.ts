/** Priors of a pool: kept here, sent to workers. */
import { hand, handRows, type WirePrior } from "./pool-messages.js";
import type { PoolPrior } from "./pool-types.js";
import type { FactorizedOptions, Prior, Table } from "./types.js";

export class PoolPriorHandle implements PoolPrior {
  readonly kind: Prior["kind"];
  readonly table: Table;
  readonly #own: Omit<WirePrior, "kind" | "table">;
  readonly #give: boolean;
  /** Whether the arrays have left this thread. */
  #given = false;

  constructor(
    kind: Prior["kind"],
    table: Table,
    own: Omit<WirePrior, "kind" | "table"> & FactorizedOptions,
    give = false,
  ) {
    this.kind = kind;
    this.table = table;
    this.#own = own;
    this.#give = give;
  }

  /** Says that the message has been sent. */
  sent(): void {
    this.#given = this.#give;
  }

  /** As it goes into a message. */
  wire(transfer: ArrayBuffer[]): WirePrior {
    if (this.#given) throw new TypeError("prior has been used: its arrays were handed over with its first task");
    const { axis, step, scales, scaleTable, rows, means } = this.#own;
    const give = this.#give;
    return {
      kind: this.kind,
      table: this.table.fingerprint,
      axis,
      step,
      scaleTable,
      ...(scales && { scales: hand(scales, give, transfer) }),
      ...(rows && { rows: handRows(rows, give, transfer) }),
      ...(means && { means: hand(means, give, transfer) }),
    };
  }
}
