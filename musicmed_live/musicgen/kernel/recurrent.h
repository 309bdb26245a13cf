/* One layer of the codec's LSTM over some frames: 16-bit recurrent weights with a scale per row, everything else exact.
 * Reading the weights is what takes the time, and half of the bytes take half of it. */

INLINE Floats load_shorts(const int16_t *from)
{
    Shorts shorts;
    memcpy(&shorts, from, sizeof shorts);
    return __builtin_convertvector(shorts, Floats);
}

INLINE Floats sigmoid(Floats x)
{
    Floats tail = exponential(-absolute(x));
    return select_floats(x < 0.0f, tail, all(1.0f)) / (1.0f + tail);
}

INLINE Floats hyperbolic_tangent(Floats x)
{
    Floats tail = exponential(absolute(x) * -2.0f);
    Floats size = (1.0f - tail) / (1.0f + tail);
    return select_floats(x < 0.0f, -size, size);
}

/* Adds to four gates what the last output makes of them. */
static void add_recurrent(const Recurrent *layer, int first, float *gates)
{
    int width = layer->width;
    const int16_t *weights = layer->weights + (size_t)first * width;
    Floats totals[4] = {{0}};
    for (int i = 0; i < width; i += LANES) {
        Floats x = load(layer->out + i);
        for (int r = 0; r < 4; r++)
            totals[r] += load_shorts(weights + (size_t)r * width + i) * x;
    }
    for (int r = 0; r < 4; r++)
        gates[first + r] += sum(totals[r]) * layer->scales[first + r];
}

static void unroll(const Recurrent *layer)
{
    int width = layer->width;
    for (int frame = 0; frame < layer->frames; frame++) {
        float *gates = layer->gates + (size_t)frame * 4 * width;
        for (int first = 0; first < 4 * width; first += 4)
            add_recurrent(layer, first, gates);
        for (int i = 0; i < width; i += LANES) {
            Floats admit = sigmoid(load(gates + i)), keep = sigmoid(load(gates + width + i));
            Floats show = sigmoid(load(gates + 2 * width + i)), value = hyperbolic_tangent(load(gates + 3 * width + i));
            Floats cell = keep * load(layer->cell + i) + admit * value;
            store(layer->cell + i, cell);
            store(layer->out + i, show * hyperbolic_tangent(cell));
        }
        memcpy(layer->outs + (size_t)frame * width, layer->out, sizeof(float) * width);
    }
}
