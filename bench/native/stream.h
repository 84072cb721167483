// The native stream with 8, 16 or 32 lanes, bare (docs/format.md section 3.2); the counterpart of assembly/interleaved.ts.
#pragma once
#include "encode-lanes.h"

struct Job {
  const Table& table;
  const int32_t* symbols;
  const uint16_t* rows; // one per run
  uint32_t n, run;      // run 1: a row each
};

struct Lanes {
  const Job& job;
  const uint32_t lanes;
  alignas(16) uint32_t states[32] = {};
  uint8_t* words = nullptr;

  Lanes(const Job& j, uint32_t count) : job(j), lanes(count) {}

  uint32_t seedBytes() const { return 2 * (lanes - 1 + lanes / 4); }

  void put(uint32_t lane, uint32_t i) {
    const Record& record = job.table.records[job.rows[i / job.run]];
    const int32_t value = job.symbols[i];
    uint32_t k = (uint32_t)(value - record.offset);
    if (k >= record.max) writeEscape(value, record.offset, k = record.max);
    const Entry e = record.entries[k];
    if (e.freq == 0) return;
    uint32_t x = states[lane];
    if (x >> 16 >= e.freq) words -= 2, *(uint16_t*)words = (uint16_t)x, x >>= 16;
    states[lane] = (x / e.freq << 16) + x % e.freq + e.cum;
  }

  int32_t take(uint32_t& x, uint32_t row) {
    const uint32_t slot = x & 0xffff;
    const Bucket b = job.table.buckets[row << BUCKET_BITS | slot >> BUCKET_SHIFT];
    const bool second = (uint32_t)(slot - b.cumA) >= b.freqA;
    const uint32_t freq = second ? b.freqB : b.freqA;
    if (__builtin_expect(freq != 0, 1)) {
      x = freq * (x >> 16) + slot - b.cumA - (second ? b.freqA : 0);
      return b.valueA + second;
    }
    const Record& record = job.table.records[row];
    const uint32_t k = findEntry(record, slot);
    const Entry e = record.entries[k];
    if (e.freq) x = e.freq * (x >> 16) + slot - e.cum;
    return k == record.max ? readEscape(record.offset, record.max) : record.offset + (int32_t)k;
  }

  void takeWord(uint32_t& x) {
    if (x < 0x10000) x = x << 16 | *(const uint16_t*)words, words += 2;
  }
};

inline uint32_t tailCode(uint32_t t) {
  if (t <= 16) return t & 1 ? 0 : t / 2;
  const uint32_t wide[] = {20, 24, 32, 40, 48, 64};
  for (uint32_t c = 0; c < 6; c++)
    if (wide[c] == t) return 9 + c;
  return t > 64 ? 15 : 0;
}

// Returns the start of the bare stream; it ends at `end`, and its escapes are written below `escapes` first.
inline std::vector<uint8_t> encodeLanes(const Job& job, uint32_t lanes, std::vector<uint8_t>& room) {
  Lanes s(job, lanes);
  uint8_t* const escapesEnd = room.data() + room.size();
  escapeWriter = escapesEnd;
  uint8_t* const end = room.data() + room.size() / 2;
  s.words = end;
  uint32_t coded = 0;
  for (; end - s.words < s.seedBytes() || coded % 32 || !tailCode(coded / 32); coded++) {
    if (coded + 1 >= job.n) fail("too short for so many lanes");
    s.put(0, job.n - 1 - coded);
  }
  const uint8_t* const seeds = end - s.seedBytes();
  const uint8_t* const nibbles = seeds + 2 * (lanes - 1);
  auto nibble = [&](uint32_t j) -> uint32_t { return nibbles[j / 2] >> (j % 2 * 4) & 15; };
  for (uint32_t j = 1; j < lanes; j++)
    s.states[j] = ((j == 1 ? nibble(0) | nibble(1) << 4 : nibble(j)) + 1) << 16 | ((const uint16_t*)seeds)[j - 1];
  const size_t extra = (size_t)(seeds - s.words);
  memmove(end - extra, s.words, extra);
  s.words = end - extra;

  const uint32_t body = job.n - coded, length = job.run > 1 ? job.run : body;
  for (uint32_t first = (body - 1) / length * length;; first -= length) {
    const uint32_t count = first + length < body ? length : body - first, full = count - count % lanes;
    for (uint32_t i = count; i > full; i--) s.put((i - 1) % lanes, first + i - 1);
    const uint16_t* row = job.rows + first / job.run;
    if (job.run == 1) s.words = encodeRows(job.symbols + first, row, full, lanes, job.table, s.words, s.states);
    else if (job.table.encodeWindows[*row].pays) s.words = encodeWindow(job.symbols + first, row, full, lanes, job.table, job.table.encodeWindows[*row], s.words, s.states);
    else for (uint32_t i = full; i > 0; i--) s.put((i - 1) % lanes, first + i - 1);
    if (first == 0) break;
  }

  std::vector<uint8_t> out(1);
  auto varint = [&](size_t v) {
    for (; v >= 0x80; v >>= 7) out.push_back((uint8_t)(v | 0x80));
    out.push_back((uint8_t)v);
  };
  const uint32_t code = tailCode(coded / 32);
  const size_t escapes = (size_t)(escapesEnd - escapeWriter);
  out[0] = (uint8_t)((lanes == 32 ? 3 : lanes / 8) | (escapes ? 8 : 0) | code << 4);
  if (code == 15) varint(coded / 32);
  if (escapes) varint(escapes);
  const size_t head = out.size();
  out.resize(head + lanes / 2);
  uint64_t buffer = 0, filled = 0;
  for (uint32_t j = 0; j < lanes; j++) {
    const uint32_t width = 31 - (uint32_t)__builtin_clz(s.states[j]);
    out[head + j / 2] |= (uint8_t)((width - 16) << (j % 2 * 4));
    buffer |= (uint64_t)(s.states[j] - (1u << width)) << filled;
    for (filled += width; filled >= 8; filled -= 8, buffer >>= 8) out.push_back((uint8_t)buffer);
  }
  if (filled) out.push_back((uint8_t)buffer);
  out.insert(out.end(), s.words, end);
  out.insert(out.end(), escapeWriter, escapesEnd);
  return out;
}

