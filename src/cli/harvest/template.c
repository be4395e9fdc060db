/*
 * template.c - see template.h.
 *
 * Filling runs twice over the same code: once to count bytes, once to write them.
 */
#include "cli/harvest/template.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "cli/harvest/input.h"

typedef enum {
    PART_LITERAL,
    PART_WORD_END,
    PART_INPUT,
    PART_NO_EXTENSION,
    PART_BASE,
    PART_FOLDER,
    PART_BASE_NO_EXTENSION,
    PART_SEQ,
    PART_HOST
} part_kind;

struct template_part {
    part_kind kind;
    const char *text; /* LITERAL */
    size_t length;
};

static const struct {
    const char *text;
    part_kind kind;
} replacements[] = {
    {"{}", PART_INPUT},    {"{.}", PART_NO_EXTENSION},       {"{/}", PART_BASE},
    {"{//}", PART_FOLDER}, {"{/.}", PART_BASE_NO_EXTENSION}, {"{#}", PART_SEQ},
    {"{host}", PART_HOST},
};

/* Length of the replacement string that starts at `text`, with its kind; 0 = none. */
static size_t replacement_at(const char *text, part_kind *ret)
{
    for (size_t i = 0; i < sizeof replacements / sizeof *replacements; i++) {
        const size_t length = strlen(replacements[i].text);
        if (strncmp(text, replacements[i].text, length) == 0) {
            *ret = replacements[i].kind;
            return length;
        }
    }
    return 0;
}

static void part_add(harvest_template *template, part_kind kind, const char *text, size_t length)
{
    template->parts[template->n_parts++] = (template_part){.kind = kind, .text = text, .length = length};
}

/* Cuts one word into parts. True: it held a replacement string. */
static bool word_parse(harvest_template *template, const char *word)
{
    const char *literal = word;
    bool found = false;

    while (*word) {
        part_kind kind = PART_LITERAL;
        const size_t length = *word == '{' ? replacement_at(word, &kind) : 0;
        if (length == 0) {
            word++;
            continue;
        }
        if (word > literal)
            part_add(template, PART_LITERAL, literal, (size_t)(word - literal));
        part_add(template, kind, NULL, 0);
        word += length;
        literal = word;
        found = true;
    }
    if (word > literal)
        part_add(template, PART_LITERAL, literal, (size_t)(word - literal));
    part_add(template, PART_WORD_END, NULL, 0);
    return found;
}

int harvest_template_parse(char **words, size_t n, bool shell, harvest_template *ret)
{
    harvest_template template = {.n_words = n, .shell = shell};
    size_t most = 2;
    bool found = false;

    if (n == 0 || !words[0][0])
        return STATUS_INVALID;
    for (size_t i = 0; i < n; i++)
        most += strlen(words[i]) + 2; /* a part is at least a byte of a word, or its end */
    template.parts = calloc(most, sizeof *template.parts);
    if (!template.parts)
        return STATUS_NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        found |= word_parse(&template, words[i]);
    if (!found) {
        part_add(&template, PART_INPUT, NULL, 0);
        part_add(&template, PART_WORD_END, NULL, 0);
        template.n_words++;
    }
    assert(template.n_parts <= most);
    *ret = template;
    return STATUS_OK;
}

void harvest_template_finish(harvest_template *template)
{
    free(template->parts);
    template->parts = NULL;
}

/* ---- parts of a path ---- */

typedef struct {
    const char *text;
    size_t length;
} piece;

/* The last part of a path; slashes at its end do not count. "/" stays "/". */
static piece path_base(piece path)
{
    size_t start;

    while (path.length > 1 && path.text[path.length - 1] == '/')
        path.length--;
    start = path.length;
    while (start > 0 && path.text[start - 1] != '/')
        start--;
    if (start == path.length && path.length > 0)
        start = 0; /* only slashes */
    return (piece){path.text + start, path.length - start};
}

static piece path_folder(piece path)
{
    const piece base = path_base(path);
    size_t length = (size_t)(base.text - path.text);

    if (length == 0)
        return path.length > 0 && path.text[0] == '/' ? (piece){"/", 1} : (piece){".", 1};
    while (length > 1 && path.text[length - 1] == '/')
        length--;
    return (piece){path.text, length};
}

/* `path` up to the last dot of its last part, if there is one that is not that part's first byte. */
static piece path_without_extension(piece path)
{
    for (size_t i = path.length; i > 1; i--) {
        const char c = path.text[i - 1];
        if (c == '/' || path.text[i - 2] == '/')
            return path;
        if (c == '.')
            return (piece){path.text, i - 1};
    }
    return path;
}

/* ---- filling ---- */

