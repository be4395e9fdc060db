/*
 * bar.c - the line is a row of items, each in four lengths and with a rank: which of them a narrow terminal
 * can do without is one table, item_add()'s callers.
 */
#include "cli/harvest/bar.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "base/text.h"
#include "cli/screen.h"

#define ITEMS_MAX    8u
#define ITEM_SIZE    64u
#define BAR_GOOD     12u /* cells of the bar for which words are shortened */
#define BAR_LEAST    8u  /* cells of the bar for which words are left out */
#define BAR_STEP     4u  /* its width moves in such steps, so that it stays still while figures change their length */
#define BAR_BESIDES  8u  /* columns beside its cells: the brackets, "  42% " */
#define COLOUR_GOOD  "\033[32m"
#define COLOUR_BAD   "\033[31m"
#define COLOUR_CARE  "\033[33m"
#define COLOUR_PLAIN "\033[0m"

enum { LONG = 0, SHORTER, SHORT, SHORTEST, LENGTHS };

typedef struct {
    char text[LENGTHS][ITEM_SIZE];
    const char *colour; /* NULL = plain */
    unsigned rank;      /* the highest goes first */
} item;

typedef struct {
    item items[ITEMS_MAX];
    unsigned n;
} row;

typedef struct {
    char *to;
    size_t used;
    bool colour;
} pen;

static void write_text(pen *p, const char *text, const char *colour)
{
    const bool coloured = p->colour && colour;
    const int n = snprintf(p->to + p->used, HARVEST_BAR_LINE_MAX - p->used, "%s%s%s", coloured ? colour : "", text,
                           coloured ? COLOUR_PLAIN : "");

    assert(n >= 0 && (size_t)n < HARVEST_BAR_LINE_MAX - p->used);
    p->used += (size_t)n;
}

