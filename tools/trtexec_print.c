/* What trtexec says before it works: the options, section by section, and the device. */
#include <string.h>

#include "trtexec.h"

/* A line of the echo: a switch is Enabled or Disabled, and its flag turns it over; other values are
 * those given, or the default. */
typedef struct echo {
    const char *label, *flag, *otherwise;
} echo;

static const char off[] = "Disabled", on[] = "Enabled";

static void print_line(const echo *line)
{
    const char *value = line->flag ? trt_given(line->flag) : NULL;
    bool is_switch = line->otherwise == off || line->otherwise == on;
    if (!value) value = line->otherwise;
    else if (is_switch) value = line->otherwise == off ? on : off;
    log_line('I', "%s%s", line->label, value);
}

static void print_shapes(const char *what, const char *otherwise, const text_list *a,
                         const text_list *b, const text_list *c)
{
    static shape_list store[3];
    const text_list *const texts[] = {a, b, c};
    bool any = false;
    for (int i = 0; i < 3; i++) {
        store[i].count = 0;
        if (texts[i] && !shapes_parse("shapes", texts[i], &store[i])) return;
    }
    for (int list = 0; list < 3; list++) {
        for (int i = 0; i < store[list].count; i++) {
            const char *name = store[list].at[i].name;
            char line[512];
            int at = snprintf(line, sizeof(line), "Input %s shape: %s=", what, name);
            bool told = false;
            for (int k = 0; k < list; k++) told |= shapes_find(&store[k], name) != NULL;
            for (int k = 0; k < 3 && !told && at < (int)sizeof(line) - 200; k++) {
                const named_shape *shape = shapes_find(&store[k], name);
                char text[160];
                if (!texts[k]) continue;
                if (!shape) shape = &store[list].at[i];
                at += snprintf(line + at, sizeof(line) - (size_t)at, "%s%s", k ? "+" : "",
                               shape_text(shape->dim, shape->rank, text, sizeof(text)));
            }
            if (!told) log_line('I', "%s", line);
            any = true;
        }
    }
    if (!any) log_line('I', "Input %s shapes: %s", what, otherwise);
}

static void print_build_options(void)
{
    static const echo before[] = {
        {"Max batch: ", "maxBatch", "explicit batch"},
        {"Memory Pools: ", "memPoolSize",
         "workspace: default, dlaSRAM: default, dlaLocalDRAM: default, dlaGlobalDRAM: default"},
        {"minTiming: ", "minTiming", "1"},
        {"avgTiming: ", "avgTiming", "8"},
    };
    static const echo after[] = {
        {"LayerPrecisions: ", "layerPrecisions", ""},
        {"Layer Device Types: ", "layerDeviceTypes", ""},
        {"Calibration: ", "calib", ""},
        {"Refit: ", "refit", off},
        {"Version Compatible: ", "versionCompatible", off},
        {"TensorRT runtime: ", "useRuntime", "full"},
        {"Lean DLL Path: ", "leanDLLPath", ""},
        {"Tempfile Controls: ", "tempfileControls", "{ in_memory: allow, temporary: allow }"},
        {"Exclude Lean Runtime: ", "excludeLeanRuntime", off},
        {"Sparsity: ", "sparsity", "Disabled"},
        {"Safe mode: ", "safe", off},
        {"Build DLA standalone loadable: ", "buildDLAStandalone", off},
        {"Allow GPU fallback for DLA: ", "allowGPUFallback", off},
        {"DirectIO mode: ", "directIO", off},
        {"Restricted mode: ", "restricted", off},
        {"Skip inference: ", "skipInference", off},
        {"Save engine: ", "saveEngine", ""},
        {"Load engine: ", "loadEngine", ""},
        {"Profiling verbosity: ", "profilingVerbosity", "layer_names_only"},
        {"Tactic sources: ", "tacticSources", "Using default tactic sources"},
        {"timingCacheMode: ", NULL, NULL},
        {"timingCacheFile: ", "timingCacheFile", ""},
        {"Heuristic: ", "heuristic", off},
        {"Preview Features: ", "preview", "Use default preview flags."},
        {"MaxAuxStreams: ", "maxAuxStreams", "-1"},
        {"BuilderOptimizationLevel: ", "builderOptimizationLevel", "-1"},
        {"Input(s)s format: ", "inputIOFormats", "fp32:CHW"},
        {"Output(s)s format: ", "outputIOFormats", "fp32:CHW"},
    };
    log_line('I', "=== Build Options ===");
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) print_line(&before[i]);
    log_line('I', "Precision: FP32%s%s%s", trt.fp16 || trt.best ? "+FP16" : "",
             trt.bf16 ? "+BF16" : "", trt_given("int8") || trt.best ? "+INT8" : "");
    for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
        echo line = after[i];
        if (!line.otherwise) line.otherwise = trt.build.timings ? "global" : "local";
        print_line(&line);
    }
    print_shapes("build", "model", &trt.build.min, &trt.build.opt, &trt.build.max);
    log_line('I', "Input calibration shapes: model");
}

void trt_print_options(void)
{
    static const echo system[] = {
        {"Device: ", "device", "0"},
        {"DLACore: ", "useDLACore", ""},
        {"Plugins: ", "staticPlugins", ""},
        {"setPluginsToSerialize: ", "setPluginsToSerialize", ""},
        {"dynamicPlugins: ", "dynamicPlugins", ""},
        {"ignoreParsedPluginLibs: ", NULL, "0"},
    };
    static const echo inference[] = {
        {"ExposeDMA: ", "exposeDMA", off},
        {"Data transfers: ", "noDataTransfers", on},
        {"Spin-wait: ", "useSpinWait", off},
        {"Multithreading: ", "threads", off},
        {"CUDA Graph: ", "useCudaGraph", off},
        {"Separate profiling: ", "separateProfileRun", off},
        {"Time Deserialize: ", "timeDeserialize", off},
        {"Time Refit: ", "timeRefit", off},
        {"NVTX verbosity: ", NULL, "0"},
        {"Persistent Cache Ratio: ", "persistentCacheRatio", "0"},
    };
    static const echo reporting[] = {
        {"Dump refittable layers:", "dumpRefit", off},
        {"Dump output: ", "dumpOutput", off},
        {"Profile: ", "dumpProfile", off},
        {"Export timing to JSON file: ", "exportTimes", ""},
        {"Export output to JSON file: ", "exportOutput", ""},
        {"Export profile to JSON file: ", "exportProfile", ""},
    };
    const timing_options *t = &trt.timing;
    log_line('I', "=== Model Options ===");
    log_line('I', "Format: %s", trt.onnx ? "ONNX" : "*");
    log_line('I', "Model: %s", trt.onnx ? trt.onnx : "");
    log_line('I', "Output:");
    print_build_options();
    log_line('I', "=== System Options ===");
    for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++) print_line(&system[i]);
    log_line('I', "=== Inference Options ===");
    log_line('I', "Batch: Explicit");
    print_shapes("inference", "model", &trt.shapes, NULL, NULL);
    log_line('I', "Iterations: %d", t->iterations);
    log_line('I', "Duration: %gs (+ %gms warm up)", t->duration_s, t->warm_up_ms);
    log_line('I', "Sleep time: %gms", t->sleep_ms);
    log_line('I', "Idle time: %gms", t->idle_ms);
    log_line('I', "Inference Streams: %d", t->streams);
    for (size_t i = 0; i < sizeof(inference) / sizeof(inference[0]); i++) print_line(&inference[i]);
    log_line('I', "Inputs:");
    for (int i = 0; i < trt.inputs.count; i++) {
        const char *pair = trt.inputs.at[i];
        int bytes = (int)strcspn(pair, "=");
        log_line('I', "%.*s<-%s", bytes, pair, pair + bytes + 1);
    }
    log_line('I', "=== Reporting Options ===");
    log_line('I', "Verbose: %s", trt.verbose ? on : off);
    log_line('I', "Averages: %d inferences", t->avg_runs);
    const echo percentiles = {"Percentiles: ", "percentile", "90,95,99"};
    print_line(&percentiles);
    for (size_t i = 0; i < sizeof(reporting) / sizeof(reporting[0]); i++) print_line(&reporting[i]);
    log_line('I', "%s", "");
}

void trt_print_device(const tn_device_about *device)
{
    log_line('I', "=== Device Information ===");
    log_line('I', "Selected Device: %s", device->name);
    if (device->capability) {
        log_line('I', "Compute Capability: %d.%d", device->capability / 10,
                 device->capability % 10);
        log_line('I', "SMs: %d", device->units);
    } else {
        log_line('I', "Cores: %d", device->units);
    }
    log_line('I', "Device Global Memory: %llu MiB",
             (unsigned long long)(device->memory_bytes >> 20));
    log_line('I', "%s", "");
    log_line('I', "Tenon version: %s", tn_version());
    if (!device->capability)
        log_line('I', "The engine runs on the CPU: lines that say GPU are about the CPU.");
}
