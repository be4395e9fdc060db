/*
 * give-back.pml - the give-back protocol, for spin: 2 clients, 2 hosts, 3 chunks.
 *
 * Client 0 holds allocation D (all 3 chunks: 2 on host 0, 1 on host 1; growable, min 1) through the library's pool. Client 1 asks
 * for V (2 chunks on one host) and W (1 chunk anywhere), which only recalls can serve, uses them and gives them back. The books are the
 * broker's, decided as in src/core. Names are the code's; tools/model.py looks for those that these lines list:
 *
 * code: PUSH_ASK PUSH_RECALL PUSH_PREFER PUSH_WITHDRAW PUSH_CHANGED PUSH_CLAIM_ENDED ORDER_OPEN ORDER_END ORDER_CLOSE ORDER_EXPECT
 * code: ALLOCATION_WAITING ALLOCATION_LIVE ALLOCATION_ENDING CLAIM_OPEN CLAIM_CLOSING SESSION_ATTACHED SESSION_DETACHED
 * code: held returning reserved claimed owed no_growth_for hopeless supply_sequence asked released withdrawn revoked overdue gathered
 * code: recall_answer recall_withdraw recall_withdraw_for recall_clamp recall_clamp_host recall_recover recall_gather_again
 * code: recall_willing recall_possible recall_under_way recall_create recall_due holding_release holding_drained holding_keep_for
 * code: holding_idle holding_claimable choose_start choose_now at_hand look_at grow_allowed claim_cover_debt claim_order_end
 * code: claim_repeated opened_by request_admit allocation_give allocation_settle allocation_orphan session_on_reattach
 * code: pool_state_reattach pool_state_recall pool_state_withdraw pool_state_released recall_finish ask_ms returning_ms wait_ms
 *
 * How things travel, as in the code.
 *   Requests and replies are numbered, on a stream that delivers in order until it breaks. Then all in flight is lost, the client
 *   reattaches, hears the whole truth (its sets, open recalls, live claims) and sends again, numbers unchanged, what it has no answer for. A
 *   session has one numbered request under way at a time here, so its number is one bit, `executed`: has the broker seen this number?
 *   PUSH_CHANGED (the whole set, with a version) and PUSH_CLAIM_ENDED are said again by the reattach: a client reads that part of the
 *   books at any time while its stream is up.
 *   A step of the broker (event, settling, records, replies) is one atomic step: its records are committed before anything of it
 *   leaves, so a crash within it is one before it, which lost the event, or one after it, which lost what was to leave. NO_JOURNAL_FIRST takes
 *   that apart. A number that is never used again (a claim's, a recall's) names one thing for ever: an order or a report about it that
 *   is late, or said twice, says nothing new. So what is in flight is not kept: what one side knows for good may reach the other at
 *   any later time while the stream between them stands. ORDER_EXPECT tells an agent all of it when its link comes up again.
 *   PUSH_ASK, offers, PUSH_RECALL, PUSH_PREFER, PUSH_WITHDRAW are soft. In the runs about safety each may be lost, late, repeated and reordered for
 *   ever: once sent, it may arrive at any later time, any number of times, or never. In those about progress (PROGRESS) asks and offers may be
 *   lost, recalls and withdrawals only with their stream, on which they ride.
 *
 * What is left to chance, so that every decision of the code is among those explored: which host is chosen (so what was offered), which
 * chunks the client gives (so what was preferred, heeded or not), when timers fire, when tasks end, when memory is uncharged.
 */

#ifndef MIN
#define MIN 1
#endif
#ifndef RECALLS
#define RECALLS 3 /* made in one run */
#endif
#define GENS 5 /* claims whose group is there at one time */
#ifndef WAITERS
#define WAITERS 2 /* 1: W; 2: V and W; 3: V */
#endif
#ifndef STARTS
#define STARTS 1 /* new tasks of client 0, in slots that stand and in new ones */
#endif
#ifndef CLAIMS
#define CLAIMS 0 /* does client 1 run tasks? */
#endif
#ifndef BREAKS
#define BREAKS 0 /* streams of clients that break */
#endif
#ifndef CRASHES
#define CRASHES 0 /* of the broker */
#endif
#ifndef DEATHS
#define DEATHS 0 /* of clients */
#endif
#ifndef LINKS
#define LINKS 0 /* links to agents that break */
#endif
#ifndef OWN_WISH
#define OWN_WISH 0 /* chunks that client 0 releases by its own wish */
#endif

#define TOTAL(h) (2 - (h)) /* chunks of memory */

/* allocations */
#define D 0
#define V 1
#define W 2
#define NEED(a) (3 - (a)) /* V 2, W 1 */

#define NONE 0
#define ALLOCATION_WAITING 1
#define ALLOCATION_LIVE 2
#define ALLOCATION_ENDING 3
#define GONE 4

#define CLAIM_OPEN 1
#define CLAIM_CLOSING 2

#define SESSION_ATTACHED 1
#define SESSION_DETACHED 2
#define SESSION_OVER 3

/* requests */
#define ALLOCATE 1
#define CLAIM 2
#define RELEASE 3

/* ---- the books: durable ---- */
byte a_state[3], held[6], returning[6], claimed[6]; /* at allocation * 2 + host */
byte want, no_growth_for;
byte k_state[GENS + 1], k_alloc[GENS + 1], k_host[GENS + 1];
byte r_for[RECALLS + 1], r_host[RECALLS + 1], asked[RECALLS + 1];
byte released[RECALLS + 1], withdrawn[RECALLS + 1], revoked[RECALLS + 1], n_recalls;
bit overdue[RECALLS + 1];
byte asked_at[2], n_overdue, n_for[3]; /* sums: chunks asked back on a host; overdue recalls; recalls under way for a waiter */
byte s_state[2], opened_by[2];
bit executed[2], answer_ok[2]; /* the present request took effect; its kept answer */

/* ---- the books: soft ---- */
byte owed[6], reserved[6]; /* for waiter a at a * 2 + host: of what returns from D; of what is kept */
bit ask[3], hopeless[3], gathered[2], freed;
bit link[2];

/* ---- clients and hosts ---- */
bit alive[2];
byte rq[2], rq_arg[2], rq_recall; /* the unanswered request; of client 0: the recall that it answers */
byte slot[GENS + 1]; /* 1: the client has it; 2: it asked for its end */
byte known[RECALLS + 1], open[RECALLS + 1]; /* the pool: 1 open, 2 finished; chunks still to give */
bit used[GENS + 1]; /* its group: a task, or memory that one left */
byte n_starts, n_breaks, n_crashes, n_deaths, n_links, n_own;
bit served[3];

/* what must never be more than 1: effects of the present request */
byte effects[2];

#ifdef PROGRESS
bit PUSH_ASK, offer, PUSH_RECALL[RECALLS + 1], PUSH_WITHDRAW[RECALLS + 1]; /* on their way */
#endif
#ifdef NO_GENERATION
bit drained_report[GENS + 1]; /* on its way */
bit left_over[GENS + 1];      /* a drained group that ORDER_CLOSE has not reached: told again when the link is up again */
#endif
#ifdef NO_JOURNAL_FIRST
byte uncommitted; /* the claim whose record is not committed yet */
#endif
#ifdef NO_ASK_AGAIN
bit armed[3]; /* the question's timer */
#endif

