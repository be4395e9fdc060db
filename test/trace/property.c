/*
 * property.c - the same random events for the core and for a slow obvious model; both must agree after every step.
 *
 * A run is made by its seed alone. The first step that is wrong is printed with the seed:
 *   property FIRST COUNT [STEPS]      seeds FIRST to FIRST + COUNT - 1
 * Judged after each step: core_check(), the model, the agents (I4), a journal that replays to the same books (I7), a
 * repeated request that gets the same answer and does nothing (I12).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "player.h"

#define STEPS       400
#define RUNS_ENOUGH 100 /* so many runs must have met every kind of decision */

/* A judge that never saw a recall proves nothing about recalls. */
static bool met_everything(const run *r)
{
    static const struct {
        note_kind kind;
        const char *name;
    } kinds[] = {
        {NOTE_GRANTED, "granted"},
        {NOTE_QUEUED, "queued"},
        {NOTE_GREW, "grew"},
        {NOTE_TIMED_OUT, "timed out"},
        {NOTE_HELD, "held"},
        {NOTE_RECALL, "recall"},
        {NOTE_PREFERRED, "preferred"},
        {NOTE_GIVEN, "given"},
        {NOTE_WITHDRAWN, "withdrawn"},
        {NOTE_OVERDUE, "overdue"},
        {NOTE_REVOKED, "revoked"},
        {NOTE_CLAIMED, "claimed"},
        {NOTE_QUARANTINED, "quarantined"},
        {NOTE_UNQUARANTINED, "unquarantined"},
        {NOTE_OVERDRAFT, "overdraft"},
        {NOTE_HOST_REBOOTED, "rebooted"},
        {NOTE_HOST_DRAINING, "draining"},
        {NOTE_SESSION_LOST, "session lost"},
        {NOTE_HOST_LOST, "host lost"},
        {NOTE_CLAIM_OVER, "claim over"},
        {NOTE_LIMIT_REACHED, "limit reached"},
    };
    bool all = r->gated > 0;
    printf("claimed while waiting %" PRIu64 ", ", r->gated);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        printf("%s %" PRIu64 "%s", kinds[i].name, r->notes[kinds[i].kind],
               i + 1 < sizeof kinds / sizeof *kinds ? ", " : "\n");
        all &= r->notes[kinds[i].kind] > 0;
    }
    return all;
}

int main(int argc, char **argv)
{
    static run r;
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1, count = argc > 2 ? strtoull(argv[2], NULL, 10) : 20;
    unsigned steps = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : STEPS;
    for (uint64_t seed = first; seed < first + count; seed++) {
        player_start(&r, seed);
        for (r.step = 1; r.step <= steps; r.step++)
            act_randomly(&r);
    }
    printf("%" PRIu64 " runs of %u steps: core and model agree\n", count, steps);
    bool met = met_everything(&r);
    if (!met)
        fprintf(stderr, "some kinds of decisions were never met\n");
    free(r.arena);
    free(r.arena_replay);
    free(r.journal);
    free(r.effects.items);
    return met || count < RUNS_ENOUGH ? 0 : 1;
}
