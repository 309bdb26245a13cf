/* Attention over a cache of bytes: the same tiles and rows as those of a matrix. */

#define SEGMENT 512 /* positions whose values are summed in 32 bits: 512 * 127 * 32639 < 2^31 */

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
static void score(const Engine *engine, Head head, const float *query, int length, float *scores)
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
    for (int i = length; i % LANES; i++)
        scores[i] = -1e30f;
}

/* Scores to weights, not yet divided by their sum, which is returned; each times its value's scale. */
static float soften(Head head, int length, float *scores)
{
    Floats most = all(-INFINITY), total = {0};
    for (int i = 0; i < length; i += LANES)
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

static void attend(const Engine *engine, Head head, const float *query, int length, float *out)
{
    float scores[MAX_WINDOW];
    uint8_t steps[2 * MAX_WINDOW];
    int32_t sums[MAX_WINDOW / GROUP];
    Row weights = {steps, sums, 0};
    score(engine, head, query, length, scores);
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
        attend(engine, cached, work->query + at, stream->position + i + 1, work->attended + at);
    }
}
