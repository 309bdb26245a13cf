/* The decoder's arithmetic, compiled once for each instruction set. The including file defines before it:
 *
 *   dot(vectors, count, tile, steps, rows, sums)  sums[r][v] = tile's bytes times integers of row r, wrapping at 2^32;
 *                                                 `vectors` (16 outputs each) and `count` are constants when inlined
 *   pack(integers, to)                            16 integers of a row as the 32 bytes that dot() reads
 *   INSTRUCTIONS                                  the name of the table that is exported */
#include <math.h>

#define BIAS 128         /* added to every quantised byte */
#define BYTE_MOST 127    /* the largest quantised byte */
#define ROW_MOST 32639.0f /* the largest integer of a row: high and low byte are both signed */
#define SEGMENT 512      /* positions whose values are summed in 32 bits: 512 * 127 * 32639 < 2^31 */
#define EPSILON 1e-5f    /* of layer norm */

enum {
    EMBED, SELF_PREPARE, SELF_PROJECT, SELF_ATTEND, SELF_GATHER, SELF_MERGE, CROSS_PREPARE, CROSS_PROJECT, CROSS_ATTEND,
    CROSS_GATHER, CROSS_MERGE, FFN_PREPARE, FFN_EXPAND, FFN_GATHER, FFN_MERGE, HEAD_PREPARE, HEAD_PROJECT,
    TEXT_GATHER, TEXT_PROJECT, PROMPT_GATHER, PROMPT_PROJECT, PROMPT_STORE, NOTHING
};
enum { LAYER_PHASES = FFN_MERGE - EMBED, PROMPT_PHASES = PROMPT_STORE - TEXT_PROJECT };

/* ---- rows ---- */

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

/* ---- matrices ---- */

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
            narrow(&matrices[i].low, matrices[i].columns, x, engine->pass.slot[row]->adapters, hidden(engine, row, i));
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
    uint32_t bits = (uint32_t)*scale << 16;
    float rounded;
    memcpy(&rounded, &bits, sizeof rounded);
    float inverse = rounded > 0 ? 1.0f / rounded : 0;
    for (int i = 0; i < GROUP; i += LANES) {
        Bytes bytes = __builtin_convertvector(nearest(load(weights + i) * inverse) + BIAS, Bytes);
        for (int step = 0; step < LANES / STEP; step++)
            memcpy(steps + (size_t)(i / STEP + step) * TILE * STEP, (uint8_t *)&bytes + step * STEP, STEP);
    }
}

static void quantise_matrix(Matrix *matrix, const float *weights)
{
    float padded[GROUP] = {0};
    for (int output = 0; output < matrix->outputs; output++) {
        uint8_t *group = matrix->tiles + output / TILE * matrix->tile_bytes;
        for (int first = 0; first < matrix->columns; first += GROUP, group += GROUP_BYTES) {
            int inputs = matrix->inputs - first < GROUP ? matrix->inputs - first : GROUP;
            memcpy(padded, weights + (size_t)output * matrix->inputs + first, sizeof *padded * inputs);
            memset(padded + inputs, 0, sizeof *padded * (GROUP - inputs));
            int place = output % TILE;
            quantise_output(padded, (uint16_t *)group + place, group + 2 * TILE + place * STEP);
        }
    }
}

/* ---- attention ---- */

typedef struct {
    uint8_t *keys, *values;
    float *key_scales, *value_scales;
} Head;

static Head head_of(const Engine *engine, const Cache *cache, int layer, int head)
{
    uint8_t *base = cache->base + ((size_t)layer * engine->shape.heads + head) * cache->head_bytes;
    size_t bytes = (size_t)cache->window * engine->head_width;
    float *scales = (float *)(base + 2 * bytes);
    return (Head){base, base + bytes, scales, scales + cache->window};
}

/* A head's key or value at one position as bytes, column by column; returns the scale. */
static float quantise_head(const float *x, int width, uint8_t *bytes)
{
    Floats most = {0};
    for (int i = 0; i < width; i += LANES)
        most = larger(most, absolute(load(x + i)));
    float bound = largest(most);
    float inverse = bound > 0 ? BYTE_MOST / bound : 0;
    for (int i = 0; i < width; i += LANES) {
        Bytes rounded = __builtin_convertvector(nearest(load(x + i) * inverse) + BIAS, Bytes);
        memcpy(bytes + i, &rounded, sizeof rounded);
    }
    return bound / BYTE_MOST;
}

