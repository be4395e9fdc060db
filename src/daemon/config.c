/*
 * config.c - one table of keys for each kind of section.
 *
 * A row says where the value lies, of what kind it is and what range it has: the parser, the printer and
 * the list of known keys in errors are the same rows, so that they cannot differ.
 */
#include "daemon/config.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/status.h"
#include "base/text.h"
#include "daemon/quantity.h"

typedef enum { KEY_TEXT, KEY_BYTES, KEY_SPAN, KEY_COUNT32, KEY_COUNT64, KEY_YES, KEY_DURABILITY, KEY_LEVEL } key_kind;

typedef struct {
    const char *name;
    key_kind kind;
    size_t offset, size; /* size: of a text */
    uint64_t least, most;
} key;

typedef struct {
    const char *title; /* in errors */
    const key *keys;
    size_t n;
} section;

#define COUNT(array)         (sizeof(array) / sizeof *(array))
#define AT(type, field)      offsetof(type, field)
#define SIZE_OF(type, field) sizeof(((type *)NULL)->field)

#define SPAN(name, field, least, most)                                                                                 \
    {                                                                                                                  \
        name, KEY_SPAN, AT(config, field), 0, least, most                                                              \
    }
#define TABLE(name, field, most)                                                                                       \
    {                                                                                                                  \
        name, KEY_COUNT32, AT(config, limits.field), 0, 1, most                                                        \
    }

#define DAY 86400000ull

static const key global_keys[] = {
    {"user", KEY_TEXT, AT(config, user), SIZE_OF(config, user), 0, 0},
    {"state", KEY_TEXT, AT(config, state), SIZE_OF(config, state), 0, 0},
    {"socket", KEY_TEXT, AT(config, socket), SIZE_OF(config, socket), 0, 0},
    {"memory", KEY_BYTES, AT(config, memory), 0, MIB(1), UINT64_MAX / 2},
    {"set_aside", KEY_BYTES, AT(config, set_aside), 0, 0, UINT64_MAX / 2},
    {"durability", KEY_DURABILITY, AT(config, power), 0, 0, 0},
    {"sample_ms", KEY_COUNT64, AT(config, sample_ms), 0, 10, 60000},
    SPAN("collect", collect_ms, 100, DAY),
    SPAN("idle_exit", idle_exit, 0, 365 * DAY),
    {"connections", KEY_COUNT64, AT(config, connections), 0, 1, 100000},
    {"connections_per_user", KEY_COUNT64, AT(config, connections_per_user), 0, 1, 100000},
    {"log_level", KEY_LEVEL, AT(config, log_level), 0, 0, 0},
    SPAN("suspect", timers.suspect_ms, 100, DAY),
    SPAN("grace", timers.grace_ms, 100, 30 * DAY),
    SPAN("age_guard", timers.age_guard_ms, 1, 30 * DAY),
    SPAN("notice", timers.notice_ms, 10, 30 * DAY),
    SPAN("ask", timers.ask_ms, 1, 60000),
    SPAN("returning", timers.returning_ms, 10, DAY),
    SPAN("quarantine", timers.quarantine_ms, 10, DAY),
    TABLE("max_hosts", hosts, 1u << 20),
    TABLE("max_users", users, 1u << 20),
    TABLE("max_sessions", sessions, 1u << 20),
    TABLE("max_allocations", allocations, 1u << 24),
    TABLE("max_holdings", holdings, 1u << 24),
    TABLE("max_claims", claims, 1u << 24),
    TABLE("max_recalls", recalls, 1u << 20),
    TABLE("max_answers", answers, 1u << 24),
};

static const key host_keys[] = {
    {"total", KEY_BYTES, AT(event_config_host, total), 0, MIB(1), UINT64_MAX / 2},
    {"set_aside", KEY_BYTES, AT(event_config_host, set_aside), 0, 0, UINT64_MAX / 2},
    {"cores", KEY_COUNT32, AT(event_config_host, cores), 0, 1, 65536},
    {"home", KEY_YES, AT(event_config_host, home), 0, 0, 0},
    {"permanent", KEY_YES, AT(event_config_host, permanent), 0, 0, 0},
    {"labels", KEY_TEXT, AT(event_config_host, labels), LABELS_MAX, 0, 0},
};

static const key user_keys[] = {
    {"weight", KEY_COUNT32, AT(event_config_user, weight), 0, 1, 1000000},
    {"quota", KEY_BYTES, AT(event_config_user, quota), 0, 1, UINT64_MAX / 2},
};

