/*
 * check.c - `granary check`: the books against themselves and against reality. Exit code 0 when they agree.
 *
 * Samples lag behind processes, so what differs is looked at again, a few times; what differs every time is told.
 */
#include <stdio.h>
#include <time.h>

#include "base/status.h"
#include "cli/books.h"
#include "cli/command.h"
#include "cli/differences.h"
#include "cli/exits.h"

#define LOOKS    4
#define PAUSE_MS 700 /* between two looks: longer than the agent's sampling takes */

static void pause_between(void)
{
    struct timespec t = {.tv_nsec = PAUSE_MS * 1000000l};
    while (nanosleep(&t, &t) != 0)
        ;
}

static int look(query *q, differences *d)
{
    const check_world world = {"/proc", "/sys/fs/cgroup", query_welcome(q)->local_host};
    snapshot *s;
    int r = query_snapshot(q, &s);

    if (r < 0)
        return r;
    r = check_books(s, d);
    if (r == 0)
        r = check_reality(s, &world, d);
    snapshot_destroy(s);
    return r;
}

/* What every look found. */
static int look_again(query *q, differences *d)
{
    int r = look(q, d);

    for (int i = 1; i < LOOKS && r == 0 && d->n > 0; i++) {
        differences now = {0};
        pause_between();
        r = look(q, &now);
        differences_keep(&now, d);
        differences_finish(d);
        *d = now;
    }
    return r;
}

static int print_json(const command_call *call, const differences *d)
{
    json_t *root = json_object(), *list = json_array();

    for (size_t i = 0; i < d->n; i++)
        json_array_append_new(list, json_string(d->items[i].text));
    json_object_set_new(root, "agree", json_boolean(d->total == 0));
    json_object_set_new(root, "differences", list);
    return books_json_print(call, root);
}

static int print_text(const command_call *call, const differences *d)
{
    for (size_t i = 0; i < d->n; i++)
        puts(d->items[i].text);
    if (d->total > d->n)
        printf("… and %zu more\n", d->total - d->n);
    if (d->total == 0)
        puts("Books and reality agree.");
    return books_flush(call);
}

int check_run(command_call *call)
{
    differences d = {0};
    query *q;
    int r = options_parse(call, NULL, 0, OPTIONS_ALONE);

    if (r != 0)
        return r - 1;
    r = books_open(call, &q);
    if (r != 0)
        return r;
    r = look_again(q, &d);
    if (r < 0) {
        options_say(call, "%s", query_why(q)[0] ? query_why(q) : status_text(r));
        query_close(q);
        differences_finish(&d);
        return exits_of_status(r);
    }
    query_close(q);
    int code = call->json ? print_json(call, &d) : print_text(call, &d);
    bool agree = d.total == 0;
    differences_finish(&d);
    return code ? code : agree ? EXIT_DONE : EXIT_NO;
}
