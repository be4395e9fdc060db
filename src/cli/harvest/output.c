/*
 * output.c - see output.h.
 *
 * Writing without waiting: the descriptors are shared with other programs, so they cannot be made non-blocking. A pipe
 * or terminal that polls writable takes a page; files take anything.
 */
#include "cli/harvest/output.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/status.h"
#include "base/text.h"

#define PAGE     4096u
#define PUMP_MAX (1u << 20) /* bytes in one call: recalls wait no longer than that takes */

struct harvest_printed {
    harvest_printed *next;
    char *tag; /* owned; NULL = none */
    size_t tag_length;
    harvest_blob out, err;
};

/* ---- spool and blobs ---- */

static bool folder_fits(const char *folder)
{
    struct statfs fs;

    if (statfs(folder, &fs) != 0 || fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC)
        return false;
    return access(folder, W_OK | X_OK) == 0;
}

int harvest_spool_open(harvest_spool *ret)
{
    const char *folders[] = {getenv("TMPDIR"), "/var/tmp", "."};

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (!folders[i] || !folders[i][0] || !folder_fits(folders[i]) ||
            !text_copy(ret->folder, sizeof ret->folder, folders[i]))
            continue;
        ret->buffered = 0;
        return STATUS_OK;
    }
    return STATUS_NOT_FOUND;
}

static int spool_file(const harvest_spool *spool)
{
    char path[sizeof spool->folder + 32];
    int fd = open(spool->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    (void)snprintf(path, sizeof path, "%s/granary-spool-XXXXXX", spool->folder);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path);
    return fd;
}

static int file_write(harvest_blob *blob, const char *bytes, size_t n)
{
    while (n > 0) {
        const ssize_t written = write(blob->fd, bytes, n);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return STATUS_SYSTEM;
        bytes += written;
        n -= (size_t)written;
        blob->in_file += (uint64_t)written;
    }
    return STATUS_OK;
}

static void memory_drop(harvest_spool *spool, harvest_blob *blob)
{
    spool->buffered -= blob->size;
    free(blob->data);
    blob->data = NULL;
    blob->used = blob->size = 0;
}

static int blob_spill(harvest_spool *spool, harvest_blob *blob)
{
    int status;

    blob->fd = spool_file(spool);
    if (blob->fd < 0)
        return STATUS_SYSTEM;
    status = file_write(blob, blob->data, blob->used);
    memory_drop(spool, blob);
    return status;
}

int harvest_blob_append(harvest_spool *spool, harvest_blob *blob, const char *bytes, size_t n)
{
    size_t size = blob->size ? blob->size : 512;
    char *grown;
    int status;

    if (blob->fd >= 0)
        return file_write(blob, bytes, n);
    while (size < blob->used + n)
        size *= 2;
    if (size > HARVEST_BLOB_MEMORY || spool->buffered - blob->size + size > HARVEST_BUFFERED_MAX) {
        status = blob_spill(spool, blob);
        return status < 0 ? status : file_write(blob, bytes, n);
    }
    if (size > blob->size) {
        grown = realloc(blob->data, size);
        if (!grown)
            return STATUS_NO_MEMORY;
        spool->buffered += size - blob->size;
        blob->data = grown;
        blob->size = size;
    }
    memcpy(blob->data + blob->used, bytes, n);
    blob->used += n;
    return STATUS_OK;
}

int harvest_blob_adopt(harvest_blob *blob, int fd)
{
    struct stat stat;

    assert(blob->fd < 0 && !blob->data);
    blob->fd = fd;
    if (fstat(fd, &stat) != 0)
        return STATUS_SYSTEM;
    blob->in_file = (uint64_t)stat.st_size;
    return STATUS_OK;
}

void harvest_blob_finish(harvest_spool *spool, harvest_blob *blob)
{
    memory_drop(spool, blob);
    if (blob->fd >= 0)
        close(blob->fd);
    *blob = HARVEST_BLOB_EMPTY;
}

/* ---- printer ---- */

void harvest_printer_init(harvest_printer *printer, harvest_spool *spool, bool keep_order)
{
    memset(printer, 0, sizeof *printer);
    printer->spool = spool;
    printer->keep_order = keep_order;
    printer->out = STDOUT_FILENO;
    printer->err = STDERR_FILENO;
    printer->open_line = -1;
    printer->next_seq = 1;
    printer->last = &printer->first;
}

static void printed_destroy(harvest_spool *spool, harvest_printed *printed)
{
    if (!printed)
        return;
    harvest_blob_finish(spool, &printed->out);
    harvest_blob_finish(spool, &printed->err);
    free(printed->tag);
    free(printed);
}

void harvest_printer_finish(harvest_printer *printer)
{
    while (printer->first) {
        harvest_printed *next = printer->first->next;
        printed_destroy(printer->spool, printer->first);
        printer->first = next;
    }
    for (size_t i = 0; i < HARVEST_WINDOW; i++) {
        printed_destroy(printer->spool, printer->ring[i]);
        printer->ring[i] = NULL;
    }
}

bool harvest_printer_room(const harvest_printer *printer, uint64_t seq)
{
    if (printer->held >= HARVEST_WINDOW)
        return false;
    return !printer->keep_order || seq - printer->next_seq < HARVEST_WINDOW;
}

static void printer_append(harvest_printer *printer, harvest_printed *printed)
{
    *printer->last = printed;
    printer->last = &printed->next;
}

