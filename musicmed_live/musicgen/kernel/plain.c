/* Plain C, for any machine. */
#include "engine.h"
#include "vector.h"

INLINE void dot(int vectors, int count, const uint8_t *tile, int steps, const uint8_t *const *rows, Ints (*sums)[4])
{
    for (int r = 0; r < count; r++) {
        uint32_t totals[4 * LANES] = {0};
        for (int step = 0; step < steps; step++)
            for (int column = 0; column < STEP; column++) {
                int16_t integer;
                memcpy(&integer, rows[r] + 2 * (step * STEP + column), sizeof integer);
                const uint8_t *bytes = tile + (size_t)step * vectors * LANES * STEP + column;
                for (int output = 0; output < vectors * LANES; output++)
                    totals[output] += (uint32_t)(bytes[output * STEP] * integer);
            }
        memcpy(sums[r], totals, sizeof(uint32_t) * vectors * LANES);
    }
}

INLINE void pack(Shorts integers, uint8_t *to)
{
    memcpy(to, &integers, sizeof integers);
}

#define INSTRUCTIONS plain_instructions
#include "decoder.h"
