/*
 * pool.c - run shell commands, as many at once as memory allows.
 *
 *     pool 'sleep 1' 'echo hello' 'gzip -k big.log'
 *
 * Each command runs in a slot: 64 MiB that it cannot exceed. When the broker needs memory for somebody else, slots that
 * end are not handed out again, and nothing that runs is killed. The pool is the ten lines
 * from granary_pool_open() to granary_pool_close().
 */
#include <granary.h>
#include <stdio.h>
#include <sys/wait.h>

static int fail(const granary_client *client)
{
    return fprintf(stderr, "pool: %s\n", granary_client_error(client)), 1;
}

int main(int argc, char **argv)
{
    granary_client *client;
    granary_slot slot;
    int status, failed = 0;

    if (argc < 2)
        return fprintf(stderr, "usage: pool COMMAND...\n"), 2;
    if (granary_client_open(&client, NULL) < 0)
        return fail(NULL);

    granary_pool *pool =
        granary_pool_open(client, &(granary_pool_options){.label = "pool", .chunk_size = GRANARY_MIB(64), .want = 8});
    while (pool && *++argv && granary_slot_acquire(pool, &slot, GRANARY_FOREVER) == 0)
        if (granary_slot_spawn(pool, &slot, (char *[]){"sh", "-c", *argv, NULL}) < 0)
            failed = fail(client); /* the slot goes back by itself, now as when a command ends */
    if (!pool || *argv)
        failed = fail(client);
    while (wait(&status) > 0)
        failed |= status != 0;
    granary_pool_close(pool);

    granary_client_close(client);
    return failed;
}
