/* Cross-attention: a text is folded into matrices, and rows are taken through them. See engine.h. */

/* A head's keys or values, [number][token], times `factor`; zero behind the last token up to a whole vector. */
static void turn(const Engine *engine, const float *rows, int head, float factor, float (*numbers)[PROMPT])
{
    int tokens = engine->pass.rows, padded = (tokens + LANES - 1) / LANES * LANES;
    for (int i = 0; i < engine->head_width; i++)
        for (int token = 0; token < padded; token++) {
            size_t at = (size_t)token * engine->shape.width + (size_t)head * engine->head_width + i;
            numbers[i][token] = token < tokens ? rows[at] * factor : 0;
        }
}

/* For each token the product of a head's numbers with `weights`, which are `stride` apart. */
INLINE void combine(const Engine *engine, const float *weights, int stride, const float (*numbers)[PROMPT], float *to)
{
    for (int token = 0; token < engine->pass.rows; token += LANES) {
        Floats total = {0};
        for (int i = 0; i < engine->head_width; i++)
            total += load(numbers[i] + token) * weights[(size_t)i * stride];
        store(to + token, total);
    }
}

static void fold_keys(Engine *engine, int layer, int head)
{
    const Pass *pass = &engine->pass;
    Text *text = pass->text[0];
    int place = head * engine->head_width, tokens = pass->rows;
    float keys[TILE][PROMPT], weights[GROUP][TILE], folded[GROUP][PROMPT], row[GROUP];
    turn(engine, engine->work.key, head, 1.0f / sqrtf((float)engine->head_width), keys);
    for (int first = 0; first < engine->shape.width; first += GROUP) {
        expand(layer_matrix(engine, layer, CROSS_QUERY), place / TILE, first, text->adapters, weights);
        for (int column = 0; column < GROUP; column++)
            combine(engine, weights[column] + place % TILE, 1, keys, folded[column]);
        for (int token = 0; token < tokens; token++) {
            for (int column = 0; column < GROUP; column++)
                row[column] = folded[column][token];
            set_weights(&text->scores[layer], head * tokens + token, first, row);
        }
    }
}

/* The values of all heads, for the outputs of one tile. */
static void fold_values(Engine *engine, int layer, int tile)
{
    const Pass *pass = &engine->pass;
    Text *text = pass->text[0];
    Matrix *mixes = &text->mixes[layer];
    float values[TILE][PROMPT], weights[GROUP][TILE], pending[TILE][GROUP + PROMPT] = {{0}};
    int held = 0, done = 0;
    for (int head = 0; head < engine->shape.heads; head++) {
        int place = head * engine->head_width;
        turn(engine, engine->work.value, head, 1.0f, values);
        expand(layer_matrix(engine, layer, CROSS_OUT), tile, place / GROUP * GROUP, text->adapters, weights);
        for (int output = 0; output < TILE; output++)
            combine(engine, &weights[place % GROUP][output], TILE, values, pending[output] + held);
        held += pass->rows;
        bool last = head + 1 == engine->shape.heads;
        for (; held >= GROUP || (last && held > 0); held -= GROUP, done += GROUP)
            for (int output = 0; output < TILE; output++) {
                set_weights(mixes, tile * TILE + output, done, pending[output]);
                memmove(pending[output], pending[output] + GROUP, sizeof(float) * PROMPT);
                memset(pending[output] + PROMPT, 0, sizeof(float) * GROUP);
            }
    }
}

/* A row's scores to weights: of each head they sum to 1. Makes them ready for what the values were folded into. */
static void weigh(Engine *engine, int layer, int row)
{
    const Text *text = engine->pass.text[row];
    const Matrix *mixes = &text->mixes[layer];
    float *scores = engine->work.scores + (size_t)row * engine->shape.heads * PROMPT, weights[PROMPT];
    for (int head = 0; head < engine->shape.heads; head++) {
        float *own = scores + head * text->tokens;
        Floats most = all(-INFINITY), total = {0};
        for (int token = 0; token < PROMPT; token++)
            weights[token] = token < text->tokens ? own[token] + text->log_weight[token] : -INFINITY;
        for (int token = 0; token < text->tokens; token += LANES)
            most = larger(most, load(weights + token));
        float bound = largest(most);
        for (int token = 0; token < text->tokens; token += LANES) {
            Floats weight = exponential(load(weights + token) - bound);
            total += weight;
            store(weights + token, weight);
        }
        float share = 1.0f / sum(total);
        for (int token = 0; token < text->tokens; token++)
            own[token] = weights[token] * share;
    }
    memset(scores + mixes->inputs, 0, sizeof *scores * (mixes->columns - mixes->inputs));
    prepare(engine, row, scores, mixes, 1);
}