/* what must not be */
bit chunk_with_two_users, chunk_granted_before_drained, counts_that_do_not_add_up, more_given_than_asked, recalled_for_nobody;
bit more_sold_than_there_is, recalled_below_min, more_claimed_than_held, request_done_twice;
bit recalled_though_enough_comes, asked_again_and_again;
byte given[RECALLS + 1]; /* by releases that name it */

byte g, h, r, x; /* scratch: 0 between steps */

#define AT(a, h) ((a) * 2 + (h))
#define SOLD(h) (held[h] + held[2 + h] + held[4 + h] + returning[h] + returning[2 + h] + returning[4 + h] + reserved[2 + h] + reserved[4 + h])
#define FREE(h) (TOTAL(h) - SOLD(h))
#define holding_idle(a, h) (held[AT(a, h)] + returning[AT(a, h)] - claimed[AT(a, h)])
#define HELD_D (held[0] + held[1])
#define LEFT(r) (asked[r] - released[r] - withdrawn[r] - revoked[r])
#define ASKED (asked_at[0] + asked_at[1])
#ifdef NO_MIN
#define FIRM 0
#else
#define FIRM MIN
#endif
#define recall_possible ((a_state[D] == ALLOCATION_LIVE && s_state[0] != SESSION_OVER && HELD_D > FIRM + ASKED) -> HELD_D - FIRM - ASKED : 0)
#define recall_willing (n_overdue -> 0 : recall_possible)
#define recall_under_way(a) (n_for[a] > 0)
#ifdef PROGRESS
#define ROOM true
#else
#define ROOM (n_recalls < RECALLS)
#endif
#define LESS(x, y) ((x) < (y) -> (x) : (y))
#define at_hand(a, h) (FREE(h) + reserved[AT(a, h)] + returning[h] - owed[AT(3 - (a), h)] + returning[2 + h] + returning[4 + h])
#define ENOUGH(a, h) (link[h] && at_hand(a, h) >= NEED(a))
#ifdef NO_LAST_CHUNK
#define COMES(a, h) (ENOUGH(a, h) && held[h] > 0)
#else
#define COMES(a, h) ENOUGH(a, h)
#endif
#define CAN(a, h) (link[h] && held[h] > asked_at[h] && at_hand(a, h) + LESS(recall_willing, held[h] - asked_at[h]) >= NEED(a))
#define FITS(a, h) (link[h] && FREE(h) + reserved[AT(a, h)] >= NEED(a))
#define KN(g) (k_alloc[g] == V -> 2 : 1)
#define NAME(a) ((a) == D -> 'D' : ((a) == V -> 'V' : 'W')) /* for the words of a trail */
#define conn(c) (s_state[c] == SESSION_ATTACHED)

/* `wrong` is 0 in every state of a run that goes on: the name of an error is the name of its variable */
#define NEVER(wrong, is) wrong = (is); assert(!wrong)

/* supply_sequence++: for whom nobody could be asked is looked at again. Without PROGRESS everybody is, always. */
inline bump()
{
#ifdef PROGRESS
    hopeless[V] = 0;
    hopeless[W] = 0;
#endif
    freed = 1
}

/* ---- holdings ---- */

/* what a recall freed is for its beneficiary, as long as that waits */
inline holding_keep_for(whom, hh)
{
#ifndef NO_HOLD
    if
    :: whom != 0 && a_state[whom] == ALLOCATION_WAITING && link[hh] && reserved[AT(whom, hh)] < NEED(whom) && FREE(hh) > 0 ->
        reserved[AT(whom, hh)]++;
        printf("    books: a chunk on host %d is held for %c\n", hh, NAME(whom))
    :: else
    fi
#else
    skip
#endif
}

/* One chunk: granted -> free if no claim stands for it, else -> returning. */
inline holding_release(a, hh, whom)
{
    if
#ifdef NO_DRAIN_CHECK
    :: true ->
#else
    :: holding_idle(a, hh) > 0 ->
#endif
        held[AT(a, hh)]--;
        printf("    books: a chunk of %c on host %d is free\n", NAME(a), hh);
        bump();
        holding_keep_for(whom, hh)
#ifndef NO_DRAIN_CHECK
    :: else ->
        held[AT(a, hh)]--;
        returning[AT(a, hh)]++;
        printf("    books: a chunk of %c on host %d is returning\n", NAME(a), hh);
        freed = 1;
        if
        :: a == D && whom != 0 && returning[hh] > owed[2 + hh] + owed[4 + hh] -> owed[AT(whom, hh)]++
        :: else
        fi
#endif
    fi
}

inline allocation_settle(a)
{
    if
    :: a_state[a] == ALLOCATION_LIVE && held[AT(a, 0)] + held[AT(a, 1)] == 0 && (a != D || want == 0) ->
        a_state[a] = ALLOCATION_ENDING
    :: else
    fi;
    if
    :: a_state[a] == ALLOCATION_ENDING && held[AT(a, 0)] + held[AT(a, 1)] + returning[AT(a, 0)] + returning[AT(a, 1)] + claimed[AT(a, 0)] + claimed[AT(a, 1)] == 0 ->
        a_state[a] = GONE
    :: else
    fi
}

/* Its claim is over: x chunks are seen drained, debt is paid first (holding_drained), that which is for somebody before the rest. */
inline claim_end(gg)
{
    k_state[gg] = NONE;
#ifdef NO_GENERATION
    drained_report[gg] = 0;
    left_over[gg] = 1;
#endif
    printf("agent %d -> broker: DRAINED g%d; claim g%d is over\n", k_host[gg], gg, gg);
    slot[gg] = (slot[gg] == 2 -> 0 : slot[gg]); /* no more of it matters to who closed it */
    h = k_host[gg];
    x = KN(gg);
    r = k_alloc[gg];
    claimed[AT(r, h)] = (claimed[AT(r, h)] > x -> claimed[AT(r, h)] - x : 0);
    do
    :: x > 0 && returning[AT(r, h)] > 0 ->
        returning[AT(r, h)]--;
        bump();
        if
        :: r == D && owed[AT(V, h)] > 0 ->
            owed[AT(V, h)]--;
            holding_keep_for(V, h)
        :: r == D && owed[AT(W, h)] > 0 ->
            owed[AT(W, h)]--;
            holding_keep_for(W, h)
        :: else
        fi;
        x--
    :: else -> break
    od;
    allocation_settle(r);
    h = 0;
    r = 0;
    x = 0;
    forget(gg)
}

/* Nobody knows of it any more: its place in the tables is free for one with another number. */
inline forget(gg)
{
    if
    :: k_state[gg] == NONE && slot[gg] == 0 && !used[gg] ->
        k_alloc[gg] = 0;
#ifndef NO_GENERATION
        k_host[gg] = 0
#else
        skip
#endif
    :: else
    fi
}

