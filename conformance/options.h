/*
 * options.h - the command line of granary-conformance.
 */
#ifndef CONFORMANCE_OPTIONS_H
#define CONFORMANCE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ONLY_MAX 64

typedef struct {
    const char *only[ONLY_MAX]; /* names of cases; none: all */
    size_t n_only;
    bool list, rules, json, strict, verbose, help, version;
    bool seeded;   /* --seed was given: random scripts alone */
    uint64_t seed; /* of the first random script */
    uint64_t rounds;
    uint64_t wait_ms; /* for what is due */
    char **command;   /* NULL-terminated; empty with list, rules, help, version */
} options;

extern const char options_help[];

/* 0, or STATUS_INVALID with a sentence in `why`. */
int options_parse(options *ret, int argc, char **argv, char *why, size_t why_size);

#endif
