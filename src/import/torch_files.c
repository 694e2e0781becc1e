/* The two forms that torch.save writes.
 *
 * zip:     NAME/data.pkl, NAME/data/KEY for each storage, NAME/byteorder, NAME/version
 * legacy:  pickle of a magic number, of the version, of the writer's sizes, of the object, of the
 *          list of storage keys; then for each key a count of elements in 8 bytes and the data
 */
#include <stdio.h>
#include <string.h>

#include "import/torch_import.h"
#include "import/zip.h"

static void begin(tn_torch *torch, tn_checkpoint *checkpoint)
{
    *torch = (tn_torch){.checkpoint = checkpoint};
    tn_arena_init(&torch->arena);
    tn_map_init(&torch->storages, &torch->arena);
}

/* Run the pickle of the object and name what is in it. */
static tn_status read_object(tn_torch *torch, tn_pickle *p, tn_pickle_value **root)
{
    TN_TRY(tn_pickle_run(p, root));
    if (p->unknown)
        tn_checkpoint_say(torch->checkpoint,
                          "left out: what '%s' would make (a function that is not known; Tenon "
                          "calls none)",
                          tn_show(p->unknown->as.text.at, p->unknown->as.text.bytes).text);
    return NULL;
}

/* ---- Zip --------------------------------------------------------------------------------------*/

typedef struct zip_reader {
    tn_zip zip;
    const char *folder; /* "archive/" */
} zip_reader;

static const tn_zip_entry *find_inside(tn_torch *torch, const char *name, const char *more)
{
    const zip_reader *z = torch->self;
    const char *path = tn_arena_printf(&torch->arena, "%s%s%s", z->folder, name, more);
    return path ? tn_zip_find(&z->zip, path) : NULL;
}

static tn_status locate_in_zip(tn_torch *torch, tn_torch_storage *s)
{
    const zip_reader *z = torch->self;
    const tn_zip_entry *entry = find_inside(torch, "data/", s->key);
    TN_CHECK(entry, TN_CORRUPT,
             "storage '%s', named at byte %zu of data.pkl, is not in the archive",
             tn_show(s->key, strlen(s->key)).text, s->op_at);
    TN_CHECK(entry->bytes >= s->bytes, TN_CORRUPT,
             "storage '%s', named at byte %zu of data.pkl, has %llu bytes in the archive where the "
             "pickle says %llu",
             tn_show(s->key, strlen(s->key)).text, s->op_at, (unsigned long long)entry->bytes,
             (unsigned long long)s->bytes);
    TN_TRY(tn_zip_data(&z->zip, entry, &s->data));
    s->data_bytes = entry->bytes;
    return NULL;
}

/* The folder of the first entry: all others lie in the same. */
static tn_status find_folder(tn_torch *torch, zip_reader *z)
{
    const char *first = z->zip.count > 0 ? z->zip.entry[0].name : "";
    const char *slash = strchr(first, '/');
    z->folder = slash ? tn_arena_text(&torch->arena, first, (size_t)(slash - first) + 1) : "";
    TN_CHECK(z->folder, TN_OUT_OF_MEMORY, "no memory for a name");
    return NULL;
}

static tn_status check_byte_order(tn_torch *torch, const zip_reader *z)
{
    const tn_zip_entry *entry = find_inside(torch, "byteorder", "");
    const uint8_t *order;
    if (!entry) return NULL;
    TN_TRY(tn_zip_data(&z->zip, entry, &order));
    TN_CHECK(entry->bytes == 6 && memcmp(order, "little", 6) == 0, TN_UNSUPPORTED,
             "its numbers are in '%s' byte order; only little is read",
             tn_show((const char *)order, entry->bytes).text);
    return NULL;
}

static tn_status read_zip(tn_torch *torch)
{
    zip_reader z;
    const uint8_t *bytes;
    tn_pickle_value *root;
    TN_TRY(tn_zip_open(torch->checkpoint, &torch->arena, &z.zip));
    TN_TRY(find_folder(torch, &z));
    torch->self = &z;
    torch->locate = locate_in_zip;
    const tn_zip_entry *entry = find_inside(torch, "data.pkl", "");
    TN_CHECK(entry, TN_CORRUPT,
             "the zip archive has no '%sdata.pkl': it was not written by torch.save",
             tn_show(z.folder, strlen(z.folder)).text);
    TN_CHECK(!find_inside(torch, "constants.pkl", ""), TN_UNSUPPORTED,
             "it is a TorchScript archive (it has a constants.pkl): save the state_dict of the "
             "module with torch.save, or export it as ONNX");
    TN_TRY(check_byte_order(torch, &z));
    TN_TRY(tn_zip_data(&z.zip, entry, &bytes));
    tn_pickle p = tn_torch_pickle(torch, "data.pkl", bytes, (size_t)entry->bytes);
    TN_TRY(read_object(torch, &p, &root));
    TN_TRY(tn_torch_name_all(torch, root, (size_t)entry->bytes));
    return NULL;
}

tn_status tn_torch_zip_read(tn_checkpoint *checkpoint)
{
    tn_torch torch;
    checkpoint->form = "PyTorch zip";
    tn_checkpoint_say(checkpoint, "form: PyTorch zip (torch 1.6 or later)");
    begin(&torch, checkpoint);
    tn_status status = read_zip(&torch);
    tn_arena_fini(&torch.arena);
    return status;
}

/* ---- Legacy -----------------------------------------------------------------------------------*/