inline claim_order_end(gg)
{
    if
    :: k_state[gg] == CLAIM_OPEN ->
        k_state[gg] = CLAIM_CLOSING;
        printf("broker -> agent %d: END g%d\n", k_host[gg], gg)
    :: else
    fi
}

/* ---- recalls ---- */

/* n more of it are answered */
inline recall_count(rr, n)
{
    asked_at[r_host[rr]] = asked_at[r_host[rr]] - n;
    freed = 1;
    if
    :: LEFT(rr) == 0 && overdue[rr] -> /* it answers again */
        n_overdue--;
        overdue[rr] = 0;
        bump()
    :: LEFT(rr) == 0 && !overdue[rr] -> n_for[r_for[rr]]--
    :: else
    fi
}

inline recall_withdraw(rr)
{
    g = LEFT(rr);
    printf("broker -> client 0: WITHDRAW r%d, %d left\n", rr, g);
    withdrawn[rr] = withdrawn[rr] + g;
    recall_count(rr, g);
    g = 0;
#ifdef PROGRESS
    PUSH_WITHDRAW[rr] = conn(0);
#endif
#ifndef NO_LOOK_AGAIN
    bump() /* what was asked for one may be asked for another */
#endif
}

/* I6: withdraws what asks for more than there is above min; on one host, for more than there is */
inline recall_clamp(hh, most)
{
    x = n_recalls;
    do
    :: x > 0 && ((ASKED > 0 && HELD_D < FIRM + ASKED) || asked_at[hh] > most) ->
        if
        :: LEFT(x) > 0 && (asked_at[hh] <= most || r_host[x] == hh) -> recall_withdraw(x)
        :: else
        fi;
        x--
    :: else -> break
    od;
    x = 0
}

/* Its beneficiary was granted, or is over. What a recall that is over said is of no use to anybody then. */
inline recall_withdraw_for(a)
{
#ifndef NO_WITHDRAW
    x = n_recalls;
    do
    :: x > 0 ->
        if
        :: LEFT(x) > 0 && r_for[x] == a -> recall_withdraw(x)
        :: else
        fi;
        if
        :: r_for[x] == a ->
            r_for[x] = 0;
            withdrawn[x] = asked[x];
            released[x] = 0;
            revoked[x] = 0
        :: else
        fi;
        x--
    :: else -> break
    od;
    x = 0
#else
    skip
#endif
}

/* One chunk of D on hh is given. rr: the recall that it names, 0: its own wish. */
inline allocation_give(hh, rr)
{
    if
    :: rr != 0 && LEFT(rr) > 0 && r_host[rr] == hh -> x = rr
    :: else -> /* recall_answer: else the oldest open one that accepts it */
        x = 1;
        do
        :: x <= n_recalls && !(LEFT(x) > 0 && r_host[x] == hh) -> x++
        :: else -> break
        od
    fi;
    if
    :: x <= n_recalls ->
        r = r_for[x];
        released[x]++;
        recall_count(x, 1)
    :: else -> r = r_for[rr] /* also when it is withdrawn */
    fi;
    if
    :: r != 0 -> no_growth_for = r
    :: else
    fi;
    if
    :: rr == 0 && want > 0 -> want--
    :: else
    fi;
    x = 0;
    holding_release(D, hh, r);
    recall_clamp(hh, held[hh]);
    allocation_settle(D);
    r = 0
}

inline recall_create(a, hh)
{
    NEVER(recalled_though_enough_comes, ENOUGH(a, 0) || ENOUGH(a, 1));
#ifdef PROGRESS
    NEVER(asked_again_and_again, n_recalls == RECALLS); /* so many suffice */
#endif
    x = NEED(a) - at_hand(a, hh);
    r = n_recalls + 1;
#ifdef MUTABLE_RECALL
    do
    :: r > 1 && !(r <= n_recalls && r_host[r] == hh) -> r--
    :: else -> break
    od;
    r = (n_recalls > 0 && r_host[r] == hh && r <= n_recalls -> r : n_recalls + 1); /* the one of that host is raised */
#endif
    n_recalls = (r > n_recalls -> r : n_recalls);
    r_for[r] = a;
    r_host[r] = hh;
    asked[r] = asked[r] + x;
    asked_at[hh] = asked_at[hh] + x;
    n_for[a]++;
    printf("broker -> client 0: RECALL r%d, %d on host %d, for %c\n", r, x, hh, NAME(a));
#ifdef PROGRESS
    PUSH_RECALL[r] = conn(0);
#endif
    r = 0;
    x = 0
}

inline choose_now(a)
{
    ask[a] = 0;
    if
#ifndef PROGRESS
    :: n_recalls == RECALLS /* no run is followed further than so many */
    :: n_recalls < RECALLS && a_state[a] == ALLOCATION_WAITING && CAN(a, 0) && !COMES(a, 0) && !COMES(a, 1) -> recall_create(a, 0)
    :: n_recalls < RECALLS && a_state[a] == ALLOCATION_WAITING && CAN(a, 1) && !COMES(a, 0) && !COMES(a, 1) -> recall_create(a, 1)
#else
    :: a_state[a] == ALLOCATION_WAITING && CAN(a, 0) && !COMES(a, 0) && !COMES(a, 1) -> recall_create(a, 0)
    :: a_state[a] == ALLOCATION_WAITING && CAN(a, 1) && !COMES(a, 0) && !COMES(a, 1) -> recall_create(a, 1)
#endif
    :: else -> hopeless[a] = 1
    fi
}

inline choose_start(a)
{
    if
    :: ask[a] || hopeless[a] || recall_under_way(a)
    :: else ->
        if
        :: ROOM && (CAN(a, 0) || CAN(a, 1)) && !COMES(a, 0) && !COMES(a, 1) ->
            if
            :: conn(0) ->
                ask[a] = 1;
#ifdef NO_ASK_AGAIN
                armed[a] = 1;
#endif
                printf("broker -> client 0: ASK, for %c\n", NAME(a));
#ifdef PROGRESS
                PUSH_ASK = 1
#endif
            :: else -> choose_now(a) /* nobody listens */
            fi
        :: else -> hopeless[a] = 1
        fi
    fi
}

/* ---- settling ---- */

inline unreserve(a)
{
    if
    :: reserved[AT(a, 0)] + reserved[AT(a, 1)] > 0 ->
        reserved[AT(a, 0)] = 0;
        reserved[AT(a, 1)] = 0;
        bump()
    :: else
    fi
}

/* it waits no more */
inline waits_no_more(a, state)
{
    a_state[a] = state;
    unreserve(a);
    ask[a] = 0;
    hopeless[a] = 0;
    owed[AT(a, 0)] = 0; /* it would be kept for nobody */
    owed[AT(a, 1)] = 0;
    recall_withdraw_for(a)
}

inline look_at(a)
{
    if
    :: a_state[a] == ALLOCATION_WAITING ->
        if
        :: FITS(a, 0) ->
            printf("    books: %c is granted on host 0\n", NAME(a));
            waits_no_more(a, ALLOCATION_LIVE);
            held[AT(a, 0)] = NEED(a)
        :: FITS(a, 1) ->
            printf("    books: %c is granted on host 1\n", NAME(a));
            waits_no_more(a, ALLOCATION_LIVE);
            held[AT(a, 1)] = NEED(a)
        :: else -> choose_start(a)
        fi
    :: else
    fi
}

