// The network of a context prior and the way of its decoder through one item: docs/format.md section 10 in C++, written from that document alone.
// 128-bit vectors only, as in Wasm.
#pragma once
#include "workload.h"
#include <cmath>
#include <cstring>
#include <immintrin.h>

namespace context {

using V = __m128i;
#define UNROLL _Pragma("GCC unroll 16")
// A cell as the network takes it: p in the low half, |p| in the high half.
using Pair = uint32_t;
using Weights = int16_t[2];

inline V splat(uint32_t pair) { return _mm_set1_epi32((int32_t)pair); }
inline Pair pairOf(int32_t v) {
  const int32_t p = v < -511 ? -511 : v > 511 ? 511 : v;
  return (uint32_t)(p & 0xffff) | (uint32_t)(p < 0 ? -p : p) << 16;
}
// max(a, a >> 3) >> shift of 8 values, saturated to 16 bits.
inline V activate(V a, V b, int shift) {
  auto leaky = [shift](V v) { return _mm_srai_epi32(_mm_max_epi32(v, _mm_srai_epi32(v, 3)), shift); };
  return _mm_packs_epi32(leaky(a), leaky(b));
}

constexpr int TAPS[20][2] = {{0, -1}, {-1, 0}, {-1, -1}, {-1, 1}, {0, -2}, {-2, 0}, {-2, -1}, {-2, 1}, {-1, -2}, {-1, 2}, {-2, -2}, {-2, 2},
                             {0, -3}, {-3, 0}, {-3, -1}, {-3, 1}, {-1, -3}, {-1, 3}, {-2, 3}, {-2, -3}};
constexpr int EDGE = 3; // cells that a tap reaches beyond a plane
// Taps above are numbered by where a row of bits shows them: 7 of the row above, 7 of the second, 3 of the third.
constexpr int ABOVE = 17;
constexpr int bitOf(int dy, int dx) { return dy == -1 ? dx + 3 : dy == -2 ? dx + 10 : dx + 15; }

struct Reader {
  const uint8_t *p, *end;
  uint8_t byte() { return p < end ? *p++ : (fail("the parameters end too early"), 0); }
  int32_t varint() {
    uint32_t v = 0;
    for (int shift = 0;; shift += 7) {
      const uint32_t b = byte();
      v |= (b & 127) << shift;
      if (b < 128) return (int32_t)v;
    }
  }
  // A row of n weights, each an int8 << shift; the first goes to `to`, the next `stride` behind it.
  void weights(int16_t* to, int n, int stride) {
    const int shift = byte();
    for (int i = 0; i < n; i++) to[i * stride] = (int16_t)((int8_t)byte() * (1 << shift));
  }
  int32_t little(int bytes) {
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint32_t)byte() << (8 * i);
    return bytes == 2 ? (int16_t)v : (int32_t)v;
  }
};

// Weights of two features lie side by side, as pmaddwd takes them.
template <int H, int Z> struct alignas(16) Channel {
  Weights above[ABOVE][H], left[EDGE][H], next[9][H], around[H];
  Weights w2[H / 2][Z + 4], w3[Z / 2][4];
  int32_t b[Z + 4];
  int16_t run[H], bias[H], top[H], bottom[H], first[H], last[H];
  int32_t index, lo, hi;
  uint32_t aboveMask;

  void read(Reader& in, int taps, bool lastChannel) {
    lo = in.varint();
    lo = lo & 1 ? -((lo + 1) >> 1) : lo >> 1;
    hi = lo + in.varint();
    for (int t = 0; t < taps; t++) {
      const auto [dy, dx] = TAPS[t];
      auto& row = dy == 0 ? left[-dx - 1] : above[bitOf(dy, dx)];
      if (dy) aboveMask |= 1u << bitOf(dy, dx);
      for (int half = 0; half < 2; half++) in.weights(&row[0][half], H, 2);
    }
    in.weights(run, H, 1);
    for (int f = 0; f < 20 && !lastChannel; f++) in.weights(&(f < 18 ? next[f / 2] : around)[0][f % 2], H, 2);
    int16_t row[H];
    for (int j = 0; j < Z + 2; j++) {
      in.weights(row, H, 1);
      for (int i = 0; i < H; i++) w2[i / 2][j][i % 2] = row[i];
    }
    for (int c = 0; c < 2; c++) {
      in.weights(row, Z, 1);
      for (int j = 0; j < Z; j++) w3[j / 2][c][j % 2] = row[j];
    }
    for (int16_t* list : {bias, top, bottom, first, last})
      for (int i = 0; i < H; i++) list[i] = (int16_t)in.little(2);
    for (int j = 0; j < Z + 2; j++) b[j] = in.little(4);
  }
};