static item *item_add(row *r, unsigned rank, const char *colour, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* An item that is equally long everywhere, to begin with. */
static item *item_add(row *r, unsigned rank, const char *colour, const char *format, ...)
{
    item *added = &r->items[r->n++];
    va_list args;

    assert(r->n <= ITEMS_MAX);
    added->rank = rank;
    added->colour = colour;
    va_start(args, format);
    (void)vsnprintf(added->text[LONG], ITEM_SIZE, format, args);
    va_end(args);
    for (unsigned i = LONG + 1; i < LENGTHS; i++)
        memcpy(added->text[i], added->text[LONG], ITEM_SIZE);
    return added;
}

static void item_shorten(item *shortened, unsigned from, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* From this length down the item is another text. */
static void item_shorten(item *shortened, unsigned from, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(shortened->text[from], ITEM_SIZE, format, args);
    va_end(args);
    for (unsigned i = from + 1; i < LENGTHS; i++)
        memcpy(shortened->text[i], shortened->text[from], ITEM_SIZE);
}

/* "12.5/s", "8.0/min": the unit in which the figure is at least 1, if there is one. */
static void add_rate(row *r, uint64_t ended, uint64_t elapsed_ms)
{
    const double a_second = elapsed_ms ? (double)ended * 1000 / (double)elapsed_ms : 0;

    if (ended == 0 || elapsed_ms < 1000)
        return;
    if (a_second >= 1)
        (void)item_add(r, 6, NULL, "%.1f/s", a_second);
    else if (a_second * 60 >= 1)
        (void)item_add(r, 6, NULL, "%.1f/min", a_second * 60);
    else
        (void)item_add(r, 6, NULL, "%.1f/h", a_second * 3600);
}

static void add_tasks(row *r, const harvest_bar *bar)
{
    item *added;

    (void)item_add(r, 0, NULL, "%" PRIu64 " done", bar->done + bar->skipped);
    if (bar->failed > 0)
        (void)item_add(r, 1, COLOUR_BAD, "%" PRIu64 " failed", bar->failed);
    added = item_add(r, 3, NULL, "%" PRIu64 " running", bar->running);
    item_shorten(added, SHORT, "%" PRIu64 " run", bar->running);
    if (bar->stopping)
        (void)item_add(r, 2, COLOUR_CARE, "stopping");
    else if (bar->waiting == UINT64_MAX) {
        added = item_add(r, 4, NULL, "more to come");
        item_shorten(added, SHORT, "more");
    } else {
        added = item_add(r, 5, NULL, "%" PRIu64 " waiting", bar->waiting);
        item_shorten(added, SHORT, "%" PRIu64 " wait", bar->waiting);
    }
}

static void add_memory(row *r, const harvest_bar *bar)
{
    char memory[SIZE_TEXT_MAX];
    item *added;

    if (bar->held == 0 && bar->place > 0) {
        added = item_add(r, 2, COLOUR_CARE, "waits for memory, place %" PRIu32 " in the queue", bar->place);
        item_shorten(added, SHORTER, "place %" PRIu32 " in the queue", bar->place);
        item_shorten(added, SHORT, "queued");
        return;
    }
    size_format(bar->memory, memory);
    added = item_add(r, 7, NULL, "%" PRIu32 " of %" PRIu32 " %s (%s)", bar->held, bar->want,
                     text_plural(bar->want, "chunk", "chunks"), memory);
    item_shorten(added, SHORTER, "%" PRIu32 "/%" PRIu32 " %s (%s)", bar->held, bar->want,
                 text_plural(bar->want, "chunk", "chunks"), memory);
    item_shorten(added, SHORTEST, "%" PRIu32 "/%" PRIu32 " %s", bar->held, bar->want,
                 text_plural(bar->want, "chunk", "chunks"));
    if (bar->wanted_back > 0) {
        added = item_add(r, 6, COLOUR_CARE, "%" PRIu32 " wanted back", bar->wanted_back);
        item_shorten(added, SHORT, "%" PRIu32 " back", bar->wanted_back);
    }
}

static void add_time(row *r, const harvest_bar *bar)
{
    char time[DURATION_TEXT_MAX];
    item *added;

    if (bar->waiting == UINT64_MAX && !bar->stopping) {
        add_rate(r, bar->done + bar->failed, bar->elapsed_ms);
        if (bar->elapsed_ms >= 1000)
            (void)item_add(r, 5, NULL, "%s", duration_format(bar->elapsed_ms / 1000 * 1000, time));
        return;
    }
    if (bar->left_ms == UINT64_MAX || bar->stopping)
        return;
    const uint64_t seconds = bar->left_ms / 1000 + (bar->left_ms % 1000 > 0);
    (void)duration_format((seconds > 0 ? seconds : 1) * 1000, time);
    added = item_add(r, 2, NULL, "%s left", time);
    item_shorten(added, SHORT, "%s", time);
}

static void row_fill(row *r, const harvest_bar *bar)
{
    r->n = 0;
    add_tasks(r, bar);
    add_memory(r, bar);
    add_time(r, bar);
}

static size_t row_columns(const row *r, unsigned length)
{
    size_t columns = 0;

    for (unsigned i = 0; i < r->n; i++)
        columns += strlen(r->items[i].text[length]) + (i > 0 ? 2 : 0);
    return columns;
}

/* Leaves out the item that matters least; the first one stays. */
static void row_drop(row *r)
{
    unsigned worst = 0;

    for (unsigned i = 1; i < r->n; i++)
        if (r->items[i].rank >= r->items[worst].rank)
            worst = i;
    r->n--;
    memmove(&r->items[worst], &r->items[worst + 1], (r->n - worst) * sizeof *r->items);
}

/* Makes the row fit into `width` beside a bar (`beside` columns and its cells). Returns the length it is to be in. */
static unsigned row_fit(row *r, unsigned width, unsigned beside)
{
    const unsigned good = beside ? beside + BAR_GOOD : 0, least = beside ? beside + BAR_LEAST : 0;

    for (unsigned length = LONG; length < SHORTEST; length++)
        if (row_columns(r, length) + good <= width)
            return length;
    while (r->n > 1 && row_columns(r, SHORTEST) + least > width)
        row_drop(r);
    return SHORTEST;
}

static void row_write(pen *p, const row *r, unsigned length)
{
    for (unsigned i = 0; i < r->n; i++) {
        write_text(p, i > 0 ? ", " : "", NULL);
        write_text(p, r->items[i].text[length], r->items[i].colour);
    }
}

/* A run of the same mark in one colour. */
static void cells_write(pen *p, const char *cells)
{
    while (*cells) {
        const size_t n = strspn(cells, (const char[]){*cells, '\0'});
        char run[SCREEN_BAR_MAX + 3];

        memcpy(run, cells, n);
        run[n] = '\0';
        write_text(p, run, *cells == '#' ? COLOUR_GOOD : *cells == 'x' ? COLOUR_BAD : NULL);
        cells += n;
    }
}

static void bar_write(pen *p, const harvest_bar *bar, uint64_t total, unsigned cells)
{
    const uint64_t done = bar->done + bar->skipped, ended = done + bar->failed;
    const screen_part parts[] = {{done, '#'}, {bar->failed, 'x'}, {bar->running, '>'}};
    char drawn[SCREEN_BAR_MAX + 3], share[8];

    cells_write(p, screen_bar(drawn, parts, sizeof parts / sizeof *parts, total, cells));
    (void)snprintf(share, sizeof share, " %3u%% ", (unsigned)((unsigned __int128)ended * 100 / total));
    write_text(p, share, NULL);
}

char *harvest_bar_line(const harvest_bar *bar, unsigned width, bool colour, char to[HARVEST_BAR_LINE_MAX])
{
    const uint64_t total = bar->stopping || bar->waiting == UINT64_MAX
                               ? 0
                               : bar->done + bar->skipped + bar->failed + bar->running + bar->waiting;
    unsigned beside = total > 0 ? BAR_BESIDES : 0;
    pen p = {.to = to, .colour = colour};
    row r;
    unsigned length;

    to[0] = '\0';
    row_fill(&r, bar);
    length = row_fit(&r, width, beside);
    if (beside + (beside ? BAR_LEAST : 0) + row_columns(&r, length) > width) { /* no room for a bar beside one word */
        beside = 0;
        row_fill(&r, bar);
        length = row_fit(&r, width, beside);
    }
    const size_t words = row_columns(&r, length);
    if (beside > 0) {
        const size_t room = width - beside - words, cells = room < SCREEN_BAR_MAX ? room : SCREEN_BAR_MAX;
        bar_write(&p, bar, total, (unsigned)(cells / BAR_STEP * BAR_STEP));
    }
    if (words <= width)
        row_write(&p, &r, length);
    return to;
}

char *harvest_bar_words(const harvest_bar *bar, char to[HARVEST_BAR_LINE_MAX])
{
    pen p = {.to = to};
    row r;

    to[0] = '\0';
    row_fill(&r, bar);
    row_write(&p, &r, LONG);
    return to;
}
