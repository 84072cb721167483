/**
 * A reader for Python pickles that executes nothing. Unlike pickle.load it has no way to call or import anything: a
 * class or function is a {@link PickleGlobal}, a name; calling one makes a {@link PickleObject}, a record of what would
 * have been called, unless the few constructors that `reduce` knows say what the result is. So a hostile pickle can
 * only describe odd data.
 *
 * Binary opcodes of protocols 2 to 5 (https://docs.python.org/3/library/pickletools.html); torch.save writes 2. Each
 * opcode adds at most one value to what the input already holds. One byte can add an empty dict of 200, and a deflated
 * pickle has a million of them in a kilobyte, so values are charged by what they take. Hooks charge what they build.
 */
import { CodecError } from "latentwire";
import { type Budget, VALUE_BYTES } from "./budget.js";
import { budgetOf } from "./byte-source.js";
import { PickleGlobal, PickleObject, PickleTuple, type PickleValue } from "./pickle-values.js";

/** How a caller makes the few objects that it knows. */
export interface PickleHooks {
  /** The result of calling a known constructor; undefined leaves a record. */
  reduce?(callable: PickleGlobal, args: readonly PickleValue[]): PickleValue | undefined;
  /** The value of a persistent id. */
  persistent?(id: PickleValue): PickleValue;
}

const MAX_LONG_BYTES = 1024;
/** What values cost, in units of 16 bytes. A tensor of torch.save takes some 150. */
const COST = { value: 1, remembered: 4, tuple: 6, list: 6, dict: 16, object: 32 };
const utf8 = new TextDecoder();

const invalid = (message: string): never => {
  throw new CodecError("INVALID_FILE", `pickle: ${message}`);
};

/**
 * Reads one pickle. Throws `INVALID_FILE`, `TRUNCATED`, `UNSUPPORTED_FILE`, `LIMIT_EXCEEDED`, and what the hooks throw.
 *
 * @param budget - of the file that holds the pickle.
 */
export function readPickle(bytes: Uint8Array, hooks: PickleHooks = {}, budget = budgetOf(bytes.length)): PickleValue {
  return new Unpickler(bytes, hooks, budget).run();
}

class Unpickler {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #hooks: PickleHooks;
  readonly #budget: Budget;
  #at = 0;
  #stack: PickleValue[] = [];
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();

