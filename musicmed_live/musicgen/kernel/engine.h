/* MusicGen's decoder on a CPU: 8-bit weights, 16-bit activations, an 8-bit key-value cache.
 *
 * Everything heavy is one operation: a *tile* of unsigned bytes times a row of 16-bit integers, in exact 32-bit sums.
 *
 *   tile    64 outputs (or a head's width of them) by any number of *steps*; a step is 4 columns, its bytes lie together
 *           as [output][column], so that one dot-product instruction takes 16 outputs of a step at once, and a tile is
 *           read as one stream. A byte is the quantised number + 128; sums are corrected by 128 times that of the row.
 *   matrix  outputs / 64 tiles one after the other; in each, groups of 64 columns: a bfloat16 scale for each output, then
 *           the group's steps. 64 columns times 127 times 32639 stay below 2^31, so a group's sum is exact.
 *   row     the integers of an activation, |value| <= 32639 = 127 * 256 + 127, as 8 bytes for each step in the order that
 *           the instruction set wants, their sums over each group, and one scale.
 *   cache   of a head: keys in tiles of 64 positions by its width, values in one tile of its width by all positions, and
 *           a scale for each position. So attention is the same operation twice: keys times query, values times weights.
 *
 * Of cross-attention, what depends on the text alone is multiplied out when slots are told to follow it (*folded*): a head's
 * scores are (Wq x) k = x (Wq' k), and what it adds is Wo (v p) = (Wo v) p. So a step reads two matrices with a row or a
 * column for each head and token instead of Wq and Wo, which for a text of 16 tokens is a quarter of the bytes.
 *
 * A *pass* takes up to ROWS rows (columns of the delay pattern, for both rows of guidance) through the decoder, as a list
 * of phases, each made of independent blocks. Threads draw blocks from one counter; who finishes a phase's last block
 * opens the next phase. A thread that the system has put aside between two blocks is waited for by nobody. */
#ifndef ENGINE_H
#define ENGINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TILE = 64, STEP = 4, GROUP = 64, ROWS = 64, PROMPT = 64, MAX_WINDOW = 4096, MAX_THREADS = 64, MAX_SLOTS = 16 };
enum { GROUP_BYTES = TILE * (2 + GROUP) };
enum { LOW_MATRICES = 8 }; /* the most matrices that one row is prepared for: query, key, value, or the heads */

enum { QUERY, KEY, VALUE, OUT, CROSS_QUERY, CROSS_KEY, CROSS_VALUE, CROSS_OUT, FC1, FC2, LAYER_MATRICES };
enum { SELF_NORM, CROSS_NORM, FFN_NORM, LAYER_NORMS };

typedef struct {
    int32_t layers, width, heads, ffn, text_width, codebooks, vocab;
    int32_t slots, window;
} Shape;

/* What adapters add to a matrix: up (hidden * weight), hidden = down x. All adapters' ranks lie one after the other. */
typedef struct {
    int rank;
    int32_t *adapter; /* (rank): the adapter that each hidden number belongs to */
    uint16_t *down;   /* bfloat16 (rank, columns) */
    uint16_t *up;     /* bfloat16 (rank, outputs) */
} LowRank;

typedef struct {
    int outputs, inputs, columns; /* columns: inputs rounded up to 64, zero beyond */
    size_t tile_bytes;
    uint8_t *tiles;
    LowRank low;
} Matrix;

typedef struct {
    float *gain, *bias;
} Norm;

typedef struct {
    uint8_t *steps;
    int32_t *sums; /* over each group */
    float scale;
} Row;

/* The keys and values of all heads of one thread of attention, `window` positions each. */
typedef struct {
    uint8_t *base;
    size_t head_bytes;
    int window;
} Cache;

/* What slots follow, and how loud the adapters are. */
typedef struct {
    int followers;
    int tokens;      /* 0: no text, cross-attention is 0 */
    uint8_t *folded; /* the matrices of all layers that it was folded into, one after the other: */
    Matrix *scores;  /* (layers): an output for each head and token, the tokens of a head together */
    Matrix *mixes;   /* (layers): a column for each */
    float log_weight[PROMPT];
    float *adapters;
} Text;

typedef struct {
    Cache self[2]; /* conditional, unconditional */
    Text *text;
} Slot;