int harvest_printer_put(harvest_printer *printer, uint64_t seq, const char *tag, harvest_blob *out, harvest_blob *err)
{
    harvest_printed *printed = calloc(1, sizeof *printed);

    if (printed && tag)
        printed->tag = strdup(tag);
    if (!printed || (tag && !printed->tag)) {
        free(printed);
        return STATUS_NO_MEMORY;
    }
    printed->tag_length = tag ? strlen(tag) : 0;
    printed->out = *out;
    printed->err = *err;
    *out = *err = HARVEST_BLOB_EMPTY;
    printer->held++;
    if (!printer->keep_order) {
        printer_append(printer, printed);
        return STATUS_OK;
    }
    assert(seq - printer->next_seq < HARVEST_WINDOW && !printer->ring[seq % HARVEST_WINDOW]);
    printer->ring[seq % HARVEST_WINDOW] = printed;
    while ((printed = printer->ring[printer->next_seq % HARVEST_WINDOW])) {
        printer->ring[printer->next_seq % HARVEST_WINDOW] = NULL;
        printer_append(printer, printed);
        printer->next_seq++;
    }
    return STATUS_OK;
}

bool harvest_printer_ready(const harvest_printer *printer)
{
    return printer->first != NULL;
}

/* Up to `room` bytes of the stream at the printer's offset. 0 = its end. Negative: STATUS_SYSTEM. */
static ssize_t blob_read(const harvest_blob *blob, uint64_t offset, char *to, size_t room)
{
    const uint64_t length = blob->fd >= 0 ? blob->in_file : blob->used;
    const uint64_t left = length - offset;
    const size_t n = left < room ? (size_t)left : room;
    ssize_t got;

    if (blob->fd < 0) {
        if (n > 0)
            memcpy(to, blob->data + offset, n);
        return (ssize_t)n;
    }
    do
        got = pread(blob->fd, to, n, (off_t)offset);
    while (got < 0 && errno == EINTR);
    return got < 0 ? STATUS_SYSTEM : got;
}

/* With a tag: gathers lines, each behind the tag. False: the stream's end. */
static int tagged_fill(harvest_printer *printer, const harvest_printed *printed, const harvest_blob *blob)
{
    char *to = printer->pending;
    const size_t room = sizeof printer->pending;

    while (printer->pending_to < room) {
        char *at = to + printer->pending_to;
        size_t space = room - printer->pending_to;
        char *line_end;
        ssize_t got;

        got = blob_read(blob, printer->offset, at, printer->in_line ? space : 1);
        if (got <= 0)
            return (int)got;
        if (!printer->in_line) {
            const size_t left = printed->tag_length - printer->tag_done;
            const size_t n = left < space ? left : space;
            memcpy(at, printed->tag + printer->tag_done, n);
            printer->tag_done += n;
            printer->pending_to += n;
            printer->in_line = printer->tag_done == printed->tag_length;
            continue;
        }
        line_end = memchr(at, '\n', (size_t)got);
        if (line_end) {
            got = line_end + 1 - at;
            printer->in_line = false;
            printer->tag_done = 0;
        }
        printer->offset += (uint64_t)got;
        printer->pending_to += (size_t)got;
    }
    return STATUS_OK;
}

/* Fills `pending` with what comes next, going on to the next stream or task. Errors: STATUS_SYSTEM. */
static int printer_fill(harvest_printer *printer)
{
    while (printer->pending_to == 0 && printer->first) {
        harvest_printed *printed = printer->first;
        const harvest_blob *blob = printer->second ? &printed->err : &printed->out;
        ssize_t got = STATUS_OK;

        if (printed->tag)
            got = tagged_fill(printer, printed, blob);
        else {
            got = blob_read(blob, printer->offset, printer->pending, sizeof printer->pending);
            printer->offset += got > 0 ? (uint64_t)got : 0;
            printer->pending_to = got > 0 ? (size_t)got : 0;
        }
        if (got < 0)
            return STATUS_SYSTEM;
        if (printer->pending_to > 0)
            return STATUS_OK;
        printer->offset = 0;
        printer->in_line = false;
        printer->tag_done = 0;
        printer->second = !printer->second;
        if (printer->second)
            continue;
        printer->first = printed->next;
        if (!printer->first)
            printer->last = &printer->first;
        printer->held--;
        printed_destroy(printer->spool, printed);
    }
    return STATUS_OK;
}

static bool is_file(int fd)
{
    struct stat stat;

    return fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode);
}

int harvest_printer_pump(harvest_printer *printer, int *ret_fd)
{
    size_t written = 0;

    for (;;) {
        const int status = printer_fill(printer);
        const int fd = printer->second ? printer->err : printer->out;
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        size_t n = printer->pending_to - printer->pending_from;
        ssize_t got;

        if (status < 0 || printer->pending_to == 0)
            return status;
        const bool file = is_file(fd);
        if (!file)
            n = n < PAGE ? n : PAGE;
        if (written >= PUMP_MAX || (!file && poll(&ready, 1, 0) == 0)) {
            *ret_fd = fd;
            return STATUS_WAITING;
        }
        got = write(fd, printer->pending + printer->pending_from, n);
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            return STATUS_SYSTEM;
        if (got > 0)
            printer->open_line = printer->pending[printer->pending_from + (size_t)got - 1] == '\n' ? -1 : fd;
        printer->pending_from += got > 0 ? (size_t)got : 0;
        written += got > 0 ? (size_t)got : 0;
        if (printer->pending_from == printer->pending_to)
            printer->pending_from = printer->pending_to = 0;
    }
}
