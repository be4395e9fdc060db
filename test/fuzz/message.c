/* message.c - see message.h. */
#include "message.h"

#include "granary.pb-c.h"

#define DEPTH_MAX 4u  /* messages inside messages: the schema has three */
#define LIST_MAX  12u /* items of one list */
#define TEXT_MAX  40u

#define ROW(t, d) [GRANARY__MESSAGE_TYPE__TYPE_##t] = &granary__##d##__descriptor

static const ProtobufCMessageDescriptor *const descriptors[] = {
    ROW(HELLO, hello),
    ROW(ALLOCATE, allocate),
    ROW(CANCEL, cancel),
    ROW(WANT, want),
    ROW(RELEASE, release),
    ROW(RELEASE_N, release_n),
    ROW(OFFER, offer),
    ROW(CLAIM, claim),
    ROW(ENTER, enter),
    ROW(SHRINK, shrink),
    ROW(CLOSE, close),
    ROW(TRANSFER, transfer),
    ROW(RECALL_OUTCOME, recall_outcome),
    ROW(DRAIN, drain),
    ROW(UNDRAIN, drain),
    ROW(RELEASE_FOREIGN, release_foreign),
    ROW(QUERY, query),
    ROW(GOODBYE, goodbye),
    ROW(PLAN, allocate),
    ROW(EMPTY, empty),
    ROW(WELCOME, welcome),
    ROW(REPLY, reply),
    ROW(QUERY_REPLY, query_reply),
    ROW(ERROR, error),
    ROW(CHANGED, allocation_state),
    ROW(ENDED, allocation_ended),
    ROW(ASK, ask),
    ROW(RECALL, recall),
    ROW(PREFER, prefer),
    ROW(WITHDRAW, withdraw),
    ROW(CLAIM_ENDED, claim_ended),
    ROW(CLAIM_OVER, claim_over),
    ROW(AGENT_WELCOME, agent_welcome),
    ROW(AGENT_EXPECT, agent_claim),
    ROW(AGENT_READY, agent_ready),
    ROW(AGENT_OPEN, agent_claim),
    ROW(AGENT_ENTER, agent_claim),
    ROW(AGENT_LIMIT, agent_claim),
    ROW(AGENT_END, agent_claim),
    ROW(AGENT_CLOSE, agent_claim),
    ROW(AGENT_EMPTY, agent_claim),
    ROW(AGENT_HELLO, agent_hello),
    ROW(AGENT_SAMPLE, agent_sample),
    ROW(AGENT_OPENED, agent_answer),
    ROW(AGENT_ENTERED, agent_answer),
    ROW(AGENT_LIMITED, agent_answer),
    ROW(AGENT_DRAINED, agent_claim_use),
    ROW(AGENT_EMPTIED, agent_answer),
    ROW(AGENT_NOTICE, agent_notice),
};

#define TYPES (sizeof descriptors / sizeof *descriptors)

const ProtobufCMessageDescriptor *message_of(uint16_t type)
{
    return type < TYPES ? descriptors[type] : NULL;
}

uint16_t message_type(fuzz_input *in)
{
    uint16_t type = fuzz_byte(in);
    while (type < TYPES && !descriptors[type])
        type++;
    return type;
}

/* ---- a writer that forgets what does not fit ---- */

typedef struct {
    uint8_t *at;
    size_t left;
} writer;

static void put(writer *w, const void *from, size_t n)
{
    if (n == 0 || n > w->left)
        return;
    memcpy(w->at, from, n);
    w->at += n;
    w->left -= n;
}

static void put_varint(writer *w, uint64_t v)
{
    uint8_t bytes[10];
    size_t n = 0;
    do
        bytes[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
    while (v >>= 7);
    put(w, bytes, n);
}

static void put_tag(writer *w, uint32_t id, uint32_t wire)
{
    put_varint(w, (uint64_t)id << 3 | wire);
}

/* Words that the readers of texts look for. */
static void put_text(writer *w, fuzz_input *in)
{
    static const char *const words[] = {"",  "a",        "here", "b",        "*",   "cgroup v2", "boot-1", "error",
                                        "!", "rack=7,a", "\x1b", "\xc3\x28", "0/x", "%n",        "..",     "debug"};
    char text[TEXT_MAX];
    uint8_t choice = fuzz_byte(in);
    const char *from = choice < 0xc0 ? words[choice % 16] : text;
    if (from == text)
        fuzz_text(in, text, sizeof text);
    put_varint(w, strlen(from));
    put(w, from, strlen(from));
}

static void put_message(writer *w, fuzz_input *in, const ProtobufCMessageDescriptor *d, unsigned depth);

static void put_inner(writer *w, fuzz_input *in, const ProtobufCMessageDescriptor *d, unsigned depth)
{
    uint8_t bytes[MESSAGE_MAX / 4];
    writer inner = {.at = bytes, .left = sizeof bytes};
    if (depth < DEPTH_MAX)
        put_message(&inner, in, d, depth + 1);
    put_varint(w, (uint64_t)(inner.at - bytes));
    put(w, bytes, (size_t)(inner.at - bytes));
}

static void put_field(writer *w, fuzz_input *in, const ProtobufCFieldDescriptor *f, unsigned depth)
{
    uint8_t bytes[TEXT_MAX];
    size_t n;
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        put_tag(w, f->id, 2);
        put_text(w, in);
        return;
    case PROTOBUF_C_TYPE_BYTES:
        n = fuzz_below(in, sizeof bytes);
        memset(bytes, fuzz_byte(in), sizeof bytes);
        put_tag(w, f->id, 2);
        put_varint(w, n);
        put(w, bytes, n);
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        put_tag(w, f->id, 2);
        put_inner(w, in, f->descriptor, depth);
        return;
    default:
        put_tag(w, f->id, 0);
        put_varint(w, fuzz_count(in));
    }
}

static void put_message(writer *w, fuzz_input *in, const ProtobufCMessageDescriptor *d, unsigned depth)
{
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        unsigned times = fuzz_below(in, f->label == PROTOBUF_C_LABEL_REPEATED ? LIST_MAX : 4);
        if (f->label != PROTOBUF_C_LABEL_REPEATED)
            times = times > 0; /* most are sent */
        while (times-- > 0 && in->left > 0)
            put_field(w, in, f, depth);
    }
}

size_t message_body(fuzz_input *in, uint16_t type, uint8_t to[MESSAGE_MAX])
{
    const ProtobufCMessageDescriptor *d = message_of(type);
    writer w = {.at = to, .left = MESSAGE_MAX};
    uint8_t how = fuzz_byte(in);
    if (d && how < 0xe0) {
        put_message(&w, in, d, 0);
    } else {
        size_t n;
        const uint8_t *from = fuzz_block(in, MESSAGE_MAX, &n);
        put(&w, from, n);
    }
    return (size_t)(w.at - to);
}

size_t message_frame(fuzz_input *in, uint16_t type, uint64_t number, uint64_t acked,
                     uint8_t to[FRAME_HEADER_BYTES + MESSAGE_MAX])
{
    size_t n = message_body(in, type, to + FRAME_HEADER_BYTES);
    frame_header header = {.length = (uint32_t)n, .type = type, .number = number, .acked = acked};
    frame_header_encode(&header, to);
    return FRAME_HEADER_BYTES + n;
}
