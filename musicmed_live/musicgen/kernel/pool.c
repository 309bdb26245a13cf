/* Threads that draw blocks.
 *
 * The ticket holds the open phase, how many blocks it has, and the next one. Adding 1 draws a block; where that is past
 * the last, there is none to draw. Whoever finishes the last block opens the next phase that has any.
 *
 * Where other programs keep cores busy, a thread that was put aside within a block holds up all others for a time slice,
 * and fewer threads can be faster; where memory is the limit, too. So how many work is found by trying, all the time. */
#define _GNU_SOURCE
#include <sched.h>
#include <time.h>

#include "engine.h"

typedef unsigned long long Ticket;

enum { NEXT_BITS = 24, BLOCK_BITS = 24 };
enum { SPINS = 1000, PATIENCE_NS = 1000 * 1000 };
enum { TRIED_PASSES = 4, FIRST_INTERVAL = 64, LAST_INTERVAL = 1024 };
static const double CLEARLY_FASTER = 0.95, CLEARLY_SLOWER = 1.3, SMOOTHING = 0.1;
static const Ticket CLOSED = ~0ull << (NEXT_BITS + BLOCK_BITS); /* no pass is under way */

static Ticket next_of(Ticket ticket)
{
    return ticket & ((1ull << NEXT_BITS) - 1);
}

static Ticket blocks_of(Ticket ticket)
{
    return ticket >> NEXT_BITS & ((1ull << BLOCK_BITS) - 1);
}

static int phase_of(Ticket ticket)
{
    return (int)(ticket >> (NEXT_BITS + BLOCK_BITS));
}

static bool closed(Ticket ticket)
{
    return ticket >= CLOSED;
}

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static long long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static void open_phase(Engine *engine, int phase)
{
    int blocks;
    while ((blocks = engine->instructions.blocks(engine, phase)) == 0)
        phase++;
    atomic_store_explicit(&engine->done, 0, memory_order_relaxed);
    Ticket ticket = blocks < 0 ? CLOSED : ((Ticket)phase << BLOCK_BITS | (Ticket)blocks) << NEXT_BITS;
    atomic_store(&engine->ticket, ticket);
}

/* Draws blocks until the pass is done. */
static void draw_blocks(Engine *engine)
{
    for (int idle = 0;;) {
        Ticket ticket = atomic_load(&engine->ticket);
        if (closed(ticket))
            return;
        if (next_of(ticket) < blocks_of(ticket))
            ticket = atomic_fetch_add(&engine->ticket, 1);
        if (closed(ticket))
            return;
        if (next_of(ticket) >= blocks_of(ticket)) {
            if (++idle < SPINS)
                pause_briefly();
            else
                sched_yield();
            continue;
        }
        idle = 0;
        engine->instructions.run(engine, phase_of(ticket), (int)next_of(ticket));
        if (atomic_fetch_add(&engine->done, 1) + 1 == (int)blocks_of(ticket))
            open_phase(engine, phase_of(ticket) + 1);
    }
}

/* Threads that take part in the next pass. */
static int present(Engine *engine)
{
    int left = atomic_load(&engine->crew) - atomic_load(&engine->lent);
    return left < 1 ? 1 : left;
}

static bool idle(Engine *engine, int index)
{
    if (atomic_load(&engine->closing))
        return false;
    return closed(atomic_load(&engine->ticket)) || index >= present(engine);
}

/* Steps follow each other closely: stay awake for a moment before going to sleep. */
static void await_pass(Engine *engine, int index)
{
    long long until = now_ns() + (atomic_load(&engine->lent) ? 0 : PATIENCE_NS);
    while (idle(engine, index) && now_ns() < until)
        for (int i = 0; i < 32; i++)
            pause_briefly();
    if (!idle(engine, index))
        return;
    pthread_mutex_lock(&engine->mutex);
    atomic_fetch_or(&engine->asleep, 1ull << index);
    while (idle(engine, index))
        pthread_cond_wait(&engine->wake, &engine->mutex);
    atomic_fetch_and(&engine->asleep, ~(1ull << index));
    pthread_mutex_unlock(&engine->mutex);
}

