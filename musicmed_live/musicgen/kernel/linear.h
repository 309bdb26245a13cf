/* Rows, and matrices times rows. */
#include <math.h>

#include "engine.h"
#include "vector.h"

#define BIAS 128          /* added to every quantised byte */
#define BYTE_MOST 127     /* the largest quantised byte */
#define ROW_MOST 32639.0f /* the largest integer of a row: high and low byte are both signed */
#define EPSILON 1e-5f     /* of layer norm */

static void quantise_row(const float *x, int columns, Row *row)
{
    Floats most = {0};
    for (int i = 0; i < columns; i += LANES)
        most = larger(most, absolute(load(x + i)));
    float bound = largest(most);
    float inverse = bound > 0 ? ROW_MOST / bound : 0;
    row->scale = bound / ROW_MOST;
    for (int first = 0; first < columns; first += GROUP) {
        Ints total = {0};
        for (int i = first; i < first + GROUP && i < columns; i += LANES) {
            Ints integers = nearest(load(x + i) * inverse);
            pack(__builtin_convertvector(integers, Shorts), row->steps + 2 * i);
            total += integers;
        }
        row->sums[first / GROUP] = sum_ints(total);
    }
}

static void normalise(const Norm *norm, const float *x, int width, float *y)
{
    Floats total = {0}, squares = {0};
    for (int i = 0; i < width; i += LANES)
        total += load(x + i);
    float mean = sum(total) / (float)width;
    for (int i = 0; i < width; i += LANES)
        squares += (load(x + i) - mean) * (load(x + i) - mean);
    float factor = 1.0f / sqrtf(sum(squares) / (float)width + EPSILON);
    for (int i = 0; i < width; i += LANES)
        store(y + i, (load(x + i) - mean) * factor * load(norm->gain + i) + load(norm->bias + i));
}

INLINE float *hidden(const Engine *engine, int row, int which)
{
    return engine->work.low + ((size_t)row * LOW_MATRICES + which) * engine->low_rank;
}

/* What adapters with a weight make of a row's input: `down` times it, weighted. */
static void narrow(const LowRank *low, int columns, const float *x, const float *weights, float *to)
{
    for (int r = 0; r < low->rank; r++) {
        float weight = weights[low->adapter[r]];
        Floats total = {0};
        for (int i = 0; weight != 0 && i < columns; i += LANES)
            total += load_bfloat16(low->down + (size_t)r * columns + i) * load(x + i);
        to[r] = weight == 0 ? 0 : weight * sum(total);
    }
}

INLINE void widen(const LowRank *low, int outputs, int first, const float *from, Floats *sums)
{
    for (int r = 0; r < low->rank; r++)
        for (int v = 0; from[r] != 0 && v < TILE / LANES; v++)
            sums[v] += load_bfloat16(low->up + (size_t)r * outputs + first + v * LANES) * from[r];
}

/* Makes a row of `x` ready to be multiplied by `count` matrices that follow each other. */
static void prepare(Engine *engine, int row, const float *x, const Matrix *matrices, int count)
{
    quantise_row(x, matrices->columns, &engine->work.rows[row]);
    for (int i = 0; i < count; i++)
        if (matrices[i].low.rank)
            narrow(&matrices[i].low, matrices[i].columns, x, engine->pass.text[row]->adapters, hidden(engine, row, i));
}

/* Adds the products of one group, whose first column is `first`, to the sums of one or two rows. */
INLINE void add_group(int count, const uint8_t *group, int first, const Row *const *rows, Floats (*sums)[4])
{
    const uint8_t *steps[2] = {rows[0]->steps + 2 * first, rows[count - 1]->steps + 2 * first};
    Ints products[2][4];
    dot(4, count, group + 2 * TILE, GROUP / STEP, steps, products);
    for (int r = 0; r < count; r++) {
        int32_t excess = rows[r]->sums[first / GROUP] * BIAS;
        for (int v = 0; v < 4; v++) {
            Floats scale = load_bfloat16((const uint16_t *)group + v * LANES);
            sums[r][v] += __builtin_convertvector(products[r][v] - excess, Floats) * scale;
        }
    }
}

/* One tile of a matrix times `count` rows, with what adapters add: sums[r] are 64 outputs of rows[r]. */
static void multiply(
    Engine *engine, const Matrix *matrix, int which, int tile, const int *rows, int count, Floats (*sums)[4])
{
    const Row *chosen[ROWS];
    for (int r = 0; r < count; r++)
        chosen[r] = &engine->work.rows[rows[r]];
    memset(sums, 0, sizeof *sums * count);
    const uint8_t *group = matrix->tiles + tile * matrix->tile_bytes;
    for (int first = 0; first < matrix->columns; first += GROUP, group += GROUP_BYTES) {
        for (int r = 0; r + 1 < count; r += 2)
            add_group(2, group, first, chosen + r, sums + r);
        if (count % 2)
            add_group(1, group, first, chosen + count - 1, sums + count - 1);
    }
    for (int r = 0; r < count; r++) {
        for (int v = 0; v < 4; v++)
            sums[r][v] *= chosen[r]->scale;
        if (matrix->low.rank)
            widen(&matrix->low, matrix->outputs, tile * TILE, hidden(engine, rows[r], which), sums[r]);
    }
}

