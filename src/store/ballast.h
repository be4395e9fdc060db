/*
 * ballast.h - a file that keeps room on the disk for the commits that give memory back.
 *
 * When the disk is full the file is given up, so that the commit that failed can be tried once more.
 */
#ifndef GRANARY_STORE_BALLAST_H
#define GRANARY_STORE_BALLAST_H

#include <stdbool.h>

#define BALLAST_BYTES (8u << 20) /* some thousand commits, and one checkpoint */

/* Makes or completes the file `name` in the directory `dir`. False (errno tells) when there is no room; no part of it
 * is left then. */
bool ballast_grow(int dir, const char *name);

/* Gives its room back. False when there was none to give. */
bool ballast_give(int dir, const char *name);

#endif
