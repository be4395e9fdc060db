/* words.c - see words.h. */
#include "words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

void words_fail(const words *w, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "%s:%u: ", w->file, w->line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(2);
}

void words_split(words *w, const char *file, unsigned line, const char *text)
{
    *w = (words){.file = file, .line = line, .copy = strdup(text)};
    if (!w->copy)
        words_fail(w, "no memory");
    for (char *save, *word = strtok_r(w->copy, " \t\n", &save); word; word = strtok_r(NULL, " \t\n", &save)) {
        if (w->n == WORDS_MAX)
            words_fail(w, "more than %d words", WORDS_MAX);
        w->items[w->n++] = word;
    }
}

void words_free(words *w)
{
    free(w->copy);
}

const char *words_take(words *w)
{
    if (w->at == w->n)
        words_fail(w, "a word is missing after \"%s\"", w->n ? w->items[w->n - 1] : "");
    return w->items[w->at++];
}

bool words_more(const words *w)
{
    return w->at < w->n;
}

bool words_skip(words *w, const char *word)
{
    if (w->at == w->n || strcmp(w->items[w->at], word) != 0)
        return false;
    w->at++;
    return true;
}

void words_want(words *w, const char *word)
{
    const char *got = words_take(w);
    if (strcmp(got, word) != 0)
        words_fail(w, "\"%s\" where \"%s\" belongs", got, word);
}

void words_end(const words *w)
{
    if (w->at < w->n)
        words_fail(w, "\"%s\" is too much", w->items[w->at]);
}

static uint64_t number_of(const words *w, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno != 0 || *end != 0 || text[0] < '0' || text[0] > '9')
        words_fail(w, "\"%s\" is no number", text);
    return n;
}

uint64_t words_number(words *w)
{
    return number_of(w, words_take(w));
}

uint64_t words_number_after(words *w, char letter)
{
    const char *text = words_take(w);
    if (text[0] != letter)
        words_fail(w, "\"%s\" where %c and a number belong", text, letter);
    return number_of(w, text + 1);
}

bytes_t words_size(words *w)
{
    char why[SIZE_WHY_MAX];
    bytes_t bytes = 0;
    if (size_parse(words_take(w), why, sizeof why, &bytes) < 0)
        words_fail(w, "%s", why);
    return bytes;
}

ms_t words_span(words *w)
{
    char why[SIZE_WHY_MAX];
    ms_t ms = 0;
    if (words_skip(w, "never"))
        return MS_NEVER;
    if (duration_parse(words_take(w), why, sizeof why, &ms) < 0)
        words_fail(w, "%s", why);
    return ms;
}
