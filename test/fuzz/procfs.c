/*
 * procfs.c - what the kernel tells the agent: files of /proc and of control groups, with anything in them.
 *
 * The root of /proc is a parameter, so a folder stands for it. The input says which files there are and what they hold.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

#include "agent/cgroup.h"
#include "agent/procfs.h"
#include "base/status.h"

#define PID   42
#define PIDFD 7

static const char *const folders[] = {"42",          "42/task", "42/task/42", "42/task/43",       "self",
                                      "self/fdinfo", "sys",     "sys/kernel", "sys/kernel/random"};
static const char *const files[] = {"meminfo",    "sys/kernel/random/boot_id", "42/status",     "42/smaps_rollup",
                                    "42/stat",    "42/oom_score_adj",          "self/fdinfo/7", "42/task/42/children",
                                    "42/environ", "42/task/43/children",       "self/cgroup",   "self/mountinfo"};
#define FILES (sizeof files / sizeof *files)

static char root[64];
static int root_fd = -1;
static procfs proc;

static void remove_all(void)
{
    for (size_t i = 0; i < FILES; i++)
        unlinkat(root_fd, files[i], 0);
    for (size_t i = sizeof folders / sizeof *folders; i-- > 0;)
        unlinkat(root_fd, folders[i], AT_REMOVEDIR);
    rmdir(root);
}

static void prepare(void)
{
    if (root_fd >= 0)
        return;
    const char *where = getenv("TMPDIR");
    snprintf(root, sizeof root, "%.40s/granary-fuzz-XXXXXX", where ? where : "/tmp");
    char *made = mkdtemp(root);
    assert(made);
    root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    atexit(remove_all);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        mkdirat(root_fd, folders[i], 0700);
    int r = procfs_open(&proc, root);
    assert(r == 0);
}

static void write_file(const char *name, const uint8_t *from, size_t n)
{
    int fd = openat(root_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t written = fd < 0 ? -1 : write(fd, from, n);
    assert(written == (ssize_t)n);
    close(fd);
}

static void read_process(void)
{
    procfs_process process;
    bytes_t share;
    uint64_t start, gen;
    int adjust;
    pid_t pid;
    pids found = {0};
    if (procfs_process_read(&proc, PID, &process) == 0)
        assert(process.parent >= 0);
    (void)procfs_share(&proc, PID, &share);
    (void)procfs_start(&proc, PID, &start);
    (void)procfs_oom_adjust(&proc, PID, &adjust);
    if (procfs_pidfd_pid(&proc, PIDFD, &pid) == 0)
        assert(pid > 0);
    if (procfs_claim_of(&proc, PID, "abc", &gen) == 0)
        assert(gen > 0);
    (void)procfs_children(&proc, PID, &found);
    (void)procfs_children_of_main(&proc, PID, &found);
    for (uint32_t i = 0; i < found.count; i++)
        assert(found.items[i] > 0);
    (void)procfs_pids(&proc, &found);
    assert(pids_has(&found, PID));
    pids_free(&found);
}

static void read_groups(const uint8_t *data, size_t size)
{
    static char text[4096];
    cgroup_place place;
    for (int version = 1; version <= 2; version++)
        if (cgroup_find(&proc, root, version, &place) == 0) {
            size_t n = strlen(place.own);
            assert(strncmp(place.mount, root, strlen(root)) == 0);
            assert(!strstr(place.own, "/..") && (n == 0 || place.own[n - 1] != '/'));
            if (strncmp(place.mount + strlen(root), "/42", 3) == 0)
                (void)cgroup_least_limit(&place, "stat");
        }
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pwrite(fd, data, size, 0);
    assert(n == (ssize_t)size);
    uint64_t number;
    (void)cgroup_fd_number(fd, &number);
    if (cgroup_fd_text(fd, text, sizeof text) == 0)
        (void)cgroup_field(text, "oom_kill");
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {.at = data, .left = size};
    procfs_memory memory;
    char boot_id[40];
    bool written[FILES] = {false};
    prepare();
    while (in.left > 0) {
        size_t n, i = fuzz_below(&in, FILES);
        const uint8_t *from = fuzz_block(&in, 2048, &n);
        write_file(files[i], from, n);
        written[i] = true;
    }
    for (size_t i = 0; i < FILES; i++)
        if (!written[i])
            unlinkat(root_fd, files[i], 0);
    if (procfs_meminfo(&proc, &memory) == 0)
        assert(memory.available <= memory.total);
    if (procfs_boot_id(&proc, boot_id) == 0)
        assert(boot_id[0] && strlen(boot_id) < 40);
    read_process();
    read_groups(data, size);
    return 0;
}
