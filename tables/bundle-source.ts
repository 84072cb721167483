/** Loads the bytes of a bundle from the network. */
import { CodecError } from "../bindings/errors.js";

/** The body of a response, of at most `maxBytes`. Throws `NOT_A_BUNDLE` for an error status, `LIMIT_EXCEEDED`. */
export async function readLimited(response: Response, maxBytes: number): Promise<Uint8Array> {
  if (!response.ok)
    throw new CodecError("NOT_A_BUNDLE", `${response.url || "the server"} answered with status ${response.status}`);
  const tooLong = () => new CodecError("LIMIT_EXCEEDED", `the bundle has more than ${maxBytes} bytes`);
  if (Number(response.headers.get("content-length")) > maxBytes) throw tooLong();
  if (response.body === null) return new Uint8Array(await response.arrayBuffer());
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    length += next.value.length;
    if (length > maxBytes) {
      await reader.cancel();
      throw tooLong();
    }
    chunks.push(next.value);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
