/* Draws tokens as sampling.py does, which explains it: the largest of logit / temperature + hashed Gumbel noise among the
 * k likeliest (here also those that equal the k-th). In C because everything else a step needs has left the caches. */
#include <math.h>

#include "engine.h"

static uint32_t mixed(uint32_t word)
{
    word = (word ^ word >> 16) * 0x21f0aaadu;
    word = (word ^ word >> 15) * 0x735a2d97u;
    return word ^ word >> 15;
}

static double gumbel(uint32_t stream, uint32_t token)
{
    return -log(-log((mixed(stream + token * 0x9e3779b9u) + 0.5) * 0x1p-32));
}

/* The k-th largest of `count` numbers, which are put into another order (Hoare 1961, "Algorithm 65: find"). */
static float kth_largest(float *x, int count, int k)
{
    int low = 0, high = count - 1, wanted = k - 1;
    while (low < high) {
        float pivot = x[wanted];
        int i = low, j = high;
        while (i <= j) {
            while (x[i] > pivot)
                i++;
            while (x[j] < pivot)
                j--;
            if (i <= j) {
                float held = x[i];
                x[i++] = x[j];
                x[j--] = held;
            }
        }
        if (j < wanted)
            low = i;
        if (wanted < i)
            high = j;
    }
    return x[wanted];
}

/* One token. Both rows of logits are used up. */
int draw_token(const Sampling *sampling, float *conditional, float *unconditional, int vocab, uint64_t key, int codebook)
{
    float *logits = unconditional;
    for (int i = 0; i < vocab; i++)
        logits[i] = conditional[i] - (conditional[i] - unconditional[i]) * (1.0f - sampling->guidance);
    for (int i = 0; i < vocab; i++)
        conditional[i] = logits[i];
    float least = kth_largest(conditional, vocab, sampling->top_k < vocab ? sampling->top_k : vocab);
    uint32_t row = mixed((uint32_t)key ^ mixed((uint32_t)(key >> 32)));
    uint32_t stream = mixed(row + (uint32_t)codebook * 0x9e3779b9u);
    int drawn = 0;
    double best = -INFINITY;
    for (int token = 0; token < vocab; token++) {
        if (!(logits[token] >= least))
            continue;
        double noise = sampling->top_k > 1 ? gumbel(stream, (uint32_t)token) : 0;
        double score = logits[token] / sampling->temperature + noise;
        if (score > best) {
            best = score;
            drawn = token;
        }
    }
    return drawn;
}