static void remember(const Engine *engine, Head head, int position, const float *key, const float *value)
{
    int width = engine->head_width;
    uint8_t bytes[TILE];
    head.key_scales[position] = quantise_head(key, width, bytes);
    uint8_t *to = head.keys + (size_t)(position / TILE) * TILE * width + position % TILE * STEP;
    for (int i = 0; i < width; i += STEP)
        memcpy(to + (size_t)i * TILE, bytes + i, STEP);
    head.value_scales[position] = quantise_head(value, width, bytes);
    to = head.values + (size_t)(position / STEP) * STEP * width + position % STEP;
    for (int i = 0; i < width; i++)
        to[i * STEP] = bytes[i];
}

/* Attention scores of `length` positions; those that fill up the last 16 are so low that they count as 0. */
static void score(const Engine *engine, Head head, const float *query, int length, const float *bias, float *scores)
{
    uint8_t steps[2 * TILE];
    int32_t sums[1];
    Row row = {steps, sums, 0};
    int width = engine->head_width;
    quantise_row(query, width, &row);
    float scale = row.scale / sqrtf((float)width);
    const uint8_t *only[] = {steps};
    for (int first = 0; first < length; first += TILE) {
        Ints products[1][4];
        dot(4, 1, head.keys + (size_t)first * width, width / STEP, only, products);
        for (int v = 0; v < 4; v++) {
            Floats value = __builtin_convertvector(products[0][v] - sums[0] * BIAS, Floats) * scale;
            store(scores + first + v * LANES, value * load(head.key_scales + first + v * LANES));
        }
    }
    for (int i = 0; bias && i < length; i++)
        scores[i] += bias[i];
    for (int i = length; i % LANES; i++)
        scores[i] = -1e30f;
}

/* Scores to weights, not yet divided by their sum, which is returned; each times its value's scale. */
static float soften(Head head, int length, float *scores)
{
    Floats most = load(scores), total = {0};
    for (int i = LANES; i < length; i += LANES)
        most = larger(most, load(scores + i));
    float bound = largest(most);
    for (int i = 0; i < length; i += LANES) {
        Floats weight = exponential(load(scores + i) - bound);
        total += weight;
        store(scores + i, weight * load(head.value_scales + i));
    }
    return sum(total);
}

INLINE void mix(int vectors, Head head, const Row *weights, int positions, float factor, float *out)
{
    Floats mixed[4] = {{0}};
    for (int first = 0; first < positions; first += SEGMENT) {
        int count = positions - first < SEGMENT ? positions - first : SEGMENT;
        const uint8_t *steps[] = {weights->steps + 2 * first};
        Ints products[1][4];
        dot(vectors, 1, head.values + (size_t)first * vectors * LANES, count / STEP, steps, products);
        int32_t excess = 0;
        for (int group = first / GROUP; group * GROUP < first + count; group++)
            excess += weights->sums[group] * BIAS;
        for (int v = 0; v < vectors; v++)
            mixed[v] += __builtin_convertvector(products[0][v] - excess, Floats);
    }
    for (int v = 0; v < vectors; v++)
        store(out + v * LANES, mixed[v] * factor);
}

static void attend(const Engine *engine, Head head, const float *query, int length, const float *bias, float *out)
{
    float scores[MAX_WINDOW];
    uint8_t steps[2 * MAX_WINDOW];
    int32_t sums[MAX_WINDOW / GROUP];
    Row weights = {steps, sums, 0};
    score(engine, head, query, length, bias, scores);
    float total = soften(head, length, scores);
    int positions = (length + LANES - 1) / LANES * LANES;
    quantise_row(scores, positions, &weights);
    if (engine->head_width == 4 * LANES)
        mix(4, head, &weights, positions, weights.scale / total, out);
    else
        mix(2, head, &weights, positions, weights.scale / total, out);
}

static void self_attend(Engine *engine, int layer, const Stream *stream, int head)
{
    int width = engine->shape.width, offset = head * engine->head_width;
    Workspace *work = &engine->work;
    Head cached = head_of(engine, &stream->slot->self[stream->guided], layer, head);
    for (int i = 0; i < stream->count; i++) {
        size_t at = (size_t)(stream->first + i) * width + offset;
        remember(engine, cached, stream->position + i, work->key + at, work->value + at);
        attend(engine, cached, work->query + at, stream->position + i + 1, NULL, work->attended + at);
    }
}

static void cross_attend(Engine *engine, int layer, int row, int head)
{
    const Slot *slot = engine->pass.slot[row];
    size_t at = (size_t)row * engine->shape.width + (size_t)head * engine->head_width;
    Head cached = head_of(engine, &slot->cross, layer, head);
    attend(engine, cached, engine->work.query + at, slot->tokens, slot->log_weight, engine->work.attended + at);
}

/* ---- phases ---- */