static void *thread_main(void *argument)
{
    Engine *engine = argument;
    int index = atomic_fetch_add(&engine->started, 1);
    while (!atomic_load(&engine->closing)) {
        await_pass(engine, index);
        draw_blocks(engine);
    }
    return NULL;
}

/* Wakes the threads below `index`, if any is asleep. */
static void wake_below(Engine *engine, int index)
{
    if (!(atomic_load(&engine->asleep) & (~0ull >> (MAX_THREADS - index))))
        return;
    pthread_mutex_lock(&engine->mutex);
    pthread_cond_broadcast(&engine->wake);
    pthread_mutex_unlock(&engine->mutex);
}

static void begin_trial(Engine *engine, Trial *trial)
{
    int size = trial->settled + trial->direction;
    if (size < 1 || size > engine->threads) {
        trial->direction = -trial->direction;
        size = trial->settled + trial->direction;
    }
    trial->passes = 0;
    trial->tried_ns = 0;
    atomic_store(&engine->crew, size);
}

static void end_trial(Engine *engine, Trial *trial)
{
    double tried_ns = trial->tried_ns / TRIED_PASSES;
    if (tried_ns < trial->settled_ns * CLEARLY_FASTER) {
        trial->settled = atomic_load(&engine->crew);
        trial->settled_ns = tried_ns;
        trial->interval = FIRST_INTERVAL;
    } else {
        trial->direction = -trial->direction;
        trial->interval = trial->interval < LAST_INTERVAL ? 2 * trial->interval : LAST_INTERVAL;
    }
    trial->calm_ns = trial->settled_ns;
    trial->passes = 0;
    atomic_store(&engine->crew, trial->settled);
}

static void forget_times(Engine *engine, Trial *trial, int rows)
{
    *trial = (Trial){.rows = rows, .settled = trial->settled, .direction = -1, .interval = FIRST_INTERVAL};
    atomic_store(&engine->crew, trial->settled);
}

/* Takes note of how long a pass took, and decides how many threads take part in the next. */
static void learn(Engine *engine, double ns)
{
    Trial *trial = &engine->trial;
    int rows = engine->pass.conditions ? 0 : engine->pass.rows;
    if (engine->threads == 1 || rows == 0)
        return;
    if (rows != trial->rows)
        return forget_times(engine, trial, rows);
    trial->passes++;
    if (atomic_load(&engine->crew) != trial->settled) {
        trial->tried_ns += ns;
        if (trial->passes == TRIED_PASSES)
            end_trial(engine, trial);
        return;
    }
    trial->settled_ns = trial->passes == 1 && !trial->calm_ns ? ns : ns * SMOOTHING + trial->settled_ns * (1 - SMOOTHING);
    if (trial->settled_ns > CLEARLY_SLOWER * trial->calm_ns)
        trial->interval = FIRST_INTERVAL;
    if (trial->passes >= trial->interval)
        begin_trial(engine, trial);
}

void pool_open(Engine *engine, int threads)
{
    atomic_init(&engine->ticket, CLOSED);
    pthread_mutex_init(&engine->mutex, NULL);
    pthread_cond_init(&engine->wake, NULL);
    if (threads > MAX_THREADS)
        threads = MAX_THREADS;
    engine->threads = 1;
    atomic_init(&engine->started, 1);
    atomic_init(&engine->crew, threads);
    while (engine->threads < threads && !pthread_create(&engine->thread[engine->threads], NULL, thread_main, engine))
        engine->threads++;
    engine->trial.settled = engine->threads;
    atomic_store(&engine->crew, engine->threads);
}

void pool_close(Engine *engine)
{
    atomic_store(&engine->closing, true);
    wake_below(engine, MAX_THREADS);
    for (int i = 1; i < engine->threads; i++)
        pthread_join(engine->thread[i], NULL);
    pthread_cond_destroy(&engine->wake);
    pthread_mutex_destroy(&engine->mutex);
}

void pool_run(Engine *engine)
{
    long long began = now_ns();
    open_phase(engine, 0);
    bool whole = !atomic_load(&engine->lent);
    wake_below(engine, present(engine));
    draw_blocks(engine);
    if (whole && !atomic_load(&engine->lent))
        learn(engine, (double)(now_ns() - began));
}
