/*
 * text.h - text that comes from elsewhere: bounded, and safe to show.
 *
 * Labels, commands, host names and files' contents reach terminals and logs. None of them may move the
 * cursor, colour the screen, or hide other text. Pure.
 */
#ifndef GRANARY_BASE_TEXT_H
#define GRANARY_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Copies the text `from` into `to` (of `size` bytes, at least 1), always with its end. Text that does not fit is cut,
 * never inside a UTF-8 character. Returns false when it was cut.
 */
bool text_copy(char *to, size_t size, const char *from);

/* Whether `text` is valid UTF-8 without control characters, line ends, or marks that turn its direction. */
bool text_printable(const char *text);

/*
 * Writes `text` so that a terminal shows it and nothing else: what text_printable() refuses, and the backslash,
 * becomes \n, \t, \r, \\ or \xNN for each byte. Always with its end, cut between characters or escapes. Returns
 * false when it was cut. `to` may not overlap `text`.
 */
bool text_escape(char *to, size_t size, const char *text);

/* The word that goes with `n` of something: text_plural(1, "chunk", "chunks") is "chunk". */
const char *text_plural(uint64_t n, const char *one, const char *many);

#endif
