/* All arithmetic, compiled once for each instruction set: linear.h, attention.h, folding.h, the codec's recurrent.h and,
 * here, the phases of a pass. The including file defines before it:
 *
 *   dot(vectors, count, tile, steps, rows, sums)  sums[r][v] = tile's bytes times integers of row r, wrapping at 2^32;
 *                                                 `vectors` (16 outputs each) and `count` are constants when inlined
 *   pack(integers, to)                            16 integers of a row as the 32 bytes that dot() reads
 *   INSTRUCTIONS                                  the name of the table that is exported */
#include "linear.h"

#include "attention.h"

#include "folding.h"

#include "recurrent.h"

enum {
    EMBED, SELF_PREPARE, SELF_PROJECT, SELF_ATTEND, SELF_GATHER, SELF_MERGE, CROSS_PREPARE, CROSS_SCORE, CROSS_GATHER,
    CROSS_MERGE, FFN_PREPARE, FFN_EXPAND, FFN_GATHER, FFN_MERGE, HEAD_PREPARE, HEAD_PROJECT,
    TEXT_GATHER, TEXT_PROJECT, PROMPT_GATHER, PROMPT_PROJECT, PROMPT_FOLD_KEYS, PROMPT_FOLD_VALUES, NOTHING
};
enum { BLOCKS_PER_THREAD = 4, MOST_TILES = 4 };
enum { LAYER_PHASES = FFN_MERGE - EMBED, PROMPT_PHASES = PROMPT_FOLD_VALUES - TEXT_PROJECT };

static void embed_low_rank(const Engine *engine, const Matrix *matrix, int token, const float *weights, float *x)
{
    const LowRank *low = &matrix->low;
    for (int r = 0; r < low->rank; r++) {
        float factor = bfloat16(low->down[(size_t)r * matrix->columns + token]) * weights[low->adapter[r]];
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
        const uint16_t *table = engine->embedding + ((size_t)book * (vocab + 1) + token) * width;
        for (int i = 0; i < width; i += LANES)
            store(x + i, load(x + i) + load_bfloat16(table + i));
        embed_low_rank(engine, embedding_matrix(engine, book), token, pass->text[row]->adapters, x);
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

/* Tiles of the matrix that a text was folded into. */
static int text_tiles(const Engine *engine, const Text *text, int kind)
{
    return (kind == CROSS_SCORE ? text->scores->outputs : engine->shape.width) / TILE;
}

/* A tile of the matrices that texts were folded into, which follow each other, times the rows that follow the text. */
static void project_cross(Engine *engine, int layer, int kind, int tile)
{
    const Pass *pass = &engine->pass;
    const Shape *shape = &engine->shape;
    const Readers *readers = pass->readers;
    for (int tiles; tile >= (tiles = text_tiles(engine, readers->text, kind)); readers++)
        tile -= tiles;
    const Text *text = readers->text;
    if (kind == CROSS_SCORE)
        project(engine, &text->scores[layer], 0, tile, readers->rows, readers->count, ASSIGN, engine->work.scores,
                shape->heads * PROMPT);
    else
        project(engine, &text->mixes[layer], 0, tile, readers->rows, readers->count, ADD, engine->work.x, shape->width);
}

/* Tiles of weights that a stage goes through; 0 for one that has other things to do. */
static int tiles_of(const Engine *engine, int kind)
{
    const Shape *shape = &engine->shape;
    const Pass *pass = &engine->pass;
    int tiles = shape->width / TILE;
    switch (kind) {
    case SELF_PROJECT:
        return 3 * tiles;
    case SELF_MERGE: case FFN_MERGE: case TEXT_PROJECT:
        return tiles;
    case CROSS_SCORE: case CROSS_MERGE:
        tiles = 0;
        for (int text = 0; text < pass->text_count; text++)
            tiles += text_tiles(engine, pass->readers[text].text, kind);
        return tiles;
    case FFN_EXPAND:
        return shape->ffn / TILE;
    case HEAD_PROJECT:
        return pass->drawn_count ? shape->codebooks * (shape->vocab / TILE) : 0;
    case PROMPT_PROJECT:
        return 2 * tiles;
    default:
        return 0;
    }
}

/* Memory is read fastest in long stretches, but every thread has to have some of them. */
static int tiles_per_block(const Engine *engine, int tiles)
{
    int share = tiles / (BLOCKS_PER_THREAD * engine->threads);
    return share < 1 ? 1 : share > MOST_TILES ? MOST_TILES : share;
}

/* Blocks of a phase, 0 where it has nothing to do; -1 after the last phase. */
static int blocks(const Engine *engine, int phase)
{
    const Pass *pass = &engine->pass;
    int kind = stage_of(engine, phase).kind;
    int tiles = tiles_of(engine, kind);
    if (tiles)
        return (tiles - 1) / tiles_per_block(engine, tiles) + 1;
    switch (kind) {
    case EMBED: case SELF_PREPARE: case SELF_GATHER: case FFN_PREPARE: case FFN_GATHER: case TEXT_GATHER:
    case PROMPT_GATHER:
        return pass->rows;
    case SELF_ATTEND:
        return pass->stream_count * engine->shape.heads;
    case CROSS_PREPARE: case CROSS_GATHER:
        return pass->cross_count;
    case HEAD_PREPARE:
        return pass->drawn_count;
    case PROMPT_FOLD_KEYS:
        return engine->shape.heads;
    case PROMPT_FOLD_VALUES:
        return engine->shape.width / TILE;
    case NOTHING:
        return -1;
    default:
        return 0;
    }
}

/* One tile of weights, or one row or head of what has none. */
static void run_one(Engine *engine, Stage stage, int block)
{
    const Shape *shape = &engine->shape;
    const Pass *pass = &engine->pass;
    Workspace *work = &engine->work;
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
        row = pass->cross[block];
        return prepare_normed(engine, row, &norms[CROSS_NORM], &pass->text[row]->scores[stage.layer], 1);
    case CROSS_SCORE: case CROSS_MERGE:
        return project_cross(engine, stage.layer, stage.kind, block);
    case CROSS_GATHER:
        return weigh(engine, stage.layer, pass->cross[block]);
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
    case PROMPT_FOLD_KEYS:
        return fold_keys(engine, stage.layer, block);
    case PROMPT_FOLD_VALUES:
        return fold_values(engine, stage.layer, block);
    }
}

static void run(Engine *engine, int phase, int block)
{
    Stage stage = stage_of(engine, phase);
    int tiles = tiles_of(engine, stage.kind);
    if (tiles == 0)
        return run_one(engine, stage, block);
    int share = tiles_per_block(engine, tiles), end = (block + 1) * share;
    for (int tile = block * share; tile < end && tile < tiles; tile++)
        run_one(engine, stage, tile);
}

const Instructions INSTRUCTIONS = {blocks, run, quantise_matrix, unroll};
