/* rule.c - the table of rules. docs/give-back/conformance.md lists them too; a test compares. */
#include "rule.h"

#include <assert.h>

#define P(n) "protocol.md " #n
#define G(t) "give-back.md, " t
#define K    "conformance.md"

static const rule rules[RULES] = {
    [RULE_HELLO_FIRST] = {"hello-first", "the first frame of a connection is HELLO", P(3), LEVEL_MUST},
    [RULE_HELLO_VERSION] = {"hello-version", "HELLO names version 1 of the protocol", P(5), LEVEL_MUST},
    [RULE_HELLO_LATE] = {"hello-late", "HELLO is whole within 5 seconds", P(2), LEVEL_MUST},
    [RULE_BEFORE_WELCOME] = {"before-welcome", "nothing but HELLO is sent before WELCOME", P(3), LEVEL_MUST},
    [RULE_MAY_SEND] = {"may-send", "only messages that a client may send, and one HELLO", P(3), LEVEL_MUST},
    [RULE_FRAME_BOUNDS] = {"frame-bounds", "a body is at most 1 MiB, a HELLO 4 KiB; reserved flags are 0", P(2),
                           LEVEL_MUST},
    [RULE_DESCRIPTOR] = {"descriptor", "a descriptor rides with CLAIM and ENTER alone, and one with its flag", P(3),
                         LEVEL_MUST},
    [RULE_BODY] = {"body", "a body is the whole message of its type, and nothing else", P(2), LEVEL_MUST},
    [RULE_REFUSE] = {"refuse", "a frame that is too long, or no broker's, closes the connection or is skipped whole",
                     P(2), LEVEL_MUST},
    [RULE_UNKNOWN] = {"unknown", "what names something unknown, and unknown fields, are ignored", P(2), LEVEL_MUST},

    [RULE_NUMBER_NEXT] = {"number-next", "requests are numbered from 1, rising by one", P(4), LEVEL_MUST},
    [RULE_NUMBER_REUSED] = {"number-reused", "a number stays with its request: the same type and content", P(4),
                            LEVEL_MUST},
    [RULE_NUMBER_NEW] = {"number-new", "what is sent again keeps its number", P(5), LEVEL_MUST},
    [RULE_RESEND] = {"resend", "after a reattach, what has no answer is sent again", P(5), LEVEL_MUST},
    [RULE_ACKED_EARLY] = {"acked-early", "acked names no number at or below which an answer is missing", P(2),
                          LEVEL_MUST},
    [RULE_ACKED_STUCK] = {"acked-stuck", "acked follows the answers: only 64 are kept", P(4), LEVEL_SHOULD},

    [RULE_REATTACH] = {"reattach", "a client that goes on when its connection broke attaches to its session again",
                       P(5), LEVEL_SHOULD},
    [RULE_REATTACH_TOKEN] = {"reattach-token", "it reattaches with the session and the token of WELCOME", P(5),
                             LEVEL_MUST},
    [RULE_SESSION_OVER] = {"session-over", "when the session is over, nothing of it is used any more", P(5),
                           LEVEL_MUST},
    [RULE_GOODBYE] = {"goodbye", "an orderly end says GOODBYE", P(5), LEVEL_SHOULD},
    [RULE_AFTER_GOODBYE] = {"after-goodbye", "nothing follows GOODBYE", P(5), LEVEL_MUST},

    [RULE_ALLOCATION] = {"allocation", "requests name allocations and claims that were given to the client", P(4),
                         LEVEL_MUST},
    [RULE_NOT_GRANTED] = {"not-granted", "nothing runs before the grant, and an error is no grant", P(6), LEVEL_MUST},
    [RULE_UNHELD] = {"unheld", "a task begins only in a chunk that is held", G("the final verb"), LEVEL_MUST},
    [RULE_VERSION_ORDER] = {"version-order", "a state whose version is not above the known one is ignored", P(4),
                            LEVEL_MUST},
    [RULE_ENDED] = {"ended", "no task begins in an allocation that has ended", P(6), LEVEL_MUST},
    [RULE_CLAIM_HELD] = {"claim-held", "a claim stands for chunks that are held there and not claimed", P(7),
                         LEVEL_MUST},
    [RULE_CLAIM_REFUSED] = {"claim-refused", "a task whose CLAIM or ENTER failed does not run", P(7), LEVEL_MUST},
    [RULE_GATE] = {"gate", "a task that is to be claimed begins after the answer", P(7), LEVEL_SHOULD},

    [RULE_RELEASE_HELD] = {"release-held", "no more is released on a host than is held there", P(8), LEVEL_MUST},
    [RULE_RECALL_UNKNOWN] = {"recall-unknown", "a release names a recall that was told, or 0", P(8), LEVEL_MUST},
    [RULE_RECALL_EXCEEDED] = {"recall-exceeded", "no more is released for a recall than it asks", G("recalls"),
                              LEVEL_MUST},
    [RULE_RECALL_TWICE] = {"recall-twice", "a recall that is told again is the same one: it is answered once",
                           G("way 3"), LEVEL_MUST},
    [RULE_RECALL_HOST] = {"recall-host", "what is released for a recall is on a host that it accepts", G("recalls"),
                          LEVEL_MUST},
    [RULE_RECALL_ID] = {"recall-id", "a chunk that is given for a recall is released with its id", P(8), LEVEL_SHOULD},
    [RULE_RECALL_UNANSWERED] = {"recall-unanswered", "what a recall wants is released when it can be", G("way 3"),
                                LEVEL_SHOULD},
    [RULE_WANTED_SLOT] = {"wanted-slot", "no task begins in a chunk that a recall wants back", G("way 3"),
                          LEVEL_SHOULD},
    [RULE_WITHDRAWN] = {"withdrawn", "nothing is given for a recall that is known to be over", G("recalls"),
                        LEVEL_SHOULD},
    [RULE_PREFERENCE] = {"preference", "the broker's preference is followed while those hosts can give", G("way 3"),
                         LEVEL_SHOULD},
    [RULE_TASK_KILLED] = {"task-killed", "no running task is ended to give its chunk back", G("way 3"), LEVEL_MUST},
    [RULE_OFFER_HELD] = {"offer-held", "an offer has one item for a chunk, and no more than are held on its host", P(8),
                         LEVEL_MUST},
    [RULE_OFFER_IDLE] = {"offer-idle", "an offer calls only idle chunks idle", G("way 3"), LEVEL_MUST},
    [RULE_OFFER_FIRM] = {"offer-firm", "an offer leaves the firm chunks out, unless they were recalled", G("words"),
                         LEVEL_SHOULD},
    [RULE_OFFER_AGAIN] = {"offer-again", "while a recall is open, what an ended task tells is offered anew", G("way 3"),
                          LEVEL_SHOULD},

    [RULE_TERMS] = {"terms", "it asks for what it was told to ask for", K, LEVEL_KIT},
    [RULE_HANG] = {"hang", "it does in time what is due", K, LEVEL_KIT},
    [RULE_CRASH] = {"crash", "it does not die of a signal", K, LEVEL_KIT},
    [RULE_EXIT] = {"exit", "it exits 0 when all tasks have run, else with another status", K, LEVEL_KIT},
};

const rule *rule_of(rule_id id)
{
    assert(id < RULES && rules[id].name);
    return &rules[id];
}

const char *rule_level_name(rule_level level)
{
    return level == LEVEL_MUST ? "MUST" : level == LEVEL_SHOULD ? "SHOULD" : "KIT";
}
