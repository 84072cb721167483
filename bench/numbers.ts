export function number(value: number, digits = 0): string {
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Three digits where they matter: 0.042, 1.35, 23.4, 321. */
export function milliseconds(value: number): string {
  return `${number(value, value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0)} ms`;
}
