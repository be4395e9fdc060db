/*
 * check_reality.c - the snapshot against the processes and limits groups of this host (see differences.h).
 *
 * The groups of these books are folders granary.<books>/c<claim> somewhere in the trees of control groups; they are
 * looked for from the top, because only the agent knows where its own group is. Whatever else lies in that folder is
 * somebody else's work, and is told.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"
#include "cli/differences.h"

#define DEPTH_MAX  12     /* of the trees of groups */
#define GROUPS_MAX 65536u /* claims of one host are far fewer */

typedef struct {
    char name[128];   /* granary.<books> */
    uint64_t *claims; /* owned: the c<claim> folders found */
    size_t n;
    char **strangers; /* owned: other folders there */
    size_t n_strangers;
    bool seen, failed; /* the folder of the books exists; memory was short */
} groups;

static void groups_finish(groups *g)
{
    for (size_t i = 0; i < g->n_strangers; i++)
        free(g->strangers[i]);
    free(g->strangers);
    free(g->claims);
}

static void groups_add(groups *g, uint64_t claim)
{
    for (size_t i = 0; i < g->n; i++)
        if (g->claims[i] == claim)
            return; /* the same group in another hierarchy */
    uint64_t *claims = g->n < GROUPS_MAX ? reallocarray(g->claims, g->n + 1, sizeof *claims) : NULL;
    if (!claims) {
        g->failed = true;
        return;
    }
    g->claims = claims;
    g->claims[g->n++] = claim;
}

static void groups_add_stranger(groups *g, const char *name)
{
    for (size_t i = 0; i < g->n_strangers; i++)
        if (strcmp(g->strangers[i], name) == 0)
            return;
    char **strangers =
        g->n_strangers < GROUPS_MAX ? reallocarray(g->strangers, g->n_strangers + 1, sizeof *strangers) : NULL;
    if (strangers)
        g->strangers = strangers;
    char *copy = strangers ? strdup(name) : NULL;
    if (copy)
        g->strangers[g->n_strangers++] = copy;
    else
        g->failed = true;
}

/* "c17" in the folder of the books; other names are not ours. */
static void groups_entry(groups *g, const char *name)
{
    char *end = NULL;
    unsigned long long claim = 0;

    errno = 0;
    if (name[0] == 'c' && name[1] >= '1' && name[1] <= '9')
        claim = strtoull(name + 1, &end, 10);
    if (end && *end == '\0' && errno == 0)
        groups_add(g, claim);
    else
        groups_add_stranger(g, name);
}

/* Takes over `fd`. Walks folders only, through no links; what cannot be read is another user's and skipped. */
static void groups_walk(groups *g, int fd, int depth, bool books)
{
    DIR *dir = fdopendir(fd);
    const struct dirent *e;

    if (!dir) {
        close(fd);
        return;
    }
    while ((e = readdir(dir)) && !g->failed) {
        if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (books) {
            groups_entry(g, e->d_name);
            continue;
        }
        bool found = strcmp(e->d_name, g->name) == 0;
        int below =
            depth < DEPTH_MAX ? openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        g->seen |= found;
        if (below >= 0)
            groups_walk(g, below, depth + 1, found);
    }
    closedir(dir);
}

