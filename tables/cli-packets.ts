/** latentwire inspect, for files of many packets. */
import { type Codec, CodecError, create, type PacketInfo } from "latentwire";
import { type Damage, type FileRecord, openPacketFile, type PacketFile } from "latentwire/packet-file";
import { begins } from "../bindings/kinds.js";
import type { ByteSource } from "./byte-source.js";
import { EXIT } from "./cli-arguments.js";
import { print, printJson, progress } from "./cli-files.js";
import { naming } from "./layout.js";

/** Whether a file begins like a packet file, of any version. */
export const isPacketFile = (source: ByteSource): boolean => begins(source.read(0, Math.min(3, source.size)), "LWS");

/** One line of the list. */
interface Listed {
  readonly number: number;
  readonly name: string;
  readonly bytes: number;
  /** Of a full packet of one part. */
  readonly dims?: readonly number[] | undefined;
  /** Of a full packet. */
  readonly parts?: number;
  readonly elements?: number;
  readonly checksum?: PacketInfo["checksum"];
}

interface Choice {
  /** Compares everything, and prints no list. */
  readonly check: boolean;
  readonly json: boolean;
}

/** Prints the packets of a file, unless it is only to be checked, and what is damaged. Returns the exit code. */
export async function inspectFile(path: string, source: ByteSource, { check, json }: Choice): Promise<number> {
  const damages: Damage[] = [];
  const onDamage = (damage: Damage) => void damages.push(damage);
  // It is read twice, and closed by whoever has opened it.
  const ranges = { size: source.size, read: (offset: number, length: number) => source.read(offset, length) };
  const open = async (index: boolean): Promise<PacketFile> => {
    try {
      return await openPacketFile(ranges, { damaged: "skip", onDamage, index });
    } catch (error) {
      return naming(path, () => {
        throw error;
      });
    }
  };
  const codec = await create();
  const file = await open(true);
  const list: Listed[] = [];
  let packetBytes = 0;
  const lists = !check && !json;
  const show = progress("reading", check ? file.count : 0);
  if (lists) await print(line("number", "bytes", "shape", "name"));
  for await (const record of file.records()) {
    packetBytes += record.packet.length;
    const one = listed(codec, record);
    if (check) {
      if (one.checksum === "invalid") onDamage(spoilt(file, one));
      show(record.number);
    } else if (json) list.push(one);
    else await print(line(`${one.number}`, `${one.bytes}`, shapeOf(one), one.name));
  }
  show(file.count);
  // An index may leave out what is there, if somebody has written it so.
  if (check && file.state === "indexed") {
    const { count } = await open(false);
    const message = `the index has ${file.count} records, the file ${count}`;
    if (count !== file.count) onDamage({ offset: file.end, bytes: 0, code: "CORRUPTED", message });
  }
  const totals = { state: file.state, packets: file.count, bytes: source.size, packetBytes };
  if (json) await printJson({ ...totals, damages, ...(check ? {} : { records: list }) });
  else {
    const { state, packets, bytes } = totals;
    const beside = `${bytes} bytes: packets ${packetBytes}, names, checks and index ${bytes - packetBytes}`;
    await print(...(lists ? [""] : []), `${packets} packets, ${state}, ${beside}`);
    if (damages.length > 0) await print(...damages.map(damageLine));
    else if (check) await print("nothing is damaged");
  }
  return damages.length > 0 ? EXIT.data : EXIT.ok;
}

/** What a record holds. */
function listed(codec: Codec, { number, name, packet }: FileRecord): Listed {
  const record = { number, name, bytes: packet.length };
  try {
    const { dims, parts, elements, checksum } = codec.inspect(packet);
    return { ...record, dims, parts, elements, checksum };
  } catch (error) {
    // Compact packets and strings say nothing of themselves.
    if (error instanceof CodecError) return record;
    throw error;
  }
}

function spoilt(file: PacketFile, { number, name }: Listed): Damage {
  const message = `the packet of record ${number}${name && ` (${name})`} was damaged before it came into the file`;
  return { ...file.placeOf(number), code: "CORRUPTED", message };
}

function shapeOf({ dims, parts, elements }: Listed): string {
  if (dims) return `[${dims.join(", ")}]`;
  return parts === undefined ? "-" : `${parts} parts, ${elements} symbols`;
}

const line = (number: string, bytes: string, shape: string, name: string): string =>
  `${number.padStart(8)}  ${bytes.padStart(9)}  ${shape.padEnd(20)}  ${name}`.trimEnd();

const damageLine = ({ offset, bytes, code, message }: Damage): string =>
  `${code} at byte ${offset}, ${bytes} bytes: ${message}`;