static const section global_section = {"before the first section", global_keys, COUNT(global_keys)};
static const section host_section = {"in a [host] section", host_keys, COUNT(host_keys)};
static const section user_section = {"in a [user] section", user_keys, COUNT(user_keys)};

void config_init(config *c)
{
    *c = (config){
        .set_aside = UINT64_MAX,
        .sample_ms = 1000,
        .collect_ms = 60000,
        .idle_exit = 60000,
        .connections = 2000,
        .connections_per_user = 1000,
        .log_level = LOG_INFO,
        .timers = core_timers_default,
        .limits = {.hosts = 64,
                   .users = 1024,
                   .sessions = 4096,
                   .allocations = 16384,
                   .holdings = 32768,
                   .claims = 16384,
                   .recalls = 4096,
                   .answers = 65536},
    };
}

void config_finish(config *c)
{
    free(c->hosts);
    free(c->users);
    free(c->user_names);
    *c = (config){0};
}

const event_config_host *config_host(const config *c, const char *name)
{
    for (uint32_t i = 0; i < c->n_hosts; i++)
        if (strcmp(c->hosts[i].name, name) == 0)
            return &c->hosts[i];
    return NULL;
}

/* ---- reading ---- */

typedef struct {
    config *config;
    const char *name;
    unsigned line;
    const section *section;
    void *base; /* what the section's offsets count from */
    char *why;
    size_t why_size;
} reader;

#define WRONG(r, ...) (reader_prefix(r), reader_add(r, __VA_ARGS__), STATUS_INVALID)

static void reader_prefix(const reader *r)
{
    snprintf(r->why, r->why_size, "%s:%u: ", r->name, r->line);
}

/* Lines of the file are quoted: they may not move the cursor. */
static void __attribute__((format(printf, 2, 3))) reader_add(const reader *r, const char *format, ...)
{
    char text[CONFIG_LINE_MAX];
    size_t used = strlen(r->why);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    quantity_clean(r->why + used, r->why_size - used, text);
}

static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    size_t n = strlen(text);
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t' || text[n - 1] == '\r'))
        text[--n] = '\0';
    return text;
}

static int unknown_key(const reader *r, const char *name)
{
    int status = WRONG(r, "the key \"%s\" is not known %s; known are:", name, r->section->title);
    for (size_t i = 0; i < r->section->n; i++)
        reader_add(r, "%s %s", i ? "," : "", r->section->keys[i].name);
    return status;
}

/* One of two words. */
static int word_parse(const char *value, const char *yes, const char *no, char *why, size_t why_size, bool *ret)
{
    bool is = strcmp(value, yes) == 0;
    if (!is && strcmp(value, no) != 0) {
        snprintf(why, why_size, "\"%.60s\" is neither %s nor %s", value, yes, no);
        return STATUS_INVALID;
    }
    *ret = is;
    return 0;
}

static int text_parse(const key *k, const char *value, char *to, char *why, size_t why_size)
{
    if (strlen(value) >= k->size || !text_printable(value)) {
        snprintf(why, why_size, "the text is longer than %zu bytes, or holds what cannot be printed", k->size - 1);
        return STATUS_INVALID;
    }
    strcpy(to, value);
    return 0;
}

static int number_parse(const key *k, const char *value, char *to, char *why, size_t why_size)
{
    uint64_t number = 0;
    int r = 0;
    if (k->kind == KEY_BYTES)
        r = size_parse(value, why, why_size, &number);
    else if (k->kind == KEY_SPAN)
        r = duration_parse(value, why, why_size, &number);
    else
        r = quantity_count(value, k->least, k->most, why, why_size, &number);
    if (r < 0)
        return r;
    if (number < k->least || number > k->most) {
        snprintf(why, why_size, "\"%.60s\" is %s than is possible here", value,
                 number < k->least ? "smaller" : "larger");
        return STATUS_INVALID;
    }
    if (k->kind == KEY_COUNT32)
        *(uint32_t *)(void *)to = (uint32_t)number;
    else
        *(uint64_t *)(void *)to = number;
    return 0;
}

static int key_parse(const key *k, const char *value, char *to, char *why, size_t why_size)
{
    switch (k->kind) {
    case KEY_TEXT:
        return text_parse(k, value, to, why, why_size);
    case KEY_YES:
        return word_parse(value, "yes", "no", why, why_size, (bool *)to);
    case KEY_DURABILITY:
        return word_parse(value, "power", "process", why, why_size, (bool *)to);
    case KEY_LEVEL:
        if (log_level_parse(value, (log_level *)(void *)to) < 0) {
            snprintf(why, why_size, "\"%.60s\" is not a level: write error, warning, info or debug", value);
            return STATUS_INVALID;
        }
        return 0;
    default:
        return number_parse(k, value, to, why, why_size);
    }
}

