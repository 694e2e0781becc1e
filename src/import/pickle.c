/* The stack machine: see pickle.h. */
#include "import/pickle.h"

#include <string.h>

enum { NAME_MAX_BYTES = 512, PICKLE_MAX_BYTES = 1 << 28 };

typedef tn_pickle_value value;

static value mark_value = {.kind = TN_PICKLE_MARK};
static value none_value = {.kind = TN_PICKLE_NONE};
static value true_value = {.kind = TN_PICKLE_BOOL, .as.integer = 1};
static value false_value = {.kind = TN_PICKLE_BOOL, .as.integer = 0};
static value empty_tuple = {.kind = TN_PICKLE_TUPLE};

const char *tn_pickle_kind_name(tn_pickle_kind kind)
{
    static const char *const names[] = {
        "mark",  "None", "bool", "integer", "long integer", "float",  "text",    "bytes",
        "tuple", "list", "set",  "dict",    "name",         "object", "storage", "tensor",
    };
    return names[kind];
}

tn_shown tn_show(const char *at, size_t bytes)
{
    enum { SHOWN_MAX = 60 };
    tn_shown shown = {{0}};
    size_t count = TN_MIN(bytes, (size_t)SHOWN_MAX);
    for (size_t i = 0; i < count; i++)
        shown.text[i] = (unsigned char)at[i] < 32 || at[i] == 127 ? '?' : at[i];
    if (bytes > SHOWN_MAX) memcpy(shown.text + SHOWN_MAX - 3, "...", 3);
    return shown;
}

tn_status tn_pickle_new(tn_pickle *p, tn_pickle_kind kind, value **out)
{
    *out = TN_NEW(p->arena, value);
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for a value of %s", p->what);
    (*out)->kind = kind;
    return NULL;
}

bool tn_pickle_is(const value *v, tn_pickle_kind kind, const char *text)
{
    return v && v->kind == kind && v->as.text.bytes == strlen(text) &&
           memcmp(v->as.text.at, text, v->as.text.bytes) == 0;
}

value *tn_pickle_get(const value *dict, const char *key)
{
    if (!dict || dict->kind != TN_PICKLE_DICT) return NULL;
    for (int64_t i = dict->as.list.count - 2; i >= 0; i -= 2)
        if (tn_pickle_is(dict->as.list.at[i], TN_PICKLE_TEXT, key)) return dict->as.list.at[i + 1];
    return NULL;
}

/* ---- Bytes and stack -------------------------------------------------------------------------*/

static tn_status take(tn_pickle *p, size_t bytes, const uint8_t **out)
{
    TN_CHECK((size_t)(p->end - p->at) >= bytes, TN_CORRUPT,
             "%s ends early: %zu bytes are needed here, %zu are left", p->what, bytes,
             (size_t)(p->end - p->at));
    *out = p->at;
    p->at += bytes;
    return NULL;
}

/* A little-endian number of 1, 2 or 4 bytes. */
static tn_status take_number(tn_pickle *p, size_t bytes, uint32_t *out)
{
    const uint8_t *at;
    *out = 0;
    TN_TRY(take(p, bytes, &at));
    for (size_t i = 0; i < bytes; i++) *out |= (uint32_t)at[i] << (8 * i);
    return NULL;
}

static tn_status append(tn_pickle *p, tn_pickle_list *list, value *v)
{
    TN_TRY(tn_arena_grow(p->arena, &list->at, list->count, &list->capacity, list->count + 1,
                         sizeof(value *)));
    list->at[list->count++] = v;
    return NULL;
}

static tn_status push(tn_pickle *p, value *v)
{
    TN_TRY(append(p, &p->stack, v));
    return NULL;
}

static tn_status push_new(tn_pickle *p, tn_pickle_kind kind, value **out)
{
    TN_TRY(tn_pickle_new(p, kind, out));
    TN_TRY(push(p, *out));
    return NULL;
}

static tn_status push_text(tn_pickle *p, tn_pickle_kind kind, size_t bytes)
{
    const uint8_t *at;
    value *v;
    TN_TRY(take(p, bytes, &at));
    TN_TRY(push_new(p, kind, &v));
    v->as.text.at = (const char *)at;
    v->as.text.bytes = bytes;
    return NULL;
}

