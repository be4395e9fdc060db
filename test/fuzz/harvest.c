/*
 * harvest.c - what `granary harvest` reads: the command with its replacement strings, inputs, the log that it resumes.
 *
 * The first byte chooses one of them. The judges are told apart from what they judge: inputs are cut by a second,
 * simpler reader, and the printed command is read as a shell would.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

#include "base/status.h"
#include "base/text.h"
#include "cli/harvest/input.h"
#include "cli/harvest/joblog.h"
#include "cli/harvest/template.h"
#include "cli/options.h"

#define WORDS    8u
#define TEXT_MAX 256u

/* ---- the command ---- */

/* Takes the next word of a line as a shell reads it: quotes, backslashes. False: there is none. */
static bool shell_word(const char **at, char *to, size_t size)
{
    const char *p = *at;
    size_t n = 0;
    while (*p == ' ')
        p++;
    if (!*p)
        return false;
    while (*p && *p != ' ') {
        if (*p == '\'') {
            for (p++; *p && *p != '\''; p++)
                to[n++] = *p;
            assert(*p == '\'');
            p++;
        } else {
            p += *p == '\\';
            assert(*p);
            to[n++] = *p++;
        }
        assert(n < size);
    }
    to[n] = '\0';
    *at = p;
    return true;
}

static void judge_line(const char *line, char *const *argv)
{
    static char word[1u << 16];
    for (size_t i = 0; argv[i]; i++) {
        bool there = shell_word(&line, word, sizeof word);
        assert(there && strcmp(word, argv[i]) == 0);
    }
    assert(!*line);
}

static void judge_template(fuzz_input *in)
{
    static char texts[WORDS][TEXT_MAX], input[TEXT_MAX], host[TEXT_MAX];
    char *words[WORDS], **argv = NULL, *line = NULL;
    bool shell = fuzz_byte(in) & 1;
    size_t n = 1 + fuzz_below(in, WORDS);
    for (size_t i = 0; i < n; i++) {
        fuzz_text(in, texts[i], TEXT_MAX);
        words[i] = texts[i];
    }
    fuzz_text(in, input, sizeof input);
    fuzz_text(in, host, sizeof host);
    harvest_template t;
    harvest_fill fill = {.input = input, .seq = fuzz_count(in), .host = host};
    int r = harvest_template_parse(words, n, shell, &t);
    assert(r == 0 || (r == STATUS_INVALID && !words[0][0]));
    if (r < 0)
        return;
    r = harvest_template_fill(&t, &fill, &argv);
    assert(r == 0 && argv[0]);
    r = harvest_template_line(&t, argv, &line);
    assert(r == 0 && line);
    if (!shell)
        judge_line(line, argv);
    free(line);
    free(argv);
    harvest_template_finish(&t);
}

/* ---- inputs ---- */

static int file_of(const uint8_t *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pwrite(fd, data, size, 0);
    assert(n == (ssize_t)size);
    return fd;
}

static void judge_input(fuzz_input *in)
{
    char delimiter = fuzz_byte(in) & 1 ? '\n' : '\0';
    const uint8_t *at = in->at, *end = in->at + in->left;
    int fd = file_of(at, in->left);
    harvest_input stream;
    harvest_item item;
    int r = harvest_input_open(&stream, fd, delimiter);
    assert(r == 0);
    while ((r = harvest_input_next(&stream, &item)) == INPUT_ITEM) {
        uint64_t left = harvest_input_left(&stream);
        while (delimiter == '\n' && at < end && *at == '\n') /* empty lines are no inputs */
            at++;
        assert(at < end);
        const uint8_t *stop = memchr(at, delimiter, (size_t)(end - at));
        stop = stop ? stop : end;
        if (!item.bad)
            assert(item.length == (size_t)(stop - at) && memcmp(item.text, at, item.length) == 0);
        assert(strlen(item.text) == item.length && (!item.bad || *item.bad));
        at = stop < end ? stop + 1 : end;
        free(item.text);
        uint64_t more = harvest_input_left(&stream);
        assert(left == more);
    }
    assert(r == INPUT_END);
    while (at < end && *at == '\n' && delimiter == '\n')
        at++;
    assert(at == end && harvest_input_left(&stream) == 0);
    harvest_input_finish(&stream);
    close(fd);
}

/* ---- the log ---- */

/* Of many tasks it keeps 8 bytes each: a fuzzer would only find out how long that takes to clear. */
static bool small(const uint8_t *data, size_t size)
{
    size_t digits = 0;
    bool first = true; /* column */
    for (size_t i = 0; i < size; i++) {
        first = data[i] == '\n' || (first && data[i] != '\t');
        digits = first && data[i] >= '0' && data[i] <= '9' ? digits + 1 : 0;
        if (digits > 4)
            return false;
    }
    return true;
}

static void judge_row(fuzz_input *in)
{
    char line[TEXT_MAX * 2];
    harvest_row row;
    const char *why = NULL;
    size_t n;
    const uint8_t *from = fuzz_block(in, sizeof line - 1, &n);
    if (n > 0)
        memcpy(line, from, n);
    line[n] = '\0';
    int r = harvest_joblog_parse(line, &row, &why);
    assert(r == 0 ? row.seq > 0 && row.seq <= HARVEST_JOBLOG_SEQ_MAX : *why != '\0');
}

static void judge_joblog(fuzz_input *in)
{
    static const char header[] =
        "seq\thost\tstart\truntime_ms\texit\tsignal\toom\tpeak_bytes\tchunks\tattempt\tcommand\n";
    static uint8_t text[1u << 16];
    char path[64], why[512] = "", command[TEXT_MAX];
    size_t n = 0;
    judge_row(in);
    fuzz_text(in, command, sizeof command);
    uint64_t seq = 1 + fuzz_byte(in);
    if (fuzz_byte(in) < 0xf0)
        memcpy(text, header, n = sizeof header - 1);
    size_t rest = in->left < sizeof text - n ? in->left : sizeof text - n;
    if (rest > 0)
        memcpy(text + n, in->at, rest);
    n += rest;
    if (!small(text, n))
        return;
    int fd = file_of(text, n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    harvest_joblog log;
    int r = harvest_joblog_open(&log, path, true, why, sizeof why);
    assert(r == 0 || (r == STATUS_CORRUPT && *why));
    if (r == 0) {
        harvest_row row = {.seq = seq, .host = "a", .command = command, .chunks = 1, .attempt = 1};
        r = harvest_joblog_write(&log, &row);
        assert(r == 0);
        harvest_joblog_finish(&log);
        r = harvest_joblog_open(&log, path, true, why, sizeof why);
        assert(r == 0); /* what was read and added to is read again */
        joblog_known known = harvest_joblog_known(&log, seq, command);
        assert(known == JOBLOG_DONE);
        harvest_joblog_finish(&log);
    }
    close(fd);
}

/* ---- numbers of options ---- */

static void judge_count(fuzz_input *in)
{
    char text[TEXT_MAX], why[TEXT_MAX] = "";
    uint32_t count = 7;
    fuzz_text(in, text, sizeof text);
    int r = options_count_parse(text, 1000, &count, why, sizeof why);
    assert(r == 0 ? count <= 1000 : *why && count == 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {.at = data, .left = size};
    switch (fuzz_below(&in, 4)) {
    case 0:
        judge_template(&in);
        break;
    case 1:
        judge_input(&in);
        break;
    case 2:
        judge_joblog(&in);
        break;
    default:
        judge_count(&in);
    }
    return 0;
}