/* more of it may be asked back, on all its hosts */
inline grown()
{
#ifdef NO_LOOK_AFTER_GROWTH
    skip
#else
    bump()
#endif
}

/* After every event of the broker: the queue, then growth; then what must hold is looked at. */
inline settle()
{
    freed = 1;
    do
    :: freed ->
        freed = 0;
#ifndef PROGRESS
        hopeless[V] = 0;
        hopeless[W] = 0;
#endif
        look_at(V);
        look_at(W);
        if
#ifdef NO_GROWTH_BAR
        :: no_growth_for = 0
#else
        :: no_growth_for != 0 && a_state[no_growth_for] != ALLOCATION_WAITING -> no_growth_for = 0 /* grow_allowed */
        :: else
#endif
        fi;
        do
        :: !freed && a_state[D] == ALLOCATION_LIVE && s_state[0] != SESSION_OVER && HELD_D < want && no_growth_for == 0 ->
            if
            :: link[0] && FREE(0) > 0 ->
                held[0]++;
                printf("    books: D grows on host 0\n");
                grown()
            :: link[1] && FREE(1) > 0 ->
                held[1]++;
                printf("    books: D grows on host 1\n");
                grown()
            :: else -> break
            fi
        :: else -> break
        od
    :: else -> break
    od;
#ifndef PROGRESS
    hopeless[V] = 0;
    hopeless[W] = 0;
#endif
    check()
}

/* ---- what must hold ---- */

#define USES(a, hh, gg) ((used[gg] && k_alloc[gg] == a && k_host[gg] == hh) -> KN(gg) : 0)
#define PHYSICAL(a, hh) (USES(a, hh, 1) + USES(a, hh, 2) + USES(a, hh, 3) + USES(a, hh, 4) + USES(a, hh, 5))

inline takes(hh)
{
    x = x + PHYSICAL(D, hh);
    g = PHYSICAL(D, hh);
    h = (held[hh] > g -> held[hh] : g);
    g = PHYSICAL(V, hh);
    x = x + g;
    h = h + (held[2 + hh] > g -> held[2 + hh] : g);
    g = PHYSICAL(W, hh);
    x = x + g;
    h = h + (held[4 + hh] > g -> held[4 + hh] : g)
}

#define I3(a, h) (claimed[AT(a, h)] > held[AT(a, h)] + returning[AT(a, h)])
#define IN_VAIN(r) (LEFT(r) > 0 && a_state[r_for[r]] != ALLOCATION_WAITING)

inline check()
{
    do
    :: r < 2 ->
        takes(r);
        NEVER(chunk_with_two_users, x > TOTAL(r));
        NEVER(chunk_granted_before_drained, h > TOTAL(r));
        x = 0;
        h = 0;
        r++
    :: else -> break
    od;
    g = 0;
    r = 1;
    do
    :: r <= n_recalls ->
        NEVER(counts_that_do_not_add_up, released[r] + withdrawn[r] + revoked[r] > asked[r]);
        NEVER(more_given_than_asked, given[r] > asked[r]);
        NEVER(recalled_for_nobody, IN_VAIN(r));
        r++
    :: else -> break
    od;
    r = 0;
    NEVER(more_sold_than_there_is, SOLD(0) > TOTAL(0) || SOLD(1) > TOTAL(1));
    NEVER(recalled_below_min, ASKED > 0 && HELD_D < MIN + ASKED);
#ifndef NO_DRAIN_CHECK
    NEVER(more_claimed_than_held, I3(D, 0) || I3(D, 1) || I3(V, 0) || I3(V, 1) || I3(W, 0) || I3(W, 1));
#endif
    NEVER(request_done_twice, effects[0] > 1 || effects[1] > 1)
}

/* ---- the broker: requests ---- */

/* a free place for a claim; its number is one that was never used */
#ifdef NO_GENERATION
#define TAKEN(gg) (k_state[gg] != NONE || used[gg])
#else
#define TAKEN(gg) (k_state[gg] != NONE || slot[gg] != 0 || used[gg])
#endif

inline do_claim(c)
{
    x = (c == 0 -> D : (rq_arg[c] >> 1)); /* allocation */
    h = (rq_arg[c] & 1);
    g = 1;
    do
    :: g <= GENS && TAKEN(g) -> g++
    :: else -> break
    od;
    if
    :: a_state[x] == ALLOCATION_LIVE && claimed[AT(x, h)] + (x == V -> 2 : 1) <= held[AT(x, h)] -> /* holding_claimable */
        assert(g <= GENS); /* the bound suffices */
        k_state[g] = CLAIM_OPEN;
        k_alloc[g] = x;
        k_host[g] = h;
        slot[g] = 0;
        claimed[AT(x, h)] = claimed[AT(x, h)] + KN(g);
        opened_by[c] = g;
        answer_ok[c] = 1;
#ifdef NO_JOURNAL_FIRST
        uncommitted = g;
#endif
        printf("client %d -> broker: CLAIM on host %d: claim g%d of %c\n", c, h, g, NAME(x))
    :: else ->
        printf("client %d -> broker: CLAIM on host %d: STATE\n", c, h);
        opened_by[c] = 0;
        answer_ok[c] = 0
    fi;
    g = 0;
    h = 0;
    x = 0
}

inline do_release(c)
{
    if
    :: c == 0 && a_state[D] == ALLOCATION_LIVE && held[rq_arg[0]] > 0 ->
        answer_ok[0] = 1;
        given[rq_recall] = (rq_recall == 0 -> 0 : given[rq_recall] + 1);
        printf("client 0 -> broker: RELEASE of 1 chunk on host %d for recall r%d\n", rq_arg[0], rq_recall);
        allocation_give(rq_arg[0], rq_recall)
    :: c == 1 && a_state[rq_arg[1] >> 1] == ALLOCATION_LIVE -> /* no extents: all */
        answer_ok[1] = 1;
        x = (rq_arg[1] >> 1);
        printf("client 1 -> broker: RELEASE of all of %c\n", NAME(x));
        do
        :: held[AT(x, 0)] > 0 -> holding_release(x, 0, 0)
        :: held[AT(x, 1)] > 0 -> holding_release(x, 1, 0)
        :: else -> break
        od;
        allocation_settle(x);
        x = 0
    :: else ->
        printf("client %d -> broker: RELEASE refused\n", c);
        answer_ok[c] = 0
    fi
}

/* request_admit let it through: it is new. One that is repeated only gets its answer again (of a claim: claim_repeated). */
inline handle_request(c)
{
    executed[c] = 1;
    if
    :: rq[c] == ALLOCATE ->
        printf("client 1 -> broker: ALLOCATE %c, %d on one host: WAITING\n", NAME(rq_arg[c]), NEED(rq_arg[c]));
        a_state[rq_arg[c]] = ALLOCATION_WAITING;
        answer_ok[c] = 1
    :: rq[c] == CLAIM -> do_claim(c)
    :: rq[c] == RELEASE -> do_release(c)
    fi;
    effects[c] = effects[c] + answer_ok[c]
}

