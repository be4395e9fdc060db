/*
 * agent.c - orders and other frames from a broker that may be anything, to the agent's link, its claims and samples.
 *
 * Groups are held in memory, /proc is a folder with next to nothing in it, and no descriptor names a process: nothing
 * can be signalled. Judged: the agent stands, what it says is admitted and understood by a broker, a group is opened
 * once.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "message.h"

#include "agent/link.h"
#include "base/status.h"
#include "granary.pb-c.h"
#include "proto/channel.h"
#include "proto/scratch.h"

#define GROUPS  16u
#define ACTIONS 120u
#define TYPE(x) GRANARY__MESSAGE_TYPE__TYPE_AGENT_##x

typedef struct {
    group base;
    bool exists, handed_out;
    uint64_t highest; /* the last generation that stood here */
    bytes_t used, limit;
} fuzz_group;

static struct {
    char root[64];
    int root_fd;
    procfs proc;
    scratch scratch;

    fuzz_input in;
    backend backend;
    fuzz_group groups[GROUPS];
    uv_loop_t loop;
    watchpid *set;
    agent_link *link;
    channel *broker; /* our end; NULL: the link is down */
} w = {.root_fd = -1};

/* ---- groups in memory ---- */

static int books_set(backend *b, const char *books)
{
    (void)b;
    assert(*books);
    return 0;
}

static int list(backend *b, generations *ret)
{
    (void)b;
    *ret = (generations){.items = calloc(GROUPS, sizeof *ret->items)};
    for (unsigned i = 0; i < GROUPS; i++)
        if (w.groups[i].exists)
            ret->items[ret->count++] = w.groups[i].base.generation;
    return 0;
}

static int open_group(backend *b, uint64_t gen, bytes_t limit, bool make, group **ret, bool *ret_made)
{
    fuzz_group *g = NULL;
    *ret_made = false;
    for (unsigned i = 0; i < GROUPS && !g; i++)
        if (w.groups[i].exists && w.groups[i].base.generation == gen)
            g = &w.groups[i];
    for (unsigned i = 0; i < GROUPS && !g && make; i++)
        if (!w.groups[i].exists && !w.groups[i].handed_out) {
            g = &w.groups[i];
            *g = (fuzz_group){.base = {.owner = b, .generation = gen}, .exists = true, .limit = limit};
            *ret_made = true;
        }
    if (!g)
        return make ? STATUS_SYSTEM : STATUS_NOT_FOUND;
    assert(!g->handed_out); /* two claims may not have one group */
    g->handed_out = true;
    *ret = &g->base;
    return 0;
}

static void close_group(group *g)
{
    assert(((fuzz_group *)g)->handed_out);
    ((fuzz_group *)g)->handed_out = false;
}

static int remove_group(group *g)
{
    if (fuzz_byte(&w.in) >= 0xe0)
        return STATUS_STATE;
    ((fuzz_group *)g)->exists = false;
    return 0;
}

static int attach(group *g, pid_t pid)
{
    (void)g, (void)pid;
    return STATUS_DEAD;
}

static int processes(group *g, pids *to)
{
    (void)to;
    return ((fuzz_group *)g)->exists ? 0 : STATUS_NOT_FOUND;
}

static int use(group *g, bytes_t *ret)
{
    *ret = ((fuzz_group *)g)->used = MIB(fuzz_byte(&w.in));
    return ((fuzz_group *)g)->exists ? 0 : STATUS_NOT_FOUND;
}

static int charged(group *g, bytes_t *ret)
{
    (void)g;
    *ret = fuzz_byte(&w.in) < 0x80 ? 0 : MIB(fuzz_byte(&w.in));
    return 0;
}

static int task_begin(group *g)
{
    (void)g;
    return 0;
}

static int task_end(group *g, bool *ret_oom, bytes_t *ret_ceiling)
{
    (void)g;
    *ret_oom = fuzz_byte(&w.in) & 1;
    *ret_ceiling = UINT64_MAX;
    return 0;
}

static int limit(group *g, bytes_t bytes)
{
    ((fuzz_group *)g)->limit = bytes;
    return fuzz_byte(&w.in) >= 0xf0 ? STATUS_SYSTEM : 0;
}

static int reclaim_fd(group *g, int *ret)
{
    (void)g;
    *ret = open("/dev/null", O_WRONLY | O_CLOEXEC);
    return *ret < 0 ? STATUS_SYSTEM : 0;
}

static int reclaim(int fd, bytes_t most)
{
    (void)fd, (void)most;
    return 0;
}

static uint32_t events(group *g, group_event ret[GROUP_EVENTS])
{
    (void)g, (void)ret;
    return 0;
}

static const backend_ops ops = {
    .name = "fuzz",
    .limited = true,
    .books = books_set,
    .list = list,
    .open = open_group,
    .close = close_group,
    .remove = remove_group,
    .attach = attach,
    .processes = processes,
    .use = use,
    .charged = charged,
    .task_begin = task_begin,
    .task_end = task_end,
    .limit = limit,
    .reclaim_fd = reclaim_fd,
    .reclaim = reclaim,
    .events = events,
};

/* ---- a folder for /proc ---- */

static const struct {
    const char *path, *text;
} files[] = {
    {"meminfo", "MemTotal: 4194304 kB\nMemAvailable: 2097152 kB\n"},
    {"sys/kernel/random/boot_id", "11111111-2222-3333-4444-555555555555\n"},
};
static const char *const folders[] = {"sys", "sys/kernel", "sys/kernel/random"};

