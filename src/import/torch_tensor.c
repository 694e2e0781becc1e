/* Storages and tensors, as torch.save describes them:
 *
 *     persistent id: ("storage", class of the storage, key, device, count of elements [, part])
 *     _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)
 *     _rebuild_tensor_v3(... , dtype): over an untyped storage
 *     _rebuild_parameter(tensor, requires_grad, hooks)
 *
 * Offsets and strides count elements. Views may overlap and have holes; what they may not is reach
 * outside their storage.
 */
#include <string.h>

#include "import/torch_import.h"

enum { KEY_MAX = 127 };

typedef tn_pickle_value value;

static const struct {
    const char *name;
    tn_dtype dtype;
} storage_types[] =
    {
        {"FloatStorage", TN_DTYPE_F32},        {"DoubleStorage", TN_DTYPE_F64},
        {"HalfStorage", TN_DTYPE_F16},         {"BFloat16Storage", TN_DTYPE_BF16},
        {"LongStorage", TN_DTYPE_I64},         {"IntStorage", TN_DTYPE_I32},
        {"ShortStorage", TN_DTYPE_I16},        {"CharStorage", TN_DTYPE_I8},
        {"ByteStorage", TN_DTYPE_U8},          {"BoolStorage", TN_DTYPE_BOOL},
        {"ComplexFloatStorage", TN_DTYPE_C64}, {"ComplexDoubleStorage", TN_DTYPE_C128},
        {"QInt8Storage", TN_DTYPE_I8},         {"QUInt8Storage", TN_DTYPE_U8},
        {"QInt32Storage", TN_DTYPE_I32},       {"QUInt4x2Storage", TN_DTYPE_U8},
        {"QUInt2x4Storage", TN_DTYPE_U8},      {"UntypedStorage", TN_DTYPE_U8},
        {"_UntypedStorage", TN_DTYPE_U8},
},
  element_types[] = {
      {"torch.float32", TN_DTYPE_F32},
      {"torch.float64", TN_DTYPE_F64},
      {"torch.float16", TN_DTYPE_F16},
      {"torch.bfloat16", TN_DTYPE_BF16},
      {"torch.int64", TN_DTYPE_I64},
      {"torch.int32", TN_DTYPE_I32},
      {"torch.int16", TN_DTYPE_I16},
      {"torch.int8", TN_DTYPE_I8},
      {"torch.uint8", TN_DTYPE_U8},
      {"torch.uint16", TN_DTYPE_U16},
      {"torch.uint32", TN_DTYPE_U32},
      {"torch.uint64", TN_DTYPE_U64},
      {"torch.bool", TN_DTYPE_BOOL},
      {"torch.complex64", TN_DTYPE_C64},
      {"torch.complex128", TN_DTYPE_C128},
      {"torch.float8_e4m3fn", TN_DTYPE_F8E4M3FN},
      {"torch.float8_e5m2", TN_DTYPE_F8E5M2},
      {"torch.float8_e4m3fnuz", TN_DTYPE_F8E4M3FNUZ},
      {"torch.float8_e5m2fnuz", TN_DTYPE_F8E5M2FNUZ},
      {"torch.float8_e8m0fnu", TN_DTYPE_F8E8M0},
};

static const value *item(const value *tuple, int64_t index)
{
    return index < tuple->as.list.count ? tuple->as.list.at[index] : NULL;
}

static bool is_text(const value *v)
{
    return v && v->kind == TN_PICKLE_TEXT;
}

static bool is_size(const value *v)
{
    return v && v->kind == TN_PICKLE_INT && v->as.integer >= 0;
}

/* ---- Storages ---------------------------------------------------------------------------------*/

/* "torch.FloatStorage", "torch.cuda.FloatStorage", "torch.storage.UntypedStorage". */
static tn_dtype storage_type(const value *name)
{
    static const char *const modules[] = {"torch.cuda.", "torch.storage.", "torch."};
    for (size_t m = 0; m < TN_COUNT(modules); m++) {
        size_t bytes = strlen(modules[m]);
        if (name->as.text.bytes < bytes || memcmp(name->as.text.at, modules[m], bytes) != 0)
            continue;
        for (size_t i = 0; i < TN_COUNT(storage_types); i++)
            if (strcmp(name->as.text.at + bytes, storage_types[i].name) == 0)
                return storage_types[i].dtype;
    }
    return TN_DTYPE_NONE;
}

