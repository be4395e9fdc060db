/*
 * cgroup_books.c - the folder of the books, and groups with their open files; see cgroup_books.h.
 *
 * Anybody with the power to may remove an empty folder while it is open: the folder of the books is looked for anew
 * when that has happened.
 */
#include "agent/cgroup_books.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/status.h"

static void base_path(const cgroup_books *self, char to[2 * PATH_MAX])
{
    snprintf(to, (size_t)2 * PATH_MAX, "%s%s", self->place.mount, self->place.own);
}

static void forget_folder(cgroup_books *self)
{
    if (self->dir >= 0)
        close(self->dir);
    self->dir = -1;
}

void cgroup_backend_destroy(backend *b)
{
    cgroup_books *self = (cgroup_books *)b;
    char base[2 * PATH_MAX];
    forget_folder(self);
    base_path(self, base);
    cgroup_books_remove(base, self->books);
    free(self);
}

static int find_folder(cgroup_books *self, bool make)
{
    char base[2 * PATH_MAX];
    int dir;
    if (self->dir >= 0 && cgroup_folder_gone(self->dir))
        forget_folder(self);
    if (self->dir >= 0)
        return 0;
    base_path(self, base);
    int r = cgroup_books_open(base, self->books, make, &dir);
    if (r < 0)
        return r;
    if (make && self->version->books_made)
        r = self->version->books_made(dir);
    if (r < 0) {
        close(dir);
        return r;
    }
    self->dir = dir;
    return 0;
}

int cgroup_backend_books(backend *b, const char *books)
{
    cgroup_books *self = (cgroup_books *)b;
    if (!books_valid(books))
        return STATUS_INVALID;
    forget_folder(self);
    snprintf(self->books, sizeof self->books, "%s", books);
    return 0;
}

int cgroup_backend_list(backend *b, generations *ret)
{
    cgroup_books *self = (cgroup_books *)b;
    int r = find_folder(self, false);
    if (r == STATUS_NOT_FOUND) {
        *ret = (generations){0};
        return 0;
    }
    return r < 0 ? r : cgroup_list(self->dir, ret);
}

int cgroup_file(const cgroup_group *g, const char *name, int flags)
{
    return openat(g->dir, name, flags | O_CLOEXEC | O_NOFOLLOW);
}

int cgroup_backend_open(backend *b, uint64_t gen, bytes_t limit, bool make, group **ret, bool *ret_made)
{
    cgroup_books *self = (cgroup_books *)b;
    bool made = false;
    int r = find_folder(self, make);
    if (r < 0)
        return r;
    cgroup_group *g = calloc(1, self->version->group_size);
    if (!g)
        return STATUS_NO_MEMORY;
    g->base = (group){.owner = b, .generation = gen};
    g->dir = g->procs = -1;
    for (size_t i = 0; i < CGROUP_FILES; i++)
        g->files[i] = -1;
    r = cgroup_group_open(self->dir, gen, make, &g->dir, &made);
    if (r == 0) {
        g->procs = cgroup_file(g, "cgroup.procs", O_WRONLY);
        r = g->procs < 0 ? STATUS_SYSTEM : self->version->files(g);
    }
    if (r == 0 && made)
        r = self->version->limits(g->dir, limit);
    if (r < 0) {
        int error = errno;
        if (made)
            cgroup_group_remove(self->dir, gen);
        cgroup_backend_close(&g->base);
        errno = error;
        return r;
    }
    *ret = &g->base;
    *ret_made = made;
    return 0;
}

void cgroup_backend_close(group *base)
{
    cgroup_group *g = (cgroup_group *)base;
    if (!g)
        return;
    for (size_t i = 0; i < CGROUP_FILES; i++)
        if (g->files[i] >= 0)
            close(g->files[i]);
    if (g->procs >= 0)
        close(g->procs);
    if (g->dir >= 0)
        close(g->dir);
    free(g);
}

int cgroup_backend_remove(group *base)
{
    return cgroup_group_remove(((cgroup_books *)base->owner)->dir, base->generation);
}

int cgroup_backend_attach(group *base, pid_t pid)
{
    return cgroup_attach(((cgroup_group *)base)->procs, pid);
}

int cgroup_backend_processes(group *base, pids *to)
{
    return cgroup_processes(((cgroup_group *)base)->dir, to);
}
