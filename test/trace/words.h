/*
 * words.h - one line of a scenario, word by word. Whatever is wrong with a line ends the run with its file and number.
 */
#ifndef GRANARY_TEST_TRACE_WORDS_H
#define GRANARY_TEST_TRACE_WORDS_H

#include <stdbool.h>

#include "base/units.h"

#define WORDS_MAX 64

typedef struct {
    const char *file;
    unsigned line;
    char *items[WORDS_MAX];
    unsigned n, at;
    char *copy;
} words;

void words_split(words *w, const char *file, unsigned line, const char *text);
void words_free(words *w);

__attribute__((format(printf, 2, 3), noreturn)) void words_fail(const words *w, const char *format, ...);

const char *words_take(words *w); /* the next word; there must be one */
bool words_more(const words *w);
bool words_skip(words *w, const char *word); /* takes the next word if it is this one */
void words_want(words *w, const char *word); /* the next word must be this one */
void words_end(const words *w);              /* there must be no more */

uint64_t words_number(words *w);
uint64_t words_number_after(words *w, char letter); /* "g12" */
bytes_t words_size(words *w);
ms_t words_span(words *w);

#endif
