/* From a tn_op_spec to an operator that the rest of the library takes for one of its own. */
#include "ops/user_op.h"

#include <ctype.h>
#include <pthread.h>
#include <string.h>

#include "ops/reference.h"
#include "tensor/dtype.h"

/* Those of Tenon's own names and domains stay far below. */
enum { NAME_MAX_BYTES = 100, PORTS_MAX = 64, GROUPS = 26 };

static pthread_mutex_t add_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- Checks ----------------------------------------------------------------------------------*/

/* What .tn text can spell: operators are written there as domain.name. */
static bool is_word(const char *text, const char *more)
{
    size_t bytes = 0;
    for (; text[bytes]; bytes++)
        if (!isalnum((unsigned char)text[bytes]) && !strchr(more, text[bytes])) return false;
    return bytes > 0 && bytes <= NAME_MAX_BYTES && text[0] != '.' && text[bytes - 1] != '.';
}

static tn_status check_names(const tn_op_spec *spec)
{
    TN_CHECK(spec->name && is_word(spec->name, "_"), TN_INVALID,
             "an operator cannot be called '%.100s': a name has 1 to %d letters, digits and _",
             spec->name ? spec->name : "", NAME_MAX_BYTES);
    TN_CHECK(!spec->domain || !spec->domain[0] || is_word(spec->domain, "_.-"), TN_INVALID,
             "operator '%s': the domain '%.100s' must have 1 to %d letters, digits, _, - and .",
             spec->name, spec->domain, NAME_MAX_BYTES);
    TN_CHECK(!spec->domain || strcmp(spec->domain, "tenon") != 0, TN_INVALID,
             "operator '%s': the domain 'tenon' is Tenon's own", spec->name);
    return NULL;
}

static tn_status check_ports(const tn_op_spec *spec, const char *what, const tn_op_port *port,
                             int32_t count, int32_t least)
{
    bool optional = false;
    TN_CHECK(count >= least && count <= PORTS_MAX, TN_INVALID,
             "operator '%s' has %d %ss; it must have %d to %d (a variadic one stands for many)",
             spec->name, count, what, least, PORTS_MAX);
    TN_CHECK(port || !count, TN_INVALID, "operator '%s': %d %ss are announced, none is given",
             spec->name, count, what);
    for (int32_t i = 0; i < count; i++) {
        bool variadic = port[i].flags & TN_OP_VARIADIC;
        TN_CHECK(!(port[i].flags & ~(uint32_t)(TN_OP_OPTIONAL | TN_OP_VARIADIC)) &&
                     port[i].group <= GROUPS && port[i].dtypes >> TN_DTYPE_END == 0 &&
                     !(port[i].dtypes & 1),
                 TN_INVALID, "operator '%s': %s %d has unknown flags, types or a group above %d",
                 spec->name, what, i, GROUPS);
        TN_CHECK(!variadic || i == count - 1, TN_INVALID,
                 "operator '%s': %s %d is variadic; only the last one can be", spec->name, what, i);
        /* A node cannot leave out what stands before something it gives. */
        TN_CHECK(
            !optional || variadic || port[i].flags & TN_OP_OPTIONAL || what[0] == 'i', TN_INVALID,
            "operator '%s': output %d follows an optional one and must be optional", spec->name, i);
        optional |= (port[i].flags & TN_OP_OPTIONAL) != 0;
    }
    return NULL;
}

static tn_status take_spec(const tn_op_spec *given, tn_op_spec *out)
{
    TN_CHECK(given, TN_INVALID, "the spec of an operator is NULL");
    TN_CHECK(given->size >= offsetof(tn_op_spec, compute) + sizeof(given->compute), TN_INVALID,
             "tn_op_spec.size is %zu: set it to sizeof(tn_op_spec)", given->size);
    *out = (tn_op_spec){0};
    memcpy(out, given, TN_MIN(given->size, sizeof(*out)));
    out->size = sizeof(*out);
    TN_CHECK(out->version == TN_OP_VERSION, TN_UNSUPPORTED,
             "operator '%.100s' is written for version %u of tenon/op.h, this Tenon (%s) has "
             "version %d: compile it against the header that came with this Tenon",
             out->name ? out->name : "", out->version, tn_version(), TN_OP_VERSION);
    TN_TRY(check_names(out));
    TN_CHECK(out->shape && out->compute, TN_INVALID, "operator '%s' has no %s function", out->name,
             out->shape ? "compute" : "shape");
    TN_CHECK(out->opset >= 0, TN_INVALID, "operator '%s' has the opset %d", out->name, out->opset);
    TN_TRY(check_ports(out, "input", out->input, out->input_count, 0));
    return check_ports(out, "output", out->output, out->output_count, 1);
}

/* ---- Making ----------------------------------------------------------------------------------*/

static tn_status copy_ports(tn_arena *arena, const char *what, const tn_op_port *from,
                            int32_t count, const tn_port **out)
{
    tn_port *port = TN_NEW_ARRAY(arena, tn_port, count);
    TN_CHECK(port, TN_OUT_OF_MEMORY, "no memory for an operator");
    for (int32_t i = 0; i < count; i++) {
        port[i].name = from[i].name ? tn_arena_text(arena, from[i].name, strlen(from[i].name))
                                    : tn_arena_printf(arena, "%s %d", what, i);
        TN_CHECK(port[i].name, TN_OUT_OF_MEMORY, "no memory for an operator");
        uint64_t all = (UINT64_C(1) << TN_DTYPE_END) - 2;
        port[i].types = (tn_dtypes)(from[i].dtypes ? from[i].dtypes : all);
        port[i].var = from[i].group ? (char)('A' + from[i].group - 1) : 0;
        if (from[i].flags & TN_OP_OPTIONAL) port[i].flags |= TN_PORT_OPTIONAL;
        if (from[i].flags & TN_OP_VARIADIC) port[i].flags |= TN_PORT_VARIADIC;
    }
    *out = port;
    return NULL;
}

