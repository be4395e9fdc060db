/*
 * replay.c - runs a fuzz target on files, without a fuzzer: its seeds are tests of every build.
 *
 *   TARGET FILE|DIRECTORY...
 *
 * The name of each file is said before it is run when the environment has FUZZ_VERBOSE. Exit 1 when nothing was run.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fuzz.h"

#define PATH_SIZE 4096

static unsigned long runs;

static void fail(const char *what, const char *path)
{
    fprintf(stderr, "%s %s: %s\n", what, path, strerror(errno));
    exit(1);
}

/* The bytes lie in a block of just their size, so that a sanitizer sees a read behind them. */
static void run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) < 0)
        fail("cannot open", path);
    long size = ftell(f);
    uint8_t *data = size >= 0 ? malloc(size > 0 ? (size_t)size : 1) : NULL;
    rewind(f);
    if (!data || fread(data, 1, (size_t)size, f) != (size_t)size)
        fail("cannot read", path);
    fclose(f);
    if (getenv("FUZZ_VERBOSE"))
        fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    runs++;
}

static void run_directory(const char *path)
{
    struct dirent **found;
    int n = scandir(path, &found, NULL, alphasort); /* in an order, so that a failure is found again */
    if (n < 0)
        fail("cannot list", path);
    for (int i = 0; i < n; i++) {
        char file[PATH_SIZE];
        snprintf(file, sizeof file, "%s/%s", path, found[i]->d_name);
        if (found[i]->d_name[0] != '.')
            run_file(file);
        free(found[i]);
    }
    free(found);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat s;
        if (stat(argv[i], &s) < 0)
            fail("cannot find", argv[i]);
        if (S_ISDIR(s.st_mode))
            run_directory(argv[i]);
        else
            run_file(argv[i]);
    }
    printf("%lu %s run\n", runs, runs == 1 ? "input" : "inputs");
    return runs > 0 ? 0 : 1;
}