#define MAY_CLOSE(gg) (slot[gg] == 2 && k_state[gg] == CLAIM_OPEN && conn((k_alloc[gg] == D -> 0 : 1)))

#define COVERS(a, hh, gg) ((k_state[gg] == CLAIM_CLOSING && k_alloc[gg] == a && k_host[gg] == hh) -> KN(gg) : 0)
#define COVERED(a, hh) (COVERS(a, hh, 1) + COVERS(a, hh, 2) + COVERS(a, hh, 3) + COVERS(a, hh, 4) + COVERS(a, hh, 5))
#define DEBT(a, hh) (returning[AT(a, hh)] > COVERED(a, hh))

/* Orders the end of as many claims of it as cover the debt. */
inline claim_cover_debt(a, hh)
{
    g = GENS;
    do
    :: g > 0 && COVERED(a, hh) < returning[AT(a, hh)] ->
        if
        :: k_alloc[g] == a && k_host[g] == hh -> claim_order_end(g)
        :: else
        fi;
        g--
    :: else -> break
    od;
    g = 0
}

/* Its process is dead: its allocations end, its claims are told to (allocation_orphan). */
inline session_end(c)
{
    s_state[c] = SESSION_OVER;
    printf("broker: the session of client %d is over\n", c);
    r = c; /* D; or V and W */
    do
    :: r <= 2 * c ->
        g = GENS;
        do
        :: g > 0 ->
            if
            :: k_alloc[g] == r -> claim_order_end(g)
            :: else
            fi;
            g--
        :: else -> break
        od;
        if
        :: r == D ->
            want = 0;
            no_growth_for = 0
        :: else
        fi;
        if
        :: a_state[r] == ALLOCATION_WAITING -> waits_no_more(r, GONE)
        :: else
        fi;
        do
        :: held[AT(r, 0)] > 0 -> holding_release(r, 0, 0)
        :: held[AT(r, 1)] > 0 -> holding_release(r, 1, 0)
        :: else -> break
        od;
        allocation_settle(r);
        r++
    :: else -> break
    od;
    r = 0;
    recall_clamp(0, held[0])
}

#ifdef NO_ASK_AGAIN
#define ASK_DUE(a) (ask[a] && armed[a])
#else
#define ASK_DUE(a) ask[a]
#endif

proctype broker()
{
    do
    :: atomic {
        if
        :: rq[0] != 0 && !executed[0] && conn(0) -> handle_request(0)
        :: rq[1] != 0 && !executed[1] && conn(1) -> handle_request(1)
        :: MAY_CLOSE(1) -> claim_order_end(1)
        :: MAY_CLOSE(2) -> claim_order_end(2)
        :: MAY_CLOSE(3) -> claim_order_end(3)
        :: MAY_CLOSE(4) -> claim_order_end(4)
        :: MAY_CLOSE(5) -> claim_order_end(5)
#ifndef NO_ASK_TIMER
        :: ASK_DUE(V) -> choose_now(V) /* ask_ms, or all have answered */
        :: ASK_DUE(W) -> choose_now(W)
#endif
#ifdef PROGRESS
        :: offer && ask[V] -> offer = 0; choose_now(V)
        :: offer && ask[W] -> offer = 0; choose_now(W)
        :: offer && !ask[V] && !ask[W] -> offer = 0
#endif
        :: DEBT(D, 0) -> claim_cover_debt(D, 0) /* returning_ms */
        :: DEBT(D, 1) -> claim_cover_debt(D, 1)
        :: DEBT(V, 0) -> claim_cover_debt(V, 0)
        :: DEBT(W, 0) -> claim_cover_debt(W, 0)
        :: DEBT(W, 1) -> claim_cover_debt(W, 1)
        :: !alive[0] && s_state[0] != SESSION_OVER -> session_end(0)
        :: !alive[1] && s_state[1] != SESSION_OVER -> session_end(1)
        fi;
        settle()
    }
    od
}

/* ---- hosts ---- */

/* Hello, ORDER_EXPECT for each claim in the books, ready, a fresh sample. */
inline host_up(hh)
{
    link[hh] = 1;
#ifdef NO_GENERATION
    g = GENS;
    do
    :: g > 0 ->
        if
        :: left_over[g] && k_host[g] == hh ->
            drained_report[g] = 1;
            printf("agent %d -> broker: DRAINED g%d, once more\n", hh, g)
        :: else
        fi;
        g--
    :: else -> break
    od;
    g = 0;
#endif
    printf("agent %d -> broker: HELLO; it hears of its claims, and is measured\n", hh);
    bump();
    if
    :: !gathered[hh] -> /* recall_gather_again */
        gathered[hh] = 1;
        r = 1;
        do
        :: r <= n_recalls ->
            x = released[r] + revoked[r];
            if
            :: r_host[r] == hh && x > owed[AT(r_for[r], hh)] ->
                x = x - owed[AT(r_for[r], hh)];
                do
                :: x > 0 ->
                    holding_keep_for(r_for[r], hh);
                    x--
                :: else -> break
                od
            :: else
            fi;
            r++
        :: else -> break
        od;
        r = 0;
        x = 0
    :: else
    fi
}

/* It was told to end, no process and no memory is left, and the broker hears it. */
#ifdef NO_GENERATION
#define REPORTS(gg) (k_state[gg] == CLAIM_CLOSING && !used[gg] && link[k_host[gg]] && !drained_report[gg])
#define DRAINED(gg) (drained_report[gg] && link[k_host[gg]] && k_state[gg] == CLAIM_CLOSING)
#else
#define DRAINED(gg) (k_state[gg] == CLAIM_CLOSING && !used[gg] && link[k_host[gg]])
#endif

proctype hosts()
{
    do
    :: atomic {
        if
        :: DRAINED(1) -> claim_end(1)
        :: DRAINED(2) -> claim_end(2)
        :: DRAINED(3) -> claim_end(3)
        :: DRAINED(4) -> claim_end(4)
        :: DRAINED(5) -> claim_end(5)
        :: !link[0] -> host_up(0)
        :: !link[1] -> host_up(1)
        fi;
        settle()
    }
    od
}

/* Tasks end, and their memory is uncharged. */
inline task_ends(gg)
{
    used[gg] = 0;
    printf("host %d: the task in g%d has ended, its memory is empty\n", k_host[gg], gg);
    forget(gg)
}

proctype tasks()
{
    do
    :: atomic { used[1] -> task_ends(1) }
    :: atomic { used[2] -> task_ends(2) }
    :: atomic { used[3] -> task_ends(3) }
    :: atomic { used[4] -> task_ends(4) }
    :: atomic { used[5] -> task_ends(5) }
#ifdef NO_GENERATION
    :: atomic { REPORTS(1) -> drained_report[1] = 1 }
    :: atomic { REPORTS(2) -> drained_report[2] = 1 }
    :: atomic { REPORTS(3) -> drained_report[3] = 1 }
    :: atomic { left_over[1] && link[k_host[1]] -> left_over[1] = 0 }
    :: atomic { left_over[2] && link[k_host[2]] -> left_over[2] = 0 }
    :: atomic { left_over[3] && link[k_host[3]] -> left_over[3] = 0 }
#endif
    od
}