static tn_status push_integer(tn_pickle *p, int64_t integer)
{
    value *v;
    TN_TRY(push_new(p, TN_PICKLE_INT, &v));
    v->as.integer = integer;
    return NULL;
}

static tn_status peek(const tn_pickle *p, value **out)
{
    TN_CHECK(p->stack.count > 0, TN_CORRUPT, "the stack is empty where a value is needed");
    *out = p->stack.at[p->stack.count - 1];
    TN_CHECK((*out)->kind != TN_PICKLE_MARK, TN_CORRUPT,
             "there is a mark on the stack where a value is needed");
    return NULL;
}

static tn_status pop(tn_pickle *p, value **out)
{
    TN_TRY(peek(p, out));
    p->stack.count--;
    return NULL;
}

/* The items above the topmost mark; they and the mark leave the stack but stay readable until the
 * next push. */
static tn_status pop_mark(tn_pickle *p, value ***items, int64_t *count)
{
    int64_t at = p->stack.count - 1;
    while (at >= 0 && p->stack.at[at]->kind != TN_PICKLE_MARK) at--;
    TN_CHECK(at >= 0, TN_CORRUPT, "there is no mark on the stack where one is needed");
    *items = p->stack.at + at + 1;
    *count = p->stack.count - at - 1;
    p->stack.count = at;
    return NULL;
}

/* ---- Values -----------------------------------------------------------------------------------*/

static tn_status push_tuple(tn_pickle *p, value *const *items, int64_t count)
{
    value *v;
    TN_TRY(tn_pickle_new(p, TN_PICKLE_TUPLE, &v));
    v->as.list.at = TN_NEW_ARRAY(p->arena, value *, count);
    TN_CHECK(v->as.list.at, TN_OUT_OF_MEMORY, "no memory for a tuple of %lld", (long long)count);
    for (int64_t i = 0; i < count; i++) v->as.list.at[i] = items[i];
    v->as.list.count = v->as.list.capacity = count;
    TN_TRY(push(p, v));
    return NULL;
}

static tn_status top_tuple(tn_pickle *p, int64_t count)
{
    for (int64_t i = 1; i <= count; i++)
        TN_CHECK(i <= p->stack.count && p->stack.at[p->stack.count - i]->kind != TN_PICKLE_MARK,
                 TN_CORRUPT, "a tuple of %lld needs more values than are on the stack",
                 (long long)count);
    p->stack.count -= count;
    TN_TRY(push_tuple(p, p->stack.at + p->stack.count, count));
    return NULL;
}

static tn_status marked_tuple(tn_pickle *p)
{
    value **items;
    int64_t count;
    TN_TRY(pop_mark(p, &items, &count));
    TN_TRY(push_tuple(p, items, count));
    return NULL;
}

/* Items into a list; objects of classes that behave as lists are allowed and stay without them. */
static tn_status append_items(tn_pickle *p, value *const *items, int64_t count)
{
    value *target;
    TN_TRY(peek(p, &target));
    if (target->kind == TN_PICKLE_OBJECT) return NULL;
    TN_CHECK(target->kind == TN_PICKLE_LIST, TN_CORRUPT, "items are appended to a %s",
             tn_pickle_kind_name(target->kind));
    for (int64_t i = 0; i < count; i++) TN_TRY(append(p, &target->as.list, items[i]));
    return NULL;
}

static tn_status set_items(tn_pickle *p, value *const *items, int64_t count)
{
    value *target;
    TN_TRY(peek(p, &target));
    TN_CHECK(count % 2 == 0, TN_CORRUPT, "a dict is given a key without a value");
    if (target->kind == TN_PICKLE_OBJECT) return NULL;
    TN_CHECK(target->kind == TN_PICKLE_DICT, TN_CORRUPT, "items are set in a %s",
             tn_pickle_kind_name(target->kind));
    for (int64_t i = 0; i < count; i++) TN_TRY(append(p, &target->as.list, items[i]));
    return NULL;
}

/* SETITEM, SETITEMS, APPEND, APPENDS: the items lie above their container. */
static tn_status add_items(tn_pickle *p, bool marked, int64_t single,
                           tn_status (*add)(tn_pickle *p, value *const *items, int64_t count))
{
    value **items, *unused;
    int64_t count = single;
    if (marked) TN_TRY(pop_mark(p, &items, &count));
    for (int64_t i = 0; !marked && i < single; i++) TN_TRY(pop(p, &unused));
    if (!marked) items = p->stack.at + p->stack.count;
    TN_TRY(add(p, items, count));
    return NULL;
}

