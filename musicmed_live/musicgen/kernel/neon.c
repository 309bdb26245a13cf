/* NEON, as every 64-bit ARM has it: vmlal_s16 multiplies 4 integers of 16 bits into sums of 32. */
#if defined(__aarch64__)

#include <arm_neon.h>

#include "engine.h"
#include "vector.h"

INLINE void dot_one(int vectors, const uint8_t *tile, int steps, const uint8_t *row, Ints *sums)
{
    for (int v = 0; v < vectors; v++) {
        int32x4_t products[LANES];
        for (int i = 0; i < LANES; i++)
            products[i] = vdupq_n_s32(0);
        const uint8_t *from = tile + v * STEP * LANES;
        for (int step = 0; step < steps; step++, from += vectors * STEP * LANES) {
            int16x4_t columns = vreinterpret_s16_u8(vld1_u8(row + 8 * step));
            for (int i = 0; i < LANES; i += 2) {
                int16x8_t weights = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(from + STEP * i)));
                products[i] = vmlal_s16(products[i], vget_low_s16(weights), columns);
                products[i + 1] = vmlal_s16(products[i + 1], vget_high_s16(weights), columns);
            }
        }
        for (int i = 0; i < LANES; i++)
            sums[v][i] = vaddvq_s32(products[i]);
    }
}

INLINE void dot(int vectors, int count, const uint8_t *tile, int steps, const uint8_t *const *rows, Ints (*sums)[4])
{
    for (int r = 0; r < count; r++)
        dot_one(vectors, tile, steps, rows[r], sums[r]);
}

INLINE void pack(Shorts integers, uint8_t *to)
{
    memcpy(to, &integers, sizeof integers);
}

#define INSTRUCTIONS neon_instructions
#include "decoder.h"

#endif