/* Rows of a pass that follow each other in one slot and one row of guidance. */
typedef struct {
    Slot *slot;
    int guided; /* 1: the conditional row */
    int first, count, position;
} Stream;

/* The rows of a pass that follow a text. */
typedef struct {
    Text *text;
    int count, rows[ROWS];
} Readers;

typedef struct {
    const int32_t *tokens[ROWS]; /* (codebooks) */
    int position[ROWS];
    Text *text[ROWS];
    Stream streams[2 * MAX_SLOTS];
    int rows, stream_count;
    int every[ROWS], cross[ROWS], drawn[ROWS]; /* row numbers: all, those with a text, those whose logits are wanted */
    int cross_count, drawn_count;
    Readers readers[MAX_SLOTS]; /* for each text that is followed */
    int text_count;
    float *logits[ROWS]; /* of each drawn row: (codebooks, vocab) */
    bool conditions; /* this pass folds `hidden` into the matrices of a text */
    const float *hidden;
} Pass;

typedef struct {
    float *x, *normed, *query, *key, *value, *attended, *inner, *scores, *low;
    uint8_t *steps;
    int32_t *sums;
    Row rows[ROWS];
} Workspace;

/* How many threads are best, found by trying one more and one less. Times are those of passes of the same kind. */
typedef struct {
    int rows;    /* of the passes that are compared */
    int settled; /* threads that are best so far */
    int direction, interval, passes;
    double settled_ns, calm_ns, tried_ns;
} Trial;

/* A layer of the codec's LSTM, and a stretch of frames that it runs over. Gates stand in the order i, f, o, g. */
typedef struct {
    int width, frames;
    const int16_t *weights; /* (4 width, width) */
    const float *scales;    /* (4 width) */
    float *gates;           /* (frames, 4 width): the input's share; used up */
    float *out, *cell;      /* (width): the state, before and after */
    float *outs;            /* (frames, width) */
} Recurrent;

typedef struct Engine Engine;
typedef struct Instructions {
    int (*blocks)(const Engine *, int phase);
    void (*run)(Engine *, int phase, int block);
    void (*quantise)(Matrix *, const float *weights);
    void (*unroll)(const Recurrent *);
} Instructions;

struct Engine {
    Shape shape;
    int head_width, adapters, low_rank; /* low_rank: the largest rank of any matrix */
    Matrix *matrices; /* of layer 0, ..., of the heads, of the text's projection, of the embeddings (adapters only) */
    Norm *norms;
    uint16_t *embedding; /* bfloat16 */
    float *positions, *text_bias;
    Slot *slots;
    Text *texts; /* as many as slots */
    Workspace work;
    Pass pass;
    Instructions instructions;
    void *memory[3];
    size_t memory_bytes[3];

    int threads; /* the caller's among them, which has the index 0 */
    pthread_t thread[MAX_THREADS];
    atomic_int started;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    atomic_ullong asleep; /* a bit for each thread */
    atomic_bool closing;
    Trial trial;
    atomic_int crew; /* threads that work: those with a lower index */
    atomic_int lent;           /* cores that the caller uses for something else meanwhile */
    _Alignas(64) atomic_ullong ticket; /* see pool.c */
    _Alignas(64) atomic_int done;      /* blocks of the open phase */
};

typedef struct {
    float guidance;
    int32_t top_k;
    double temperature;
} Sampling;

static inline Matrix *layer_matrix(const Engine *engine, int layer, int kind)
{
    return &engine->matrices[layer * LAYER_MATRICES + kind];
}

static inline Matrix *lm_head(const Engine *engine, int codebook)
{
    return &engine->matrices[engine->shape.layers * LAYER_MATRICES + codebook];
}

static inline Matrix *text_projection(const Engine *engine)
{
    return lm_head(engine, engine->shape.codebooks);
}

static inline Matrix *embedding_matrix(const Engine *engine, int codebook)
{
    return text_projection(engine) + 1 + codebook;
}

int draw_token(const Sampling *sampling, float *conditional, float *unconditional, int vocab, uint64_t key, int codebook);

/* Starts the threads beside the caller's, as many as the system allows. */
void pool_open(Engine *engine, int threads);
void pool_close(Engine *engine);
/* Takes `engine->pass` through all its phases; returns when the last block is done. */
void pool_run(Engine *engine);

extern const Instructions avx512_instructions, avx2_instructions, neon_instructions, plain_instructions;

#endif