typedef struct {
    char *out;    /* NULL: only count */
    size_t total; /* bytes, NULs counted */
    size_t word;  /* bytes of this word */
    bool quote;
} filler;

static void put(filler *to, const char *text, size_t length)
{
    if (to->out && length > 0)
        memcpy(to->out + to->total, text, length);
    to->total += length;
    to->word += length;
}

/* As the shell takes one word: inside single quotes, each of these as '\''. */
static void put_quoted(filler *to, piece text)
{
    size_t start = 0;

    put(to, "'", 1);
    for (size_t i = 0; i < text.length; i++) {
        if (text.text[i] != '\'')
            continue;
        put(to, text.text + start, i - start);
        put(to, "'\\''", 4);
        start = i + 1;
    }
    put(to, text.text + start, text.length - start);
    put(to, "'", 1);
}

static void put_piece(filler *to, piece text)
{
    if (to->quote)
        put_quoted(to, text);
    else
        put(to, text.text, text.length);
}

static void put_part(filler *to, const template_part *part, const harvest_fill *fill)
{
    const piece input = {fill->input, strlen(fill->input)};
    char number[24];

    switch (part->kind) {
    case PART_LITERAL:
        put(to, part->text, part->length);
        return;
    case PART_INPUT:
        put_piece(to, input);
        return;
    case PART_NO_EXTENSION:
        put_piece(to, path_without_extension(input));
        return;
    case PART_BASE:
        put_piece(to, path_base(input));
        return;
    case PART_FOLDER:
        put_piece(to, path_folder(input));
        return;
    case PART_BASE_NO_EXTENSION:
        put_piece(to, path_without_extension(path_base(input)));
        return;
    case PART_SEQ:
        (void)snprintf(number, sizeof number, "%" PRIu64, fill->seq);
        put(to, number, strlen(number));
        return;
    case PART_HOST:
        put_piece(to, (piece){fill->host, strlen(fill->host)});
        return;
    case PART_WORD_END:
        break;
    }
    assert(false);
}

/* All words one after another, each with its NUL (a shell's: joined by spaces). Sets `argv` when writing. */
static int fill_all(const harvest_template *template, const harvest_fill *fill, filler *to, char **argv)
{
    size_t word = 0;

    for (size_t i = 0; i < template->n_parts; i++) {
        const template_part *part = &template->parts[i];
        const bool last = i + 1 == template->n_parts;

        if (argv && to->word == 0 && (word == 0 || !template->shell))
            argv[word] = to->out + to->total;
        if (part->kind != PART_WORD_END) {
            put_part(to, part, fill);
            continue;
        }
        if (to->word > HARVEST_INPUT_MAX)
            return STATUS_LIMIT;
        if (template->shell && !last) {
            put(to, " ", 1);
            continue;
        }
        put(to, "", 1);
        to->word = 0;
        word++;
    }
    return STATUS_OK;
}

int harvest_template_fill(const harvest_template *template, const harvest_fill *fill, char ***ret)
{
    const size_t n = template->shell ? 3 : template->n_words;
    const size_t head = (n + 1) * sizeof(char *);
    filler count = {.quote = template->shell};
    filler write = {.quote = template->shell};
    char **argv;
    int status = fill_all(template, fill, &count, NULL);

    if (status < 0)
        return status;
    argv = malloc(head + count.total);
    if (!argv)
        return STATUS_NO_MEMORY;
    memset(argv, 0, head);
    write.out = (char *)argv + head;
    status = fill_all(template, fill, &write, template->shell ? argv + 2 : argv);
    assert(status == STATUS_OK && write.total == count.total);
    if (template->shell) {
        static char shell[] = "/bin/sh", option[] = "-c";
        argv[0] = shell;
        argv[1] = option;
    }
    *ret = argv;
    return STATUS_OK;
}

static bool is_plain(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=@%+,-";
    return word[0] && word[strspn(word, plain)] == '\0';
}

static void put_line(filler *to, char *const *argv)
{
    for (size_t i = 0; argv[i]; i++) {
        const piece word = {argv[i], strlen(argv[i])};
        if (i > 0)
            put(to, " ", 1);
        if (is_plain(argv[i]))
            put(to, word.text, word.length);
        else
            put_quoted(to, word);
    }
    put(to, "", 1);
}

int harvest_template_line(const harvest_template *template, char *const *argv, char **ret)
{
    filler count = {0}, write = {0};

    if (template->shell) {
        char *copy = strdup(argv[2]);
        if (!copy)
            return STATUS_NO_MEMORY;
        *ret = copy;
        return STATUS_OK;
    }
    put_line(&count, argv);
    write.out = malloc(count.total);
    if (!write.out)
        return STATUS_NO_MEMORY;
    put_line(&write, argv);
    *ret = write.out;
    return STATUS_OK;
}
