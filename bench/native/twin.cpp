// The codec's streams of 16 and 32 lanes in C++: how far the Wasm kernels are from what the machine allows. Started by `npm run bench:native`, but useful alone:
//   twin WORKLOAD MILLISECONDS FOLDER
// codes the symbols of a workload file, prints a JSON array of {codec, op, lanes, msymPerSecond, bytes} and leaves each stream in FOLDER/CODEC.bin.
#include "stream.h"
#include <algorithm>
#include <chrono>
#include <string>

// Median seconds of a call, in groups of at least 20 microseconds, so that reading the clock does not count.
template <class Call> double medianSeconds(Call call, double seconds) {
  using Clock = std::chrono::steady_clock;
  auto now = [] { return std::chrono::duration<double>(Clock::now().time_since_epoch()).count(); };
  int group = 1;
  for (double began = now(); call(), now() - began < 2e-5;) group++;
  std::vector<double> samples;
  for (const double stop = now() + seconds, warm = now() + seconds / 3; now() < stop || samples.size() < 5;) {
    const double began = now();
    for (int i = 0; i < group; i++) call();
    if (began > warm) samples.push_back((now() - began) / group);
  }
  std::nth_element(samples.begin(), samples.begin() + (long)samples.size() / 2, samples.end());
  return samples[samples.size() / 2];
}

int main(int argc, char** argv) {
  if (argc != 4) fail("usage: twin WORKLOAD MILLISECONDS FOLDER");
  const Workload w = readWorkload(argv[1]);
  const double seconds = atof(argv[2]) / 1000;
  initLanes();
  const Table table(w.rows);
  const uint32_t n = (uint32_t)w.symbols.size(), run = w.run ? w.run : 1;
  std::vector<uint16_t> rows;
  for (uint32_t i = 0; i < n; i += run) rows.push_back(w.rowOf[i]);
  const Job job = {table, w.symbols.data(), rows.data(), n, run};
  std::vector<uint8_t> room(size_t(n) * 16 + 4096);
  std::vector<int32_t> out(n);
  std::string report;
  struct { const char* name; uint32_t lanes; } const codecs[] = {{"native-32", 32}, {"native-16", 16}};
  for (const auto& codec : codecs) {
    auto encode = [&] { return encodeLanes(job, codec.lanes, room); };
    std::vector<uint8_t> stream = encode();
    const size_t bytes = stream.size();
    FILE* file = fopen((std::string(argv[3]) + "/" + codec.name + ".bin").c_str(), "wb");
    if (!file || fwrite(stream.data(), 1, bytes, file) != bytes || fclose(file)) fail("the stream cannot be written");
    stream.resize(bytes + 128);
    auto decode = [&] { decodeLanes(job, stream.data(), stream.data() + bytes, out.data()); };
    decode();
    if (out != w.symbols) fail("a stream does not give back its symbols");
    auto add = [&](const char* op, double time) {
      char line[200];
      snprintf(line, sizeof line, "%s{\"codec\":\"%s\",\"op\":\"%s\",\"lanes\":%u,\"msymPerSecond\":%.2f,\"bytes\":%zu}", report.empty() ? "" : ",", codec.name, op, codec.lanes, n / time / 1e6, bytes);
      report += line;
    };
    add("encode", medianSeconds(encode, seconds));
    add("decode", medianSeconds(decode, seconds));
  }
  printf("[%s]\n", report.c_str());
}
