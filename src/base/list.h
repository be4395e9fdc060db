/*
 * list.h - intrusive doubly linked lists with a head.
 *
 * A node that is in no list points to itself, so list_remove() is safe at any time. The head is a
 * node too. Not thread-safe.
 */
#ifndef GRANARY_BASE_LIST_H
#define GRANARY_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct list_node list_node;
struct list_node {
    list_node *prev, *next;
};

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Walks from head to tail. The body may not remove `it`; list_each_safe() allows that. */
#define list_each(it, head, type, member)                                                                              \
    for (type *it = container_of((head)->next, type, member); &it->member != (head);                                   \
         it = container_of(it->member.next, type, member))

#define list_each_safe(it, head, type, member)                                                                         \
    for (type *it = container_of((head)->next, type, member),                                                          \
              *it##_next = container_of(it->member.next, type, member);                                                \
         &it->member != (head); it = it##_next, it##_next = container_of(it->member.next, type, member))

static inline void list_init(list_node *n)
{
    n->prev = n->next = n;
}

static inline bool list_empty(const list_node *n)
{
    return n->next == n;
}

/* Puts `n`, which is in no list, behind `at`. */
static inline void list_insert_after(list_node *at, list_node *n)
{
    n->prev = at;
    n->next = at->next;
    at->next->prev = n;
    at->next = n;
}

static inline void list_append(list_node *head, list_node *n)
{
    list_insert_after(head->prev, n);
}

static inline void list_push(list_node *head, list_node *n)
{
    list_insert_after(head, n);
}

static inline void list_remove(list_node *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

/* Takes all nodes of `from` to the end of `to`. */
static inline void list_splice(list_node *to, list_node *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif
