/*
 * pool_script.h - drives a pool's state without a broker: what it says is a line of text to compare.
 */
#ifndef TEST_CLIENT_POOL_SCRIPT_H
#define TEST_CLIENT_POOL_SCRIPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "client/pool_state.h"

typedef struct {
    pool_state p;
    pool_slot slots[16];
    pool_host hosts[16];
    pool_out out;
    uint32_t broker_want;
    bool deaf; /* takes no message */
    char said[1024];
} script;

static inline void say(script *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void say(script *s, const char *format, ...)
{
    size_t n = strlen(s->said);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(s->said + n, sizeof s->said - n, format, arguments);
    va_end(arguments);
}

static inline bool script_put(void *userdata, const pool_message *m)
{
    script *s = userdata;
    if (s->deaf)
        return false;
    switch (m->kind) {
    case POOL_RELEASE:
        say(s, "release %" PRIu64 " %u:%u;", m->recall, m->host, m->chunks);
        break;
    case POOL_CLOSE:
        say(s, "close %" PRIu64 ";", m->claim);
        break;
    case POOL_WANT:
        say(s, "want %u;", m->chunks);
        break;
    case POOL_OFFER:
        say(s, "offer %" PRIu64, m->recall);
        for (uint32_t i = 0; i < m->n_items; i++)
            if (m->items[i].free_in == MS_NEVER)
                say(s, " %u:?", m->items[i].host);
            else
                say(s, " %u:%" PRIu64, m->items[i].host, m->items[i].free_in);
        say(s, ";");
        break;
    }
    return true;
}

static inline void script_begin(script *s, uint32_t min, uint32_t want)
{
    memset(s, 0, sizeof *s);
    pool_state_init(&s->p, min, want);
    pool_state_lend_slots(&s->p, s->slots, 16);
    pool_state_lend_hosts(&s->p, s->hosts, 16);
    s->out = (pool_out){.put = script_put, .userdata = s};
    s->broker_want = want;
}

static inline void script_hold(script *s, const pool_extent *extents, size_t n)
{
    pool_state_hold(&s->p, extents, n, s->broker_want, true);
    assert_true(pool_state_check(&s->p));
}

static inline void script_hold_here(script *s, uint32_t chunks)
{
    script_hold(s, &(pool_extent){.host = 1, .chunks = chunks, .usable = true}, 1);
}

static inline pool_slot script_take(script *s, uint32_t chunks)
{
    pool_slot slot = {0};
    assert_int_equal(pool_state_acquire(&s->p, 0, chunks, &slot, s->out), 0);
    assert_int_equal(slot.chunks, chunks);
    return slot;
}

/* A slot of one chunk that is idle with a claim. */
static inline void script_warm(script *s, uint64_t claim)
{
    pool_slot slot = {0};
    pool_slot taken[16];
    int n = 0;
    do { /* past the slots that are warm already */
        slot = script_take(s, 1);
        taken[n++] = slot;
    } while (slot.claim != 0);
    pool_state_claimed(&s->p, slot.id, claim);
    while (n-- > 0) {
        uint64_t of = pool_state_slot(&s->p, taken[n].id)->claim;
        assert_true(pool_state_release(&s->p, 0, taken[n].id, s->out));
        pool_state_emptied(&s->p, of, true, s->out);
    }
}

static inline void script_recall(script *s, ms_t now, uint64_t id, uint32_t count, ms_t notice)
{
    pool_recall r = {.id = id, .any_host = true, .asked = count, .overdue_at = now + notice};
    pool_state_recall(&s->p, now, &r, s->out);
    assert_true(pool_state_check(&s->p));
}

static inline void script_said(script *s, const char *text)
{
    assert_string_equal(s->said, text);
    s->said[0] = '\0';
}

static inline void script_end(script *s)
{
    assert_true(pool_state_check(&s->p));
}

#endif
