/*
 * config.c - granary.conf, and the command lines of granaryd and granary-agent.
 *
 * What is read is printed back, and that reads as the same; what is refused says where and why.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

#include "agent/options.h"
#include "base/text.h"
#include "daemon/config.h"
#include "daemon/options.h"

#define WHY_MAX  512u
#define WORDS    12u
#define WORD_MAX 128u

static int read_text(config *c, const char *from, size_t size, char why[WHY_MAX])
{
    FILE *f = fmemopen((void *)(uintptr_t)from, size, "r");
    assert(f);
    config_init(c);
    why[0] = '\0';
    int r = config_read_stream(c, f, "granary.conf", why, WHY_MAX);
    fclose(f);
    return r;
}

static char *print(const config *c, size_t *ret_size)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, ret_size);
    assert(f);
    config_print(c, f);
    int r = fclose(f);
    assert(r == 0);
    return text;
}

static void judge_config(const uint8_t *data, size_t size)
{
    config c, again;
    char why[WHY_MAX];
    size_t n, m;
    if (size == 0)
        return; /* fmemopen() takes no empty file */
    int r = read_text(&c, (const char *)data, size, why);
    assert((r == 0) == (why[0] == '\0'));
    if (r < 0) {
        assert(text_printable(why) && strncmp(why, "granary.conf", 12) == 0);
        config_finish(&c);
        return;
    }
    for (uint32_t i = 0; i < c.n_hosts; i++) {
        const event_config_host *h = config_host(&c, c.hosts[i].name);
        assert(h && strcmp(h->name, c.hosts[i].name) == 0);
    }
    char *first = print(&c, &n);
    r = read_text(&again, first, n, why);
    if (r < 0)
        fprintf(stderr, "%s\n%s\n", why, first);
    assert(r == 0);
    char *second = print(&again, &m);
    assert(n == m && memcmp(first, second, n) == 0);
    free(first);
    free(second);
    config_finish(&c);
    config_finish(&again);
}

/* The lines of the input as words. */
static void judge_options(const uint8_t *data, size_t size)
{
    static char words[WORDS][WORD_MAX];
    char *argv[WORDS + 2] = {(char *)(uintptr_t) "granaryd"};
    int argc = 1;
    fuzz_input in = {.at = data, .left = size};
    while (in.left > 0 && argc <= (int)WORDS) {
        char *word = words[argc - 1];
        size_t n = 0;
        for (uint8_t b; in.left > 0 && (b = fuzz_byte(&in)) != '\n' && b != '\0';)
            if (n < WORD_MAX - 1)
                word[n++] = (char)b;
        word[n] = '\0';
        argv[argc++] = word;
    }
    options o;
    char why[WHY_MAX] = "";
    int r = options_parse(&o, argc, argv, why, sizeof why);
    assert((r == 0) == (why[0] == '\0') && text_printable(why));
    if (r == 0) {
        config c;
        char path[PATH_MAX];
        config_init(&c);
        r = options_apply(&o, &c, true, why, sizeof why);
        assert((r == 0) == (why[0] == '\0'));
        assert(options_config_path(&o, true, path, sizeof path) != NULL);
        config_finish(&c);
    }
    agent_options a;
    const char *sentence = NULL;
    r = agent_options_parse(&a, argc, argv, &sentence);
    assert(r == 0 || *sentence);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    judge_config(data, size);
    judge_options(data, size);
    return 0;
}
