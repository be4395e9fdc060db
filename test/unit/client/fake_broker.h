/*
 * fake_broker.h - a broker of a few hundred lines on a thread, that does what a test says.
 *
 * It knows one host (number 3, "here"; a query tells of another, 4), one session, and allocations of whatever size it
 * is told. Everything that clients send is kept as a line of text ("RELEASE 11 recall 5 3:1"), so that a test asserts
 * the exact words.
 */
#ifndef TEST_CLIENT_FAKE_BROKER_H
#define TEST_CLIENT_FAKE_BROKER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct fake_broker fake_broker;

#define FAKE_HOST 3u

/* True on the broker's own thread. */
extern _Thread_local bool fake_thread;

fake_broker *fake_start(uint32_t capacity); /* chunks that it may grant */
void fake_stop(fake_broker *f);
const char *fake_socket(const fake_broker *f);

/* What a test makes it do; each returns when it is done. */
void fake_recall(fake_broker *f, uint64_t recall, uint32_t count);
void fake_prefer(fake_broker *f, uint64_t recall, uint32_t host, uint32_t count);
void fake_withdraw(fake_broker *f, uint64_t recall);
void fake_ask(fake_broker *f, uint32_t count);
void fake_capacity(fake_broker *f, uint32_t capacity); /* grows the allocation up to its want */
void fake_hand(fake_broker *f, uint32_t chunks);       /* makes allocation 11 the session's, which never asked for it */
void fake_break(fake_broker *f);                       /* closes the connection; it may attach again */
void fake_break_unread(fake_broker *f);                /* the same, as soon as something was sent: it is not read */
void fake_slam(fake_broker *f, uint32_t times);        /* closes so many connections at their hello, unanswered */
void fake_forget(fake_broker *f);                      /* as fake_break(), and the session is unknown */
void fake_mute(fake_broker *f, bool mute);             /* answers nothing while mute; answers all of it then */
void fake_nonsense(fake_broker *f, uint16_t type);     /* pushes a body that no message has */
void fake_end(fake_broker *f, int status);             /* ends the allocation */
void fake_over(fake_broker *f, uint64_t claim, uint64_t used); /* tells that a claim uses more than its size */
void fake_fail(fake_broker *f, uint16_t type, int status);     /* the next request of that type gets this status */

/* Waits until a line was received that starts with `line` (at most 5 s) and forgets all up to it. False: it did not
 * come. */
bool fake_await(fake_broker *f, const char *line);

/* Was a line that starts so received, since the last fake_await()? */
bool fake_seen(fake_broker *f, const char *line);

/* Chunks of the allocation, and claims that are open. */
uint32_t fake_held(fake_broker *f);
uint32_t fake_claims(fake_broker *f);

#endif
