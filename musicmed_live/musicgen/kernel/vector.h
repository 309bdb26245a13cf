/* Sixteen lanes of numbers, written once for all instruction sets.
 *
 * The compiler maps these vectors to whatever registers the target has. Every sum is taken in one fixed order and
 * multiplications are never fused with additions, so a result is the same, bit for bit, on every machine. */
#ifndef VECTOR_H
#define VECTOR_H

#include <stdint.h>
#include <string.h>

#define LANES 16

/* Bytes of weights that are asked for before they are used. Processors look ahead by less than memory takes to answer. */
#define AHEAD 8192

typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * LANES)));
typedef int16_t Shorts __attribute__((vector_size(2 * LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));
typedef uint8_t Bytes __attribute__((vector_size(LANES)));

#define INLINE static inline __attribute__((always_inline))

INLINE Floats load(const float *from)
{
    Floats value;
    memcpy(&value, from, sizeof value);
    return value;
}

INLINE void store(float *to, Floats value)
{
    memcpy(to, &value, sizeof value);
}

INLINE Floats all(float value)
{
    return value - (Floats){0};
}

INLINE Floats select_floats(Ints mask, Floats yes, Floats no)
{
    return (Floats)((mask & (Ints)yes) | (~mask & (Ints)no));
}

INLINE Floats larger(Floats a, Floats b)
{
    return select_floats(a > b, a, b);
}

INLINE Floats absolute(Floats value)
{
    return (Floats)((Ints)value & 0x7fffffff);
}

/* bfloat16: the upper half of a float. */
INLINE Floats load_bfloat16(const uint16_t *from)
{
    Halves halves;
    memcpy(&halves, from, sizeof halves);
    return (Floats)(__builtin_convertvector(halves, Words) << 16);
}

INLINE float bfloat16(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

INLINE float sum(Floats value)
{
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            value[i] += value[i + half];
    return value[0];
}

INLINE float largest(Floats value)
{
    float most = value[0];
    for (int i = 1; i < LANES; i++)
        most = value[i] > most ? value[i] : most;
    return most;
}

INLINE int32_t sum_ints(Ints value)
{
    int32_t total = 0;
    for (int i = 0; i < LANES; i++)
        total += value[i];
    return total;
}

/* To the nearest integer, ties to even, for |value| < 2^22: adding 1.5 * 2^23 leaves it in the low mantissa bits. */
INLINE Ints nearest(Floats value)
{
    return (Ints)(value + 12582912.0f) - 0x4b400000;
}

/* e^value for value <= 0, relative error below 2e-7: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2] (Cephes, expf). */
INLINE Floats exponential(Floats value)
{
    value = larger(value, all(-87.0f));
    Ints n = nearest(value * 1.44269504f);
    Floats whole = __builtin_convertvector(n, Floats);
    Floats rest = value - whole * 0.693359375f - whole * -2.12194440e-4f;
    Floats power = all(1.9875691500e-4f);
    power = power * rest + 1.3981999507e-3f;
    power = power * rest + 8.3334519073e-3f;
    power = power * rest + 4.1665795894e-2f;
    power = power * rest + 1.6666665459e-1f;
    power = power * rest + 5.0000001201e-1f;
    power = power * rest * rest + rest + 1.0f;
    return (Floats)((Ints)power + (n << 23));
}

/* x * Phi(x), exact GELU, with erf after Abramowitz and Stegun, 7.1.26: absolute error below 1.5e-7. */
INLINE Floats gelu(Floats x)
{
    Floats z = absolute(x) * 0.70710678f;
    Floats t = 1.0f / (1.0f + z * 0.3275911f);
    Floats tail = all(1.061405429f);
    tail = tail * t - 1.453152027f;
    tail = tail * t + 1.421413741f;
    tail = tail * t - 0.284496736f;
    tail = tail * t + 0.254829592f;
    tail = tail * t * exponential(-z * z);
    Floats twice_phi = select_floats(x < 0.0f, tail, 2.0f - tail);
    return x * 0.5f * twice_phi;
}

#endif
