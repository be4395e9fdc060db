/*
 * cases.h - the table of cases. Each is a script (stage.h) that runs once, on a client of its own.
 */
#ifndef CONFORMANCE_CASES_H
#define CONFORMANCE_CASES_H

#include "stage.h"

typedef struct {
    const char *name, *sentence;
    void (*play)(stage *s);
    setup setup;
    stage_end end; /* how the client is to end, unless the script finds otherwise */
} script;

typedef struct {
    const script *scripts;
    size_t n;
} script_list;

extern const script_list life_scripts, recall_scripts, choice_scripts, state_scripts, restart_scripts, wrong_scripts;

/* All of them in turn; NULL past the last. */
const script *script_at(size_t i);
const script *script_find(const char *name);

/* A random script: the same for the same seed. Its setup is in `*ret`. */
void random_setup(uint64_t seed, setup *ret);
void random_play(stage *s, uint64_t seed);

#define NOTICE 60000u

/* The usual start: the setup's tasks run, and the client is quiet. */
#define BEGIN(s)                                                                                                       \
    do {                                                                                                               \
        if (!stage_begin((s), &(s)->setup))                                                                            \
            return;                                                                                                    \
    } while (0)

#endif