static void embed_low_rank(const Engine *engine, const Matrix *matrix, int token, const float *weights, float *x)
{
    const LowRank *low = &matrix->low;
    for (int r = 0; r < low->rank; r++) {
        uint32_t bits = (uint32_t)low->down[(size_t)r * matrix->columns + token] << 16;
        float number;
        memcpy(&number, &bits, sizeof number);
        float factor = number * weights[low->adapter[r]];
        for (int i = 0; factor != 0 && i < engine->shape.width; i += LANES)
            store(x + i, load(x + i) + load_bfloat16(low->up + (size_t)r * engine->shape.width + i) * factor);
    }
}

static void embed(Engine *engine, int row)
{
    const Pass *pass = &engine->pass;
    int width = engine->shape.width, vocab = engine->shape.vocab;
    float *x = engine->work.x + (size_t)row * width;
    memcpy(x, engine->positions + (size_t)pass->position[row] * width, sizeof *x * width);
    for (int book = 0; book < engine->shape.codebooks; book++) {
        int token = pass->tokens[row][book];
        const float *table = engine->embedding + ((size_t)book * (vocab + 1) + token) * width;
        for (int i = 0; i < width; i += LANES)
            store(x + i, load(x + i) + load(table + i));
        embed_low_rank(engine, embedding_matrix(engine, book), token, pass->slot[row]->adapters, x);
    }
}

static void prepare_normed(Engine *engine, int row, const Norm *norm, const Matrix *matrices, int count)
{
    int width = engine->shape.width;
    float *normed = engine->work.normed + (size_t)row * width;
    normalise(norm, engine->work.x + (size_t)row * width, width, normed);
    prepare(engine, row, normed, matrices, count);
}

static void project_self(Engine *engine, int layer, int block)
{
    float *to[] = {engine->work.query, engine->work.key, engine->work.value};
    int tiles = engine->shape.width / TILE, which = block / tiles;
    const Pass *pass = &engine->pass;
    project(engine, layer_matrix(engine, layer, QUERY + which), which, block % tiles, pass->every, pass->rows, ASSIGN,
            to[which], engine->shape.width);
}

static void project_heads(Engine *engine, int block)
{
    const Shape *shape = &engine->shape;
    const Pass *pass = &engine->pass;
    int tiles = shape->vocab / TILE, book = block / tiles, tile = block % tiles;
    Floats sums[ROWS][4];
    multiply(engine, lm_head(engine, book), book, tile, pass->drawn, pass->drawn_count, sums);
    for (int r = 0; r < pass->drawn_count; r++) {
        float *to = pass->logits[r] + (size_t)book * shape->vocab + tile * TILE;
        memcpy(to, sums[r], sizeof sums[r]);
    }
}

static void project_text(Engine *engine, int block)
{
    const Pass *pass = &engine->pass;
    int width = engine->shape.width;
    project(engine, text_projection(engine), 0, block, pass->every, pass->rows, ASSIGN, engine->work.x, width);
    for (int row = 0; row < pass->rows; row++)
        for (int i = block * TILE; i < (block + 1) * TILE; i++)
            engine->work.x[(size_t)row * width + i] += engine->text_bias[i];
}

static void project_prompt(Engine *engine, int layer, int block)
{
    float *to[] = {engine->work.key, engine->work.value};
    int tiles = engine->shape.width / TILE, which = block / tiles;
    const Pass *pass = &engine->pass;
    project(engine, layer_matrix(engine, layer, CROSS_KEY + which), which, block % tiles, pass->every, pass->rows, ASSIGN,
            to[which], engine->shape.width);
}

static void store_prompt(Engine *engine, int layer, int head)
{
    Head cached = head_of(engine, &engine->pass.slot[0]->cross, layer, head);
    for (int row = 0; row < engine->pass.rows; row++) {
        size_t at = (size_t)row * engine->shape.width + (size_t)head * engine->head_width;
        remember(engine, cached, row, engine->work.key + at, engine->work.value + at);
    }
}

typedef struct {
    int kind, layer;
} Stage;

static Stage stage_of(const Engine *engine, int phase)
{
    int layers = engine->shape.layers;
    if (engine->pass.conditions) {
        if (phase < 2)
            return (Stage){TEXT_GATHER + phase, 0};
        int layer = (phase - 2) / PROMPT_PHASES;
        return layer < layers ? (Stage){PROMPT_GATHER + (phase - 2) % PROMPT_PHASES, layer} : (Stage){NOTHING, 0};
    }
    if (phase == 0)
        return (Stage){EMBED, 0};
    int layer = (phase - 1) / LAYER_PHASES;
    if (layer < layers)
        return (Stage){SELF_PREPARE + (phase - 1) % LAYER_PHASES, layer};
    int rest = phase - 1 - layers * LAYER_PHASES;
    return (Stage){rest < 2 ? HEAD_PREPARE + rest : NOTHING, 0};
}

