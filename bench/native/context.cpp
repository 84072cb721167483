// The decoder of packets under a context prior in C++, an implementation of its own: how far the Wasm kernel is from what the machine allows.
// Started by `npm run bench:context`, but useful alone:
//   context JOB
// decodes every packet of a job file, compares all symbols, and prints {"packets", "decodeMs"}: how many, and the median of single calls. Packets with
// static rows are left out. bench/context.ts writes job files. A tensor is [items, C, h, w].
#include "context-net.h"
#include "escape.h"
#include <algorithm>
#include <chrono>

using namespace context;

struct StaticRow {
  int32_t offset;
  std::vector<uint32_t> cdf;
};

struct Packet {
  std::vector<uint8_t> bytes;
  std::vector<int16_t> symbols;
};

struct Job {
  std::vector<uint8_t> parameters;
  std::vector<StaticRow> rows;
  uint32_t items, h, w;
  std::vector<Packet> packets;
};

static Job readJob(const char* path) {
  FILE* file = fopen(path, "rb");
  if (!file) fail("the job file cannot be read");
  auto bytes = [file](void* to, size_t count) {
    if (fread(to, 1, count, file) != count) fail("the job file ends too early");
  };
  auto word = [&bytes]() {
    uint32_t v;
    return bytes(&v, 4), v;
  };
  Job job;
  job.parameters.resize(word()), bytes(job.parameters.data(), job.parameters.size());
  job.rows.resize(word());
  for (StaticRow& row : job.rows) {
    row.offset = (int32_t)word();
    row.cdf.resize(word());
    for (uint32_t& bound : row.cdf) bound = word();
  }
  job.items = word(), job.h = word(), job.w = word();
  job.packets.resize(word());
  for (Packet& packet : job.packets) {
    packet.bytes.resize(word()), bytes(packet.bytes.data(), packet.bytes.size());
    packet.symbols.resize(size_t(job.items) * job.rows.size() * job.h * job.w);
    bytes(packet.symbols.data(), packet.symbols.size() * 2);
  }
  fclose(file);
  return job;
}

// One lane: docs/format.md section 3.1.
struct Stream {
  uint64_t x = 0;
  const uint8_t *words, *end;

  // Of a full packet of one part that uses its context.
  explicit Stream(const std::vector<uint8_t>& packet) {
    const uint8_t *p = packet.data() + 4, second = p[-3], third = p[-2], control = p[-1];
    auto varint = [&p]() {
      uint32_t v = 0, shift = 0;
      for (; *p >= 0x80; shift += 7) v |= (uint32_t)(*p++ & 0x7f) << shift;
      return v | (uint32_t)*p++ << shift;
    };
    if (third & 0x40 || control & 0xf7) fail("this is no packet of one part and one lane");
    p += second & 2 ? 4 : 0;
    for (int d = (third >> 3 & 7) - (second >> 2 & 1); d > 0; d--) varint();
    end = packet.data() + packet.size() - (second & 1 ? 4 : 0);
    const uint32_t escapes = control & 8 ? varint() : 0;
    end -= escapes, escapeReader = end;
    const size_t length = size_t(end - p), head = length < 9 ? length : 5 + (length - 5) % 4;
    for (size_t i = 0; i < head; i++) x |= (uint64_t)*p++ << (8 * i);
    words = p;
  }
  uint32_t slot() const { return (uint32_t)x & 0xffff; }
  void take(uint32_t cum, uint32_t freq) {
    x = freq * (x >> 16) + slot() - cum;
    if (x >> 31 == 0 && words < end) {
      uint32_t word;
      memcpy(&word, words, 4);
      x = x << 32 | word, words += 4;
    }
  }
};