static tn_status find_storage(tn_torch *torch, const tn_pickle *p, const value *key,
                              tn_torch_storage **out)
{
    char name[KEY_MAX + 1] = {0};
    TN_CHECK(key->as.text.bytes <= KEY_MAX && !memchr(key->as.text.at, 0, key->as.text.bytes),
             TN_CORRUPT, "a storage key has a zero in it or more than %d bytes", KEY_MAX);
    memcpy(name, key->as.text.at, key->as.text.bytes);
    *out = tn_map_find(&torch->storages, name);
    if (*out) return NULL;
    tn_torch_storage *s = TN_NEW(&torch->arena, tn_torch_storage);
    TN_CHECK(s, TN_OUT_OF_MEMORY, "no memory for a storage");
    s->key = tn_arena_text(&torch->arena, name, key->as.text.bytes);
    TN_CHECK(s->key, TN_OUT_OF_MEMORY, "no memory for a storage");
    s->op_at = p->op_at;
    s->next = torch->first;
    torch->first = s;
    TN_TRY(tn_map_put(&torch->storages, name, s));
    *out = s;
    return NULL;
}

/* (key of the part, offset, count): a part of a storage, in the legacy form. */
static tn_status narrow(const value *part, uint64_t width, tn_torch_view *view)
{
    if (!part || part->kind == TN_PICKLE_NONE) return NULL;
    TN_CHECK(part->kind == TN_PICKLE_TUPLE && is_size(item(part, 1)) && is_size(item(part, 2)),
             TN_CORRUPT, "a part of a storage is described by a %s, not (key, offset, count)",
             tn_pickle_kind_name(part->kind));
    uint64_t all = view->bytes / width, offset = (uint64_t)item(part, 1)->as.integer;
    uint64_t count = (uint64_t)item(part, 2)->as.integer;
    TN_CHECK(offset <= all && count <= all - offset, TN_CORRUPT,
             "a part of a storage (%llu elements from %llu) lies outside its %llu elements",
             (unsigned long long)count, (unsigned long long)offset, (unsigned long long)all);
    view->begin = offset * width;
    view->bytes = count * width;
    return NULL;
}

static tn_status make_storage(tn_pickle *p, const value *id, value **out)
{
    tn_torch *torch = p->self;
    TN_CHECK(id->kind == TN_PICKLE_TUPLE && is_text(item(id, 0)), TN_CORRUPT,
             "a persistent id is a %s, not a tuple that begins with text",
             tn_pickle_kind_name(id->kind));
    if (tn_pickle_is(item(id, 0), TN_PICKLE_TEXT, "module") && item(id, 1) &&
        item(id, 1)->kind == TN_PICKLE_GLOBAL) {
        *out = id->as.list.at[1]; /* a class with its source text beside it (legacy) */
        return NULL;
    }
    TN_CHECK(tn_pickle_is(item(id, 0), TN_PICKLE_TEXT, "storage"), TN_UNSUPPORTED,
             "a persistent id of kind '%s'; only storages are known",
             tn_show(item(id, 0)->as.text.at, item(id, 0)->as.text.bytes).text);
    const value *class = item(id, 1), *key = item(id, 2), *count = item(id, 4);
    TN_CHECK(class && class->kind == TN_PICKLE_GLOBAL && is_text(key) && is_size(count), TN_CORRUPT,
             "a storage is not described by (\"storage\", class, key, device, count)");
    tn_torch_view *view = TN_NEW(&torch->arena, tn_torch_view);
    TN_CHECK(view, TN_OUT_OF_MEMORY, "no memory for a storage");
    view->dtype = storage_type(class);
    TN_CHECK(view->dtype, TN_UNSUPPORTED, "a storage of class '%s', which is not known",
             tn_show(class->as.text.at, class->as.text.bytes).text);
    uint32_t width = (uint32_t)tn_dtype_bits(view->dtype) / 8;
    uint64_t elements = (uint64_t)count->as.integer;
    TN_CHECK(elements <= INT64_MAX / width, TN_CORRUPT, "a storage of %llu elements",
             (unsigned long long)elements);
    TN_TRY(find_storage(torch, p, key, &view->storage));
    view->bytes = elements * width;
    view->storage->bytes = TN_MAX(view->storage->bytes, view->bytes);
    if (!view->storage->width) view->storage->width = width;
    TN_TRY(narrow(item(id, 5), width, view));
    TN_TRY(tn_pickle_new(p, TN_PICKLE_STORAGE, out));
    (*out)->as.made = view;
    return NULL;
}