/* ---- clients ---- */

inline request(c, kind, arg)
{
    rq[c] = kind;
    rq_arg[c] = arg;
    executed[c] = 0;
    effects[c] = 0
}

inline request_over(c)
{
    rq[c] = 0;
    rq_arg[c] = 0;
    executed[c] = 0;
    answer_ok[c] = 0;
    opened_by[c] = 0;
    effects[c] = 0
}

#define ANSWERED(c) (alive[c] && conn(c) && rq[c] != 0 && executed[c])

/* The claim that it asked for is open, and its task's gate opens; or it is over already. */
inline take_claim(c)
{
    g = opened_by[c];
    if
    :: rq[c] == CLAIM && g != 0 && k_state[g] == CLAIM_OPEN ->
        slot[g] = 1;
        used[g] = 1;
        printf("broker -> client %d: the claim is open; its task runs in g%d\n", c, g)
    :: rq[c] == CLAIM && g != 0 && k_state[g] == CLAIM_CLOSING -> slot[g] = 2
    :: else
    fi;
    g = 0
}

/* its claim is over, and it knows: PUSH_CLAIM_ENDED, the answer to its close, the list at a reattach */
#define ENDED(gg) (slot[gg] != 0 && k_state[gg] == NONE && alive[(k_alloc[gg] == D -> 0 : 1)] && conn((k_alloc[gg] == D -> 0 : 1)))

/* session_on_reattach, pool_state_reattach: only these recalls are open; unanswered releases are on their way again */
inline reattach()
{
    s_state[0] = SESSION_ATTACHED;
    printf("client 0 reattaches\n");
    r = 1;
    do
    :: r <= n_recalls ->
#ifndef NO_RECALLS_TOLD_AGAIN
        if
        :: LEFT(r) > 0 ->
            x = (known[r] == 1 && rq[0] == RELEASE && rq_recall == r);
#ifndef COUNTED_TWICE
            x = (executed[0] -> 0 : x); /* one that has taken effect is in the broker's count */
#endif
            open[r] = (LEFT(r) > x -> LEFT(r) - x : 0);
            known[r] = 1;
            printf("client 0 hears that r%d is open, and has %d to give\n", r, open[r])
        :: LEFT(r) == 0 && known[r] == 1 ->
            open[r] = 0;
            known[r] = 2
        :: else
        fi;
#endif
        r++
    :: else -> break
    od;
    r = 0;
    x = 0;
#ifdef NO_REQUEST_NUMBERS
    executed[0] = 0
#endif
}

/* all of it is given and answered: recall_finish; or it is refused, and told again if it is wanted */
inline pool_state_released()
{
    if
    :: rq_recall != 0 && known[rq_recall] == 1 && !answer_ok[0] ->
        known[rq_recall] = 0;
        given[rq_recall] = 0; /* it counts anew */
        open[rq_recall] = 0
    :: rq_recall != 0 && known[rq_recall] == 1 && answer_ok[0] && open[rq_recall] == 0 ->
        known[rq_recall] = 2;
        printf("client 0 hears that its RELEASE is done: r%d is finished for it\n", rq_recall)
    :: else
    fi;
    rq_recall = 0
}

#ifdef PROGRESS
#define RECALL_ARRIVES(r) (alive[0] && PUSH_RECALL[r])
#define WITHDRAW_ARRIVES(r) (alive[0] && PUSH_WITHDRAW[r])
#else
#ifdef NO_FINISHED
#define RECALL_ARRIVES(r) (alive[0] && asked[r] > 0 && known[r] != 1)
#else
#define RECALL_ARRIVES(r) (alive[0] && asked[r] > 0 && known[r] == 0)
#endif
#define WITHDRAW_ARRIVES(r) (alive[0] && withdrawn[r] > 0 && known[r] == 1)
#endif

inline pool_state_recall(rr)
{
#ifdef PROGRESS
    PUSH_RECALL[rr] = 0;
#endif
    if
#ifdef NO_FINISHED
    :: known[rr] != 1 ->
#else
    :: known[rr] == 0 ->
#endif
        known[rr] = 1;
        open[rr] = asked[rr];
        printf("client 0 hears RECALL r%d: %d\n", rr, open[rr])
    :: else
    fi
}

inline pool_state_withdraw(rr)
{
#ifdef PROGRESS
    PUSH_WITHDRAW[rr] = 0;
#endif
    if
    :: known[rr] == 1 ->
        known[rr] = 2;
        open[rr] = 0;
        printf("client 0 hears WITHDRAW r%d\n", rr)
    :: else
    fi
}

proctype clients()
{
    do
    :: atomic { alive[0] && s_state[0] == SESSION_DETACHED -> reattach() }
    :: atomic { alive[1] && s_state[1] == SESSION_DETACHED -> s_state[1] = SESSION_ATTACHED
#ifdef NO_REQUEST_NUMBERS
        ; executed[1] = 0
#endif
        }
    :: atomic { ANSWERED(0) ->
        if
        :: rq[0] == CLAIM -> take_claim(0)
        :: rq[0] == RELEASE -> pool_state_released()
        fi;
        request_over(0)
        }
    :: atomic { ANSWERED(1) -> take_claim(1); request_over(1) }
    :: atomic { ENDED(1) -> slot[1] = 0; forget(1) }
    :: atomic { ENDED(2) -> slot[2] = 0; forget(2) }
    :: atomic { ENDED(3) -> slot[3] = 0; forget(3) }
    :: atomic { ENDED(4) -> slot[4] = 0; forget(4) }
    :: atomic { ENDED(5) -> slot[5] = 0; forget(5) }
    od
}

#define TO_GIVE(rr, h) (open[rr] * (r_host[rr] == h))
#if RECALLS > 4
#define WANTED(h) (TO_GIVE(1, h) + TO_GIVE(2, h) + TO_GIVE(3, h) + TO_GIVE(4, h) + TO_GIVE(5, h))
#elif RECALLS > 3
#define WANTED(h) (TO_GIVE(1, h) + TO_GIVE(2, h) + TO_GIVE(3, h) + TO_GIVE(4, h))
#else
#define WANTED(h) (TO_GIVE(1, h) + TO_GIVE(2, h) + TO_GIVE(3, h))
#endif
#define HAS(hh, gg) (slot[gg] == 1 && k_alloc[gg] == D && k_host[gg] == hh)
#define SLOTS(hh) (HAS(hh, 1) + HAS(hh, 2) + HAS(hh, 3) + HAS(hh, 4) + HAS(hh, 5))
#define IDLE(hh) (held[hh] > SLOTS(hh)) /* chunks that no slot stands for */
#define WARM(gg) (alive[0] && slot[gg] == 1 && k_alloc[gg] == D && !used[gg] && k_state[gg] != NONE)
#ifdef EARLY
#define GIVES(rr) (alive[0] && rq[0] == 0 && open[rr] > 0 && held[r_host[rr]] > 0)
#else
#define GIVES(rr) (alive[0] && rq[0] == 0 && open[rr] > 0 && IDLE(r_host[rr]))
#endif

