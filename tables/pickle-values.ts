/** What a pickle describes, as data. */

/** The name of a class or function. */
export class PickleGlobal {
  constructor(
    readonly module: string,
    readonly name: string,
  ) {}
  toString(): string {
    return `${this.module}.${this.name}`;
  }
}

/** A Python tuple; a list is an array. */
export class PickleTuple {
  constructor(readonly items: readonly PickleValue[]) {}
}

/** An object of a class that this reader does not know: the class, and the arguments. */
export class PickleObject {
  state: PickleValue = null;
  /** Its items, if it was used as a dict or a list. */
  readonly items = new Map<PickleValue, PickleValue>();
  readonly list: PickleValue[] = [];
  constructor(
    readonly callable: PickleValue,
    readonly args: PickleValue,
  ) {}
}

/** What a pickle may hold. A dict is a Map: its keys cannot touch any prototype. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleGlobal
  | PickleTuple
  | PickleObject
  | PickleForeign
  | Set<PickleValue>
  | PickleValue[]
  | Map<PickleValue, PickleValue>;

/** Base class of the values that a caller's hooks make. */
export abstract class PickleForeign {
  protected readonly foreign = true;
}