inline int32_t MANTISSAS[16];
inline uint16_t LOGISTIC[3073];

inline void initLogistic() {
  for (int i = 0; i < 16; i++) MANTISSAS[i] = (int32_t)std::lround(1024 * std::exp2(i / 16.0));
  for (int i = 0; i <= 3072; i++) LOGISTIC[i] = (uint16_t)std::min(65535L, std::lround(65536 / (1 + std::exp(-(i - 1536) / 128.0))));
}

// The row of one symbol. `e`: the two outputs of the network.
struct Distribution {
  int32_t mu, mantissa, shift, lo, hi;

  Distribution(int32_t e0, int32_t e1, int32_t low, int32_t high) : mu(e0 >> 10), lo(low), hi(high) {
    const int32_t wide = e1 >> 14, l = wide < -92 ? -92 : wide > 128 ? 128 : wide;
    mantissa = MANTISSAS[l & 15], shift = 11 - (l >> 4);
  }
  int32_t start() const {
    const int32_t v = (mu + 128) >> 8;
    return v < lo ? lo : v > hi ? hi : v;
  }
  uint32_t cum(int32_t v) const {
    if (v <= lo) return 0;
    if (v > hi) return 65535;
    const int32_t wide = 256 * v - mu - 128, limit = 1 << 19, d = wide < -limit ? -limit : wide > limit ? limit : wide;
    const int32_t scaled = (d * mantissa) >> shift, u = scaled < -1536 ? -1536 : scaled > 1536 ? 1536 : scaled;
    return ((uint32_t)LOGISTIC[u + 1536] * (uint32_t)(65536 - (hi - lo + 2)) >> 16) + (uint32_t)(v - lo);
  }
};

