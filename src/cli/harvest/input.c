/*
 * input.c - see input.h.
 *
 * The buffer is one longest input and one read more: when it holds a longest input without a delimiter,
 * that input is too long, and the rest of it is dropped as it arrives.
 */
#include "cli/harvest/input.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"

#define READ_SIZE   32768u
#define BUFFER_SIZE (HARVEST_INPUT_MAX + 1u + READ_SIZE)

static const char too_long[] = "longer than the 131071 bytes that the kernel allows an argument";
static const char holds_nul[] = "holds a NUL byte (inputs that end in NUL are read with -0)";

void harvest_input_words(harvest_input *ret, char **words, size_t n)
{
    *ret = (harvest_input){.words = words, .n_words = n, .fd = -1};
}

/* Pieces between delimiters from the file's present position on, empty lines not counted. */
static uint64_t file_count(int fd, char delimiter, char *buffer)
{
    struct stat stat;
    off_t at = lseek(fd, 0, SEEK_CUR);
    uint64_t count = 0;
    ssize_t n;
    bool inside = false;

    if (at < 0 || fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode) || stat.st_size - at > (off_t)HARVEST_COUNT_MAX)
        return UINT64_MAX;
    while ((n = pread(fd, buffer, READ_SIZE, at)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            const bool end = buffer[i] == delimiter;
            count += end && (inside || delimiter == '\0');
            inside = !end;
        }
        at += n;
    }
    return n < 0 ? UINT64_MAX : count + inside;
}

int harvest_input_open(harvest_input *ret, int fd, char delimiter)
{
    char *buffer = malloc(BUFFER_SIZE);

    if (!buffer)
        return STATUS_NO_MEMORY;
    *ret = (harvest_input){.fd = fd, .delimiter = delimiter, .buffer = buffer};
    ret->counted = file_count(fd, delimiter, buffer);
    return STATUS_OK;
}

void harvest_input_finish(harvest_input *input)
{
    free(input->buffer);
    input->buffer = NULL;
}

static int item_make(const char *text, size_t length, const char *bad, harvest_item *ret)
{
    char *copy = malloc(length + 1);

    if (!copy)
        return STATUS_NO_MEMORY;
    if (length > 0)
        memcpy(copy, text, length);
    copy[length] = '\0';
    *ret = (harvest_item){.text = copy, .length = length, .bad = bad};
    return INPUT_ITEM;
}

static int next_word(harvest_input *input, harvest_item *ret)
{
    const char *word;
    size_t length;
    int status;

    if (input->next_word == input->n_words)
        return INPUT_END;
    word = input->words[input->next_word];
    length = strlen(word);
    status = length > HARVEST_INPUT_MAX ? item_make("", 0, too_long, ret) : item_make(word, length, NULL, ret);
    if (status == INPUT_ITEM)
        input->next_word++;
    return status;
}

/* One read, if it would not wait. INPUT_ITEM: bytes or the end have arrived. */
static int buffer_fill(harvest_input *input)
{
    struct pollfd ready = {.fd = input->fd, .events = POLLIN};
    ssize_t n;

    if (input->start > 0) {
        memmove(input->buffer, input->buffer + input->start, input->used - input->start);
        input->used -= input->start;
        input->scanned -= input->start;
        input->start = 0;
    }
    assert(input->used + READ_SIZE <= BUFFER_SIZE);
    if (poll(&ready, 1, 0) == 0)
        return INPUT_AGAIN;
    n = read(input->fd, input->buffer + input->used, READ_SIZE);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return INPUT_AGAIN;
    if (n < 0)
        return STATUS_SYSTEM;
    if (n == 0)
        input->ended = true;
    input->used += (size_t)n;
    return INPUT_ITEM;
}

/* Where the first input in the buffer ends; NULL = not seen yet. */
static const char *delimiter_find(harvest_input *input)
{
    const char *end =
        memchr(input->buffer + input->scanned, (unsigned char)input->delimiter, input->used - input->scanned);

    if (!end)
        input->scanned = input->used;
    return end;
}

/* Takes `length` bytes and, when `ended`, the delimiter behind them. */
static int item_take(harvest_input *input, size_t length, bool ended, harvest_item *ret)
{
    const char *text = input->buffer + input->start;
    const char *bad = NULL;
    int status;

    if (length > HARVEST_INPUT_MAX)
        bad = too_long;
    else if (memchr(text, '\0', length))
        bad = holds_nul;
    status = item_make(text, bad ? 0 : length, bad, ret);
    if (status != INPUT_ITEM)
        return status;
    input->start += length + (ended ? 1 : 0);
    input->scanned = input->start;
    return INPUT_ITEM;
}

/* Drops what belongs to an input that was too long. True: its end was found. */
static bool skip_rest(harvest_input *input)
{
    const char *end = delimiter_find(input);

    input->start = end ? (size_t)(end - input->buffer) + 1 : input->used;
    input->scanned = input->start;
    return end != NULL;
}

static int next_piece(harvest_input *input, harvest_item *ret)
{
    const bool lines = input->delimiter != '\0';

    for (;;) {
        const char *end;
        size_t have;
        int status;

        if (input->skipping)
            input->skipping = !skip_rest(input);
        end = input->skipping ? NULL : delimiter_find(input);
        have = input->used - input->start;
        if (end) {
            const size_t length = (size_t)(end - (input->buffer + input->start));
            if (length > 0 || !lines)
                return item_take(input, length, true, ret);
            input->start++;
            input->scanned = input->start;
            continue;
        }
        if (have > HARVEST_INPUT_MAX) {
            status = item_take(input, have, false, ret);
            input->skipping = status == INPUT_ITEM;
            return status;
        }
        if (input->ended)
            return have > 0 ? item_take(input, have, false, ret) : INPUT_END;
        status = buffer_fill(input);
        if (status != INPUT_ITEM)
            return status;
    }
}

int harvest_input_next(harvest_input *input, harvest_item *ret)
{
    int status;

    if (!input->buffer)
        return next_word(input, ret);
    status = next_piece(input, ret);
    if (status == INPUT_ITEM && input->counted != UINT64_MAX) /* more than were counted: the file grew */
        input->counted = input->counted > 0 ? input->counted - 1 : UINT64_MAX;
    return status;
}

int harvest_input_fd(const harvest_input *input)
{
    return input->buffer && !input->ended ? input->fd : -1;
}

uint64_t harvest_input_left(const harvest_input *input)
{
    if (!input->buffer)
        return input->n_words - input->next_word;
    return input->ended && input->start == input->used ? 0 : input->counted;
}