static void remove_all(void)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlinkat(w.root_fd, files[i].path, 0);
    for (size_t i = sizeof folders / sizeof *folders; i-- > 0;)
        unlinkat(w.root_fd, folders[i], AT_REMOVEDIR);
    rmdir(w.root);
}

static void prepare(void)
{
    if (w.root_fd >= 0)
        return;
    const char *where = getenv("TMPDIR");
    snprintf(w.root, sizeof w.root, "%.40s/granary-fuzz-XXXXXX", where ? where : "/tmp");
    char *made = mkdtemp(w.root);
    assert(made);
    w.root_fd = open(w.root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    atexit(remove_all);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        mkdirat(w.root_fd, folders[i], 0700);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        int fd = openat(w.root_fd, files[i].path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        ssize_t n = fd < 0 ? -1 : write(fd, files[i].text, strlen(files[i].text));
        assert(n > 0);
        close(fd);
    }
    int r = procfs_open(&w.proc, w.root);
    r = r ? r : scratch_init(&w.scratch, (size_t)8 << 20);
    assert(r == 0);
}

/* ---- the broker's side ---- */

static void say(uint16_t type, const ProtobufCMessage *m)
{
    int r = channel_send(w.broker, type, 0, 0, m, -1);
    assert(r == 0);
    (void)channel_flush(w.broker);
}

static void connect_link(void)
{
    int ends[2];
    channel_destroy(w.broker);
    int r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
    assert(r == 0);
    r = channel_create(&w.broker, ends[1], PEER_AGENT_NEW);
    assert(r == 0);
    r = agent_link_up(w.link, ends[0]);
    assert(r == 0);
}

static void greet(void)
{
    Granary__AgentWelcome m = GRANARY__AGENT_WELCOME__INIT;
    uint8_t how = fuzz_byte(&w.in);
    if (how >= 0xe0)
        return; /* orders come before the welcome, or another one */
    m.broker_id = (char *)(uintptr_t)(how & 1 ? "abc" : "def");
    m.highest = how < 0x80 ? 100 : fuzz_count(&w.in);
    say(TYPE(WELCOME), &m.base);
}

static void listen_to(void)
{
    frame f;
    int r;
    int ended = channel_receive(w.broker);
    while ((r = channel_next(w.broker, &f)) == 1) {
        const ProtobufCMessageDescriptor *d = message_of(f.header.type);
        const ProtobufCMessage *m =
            d ? protobuf_c_message_unpack(d, &w.scratch.allocator, f.header.length, f.body) : NULL;
        assert(m && m->n_unknown_fields == 0 && f.fd < 0);
        scratch_reset(&w.scratch);
        if (f.header.type == TYPE(HELLO))
            channel_set_state(w.broker, PEER_AGENT);
    }
    assert(r == 0); /* the agent says nothing that it may not say */
    if (ended < 0 || !agent_link_is_up(w.link)) {
        channel_destroy(w.broker);
        w.broker = NULL;
    }
}

static void order(void)
{
    static uint8_t bytes[FRAME_HEADER_BYTES + MESSAGE_MAX];
    uint8_t what = fuzz_byte(&w.in);
    uint16_t type =
        what < 0xf4 ? (uint16_t)(TYPE(EXPECT) + what % (TYPE(EMPTY) - TYPE(EXPECT) + 1)) : message_type(&w.in);
    size_t n = message_frame(&w.in, type, 0, 0, bytes);
    (void)!send(channel_fd(w.broker), bytes, n, MSG_NOSIGNAL);
}

static void turn(void)
{
    for (int i = 0; i < 2; i++)
        uv_run(&w.loop, UV_RUN_NOWAIT);
    if (w.broker)
        listen_to();
}

static void act(void)
{
    uint8_t what = fuzz_byte(&w.in);
    if (!w.broker || what >= 0xfc) {
        connect_link();
        turn();
        if (w.broker)
            greet();
    } else if (what >= 0xf0) {
        channel_destroy(w.broker);
        w.broker = NULL;
    } else if (what >= 0xe8) {
        for (unsigned i = 0; i < GROUPS; i++) /* somebody removed it */
            w.groups[i].exists &= i != what % GROUPS;
    } else {
        order();
    }
    turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    w.in = (fuzz_input){.at = data, .left = size};
    w.broker = NULL;
    memset(w.groups, 0, sizeof w.groups);
    w.backend = (backend){.ops = &ops, .proc = &w.proc, .reason = "a test"};
    int r = uv_loop_init(&w.loop);
    r = r ? r : watchpid_create(&w.set, &w.loop);
    assert(r == 0);
    link_options o = {.loop = &w.loop,
                      .proc = &w.proc,
                      .backend = &w.backend,
                      .host = "here",
                      .books = "abc",
                      .physical = GIB(4),
                      .total = GIB(4)};
    r = agent_link_create(&w.link, &o, w.set);
    assert(r == 0);
    connect_link();
    turn();
    greet();
    for (unsigned i = 0; i < ACTIONS && w.in.left > 0; i++)
        act();
    agent_link_stop(w.link);
    watchpid_stop(w.set);
    uv_run(&w.loop, UV_RUN_DEFAULT);
    agent_link_destroy(w.link);
    watchpid_destroy(w.set);
    channel_destroy(w.broker);
    r = uv_loop_close(&w.loop);
    assert(r == 0);
    for (unsigned i = 0; i < GROUPS; i++)
        assert(!w.groups[i].handed_out); /* every claim has let go */
    return 0;
}
