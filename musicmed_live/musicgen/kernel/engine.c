/* What the library offers: an engine's memory, its weights, its slots, and its passes. Callers check all arguments. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine.h"

#define EXPORT __attribute__((visibility("default")))

enum { WEIGHTS, WORK, CACHES, HUGE_PAGE = 2 << 20 };

/* ---- instruction sets ---- */

enum { AVX512, AVX2, NEON, PLAIN };

EXPORT int engine_supports(int set)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (set == AVX512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
               && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
               && __builtin_cpu_supports("avx512vnni");
    if (set == AVX2)
        return __builtin_cpu_supports("avx2") != 0;
#elif defined(__aarch64__)
    if (set == NEON)
        return 1;
#endif
    return set == PLAIN;
}

static Instructions instructions_of(int set)
{
#if defined(__x86_64__)
    if (set == AVX512)
        return avx512_instructions;
    if (set == AVX2)
        return avx2_instructions;
#elif defined(__aarch64__)
    if (set == NEON)
        return neon_instructions;
#endif
    (void)set;
    return plain_instructions;
}

/* ---- memory: each layout runs twice, first to count the bytes, then to hand them out ---- */

typedef struct {
    uint8_t *base; /* NULL: count only */
    size_t used;
} Arena;

static void *take(Arena *arena, size_t bytes)
{
    size_t at = arena->used;
    arena->used += (bytes + 63) / 64 * 64;
    return arena->base ? arena->base + at : NULL;
}

static void lay_out_matrix(Arena *arena, Matrix *matrix, int outputs, int inputs)
{
    matrix->outputs = outputs;
    matrix->inputs = inputs;
    matrix->columns = (inputs + GROUP - 1) / GROUP * GROUP;
    matrix->tile_bytes = (size_t)matrix->columns / GROUP * GROUP_BYTES;
    matrix->tiles = take(arena, matrix->tile_bytes * (outputs / TILE));
}

static void lay_out_layer(Arena *arena, Engine *engine, int layer)
{
    int width = engine->shape.width, ffn = engine->shape.ffn;
    for (int kind = QUERY; kind < FC1; kind++)
        lay_out_matrix(arena, layer_matrix(engine, layer, kind), width, width);
    lay_out_matrix(arena, layer_matrix(engine, layer, FC1), ffn, width);
    lay_out_matrix(arena, layer_matrix(engine, layer, FC2), width, ffn);
}

static void lay_out_weights(Arena *arena, Engine *engine)
{
    const Shape *shape = &engine->shape;
    size_t width = shape->width;
    for (int layer = 0; layer < shape->layers; layer++)
        lay_out_layer(arena, engine, layer);
    for (int book = 0; book < shape->codebooks; book++) {
        lay_out_matrix(arena, lm_head(engine, book), shape->vocab, shape->width);
        *embedding_matrix(engine, book) = (Matrix){.outputs = shape->width, .columns = shape->vocab + 1};
    }
    lay_out_matrix(arena, text_projection(engine), shape->width, shape->text_width);
    for (int norm = 0; norm <= shape->layers * LAYER_NORMS; norm++)
        engine->norms[norm] = (Norm){take(arena, sizeof(float) * width), take(arena, sizeof(float) * width)};
    engine->embedding = take(arena, sizeof(uint16_t) * width * shape->codebooks * (shape->vocab + 1));
    engine->positions = take(arena, sizeof(float) * width * shape->window);
    engine->text_bias = take(arena, sizeof(float) * width);
}

static int widest(const Engine *engine)
{
    int widest = text_projection(engine)->columns;
    widest = engine->shape.width > widest ? engine->shape.width : widest;
    widest = engine->shape.ffn > widest ? engine->shape.ffn : widest;
    return engine->shape.heads * PROMPT > widest ? engine->shape.heads * PROMPT : widest;
}

