// The SIMD kernels of assembly/lanes.ts by hand, docs/math.md section 4: the same stream and the same tables, with what x86 has and Wasm lacks
// (16-bit high products, byte shuffles that need no clamp). 128-bit vectors only, as in Wasm.
#pragma once
#include "escape.h"
#include "table.h"
#include <immintrin.h>

using V = __m128i;
#define UNROLL _Pragma("GCC unroll 8")

inline uint8_t spread[256][16], pack8[256][16], pack4[16][16];

inline void initLanes() {
  memset(spread, 0x80, sizeof spread), memset(pack8, 0x80, sizeof pack8), memset(pack4, 0x80, sizeof pack4);
  auto pair = [](uint8_t* at, int word) { at[0] = (uint8_t)(2 * word), at[1] = (uint8_t)(2 * word + 1); };
  for (int m = 0; m < 256; m++)
    for (int lane = 0, word = 0, packed = 8 - __builtin_popcount(m); lane < 8; lane++)
      if (m >> lane & 1) pair(spread[m] + 2 * lane, word++), pair(pack8[m] + 2 * packed++, lane);
  for (int m = 0; m < 16; m++)
    for (int lane = 0, packed = 4 - __builtin_popcount(m); lane < 4; lane++)
      if (m >> lane & 1) pair(pack4[m] + 2 * packed++, 2 * lane);
}

inline V load(const void* p) { return _mm_loadu_si128((const V*)p); }
inline void store(void* p, V v) { _mm_storeu_si128((V*)p, v); }
inline V lows(V a, V b) { return _mm_packus_epi32(_mm_blend_epi16(a, _mm_setzero_si128(), 0xaa), _mm_blend_epi16(b, _mm_setzero_si128(), 0xaa)); }
inline V highs(V a, V b) { return _mm_packus_epi32(_mm_srli_epi32(a, 16), _mm_srli_epi32(b, 16)); }
inline V geU16(V a, V b) { return _mm_cmpeq_epi16(_mm_max_epu16(a, b), a); }
inline bool anyZero16(V a) { return !_mm_testz_si128(_mm_cmpeq_epi16(a, _mm_setzero_si128()), _mm_set1_epi8(-1)); }
inline bool anyZero32(V a) { return !_mm_testz_si128(_mm_cmpeq_epi32(a, _mm_setzero_si128()), _mm_set1_epi8(-1)); }

// Resolves the lanes of a group whose freq is 0, as assembly/rare.ts does. `step`: 1 for a row each, 0 for one row.
__attribute__((noinline)) inline void searchGroup(const Record* records, const uint16_t* rows, int step, V& F, V L, V& E, int32_t* found, uint32_t& patched, int lane) {
  alignas(16) uint16_t f[8], l[8], e[8];
  store(f, F), store(l, L), store(e, E);
  for (int j = 0; j < 8; j++) {
    if (f[j]) continue;
    const Record& record = records[rows[j * step]];
    const uint32_t k = findEntry(record, l[j]);
    f[j] = record.entries[k].freq;
    e[j] = (uint16_t)(l[j] - record.entries[k].cum);
    found[lane + j] = k == record.max ? readEscape(record.offset, record.max) : record.offset + (int32_t)k;
    patched |= 1u << (lane + j);
  }
  F = load(f), E = load(e);
}

// x' = freq * H + E; lanes whose high half became 0 take the next words, in lane order.
template <int G> inline void advance(V (&H)[G], V (&L)[G], const V (&F)[G], const V (&E)[G], const uint8_t*& p) {
  const V zero = _mm_setzero_si128();
  UNROLL for (int g = 0; g < G; g++) {
    const V low = _mm_mullo_epi16(H[g], F[g]), sum = _mm_add_epi16(low, E[g]);
    // The low halves' carry: sum < E. A mask is -1, so adding 1 and the mask of "no carry" adds the carry.
    const V noCarry = geU16(sum, E[g]);
    const V high = _mm_add_epi16(_mm_sub_epi16(_mm_mulhi_epu16(H[g], F[g]), _mm_set1_epi8(-1)), noCarry);
    const V M = _mm_cmpeq_epi16(high, zero);
    const int m = _mm_movemask_epi8(_mm_packs_epi16(M, zero));
    const V W = _mm_shuffle_epi8(load(p), load(spread[m]));
    p += 2 * __builtin_popcount((unsigned)m);
    H[g] = _mm_or_si128(high, _mm_and_si128(sum, M));
    L[g] = _mm_or_si128(_mm_andnot_si128(M, sum), W);
  }
}

template <int G> inline void emit(int32_t* out, const V (&Y)[G], uint32_t patched, const int32_t* found) {
  UNROLL for (int g = 0; g < G; g++) {
    store(out + 8 * g, _mm_cvtepi16_epi32(Y[g]));
    store(out + 8 * g + 4, _mm_srai_epi32(_mm_unpackhi_epi16(Y[g], Y[g]), 16));
  }
  for (; patched; patched &= patched - 1) out[__builtin_ctz(patched)] = found[__builtin_ctz(patched)];
}

template <int G> inline void loadStates(const uint32_t* states, V (&H)[G], V (&L)[G]) {
  UNROLL for (int g = 0; g < G; g++) H[g] = highs(load(states + 8 * g), load(states + 8 * g + 4)), L[g] = lows(load(states + 8 * g), load(states + 8 * g + 4));
}

template <int G> inline void storeStates(uint32_t* states, const V (&H)[G], const V (&L)[G]) {
  UNROLL for (int g = 0; g < G; g++) store(states + 8 * g, _mm_unpacklo_epi16(L[g], H[g])), store(states + 8 * g + 4, _mm_unpackhi_epi16(L[g], H[g]));
}