static int read_key(reader *r, char *text)
{
    char *equals = strchr(text, '=');
    if (!equals)
        return WRONG(r, "\"%s\" is neither \"key = value\" nor a [section]", text);
    *equals = '\0';
    char *name = trim(text), *value = trim(equals + 1);
    for (size_t i = 0; i < r->section->n; i++) {
        const key *k = &r->section->keys[i];
        char why[SIZE_WHY_MAX];
        if (strcmp(k->name, name) != 0)
            continue;
        if (key_parse(k, value, (char *)r->base + k->offset, why, sizeof why) < 0)
            return WRONG(r, "%s: %s", name, why);
        return 0;
    }
    return unknown_key(r, name);
}

static int read_host(reader *r, const char *name)
{
    config *c = r->config;
    if (strlen(name) >= NAME_MAX_HOST || !*name || !text_printable(name))
        return WRONG(r, "a [host] section needs a name of at most %u characters, or * for all others",
                     NAME_MAX_HOST - 1);
    if (config_host(c, name))
        return WRONG(r, "there is another section [host %s] above; join them", name);
    if (c->n_hosts == CONFIG_HOSTS_MAX)
        return WRONG(r, "more than %u [host] sections", CONFIG_HOSTS_MAX);
    event_config_host *hosts = realloc(c->hosts, (c->n_hosts + 1) * sizeof *hosts);
    if (!hosts)
        return STATUS_NO_MEMORY;
    c->hosts = hosts;
    event_config_host *h = &hosts[c->n_hosts++];
    *h = (event_config_host){.set_aside = UINT64_MAX};
    strcpy(h->name, name);
    r->section = &host_section;
    r->base = h;
    return 0;
}

static int user_number(const char *name, uint32_t *ret)
{
    uint64_t number;
    char why[SIZE_WHY_MAX];
    if (strcmp(name, "*") == 0) {
        *ret = UINT32_MAX;
        return 0;
    }
    if (quantity_count(name, 0, UINT32_MAX - 1, why, sizeof why, &number) == 0) {
        *ret = (uint32_t)number;
        return 0;
    }
    const struct passwd *p = getpwnam(name);
    if (!p)
        return STATUS_NOT_FOUND;
    *ret = p->pw_uid;
    return 0;
}

static int read_user(reader *r, const char *name)
{
    config *c = r->config;
    uint32_t uid;
    if (strlen(name) >= NAME_MAX_HOST || !*name || user_number(name, &uid) < 0)
        return WRONG(r, "[user %s]: there is no such user; write a name or number that `id` knows, or * for all others",
                     name);
    for (uint32_t i = 0; i < c->n_users; i++)
        if (c->users[i].user.v == uid)
            return WRONG(r, "there is another section for user %s above ([user %s]); join them", name,
                         c->user_names[i]);
    if (c->n_users == CONFIG_USERS_MAX)
        return WRONG(r, "more than %u [user] sections", CONFIG_USERS_MAX);
    event_config_user *users = realloc(c->users, (c->n_users + 1) * sizeof *users);
    if (!users)
        return STATUS_NO_MEMORY;
    c->users = users;
    char(*names)[NAME_MAX_HOST] = realloc(c->user_names, (c->n_users + 1) * sizeof *names);
    if (!names)
        return STATUS_NO_MEMORY;
    c->user_names = names;
    strcpy(names[c->n_users], name);
    users[c->n_users] = (event_config_user){.user = {uid}, .weight = 1};
    r->section = &user_section;
    r->base = &users[c->n_users++];
    return 0;
}

static int read_section(reader *r, char *text)
{
    size_t n = strlen(text);
    if (text[n - 1] != ']')
        return WRONG(r, "\"%s\" lacks the closing ]", text);
    text[n - 1] = '\0';
    char *name = trim(text + 1);
    if (strncmp(name, "host ", 5) == 0)
        return read_host(r, trim(name + 5));
    if (strncmp(name, "user ", 5) == 0)
        return read_user(r, trim(name + 5));
    return WRONG(r, "the section [%s] is not known; write [host NAME] or [user NAME]", name);
}