/* torch saves the attributes of a dict (its _metadata) and of tensors this way too: of no use. */
static tn_status build(tn_pickle *p)
{
    value *state, *target;
    TN_TRY(pop(p, &state));
    TN_TRY(peek(p, &target));
    if (target->kind == TN_PICKLE_DICT || target->kind == TN_PICKLE_TENSOR) return NULL;
    TN_CHECK(target->kind == TN_PICKLE_OBJECT, TN_CORRUPT, "a %s is given a state",
             tn_pickle_kind_name(target->kind));
    /* (state of __dict__, state of __slots__) */
    if (state->kind == TN_PICKLE_TUPLE && state->as.list.count == 2) state = state->as.list.at[0];
    target->as.object.state = state;
    return NULL;
}

/* ---- Names and calls --------------------------------------------------------------------------*/

/* Modules whose names in a pickle mean an attempt to run something. Nothing would be run anyway;
 * but who gets such a file should know. */
static bool is_refused(const char *module, const char *name)
{
    static const char *const refused[] = {
        "os",
        "posix",
        "nt",
        "sys",
        "subprocess",
        "shutil",
        "socket",
        "ctypes",
        "pty",
        "runpy",
        "code",
        "importlib",
        "commands",
        "pdb",
        "pickle",
        "_pickle",
        "cPickle",
        "marshal",
        "webbrowser",
        "signal",
        "platform",
        "asyncio",
        "multiprocessing",
    };
    static const char *const harmless[] = {
        "set",   "frozenset", "bytearray", "bytes", "complex", "dict",  "list",   "int",
        "float", "bool",      "str",       "tuple", "slice",   "range", "object",
    };
    size_t first = strcspn(module, ".");
    for (size_t i = 0; i < TN_COUNT(refused); i++)
        if (strlen(refused[i]) == first && memcmp(module, refused[i], first) == 0) return true;
    if (strcmp(module, "builtins") != 0) return false;
    for (size_t i = 0; i < TN_COUNT(harmless); i++)
        if (strcmp(name, harmless[i]) == 0) return false;
    return true;
}

static tn_status take_line(tn_pickle *p, const char **out)
{
    size_t most = TN_MIN((size_t)(p->end - p->at), (size_t)NAME_MAX_BYTES);
    const uint8_t *stop = most ? memchr(p->at, '\n', most) : NULL;
    TN_CHECK(stop && stop > p->at && !memchr(p->at, 0, (size_t)(stop - p->at)), TN_CORRUPT,
             "a name is empty, has no end, or is longer than %d bytes", NAME_MAX_BYTES);
    *out = tn_arena_text(p->arena, (const char *)p->at, (size_t)(stop - p->at));
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for a name");
    p->at = stop + 1;
    return NULL;
}

static tn_status push_global(tn_pickle *p)
{
    const char *module, *name;
    value *v;
    TN_TRY(take_line(p, &module));
    TN_TRY(take_line(p, &name));
    if (strcmp(module, "__builtin__") == 0) module = "builtins";
    if (strcmp(module, "copy_reg") == 0) module = "copyreg";
    TN_CHECK(
        !is_refused(module, name), TN_UNSUPPORTED,
        "it asks for '%s.%s', which no checkpoint needs: loading this file elsewhere could run "
        "code. Tenon refuses it and ran nothing",
        tn_show(module, strlen(module)).text, tn_show(name, strlen(name)).text);
    const char *both = tn_arena_printf(p->arena, "%s.%s", module, name);
    TN_CHECK(both, TN_OUT_OF_MEMORY, "no memory for a name");
    TN_TRY(push_new(p, TN_PICKLE_GLOBAL, &v));
    v->as.text.at = both;
    v->as.text.bytes = strlen(both);
    return NULL;
}

