/*
 * run.c - plays a scenario and compares what the core does with what the file says.
 *
 * A scenario is a file of commands (commands.c), each followed by the expected effects, indented by two spaces.
 * Comments and empty lines stay. `--update` writes what the core did into the file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;
    if (!f || getdelim(&text, &size, 0, f) < 0) {
        fprintf(stderr, "%s: %s\n", path, f ? "it is empty" : strerror(errno));
        exit(2);
    }
    fclose(f);
    return text;
}

static int write_all(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 2;
    }
    return 0;
}

/* Plays the scenario in `text`; what happened, in the same form, goes to `out`. */
static void play(const char *path, const char *text, FILE *out, char **transcript)
{
    world w;
    world_init(&w, out, transcript);
    unsigned number = 0;
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, "\n");
        number++;
        if (strncmp(at, "  ", 2) != 0) {
            char *line = strndup(at, n);
            fprintf(out, "%s\n", line);
            if (line[0] && line[0] != '#') {
                words w_line;
                words_split(&w_line, path, number, line);
                command_run(&w, &w_line);
                words_free(&w_line);
            }
            free(line);
        }
        at += n + (at[n] == '\n');
    }
    world_finish(&w);
}

/* Shows the first line that differs, with what stands before it. */
static void show_difference(const char *path, const char *expected, const char *got)
{
    unsigned line = 1;
    size_t at = 0, start = 0, command = 0;
    for (; expected[at] && expected[at] == got[at]; at++)
        if (got[at] == '\n') {
            line++;
            start = at + 1;
            command = got[start] != ' ' ? start : command;
        }
    fprintf(stderr, "%s:%u: after: %.*s\n", path, line, (int)strcspn(got + command, "\n"), got + command);
    fprintf(stderr, "  expected: %.*s\n", (int)strcspn(expected + start, "\n"), expected + start);
    fprintf(stderr, "  got:      %.*s\n", (int)strcspn(got + start, "\n"), got + start);
}

int main(int argc, char **argv)
{
    bool update = argc > 1 && strcmp(argv[1], "--update") == 0;
    int result = 0;
    if (argc < 2 + update) {
        fprintf(stderr, "usage: %s [--update] SCENARIO...\n", argv[0]);
        return 2;
    }
    for (int i = 1 + update; i < argc; i++) {
        char *expected = read_all(argv[i]), *got = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&got, &size);
        if (!out)
            return 2;
        play(argv[i], expected, out, &got);
        fclose(out);
        if (strcmp(expected, got) != 0) {
            if (update) {
                result |= write_all(argv[i], got);
            } else {
                show_difference(argv[i], expected, got);
                result |= 1;
            }
        }
        free(expected);
        free(got);
    }
    return result;
}