inline close(gg)
{
    slot[gg] = (k_state[gg] == NONE -> 0 : 2);
    printf("a client wants g%d to end: CLOSE\n", gg);
    forget(gg)
}

inline give(rr)
{
    open[rr]--;
    rq_recall = rr;
    request(0, RELEASE, r_host[rr])
}

/* What the library does for client 0: what is wanted back is given, as soon as it is idle; a slot that is wanted is closed first. */
proctype pool()
{
    do
    :: atomic { WARM(1) && WANTED(k_host[1]) -> close(1) }
    :: atomic { WARM(2) && WANTED(k_host[2]) -> close(2) }
    :: atomic { WARM(3) && WANTED(k_host[3]) -> close(3) }
    :: atomic { WARM(4) && WANTED(k_host[4]) -> close(4) }
    :: atomic { WARM(5) && WANTED(k_host[5]) -> close(5) }
#ifdef PROGRESS
    :: atomic { alive[0] && PUSH_ASK && conn(0) -> PUSH_ASK = 0; offer = 1 }
#endif
    :: atomic { RECALL_ARRIVES(1) -> pool_state_recall(1) }
    :: atomic { RECALL_ARRIVES(2) -> pool_state_recall(2) }
    :: atomic { RECALL_ARRIVES(3) -> pool_state_recall(3) }
#if RECALLS > 3
    :: atomic { RECALL_ARRIVES(4) -> pool_state_recall(4) }
#endif
#if RECALLS > 4
    :: atomic { RECALL_ARRIVES(5) -> pool_state_recall(5) }
#endif
    :: atomic { WITHDRAW_ARRIVES(1) -> pool_state_withdraw(1) }
    :: atomic { WITHDRAW_ARRIVES(2) -> pool_state_withdraw(2) }
    :: atomic { WITHDRAW_ARRIVES(3) -> pool_state_withdraw(3) }
#if RECALLS > 3
    :: atomic { WITHDRAW_ARRIVES(4) -> pool_state_withdraw(4) }
#endif
#if RECALLS > 4
    :: atomic { WITHDRAW_ARRIVES(5) -> pool_state_withdraw(5) }
#endif
    :: atomic { GIVES(1) -> give(1) }
    :: atomic { GIVES(2) -> give(2) }
    :: atomic { GIVES(3) -> give(3) }
#if RECALLS > 3
    :: atomic { GIVES(4) -> give(4) }
#endif
#if RECALLS > 4
    :: atomic { GIVES(5) -> give(5) }
#endif
    od
}

#define WISHES(a) (a_state[a] == NONE && (WAITERS == 2 || WAITERS == 5 - 2 * (a)))
#define IDLE_1 (alive[1] && rq[1] == 0)

/* Client 1: V and W, each asked for, used for a task or not, and given back. */
proctype program_1()
{
    do
    :: atomic { IDLE_1 && a_state[V] == NONE && WAITERS > 1 -> request(1, ALLOCATE, V) }
    :: atomic { IDLE_1 && a_state[W] == NONE && WAITERS < 3 -> request(1, ALLOCATE, W) }
#if CLAIMS > 0
    :: atomic { IDLE_1 && held[2] == 2 && claimed[2] == 0 && !served[V] -> served[V] = 1; request(1, CLAIM, AT(V, 0)) }
    :: atomic { IDLE_1 && held[4] == 1 && claimed[4] == 0 && !served[W] -> served[W] = 1; request(1, CLAIM, AT(W, 0)) }
    :: atomic { IDLE_1 && held[5] == 1 && claimed[5] == 0 && !served[W] -> served[W] = 1; request(1, CLAIM, AT(W, 1)) }
    :: atomic { alive[1] && slot[1] == 1 && k_alloc[1] != D -> close(1) }
    :: atomic { alive[1] && slot[2] == 1 && k_alloc[2] != D -> close(2) }
    :: atomic { alive[1] && slot[3] == 1 && k_alloc[3] != D -> close(3) }
    :: atomic { alive[1] && slot[4] == 1 && k_alloc[4] != D -> close(4) }
    :: atomic { alive[1] && slot[5] == 1 && k_alloc[5] != D -> close(5) }
#endif
    :: atomic { IDLE_1 && held[2] > 0 -> request(1, RELEASE, AT(V, 0)) }
    :: atomic { IDLE_1 && held[4] + held[5] > 0 -> request(1, RELEASE, AT(W, 0)) }
    od
}

/* ---- what may happen, and need not: the program of client 0, faults ---- */

inline stream_lost(c)
{
    if
    :: s_state[c] == SESSION_ATTACHED ->
        s_state[c] = SESSION_DETACHED;
        printf("the stream of client %d breaks: what was on its way is lost\n", c)
    :: else
    fi;
#ifdef PROGRESS
    if
    :: c == 0 ->
        PUSH_ASK = 0;
        offer = 0;
        r = RECALLS;
        do
        :: r > 0 ->
            PUSH_RECALL[r] = 0;
            PUSH_WITHDRAW[r] = 0;
            r--
        :: else -> break
        od
    :: else
    fi
#endif
}

inline link_lost(hh)
{
    link[hh] = 0;
    printf("the link to agent %d breaks\n", hh);
#ifdef NO_GENERATION
    g = GENS;
    do
    :: g > 0 ->
        drained_report[g] = (k_host[g] == hh -> 0 : drained_report[g]);
        g--
    :: else -> break
    od;
    g = 0;
#endif
#ifdef SILENT_IS_OVER
    g = GENS;
    do
    :: g > 0 ->
        if
        :: k_state[g] != NONE && k_host[g] == hh ->
            claim_order_end(g);
            claim_end(g)
        :: else
        fi;
        g--
    :: else -> break
    od;
    g = 0
#endif
}

/* The broker dies; the next one replays the journal: core_load(), core_recover(). Offers, questions, what was held are forgotten. */
inline crash()
{
    printf("the broker dies; another one replays the journal\n");
#ifdef NO_JOURNAL_FIRST
    if
    :: uncommitted != 0 && k_state[uncommitted] != NONE ->
        printf("    books: claim g%d is not in the journal\n", uncommitted);
        k_state[uncommitted] = NONE;
        slot[uncommitted] = 0; /* it is not in the list that its client hears */
        claimed[AT(k_alloc[uncommitted], k_host[uncommitted])]--
    :: else
    fi;
    uncommitted = 0;
#endif
    stream_lost(0);
    stream_lost(1);
    link[0] = 0;
    link[1] = 0;
#ifdef ANSWERS_FORGOTTEN
    executed[0] = 0;
    executed[1] = 0;
#endif
#ifdef NO_ASK_AGAIN
    armed[V] = 0;
    armed[W] = 0;
#else
    ask[V] = 0;
    ask[W] = 0;
#endif
    hopeless[V] = 0;
    hopeless[W] = 0;
    g = 2;
    do
    :: g <= 5 ->
        owed[g] = 0;
        reserved[g] = 0;
        g++
    :: else -> break
    od;
    g = 0;
    gathered[0] = 0;
    gathered[1] = 0;
    r = 1;
    do
    :: r <= n_recalls -> /* recall_recover */
        h = r_host[r];
        x = released[r] + revoked[r];
        do
        :: x > 0 && returning[h] > owed[2 + h] + owed[4 + h] ->
            owed[AT(r_for[r], h)]++;
            x--
        :: else -> break
        od;
        r++
    :: else -> break
    od;
    owed[0] = 0;
    owed[1] = 0;
    r = 0;
    h = 0;
    x = 0
}

