/*
 * call.c - requests that wait for their answer.
 */
#include "client/call.h"

#include "base/status.h"
#include "client/client.h"

typedef struct {
    bool done;
    int status;
    Granary__Reply *reply;
} waiting_call;

static void call_done(granary_client *c, request *r, int status, Granary__Reply **reply)
{
    (void)c;
    waiting_call *w = r->userdata;
    w->done = true;
    w->status = status;
    w->reply = *reply;
    *reply = NULL;
}

int call_status(granary_client *c, int status, const Granary__Reply *reply)
{
    if (status >= 0)
        return status;
    if (reply && reply->text[0])
        return client_fail(c, status, "%s", reply->text);
    return client_fail(c, status, "%s", c->over ? c->over_text : "");
}

int call_wait(granary_client *c, uint16_t type, const void *message, int fd, ms_t deadline, Granary__Reply **ret)
{
    waiting_call w = {0};
    request *r;
    int status = request_start(c, type, message, fd, call_done, &w, &r);
    if (ret)
        *ret = NULL;
    if (status < 0)
        return call_status(c, status, NULL);
    client_kick(c);
    while (!w.done && client_wait(c, deadline) != STATUS_TIMEOUT)
        ;
    if (!w.done) {
        r->done = NULL;
        r->userdata = NULL;
        return client_fail(c, STATUS_TIMEOUT, "%s", "");
    }
    status = call_status(c, w.status, w.reply);
    if (ret)
        *ret = w.reply;
    else
        reply_free(w.reply);
    return status;
}

int client_call(granary_client *c, uint16_t type, const void *message, int fd, int64_t timeout_ms, Granary__Reply **ret)
{
    pthread_mutex_lock(&c->lock);
    int r = call_wait(c, type, message, fd, client_deadline(timeout_ms), ret);
    pthread_mutex_unlock(&c->lock);
    return r;
}

void reply_free(Granary__Reply *reply)
{
    if (reply)
        message_free(reply);
}
