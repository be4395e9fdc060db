/*
 * template.h - the command with its replacement strings, and what becomes of them.
 *
 *   {}   the input                    {//}  its folder, "." when it has none
 *   {.}  without its extension        {/.}  its last part without extension
 *   {/}  its last part                {#}   its number, from 1
 *   {host}  the host that the task runs on
 *
 * A command without any of them gets the input as its last word. Anything else in braces stays as it is. An
 * extension is what follows the last dot of the last part, if that dot is not its first byte.
 *
 * The words are given to the program as they are, no shell between. With `shell` the words are joined
 * by spaces, replacements are quoted, and `/bin/sh -c` runs the result.
 */
#ifndef GRANARY_CLI_HARVEST_TEMPLATE_H
#define GRANARY_CLI_HARVEST_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct template_part template_part;

typedef struct {
    template_part *parts; /* owned; literals point into the words */
    size_t n_parts, n_words;
    bool shell;
} harvest_template;

/* What one task puts in. */
typedef struct {
    const char *input;
    uint64_t seq;
    const char *host;
} harvest_fill;

/* `words` (at least one) are borrowed for the template's life. Errors: STATUS_INVALID (no words), STATUS_NO_MEMORY. */
int harvest_template_parse(char **words, size_t n, bool shell, harvest_template *ret);
void harvest_template_finish(harvest_template *template);

/*
 * The argument vector for one task, NULL-ended, in one block: free(). Errors: STATUS_LIMIT (an argument became
 * longer than the kernel allows), STATUS_NO_MEMORY.
 */
int harvest_template_fill(const harvest_template *template, const harvest_fill *fill, char ***ret);

/* The vector as a person would type it, quoted where needed; of a `shell` template the text for the shell. free(). */
int harvest_template_line(const harvest_template *template, char *const *argv, char **ret);

#endif