static bool process_lives(const char *proc, int pid)
{
    char path[256], text[512];

    snprintf(path, sizeof path, "%s/%d/stat", proc, pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return errno != ENOENT;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    const char *end = strrchr(text, ')');
    return !end || end[1] == '\0' || (end[2] != 'Z' && end[2] != 'X');
}

static bool claim_known(const snapshot *s, uint64_t claim)
{
    for (size_t i = 0; i < s->n_claims; i++)
        if (s->claims[i]->id == claim)
            return true;
    return false;
}

static bool group_exists(const groups *g, uint64_t claim)
{
    for (size_t i = 0; i < g->n; i++)
        if (g->claims[i] == claim)
            return true;
    return false;
}

static bool has_claim(const snapshot *s, uint64_t allocation)
{
    for (size_t i = 0; i < s->n_claims; i++)
        if (s->claims[i]->allocation == allocation)
            return true;
    return false;
}

static const Granary__AllocationInfo *owner_of(const snapshot *s, uint64_t allocation)
{
    for (size_t i = 0; i < s->n_allocations; i++)
        if (s->allocations[i]->id == allocation)
            return s->allocations[i];
    return NULL;
}

/* Names have no number: this one tells them apart from look to look. */
static uint64_t name_number(const char *name)
{
    uint64_t n = 14695981039346656037u; /* FNV-1a */
    for (; *name; name++)
        n = (n ^ (unsigned char)*name) * 1099511628211u;
    return n;
}

static int check_groups(const snapshot *s, const groups *g, uint32_t host, differences *d)
{
    int r = 0;

    for (size_t i = 0; i < g->n && r == 0; i++)
        if (!claim_known(s, g->claims[i]))
            r = differences_add(d, "group-unknown", g->claims[i], "group %s/c%" PRIu64 ": no claim in the books",
                                g->name, g->claims[i]);
    for (size_t i = 0; i < g->n_strangers && r == 0; i++)
        r = differences_add(d, "group-stranger", name_number(g->strangers[i]),
                            "group %s/%.100s: not made by Granary, which never touches it; remove it when it is empty",
                            g->name, g->strangers[i]);
    for (size_t i = 0; i < s->n_claims && r == 0; i++)
        if (s->claims[i]->host == host && strcmp(s->claims[i]->state, "open") == 0 &&
            !group_exists(g, s->claims[i]->id))
            r = differences_add(d, "group-missing", s->claims[i]->id,
                                "claim %" PRIu64 ": its group %s/c%" PRIu64 " does not exist", s->claims[i]->id,
                                g->name, s->claims[i]->id);
    return r;
}

static int check_claim(const snapshot *s, const check_world *world, const Granary__ClaimInfo *c, differences *d)
{
    const Granary__AllocationInfo *a = owner_of(s, c->allocation);
    size_t alive = 0;
    int r = 0;

    for (size_t i = 0; i < c->n_pids && r == 0; i++) {
        if (process_lives(world->proc, c->pids[i]))
            alive++;
        else
            r = differences_add(d, "claim-pid", c->id, "claim %" PRIu64 ": its process %d is dead", c->id, c->pids[i]);
    }
    if (r == 0 && alive == 0 && a && a->pid > 0 && !process_lives(world->proc, a->pid))
        r = differences_add(d, "claim-leak", c->id,
                            "claim %" PRIu64 " (%s): it has no process, and its owner (pid %d) is dead", c->id,
                            c->state, a->pid);
    return r;
}

static int check_owner(const snapshot *s, const check_world *world, const Granary__AllocationInfo *a, differences *d)
{
    if (a->pid <= 0 || process_lives(world->proc, a->pid) || has_claim(s, a->id))
        return 0;
    return differences_add(d, "allocation-leak", a->id,
                           "allocation %" PRIu64 " (%s): its owner (pid %d) is dead, and nothing runs in it", a->id,
                           a->label, a->pid);
}

int check_reality(const snapshot *s, const check_world *world, differences *d)
{
    const Granary__HostInfo *here = NULL;
    groups g = {0};
    const char *books = "";
    int r = 0;

    for (size_t i = 0; i < s->n_hosts; i++)
        if (strcmp(s->hosts[i]->name, world->host) == 0)
            here = s->hosts[i];
    for (size_t i = 0; i < s->n_parts; i++)
        if (s->parts[i]->broker_id[0])
            books = s->parts[i]->broker_id;
    for (size_t i = 0; i < s->n_allocations && r == 0; i++)
        r = check_owner(s, world, s->allocations[i], d);
    for (size_t i = 0; i < s->n_queue && r == 0; i++)
        if (s->queue[i]->allocation)
            r = check_owner(s, world, s->queue[i]->allocation, d);
    for (size_t i = 0; i < s->n_claims && r == 0 && here; i++)
        if (s->claims[i]->host == here->id)
            r = check_claim(s, world, s->claims[i], d);
    if (r < 0 || !here || !books[0] || strncmp(here->enforcement, "cgroup", 6) != 0)
        return r;
    snprintf(g.name, sizeof g.name, "granary.%.100s", books);
    int fd = open(world->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        groups_walk(&g, fd, 0, false);
    r = g.failed ? STATUS_NO_MEMORY : g.seen ? check_groups(s, &g, here->id, d) : 0;
    groups_finish(&g);
    return r;
}
