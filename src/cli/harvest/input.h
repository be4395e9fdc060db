/*
 * input.h - the stream of inputs, one at a time, in bounded memory.
 *
 * Inputs come from the words after ":::", or from a descriptor (a file, a pipe, a terminal) cut at
 * newlines or at NULs. Reading never blocks: when nothing has arrived the answer is INPUT_AGAIN and
 * the caller watches harvest_input_fd(). An input that no program could be given as an argument is handed
 * out with a reason instead of a text, so that it can be counted and told. Empty lines are no inputs;
 * empty words and empty NUL-ended pieces are.
 */
#ifndef GRANARY_CLI_HARVEST_INPUT_H
#define GRANARY_CLI_HARVEST_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The kernel refuses an argument of 128 KiB, counted with its NUL. */
#define HARVEST_INPUT_MAX 131071u

/* A file up to this size is read ahead once, to tell how many inputs it holds. */
#define HARVEST_COUNT_MAX (64u << 20)

enum { INPUT_ITEM = 0, INPUT_AGAIN = 1, INPUT_END = 2 };

typedef struct {
    char *text;      /* the caller's, free(); never NULL, "" when bad */
    size_t length;   /* without the NUL */
    const char *bad; /* why this cannot be an argument; NULL = it can. Static storage */
} harvest_item;

typedef struct {
    char **words; /* borrowed; NULL = a descriptor is read */
    size_t n_words, next_word;

    int fd; /* borrowed */
    char delimiter;
    bool ended;                  /* read() answered 0 */
    bool skipping;               /* inside an input that was too long */
    uint64_t counted;            /* inputs left in a file, by a look ahead; UINT64_MAX = not counted */
    char *buffer;                /* owned */
    size_t start, used, scanned; /* unread bytes are buffer[start, used); [start, scanned) holds no delimiter */
} harvest_input;

/* The inputs are `words`, borrowed for the stream's life. */
void harvest_input_words(harvest_input *ret, char **words, size_t n);

/* The inputs are read from `fd` (borrowed). Errors: STATUS_NO_MEMORY. */
int harvest_input_open(harvest_input *ret, int fd, char delimiter);

/* Frees the buffer. Does nothing to the descriptor. */
void harvest_input_finish(harvest_input *input);

/*
 * INPUT_ITEM: `*ret` is filled. INPUT_AGAIN: nothing yet. INPUT_END. Errors: STATUS_SYSTEM (errno: read),
 * STATUS_NO_MEMORY.
 */
int harvest_input_next(harvest_input *input, harvest_item *ret);

/* What to watch for reading after INPUT_AGAIN; -1 = nothing. */
int harvest_input_fd(const harvest_input *input);

/*
 * Inputs that are not handed out yet: known for words, and for files of up to HARVEST_COUNT_MAX bytes as long as nobody
 * changes them; else UINT64_MAX.
 */
uint64_t harvest_input_left(const harvest_input *input);

#endif
