/*
 * options.c - a small parser instead of getopt_long: it knows types, names what is wrong, and proposes what was meant.
 */
#include "cli/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/status.h"
#include "base/text.h"
#include "cli/exits.h"
#include "cli/nearest.h"

#define HELP_COLUMN 28
#define PAGE        4096u /* the least that any of our machines gives out */

/* The tables that one parse looks through: the command's and the common one. */
typedef struct {
    const command_call *call;
    const option *tables[2];
    size_t counts[2];
} option_set;

static const option *set_at(const option_set *set, size_t i)
{
    if (i < set->counts[0])
        return &set->tables[0][i];
    i -= set->counts[0];
    return i < set->counts[1] ? &set->tables[1][i] : NULL;
}

static void say(const command_call *call, const char *format, va_list args)
{
    fprintf(stderr, "granary%s%s: ", strcmp(call->command, "help") == 0 ? "" : " ",
            strcmp(call->command, "help") == 0 ? "" : call->command);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void options_say(const command_call *call, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(call, format, args);
    va_end(args);
}

int options_wrong(const command_call *call, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(call, format, args);
    va_end(args);
    fprintf(stderr, "Usage: granary %s\nTry 'granary help%s%s'.\n", call->usage,
            strcmp(call->command, "help") == 0 ? "" : " ", strcmp(call->command, "help") == 0 ? "" : call->command);
    return EXIT_USAGE;
}

static void print_help(const option_set *set)
{
    const option *o;

    printf("Usage: granary %s\n", set->call->usage);
    if (set->call->about)
        printf("%s\n", set->call->about);
    puts("\nOptions:");
    for (size_t i = 0; (o = set_at(set, i)); i++) {
        char left[64], letter[5] = "    ";
        if (o->letter)
            snprintf(letter, sizeof letter, "-%c, ", o->letter);
        snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name, o->argument ? " " : "",
                 o->argument ? o->argument : "");
        printf("%-*s %s\n", HELP_COLUMN, left, o->help);
    }
}

int options_count_parse(const char *text, uint32_t most, uint32_t *ret, char *why, size_t why_size)
{
    char *end = NULL;

    errno = 0;
    unsigned long long value = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (!end || *end) {
        snprintf(why, why_size, "'%.40s' is %s", text, text[0] == '-' ? "negative" : "not a whole number");
        return STATUS_INVALID;
    }
    if (errno || value > most) {
        snprintf(why, why_size, "'%.40s' is too large: the most is %u", text, most);
        return STATUS_INVALID;
    }
    *ret = (uint32_t)value;
    return 0;
}

static int integer_parse(const char *text, int32_t *ret, char *why, size_t why_size)
{
    char *end;

    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end) {
        snprintf(why, why_size, "'%.40s' is not a whole number", text);
        return STATUS_INVALID;
    }
    if (errno || value > INT32_MAX || value < INT32_MIN) {
        snprintf(why, why_size, "'%.40s' is not from %ld to %ld", text, (long)INT32_MIN, (long)INT32_MAX);
        return STATUS_INVALID;
    }
    *ret = (int32_t)value;
    return 0;
}

static int refuse_zero(uint64_t value, const char *text, char *why, size_t why_size)
{
    if (value > 0)
        return 0;
    snprintf(why, why_size, "'%.40s' is 0; it must be more", text);
    return STATUS_INVALID;
}

/* "700" is what people write who mean megabytes; no program runs in less than a page. */
static int refuse_tiny(uint64_t bytes, const char *text, char *why, size_t why_size)
{
    bool plain = text[strspn(text, "0123456789")] == '\0';

    if (bytes >= PAGE)
        return 0;
    snprintf(why, why_size, "'%.40s' is %llu %s, less than any program needs: write %.40s", text,
             (unsigned long long)bytes, text_plural(bytes, "byte", "bytes"), plain ? text : "a size such as 700M");
    if (plain)
        strncat(why, "M for megabytes", why_size - strlen(why) - 1);
    return STATUS_INVALID;
}

static int option_store(const option *o, const char *text, char *why, size_t why_size)
{
    uint64_t wide = 0;
    uint32_t count = 0;
    int r;

    switch (o->kind) {
    case OPTION_TEXT:
        *(const char **)o->to = text;
        return 0;
    case OPTION_INTEGER:
        return integer_parse(text, o->to, why, why_size);
    case OPTION_COUNT:
    case OPTION_COUNT_0:
    case OPTION_JOBS:
        r = options_count_parse(text, o->kind == OPTION_JOBS ? OPTIONS_JOBS_MAX : UINT32_MAX, &count, why, why_size);
        if (r == 0 && o->kind != OPTION_COUNT_0)
            r = refuse_zero(count, text, why, why_size);
        if (r == 0)
            *(uint32_t *)o->to = count;
        return r;
    case OPTION_SIZE:
        r = size_parse_positive(text, why, why_size, &wide);
        if (r == 0)
            r = refuse_tiny(wide, text, why, why_size);
        break;
    case OPTION_SIZE_0:
        r = size_parse(text, why, why_size, &wide);
        break;
    case OPTION_TIME:
    case OPTION_TIME_0:
        r = duration_parse(text, why, why_size, &wide);
        if (r == 0 && o->kind == OPTION_TIME)
            r = refuse_zero(wide, text, why, why_size);
        break;
    default:
        abort(); /* flags store nothing from text */
    }
    if (r == 0)
        *(uint64_t *)o->to = wide;
    return r;
}