typedef enum { ASSIGN, ADD, GELU } Use;

/* One tile of a matrix times the rows, written to (or added to, or through GELU to) `out`, `stride` numbers a row. */
static void project(
    Engine *engine, const Matrix *matrix, int which, int tile, const int *rows, int count, Use use, float *out, int stride)
{
    Floats sums[ROWS][4];
    multiply(engine, matrix, which, tile, rows, count, sums);
    for (int r = 0; r < count; r++) {
        float *to = out + (size_t)rows[r] * stride + tile * TILE;
        for (int v = 0; v < 4; v++, to += LANES) {
            if (use == ADD)
                store(to, load(to) + sums[r][v]);
            else
                store(to, use == GELU ? gelu(sums[r][v]) : sums[r][v]);
        }
    }
}

static uint16_t round_up_to_bfloat16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0xffff) >> 16);
}

/* One output's weights in one group: a scale, and bytes spread over the group's steps. */
static void quantise_output(const float *weights, uint16_t *scale, uint8_t *steps)
{
    Floats most = {0};
    for (int i = 0; i < GROUP; i += LANES)
        most = larger(most, absolute(load(weights + i)));
    *scale = round_up_to_bfloat16(largest(most) / BYTE_MOST);
    float rounded = bfloat16(*scale);
    float inverse = rounded > 0 ? 1.0f / rounded : 0;
    for (int i = 0; i < GROUP; i += LANES) {
        Bytes bytes = __builtin_convertvector(nearest(load(weights + i) * inverse) + BIAS, Bytes);
        for (int step = 0; step < LANES / STEP; step++)
            memcpy(steps + (size_t)(i / STEP + step) * TILE * STEP, (uint8_t *)&bytes + step * STEP, STEP);
    }
}

/* The group of a tile whose first column is `first`. */
INLINE uint8_t *group_of(const Matrix *matrix, int tile, int first)
{
    return matrix->tiles + tile * matrix->tile_bytes + (size_t)first / GROUP * GROUP_BYTES;
}

/* Sets an output's weights of the group whose first column is `first`. */
static void set_weights(const Matrix *matrix, int output, int first, const float *weights)
{
    uint8_t *group = group_of(matrix, output / TILE, first);
    int place = output % TILE;
    quantise_output(weights, (uint16_t *)group + place, group + 2 * TILE + place * STEP);
}

static void quantise_matrix(Matrix *matrix, const float *weights)
{
    float padded[GROUP] = {0};
    for (int output = 0; output < matrix->outputs; output++) {
        for (int first = 0; first < matrix->columns; first += GROUP) {
            int inputs = matrix->inputs - first < GROUP ? matrix->inputs - first : GROUP;
            memcpy(padded, weights + (size_t)output * matrix->inputs + first, sizeof *padded * inputs);
            memset(padded + inputs, 0, sizeof *padded * (GROUP - inputs));
            set_weights(matrix, output, first, padded);
        }
    }
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first of a step's bytes is taken for the lowest");

/* A group of a tile as numbers, [column][output], with what adapters of these weights add. */
static void expand(const Matrix *matrix, int tile, int first, const float *weights, float (*numbers)[TILE])
{
    const uint8_t *group = group_of(matrix, tile, first);
    for (int v = 0; v < TILE / LANES; v++) {
        Floats scale = load_bfloat16((const uint16_t *)group + v * LANES);
        for (int column = 0; column < GROUP; column++) {
            Words columns; /* the four of a step, the first in the lowest byte */
            memcpy(&columns, group + 2 * TILE + column / STEP * STEP * TILE + v * STEP * LANES, sizeof columns);
            Ints bytes = (Ints)(columns >> 8 * (column % STEP) & 0xff) - BIAS;
            store(numbers[column] + v * LANES, __builtin_convertvector(bytes, Floats) * scale);
        }
    }
    const LowRank *low = &matrix->low;
    for (int r = 0; r < low->rank; r++) {
        float weight = weights[low->adapter[r]];
        for (int column = 0; weight != 0 && column < GROUP; column++) {
            float down = bfloat16(low->down[(size_t)r * matrix->columns + first + column]);
            const uint16_t *up = low->up + (size_t)r * matrix->outputs + tile * TILE;
            for (int v = 0; v < TILE / LANES; v++, up += LANES) {
                float *to = numbers[column] + v * LANES;
                store(to, load(to) + load_bfloat16(up) * (down * weight));
            }
        }
    }
}
