/*
 * pool.c - run shell commands, as many at once as memory allows.
 *
 *     pool 'sleep 1' 'echo hello' 'gzip -k big.log'
 *
 * Each command runs in a slot: 64 MiB that it cannot exceed. When the broker needs memory for somebody else, slots that
 * end are not handed out again, and nothing that runs is killed.
 */
#include <granary.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    pid_t pid;
    granary_slot slot;
} task;

/* Waits for one of the running commands and gives its slot back. Returns 1 when it failed. */
static int finish_one(granary_pool *pool, task *tasks, int *running)
{
    int status;
    pid_t pid = wait(&status);
    for (int i = 0; i < *running; i++)
        if (tasks[i].pid == pid) {
            granary_slot_release(pool, &tasks[i].slot, NULL);
            tasks[i] = tasks[--*running];
        }
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static pid_t start(granary_pool *pool, const granary_slot *slot, const char *command)
{
    granary_gate gate;
    int pid = granary_gate_fork(&gate);
    if (pid == 0) { /* the child: nothing runs before it is under its limit */
        granary_gate_wait(&gate);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    if (pid > 0 && granary_slot_enter(pool, slot, gate.pidfd) == 0)
        granary_gate_open(&gate);
    else
        fprintf(stderr, "pool: '%s' could not be started\n", command);
    granary_gate_finish(&gate); /* a child whose gate never opened ends */
    return pid;
}

int main(int argc, char **argv)
{
    granary_client *client;
    if (granary_client_open(&client, NULL) < 0)
        return fprintf(stderr, "pool: %s\n", granary_client_error(NULL)), 1;
    granary_pool *pool =
        granary_pool_open(client, &(granary_pool_options){.label = "pool", .chunk_size = GRANARY_MIB(64), .want = 8});
    if (!pool)
        return fprintf(stderr, "pool: %s\n", granary_client_error(client)), 1;

    task tasks[8];
    int running = 0, failed = 0;
    for (int i = 1; i < argc; i++) {
        granary_slot slot;
        int wait_ms = running > 0 ? 0 : GRANARY_FOREVER; /* with nothing running, only the broker can give us one */
        while (granary_slot_acquire(pool, &slot, wait_ms) < 0) {
            if (running == 0)
                return fprintf(stderr, "pool: %s\n", granary_client_error(client)), 1;
            failed |= finish_one(pool, tasks, &running);
            wait_ms = running > 0 ? 0 : GRANARY_FOREVER;
        }
        tasks[running++] = (task){start(pool, &slot, argv[i]), slot};
    }
    while (running > 0)
        failed |= finish_one(pool, tasks, &running);

    granary_pool_close(pool);
    granary_client_close(client);
    return failed;
}