static int option_take(const option_set *set, const option *o, const char *text)
{
    char why[SIZE_WHY_MAX];

    if (option_store(o, text, why, sizeof why) == 0)
        return 0;
    return options_wrong(set->call, "--%s: %s", o->name, why);
}

/* An option's value that stands by itself: not "--", which ends the options. NULL: there is none. */
static const char *next_word(int argc, char **argv, int *i)
{
    if (*i + 1 >= argc || strcmp(argv[*i + 1], "--") == 0)
        return NULL;
    return argv[++*i];
}

/* `--name`, `--name=value`: uses up one or two of argv; `*i` is left on the last one used. */
static int parse_long(const option_set *set, int argc, char **argv, int *i)
{
    const char *name = argv[*i] + 2, *value = strchr(name, '=');
    size_t length = value ? (size_t)(value - name) : strlen(name);
    const option *o, *found = NULL;
    const char *near = NULL;
    char word[NEAREST_WORD_MAX];

    snprintf(word, sizeof word, "%.*s", (int)length, name);
    for (size_t k = 0; (o = set_at(set, k)); k++) {
        if (strlen(o->name) == length && strncmp(o->name, name, length) == 0)
            found = o;
        near = nearest_of(word, near, o->name);
    }
    if (!found && near)
        return options_wrong(set->call, "there is no option '--%s'; did you mean '--%s'?", word, near);
    if (!found)
        return options_wrong(set->call, "there is no option '--%s'", word);
    if (found->kind == OPTION_FLAG) {
        if (value)
            return options_wrong(set->call, "'--%s' takes no value", found->name);
        *(bool *)found->to = true;
        return 0;
    }
    if (value)
        value++;
    else
        value = next_word(argc, argv, i);
    if (!value)
        return options_wrong(set->call, "'--%s' needs a value: --%s %s", found->name, found->name, found->argument);
    return option_take(set, found, value);
}

/* `-x`, `-xVALUE`, `-xyz`. */
static int parse_short(const option_set *set, int argc, char **argv, int *i)
{
    for (const char *at = argv[*i] + 1; *at; at++) {
        const option *o, *found = NULL;
        for (size_t k = 0; (o = set_at(set, k)); k++)
            if (o->letter && o->letter == *at)
                found = o;
        if (!found)
            return options_wrong(set->call, "there is no option '-%c'", *at >= ' ' && *at < 127 ? *at : '?');
        if (found->kind == OPTION_FLAG) {
            *(bool *)found->to = true;
            continue;
        }
        const char *value = at[1] ? at + 1 : next_word(argc, argv, i);
        if (!value)
            return options_wrong(set->call, "'-%c' needs a value: -%c %s", *at, *at, found->argument);
        return option_take(set, found, value);
    }
    return 0;
}

int options_parse(command_call *call, const option *table, size_t n, unsigned flags)
{
    bool help = false;
    const option common[] = {
        {0, "socket", OPTION_TEXT, &call->socket, "PATH",
         "the broker's socket (else GRANARY_SOCKET, the system's, your own)"},
        {'h', "help", OPTION_FLAG, &help, NULL, "print this"},
        {0, "json", OPTION_FLAG, &call->json, NULL, "print JSON: bytes and milliseconds as integers"},
    };
    option_set set = {call, {table, common}, {n, call->reads ? 3 : 2}};
    int operands = 0, i;

    for (i = 0; i < call->argc && !help; i++) {
        char *word = call->argv[i];
        int r;
        if (word[0] != '-' || word[1] == '\0') {
            if (flags & OPTIONS_STOP)
                break;
            call->argv[operands++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            i++;
            break;
        }
        r = word[1] == '-' ? parse_long(&set, call->argc, call->argv, &i)
                           : parse_short(&set, call->argc, call->argv, &i);
        if (r != 0)
            return r + 1;
    }
    if (help) {
        print_help(&set);
        return EXIT_DONE + 1;
    }
    while (i < call->argc)
        call->argv[operands++] = call->argv[i++];
    if (operands < call->argc)
        call->argv[operands] = NULL; /* as execvp() wants it */
    call->argc = operands;
    if (operands > 0 && (flags & OPTIONS_ALONE))
        return options_wrong(call, "takes no operands, but got '%.40s'", call->argv[0]) + 1;
    return 0;
}
