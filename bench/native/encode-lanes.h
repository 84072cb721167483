// The SIMD encoders of assembly/lanes.ts by hand; see lanes.h.
#pragma once
#include "lanes.h"

// The entry of a symbol that the kernels' tables do not hold; writes its escape.
__attribute__((noinline)) inline Entry rareEntry(const Record& record, int32_t value) {
  uint32_t k = (uint32_t)(value - record.offset);
  if (k >= record.max) writeEscape(value, record.offset, k = record.max);
  return record.entries[k];
}

// floor(x / freq) << 16, plus rest and cum, from the reciprocal, which is one too small at most (docs/math.md 3).
inline V nextState(V x, V F, V C, V R) {
  const V even = _mm_srli_epi64(_mm_mul_epu32(x, R), 32), odd = _mm_mul_epu32(_mm_srli_epi64(x, 32), _mm_srli_epi64(R, 32));
  const V q = _mm_blend_epi16(even, odd, 0xcc), rest = _mm_sub_epi32(x, _mm_mullo_epi32(q, F));
  const V fits = _mm_cmpgt_epi32(F, rest); // -1 where the quotient is right already
  // (q + 1) << 16 and rest - F, corrected where it fits.
  const V high = _mm_slli_epi32(_mm_sub_epi32(q, _mm_xor_si128(fits, _mm_set1_epi8(-1))), 16);
  return _mm_add_epi32(high, _mm_add_epi32(_mm_sub_epi32(rest, _mm_andnot_si128(fits, F)), C));
}

// A row each; `count` is a multiple of `lanes`.
inline uint8_t* encodeRows(const int32_t* symbols, const uint16_t* rows, uint32_t count, uint32_t lanes, const Table& table, uint8_t* p, uint32_t* states) {
  const V half = _mm_set1_epi32(ENCODE_WINDOW / 2), last = _mm_set1_epi32(ENCODE_WINDOW - 1), low16 = _mm_set1_epi32(0xffff);
  uint32_t* lane = states + lanes;
  for (uint32_t i = count; i > 0;) {
    i -= 8, lane -= 8;
    V FC[2], R[2];
    UNROLL for (int g = 1; g >= 0; g--) {
      const V v = load(symbols + i + 4 * g), row = _mm_cvtepu16_epi32(_mm_loadl_epi64((const V*)(rows + i + 4 * g)));
      const V a = _mm_add_epi32(_mm_min_epu32(_mm_add_epi32(v, half), last), _mm_slli_epi32(row, 8));
      const Entry* base = table.encodeRows.data();
      auto two = [&](int i, int j) { return _mm_castpd_ps(_mm_loadh_pd(_mm_load_sd((const double*)(base + i)), (const double*)(base + j))); };
      const __m128 ea = two(_mm_cvtsi128_si32(a), _mm_extract_epi32(a, 1)), eb = two(_mm_extract_epi32(a, 2), _mm_extract_epi32(a, 3));
      FC[g] = _mm_castps_si128(_mm_shuffle_ps(ea, eb, 0x88)), R[g] = _mm_castps_si128(_mm_shuffle_ps(ea, eb, 0xdd));
    }
    if (__builtin_expect(anyZero32(FC[0]) || anyZero32(FC[1]), 0)) {
      alignas(16) uint32_t fc[8], r[8];
      store(fc, FC[0]), store(fc + 4, FC[1]), store(r, R[0]), store(r + 4, R[1]);
      for (int j = 7; j >= 0; j--)
        if (!(fc[j] & 0xffff)) {
          const Entry e = rareEntry(table.records[rows[i + j]], symbols[i + j]);
          fc[j] = e.freq | (uint32_t)e.cum << 16, r[j] = e.reciprocal;
        }
      FC[0] = load(fc), FC[1] = load(fc + 4), R[0] = load(r), R[1] = load(r + 4);
    }
    UNROLL for (int g = 1; g >= 0; g--) {
      const V X = load(lane + 4 * g), F = _mm_and_si128(FC[g], low16), h = _mm_srli_epi32(X, 16);
      const V keep = _mm_cmpgt_epi32(F, h);
      const int m = ~_mm_movemask_ps(_mm_castsi128_ps(keep)) & 15;
      _mm_storel_epi64((V*)(p - 8), _mm_shuffle_epi8(X, load(pack4[m])));
      p -= 2 * __builtin_popcount((unsigned)m);
      store(lane + 4 * g, nextState(_mm_blendv_epi8(h, X, keep), F, _mm_srli_epi32(FC[g], 16), R[g]));
    }
    if (lane == states) lane += lanes;
  }
  return p;
}

