// The escape section, docs/format.md section 3.3.
#pragma once
#include <cstdint>

inline uint8_t* escapeWriter;
inline const uint8_t* escapeReader;

inline uint64_t toRaw(int32_t value, int32_t offset, uint32_t max) {
  const int64_t u = (int64_t)value - offset;
  return u < 0 ? (uint64_t)(-2 * u - 1) : (uint64_t)(2 * (u - max));
}

inline int32_t fromRaw(uint64_t raw, int32_t offset, uint32_t max) {
  return (int32_t)((raw & 1 ? -(int64_t)((raw + 1) >> 1) : (int64_t)(raw >> 1) + max) + offset);
}

__attribute__((noinline)) inline void writeEscape(int32_t value, int32_t offset, uint32_t max) {
  uint64_t raw = toRaw(value, offset, max);
  for (uint64_t rest = raw >> 7; rest; rest >>= 7) escapeWriter--;
  uint8_t* p = --escapeWriter;
  for (; raw >= 0x80; raw >>= 7) *p++ = (uint8_t)(raw | 0x80);
  *p = (uint8_t)raw;
}

__attribute__((noinline)) inline int32_t readEscape(int32_t offset, uint32_t max) {
  uint64_t raw = 0;
  for (int shift = 0;; shift += 7) {
    const uint64_t byte = *escapeReader++;
    raw |= (byte & 0x7f) << shift;
    if (byte < 0x80) return fromRaw(raw, offset, max);
  }
}
