/*
 * screen.h - what the terminal can show.
 */
#ifndef GRANARY_CLI_SCREEN_H
#define GRANARY_CLI_SCREEN_H

#include <stdint.h>
#include <stdio.h>

/* Columns of the terminal behind `file`; 0 when it is none. */
unsigned screen_width(FILE *file);

#define SCREEN_BAR_MAX 64u

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