template <int H, int Z> struct Decoder {
  const Job& job;
  Net<H, Z> net;
  std::vector<bool> isActive;

  Decoder(const Job& of, Reader in, int taps) : job(of), net((int)of.h, (int)of.w), isActive(of.rows.size()) {
    if (in.varint() != (int32_t)job.rows.size()) fail("the parameters are for another number of channels");
    net.channels.resize((size_t)in.varint());
    for (auto& channel : net.channels) channel.index = in.varint(), isActive[(size_t)channel.index] = true;
    for (auto& channel : net.channels) channel.read(in, taps, &channel == &net.channels.back());
    if (in.p != in.end) fail("the parameters are too long");
  }

  void decode(const Packet& packet, int16_t* out) {
    Stream s(packet.bytes);
    const size_t plane = size_t(job.h) * job.w, item = job.rows.size() * plane;
    for (uint32_t i = 0; i < job.items; i++)
      net.run([&](const Channel<H, Z>& channel, int position, const Distribution& d) {
        const uint32_t slot = s.slot();
        int32_t v;
        if (__builtin_expect(slot == 65535, 0)) {
          s.take(65535, 1);
          v = readEscape(0, 0);
        } else {
          v = d.start();
          uint32_t low = d.cum(v), high = d.cum(v + 1);
          while (slot < low) v--, high = low, low = d.cum(v);
          while (slot >= high) v++, low = high, high = d.cum(v + 1);
          s.take(low, high - low);
        }
        out[i * item + (size_t)channel.index * plane + (size_t)position] = (int16_t)v;
        return v;
      });
    for (uint32_t i = 0; i < job.items; i++)
      for (size_t c = 0; c < job.rows.size(); c++)
        if (!isActive[c])
          for (size_t p = 0; p < plane; p++) out[i * item + c * plane + p] = (int16_t)decodeStatic(s, job.rows[c]);
    if (s.x != 0 || s.words != s.end) fail("a stream does not end where its packet ends");
  }

  static int32_t decodeStatic(Stream& s, const StaticRow& row) {
    uint32_t k = 0;
    while (row.cdf[k + 1] <= s.slot()) k++;
    s.take(row.cdf[k], row.cdf[k + 1] - row.cdf[k]);
    const uint32_t max = (uint32_t)row.cdf.size() - 2;
    return k == max ? readEscape(row.offset, max) : row.offset + (int32_t)k;
  }
};

template <int H, int Z> void work(const Job& job, const Reader& in, int taps) {
  using Clock = std::chrono::steady_clock;
  Decoder<H, Z> decoder(job, in, taps);
  std::vector<double> ms;
  for (const Packet& packet : job.packets) {
    if (packet.bytes[3] & 4) continue; // a section says that the rows are static
    std::vector<int16_t> out(packet.symbols.size());
    const auto began = Clock::now();
    decoder.decode(packet, out.data());
    ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - began).count());
    if (out != packet.symbols) fail("a packet does not give back its symbols");
  }
  if (ms.empty()) fail("no packet uses its context");
  std::nth_element(ms.begin(), ms.begin() + (long)ms.size() / 2, ms.end());
  printf("{\"packets\":%zu,\"decodeMs\":%.4f}\n", ms.size(), ms[ms.size() / 2]);
}

template <int H> void chooseSecond(int z, const Job& job, const Reader& in, int taps) {
  if (z == 1) work<H, 8>(job, in, taps);
  else if (z == 2) work<H, 16>(job, in, taps);
  else if (z == 3) work<H, 24>(job, in, taps);
  else work<H, 32>(job, in, taps);
}

int main(int argc, char** argv) {
  if (argc != 2) fail("usage: context JOB");
  const Job job = readJob(argv[1]);
  if (job.packets.empty()) fail("the job has no packets");
  initLogistic();
  const std::vector<uint8_t>& bytes = job.parameters;
  if (bytes.size() < 16 || memcmp(bytes.data(), "LWC\1", 4)) fail("these are no parameters of a context");
  const Reader in = {bytes.data() + 7, bytes.data() + bytes.size() - 8};
  const int h = bytes[4], z = bytes[5], taps = bytes[6];
  if (h == 4) chooseSecond<32>(z, job, in, taps);
  else if (h == 8) chooseSecond<64>(z, job, in, taps);
  else chooseSecond<128>(z, job, in, taps);
}