/* _codecs.encode(text, "latin1"): how Python 3 writes bytes in protocol 2. */
static tn_status encode_latin1(tn_pickle *p, const value *text, value **out)
{
    size_t bytes = 0;
    uint8_t *at = tn_arena_alloc(p->arena, text->as.text.bytes);
    TN_CHECK(at, TN_OUT_OF_MEMORY, "no memory for %zu bytes", text->as.text.bytes);
    for (size_t i = 0; i < text->as.text.bytes; i++) {
        uint8_t c = (uint8_t)text->as.text.at[i];
        if (c >= 0x80) {
            TN_CHECK((c & 0xFE) == 0xC2 && i + 1 < text->as.text.bytes &&
                         ((uint8_t)text->as.text.at[i + 1] & 0xC0) == 0x80,
                     TN_CORRUPT, "text that stands for bytes has letters beyond U+00FF");
            c = (uint8_t)(c << 6 | ((uint8_t)text->as.text.at[++i] & 0x3F));
        }
        at[bytes++] = c;
    }
    TN_TRY(tn_pickle_new(p, TN_PICKLE_BYTES, out));
    (*out)->as.text.at = (const char *)at;
    (*out)->as.text.bytes = bytes;
    return NULL;
}

/* A dict; from nothing, another dict or a list of pairs (as Python 2 wrote OrderedDict). */
static tn_status make_dict(tn_pickle *p, const value *from, value **out)
{
    TN_TRY(tn_pickle_new(p, TN_PICKLE_DICT, out));
    if (!from || (from->kind != TN_PICKLE_LIST && from->kind != TN_PICKLE_DICT)) return NULL;
    for (int64_t i = 0; i < from->as.list.count; i++) {
        value *item = from->as.list.at[i];
        if (from->kind == TN_PICKLE_DICT) {
            TN_TRY(append(p, &(*out)->as.list, item));
            continue;
        }
        TN_CHECK((item->kind == TN_PICKLE_LIST || item->kind == TN_PICKLE_TUPLE) &&
                     item->as.list.count == 2,
                 TN_CORRUPT, "a dict is made of something other than pairs");
        for (int k = 0; k < 2; k++) TN_TRY(append(p, &(*out)->as.list, item->as.list.at[k]));
    }
    return NULL;
}

/* The calls that mean plain data. Copies of lists and dicts are bounded by `copied`: else a pickle
 * could copy a long list with two bytes, again and again. */
static tn_status call_builtin(tn_pickle *p, const value *callable, const value *arguments,
                              value **out)
{
    static const char *const dicts[] = {"collections.OrderedDict", "collections.Counter",
                                        "collections.defaultdict", "builtins.dict"};
    const value *first = arguments->as.list.count > 0 ? arguments->as.list.at[0] : NULL;
    for (size_t i = 0; i < TN_COUNT(dicts); i++)
        if (tn_pickle_is(callable, TN_PICKLE_GLOBAL, dicts[i])) {
            if (first && (first->kind == TN_PICKLE_LIST || first->kind == TN_PICKLE_DICT)) {
                p->copied += (size_t)first->as.list.count;
                TN_CHECK(p->copied <= (size_t)(p->end - p->begin), TN_CORRUPT,
                         "it copies lists more often than %s has bytes", p->what);
            }
            TN_TRY(make_dict(p, first, out));
            return NULL;
        }
    bool bytes = tn_pickle_is(callable, TN_PICKLE_GLOBAL, "_codecs.encode") ||
                 tn_pickle_is(callable, TN_PICKLE_GLOBAL, "builtins.bytearray") ||
                 tn_pickle_is(callable, TN_PICKLE_GLOBAL, "builtins.bytes");
    if (bytes && first && first->kind == TN_PICKLE_TEXT) {
        p->copied += first->as.text.bytes;
        TN_CHECK(p->copied <= (size_t)(p->end - p->begin), TN_CORRUPT,
                 "it copies text more often than %s has bytes", p->what);
        TN_TRY(encode_latin1(p, first, out));
    } else if (bytes && (!first || first->kind == TN_PICKLE_BYTES)) {
        TN_TRY(tn_pickle_new(p, TN_PICKLE_BYTES, out));
        if (first) (*out)->as.text = first->as.text;
    } else if (tn_pickle_is(callable, TN_PICKLE_GLOBAL, "builtins.set") ||
               tn_pickle_is(callable, TN_PICKLE_GLOBAL, "builtins.frozenset")) {
        TN_TRY(tn_pickle_new(p, TN_PICKLE_SET, out));
        if (first && first->kind == TN_PICKLE_LIST) (*out)->as.list = first->as.list;
    }
    return NULL;
}

