/*
 * handover.c - give an allocation to another process.
 *
 *     handover take [ALLOCATION]     prints its session, waits for an allocation (its number on standard input, unless
 *                                    given), prints what it got, keeps it until standard input ends
 *     handover give [SESSION]        allocates two chunks of 16 MiB, prints the number, hands them to the session (from
 *                                    standard input, unless given) and ends
 *     handover parent COMMAND...     allocates the same, and runs the command with GRANARY_ALLOCATION
 *     handover child COMMAND...      such a command: claims one chunk of what its parent holds, and becomes COMMAND in
 * it
 */
#include <granary.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int failed(granary_client *client, const char *what)
{
    fprintf(stderr, "handover: %s: %s\n", what, granary_client_error(client));
    return 1;
}

static uint64_t number_of(const char *given)
{
    char line[32] = "";
    if (!given && !fgets(line, sizeof line, stdin))
        return 0;
    return strtoull(given ? given : line, NULL, 10);
}

static int allocate(granary_client *client, granary_allocation *lease)
{
    granary_request two = {.label = "handover", .chunk_size = GRANARY_MIB(16), .want = 2, .flags = GRANARY_ONE_HOST};
    return granary_allocate(client, &two, lease, NULL, NULL);
}

static int take(granary_client *client, const char *given)
{
    granary_allocation lease;
    printf("session %" PRIu64 "\n", granary_session(client));
    fflush(stdout);
    uint64_t id = number_of(given);
    if (granary_allocation_adopt(client, id, 3000, &lease) < 0)
        return failed(client, "nothing was handed over");
    printf("holds %" PRIu64 " chunks %" PRIu32 "\n", lease.id, lease.chunks);
    fflush(stdout);
    granary_allocation_finish(&lease);
    while (getchar() != EOF)
        ;
    return granary_release(client, id, NULL, 0) < 0 ? failed(client, "release") : 0;
}

static int give(granary_client *client, const char *given)
{
    granary_allocation lease;
    if (allocate(client, &lease) < 0)
        return failed(client, "allocate");
    printf("allocation %" PRIu64 "\n", lease.id);
    fflush(stdout);
    int r = granary_transfer(client, lease.id, number_of(given));
    granary_allocation_finish(&lease);
    return r < 0 ? failed(client, "transfer") : 0;
}

static int parent(granary_client *client, char **command)
{
    granary_allocation lease;
    char text[32];
    int status;
    if (allocate(client, &lease) < 0)
        return failed(client, "allocate");
    snprintf(text, sizeof text, "%" PRIu64, lease.id);
    granary_allocation_finish(&lease);
    setenv("GRANARY_ALLOCATION", text, 1);
    pid_t pid = fork();
    if (pid == 0) {
        execvp(command[0], command);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int child(granary_client *client, char **command)
{
    uint64_t lease = granary_inherited_allocation(), claim;
    granary_gate gate;
    int status;
    if (lease == 0)
        return fprintf(stderr, "handover: no GRANARY_ALLOCATION: nobody lets this program claim\n"), 1;
    int pid = granary_gate_fork(&gate);
    if (pid == 0) {
        granary_gate_wait(&gate);
        execvp(command[0], command);
        _exit(127);
    }
    if (pid < 0 ||
        granary_claim_start(client, lease, granary_local_host(client), 1, command[0], gate.pidfd, &claim) < 0) {
        granary_gate_finish(&gate);
        return failed(client, "claim");
    }
    granary_gate_open(&gate);
    granary_gate_finish(&gate);
    waitpid(pid, &status, 0);
    granary_claim_end end;
    if (granary_claim_close(client, claim, true, 10000, &end) < 0)
        return failed(client, "close");
    printf("claim %" PRIu64 " cause %d peak %" PRIu64 "\n", claim, end.cause, end.peak);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
    granary_client *client;
    int result = 2;
    if (granary_client_open(&client, NULL) < 0)
        return failed(NULL, "no broker");
    if (argc >= 2 && strcmp(argv[1], "take") == 0)
        result = take(client, argv[2]);
    else if (argc >= 2 && strcmp(argv[1], "give") == 0)
        result = give(client, argv[2]);
    else if (argc >= 3 && strcmp(argv[1], "parent") == 0)
        result = parent(client, argv + 2);
    else if (argc >= 3 && strcmp(argv[1], "child") == 0)
        result = child(client, argv + 2);
    else
        fprintf(stderr, "usage: handover take|give [NUMBER] | parent|child COMMAND...\n");
    granary_client_close(client);
    return result;
}