template <int G> const uint8_t* decodeRows(int32_t* out, const uint16_t* rows, uint32_t count, const Table& table, const uint8_t* p, const uint8_t* end, uint32_t* states) {
  const Bucket* buckets = table.buckets.data();
  V H[G], L[G];
  alignas(16) int32_t found[32];
  loadStates(states, H, L);
  for (uint32_t i = 0; i < count && p <= end; i += 8 * G, out += 8 * G, rows += 8 * G) {
    uint32_t patched = 0;
    V F[G], E[G], Y[G], least = _mm_set1_epi8(-1);
    UNROLL for (int g = 0; g < G; g++) {
      const V b = _mm_add_epi16(_mm_srli_epi16(L[g], BUCKET_SHIFT), _mm_slli_epi16(load(rows + 8 * g), BUCKET_BITS));
      const uint64_t ba = (uint64_t)_mm_cvtsi128_si64(b), bb = (uint64_t)_mm_extract_epi64(b, 1);
      auto two = [&](uint64_t i, uint64_t j) { return _mm_castpd_si128(_mm_loadh_pd(_mm_load_sd((const double*)(buckets + i)), (const double*)(buckets + j))); };
      const V e0 = two(ba & 0xffff, ba >> 16 & 0xffff), e1 = two(ba >> 32 & 0xffff, ba >> 48);
      const V e2 = two(bb & 0xffff, bb >> 16 & 0xffff), e3 = two(bb >> 32 & 0xffff, bb >> 48);
      // 16-bit fields of lanes 0, 1 | 2, 3 | 4, 5 | 6, 7, transposed.
      const V u0 = _mm_unpacklo_epi16(e0, e1), u1 = _mm_unpackhi_epi16(e0, e1), u2 = _mm_unpacklo_epi16(e2, e3), u3 = _mm_unpackhi_epi16(e2, e3);
      const V w0 = _mm_unpacklo_epi16(u0, u1), w1 = _mm_unpackhi_epi16(u0, u1), w2 = _mm_unpacklo_epi16(u2, u3), w3 = _mm_unpackhi_epi16(u2, u3);
      const V FA = _mm_unpacklo_epi64(w0, w2), CA = _mm_unpackhi_epi64(w0, w2), FB = _mm_unpacklo_epi64(w1, w3), VA = _mm_unpackhi_epi64(w1, w3);
      const V D = _mm_sub_epi16(L[g], CA), B = geU16(D, FA);
      F[g] = _mm_blendv_epi8(FA, FB, B), E[g] = _mm_sub_epi16(D, _mm_and_si128(FA, B)), Y[g] = _mm_sub_epi16(VA, B);
      least = _mm_min_epu16(least, F[g]);
    }
    if (__builtin_expect(anyZero16(least), 0))
      UNROLL for (int g = 0; g < G; g++)
        if (anyZero16(F[g])) searchGroup(table.records.data(), rows + 8 * g, 1, F[g], L[g], E[g], found, patched, 8 * g);
    advance(H, L, F, E, p);
    emit(out, Y, patched, found);
  }
  storeStates(states, H, L);
  return p;
}

template <int G> const uint8_t* decodeWindow(int32_t* out, const uint16_t* row, uint32_t count, const Table& table, const Window& w, const uint8_t* p, const uint8_t* end, uint32_t* states) {
  const V middle = _mm_set1_epi16((short)(w.top - 3)), width = _mm_set1_epi16((short)w.width), zero = _mm_setzero_si128();
  V bound[6], H[G], L[G];
  alignas(16) int32_t found[32];
  for (int k = 0; k < 6; k++) bound[k] = _mm_set1_epi16((short)w.bounds[k]);
  loadStates(states, H, L);
  for (uint32_t i = 0; i < count && p <= end; i += 8 * G, out += 8 * G) {
    uint32_t patched = 0;
    V F[G], E[G], Y[G], inside[G], least = _mm_set1_epi8(-1);
    UNROLL for (int g = 0; g < G; g++) {
      // d = L - bound mod 2^16: a bound above the slot wraps to more than any below it. So the least is slot - cum, and the greatest is
      // slot - (cum + freq): 5 instructions deep, where counting bounds and looking freq up is 10 (16 lanes on W2: 1,283 Msym/s against 962).
      V d[6];
      for (int k = 0; k < 6; k++) d[k] = _mm_sub_epi16(L[g], bound[k]);
      E[g] = _mm_min_epu16(_mm_min_epu16(_mm_min_epu16(d[0], d[1]), _mm_min_epu16(d[2], d[3])), d[4]);
      F[g] = _mm_sub_epi16(E[g], _mm_max_epu16(_mm_max_epu16(_mm_max_epu16(d[1], d[2]), _mm_max_epu16(d[3], d[4])), d[5]));
      inside[g] = _mm_subs_epu16(width, d[0]);
      least = _mm_min_epu16(least, inside[g]);
      // Which d is the least says the value; a mask is -1.
      auto is = [&](int k) { return _mm_cmpeq_epi16(E[g], d[k]); };
      const V two = _mm_sub_epi16(is(4), is(0));
      Y[g] = _mm_add_epi16(_mm_sub_epi16(_mm_sub_epi16(middle, two), two), _mm_sub_epi16(is(1), is(3)));
    }
    if (__builtin_expect(anyZero16(least), 0))
      UNROLL for (int g = 0; g < G; g++)
        if (anyZero16(inside[g])) {
          F[g] = _mm_andnot_si128(_mm_cmpeq_epi16(inside[g], zero), F[g]);
          searchGroup(table.records.data(), row, 0, F[g], L[g], E[g], found, patched, 8 * g);
        }
    advance(H, L, F, E, p);
    emit(out, Y, patched, found);
  }
  storeStates(states, H, L);
  return p;
}
