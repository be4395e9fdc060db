/*
 * screen.h - what the terminal can show.
 */
#ifndef GRANARY_CLI_SCREEN_H
#define GRANARY_CLI_SCREEN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Columns of the terminal behind `file`; 0 when it is none. */
unsigned screen_width(FILE *file);

/* The same as it is, however narrow: for what is cut to fit. 80 when the terminal does not know. */
unsigned screen_columns(FILE *file);

/* Whether the terminal behind `file` can be written over (TERM says nothing else), and whether its user wants colours
 * there (NO_COLOR). */
bool screen_moves(FILE *file);
bool screen_colours(FILE *file);

/*
 * Whether something can be written to it now without waiting, and without disturbing another program in its foreground.
 */
bool screen_is_free(FILE *file);

#define SCREEN_BAR_MAX 200u

/* One part of a bar: so many bytes, drawn with this ASCII character. */
typedef struct {
    uint64_t bytes;
    char mark;
} screen_part;

/*
 * "[####==..  ]": `width` characters between the brackets (at most SCREEN_BAR_MAX), shared by the parts in proportion
 * to `total`; a part that is not 0 gets at least one character while there is room. Returns `to`.
 */
char *screen_bar(char to[SCREEN_BAR_MAX + 3], const screen_part *parts, size_t n, uint64_t total, unsigned width);

#endif
