/*
 * output.h - what tasks write, kept apart until it is printed.
 *
 * A blob is one stream of one task: in memory up to 64 KiB (and HARVEST_BUFFERED_MAX over all blobs), from then on in a
 * file without a name on a disk, never in tmpfs, where it would stay charged as memory. The printer writes
 * finished tasks to standard output and error, one after another, without ever waiting: as they end, or in
 * the order of their inputs. It holds at most HARVEST_WINDOW tasks; the caller starts none beyond that.
 */
#ifndef GRANARY_CLI_HARVEST_OUTPUT_H
#define GRANARY_CLI_HARVEST_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HARVEST_BLOB_MEMORY  65536u
#define HARVEST_BUFFERED_MAX (16u << 20)
#define HARVEST_WINDOW       512u

typedef struct {
    char folder[4096]; /* where unnamed files are made */
    size_t buffered;   /* bytes in memory, over all blobs */
} harvest_spool;

typedef struct {
    char *data; /* owned; NULL when in a file */
    size_t used, size;
    int fd; /* owned; -1 = in memory */
    uint64_t in_file;
} harvest_blob;

#define HARVEST_BLOB_EMPTY ((harvest_blob){.fd = -1})

/*
 * Chooses the folder: TMPDIR, else /var/tmp, else the current one, the first that is writable and on a disk. Errors:
 * STATUS_NOT_FOUND: none is.
 */
int harvest_spool_open(harvest_spool *ret);

/* Errors: STATUS_SYSTEM (errno: the spool file), STATUS_NO_MEMORY. */
int harvest_blob_append(harvest_spool *spool, harvest_blob *blob, const char *bytes, size_t n);

/* The stream was written to `fd` (now owned) by the task itself. Errors: STATUS_SYSTEM. */
int harvest_blob_adopt(harvest_blob *blob, int fd);
void harvest_blob_finish(harvest_spool *spool, harvest_blob *blob);

typedef struct harvest_printed harvest_printed;

typedef struct {
    harvest_spool *spool; /* borrowed */
    bool keep_order;
    int out, err;      /* borrowed */
    uint64_t next_seq; /* keep_order: the next to print */
    harvest_printed *ring[HARVEST_WINDOW];
    harvest_printed *first, **last; /* ready to print, in order */
    uint32_t held;                  /* tasks in it */

    /* of the task that is being printed */
    bool second; /* standard error's turn */
    bool in_line;
    int open_line; /* what was written last to this descriptor did not end its line; -1 = it did */
    uint64_t offset;
    size_t tag_done;
    char pending[HARVEST_BLOB_MEMORY];
    size_t pending_from, pending_to;
} harvest_printer;

void harvest_printer_init(harvest_printer *printer, harvest_spool *spool, bool keep_order);
void harvest_printer_finish(harvest_printer *printer);

/* May a task of this number start? False: too many wait to be printed. */
bool harvest_printer_room(const harvest_printer *printer, uint64_t seq);

/*
 * A task ended (or was skipped: both blobs empty). Takes over the blobs; `tag` is copied, NULL = none. Errors:
 * STATUS_NO_MEMORY, the blobs stay the caller's.
 */
int harvest_printer_put(harvest_printer *printer, uint64_t seq, const char *tag, harvest_blob *out, harvest_blob *err);

/* Is something ready to be printed? */
bool harvest_printer_ready(const harvest_printer *printer);

/*
 * Writes what can be written now. STATUS_OK: nothing is ready any more. STATUS_WAITING: call again when `*ret_fd` can
 * be written. Errors: STATUS_SYSTEM (errno).
 */
int harvest_printer_pump(harvest_printer *printer, int *ret_fd);

#endif
