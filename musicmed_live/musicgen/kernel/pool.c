/* Threads that draw blocks.
 *
 * The ticket holds the open phase, how many blocks it has, and the next one. Adding 1 draws a block; where that is past
 * the last, there is none to draw. Whoever finishes the last block opens the next phase that has any. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "engine.h"

typedef unsigned long long Ticket;

enum { NEXT_BITS = 24, BLOCK_BITS = 24 };
enum { SPINS = 1000, PATIENCE_NS = 1000 * 1000 };
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

/* A core that is left for a moment takes over a thread that waits for another: see docs/architecture.md. */
static void give_way(void)
{
    nanosleep(&(struct timespec){0, 1}, NULL);
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
                give_way();
            continue;
        }
        idle = 0;
        engine->instructions.run(engine, phase_of(ticket), (int)next_of(ticket));
        if (atomic_fetch_add(&engine->done, 1) + 1 == (int)blocks_of(ticket))
            open_phase(engine, phase_of(ticket) + 1);
    }
}

static bool idle(Engine *engine)
{
    return closed(atomic_load(&engine->ticket)) && !atomic_load(&engine->closing);
}

/* Steps follow each other closely: stay awake for a moment before going to sleep. */
static void await_pass(Engine *engine)
{
    for (long long until = now_ns() + PATIENCE_NS; idle(engine) && now_ns() < until;)
        for (int i = 0; i < 32; i++)
            pause_briefly();
    if (!idle(engine))
        return;
    pthread_mutex_lock(&engine->mutex);
    atomic_fetch_add(&engine->asleep, 1);
    while (idle(engine))
        pthread_cond_wait(&engine->wake, &engine->mutex);
    atomic_fetch_sub(&engine->asleep, 1);
    pthread_mutex_unlock(&engine->mutex);
}

static void *thread_main(void *argument)
{
    Engine *engine = argument;
    while (!atomic_load(&engine->closing)) {
        await_pass(engine);
        draw_blocks(engine);
    }
    return NULL;
}

static void wake_all(Engine *engine)
{
    if (!atomic_load(&engine->asleep))
        return;
    pthread_mutex_lock(&engine->mutex);
    pthread_cond_broadcast(&engine->wake);
    pthread_mutex_unlock(&engine->mutex);
}

int pool_open(Engine *engine, int threads)
{
    atomic_init(&engine->ticket, CLOSED);
    pthread_mutex_init(&engine->mutex, NULL);
    pthread_cond_init(&engine->wake, NULL);
    engine->threads = 1;
    while (engine->threads < threads && !pthread_create(&engine->thread[engine->threads], NULL, thread_main, engine))
        engine->threads++;
    return engine->threads;
}

void pool_close(Engine *engine)
{
    atomic_store(&engine->closing, true);
    wake_all(engine);
    for (int i = 1; i < engine->threads; i++)
        pthread_join(engine->thread[i], NULL);
    pthread_cond_destroy(&engine->wake);
    pthread_mutex_destroy(&engine->mutex);
}

void pool_run(Engine *engine)
{
    open_phase(engine, 0);
    wake_all(engine);
    draw_blocks(engine);
}
