/*
 * collect.h - the periodic comparison of books and reality, as far as the broker sees it.
 *
 *   sessions   a connection whose process is dead (a child that it forked keeps it open) is ended, and so is a session
 * in its grace time whose watch was missed claims     open claims of the local host against those that its agent's
 * samples name. What differs at two comparisons in a row is put right by a new link, which begins with the whole live
 * set
 *
 * The agent compares claims with groups by itself.
 */
#ifndef GRANARY_DAEMON_COLLECT_H
#define GRANARY_DAEMON_COLLECT_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct broker;

typedef struct {
    uint64_t *items; /* ascending, each once */
    uint32_t n, capacity;
} collect_set;

typedef struct {
    uv_timer_t timer;
    collect_set differs; /* claims that only the books or only the agent knew, at the last comparison */
} collect;

/* STATUS_NO_MEMORY: unchanged. */
int collect_set_add(collect_set *s, uint64_t gen);
void collect_set_finish(collect_set *s);

/* What is in one of `a` and `b` only, into the empty `ret`. STATUS_NO_MEMORY. */
int collect_difference(const collect_set *a, const collect_set *b, collect_set *ret);

/* True: they have one in common; the lowest is in `*ret`. */
bool collect_common(const collect_set *a, const collect_set *b, uint64_t *ret);

/* The loop is open, the configuration read (again: the period may have changed). */
void collect_init(struct broker *b);
void collect_start(struct broker *b);
void collect_finish(struct broker *b); /* the timer is closed with the loop */

#endif
