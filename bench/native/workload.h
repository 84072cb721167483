// The workload file that bench/native.ts writes: little-endian 32-bit words, described there.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

struct Row {
  int32_t offset;
  std::vector<uint32_t> cdf;
};

struct Workload {
  uint32_t run; // how many symbols in turn share a row; 0 where each has its own
  std::vector<Row> rows;
  std::vector<uint16_t> rowOf; // one per symbol
  std::vector<int32_t> symbols;
};

[[noreturn]] inline void fail(const char* why) {
  fprintf(stderr, "%s\n", why);
  exit(1);
}

inline Workload readWorkload(const char* path) {
  FILE* file = fopen(path, "rb");
  if (!file) fail("the workload file cannot be read");
  std::vector<uint32_t> words(1 << 24);
  words.resize(fread(words.data(), 4, words.size(), file));
  fclose(file);
  size_t at = 0;
  auto next = [&]() -> uint32_t {
    if (at >= words.size()) fail("the workload file ends too early");
    return words[at++];
  };
  if (next() != 0x3142574c) fail("this is no workload file");
  Workload w;
  const uint32_t n = next();
  w.run = next();
  w.rows.resize(next());
  for (Row& row : w.rows) {
    row.offset = (int32_t)next();
    row.cdf.resize(next());
    for (uint32_t& bound : row.cdf) bound = next();
  }
  for (uint32_t i = 0; i < n; i++) w.rowOf.push_back((uint16_t)next());
  for (uint32_t i = 0; i < n; i++) w.symbols.push_back((int32_t)next());
  return w;
}