static void lay_out_work(Arena *arena, Engine *engine)
{
    Workspace *work = &engine->work;
    float **buffers[] = {&work->x, &work->normed, &work->query, &work->key, &work->value, &work->attended};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        *buffers[i] = take(arena, sizeof(float) * ROWS * engine->shape.width);
    work->inner = take(arena, sizeof(float) * ROWS * engine->shape.ffn);
    work->scores = take(arena, sizeof(float) * ROWS * engine->shape.heads * PROMPT);
    work->low = take(arena, sizeof(float) * ROWS * LOW_MATRICES * engine->low_rank);
    for (int row = 0; row < ROWS; row++) {
        work->rows[row].steps = take(arena, 2 * widest(engine));
        work->rows[row].sums = take(arena, sizeof(int32_t) * widest(engine) / GROUP);
    }
    for (int slot = 0; slot < engine->shape.slots; slot++)
        engine->texts[slot].adapters = take(arena, sizeof(float) * (engine->adapters + 1));
}

static void lay_out_cache(Arena *arena, const Engine *engine, Cache *cache, int window)
{
    cache->window = (window + TILE - 1) / TILE * TILE;
    cache->head_bytes = (size_t)cache->window * 2 * (engine->head_width + sizeof(float));
    cache->base = take(arena, cache->head_bytes * engine->shape.heads * engine->shape.layers);
}

static int whole_tiles(int numbers)
{
    return (numbers + TILE - 1) / TILE * TILE;
}

/* The matrices that a text of so many tokens is folded into. They lie close, so that short texts take little memory. */
static void lay_out_text(Arena *arena, const Engine *engine, Text *text, int tokens)
{
    int width = engine->shape.width, numbers = engine->shape.heads * tokens;
    for (int layer = 0; layer < engine->shape.layers; layer++) {
        lay_out_matrix(arena, &text->scores[layer], whole_tiles(numbers), width);
        lay_out_matrix(arena, &text->mixes[layer], width, numbers);
    }
}

static void lay_out_caches(Arena *arena, Engine *engine)
{
    for (int i = 0; i < engine->shape.slots; i++) {
        Slot *slot = &engine->slots[i];
        lay_out_cache(arena, engine, &slot->self[0], engine->shape.window);
        lay_out_cache(arena, engine, &slot->self[1], engine->shape.window);
        Arena longest = {NULL, 0};
        lay_out_text(&longest, engine, &engine->texts[i], PROMPT);
        engine->texts[i].folded = take(arena, longest.used);
    }
}

/* Zeroed memory in huge pages where the system has them: their table entries stay in the processor. */
static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
#if defined(MADV_HUGEPAGE)
    madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return memory;
}

