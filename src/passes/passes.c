/* The list of passes and the loop that runs them: after each one that changed something the graph
 * is inferred anew and verified, so that a wrong rewrite is found where it was made. */
#include "passes/passes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "ir/subgraph.h"

extern const tn_pass tn_pass_fuse_quantized, tn_pass_fold_constants, tn_pass_inline_if,
    tn_pass_shape_simplify, tn_pass_remove_identity, tn_pass_order_operands, tn_pass_merge_same,
    tn_pass_merge_transposes, tn_pass_merge_patches, tn_pass_fuse_layer_norm,
    tn_pass_fuse_embedding, tn_pass_fuse_gelu, tn_pass_fuse_conv_norm, tn_pass_fuse_gemm,
    tn_pass_fuse_linear, tn_pass_fuse_conv_epilogue, tn_pass_pack_qkv, tn_pass_fuse_attention,
    tn_pass_fuse_windows, tn_pass_narrow_masks, tn_pass_fuse_recurrent_stack,
    tn_pass_pick_rows_early, tn_pass_channels_last, tn_pass_merge_projections,
    tn_pass_fuse_conv_pool, tn_pass_fuse_halves, tn_pass_fuse_norm_linear,
    tn_pass_fuse_linear_norm_linear, tn_pass_simplify_elements, tn_pass_simplify_targets,
    tn_pass_drop_dead, tn_pass_fold_for_files, tn_pass_channels_last_bytes;

/* Values first, then what they make superfluous; the sweep ends by clearing up. */
static const tn_pass *const passes[] = {
    &tn_pass_fuse_quantized,
    &tn_pass_fold_constants,
    &tn_pass_fold_for_files,
    &tn_pass_inline_if,
    &tn_pass_shape_simplify,
    &tn_pass_remove_identity,
    &tn_pass_order_operands,
    &tn_pass_merge_same,
    &tn_pass_merge_transposes,
    &tn_pass_merge_patches,
    &tn_pass_fuse_layer_norm,
    &tn_pass_fuse_embedding,
    &tn_pass_fuse_gelu,
    &tn_pass_fuse_conv_norm,
    &tn_pass_fuse_gemm,
    &tn_pass_fuse_linear,
    &tn_pass_fuse_conv_epilogue,
    &tn_pass_pack_qkv,
    &tn_pass_fuse_attention,
    &tn_pass_fuse_windows,
    &tn_pass_simplify_elements,
    &tn_pass_narrow_masks,
    &tn_pass_fuse_recurrent_stack,
    &tn_pass_pick_rows_early,
    &tn_pass_channels_last,
    &tn_pass_channels_last_bytes,
    &tn_pass_merge_projections,
    &tn_pass_fuse_conv_pool,
    &tn_pass_fuse_halves,
    &tn_pass_fuse_norm_linear,
    &tn_pass_fuse_linear_norm_linear,
    &tn_pass_simplify_targets,
    &tn_pass_drop_dead,
    NULL,
};

#define SWEEPS_MAX 10

const tn_pass *const *tn_passes(void)
{
    return passes;
}

const tn_pass *tn_pass_find(const char *name)
{
    for (int i = 0; passes[i]; i++)
        if (!strcmp(passes[i]->name, name)) return passes[i];
    return NULL;
}

static tn_status write_text(const char *path, const tn_text *text)
{
    tn_file_write file;
    TN_TRY(tn_file_write_begin(path, &file));
    tn_status status = tn_file_write_bytes(&file, text->at, text->bytes);
    if (!status) status = tn_file_write_commit(&file);
    tn_file_write_end(&file);
    return status;
}

/* folder/NN-name.tn */
static tn_status dump(const tn_graph *graph, const char *folder, int number, const char *name)
{
    tn_text text = {0};
    tn_arena arena;
    tn_arena_init(&arena);
    const char *path = tn_arena_printf(&arena, "%s/%02d-%s.tn", folder, number, name);
    tn_status status = tn_graph_print(graph, NULL, &text, NULL, NULL, NULL);
    if (!status && (!path || text.failed))
        status = TN_ERROR(TN_OUT_OF_MEMORY, "no memory to dump a graph");
    if (!status) status = write_text(path, &text);
    tn_text_fini(&text);
    tn_arena_fini(&arena);
    return status;
}

/* Graphs inside nodes first. Recursion: as deep as they are nested. */
static tn_status run_inside(tn_graph *graph, const tn_pass *pass, int64_t *changed)
{
    tn_graph *inside;
    for (tn_node *node = graph->first; node; node = node->next)
        for (int i = 0; (inside = tn_node_inside(node, i)); i++)
            TN_TRY_NOTE(run_inside(inside, pass, changed), "in graph '%s' of %s '%s'", inside->name,
                        node->op->name, node->name);
    return pass->run(graph, changed);
}

tn_status tn_pass_run(tn_graph *graph, const tn_pass *pass, int64_t *changed)
{
    uint64_t begin = tn_clock_ns();
    *changed = 0;
    TN_TRY(run_inside(graph, pass, changed));
    if (*changed) {
        TN_TRY(tn_graph_infer(graph));
        TN_TRY(tn_graph_verify(graph));
    }
    tn_log(TN_LOG_VERBOSE, "pass %s: %lld changes, %lld nodes, %.1f ms", pass->name,
           (long long)*changed, (long long)graph->node_count,
           (double)(tn_clock_ns() - begin) / 1e6);
    return NULL;
}

static bool is_wanted(const tn_pass *pass, const tn_pass_options *options)
{
    if (pass->only_cards && !options->for_card) return false;
    if (pass->only_cpu && !options->for_cpu) return false;
    if (!options->for_file) return !pass->only_files;
    return !pass->only_engines && pass->opset <= options->opset;
}

tn_status tn_passes_run_for(tn_graph *graph, const tn_pass_options *options)
{
    const char *dump_folder = options->dump_folder;
    int number = 0;
    if (dump_folder) {
        TN_CHECK(!mkdir(dump_folder, 0777) || errno == EEXIST, TN_NOT_FOUND,
                 "cannot make the folder '%s' for dumps: %s", dump_folder, strerror(errno));
        TN_TRY(dump(graph, dump_folder, number++, "before"));
    }
    for (int sweep = 0; sweep < SWEEPS_MAX; sweep++) {
        int64_t total = 0;
        for (int i = 0; passes[i]; i++) {
            int64_t changed;
            if (!is_wanted(passes[i], options)) continue;
            TN_TRY_NOTE(tn_pass_run(graph, passes[i], &changed), "in pass %s", passes[i]->name);
            if (dump_folder && (changed || !sweep))
                TN_TRY(dump(graph, dump_folder, number++, passes[i]->name));
            total += changed;
            TN_TRY(tn_watch_step(options->watch));
        }
        if (!total) return NULL;
    }
    return NULL;
}

tn_status tn_passes_run(tn_graph *graph, const char *dump_folder)
{
    return tn_passes_run_for(graph, &(tn_pass_options){.dump_folder = dump_folder});
}