inline client_dies(c)
{
    alive[c] = 0;
    printf("client %d dies\n", c);
    stream_lost(c);
    request_over(c);
    g = GENS;
    do
    :: g > 0 ->
        if
        :: (k_alloc[g] == D) == (c == 0) ->
            slot[g] = 0;
            forget(g)
        :: else
        fi;
        g--
    :: else -> break
    od;
    g = 0;
    if
    :: c == 0 ->
        rq_recall = 0;
        r = RECALLS;
        do
        :: r > 0 ->
            known[r] = 2;
            open[r] = 0;
            r--
        :: else -> break
        od
    :: else
    fi
}

/* Past the notice. By force where the terms allow it: idle chunks first, then those of claims, which are killed. */
inline recall_due(rr)
{
#ifdef REVOCABLE
    do
    :: LEFT(rr) > 0 && held[r_host[rr]] > 0 ->
        h = r_host[rr];
        g = (holding_idle(D, h) > 0 -> 0 : GENS);
        do
        :: g > 0 && !(k_state[g] == CLAIM_OPEN && k_alloc[g] == D && k_host[g] == h) -> g--
        :: else -> break
        od;
        if
        :: g > 0 -> claim_order_end(g)
        :: else
        fi;
        g = 0;
        no_growth_for = r_for[rr];
        revoked[rr]++;
        recall_count(rr, 1);
        holding_release(D, h, no_growth_for);
        recall_clamp(h, held[h])
    :: else -> break
    od;
    h = 0;
    allocation_settle(D);
#endif
    if
    :: LEFT(rr) > 0 ->
        overdue[rr] = 1;
        printf("broker: r%d is overdue\n", rr);
        n_overdue++;
        n_for[r_for[rr]]--
    :: else
    fi
}

#define DUE(rr) (LEFT(rr) > 0 && !overdue[rr])
#define MAY_START(gg) (WARM(gg) && k_state[gg] == CLAIM_OPEN && !WANTED(k_host[gg]) && n_starts < STARTS)
#define MAY_CLAIM(hh) (alive[0] && rq[0] == 0 && !WANTED(hh) && IDLE(hh) && n_starts < STARTS)
#define MAY_WISH(hh) (alive[0] && rq[0] == 0 && n_own < OWN_WISH && held[hh] > 0)

inline start(gg)
{
    n_starts++;
    used[gg] = 1;
    printf("host %d: client 0 starts a task in g%d\n", k_host[gg], gg)
}

proctype chance()
{
    do
#ifdef NO_JOURNAL_FIRST
    :: atomic { uncommitted != 0 -> uncommitted = 0 }
#endif
    :: atomic { MAY_START(1) -> start(1) }
    :: atomic { MAY_START(2) -> start(2) }
    :: atomic { MAY_START(3) -> start(3) }
    :: atomic { MAY_START(4) -> start(4) }
    :: atomic { MAY_START(5) -> start(5) }
    :: atomic { MAY_CLAIM(0) -> n_starts++; request(0, CLAIM, 0) }
    :: atomic { MAY_CLAIM(1) -> n_starts++; request(0, CLAIM, 1) }
    :: atomic { MAY_WISH(0) -> n_own++; request(0, RELEASE, 0) }
    :: atomic { MAY_WISH(1) -> n_own++; request(0, RELEASE, 1) }
#ifdef PROGRESS
    :: atomic { PUSH_ASK -> PUSH_ASK = 0 }
    :: atomic { offer -> offer = 0 }
#endif
    :: atomic { conn(0) && n_breaks < BREAKS -> n_breaks++; stream_lost(0); r = 0 }
    :: atomic { conn(1) && n_breaks < BREAKS -> n_breaks++; stream_lost(1) }
    :: atomic { alive[0] && n_deaths < DEATHS -> n_deaths++; client_dies(0); r = 0 }
    :: atomic { alive[1] && n_deaths < DEATHS -> n_deaths++; client_dies(1) }
#if defined(TIMEOUTS) || defined(NOTICE) || CRASHES > 0 || LINKS > 0
    :: atomic {
        if
#ifdef TIMEOUTS
        :: a_state[V] == ALLOCATION_WAITING -> printf("V gives up waiting\n"); waits_no_more(V, GONE) /* wait_ms; the same for CANCEL */
        :: a_state[W] == ALLOCATION_WAITING -> printf("W gives up waiting\n"); waits_no_more(W, GONE)
#endif
#ifdef NOTICE
        :: DUE(1) -> recall_due(1)
        :: DUE(2) -> recall_due(2)
        :: DUE(3) -> recall_due(3)
#if RECALLS > 3
        :: DUE(4) -> recall_due(4)
#endif
#if RECALLS > 4
        :: DUE(5) -> recall_due(5)
#endif
#endif
#if CRASHES > 0
        :: n_crashes < CRASHES -> n_crashes++; crash()
#endif
#if LINKS > 0
        :: link[0] && n_links < LINKS -> n_links++; link_lost(0)
        :: link[1] && n_links < LINKS -> n_links++; link_lost(1)
#endif
        fi;
        settle()
    }
#endif
    :: break
    od
}

init
{
    atomic {
        a_state[D] = ALLOCATION_LIVE;
        want = 3;
        held[AT(D, 0)] = 2;
        held[AT(D, 1)] = 1;
        k_state[1] = CLAIM_OPEN; /* a task on each host, and one idle chunk */
        k_state[2] = CLAIM_OPEN;
        k_host[2] = 1;
        claimed[AT(D, 0)] = 1;
        claimed[AT(D, 1)] = 1;
        used[1] = 1;
        used[2] = 1;
        slot[1] = 1;
        slot[2] = 1;
        alive[0] = 1;
        alive[1] = 1;
        s_state[0] = SESSION_ATTACHED;
        s_state[1] = SESSION_ATTACHED;
        link[0] = 1;
        link[1] = 1;
        gathered[0] = 1;
        gathered[1] = 1;
        run broker();
        run hosts();
        run tasks();
        run clients();
        run pool();
        run program_1();
        run chance()
    }
}

#ifdef PROGRESS
/* In the end, when faults are over: nobody waits, nothing is asked back, no request is unanswered. */
ltl quiet { <>[] (a_state[V] != ALLOCATION_WAITING && a_state[W] != ALLOCATION_WAITING && asked_at[0] + asked_at[1] == 0 && rq[0] == 0 && rq[1] == 0) }
#endif
