import type { PartsInfo } from "./full-types.js";
import { inspect as inspectTensor, isBytes } from "./packet.js";
import { inspectParts } from "./packet-parts.js";
import type { PacketInfo } from "./types.js";

/**
 * Explains a packet of one tensor or of several parts without its tables.
 *
 * @throws CodecError `NOT_A_PACKET`, `UNSUPPORTED_VERSION`, `TRUNCATED` or `CORRUPTED` if the header cannot be read, `LIMIT_EXCEEDED` for more than 65,536
 * shapes. A wrong checksum is reported in the result, not thrown.
 */
export function inspect(packet: Uint8Array): PacketInfo | PartsInfo {
  // Bits 3 and 4 of the third byte: docs/format.md section 2.
  const parts = isBytes(packet) && packet.length > 2 && ((packet[2] >> 3) & 3) === 2;
  return parts ? inspectParts(packet) : inspectTensor(packet);
}