/* ---- Tensors ----------------------------------------------------------------------------------*/

static tn_status read_shape(const value *size, const value *stride, tn_tensor *t)
{
    TN_CHECK(size && size->kind == TN_PICKLE_TUPLE && stride && stride->kind == TN_PICKLE_TUPLE &&
                 size->as.list.count == stride->as.list.count,
             TN_CORRUPT, "the size and the stride of a tensor are not two tuples of one length");
    TN_CHECK(size->as.list.count <= TN_RANK_MAX, TN_UNSUPPORTED,
             "a tensor of rank %lld; up to %d are supported", (long long)size->as.list.count,
             TN_RANK_MAX);
    t->rank = (int32_t)size->as.list.count;
    for (int32_t i = 0; i < t->rank; i++) {
        TN_CHECK(is_size(item(size, i)) && is_size(item(stride, i)), TN_CORRUPT,
                 "a dim or stride of a tensor is negative or not an integer");
        t->dim[i] = item(size, i)->as.integer;
        t->stride[i] = item(stride, i)->as.integer;
    }
    TN_CHECK(tn_tensor_bytes(t) >= 0, TN_CORRUPT, "the size of a tensor overflows");
    return NULL;
}

/* Elements from the first to behind the last one; false on overflow. */
static bool find_extent(const tn_tensor *t, int64_t *out)
{
    *out = 1;
    for (int32_t i = 0; i < t->rank; i++) {
        int64_t step;
        if (t->dim[i] == 0) {
            *out = 0;
            return true;
        }
        if (!tn_mul_i64(t->dim[i] - 1, t->stride[i], &step) ||
            __builtin_add_overflow(*out, step, out))
            return false;
    }
    return true;
}

static tn_status rebuild(tn_pickle *p, const value *arguments, tn_dtype dtype, value **out)
{
    tn_torch *torch = p->self;
    const value *storage = item(arguments, 0), *offset = item(arguments, 1);
    int64_t extent, width;
    TN_CHECK(storage && storage->kind == TN_PICKLE_STORAGE && is_size(offset), TN_CORRUPT,
             "a tensor is rebuilt from something other than a storage and an offset");
    tn_torch_tensor *t = TN_NEW(&torch->arena, tn_torch_tensor);
    TN_CHECK(t, TN_OUT_OF_MEMORY, "no memory for a tensor");
    t->view = storage->as.made;
    t->shape.dtype = dtype ? dtype : t->view->dtype;
    TN_TRY(read_shape(item(arguments, 2), item(arguments, 3), &t->shape));
    width = tn_dtype_bits(t->shape.dtype) / 8;
    bool inside = find_extent(&t->shape, &extent) &&
                  !__builtin_add_overflow(extent, offset->as.integer, &extent) &&
                  (uint64_t)extent <= t->view->bytes / (uint64_t)width;
    if (!inside && tn_tensor_count(&t->shape) > 0)
        TN_FAIL(TN_CORRUPT,
                "a tensor reaches beyond its storage '%s': from element %lld with its size and "
                "stride it needs more than the %llu bytes there",
                tn_show(t->view->storage->key, strlen(t->view->storage->key)).text,
                (long long)offset->as.integer, (unsigned long long)t->view->bytes);
    if (tn_tensor_count(&t->shape) > 0) {
        t->data_begin = t->view->begin + (uint64_t)(offset->as.integer * width);
        t->data_end = t->view->begin + (uint64_t)(extent * width);
    }
    TN_TRY(tn_pickle_new(p, TN_PICKLE_TENSOR, out));
    (*out)->as.made = t;
    return NULL;
}

