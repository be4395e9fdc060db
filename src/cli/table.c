#include "cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/status.h"
#include "base/text.h"

#define GAP 2u

struct table {
    const table_column *columns;
    size_t n_columns;
    char **cells; /* row by row */
    size_t n_cells, capacity;
    bool failed;
};

int table_create(table **ret, const table_column *columns, size_t n_columns)
{
    assert(n_columns > 0 && n_columns <= TABLE_COLUMNS_MAX);
    table *t = calloc(1, sizeof *t);
    if (!t)
        return STATUS_NO_MEMORY;
    t->columns = columns;
    t->n_columns = n_columns;
    *ret = t;
    return 0;
}

void table_destroy(table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t);
}

static bool table_grow(table *t)
{
    if (t->n_cells < t->capacity)
        return true;
    size_t capacity = t->capacity ? t->capacity * 2 : 64;
    char **cells = reallocarray(t->cells, capacity, sizeof *cells);
    if (!cells)
        return false;
    t->cells = cells;
    t->capacity = capacity;
    return true;
}

void table_cell(table *t, const char *format, ...)
{
    char raw[TABLE_CELL_MAX], safe[TABLE_CELL_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    text_escape(safe, sizeof safe, raw);
    char *cell = table_grow(t) ? strdup(safe) : NULL;
    if (!cell) {
        t->failed = true;
        return;
    }
    t->cells[t->n_cells++] = cell;
}

void table_size(table *t, uint64_t bytes)
{
    char text[SIZE_TEXT_MAX];
    table_cell(t, "%s", bytes ? size_format(bytes, text) : "-");
}

void table_count(table *t, uint64_t count)
{
    table_cell(t, "%llu", (unsigned long long)count);
}

size_t table_text_width(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* Puts `text` into the line of at most `width` columns (0 = any) and keeps count of those used. */
static void put_text(FILE *to, const char *text, size_t *used, unsigned width)
{
    for (; *text; text++) {
        bool starts = ((unsigned char)*text & 0xc0) != 0x80;
        if (starts && width && *used >= width)
            return;
        if (starts && width && *used + 1 == width && table_text_width(text) > 1) {
            fputs("…", to);
            (*used)++;
            return;
        }
        *used += starts;
        fputc(*text, to);
    }
}

static void put_blanks(FILE *to, size_t n, size_t *used, unsigned width)
{
    for (; n > 0 && !(width && *used >= width); n--, (*used)++)
        fputc(' ', to);
}

static void put_row(const table *t, FILE *to, char *const *cells, const size_t *widths, unsigned indent, unsigned width)
{
    size_t used = 0, owed = indent;

    for (size_t c = 0; c < t->n_columns; c++) {
        const char *text = cells ? cells[c] : t->columns[c].title;
        size_t pad = widths[c] - table_text_width(text);
        if (t->columns[c].side == TABLE_RIGHT)
            owed += pad;
        if (*text) { /* blanks at the end of a line are never printed */
            put_blanks(to, owed, &used, width);
            put_text(to, text, &used, width);
            owed = 0;
        }
        if (t->columns[c].side == TABLE_LEFT)
            owed += pad;
        owed += GAP;
    }
    fputc('\n', to);
}

static void column_widths(const table *t, size_t widths[TABLE_COLUMNS_MAX])
{
    assert(t->n_cells % t->n_columns == 0);
    for (size_t c = 0; c < t->n_columns; c++) {
        widths[c] = table_text_width(t->columns[c].title);
        for (size_t i = c; i < t->n_cells; i += t->n_columns) {
            size_t w = table_text_width(t->cells[i]);
            if (w > widths[c])
                widths[c] = w;
        }
    }
}

int table_print(const table *t, FILE *to, unsigned indent, unsigned width)
{
    size_t widths[TABLE_COLUMNS_MAX];

    if (t->failed)
        return STATUS_NO_MEMORY;
    if (t->n_cells == 0)
        return 0;
    column_widths(t, widths);
    put_row(t, to, NULL, widths, indent, width);
    for (size_t i = 0; i < t->n_cells; i += t->n_columns)
        put_row(t, to, t->cells + i, widths, indent, width);
    return 0;
}

/* Of the titles, and of the cells of the row that begins at `first`. */
static size_t widest(const table *t, const size_t *first)
{
    size_t most = 0;

    for (size_t c = 0; c < t->n_columns; c++) {
        size_t w = table_text_width(first ? t->cells[*first + c] : t->columns[c].title);
        most = w > most ? w : most;
    }
    return most;
}

int table_print_whole(const table *t, FILE *to, unsigned width)
{
    size_t widths[TABLE_COLUMNS_MAX], line = 0;

    if (t->failed)
        return STATUS_NO_MEMORY;
    column_widths(t, widths);
    for (size_t c = 0; c < t->n_columns; c++)
        line += widths[c] + (c > 0 ? GAP : 0);
    if (width == 0 || line <= width)
        return table_print(t, to, 0, width);
    const size_t titles = widest(t, NULL);
    for (size_t c = 0; t->n_cells > 0 && c < t->n_columns; c++) {
        fprintf(to, "%s%*s", t->columns[c].title, (int)(titles - table_text_width(t->columns[c].title)), "");
        for (size_t row = 0; row < t->n_cells; row += t->n_columns) {
            const char *text = t->cells[row + c];
            fprintf(to, "%*s%s", (int)(GAP + widest(t, &row) - table_text_width(text)), "", text);
        }
        fputc('\n', to);
    }
    return 0;
}
