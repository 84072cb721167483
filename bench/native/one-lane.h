// The 64-bit-state coder of assembly/single.ts: the native one-lane stream and CompressAI's (docs/format.md sections 3.1 and 4).
#pragma once
#include "stream.h"

constexpr uint64_t LOW = 1ull << 31;

struct Lane64 {
  uint64_t x = 0;
  uint8_t* w = nullptr;

  void putNibble(uint64_t v) {
    if (x >= 1ull << 59) w -= 4, memcpy(w, &x, 4), x >>= 32;
    x = x << 4 | v;
  }

  void putRaw(uint64_t raw) {
    int count = 0;
    while (raw >> (4 * count)) count++;
    for (int j = count - 1; j >= 0; j--) putNibble(raw >> (4 * j) & 15);
    putNibble((uint64_t)count);
  }

  void next() {
    uint32_t word;
    memcpy(&word, w, 4);
    x = x << 32 | word, w += 4;
  }

  uint32_t takeNibble() {
    const uint32_t v = x & 15;
    if ((x >>= 4) < LOW) next();
    return v;
  }
};

inline std::vector<uint8_t> encode64(const Job& job, bool compressai, std::vector<uint8_t>& room) {
  uint8_t* const escapesEnd = room.data() + room.size();
  escapeWriter = escapesEnd;
  uint8_t* const end = room.data() + room.size() / 2;
  Lane64 rare;
  uint64_t x = compressai ? LOW : 0;
  uint8_t* w = end;
  for (uint32_t r = (job.n - 1) / job.run + 1; r-- > 0;) {
    const Record& record = job.table.records[job.rows[r]];
    const uint32_t from = r * job.run, to = from + job.run < job.n ? from + job.run : job.n;
    for (uint32_t i = to; i-- > from;) {
      uint32_t k = (uint32_t)(job.symbols[i] - record.offset);
      if (__builtin_expect(k >= record.max, 0)) {
        if (compressai) {
          rare.x = x, rare.w = w;
          rare.putRaw(toRaw(job.symbols[i], record.offset, record.max));
          x = rare.x, w = rare.w;
        } else writeEscape(job.symbols[i], record.offset, record.max);
        k = record.max;
      }
      const Entry e = record.entries[k];
      const uint64_t freq = e.freq ? e.freq : 65536;
      if (x >= freq << 47) w -= 4, memcpy(w, &x, 4), x >>= 32;
      const uint64_t q = x / freq;
      x = (q << 16) + (x - q * freq) + e.cum;
    }
  }
  std::vector<uint8_t> out;
  const size_t escapes = (size_t)(escapesEnd - escapeWriter);
  if (!compressai) {
    out.push_back(escapes ? 8 : 0);
    if (escapes) {
      size_t v = escapes;
      for (; v >= 0x80; v >>= 7) out.push_back((uint8_t)(v | 0x80));
      out.push_back((uint8_t)v);
    }
  }
  size_t stored = compressai ? 8 : w == end ? 0 : 5;
  while (stored < 8 && x >> (8 * stored)) stored++;
  out.insert(out.end(), (uint8_t*)&x, (uint8_t*)&x + stored);
  out.insert(out.end(), w, end);
  out.insert(out.end(), escapeWriter, escapesEnd);
  return out;
}

inline void decode64(const Job& job, const uint8_t* p, const uint8_t* end, bool compressai, int32_t* out) {
  const uint8_t* wordsEnd = end;
  size_t stored = 8;
  if (!compressai) {
    if (*p++ & 8) {
      uint32_t v = 0, shift = 0;
      for (; *p >= 0x80; shift += 7) v |= (uint32_t)(*p++ & 0x7f) << shift;
      wordsEnd = end - (v | (uint32_t)*p++ << shift);
    }
    escapeReader = wordsEnd;
    const size_t bytes = (size_t)(wordsEnd - p);
    stored = bytes <= 8 ? bytes : 5 + ((bytes - 5) & 3);
  }
  uint64_t x = 0;
  memcpy(&x, p, stored);
  p += stored;
  Lane64 rare;
  for (uint32_t r = 0, i = 0; i < job.n; r++) {
    const uint32_t row = job.rows[r], to = i + job.run < job.n ? i + job.run : job.n;
    const Bucket* buckets = job.table.buckets.data() + ((size_t)row << BUCKET_BITS);
    // In runs the row's mode is tried first, without a look-up (W2 400 Msym/s against 293); with a row each that loses (W1 161 against 250).
    const Entry mode = job.run > 1 ? job.table.records[row].entries[job.table.modes[row]] : Entry{0, 0, 0};
    const int32_t modeValue = job.table.records[row].offset + (int32_t)job.table.modes[row];
    for (; i < to; i++) {
      const uint32_t slot = x & 0xffff;
      if (slot - mode.cum < mode.freq) {
        x = mode.freq * (x >> 16) + (slot - mode.cum);
        if (__builtin_expect(x < LOW, 0) && p < wordsEnd) {
          uint32_t word;
          memcpy(&word, p, 4);
          x = x << 32 | word, p += 4;
        }
        out[i] = modeValue;
        continue;
      }
      const Bucket bucket = buckets[slot >> BUCKET_SHIFT];
      uint32_t freq = bucket.freqA, rest = slot - bucket.cumA;
      int32_t value = bucket.valueA;
      if (rest >= freq) rest -= freq, freq = bucket.freqB, value++;
      if (__builtin_expect(freq != 0, 1)) x = freq * (x >> 16) + rest;
      else {
        const Record& record = job.table.records[row];
        const uint32_t k = findEntry(record, slot);
        const Entry e = record.entries[k];
        x = (e.freq ? e.freq : 65536ull) * (x >> 16) + (slot - e.cum);
        value = record.offset + (int32_t)k;
        if (k == record.max) {
          if (!compressai) value = readEscape(record.offset, record.max);
          else {
            rare.x = x, rare.w = (uint8_t*)p;
            if (x < LOW) rare.next();
            const uint32_t count = rare.takeNibble();
            uint64_t raw = 0;
            for (uint32_t j = 0; j < count; j++) raw |= (uint64_t)rare.takeNibble() << (4 * j);
            value = fromRaw(raw, record.offset, record.max);
            x = rare.x, p = rare.w;
          }
        }
      }
      if (x < LOW && p < wordsEnd) {
        uint32_t word;
        memcpy(&word, p, 4);
        x = x << 32 | word, p += 4;
      }
      out[i] = value;
    }
  }
}
