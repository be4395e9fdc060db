/*
 * fake_inside.h - what the parts of the fake broker share: fake_broker.c lives and hears, fake_answer.c answers
 * requests, fake_act.c does what a test says. Everything here is called with the lock held.
 */
#ifndef TEST_CLIENT_FAKE_INSIDE_H
#define TEST_CLIENT_FAKE_INSIDE_H

#include <pthread.h>

#include "fake_broker.h"
#include "granary.pb-c.h"
#include "proto/channel.h"

#define LINES  4096
#define CLAIMS 64

#define TYPE(x) GRANARY__MESSAGE_TYPE__TYPE_##x

struct fake_broker {
    pthread_mutex_t lock;
    pthread_cond_t heard;
    pthread_t thread;
    int listener, wake;
    bool stop, mute, forget, drop, drop_unread;
    char folder[64], socket[96];
    channel *channel;

    uint32_t capacity, slams;
    bool session;
    uint64_t allocation, version, highest;
    uint32_t want, min, held;
    uint64_t claims[CLAIMS];
    uint32_t n_claims, claim_chunks[CLAIMS];
    uint64_t next_claim;
    struct {
        uint64_t id;
        uint32_t open;
    } recalls[8];
    uint32_t n_recalls;
    uint16_t fail_type;
    int fail_status;

    char lines[LINES][96];
    uint32_t first_line, n_lines;
};

/* Keeps what was received, for fake_await(). */
void fake_line(fake_broker *f, const char *text);

/* The allocation as a message, in memory of the caller. */
void fake_state_fill(const fake_broker *f, Granary__AllocationState *s, Granary__Extent *e, Granary__Extent **p);

/* Sends to the client, if there is one. */
void fake_send(fake_broker *f, uint16_t type, uint64_t number, const void *message);

/* The allocation has a new version, and the client is told. */
void fake_push_changed(fake_broker *f);

/* Up to its want, when nothing is recalled. */
void fake_grow(fake_broker *f);

/* So many chunks of a recall are no longer asked for. */
void fake_recall_answered(fake_broker *f, uint64_t id, uint32_t n);

/* Answers a request. */
void fake_answer(fake_broker *f, const frame *in);

/* Its thread looks again at what it has to do. */
void fake_wake(fake_broker *f);

#endif
