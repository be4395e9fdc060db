/*
 * random.c - a random script from a seed: a mixture of everything that the others do.
 *
 * Between its steps the client comes to rest, so what a step finds depends on the seed and on the client's decisions
 * alone, and the same seed plays the same script.
 */
#include "cases.h"

#include "base/status.h"

#define STEPS 24

typedef struct {
    uint64_t state;
} dice;

/* splitmix64: small, and every seed is as good as another. */
static uint64_t dice_next(dice *d)
{
    uint64_t x = (d->state += 0x9e3779b97f4a7c15u);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint32_t dice_below(dice *d, uint32_t n)
{
    return n == 0 ? 0 : (uint32_t)(dice_next(d) % n);
}

void random_setup(uint64_t seed, setup *ret)
{
    dice d = {seed ^ 0x6772616eu};
    *ret = (setup){.min = dice_below(&d, 3), .want = 3 + dice_below(&d, 4)};
    ret->tasks = 8 + dice_below(&d, 20);
    ret->grant[0] = ret->min + 1 + dice_below(&d, ret->want - ret->min);
    if (dice_below(&d, 4) == 0 && ret->grant[0] < ret->want)
        ret->grant[1] = 1;
}

static recall *some_recall(stage *s, dice *d)
{
    return s->books.n_recalls ? &s->books.recalls[dice_below(d, s->books.n_recalls)] : NULL;
}

static uint32_t open_in_all(const stage *s)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < s->books.n_recalls; i++)
        sum += recall_open(&s->books.recalls[i]);
    return sum;
}

static void make_recall(stage *s, dice *d)
{
    uint32_t held = books_held(&s->books), keep = s->books.min + open_in_all(s);
    uint32_t host = dice_below(d, 4) == 0 ? 0 : ANY_HOST, most = held > keep ? held - keep : 0;
    if (host == 0 && s->books.held[0] < most + open_in_all(s))
        host = ANY_HOST;
    if (most == 0)
        return;
    uint32_t count = 1 + dice_below(d, most);
    uint64_t notice = dice_below(d, 8) == 0 ? 1 : NOTICE;
    stage_recall(s, count, host, notice, dice_below(d, 10) == 0 ? 0 : 1 + (dice_below(d, 5) == 0));
}

/* The connection breaks; what was on its way is lost, requests or answers. */
static bool restart(stage *s, dice *d)
{
    uint32_t what = dice_below(d, 3);
    if (what == 1)
        s->lose = ALL_TYPES;
    if (what == 2)
        s->withhold = ALL_TYPES;
    if (what > 0) {
        stage_ask(s, ALLOCATION, 1);
        stage_end_task(s, ANY_HOST);
        if (!stage_quiet(s))
            return false;
    }
    s->lose = s->withhold = 0;
    stage_break(s);
    if (dice_below(d, 3) == 0)
        stage_end_task(s, ANY_HOST);
    if (dice_below(d, 3) == 0)
        make_recall(s, d); /* heard of by WELCOME alone */
    if (!stage_reattach(s))
        return false;
    stage_judge_resent(s);
    return true;
}

static bool step(stage *s, dice *d)
{
    recall *x = some_recall(s, d);
    switch (dice_below(d, 13)) {
    case 0:
    case 1:
    case 2:
        make_recall(s, d);
        break;
    case 3:
        if (x && recall_open(x) > 0)
            stage_withdraw(s, x, dice_below(d, 6) != 0);
        break;
    case 4:
        if (x && x->told > 0)
            stage_tell_recall(s, x, NOTICE); /* again, also when it is over */
        break;
    case 5:
        stage_ask(s, ALLOCATION, 1 + dice_below(d, 5));
        break;
    case 6:
        if (x && recall_open(x) > 0)
            stage_prefer(s, x, dice_below(d, 2), 1);
        break;
    case 7:
        if (books_held(&s->books) < s->books.want)
            stage_grow(s, 0, 1);
        break;
    case 8:
        if (s->books.told > 1)
            stage_tell_stale(s, s->books.told - dice_below(d, 2), 0, s->setup.want);
        break;
    case 9:
        if (dice_below(d, 2) == 0)
            return restart(s, d);
        s->withhold = MASK(RELEASE) | MASK(RELEASE_N) | MASK(OFFER);
        break;
    case 10:
        stage_let_go(s, dice_below(d, 2) == 0);
        break;
    default:
        stage_end_task(s, ANY_HOST);
    }
    return true;
}

void random_play(stage *s, uint64_t seed)
{
    dice d = {seed};
    if (!stage_begin(s, &s->setup))
        return;
    for (int i = 0; i < STEPS && !s->subject.ended; i++) {
        if (!step(s, &d))
            return;
        if (dice_below(&d, 3) == 0)
            stage_end_task(s, ANY_HOST);
        if (!stage_quiet(s))
            return;
        if (s->books.state != BOOKS_LIVE)
            return;
    }
}
