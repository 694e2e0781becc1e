/* Looking operators up. */
#include "ir/op.h"

#include <stdatomic.h>
#include <string.h>

/* Newest first. Entries never change once they are here, so readers need no lock. */
static _Atomic(tn_op_entry *) added;

void tn_op_entry_add(tn_op_entry *entry)
{
    entry->next = atomic_load_explicit(&added, memory_order_relaxed);
    atomic_store_explicit(&added, entry, memory_order_release);
}

static const char *domain_of(const char *domain)
{
    return !domain || !strcmp(domain, "ai.onnx") ? "" : domain;
}

const char *tn_op_file_name(const tn_op *op)
{
    return op->file_name ? op->file_name : op->name;
}

/* Most differ in the first letter already. */
static bool is_same(const char *a, const char *b)
{
    return *a == *b && !strcmp(a, b);
}

static bool is_called(const tn_op *op, const char *domain, const char *name)
{
    return is_same(tn_op_file_name(op), name) && is_same(domain_of(op->domain), domain);
}

/* A plain scan: a graph asks once a node. */
const tn_op *tn_op_find(const char *domain, const char *name)
{
    domain = domain_of(domain);
    for (const tn_op *const *op = tn_op_table; *op; op++)
        if (is_called(*op, domain, name)) return *op;
    for (const tn_op_entry *e = atomic_load_explicit(&added, memory_order_acquire); e; e = e->next)
        if (is_called(&e->op, domain, name)) return &e->op;
    return NULL;
}

const tn_op *tn_op_find_any(const char *name)
{
    const tn_op *op = tn_op_find(NULL, name);
    for (int i = 0; !op && tn_op_table[i]; i++)
        if (is_same(tn_op_table[i]->name, name)) op = tn_op_table[i];
    for (const tn_op_entry *e = atomic_load_explicit(&added, memory_order_acquire); e && !op;
         e = e->next)
        if (is_same(e->op.name, name)) op = &e->op;
    return op;
}
