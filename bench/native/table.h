// What assembly/table.ts and assembly/window.ts build, for C++.
#pragma once
#include "workload.h"
#include <cstring>

// freq 65536 (a row of one entry) is stored as 0, as in assembly/table.ts.
struct Entry {
  uint16_t freq, cum;
  uint32_t reciprocal;
};

// Entry A, the first that reaches into the bucket's 256 slots, and B, the next; freq 0: search.
struct Bucket {
  uint16_t freqA, cumA, freqB;
  int16_t valueA;
};

struct Record {
  const Entry* entries;
  uint32_t max;
  int32_t offset;
};

// Byte y of each list belongs to the value top - y.
struct alignas(16) Window {
  uint8_t freqLow[16], freqHigh[16], cumLow[16], cumHigh[16], reciprocal[4][16];
  uint16_t bounds[8];
  uint16_t width; // of the used entries, in slots
  int16_t top;
  bool pays;
};

constexpr uint32_t BUCKET_BITS = 8, BUCKET_SHIFT = 16 - BUCKET_BITS, ENCODE_WINDOW = 256;

struct Table {
  std::vector<std::vector<Entry>> entries;
  std::vector<Record> records;
  std::vector<Bucket> buckets;
  std::vector<Window> decodeWindows, encodeWindows;
  std::vector<Entry> encodeRows; // the values -128 .. 127 of every row

  explicit Table(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
      std::vector<Entry> list;
      for (size_t k = 0; k + 1 < row.cdf.size(); k++) {
        const uint32_t freq = row.cdf[k + 1] - row.cdf[k];
        list.push_back({(uint16_t)freq, (uint16_t)row.cdf[k], 0xffffffffu / freq});
      }
      entries.push_back(list);
    }
    for (size_t r = 0; r < rows.size(); r++) {
      const Record record = {entries[r].data(), (uint32_t)entries[r].size() - 1, rows[r].offset};
      records.push_back(record);
      addBuckets(record, rows[r].cdf);
      decodeWindows.push_back(window(record, rows[r].cdf, 5, 256, false));
      encodeWindows.push_back(window(record, rows[r].cdf, 15, 1024, true));
      for (int value = -128; value < 128; value++) {
        const uint32_t k = (uint32_t)(value - record.offset);
        encodeRows.push_back(k < record.max ? record.entries[k] : Entry{0, 0, 0});
      }
    }
  }

private:
  void addBuckets(const Record& record, const std::vector<uint32_t>& cdf) {
    uint32_t k = 0;
    for (uint32_t low = 0; low < 65536; low += 1 << BUCKET_SHIFT) {
      while (cdf[k + 1] <= low) k++;
      Bucket bucket = {0, 0, 0, (int16_t)(record.offset + (int32_t)k)};
      if (k < record.max) {
        bucket.freqA = record.entries[k].freq;
        bucket.cumA = record.entries[k].cum;
        if (k + 1 < record.max && cdf[k + 2] >= low + (1 << BUCKET_SHIFT)) bucket.freqB = record.entries[k + 1].freq;
      }
      buckets.push_back(bucket);
    }
  }

  static Window window(const Record& record, const std::vector<uint32_t>& cdf, uint32_t width, uint32_t outside, bool encode) {
    const uint32_t used = record.max < width ? record.max : width;
    uint32_t first = 0, mass = 0;
    for (uint32_t a = 0; a + used <= record.max; a++)
      if (cdf[a + used] - cdf[a] > mass) mass = cdf[a + used] - cdf[first = a];
    Window w = {};
    w.top = (int16_t)(record.offset + (int32_t)(first + width));
    w.width = (uint16_t)mass;
    w.pays = used > 0 && mass + outside >= 65536;
    for (uint32_t j = 0; j <= width; j++) {
      const uint32_t y = width - j;
      if (j < used) {
        const Entry e = record.entries[first + j];
        w.freqLow[y] = (uint8_t)e.freq, w.freqHigh[y] = (uint8_t)(e.freq >> 8);
        w.cumLow[y] = (uint8_t)e.cum, w.cumHigh[y] = (uint8_t)(e.cum >> 8);
        for (int b = 0; b < 4; b++) w.reciprocal[b][y] = (uint8_t)(e.reciprocal >> (8 * b));
      }
      const uint32_t bound = j <= used && cdf[first + j] < 65535 ? cdf[first + j] : 65535;
      if (!encode) w.bounds[j] = (uint16_t)bound;
    }
    return w;
  }
};

inline uint32_t findEntry(const Record& record, uint32_t slot) {
  uint32_t low = 0, high = record.max;
  while (low < high) {
    const uint32_t middle = (low + high + 1) >> 1;
    if (record.entries[middle].cum <= slot) low = middle;
    else high = middle - 1;
  }
  return low;
}
