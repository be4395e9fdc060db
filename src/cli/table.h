/*
 * table.h - aligned columns for people.
 *
 * Every cell is made safe for the terminal (base/text.h) on its way in, so no command can forget it.
 */
#ifndef GRANARY_CLI_TABLE_H
#define GRANARY_CLI_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct {
    const char *title;
    enum { TABLE_LEFT, TABLE_RIGHT } side;
} table_column;

typedef struct table table;

#define TABLE_COLUMNS_MAX 24u
#define TABLE_CELL_MAX    512u /* bytes of one cell, escapes included; longer text is cut */

/* `columns` is borrowed. STATUS_NO_MEMORY. */
int table_create(table **ret, const table_column *columns, size_t n_columns);
void table_destroy(table *t); /* NULL is fine */

/* The next cell, left to right, row by row. Out of memory is remembered and told by table_print(). */
void table_cell(table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_size(table *t, uint64_t bytes); /* "1.5G"; 0 is "-" */
void table_count(table *t, uint64_t count);

/*
 * Prints titles and rows, each line after `indent` blanks; with `width` above 0 longer lines are cut
 * there, with an ellipsis. 0 or STATUS_NO_MEMORY. A table without rows prints nothing.
 */
int table_print(const table *t, FILE *to, unsigned indent, unsigned width);

/*
 * The same lying on its side where it is wider than `width` (above 0): a line for each title, with the cells of all
 * rows. For few rows of many columns, of which none may be cut away.
 */
int table_print_whole(const table *t, FILE *to, unsigned width);

/* Columns that `text` (valid UTF-8 without controls) takes on a terminal: code points. */
size_t table_text_width(const char *text);

#endif