template <int H, int Z> class Net {
  static constexpr int HV = H / 4, ZV = Z / 4, OUT = ZV + 1, CHUNK = 8;

  const int h, w, pitch;
  std::vector<V> state, row; // H per position; H per position of a row, without the cells to the left
  std::vector<Pair> planes[2], around; // with their edges; ring and glob per position
  std::vector<uint8_t> bits[2]; // of a plane with its edges, which cells are not 0
  size_t bitPitch;

public:
  std::vector<Channel<H, Z>> channels;

  Net(int height, int width) : h(height), w(width), pitch(width + 2 * EDGE), state(size_t(h) * w * HV), row(size_t(w) * HV), around(size_t(h) * w), bitPitch(size_t(pitch) / 8 + 8) {
    for (int i = 0; i < 2; i++) planes[i].resize(size_t(h + 2 * EDGE) * pitch), bits[i].resize(size_t(h + 2 * EDGE) * bitPitch);
  }

  // One item. `code(channel, position, distribution)` gives the symbol.
  template <class Code> void run(Code code) {
    memset((void*)state.data(), 0, state.size() * sizeof(V));
    alignas(16) int32_t base[H];
    for (size_t k = 0; k < channels.size(); k++) {
      const Channel<H, Z>& c = channels[k];
      const Channel<H, Z>* before = k ? &channels[k - 1] : nullptr;
      Pair* const plane = planes[k & 1].data();
      uint8_t* const nonzero = bits[k & 1].data();
      memset(plane, 0, planes[0].size() * sizeof(Pair)), memset(nonzero, 0, bits[0].size());
      int64_t sum = 0;
      for (int y = 0; y < h; y++) {
        const int32_t run = y ? (int32_t)((64 * sum + (w * y >> 1)) / (w * y)) : 0;
        for (int i = 0; i < H; i++) base[i] = c.bias[i] + run * c.run[i] + (y == 0 ? c.top[i] : 0) + (y == h - 1 ? c.bottom[i] : 0);
        if (y == 0 && before)
          for (int x = 0; x < w; x++) addBefore(*before, k, 0, x);
        for (int x = 0; x < w; x++) addAbove(c, k, y, x, base);
        Pair* const cells = plane + (y + EDGE) * pitch + EDGE;
        for (int x = 0; x < w; x++) {
          // The next row's share of the channel before fills the time in which the chain from symbol to symbol waits.
          if (before && y + 1 < h) addBefore(*before, k, y + 1, x);
          const int32_t v = code(c, y * w + x, distribution(c, x, cells + x));
          const Pair pair = cells[x] = pairOf(v);
          sum += pair >> 16;
          if (v) nonzero[size_t(y + EDGE) * bitPitch + size_t(x + EDGE) / 8] |= (uint8_t)(1 << (x + EDGE) % 8);
        }
      }
      if (k + 1 < channels.size()) findAround(plane, (uint32_t)((64 * sum + (h * w >> 1)) / (h * w)));
    }
  }

private:
  // The bits of the cells from x - 3 on, in a row that counts its edge.
  uint32_t bitsAt(const uint8_t* nonzero, int y, int x) const {
    uint32_t word;
    memcpy(&word, nonzero + size_t(y) * bitPitch + size_t(x) / 8, 4);
    return word >> x % 8;
  }

  static void add(V* a, Pair pair, const Weights* weights) {
    const V s = splat(pair);
    UNROLL for (int i = 0; i < CHUNK; i++) a[i] = _mm_add_epi32(a[i], _mm_madd_epi16(s, _mm_load_si128((const V*)weights + i)));
  }

  void addBefore(const Channel<H, Z>& c, size_t k, int y, int x) {
    const Pair* cells = planes[~k & 1].data() + (y + EDGE) * pitch + x + EDGE;
    const uint8_t* nonzero = bits[~k & 1].data();
    const uint32_t mask = (bitsAt(nonzero, y + 2, x) >> 2 & 7) | (bitsAt(nonzero, y + 3, x) >> 2 & 7) << 3 | (bitsAt(nonzero, y + 4, x) >> 2 & 7) << 6;
    const int offsets[9] = {-pitch - 1, -pitch, -pitch + 1, -1, 0, 1, pitch - 1, pitch, pitch + 1};
    for (int at = 0; at < HV; at += CHUNK) {
      V a[CHUNK];
      V* const s = &state[size_t(y * w + x) * HV + at];
      memcpy((void*)a, (const void*)s, sizeof a);
      for (uint32_t m = mask; m; m &= m - 1) add(a, cells[offsets[__builtin_ctz(m)]], c.next[__builtin_ctz(m)] + 4 * at);
      add(a, around[size_t(y * w + x)], c.around + 4 * at);
      memcpy((void*)s, (const void*)a, sizeof a);
    }
  }

  void addAbove(const Channel<H, Z>& c, size_t k, int y, int x, const int32_t* base) {
    const Pair* cells = planes[k & 1].data() + (y + EDGE) * pitch + x + EDGE;
    const uint8_t* nonzero = bits[k & 1].data();
    const uint32_t mask = ((bitsAt(nonzero, y + 2, x) & 127) | (bitsAt(nonzero, y + 1, x) & 127) << 7 | (bitsAt(nonzero, y, x) >> 2 & 7) << 14) & c.aboveMask;
    for (int at = 0; at < HV; at += CHUNK) {
      V a[CHUNK];
      UNROLL for (int i = 0; i < CHUNK; i++) a[i] = _mm_add_epi32(state[size_t(y * w + x) * HV + at + i], _mm_load_si128((const V*)base + at + i));
      for (uint32_t m = mask; m; m &= m - 1) {
        const int t = __builtin_ctz(m);
        add(a, cells[t < 7 ? t - 3 - pitch : t < 14 ? t - 10 - 2 * pitch : t - 15 - 3 * pitch], c.above[t] + 4 * at);
      }
      memcpy((void*)&row[size_t(x) * HV + at], (const void*)a, sizeof a);
    }
  }

  Distribution distribution(const Channel<H, Z>& c, int x, const Pair* cells) const {
    alignas(16) int16_t hidden[H], second[Z];
    const uint32_t lefts[EDGE] = {cells[-1], cells[-2], cells[-3]};
    for (int at = 0; at < HV; at += CHUNK) {
      V a[CHUNK];
      memcpy((void*)a, (const void*)&row[size_t(x) * HV + at], sizeof a);
      for (const bool isFirst : {true, false})
        if (x == (isFirst ? 0 : w - 1))
          UNROLL for (int i = 0; i < CHUNK; i++) a[i] = _mm_add_epi32(a[i], _mm_cvtepi16_epi32(_mm_loadl_epi64((const V*)((isFirst ? c.first : c.last) + 4 * (at + i)))));
      for (int t = EDGE - 1; t >= 0; t--) // where there are 12 taps the third has weights of 0
        if (lefts[t]) add(a, lefts[t], c.left[t] + 4 * at);
      UNROLL for (int i = 0; i < CHUNK; i += 2) _mm_store_si128((V*)(hidden + 4 * (at + i)), activate(a[i], a[i + 1], 2));
    }
    V o[OUT];
    UNROLL for (int j = 0; j < OUT; j++) o[j] = _mm_load_si128((const V*)c.b + j);
    for (int i = 0; i < H / 2; i++) {
      uint32_t pair;
      memcpy(&pair, hidden + 2 * i, 4);
      UNROLL for (int j = 0; j < OUT; j++) o[j] = _mm_add_epi32(o[j], _mm_madd_epi16(splat(pair), _mm_load_si128((const V*)c.w2[i] + j)));
    }
    UNROLL for (int j = 0; j < ZV; j += 2) _mm_store_si128((V*)(second + 4 * j), activate(o[j], o[j + 1], 10));
    V e = o[ZV];
    UNROLL for (int i = 0; i < Z / 2; i++) {
      uint32_t pair;
      memcpy(&pair, second + 2 * i, 4);
      e = _mm_add_epi32(e, _mm_madd_epi16(splat(pair), _mm_load_si128((const V*)c.w3[i])));
    }
    return Distribution(_mm_cvtsi128_si32(e), _mm_extract_epi32(e, 1), c.lo, c.hi);
  }

  // ring: the border of the 5x5 around a position; glob: the mean of the plane in 64ths.
  void findAround(const Pair* plane, uint32_t glob) {
    std::vector<uint16_t> three(size_t(h + 2 * EDGE) * w), five(three.size());
    for (int y = 0; y < h + 2 * EDGE; y++)
      for (int x = 0; x < w; x++) {
        const Pair* c = plane + y * pitch + x + EDGE;
        const uint32_t inner = (c[-1] >> 16) + (c[0] >> 16) + (c[1] >> 16);
        three[size_t(y * w + x)] = (uint16_t)inner, five[size_t(y * w + x)] = (uint16_t)(inner + (c[-2] >> 16) + (c[2] >> 16));
      }
    for (int i = 0; i < h * w; i++) {
      const uint16_t *a = &five[size_t(i + w)], *b = &three[size_t(i + 2 * w)];
      const int ring = a[0] + a[w] + a[2 * w] + a[3 * w] + a[4 * w] - b[0] - b[w] - b[2 * w];
      around[size_t(i)] = (uint32_t)ring | glob << 16;
    }
  }
};

} // namespace context