/* REDUCE and NEWOBJ: a class or function and a tuple of arguments become a value. */
static tn_status call(tn_pickle *p, bool is_class)
{
    value *callable, *arguments, *made = NULL;
    TN_TRY(pop(p, &arguments));
    TN_TRY(pop(p, &callable));
    TN_CHECK(arguments->kind == TN_PICKLE_TUPLE, TN_CORRUPT, "the arguments of a call are a %s",
             tn_pickle_kind_name(arguments->kind));
    const value *name = callable->kind == TN_PICKLE_OBJECT ? callable->as.object.of : callable;
    TN_CHECK(name->kind == TN_PICKLE_GLOBAL, TN_CORRUPT, "a %s is called",
             tn_pickle_kind_name(callable->kind));
    if (callable->kind == TN_PICKLE_GLOBAL) {
        if (p->call) TN_TRY(p->call(p, callable, arguments, &made));
        if (!made) TN_TRY(call_builtin(p, callable, arguments, &made));
    }
    if (!made) {
        bool class_inside = tn_pickle_is(name, TN_PICKLE_GLOBAL, "copyreg._reconstructor") &&
                            arguments->as.list.count > 0 &&
                            arguments->as.list.at[0]->kind == TN_PICKLE_GLOBAL;
        TN_TRY(tn_pickle_new(p, TN_PICKLE_OBJECT, &made));
        made->as.object.of = class_inside ? arguments->as.list.at[0] : name;
        if (!is_class && !class_inside && !p->unknown) p->unknown = name;
    }
    TN_TRY(push(p, made));
    return NULL;
}

static tn_status persistent_id(tn_pickle *p)
{
    value *id, *made = NULL;
    TN_TRY(pop(p, &id));
    TN_CHECK(p->persistent, TN_CORRUPT, "a persistent id has no place in %s", p->what);
    TN_TRY(p->persistent(p, id, &made));
    TN_TRY(push(p, made));
    return NULL;
}

/* ---- The memo ---------------------------------------------------------------------------------*/

static tn_status put(tn_pickle *p, uint32_t index)
{
    value *top;
    TN_TRY(peek(p, &top));
    TN_CHECK(index <= (size_t)(p->at - p->begin), TN_CORRUPT,
             "memo number %u is beyond what a pickle of this length can have reached", index);
    TN_TRY(tn_arena_grow(p->arena, &p->memo.at, p->memo.count, &p->memo.capacity,
                         (int64_t)index + 1, sizeof(value *)));
    p->memo.count = TN_MAX(p->memo.count, (int64_t)index + 1);
    p->memo.at[index] = top;
    return NULL;
}

static tn_status get(tn_pickle *p, uint32_t index)
{
    TN_CHECK(index < p->memo.count && p->memo.at[index], TN_CORRUPT,
             "memo number %u is read and was never written", index);
    TN_TRY(push(p, p->memo.at[index]));
    return NULL;
}

/* ---- Opcodes ----------------------------------------------------------------------------------*/

static tn_status push_long(tn_pickle *p)
{
    uint32_t bytes;
    const uint8_t *at;
    TN_TRY(take_number(p, 1, &bytes));
    if (bytes > 8) {
        TN_TRY(push_text(p, TN_PICKLE_BIG, bytes));
        return NULL;
    }
    TN_TRY(take(p, bytes, &at));
    uint64_t bits = bytes && at[bytes - 1] & 0x80 ? UINT64_MAX : 0;
    for (uint32_t i = bytes; i-- > 0;) bits = bits << 8 | at[i];
    TN_TRY(push_integer(p, (int64_t)bits));
    return NULL;
}

static tn_status push_float(tn_pickle *p)
{
    const uint8_t *at;
    value *v;
    uint64_t bits = 0;
    TN_TRY(take(p, 8, &at));
    for (int i = 0; i < 8; i++) bits = bits << 8 | at[i];
    TN_TRY(push_new(p, TN_PICKLE_FLOAT, &v));
    memcpy(&v->as.real, &bits, sizeof(bits));
    return NULL;
}

