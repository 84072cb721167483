/**
 * Bytes written by assembly/text.mjs as printable ASCII. Base64 shifts bytes against bit boundaries, which hides every repetition
 * from gzip: Wasm in it is 38 % larger after gzip than Wasm alone, in this form 3 %.
 */
export function fromText(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  let n = 0;
  let high = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const digit = code === 32 ? 57 : code === 33 ? 25 : code - 35;
    if (digit >= 90) high = (digit - 89) * 90;
    else {
      bytes[n++] = high + digit - 4;
      high = 0;
    }
  }
  return bytes.slice(0, n);
}
