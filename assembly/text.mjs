// Bytes as printable ASCII for a double-quoted string; bindings/text.ts reads it and says why. One digit, 0 .. 89, where the byte is
// below 90; else a digit 90 or 91 before it. Digits begin at "#"; a space and "!" stand in for "\" and for "<", which could end a script element.
export function toText(bytes) {
  const digit = (value) => (value === 57 ? " " : value === 25 ? "!" : String.fromCharCode(35 + value));
  return Array.from(bytes, (byte) =>
    byte < 90 ? digit(byte) : digit(89 + Math.floor(byte / 90)) + digit(byte % 90),
  ).join("");
}