/* Opcodes that are followed by a number. */
static tn_status step_number(tn_pickle *p, uint8_t op)
{
    bool wide = op == 'r' || op == 'j' || op == 'J' || op == 'X';
    uint32_t number;
    TN_TRY(take_number(p, wide ? 4 : op == 'M' ? 2 : 1, &number));
    switch (op) {
    case 'K': /* BININT1 */
    case 'M': /* BININT2 */ TN_TRY(push_integer(p, number)); break;
    case 'J': /* BININT */ TN_TRY(push_integer(p, (int32_t)number)); break;
    case 'U': /* SHORT_BINSTRING */
    case 'X': /* BINUNICODE */ TN_TRY(push_text(p, TN_PICKLE_TEXT, number)); break;
    case 'q': /* BINPUT */
    case 'r': /* LONG_BINPUT */ TN_TRY(put(p, number)); break;
    case 'h': /* BINGET */
    case 'j': /* LONG_BINGET */ TN_TRY(get(p, number)); break;
    default: /* PROTO */ p->protocol = (int)number;
    }
    return NULL;
}

static tn_status step(tn_pickle *p, uint8_t op)
{
    value *fresh;
    switch (op) {
    case '(': /* MARK */ return push(p, &mark_value);
    case '}': /* EMPTY_DICT */ return push_new(p, TN_PICKLE_DICT, &fresh);
    case ']': /* EMPTY_LIST */ return push_new(p, TN_PICKLE_LIST, &fresh);
    case 0x8F: /* EMPTY_SET */ return push_new(p, TN_PICKLE_SET, &fresh);
    case ')': /* EMPTY_TUPLE */ return push(p, &empty_tuple);
    case 't': /* TUPLE */ return marked_tuple(p);
    case 0x85: /* TUPLE1 */
    case 0x86: /* TUPLE2 */
    case 0x87: /* TUPLE3 */ return top_tuple(p, op - 0x84);
    case 'a': /* APPEND */ return add_items(p, false, 1, append_items);
    case 'e': /* APPENDS */ return add_items(p, true, 0, append_items);
    case 's': /* SETITEM */ return add_items(p, false, 2, set_items);
    case 'u': /* SETITEMS */ return add_items(p, true, 0, set_items);
    case 'N': /* NONE */ return push(p, &none_value);
    case 0x88: /* NEWTRUE */ return push(p, &true_value);
    case 0x89: /* NEWFALSE */ return push(p, &false_value);
    case 0x8A: /* LONG1 */ return push_long(p);
    case 'G': /* BINFLOAT */ return push_float(p);
    case 'c': /* GLOBAL */ return push_global(p);
    case 0x81: /* NEWOBJ */ return call(p, true);
    case 'R': /* REDUCE */ return call(p, false);
    case 'b': /* BUILD */ return build(p);
    case 'Q': /* BINPERSID */ return persistent_id(p);
    case 0x80:
    case 'K':
    case 'M':
    case 'J':
    case 'U':
    case 'X':
    case 'q':
    case 'r':
    case 'h':
    case 'j': return step_number(p, op);
    default: break;
    }
    TN_CHECK(
        p->protocol == 2, TN_UNSUPPORTED,
        "opcode 0x%02x; the pickle says protocol %d, and only protocol 2, torch.save's default, "
        "is read: save again without pickle_protocol",
        op, p->protocol);
    TN_FAIL(TN_UNSUPPORTED, "opcode 0x%02x, which torch.save does not write", op);
}

tn_status tn_pickle_run(tn_pickle *p, value **out)
{
    const uint8_t *op = NULL;
    p->stack = p->memo = (tn_pickle_list){0};
    p->copied = 0;
    p->protocol = 0;
    do {
        p->op_at = p->base + (size_t)(p->at - p->begin);
        TN_TRY_NOTE(take(p, 1, &op), "at byte %zu of %s", p->op_at, p->what);
        TN_CHECK(p->at - p->begin <= PICKLE_MAX_BYTES, TN_UNSUPPORTED, "%s is longer than %d bytes",
                 p->what, PICKLE_MAX_BYTES);
        if (*op != '.') TN_TRY_NOTE(step(p, *op), "at byte %zu of %s", p->op_at, p->what);
    } while (*op != '.');
    TN_TRY_NOTE(pop(p, out), "at byte %zu of %s", p->op_at, p->what);
    TN_CHECK(p->stack.count == 0, TN_CORRUPT,
             "%s ends at byte %zu with %lld values too many on its stack", p->what, p->op_at,
             (long long)p->stack.count);
    return NULL;
}