static int read_line(reader *r, char *line)
{
    size_t n = strlen(line);
    if (n == CONFIG_LINE_MAX - 1 && line[n - 1] != '\n')
        return WRONG(r, "the line is longer than %u characters", CONFIG_LINE_MAX - 2);
    line[strcspn(line, "\n#")] = '\0';
    char *text = trim(line);
    if (*text == '\0')
        return 0;
    return *text == '[' ? read_section(r, text) : read_key(r, text);
}

/* Spans that only make sense together. */
static int check_together(const reader *r)
{
    const config *c = r->config;
    if (c->timers.ask_ms >= c->timers.notice_ms) {
        snprintf(r->why, r->why_size,
                 "%s: ask must be shorter than notice: offers are waited for before a recall is made", r->name);
        return STATUS_INVALID;
    }
    if (c->connections_per_user > c->connections) {
        snprintf(r->why, r->why_size, "%s: connections_per_user is larger than connections; lower it", r->name);
        return STATUS_INVALID;
    }
    return 0;
}

int config_read_stream(config *c, FILE *stream, const char *name, char *why, size_t why_size)
{
    reader r = {.config = c, .name = name, .section = &global_section, .base = c, .why = why, .why_size = why_size};
    char line[CONFIG_LINE_MAX];
    while (fgets(line, sizeof line, stream)) {
        r.line++;
        int status = read_line(&r, line);
        if (status == STATUS_NO_MEMORY)
            snprintf(why, why_size, "%s:%u: no memory left", name, r.line);
        if (status < 0)
            return status;
    }
    if (ferror(stream)) {
        int status = errno == ENOMEM ? STATUS_NO_MEMORY : STATUS_SYSTEM;
        snprintf(why, why_size, "%s: cannot be read: %s", name, strerror(errno));
        return status;
    }
    return check_together(&r);
}

int config_read(config *c, const char *path, char *why, size_t why_size)
{
    FILE *stream = fopen(path, "re");
    if (!stream) {
        int status = errno == ENOMEM ? STATUS_NO_MEMORY : STATUS_SYSTEM;
        snprintf(why, why_size, "%s: cannot be opened: %s; name another file with --config", path, strerror(errno));
        return status;
    }
    int r = config_read_stream(c, stream, path, why, why_size);
    fclose(stream);
    return r;
}

/* ---- printing ---- */

static void key_print(const key *k, const char *at, FILE *to)
{
    char text[QUANTITY_TEXT_MAX];
    uint64_t number;
    log_level level;
    switch (k->kind) {
    case KEY_TEXT:
        if (*at)
            fprintf(to, "%s = %s\n", k->name, at);
        return;
    case KEY_YES:
        fprintf(to, "%s = %s\n", k->name, *(const bool *)at ? "yes" : "no");
        return;
    case KEY_DURABILITY:
        fprintf(to, "%s = %s\n", k->name, *(const bool *)at ? "power" : "process");
        return;
    case KEY_LEVEL:
        memcpy(&level, at, sizeof level);
        fprintf(to, "%s = %s\n", k->name, log_level_name(level));
        return;
    case KEY_COUNT32:
        if (*(const uint32_t *)(const void *)at >= k->least)
            fprintf(to, "%s = %" PRIu32 "\n", k->name, *(const uint32_t *)(const void *)at);
        return;
    default:
        break;
    }
    memcpy(&number, at, sizeof number);
    if (k->kind == KEY_BYTES && (number < k->least || number > k->most))
        return; /* not given */
    if (k->kind == KEY_COUNT64)
        snprintf(text, sizeof text, "%" PRIu64, number);
    else if (k->kind == KEY_BYTES)
        quantity_bytes(number, text);
    else
        quantity_span(number, text);
    fprintf(to, "%s = %s\n", k->name, text);
}

static void section_print(const section *s, const void *base, FILE *to)
{
    for (size_t i = 0; i < s->n; i++)
        key_print(&s->keys[i], (const char *)base + s->keys[i].offset, to);
}

void config_print(const config *c, FILE *to)
{
    section_print(&global_section, c, to);
    for (uint32_t i = 0; i < c->n_hosts; i++) {
        fprintf(to, "\n[host %s]\n", c->hosts[i].name);
        section_print(&host_section, &c->hosts[i], to);
    }
    for (uint32_t i = 0; i < c->n_users; i++) {
        fprintf(to, "\n[user %s]\n", c->user_names[i]);
        section_print(&user_section, &c->users[i], to);
    }
}