// One row that has an encode window.
inline uint8_t* encodeWindow(const int32_t* symbols, const uint16_t* row, uint32_t count, uint32_t lanes, const Table& table, const Window& w, uint8_t* p, uint32_t* states) {
  const V freqLow = load(w.freqLow), freqHigh = load(w.freqHigh), cumLow = load(w.cumLow), cumHigh = load(w.cumHigh);
  const V r0 = load(w.reciprocal[0]), r1 = load(w.reciprocal[1]), r2 = load(w.reciprocal[2]), r3 = load(w.reciprocal[3]);
  const V top = _mm_set1_epi32(w.top), zero = _mm_setzero_si128();
  uint32_t* lane = states + lanes;
  for (uint32_t i = count; i > 0;) {
    i -= 16, lane -= 16;
    auto y4 = [&](int q) { return _mm_sub_epi32(top, load(symbols + i + 4 * q)); };
    const V y = _mm_packs_epi16(_mm_packs_epi32(y4(0), y4(1)), _mm_packs_epi32(y4(2), y4(3)));
    // Wasm's swizzle gives 0 for an index beyond 15; pshufb only for the top bit, so 16 .. 127 are sent there.
    const V at = _mm_adds_epu8(y, _mm_set1_epi8(0x70));
    const V fl = _mm_shuffle_epi8(freqLow, at), fh = _mm_shuffle_epi8(freqHigh, at), cl = _mm_shuffle_epi8(cumLow, at), ch = _mm_shuffle_epi8(cumHigh, at);
    const V b0 = _mm_shuffle_epi8(r0, at), b1 = _mm_shuffle_epi8(r1, at), b2 = _mm_shuffle_epi8(r2, at), b3 = _mm_shuffle_epi8(r3, at);
    V F[2] = {_mm_unpacklo_epi8(fl, fh), _mm_unpackhi_epi8(fl, fh)}, C[2] = {_mm_unpacklo_epi8(cl, ch), _mm_unpackhi_epi8(cl, ch)};
    V low[2] = {_mm_unpacklo_epi8(b0, b1), _mm_unpackhi_epi8(b0, b1)}, high[2] = {_mm_unpacklo_epi8(b2, b3), _mm_unpackhi_epi8(b2, b3)};
    if (__builtin_expect(anyZero16(_mm_min_epu16(F[0], F[1])), 0)) {
      alignas(16) uint16_t f[16], c[16], l[16], h[16];
      for (int g = 0; g < 2; g++) store(f + 8 * g, F[g]), store(c + 8 * g, C[g]), store(l + 8 * g, low[g]), store(h + 8 * g, high[g]);
      for (int j = 15; j >= 0; j--)
        if (!f[j]) {
          const Entry e = rareEntry(table.records[*row], symbols[i + j]);
          f[j] = e.freq, c[j] = e.cum, l[j] = (uint16_t)e.reciprocal, h[j] = (uint16_t)(e.reciprocal >> 16);
        }
      for (int g = 0; g < 2; g++) F[g] = load(f + 8 * g), C[g] = load(c + 8 * g), low[g] = load(l + 8 * g), high[g] = load(h + 8 * g);
    }
    UNROLL for (int g = 1; g >= 0; g--) {
      const V xa = load(lane + 8 * g), xb = load(lane + 8 * g + 4), H = highs(xa, xb), L = lows(xa, xb);
      const V M = geU16(H, F[g]);
      const int m = _mm_movemask_epi8(_mm_packs_epi16(M, zero));
      store(p - 16, _mm_shuffle_epi8(L, load(pack8[m])));
      p -= 2 * __builtin_popcount((unsigned)m);
      const V l = _mm_blendv_epi8(L, H, M), h = _mm_andnot_si128(M, H);
      store(lane + 8 * g, nextState(_mm_unpacklo_epi16(l, h), _mm_unpacklo_epi16(F[g], zero), _mm_unpacklo_epi16(C[g], zero), _mm_unpacklo_epi16(low[g], high[g])));
      store(lane + 8 * g + 4, nextState(_mm_unpackhi_epi16(l, h), _mm_unpackhi_epi16(F[g], zero), _mm_unpackhi_epi16(C[g], zero), _mm_unpackhi_epi16(low[g], high[g])));
    }
    if (lane == states) lane += lanes;
  }
  return p;
}
