// Bytes as printable ASCII for a double-quoted string; bindings/instantiate.ts reads it and says why. The byte plus 4
// (so that 0xfd, the SIMD
// prefix, and small negative numbers become small) is one digit where it is below 90; else a digit 90 or 91 stands
// before it.
// Digits begin at "#"; a space and "!" stand in for "\" and for "<", which could end a script element.
export function toText(bytes) {
  const digit = (value) => (value === 57 ? " " : value === 25 ? "!" : String.fromCharCode(35 + value));
  return Array.from(bytes, (byte) => {
    const value = (byte + 4) & 255;
    return value < 90 ? digit(value) : digit(89 + Math.floor(value / 90)) + digit(value % 90);
  }).join("");
}