/* One of the pickles in a row; `at` moves behind it. */
static tn_status next_pickle(tn_torch *torch, const char *what, const uint8_t **at, bool is_object,
                             tn_pickle_value **out)
{
    const tn_checkpoint *c = torch->checkpoint;
    tn_pickle p = tn_torch_pickle(torch, what, *at, (size_t)(c->bytes + c->byte_count - *at));
    p.base = (size_t)(*at - c->bytes);
    if (!is_object) {
        p.persistent = NULL;
        p.call = NULL;
        TN_TRY(tn_pickle_run(&p, out));
    } else {
        TN_TRY(read_object(torch, &p, out));
    }
    *at = p.at;
    return NULL;
}

/* Data that follows pickles begins anywhere: where its elements are not aligned, it is copied once
 * for all tensors that share it. */
static tn_status locate_in_row(tn_torch *torch, tn_torch_storage *s)
{
    uint8_t *copy;
    TN_CHECK(s->data, TN_CORRUPT,
             "storage '%s', named at byte %zu, is not in the file's list of storages",
             tn_show(s->key, strlen(s->key)).text, s->op_at);
    if ((uintptr_t)s->data % TN_MAX(s->width, 1u) == 0) return NULL;
    TN_TRY(tn_checkpoint_copy_space(torch->checkpoint, (size_t)s->data_bytes, "a storage", &copy));
    memcpy(copy, s->data, (size_t)s->data_bytes);
    s->data = copy;
    return NULL;
}

static tn_status read_row(tn_torch *torch, const tn_pickle_value *keys, const uint8_t *at)
{
    const tn_checkpoint *c = torch->checkpoint;
    const uint8_t *end = c->bytes + c->byte_count;
    TN_CHECK(keys->kind == TN_PICKLE_LIST, TN_CORRUPT, "the list of storages is a %s",
             tn_pickle_kind_name(keys->kind));
    for (int64_t i = 0; i < keys->as.list.count; i++) {
        const tn_pickle_value *key = keys->as.list.at[i];
        TN_CHECK(key->kind == TN_PICKLE_TEXT, TN_CORRUPT, "the key of a storage is a %s",
                 tn_pickle_kind_name(key->kind));
        tn_shown shown = tn_show(key->as.text.at, key->as.text.bytes);
        const char *name = tn_arena_text(&torch->arena, key->as.text.at, key->as.text.bytes);
        TN_CHECK(name, TN_OUT_OF_MEMORY, "no memory for a name");
        tn_torch_storage *s = tn_map_find(&torch->storages, name);
        TN_CHECK(s && !s->data, TN_CORRUPT,
                 "the list of storages names '%s' twice, or no tensor uses it", shown.text);
        uint64_t count = 0;
        TN_CHECK(end - at >= 8, TN_CORRUPT, "the file ends at byte %zu, before storage '%s'",
                 c->byte_count, shown.text);
        for (int k = 8; k-- > 0;) count = count << 8 | at[k];
        at += 8;
        TN_CHECK(count <= (uint64_t)(end - at) / s->width, TN_CORRUPT,
                 "storage '%s' at byte %zu has %llu elements of %u bytes: the file ends before",
                 shown.text, (size_t)(at - c->bytes), (unsigned long long)count, s->width);
        s->data = at;
        s->data_bytes = count * s->width;
        TN_CHECK(s->data_bytes >= s->bytes, TN_CORRUPT,
                 "storage '%s' at byte %zu has %llu bytes where the pickle says %llu", shown.text,
                 (size_t)(at - c->bytes), (unsigned long long)s->data_bytes,
                 (unsigned long long)s->bytes);
        at += s->data_bytes;
    }
    return NULL;
}

static tn_status read_legacy(tn_torch *torch)
{
    const uint8_t *at = torch->checkpoint->bytes;
    tn_pickle_value *magic, *version, *sizes, *root, *keys;
    TN_TRY(next_pickle(torch, "the magic number", &at, false, &magic));
    TN_TRY(next_pickle(torch, "the version", &at, false, &version));
    TN_CHECK(version->kind == TN_PICKLE_INT && version->as.integer == 1001, TN_UNSUPPORTED,
             "the legacy form is of another version than 1001");
    TN_TRY(next_pickle(torch, "the writer's sizes", &at, false, &sizes));
    const tn_pickle_value *little = tn_pickle_get(sizes, "little_endian");
    TN_CHECK(!little || (little->kind == TN_PICKLE_BOOL && little->as.integer), TN_UNSUPPORTED,
             "its numbers are in big byte order; only little is read");
    const uint8_t *object_at = at;
    TN_TRY(next_pickle(torch, "the object's pickle", &at, true, &root));
    size_t object_bytes = (size_t)(at - object_at);
    TN_TRY(next_pickle(torch, "the list of storages", &at, false, &keys));
    TN_TRY(read_row(torch, keys, at));
    torch->locate = locate_in_row;
    TN_TRY(tn_torch_name_all(torch, root, object_bytes));
    return NULL;
}

tn_status tn_torch_legacy_read(tn_checkpoint *checkpoint)
{
    tn_torch torch;
    checkpoint->form = "PyTorch legacy";
    tn_checkpoint_say(checkpoint, "form: PyTorch legacy (before torch 1.6)");
    begin(&torch, checkpoint);
    tn_status status = read_legacy(&torch);
    tn_arena_fini(&torch.arena);
    return status;
}
