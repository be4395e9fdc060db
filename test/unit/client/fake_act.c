/* fake_act.c - what a test makes the fake broker do. */
#include "fake_inside.h"

static char as_said[] = "as the test said";

#define WITH(f, ...)                                                                                                   \
    do {                                                                                                               \
        pthread_mutex_lock(&(f)->lock);                                                                                \
        __VA_ARGS__;                                                                                                   \
        fake_wake(f);                                                                                                  \
        pthread_mutex_unlock(&(f)->lock);                                                                              \
    } while (0)

void fake_recall(fake_broker *f, uint64_t recall, uint32_t count)
{
    Granary__Recall m = GRANARY__RECALL__INIT;
    m.recall = recall;
    m.allocation = f->allocation;
    m.count = count;
    m.any_host = true;
    m.notice_ms = 60000;
    WITH(f, {
        f->recalls[f->n_recalls].id = recall;
        f->recalls[f->n_recalls++].open = count;
        fake_send(f, TYPE(RECALL), 0, &m);
    });
}

void fake_prefer(fake_broker *f, uint64_t recall, uint32_t host, uint32_t count)
{
    Granary__Prefer m = GRANARY__PREFER__INIT;
    Granary__Extent e = GRANARY__EXTENT__INIT, *p[] = {&e};
    m.recall = recall;
    m.allocation = f->allocation;
    e.host = host;
    e.chunks = count;
    m.n_extents = 1;
    m.extents = p;
    WITH(f, fake_send(f, TYPE(PREFER), 0, &m));
}

void fake_withdraw(fake_broker *f, uint64_t recall)
{
    Granary__Withdraw m = GRANARY__WITHDRAW__INIT;
    m.recall = recall;
    m.allocation = f->allocation;
    WITH(f, {
        fake_recall_answered(f, recall, UINT32_MAX);
        fake_send(f, TYPE(WITHDRAW), 0, &m);
    });
}

void fake_ask(fake_broker *f, uint32_t count)
{
    Granary__Ask m = GRANARY__ASK__INIT;
    m.allocation = f->allocation;
    m.count = count;
    m.any_host = true;
    WITH(f, fake_send(f, TYPE(ASK), 0, &m));
}

void fake_capacity(fake_broker *f, uint32_t capacity)
{
    WITH(f, {
        f->capacity = capacity;
        fake_grow(f);
    });
}

void fake_hand(fake_broker *f, uint32_t chunks)
{
    WITH(f, {
        f->allocation = 11;
        f->held = f->want = f->min = chunks;
        fake_push_changed(f);
    });
}

void fake_break(fake_broker *f)
{
    WITH(f, f->drop = true);
}

void fake_break_unread(fake_broker *f)
{
    WITH(f, f->drop_unread = true);
}

void fake_slam(fake_broker *f, uint32_t times)
{
    WITH(f, f->slams = times);
}

void fake_forget(fake_broker *f)
{
    WITH(f, {
        f->drop = true;
        f->forget = true;
    });
}

void fake_mute(fake_broker *f, bool mute)
{
    WITH(f, f->mute = mute);
}

void fake_nonsense(fake_broker *f, uint16_t type)
{
    /* A text that is a number: its first field has the wrong wire type. */
    Granary__Reply m = GRANARY__REPLY__INIT;
    uint8_t bad[] = {0xff, 0xff, 0xff};
    ProtobufCMessageUnknownField field = {
        .tag = 1, .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, .len = sizeof bad, .data = bad};
    m.base.n_unknown_fields = 1;
    m.base.unknown_fields = &field;
    WITH(f, fake_send(f, type, 0, &m));
}

void fake_end(fake_broker *f, int status)
{
    Granary__AllocationEnded m = GRANARY__ALLOCATION_ENDED__INIT;
    Granary__AllocationState s;
    Granary__Extent e, *p[1];
    WITH(f, {
        f->held = 0;
        f->version++;
        fake_state_fill(f, &s, &e, p);
        m.allocation = &s;
        m.status = status;
        m.text = as_said;
        fake_send(f, TYPE(ENDED), 0, &m);
    });
}

void fake_over(fake_broker *f, uint64_t claim, uint64_t used)
{
    Granary__ClaimOver m = GRANARY__CLAIM_OVER__INIT;
    m.claim = claim;
    m.allocation = f->allocation;
    m.used = used;
    m.bytes = used / 2;
    WITH(f, fake_send(f, TYPE(CLAIM_OVER), 0, &m));
}

void fake_fail(fake_broker *f, uint16_t type, int status)
{
    WITH(f, {
        f->fail_type = type;
        f->fail_status = status;
    });
}
