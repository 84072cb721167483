// Damaged streams of packets, and damaged files of many packets. What is given must have been written, and every byte that is not given must be told; nothing may
// take more memory or work than the bytes allow.
import { CodecError, type CreateOptions, createSync } from "latentwire";
import { type FileRecord, openPacketFile } from "latentwire/packet-file";
import { type Damage, readPackets } from "latentwire/stream";
import { xxh32 } from "../../tables/xxh32.js";
import { watchedOf } from "../builds.js";
import { type Random, random } from "../cases.js";
import { damageStream, reseal } from "../mutate.js";
import { writeFrames, writePacketFile } from "../reference.js";
import { type Input, type Target, WrongSuccess } from "./engine.js";
import { mutateFields, setWord } from "./fields.js";
import { hashOf } from "./packets.js";

const MAX_BYTES = 20_000;
const LIMIT = 4096;

const wrong = (message: string): never => {
  throw new WrongSuccess(message);
};

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const joined = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** Where a frame is, and what it holds. */
interface Frame {
  readonly from: number;
  readonly content: Uint8Array;
  readonly to: number;
}

/** The frames from `start` on, as far as the bytes look like frames. */
function framesOf(bytes: Uint8Array, start: number): Frame[] {
  const frames: Frame[] = [];
  for (let from = start; ; ) {
    const [low = 0, high = 0] = bytes.subarray(from, from + 2);
    const [length, head] = low < 128 ? [low, 1] : [(low & 127) + 128 * (high & 127), 2];
    const to = from + head + length;
    if (length === 0 || to > bytes.length) return frames;
    frames.push({ from, content: bytes.slice(from + head, to), to });
    from = to;
  }
}

const frameOf = (content: Uint8Array): Uint8Array => writeFrames([content]).slice(0, -1);

/** What both targets share: damage, and how an outcome is called. */
abstract class ManyTarget implements Target {
  abstract readonly name: string;
  readonly kind = "packets";
  readonly every = 16;
  readonly seeds: readonly Input[];
  readonly #start: number;
  readonly #codecs: ReturnType<typeof watchedOf>;
  protected readonly packets: readonly Uint8Array[];
  protected hash = 0;

  constructor(options: CreateOptions, start: number, format: (packets: readonly Uint8Array[]) => Uint8Array) {
    this.#codecs = watchedOf(() => createSync(options));
    this.#start = start;
    const { codec } = this;
    const prior = codec.factorized({ offsets: [-1], cdfs: [[0, 16384, 49152, 65535, 65536]] });
    const rng = random(4);
    const packetOf = (n: number, header?: "compact") => {
      const data = Int8Array.from({ length: n }, () => rng(3) - 1);
      return codec.encode({ type: "int8", dims: [1, 1, n], data }, prior, header && { header });
    };
    this.packets = [0, 5, 60, 260, 900, 2500, 7].map((n) => packetOf(n));
    this.seeds = [7, 3, 0].map((count, variant) => {
      const bytes = format(this.packets.slice(0, count));
      return { bytes, variant, salt: variant, forged: false };
    });
  }

  protected get codec() {
    return this.#codecs.codec;
  }

  mutate({ bytes, forged }: Input, rng: Random, other: Input): Pick<Input, "bytes" | "forged"> {
    const frames = framesOf(bytes, this.#start);
    const kind = rng(6);
    const one = frames[rng(Math.max(1, frames.length))];
    if (one === undefined || kind === 0)
      return { bytes: mutateFields(bytes, rng, other.bytes, {}).slice(0, MAX_BYTES), forged };
    const around = (...middle: Uint8Array[]): Uint8Array =>
      joined(bytes.subarray(0, one.from), ...middle, bytes.subarray(one.to)).slice(0, MAX_BYTES);
    // A frame is taken out, put to another place, or damaged under a check that fits.
    if (kind === 1) return { bytes: around(), forged };
    if (kind === 2) return { bytes: around(frameOf(frames[rng(frames.length)].content)), forged };
    if (kind === 3) {
      const content = mutateFields(one.content, rng, other.bytes, {}).slice(0, 16_000);
      if (content.length > 8) return { bytes: around(frameOf(reseal(content))), forged: true };
    }
    return { bytes: damageStream(bytes, rng).bytes.slice(0, MAX_BYTES), forged };
  }

  abstract run(input: Input): Promise<string>;

  digest(): number {
    return this.hash;
  }

  wasmBytes(): number {
    return this.#codecs.bytes();
  }

  protected isWritten(packet: Uint8Array): boolean {
    return this.packets.some((one) => same(one, packet));
  }
}

class StreamTarget extends ManyTarget {
  readonly name = "streams";

