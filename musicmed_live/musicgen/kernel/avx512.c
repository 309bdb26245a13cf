/* AVX-512 with VNNI: vpdpbusd multiplies 64 unsigned by 64 signed bytes. A row's integers are high * 256 + low. */
#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), apply_to = function)
#else
#pragma GCC target("avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#endif
#include <immintrin.h>

#include "engine.h"
#include "vector.h"

INLINE __m512i four_bytes(const uint8_t *from)
{
    int32_t bytes;
    memcpy(&bytes, from, sizeof bytes);
    return _mm512_set1_epi32(bytes);
}

/* In place, in so many words: compilers that rename the sums spend more instructions on moving them than on this. */
INLINE void add_products(__m512i *sums, __m512i weights, __m512i row)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sums) : "v"(weights), "v"(row));
}

INLINE void dot(int vectors, int count, const uint8_t *tile, int steps, const uint8_t *const *rows, Ints (*sums)[4])
{
    __m512i low[2][4], high[2][4];
    for (int r = 0; r < count; r++)
        for (int v = 0; v < vectors; v++)
            low[r][v] = high[r][v] = _mm512_setzero_si512();
    for (int step = 0; step < steps; step++, tile += vectors * STEP * LANES) {
        __m512i weights[4];
        for (int v = 0; v < vectors; v++) {
            weights[v] = _mm512_loadu_si512(tile + v * STEP * LANES);
            __builtin_prefetch(tile + v * STEP * LANES + AHEAD);
        }
        for (int r = 0; r < count; r++) {
            __m512i lows = four_bytes(rows[r] + 8 * step), highs = four_bytes(rows[r] + 8 * step + 4);
            for (int v = 0; v < vectors; v++) {
                add_products(&low[r][v], weights[v], lows);
                add_products(&high[r][v], weights[v], highs);
            }
        }
    }
    for (int r = 0; r < count; r++)
        for (int v = 0; v < vectors; v++)
            sums[r][v] = (Ints)_mm512_add_epi32(low[r][v], _mm512_slli_epi32(high[r][v], 8));
}

/* Of each 4 integers, the 4 low bytes and then the 4 high bytes, both signed: x + 128 carries into the high byte. */
INLINE void pack(Shorts integers, uint8_t *to)
{
    __m256i value = (__m256i)integers, carried = _mm256_add_epi16(value, _mm256_set1_epi16(128));
    __m256i bytes = _mm256_blendv_epi8(value, carried, _mm256_set1_epi16((short)0xff00));
    const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
    bytes = _mm256_shuffle_epi8(bytes, _mm256_broadcastsi128_si256(order));
    _mm256_storeu_si256((__m256i *)to, bytes);
}

#define INSTRUCTIONS avx512_instructions
#include "decoder.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