// Decodes what encodeLanes wrote, with 128 readable bytes behind it. Only the kernels' own checks are made: nothing untrusted comes here.
inline void decodeLanes(const Job& job, const uint8_t* p, const uint8_t* end, int32_t* out) {
  const uint8_t control = *p++;
  Lanes s(job, (control & 3) == 3 ? 32 : 8 * (control & 3));
  const uint32_t lanes = s.lanes;
  auto varint = [&]() {
    uint32_t v = 0, shift = 0;
    for (; *p >= 0x80; shift += 7) v |= (uint32_t)(*p++ & 0x7f) << shift;
    return v | (uint32_t)*p++ << shift;
  };
  const uint32_t code = control >> 4, wide[] = {20, 24, 32, 40, 48, 64};
  const uint32_t tail = 32 * (code == 15 ? varint() : code < 9 ? 2 * code : wide[code - 9]);
  const uint8_t* const wordsEnd = control & 8 ? end - varint() : end;
  escapeReader = wordsEnd;
  const uint8_t* bits = p + lanes / 2;
  uint64_t buffer = 0, filled = 0;
  for (uint32_t j = 0; j < lanes; j++) {
    const uint32_t width = 16 + (p[j / 2] >> (j % 2 * 4) & 15);
    for (; filled < width; filled += 8) buffer |= (uint64_t)*bits++ << filled;
    s.states[j] = (uint32_t)(buffer & ((1ull << width) - 1)) | 1u << width;
    buffer >>= width, filled -= width;
  }
  s.words = (uint8_t*)bits;

  const uint32_t body = job.n - tail, length = job.run > 1 ? job.run : body;
  for (uint32_t first = 0; first < body; first += length) {
    const uint32_t count = first + length < body ? length : body - first;
    uint32_t full = count - count % lanes;
    const uint16_t* row = job.rows + first / job.run;
    const Window& w = job.table.decodeWindows[*row];
    const uint8_t* next = s.words;
    if (job.run > 1 && !w.pays) full = 0;
    else if (lanes == 16 && job.run > 1) next = decodeWindow<2>(out + first, row, full, job.table, w, next, wordsEnd, s.states);
    else if (lanes == 32 && job.run > 1) next = decodeWindow<4>(out + first, row, full, job.table, w, next, wordsEnd, s.states);
    else if (lanes == 16) next = decodeRows<2>(out + first, row, full, job.table, next, wordsEnd, s.states);
    else next = decodeRows<4>(out + first, row, full, job.table, next, wordsEnd, s.states);
    s.words = (uint8_t*)next;
    for (uint32_t i = full; i < count; i++) {
      uint32_t& x = s.states[i % lanes];
      out[first + i] = s.take(x, job.rows[(first + i) / job.run]);
      s.takeWord(x);
    }
  }

  alignas(16) uint16_t seeds[40] = {};
  uint8_t* const nibbles = (uint8_t*)(seeds + lanes - 1);
  for (uint32_t j = 1; j < lanes; j++) {
    const uint32_t high = (s.states[j] >> 16) - 1;
    seeds[j - 1] = (uint16_t)s.states[j];
    if (j == 1) nibbles[0] = (uint8_t)high;
    else nibbles[j / 2] |= (uint8_t)(high << (j % 2 * 4));
  }
  const uint8_t *const seedsEnd = (uint8_t*)seeds + s.seedBytes(), *limit = wordsEnd;
  uint32_t x = s.states[0];
  for (uint32_t i = body, r = body / job.run, next = (r + 1) * job.run; i < job.n; i++) {
    if (i == next) r++, next += job.run;
    out[i] = s.take(x, job.rows[r]);
    if (s.words == wordsEnd) s.words = (uint8_t*)seeds, limit = seedsEnd;
    if (s.words != limit) s.takeWord(x);
  }
}