  constructor(bytes: Uint8Array, hooks: PickleHooks, budget: Budget) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#hooks = hooks;
    this.#budget = budget;
  }

  run(): PickleValue {
    for (;;) {
      const at = this.#at;
      const opcode = this.#bytes[this.#take(1)]!;
      if (opcode === 0x2e) {
        if (this.#stack.length !== 1) invalid("it ends with more or less than one value");
        return this.#pop();
      }
      if (!this.#value(opcode) && !this.#structure(opcode) && !this.#text(opcode))
        throw new CodecError(
          "UNSUPPORTED_FILE",
          `pickle: opcode 0x${opcode.toString(16).padStart(2, "0")} at byte ${at}`,
        );
    }
  }

  /** Opcodes that push one plain value, or read past one. */
  #value(opcode: number): boolean {
    switch (opcode) {
      case 0x80: // PROTO
        if (this.#bytes[this.#take(1)]! > 5) invalid("a protocol after 5");
        return true;
      case 0x95: // FRAME: where frames end is of no interest
        this.#take(8);
        return true;
      case 0x4e: // NONE
        return this.#push(null);
      case 0x88: // NEWTRUE
        return this.#push(true);
      case 0x89: // NEWFALSE
        return this.#push(false);
      case 0x4b: // BININT1
        return this.#push(this.#bytes[this.#take(1)]!);
      case 0x4d: // BININT2
        return this.#push(this.#view.getUint16(this.#take(2), true));
      case 0x4a: // BININT
        return this.#push(this.#view.getInt32(this.#take(4), true));
      case 0x8a: // LONG1
        return this.#push(this.#long(this.#bytes[this.#take(1)]!));
      case 0x8b: // LONG4
        return this.#push(this.#long(this.#view.getInt32(this.#take(4), true)));
      case 0x47: // BINFLOAT
        return this.#push(this.#view.getFloat64(this.#take(8), false));
      case 0x8c: // SHORT_BINUNICODE
        return this.#push(this.#string(this.#bytes[this.#take(1)]!));
      case 0x58: // BINUNICODE
        return this.#push(this.#string(this.#uint32()));
      case 0x8d: // BINUNICODE8
        return this.#push(this.#string(this.#uint64()));
      case 0x55: // SHORT_BINSTRING
        return this.#push(this.#string(this.#bytes[this.#take(1)]!));
      case 0x54: // BINSTRING
        return this.#push(this.#string(this.#uint32()));
      case 0x43: // SHORT_BINBYTES
        return this.#push(this.#blob(this.#bytes[this.#take(1)]!));
      case 0x42: // BINBYTES
        return this.#push(this.#blob(this.#uint32()));
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        return this.#push(this.#blob(this.#uint64()));
      default:
        return false;
    }
  }

  /** Opcodes that build something out of what is on the stack. */
  #structure(opcode: number): boolean {
    switch (opcode) {
      case 0x28: // MARK
        this.#spend(COST.value);
        this.#marks.push(this.#stack.length);
        return true;
      case 0x7d: // EMPTY_DICT
        return this.#push(new Map(), COST.dict);
      case 0x5d: // EMPTY_LIST
        return this.#push([], COST.list);
      case 0x29: // EMPTY_TUPLE
        return this.#push(new PickleTuple([]), COST.tuple);
      case 0x8f: // EMPTY_SET
        return this.#push(new Set(), COST.dict);
      case 0x85: // TUPLE1, 2, 3
      case 0x86:
      case 0x87:
        return this.#push(new PickleTuple(this.#popMany(opcode - 0x84)), COST.tuple);
      case 0x74: // TUPLE
        return this.#push(new PickleTuple(this.#popMark()), COST.tuple);
      case 0x6c: // LIST
        return this.#push(this.#popMark(), COST.list);
      case 0x91: // FROZENSET
        return this.#push(new Set(this.#popMark()), COST.dict);
      case 0x64: {
        // DICT
        const dict = new Map<PickleValue, PickleValue>();
        setItems(dict, this.#popMark());
        return this.#push(dict, COST.dict);
      }
      case 0x61: // APPEND
        return this.#append([this.#pop()]);
      case 0x65: // APPENDS
        return this.#append(this.#popMark());
      case 0x73: // SETITEM
        return this.#setItems(this.#popMany(2));
      case 0x75: // SETITEMS
        return this.#setItems(this.#popMark());
      case 0x90: // ADDITEMS
        return this.#addItems(this.#popMark());
      case 0x30: // POP
        if (this.#marks.at(-1) === this.#stack.length) this.#marks.pop();
        else this.#pop();
        return true;
      case 0x31: // POP_MARK
        this.#popMark();
        return true;
      case 0x32: // DUP
        return this.#push(this.#top());
      case 0x71: // BINPUT
        return this.#remember(this.#bytes[this.#take(1)]!);
      case 0x72: // LONG_BINPUT
        return this.#remember(this.#uint32());
      case 0x94: // MEMOIZE
        return this.#remember(this.#memo.size);
      case 0x68: // BINGET
        return this.#push(this.#remembered(this.#bytes[this.#take(1)]!));
      case 0x6a: // LONG_BINGET
        return this.#push(this.#remembered(this.#uint32()));
      default:
        return this.#object(opcode);
    }
  }

  /** Opcodes that in Python would import or call something. */
  #object(opcode: number): boolean {
    switch (opcode) {
      case 0x63: // GLOBAL
        return this.#push(new PickleGlobal(this.#line(), this.#line()), COST.tuple);
      case 0x93: {
        // STACK_GLOBAL
        const [module, name] = this.#popMany(2);
        if (typeof module !== "string" || typeof name !== "string") return invalid("a global that is no name");
        return this.#push(new PickleGlobal(module, name), COST.tuple);
      }
      case 0x52: // REDUCE
      case 0x81: {
        // NEWOBJ
        const [callable, args] = this.#popMany(2);
        return this.#push(this.#make(callable!, args!), COST.object);
      }
      case 0x92: {
        // NEWOBJ_EX
        const [callable, args] = this.#popMany(3);
        return this.#push(this.#make(callable!, args!), COST.object);
      }
      case 0x6f: {
        // OBJ
        const [callable, ...args] = this.#popMark();
        if (callable === undefined) return invalid("an object without a class");
        return this.#push(this.#make(callable, new PickleTuple(args)), COST.object);
      }
      case 0x62: {
        // BUILD
        const state = this.#pop();
        const target = this.#top();
        if (target instanceof PickleObject) target.state = state;
        return true;
      }
      case 0x51: {
        // BINPERSID
        const id = this.#pop();
        return this.#push(this.#hooks.persistent?.(id) ?? invalid("a persistent id"), COST.tuple);
      }
      default:
        return false;
    }
  }

  #text(opcode: number): boolean {
    // Protocol 0. torch and numpy have never written it.
    if ("FIGLPSVipg".includes(String.fromCharCode(opcode)))
      throw new CodecError("UNSUPPORTED_FILE", "pickle: a text pickle (protocol 0); save it with a newer protocol");
    return false;
  }

  #make(callable: PickleValue, args: PickleValue): PickleValue {
    if (callable instanceof PickleGlobal && args instanceof PickleTuple) {
      const known = this.#hooks.reduce?.(callable, args.items);
      if (known !== undefined) return known;
    }
    return new PickleObject(callable, args);
  }

  #setItems(items: PickleValue[]): boolean {
    return setItems(this.#top(), items);
  }

  #append(items: PickleValue[]): boolean {
    const target = this.#top();
    const list = target instanceof PickleObject ? target.list : target;
    if (!Array.isArray(list)) return invalid("an append to what is no list");
    for (const item of items) list.push(item);
    return true;
  }

  #addItems(items: PickleValue[]): boolean {
    const target = this.#top();
    if (!(target instanceof Set)) return invalid("an addition to what is no set");
    for (const item of items) target.add(item);
    return true;
  }

  // ---- the stack

  #push(value: PickleValue, cost = COST.value): true {
    this.#spend(cost);
    this.#stack.push(value);
    return true;
  }

  #spend(cost: number): void {
    this.#budget.charge("pickle: its values", cost, VALUE_BYTES * cost);
  }

  #top(): PickleValue {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) invalid("it takes a value where there is none");
    return this.#stack.at(-1)!;
  }

  #pop(): PickleValue {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #popMany(count: number): PickleValue[] {
    const start = this.#stack.length - count;
    if (start < (this.#marks.at(-1) ?? 0)) invalid("it takes values where there are none");
    return this.#stack.splice(start);
  }

  #popMark(): PickleValue[] {
    const start = this.#marks.pop() ?? invalid("it goes back to a mark that it never set");
    return this.#stack.splice(start);
  }

  #remember(key: number): true {
    this.#spend(COST.remembered);
    this.#memo.set(key, this.#top());
    return true;
  }

  #remembered(key: number): PickleValue {
    const value = this.#memo.get(key);
    return value === undefined ? invalid(`it recalls ${key}, which it never stored`) : value;
  }

  // ---- the input

  #take(count: number): number {
    const at = this.#at;
    if (!(count <= this.#bytes.length - at)) throw new CodecError("TRUNCATED", "pickle: it ends inside a value");
    this.#at += count;
    return at;
  }

  #uint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  #uint64(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  #blob(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  #string(length: number): string {
    this.#spend(length >> 4);
    return utf8.decode(this.#blob(length));
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw new CodecError("TRUNCATED", "pickle: it ends inside a name");
    const line = this.#string(end - this.#at);
    this.#at = end + 1;
    return line;
  }

  /** Two's complement, little-endian. */
  #long(length: number): number | bigint {
    if (!(length >= 0 && length <= MAX_LONG_BYTES)) invalid(`a number of ${length} bytes`);
    this.#spend(COST.tuple + (length >> 4));
    const bytes = this.#blob(length);
    let value = BigInt(`0x0${Buffer.from(bytes).reverse().toString("hex")}`);
    if (length > 0 && bytes[length - 1]! >= 0x80) value -= 1n << BigInt(8 * length);
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
  }
}

function setItems(target: PickleValue, items: PickleValue[]): boolean {
  const dict = target instanceof PickleObject ? target.items : target;
  if (!(dict instanceof Map) || items.length % 2 !== 0) return invalid("an item for what is no dict");
  for (let i = 0; i < items.length; i += 2) dict.set(items[i]!, items[i + 1]!);
  return true;
}