/* Blocks of a phase, 0 where it has nothing to do; -1 after the last phase. */
static int blocks(const Engine *engine, int phase)
{
    const Shape *shape = &engine->shape;
    const Pass *pass = &engine->pass;
    int tiles = shape->width / TILE;
    switch (stage_of(engine, phase).kind) {
    case EMBED: case SELF_PREPARE: case SELF_GATHER: case FFN_PREPARE: case FFN_GATHER: case TEXT_GATHER:
    case PROMPT_GATHER:
        return pass->rows;
    case SELF_PROJECT:
        return 3 * tiles;
    case SELF_ATTEND:
        return pass->stream_count * shape->heads;
    case SELF_MERGE: case FFN_MERGE: case TEXT_PROJECT:
        return tiles;
    case CROSS_PREPARE: case CROSS_GATHER:
        return pass->cross_count;
    case CROSS_PROJECT: case CROSS_MERGE:
        return pass->cross_count ? tiles : 0;
    case CROSS_ATTEND:
        return pass->cross_count * shape->heads;
    case FFN_EXPAND:
        return shape->ffn / TILE;
    case HEAD_PREPARE:
        return pass->drawn_count;
    case HEAD_PROJECT:
        return pass->drawn_count ? shape->codebooks * (shape->vocab / TILE) : 0;
    case PROMPT_PROJECT:
        return 2 * tiles;
    case PROMPT_STORE:
        return shape->heads;
    default:
        return -1;
    }
}

static void run(Engine *engine, int phase, int block)
{
    const Shape *shape = &engine->shape;
    const Pass *pass = &engine->pass;
    Workspace *work = &engine->work;
    Stage stage = stage_of(engine, phase);
    const Matrix *matrices = layer_matrix(engine, stage.layer, 0);
    const Norm *norms = &engine->norms[stage.layer * LAYER_NORMS];
    int width = shape->width, row;
    switch (stage.kind) {
    case EMBED:
        return embed(engine, block);
    case SELF_PREPARE:
        return prepare_normed(engine, block, &norms[SELF_NORM], &matrices[QUERY], 3);
    case SELF_PROJECT:
        return project_self(engine, stage.layer, block);
    case SELF_ATTEND:
        return self_attend(engine, stage.layer, &pass->streams[block / shape->heads], block % shape->heads);
    case SELF_GATHER:
        return prepare(engine, block, work->attended + (size_t)block * width, &matrices[OUT], 1);
    case SELF_MERGE:
        return project(engine, &matrices[OUT], 0, block, pass->every, pass->rows, ADD, work->x, width);
    case CROSS_PREPARE:
        return prepare_normed(engine, pass->cross[block], &norms[CROSS_NORM], &matrices[CROSS_QUERY], 1);
    case CROSS_PROJECT:
        return project(engine, &matrices[CROSS_QUERY], 0, block, pass->cross, pass->cross_count, ASSIGN, work->query, width);
    case CROSS_ATTEND:
        return cross_attend(engine, stage.layer, pass->cross[block / shape->heads], block % shape->heads);
    case CROSS_GATHER:
        row = pass->cross[block];
        return prepare(engine, row, work->attended + (size_t)row * width, &matrices[CROSS_OUT], 1);
    case CROSS_MERGE:
        return project(engine, &matrices[CROSS_OUT], 0, block, pass->cross, pass->cross_count, ADD, work->x, width);
    case FFN_PREPARE:
        return prepare_normed(engine, block, &norms[FFN_NORM], &matrices[FC1], 1);
    case FFN_EXPAND:
        return project(engine, &matrices[FC1], 0, block, pass->every, pass->rows, GELU, work->inner, shape->ffn);
    case FFN_GATHER:
        return prepare(engine, block, work->inner + (size_t)block * shape->ffn, &matrices[FC2], 1);
    case FFN_MERGE:
        return project(engine, &matrices[FC2], 0, block, pass->every, pass->rows, ADD, work->x, width);
    case HEAD_PREPARE:
        return prepare_normed(engine, pass->drawn[block], &engine->norms[shape->layers * LAYER_NORMS], lm_head(engine, 0),
                              shape->codebooks);
    case HEAD_PROJECT:
        return project_heads(engine, block);
    case TEXT_GATHER:
        return prepare(engine, block, pass->hidden + (size_t)block * text_projection(engine)->columns,
                       text_projection(engine), 1);
    case TEXT_PROJECT:
        return project_text(engine, block);
    case PROMPT_GATHER:
        return prepare(engine, block, work->x + (size_t)block * width, &matrices[CROSS_KEY], 2);
    case PROMPT_PROJECT:
        return project_prompt(engine, stage.layer, block);
    case PROMPT_STORE:
        return store_prompt(engine, stage.layer, block);
    }
}

const Instructions INSTRUCTIONS = {blocks, run, quantise_matrix};
