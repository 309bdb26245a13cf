/* AVX2: vpmaddwd multiplies 16 pairs of 16-bit integers; the weights' bytes are widened on the way. */
#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif
#include <immintrin.h>

#include "engine.h"
#include "vector.h"

/* Two neighbouring 32-bit sums make an output: 4 x 8 of them to 16 outputs in order. */
INLINE void add_pairs(const __m256i *pairs, Ints *outputs)
{
    __m256i halves[2];
    for (int i = 0; i < 2; i++)
        halves[i] = _mm256_permute4x64_epi64(_mm256_hadd_epi32(pairs[2 * i], pairs[2 * i + 1]), 0xd8);
    memcpy(outputs, halves, sizeof halves);
}

INLINE void dot(int vectors, int count, const uint8_t *tile, int steps, const uint8_t *const *rows, Ints (*sums)[4])
{
    for (int v = 0; v < vectors; v++) {
        __m256i pairs[2][4];
        for (int r = 0; r < count; r++)
            for (int q = 0; q < 4; q++)
                pairs[r][q] = _mm256_setzero_si256();
        const uint8_t *from = tile + v * STEP * LANES;
        for (int step = 0; step < steps; step++, from += vectors * STEP * LANES) {
            __m256i columns[2];
            for (int r = 0; r < count; r++) {
                long long four;
                memcpy(&four, rows[r] + 8 * step, sizeof four);
                columns[r] = _mm256_set1_epi64x(four);
            }
            for (int q = 0; q < 4; q++) {
                __m256i weights = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(from + 16 * q)));
                for (int r = 0; r < count; r++)
                    pairs[r][q] = _mm256_add_epi32(pairs[r][q], _mm256_madd_epi16(weights, columns[r]));
            }
        }
        for (int r = 0; r < count; r++)
            add_pairs(pairs[r], &sums[r][v]);
    }
}

INLINE void pack(Shorts integers, uint8_t *to)
{
    memcpy(to, &integers, sizeof integers);
}

#define INSTRUCTIONS avx2_instructions
#include "decoder.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
