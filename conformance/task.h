/*
 * task.h - the tasks: what the driven program starts in its slots, and the board on which they are seen.
 *
 * A task is this program under the name in GRANARY_KIT_TASK. It tells the board that it runs, and ends when the board
 * says so: so every case knows which tasks run, and decides when each ends, whatever the client's way of starting them.
 */
#ifndef CONFORMANCE_TASK_H
#define CONFORMANCE_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TASKS_MAX 64 /* at once */
#define TASK_NAME "granary-task"

typedef struct {
    int fd;
    pid_t pid;
    uint32_t host;
    bool known; /* it has said hello */
} task;

typedef struct {
    char path[104];
    int listener;
    task running[TASKS_MAX];
    unsigned n;
    unsigned started, ended; /* ever */
} board;

int board_open(board *b, const char *folder);
void board_close(board *b); /* whatever still runs ends */

/* A new task that has said hello, or NULL. */
task *board_arrived(board *b);

/* A task that has gone without being told, or false; it is taken off the board. */
bool board_vanished(board *b, task *ret);

/* Tells the task to end, and takes it off the board. */
void board_end(board *b, unsigned i);

/* Tasks that run on the host. */
uint32_t board_count(const board *b, uint32_t host);

/* Is there a task of this pid? */
const task *board_find(const board *b, pid_t pid);

/* What a task does: the main function of this program under that name. `host`: NULL or the host's number. */
int task_main(const char *host);

#endif