static tn_status rebuild_v3(tn_pickle *p, const value *arguments, value **out)
{
    const value *name = item(arguments, 6);
    for (size_t i = 0; name && i < TN_COUNT(element_types); i++)
        if (tn_pickle_is(name, TN_PICKLE_GLOBAL, element_types[i].name)) {
            TN_TRY(rebuild(p, arguments, element_types[i].dtype, out));
            return NULL;
        }
    TN_CHECK(name && name->kind == TN_PICKLE_GLOBAL, TN_CORRUPT,
             "a tensor of an untyped storage does not say its dtype");
    TN_FAIL(TN_UNSUPPORTED, "a tensor of type '%s', which is not known",
            tn_show(name->as.text.at, name->as.text.bytes).text);
}

/* A wrapper round a tensor: the tensor itself. */
static tn_status unwrap(const value *arguments, value **out)
{
    TN_CHECK(arguments->as.list.count > 0, TN_CORRUPT, "a parameter is made of nothing");
    value *first = arguments->as.list.at[0];
    if (first->kind == TN_PICKLE_TENSOR) *out = first;
    return NULL;
}

/* Calls that stand for what they are given. */
static bool is_plain(const value *callable)
{
    static const char *const names[] = {"torch.Size", "torch.device",
                                        "torch.serialization._get_layout"};
    for (size_t i = 0; i < TN_COUNT(names); i++)
        if (tn_pickle_is(callable, TN_PICKLE_GLOBAL, names[i])) return true;
    return false;
}

static tn_status call(tn_pickle *p, const value *callable, const value *arguments, value **out)
{
    const value *args = arguments;
    /* _rebuild_from_type_v2(function, class, arguments, state): subclasses of Tensor */
    if (tn_pickle_is(callable, TN_PICKLE_GLOBAL, "torch._tensor._rebuild_from_type_v2")) {
        TN_CHECK(item(args, 0) && item(args, 0)->kind == TN_PICKLE_GLOBAL && item(args, 2) &&
                     item(args, 2)->kind == TN_PICKLE_TUPLE,
                 TN_CORRUPT, "a tensor of a class of its own does not say how to rebuild it");
        callable = item(args, 0);
        args = item(args, 2);
    }
    if (tn_pickle_is(callable, TN_PICKLE_GLOBAL, "torch._utils._rebuild_tensor_v2") ||
        tn_pickle_is(callable, TN_PICKLE_GLOBAL, "torch._utils._rebuild_tensor"))
        TN_TRY(rebuild(p, args, TN_DTYPE_NONE, out));
    else if (tn_pickle_is(callable, TN_PICKLE_GLOBAL, "torch._utils._rebuild_tensor_v3"))
        TN_TRY(rebuild_v3(p, args, out));
    else if (tn_pickle_is(callable, TN_PICKLE_GLOBAL, "torch._utils._rebuild_parameter") ||
             tn_pickle_is(callable, TN_PICKLE_GLOBAL,
                          "torch._utils._rebuild_parameter_with_state") ||
             tn_pickle_is(callable, TN_PICKLE_GLOBAL, "torch.nn.parameter.Parameter"))
        TN_TRY(unwrap(args, out));
    else if (is_plain(callable) && item(args, 0)) *out = args->as.list.at[0];
    return NULL;
}

tn_pickle tn_torch_pickle(tn_torch *torch, const char *what, const uint8_t *bytes, size_t count)
{
    return (tn_pickle){
        .arena = &torch->arena,
        .what = what,
        .begin = bytes,
        .at = bytes,
        .end = bytes + count,
        .persistent = make_storage,
        .call = call,
        .self = torch,
    };
}