static bool reserve(Engine *engine, int part, void (*lay_out)(Arena *, Engine *))
{
    Arena counted = {NULL, 0};
    lay_out(&counted, engine);
    size_t bytes = (counted.used + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE + HUGE_PAGE;
    engine->memory[part] = map(bytes);
    if (!engine->memory[part])
        return false;
    engine->memory_bytes[part] = bytes;
    uintptr_t start = ((uintptr_t)engine->memory[part] + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    Arena arena = {(uint8_t *)start, 0};
    lay_out(&arena, engine);
    return true;
}

/* ---- life ---- */

EXPORT void engine_close(Engine *engine)
{
    if (engine->threads)
        pool_close(engine);
    int matrices = engine->shape.layers * LAYER_MATRICES + 2 * engine->shape.codebooks + 1;
    for (int i = 0; engine->matrices && i < matrices; i++) {
        free(engine->matrices[i].low.adapter);
        free(engine->matrices[i].low.down);
        free(engine->matrices[i].low.up);
    }
    for (int part = WEIGHTS; part <= CACHES; part++)
        if (engine->memory[part])
            munmap(engine->memory[part], engine->memory_bytes[part]);
    free(engine->matrices);
    for (int i = 0; engine->texts && i < engine->shape.slots; i++) {
        free(engine->texts[i].scores);
        free(engine->texts[i].mixes);
    }
    free(engine->norms);
    free(engine->slots);
    free(engine->texts);
    free(engine);
}

/* Each slot follows a text of its own, which says nothing. */
static bool open_texts(Engine *engine)
{
    for (int i = 0; i < engine->shape.slots; i++) {
        Text *text = engine->slots[i].text = &engine->texts[i];
        text->followers = 1;
        text->scores = calloc(engine->shape.layers, sizeof *text->scores);
        text->mixes = calloc(engine->shape.layers, sizeof *text->mixes);
        if (!text->scores || !text->mixes)
            return false;
    }
    return true;
}

/* An engine without weights, which engine_matrix() and the like fill in; NULL where memory does not suffice. */
EXPORT Engine *engine_open(const Shape *shape, int adapters, int low_rank, int threads, int set)
{
    Engine *engine = aligned_alloc(64, (sizeof *engine + 63) / 64 * 64);
    if (!engine)
        return NULL;
    memset(engine, 0, sizeof *engine);
    engine->shape = *shape;
    engine->head_width = shape->width / shape->heads;
    engine->adapters = adapters;
    engine->low_rank = low_rank;
    engine->instructions = instructions_of(set);
    engine->matrices = calloc(shape->layers * LAYER_MATRICES + 2 * shape->codebooks + 1, sizeof *engine->matrices);
    engine->norms = calloc(shape->layers * LAYER_NORMS + 1, sizeof *engine->norms);
    engine->slots = calloc(shape->slots, sizeof *engine->slots);
    engine->texts = calloc(shape->slots, sizeof *engine->texts);
    if (!engine->matrices || !engine->norms || !engine->slots || !engine->texts || !open_texts(engine)
        || !reserve(engine, WEIGHTS, lay_out_weights)
        || !reserve(engine, WORK, lay_out_work) || !reserve(engine, CACHES, lay_out_caches)) {
        engine_close(engine);
        return NULL;
    }
    pool_open(engine, threads);
    return engine;
}

/* ---- weights: matrices and norms are numbered as they lie in `matrices` and `norms` ---- */

EXPORT void engine_matrix(Engine *engine, int number, const float *weights)
{
    engine->instructions.quantise(&engine->matrices[number], weights);
}

EXPORT void engine_norm(Engine *engine, int number, const float *gain, const float *bias)
{
    memcpy(engine->norms[number].gain, gain, sizeof *gain * engine->shape.width);
    memcpy(engine->norms[number].bias, bias, sizeof *bias * engine->shape.width);
}

/* `weights` in bfloat16. */
EXPORT void engine_embedding(Engine *engine, int book, const uint16_t *weights)
{
    size_t numbers = (size_t)(engine->shape.vocab + 1) * engine->shape.width;
    memcpy(engine->embedding + book * numbers, weights, sizeof *weights * numbers);
}

EXPORT void engine_vectors(Engine *engine, const float *positions, const float *text_bias)
{
    memcpy(engine->positions, positions, sizeof *positions * engine->shape.window * engine->shape.width);
    memcpy(engine->text_bias, text_bias, sizeof *text_bias * engine->shape.width);
}

static void *copied(const void *from, size_t bytes)
{
    void *to = malloc(bytes);
    return to ? memcpy(to, from, bytes) : NULL;
}

/* What all adapters add to one matrix: `adapter` (rank), `down` (rank, columns) and `up` (rank, outputs) in bfloat16. */
EXPORT bool engine_low_rank(
    Engine *engine, int number, int rank, const int32_t *adapter, const uint16_t *down, const uint16_t *up)
{
    Matrix *matrix = &engine->matrices[number];
    matrix->low = (LowRank){
        rank,
        copied(adapter, sizeof *adapter * rank),
        copied(down, sizeof *down * rank * matrix->columns),
        copied(up, sizeof *up * rank * matrix->outputs),
    };
    return matrix->low.adapter && matrix->low.down && matrix->low.up;
}

/* ---- passes ---- */

static void follow(Slot *slot, Text *text)
{
    slot->text->followers--;
    slot->text = text;
    text->followers++;
}

/* The first text that nobody but these slots follows. */
static Text *unread_text(Engine *engine, int count, const int32_t *slots)
{
    Text *text = engine->texts;
    for (;; text++) {
        int others = text->followers;
        for (int i = 0; i < count; i++)
            others -= engine->slots[slots[i]].text == text;
        if (!others)
            return text;
    }
}

/* The slots follow a text from now on: `hidden` (tokens, text width rounded up to 64), a weight for each adapter. */
EXPORT void engine_condition(
    Engine *engine, int count, const int32_t *slots, int tokens, const float *hidden, const float *log_weight,
    const float *adapters)
{
    Text *text = unread_text(engine, count, slots);
    Pass *pass = &engine->pass;
    for (int i = 0; i < count; i++)
        follow(&engine->slots[slots[i]], text);
    memcpy(text->adapters, adapters, sizeof *adapters * engine->adapters);
    memcpy(text->log_weight, log_weight, sizeof *log_weight * tokens);
    text->tokens = tokens;
    lay_out_text(&(Arena){text->folded, 0}, engine, text, tokens);
    memset(pass, 0, sizeof *pass);
    pass->conditions = true;
    pass->hidden = hidden;
    pass->rows = tokens;
    for (int row = 0; row < tokens; row++) {
        pass->every[row] = row;
        pass->text[row] = text;
    }
    pool_run(engine);
}

static Readers *readers_of(Pass *pass, Text *text)
{
    Readers *readers = pass->readers;
    while (readers < pass->readers + pass->text_count && readers->text != text)
        readers++;
    if (readers == pass->readers + pass->text_count)
        pass->readers[pass->text_count++] = (Readers){.text = text};
    return readers;
}

static void add_row(Pass *pass, Slot *slot, int guided, int position, const int32_t *tokens, float *logits)
{
    int row = pass->rows++;
    pass->every[row] = row;
    pass->text[row] = slot->text;
    pass->position[row] = position;
    pass->tokens[row] = tokens;
    if (guided && slot->text->tokens) {
        Readers *readers = readers_of(pass, slot->text);
        readers->rows[readers->count++] = row;
        pass->cross[pass->cross_count++] = row;
    }
    if (logits) {
        pass->logits[pass->drawn_count] = logits;
        pass->drawn[pass->drawn_count++] = row;
    }
}

/* Columns that are run in slots at once: which slots, at which positions, what goes in, what is to come out. */
typedef struct {
    int count, columns;
    const int32_t *slots, *positions; /* (count) */
    const int32_t *tokens;            /* (count, columns, codebooks) */
    float *logits;                    /* NULL, or (count, columns, 2, codebooks, vocab), the conditional ones first */
} Columns;

/* Steps that draw, in slots at once. */
typedef struct {
    int count, steps;
    const int32_t *slots, *positions; /* (count) */
    int32_t *columns;                 /* (count, steps + 1, codebooks): what goes in first, then what comes out; -1: draw */
    const uint64_t *keys;             /* (count, steps) */
    float *logits;                    /* room for (count, 2, codebooks, vocab) */
    Sampling sampling;
} Draws;

static size_t row_numbers(const Engine *engine)
{
    return (size_t)engine->shape.codebooks * engine->shape.vocab;
}

/* Adds `count` columns of a slot for one row of guidance. `logits`: of the last column or, with `every`, of each; or NULL. */
static void add_stream(
    Engine *engine, Slot *slot, int guided, int position, const int32_t *tokens, int count, float *logits, bool every)
{
    Pass *pass = &engine->pass;
    pass->streams[pass->stream_count++] = (Stream){slot, guided, pass->rows, count, position};
    if (logits && !guided)
        logits += row_numbers(engine);
    for (int column = 0; column < count; column++) {
        bool wanted = logits && (every || column + 1 == count);
        add_row(pass, slot, guided, position + column, tokens + (size_t)column * engine->shape.codebooks,
                wanted ? logits : NULL);
        if (wanted)
            logits += 2 * row_numbers(engine);
    }
}

/* Runs the columns, as many in a pass as fit. */
EXPORT void engine_run(Engine *engine, const Columns *columns)
{
    int most = ROWS / (2 * columns->count);
    for (int first = 0; first < columns->columns; first += most) {
        int count = columns->columns - first < most ? columns->columns - first : most;
        memset(&engine->pass, 0, sizeof engine->pass);
        for (int i = 0; i < columns->count; i++) {
            size_t place = (size_t)i * columns->columns + first;
            const int32_t *tokens = columns->tokens + place * engine->shape.codebooks;
            float *logits = columns->logits ? columns->logits + place * 2 * row_numbers(engine) : NULL;
            for (int guided = 1; guided >= 0; guided--)
                add_stream(engine, &engine->slots[columns->slots[i]], guided, columns->positions[i] + first, tokens, count,
                           logits, true);
        }
        pool_run(engine);
    }
}

static bool is_known(const Engine *engine, const int32_t *column)
{
    for (int book = 0; book < engine->shape.codebooks; book++)
        if (column[book] < 0)
            return false;
    return true;
}

static void draw_column(const Engine *engine, const Draws *draws, float *logits, uint64_t key, int32_t *column)
{
    size_t vocab = engine->shape.vocab;
    for (int book = 0; book < engine->shape.codebooks; book++)
        if (column[book] < 0)
            column[book] = draw_token(&draws->sampling, logits + book * vocab, logits + row_numbers(engine) + book * vocab,
                                      (int)vocab, key, book);
}

/* Runs the steps one after the other: what is drawn in one goes into the next. */
EXPORT void engine_draw(Engine *engine, const Draws *draws)
{
    int books = engine->shape.codebooks;
    for (int step = 0; step < draws->steps; step++) {
        memset(&engine->pass, 0, sizeof engine->pass);
        for (int i = 0; i < draws->count; i++) {
            const int32_t *column = draws->columns + ((size_t)i * (draws->steps + 1) + step) * books;
            float *logits = is_known(engine, column + books) ? NULL : draws->logits + i * 2 * row_numbers(engine);
            for (int guided = 1; guided >= 0; guided--)
                add_stream(engine, &engine->slots[draws->slots[i]], guided, draws->positions[i] + step, column, 1, logits,
                           false);
        }
        pool_run(engine);
        for (int i = 0; i < draws->count; i++)
            draw_column(engine, draws, draws->logits + i * 2 * row_numbers(engine), draws->keys[i * draws->steps + step],
                        draws->columns + ((size_t)i * (draws->steps + 1) + step + 1) * books);
    }
}

static void copy_cache(const Engine *engine, const Cache *from, const Cache *to, int positions)
{
    size_t width = engine->head_width, window = from->window;
    size_t bytes = (size_t)(positions + TILE - 1) / TILE * TILE * width, scales = sizeof(float) * positions;
    for (int head = 0; head < engine->shape.layers * engine->shape.heads; head++) {
        const uint8_t *source = from->base + head * from->head_bytes;
        uint8_t *target = to->base + head * to->head_bytes;
        memcpy(target, source, bytes);
        memcpy(target + window * width, source + window * width, bytes);
        memcpy(target + 2 * window * width, source + 2 * window * width, scales);
        size_t values = 2 * window * width + sizeof(float) * window;
        memcpy(target + values, source + values, scales);
    }
}

/* The target slot becomes what the source is, `length` positions long. */
EXPORT void engine_copy(Engine *engine, int source, int target, int length)
{
    const Slot *from = &engine->slots[source];
    Slot *to = &engine->slots[target];
    copy_cache(engine, &from->self[0], &to->self[0], length);
    copy_cache(engine, &from->self[1], &to->self[1], length);
    follow(to, from->text);
}

/* Do without so many more cores (fewer where negative) until told otherwise. May be called by any thread. */
EXPORT void engine_lend(Engine *engine, int cores)
{
    atomic_fetch_add(&engine->lent, cores);
}

/* ---- the codec ---- */

EXPORT void recurrent_unroll(int set, const Recurrent *layer)
{
    instructions_of(set).unroll(layer);
}