static tn_status fill(tn_user_op *user, const char *library)
{
    tn_op_spec *spec = &user->spec;
    tn_arena *arena = &user->arena;
    tn_op *op = &user->entry.op;
    bool foreign = spec->domain && spec->domain[0] && strcmp(spec->domain, "ai.onnx") != 0;
    user->library = tn_arena_text(arena, library, strlen(library));
    op->file_name = tn_arena_text(arena, spec->name, strlen(spec->name));
    op->domain = foreign ? tn_arena_text(arena, spec->domain, strlen(spec->domain)) : NULL;
    op->name = foreign ? tn_arena_printf(arena, "%s.%s", spec->domain, spec->name) : op->file_name;
    const char *tactic = tn_arena_printf(arena, "cpu.%s.any.reference", op->name ? op->name : "");
    TN_CHECK(user->library && op->file_name && op->name && tactic && (!foreign || op->domain),
             TN_OUT_OF_MEMORY, "no memory for an operator");
    TN_TRY(copy_ports(arena, "input", spec->input, spec->input_count, &op->in));
    TN_TRY(copy_ports(arena, "output", spec->output, spec->output_count, &op->out));
    op->since = spec->opset ? spec->opset : 1;
    op->about = "registered by a program or a library";
    op->in_count = spec->input_count;
    op->out_count = spec->output_count;
    op->pack = tn_user_params_pack;
    op->infer = tn_user_infer;
    op->reference = tn_user_launch;
    op->scratch_bytes = tn_user_scratch_bytes;
    op->impure = spec->impure;
    user->tactic.tactic = tn_reference_tactic(op, tactic);
    user->tactic.tactic.revision = 1 + spec->revision;
    user->tactic.tactic.params_fit = tn_user_params_fit;
    /* The copies are in the operator; what was borrowed is not to be looked at again. */
    spec->domain = op->domain;
    spec->name = op->file_name;
    spec->input = spec->output = NULL;
    return NULL;
}

tn_status tn_user_op_new(const tn_op_spec *spec, const char *library, tn_user_op **out)
{
    tn_op_spec taken;
    tn_arena arena;
    *out = NULL;
    TN_TRY(take_spec(spec, &taken));
    tn_arena_init(&arena);
    tn_user_op *user = TN_NEW(&arena, tn_user_op);
    if (!user) {
        tn_arena_fini(&arena);
        TN_FAIL(TN_OUT_OF_MEMORY, "no memory for an operator");
    }
    user->arena = arena;
    user->spec = taken;
    tn_status status = fill(user, library);
    if (status) {
        tn_user_op_free(user);
        return tn_status_note(status, "while registering operator '%s'", taken.name);
    }
    *out = user;
    return NULL;
}

void tn_user_op_free(tn_user_op *op)
{
    tn_arena arena;
    if (!op) return;
    arena = op->arena; /* it holds itself */
    tn_arena_fini(&arena);
}

/* ---- Adding ----------------------------------------------------------------------------------*/

static bool is_tactic(const char *name)
{
    for (const tn_tactic *const *t = tn_reference_tactics(); *t; t++)
        if (!strcmp((*t)->name, name)) return true;
    return false;
}

static tn_status check_free(const tn_user_op *user)
{
    const tn_op *op = &user->entry.op, *other = tn_op_find(op->domain, op->file_name);
    if (!other) other = tn_op_find_any(op->name);
    const char *library = other ? tn_user_op_library(other) : NULL;
    TN_CHECK(!other && !is_tactic(user->tactic.tactic.name), TN_INVALID,
             "there is an operator '%s' of domain '%s' already%s%s", op->file_name,
             op->domain ? op->domain : "ai.onnx",
             !library     ? ": it is Tenon's own"
             : library[0] ? ", from "
                          : ", registered by the program",
             library ? library : "");
    return NULL;
}

/* Under the lock. */
static tn_status add(tn_user_op *first)
{
    for (const tn_user_op *op = first; op; op = op->next) {
        TN_TRY(check_free(op));
        for (const tn_user_op *other = first; other != op; other = other->next)
            TN_CHECK(strcmp(other->entry.op.name, op->entry.op.name) != 0, TN_INVALID,
                     "operator '%s' is registered twice", op->entry.op.name);
    }
    for (tn_user_op *op = first; op; op = op->next) {
        tn_tactic_entry_add(&op->tactic); /* first: whoever finds the operator finds its tactic */
        tn_op_entry_add(&op->entry);
    }
    return NULL;
}

tn_status tn_user_ops_add(tn_user_op *first)
{
    pthread_mutex_lock(&add_lock);
    tn_status status = add(first);
    pthread_mutex_unlock(&add_lock);
    return status;
}

const char *tn_user_op_library(const tn_op *op)
{
    if (op->pack != tn_user_params_pack) return NULL;
    return ((const tn_user_op *)(const void *)op)->library;
}