  constructor(options: CreateOptions) {
    super(options, 0, writeFrames);
  }

  async run({ bytes, salt, forged }: Input): Promise<string> {
    const rng = random(salt);
    const { codec } = this;
    const skips = rng(2) === 0;
    const damages: Damage[] = [];
    const onDamage = (one: Damage) => void damages.push(one);
    const most = [1, 30, 1000, MAX_BYTES][rng(4)];
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; ) {
      const size = 1 + rng(most);
      pieces.push(bytes.subarray(at, at + size));
      at += size;
    }
    this.hash = 0;
    let given = 0;
    const options = { codec, maxPacketBytes: LIMIT, ...(skips && { damaged: "skip" as const, onDamage }) };
    try {
      for await (const packet of readPackets(pieces, options)) {
        if (!forged && !this.isWritten(packet)) wrong(`a packet of ${packet.length} bytes that was not written`);
        this.hash = hashOf(this.hash, packet as never);
        given += frameOf(packet).length;
      }
    } catch (error) {
      if (error instanceof CodecError) return error.code;
      throw error;
    }
    const lost = damages.reduce((sum, one) => sum + one.bytes, 0);
    const mark = bytes.length - given - lost;
    if (mark !== 0 && mark !== 1) wrong(`${mark} bytes are neither given nor told`);
    if (mark === 0 && damages.length === 0) wrong("a missing end mark was not told");
    return damages[0]?.code ?? (forged ? "forged" : "ok");
  }
}

class FileTarget extends ManyTarget {
  readonly name = "packet-files";

  constructor(options: CreateOptions) {
    super(options, 4, (packets) => writePacketFile(packets.map((packet, number) => record(number, packet))));
  }

  override mutate(input: Input, rng: Random, other: Input): Pick<Input, "bytes" | "forged"> {
    const { bytes, forged } = super.mutate(input, rng, other);
    const start = framesOf(bytes, 4).at(-1)?.to ?? 4;
    // The index or the trailer, under a check that fits. Without the end mark it would be the check of a record.
    if (rng(3) > 0 || bytes.length < start + 17 || bytes[start] !== 0) return { bytes, forged };
    const index = mutateFields(bytes.slice(start + 1, -8), rng, other.bytes, {});
    const tail = bytes.slice(-8);
    setWord(tail, 0, 4, xxh32(index));
    return { bytes: joined(bytes.subarray(0, start + 1), index, tail).slice(0, MAX_BYTES), forged };
  }

  async run({ bytes, salt, forged }: Input): Promise<string> {
    const damages: Damage[] = [];
    const onDamage = (one: Damage) => void damages.push(one);
    this.hash = 0;
    const check = ({ number, name, packet }: FileRecord) => {
      const is = forged || (name === nameOf(number) && same(packet, this.packets[number] ?? new Uint8Array()));
      if (!is) wrong(`record ${number} (${name}) was not written so`);
      this.hash = hashOf(this.hash, packet as never) + number;
    };
    try {
      const options = { damaged: "skip", onDamage, maxPacketBytes: LIMIT, index: salt % 3 > 0 } as const;
      const file = await openPacketFile(bytes, options);
      let last = -1;
      let count = 0;
      for await (const one of file.records()) {
        check(one);
        if (one.number <= last) wrong(`record ${one.number} behind ${last}`);
        last = one.number;
        count++;
      }
      if (count < file.count && damages.length === 0) wrong("a record is lost in silence");
      for (const name of file.names.slice(0, 2)) if (name !== "") check(await file.get(name));
    } catch (error) {
      if (error instanceof CodecError) return error.code;
      throw error;
    }
    return damages[0]?.code ?? (forged ? "forged" : "ok");
  }
}

const nameOf = (number: number): string => (number % 3 === 1 ? "" : `latents/${number}.npy`);
const record = (number: number, packet: Uint8Array) => ({ number, name: nameOf(number), packet });

export const manyTargets: readonly string[] = ["streams", "packet-files"];

export const openMany = (name: string, options: CreateOptions): Target =>
  name === "streams" ? new StreamTarget(options) : new FileTarget(options);
