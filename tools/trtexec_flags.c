/* Every flag of trtexec 8.6, 10.16 and 11.1, and what becomes of it here. */
#include <stdlib.h>
#include <string.h>

#include "trtexec.h"

trt_settings trt = {
    .timing = {.iterations = 10,
               .avg_runs = 10,
               .seed = 1,
               .streams = 1,
               .duration_s = 3,
               .warm_up_ms = 200,
               .hints = true,
               .apart = true,
               .device = "GPU",
               .inputs = &trt.inputs,
               .percentile = &trt.percentile},
    .level = -1,
    .atol = 1e-5,
    .rtol = 1e-5,
    .threshold = 1e-5,
};

enum {
    ALL = IN_8 | IN_10 | IN_11,
    V8_10 = IN_8 | IN_10,
    V10_11 = IN_10 | IN_11,
    V8 = IN_8,
    V10 = IN_10,
    V11 = IN_11,
};

/* A flag that does something; one that only gets its line printed. */
#define DOES(name, kind, versions, to, value, note)                                                \
    {                                                                                              \
        name, NULL, OPTION_##kind, versions, TRT_DOES, to, value, note                             \
    }
#define ELSE(verdict, name, kind, versions, value, note)                                           \
    {                                                                                              \
        name, NULL, OPTION_##kind, versions, TRT_##verdict, NULL, value, note                      \
    }

static const char old_models[] = "Caffe and UFF models are not read here (nor by TensorRT 10); "
                                 "export the model to ONNX";
static const char no_dla[] = "there is no DLA here";
static const char no_safety[] = "there is no safety-certified runtime here";
static const char no_batch[] = "the batch is a dimension of the model: give it with --shapes";
static const char by_error[] = "which layers stay in float32 is decided by the measured error, "
                               "layer by layer";
static const char by_nodes[] = "integers and 8-bit floats come from QuantizeLinear and "
                               "DequantizeLinear nodes of the model; nothing is quantised here";
static const char any_version[] = "engines carry their graph and load under every version and on "
                                  "every device";
static const char graphs[] = "launches on a card are always captured in a CUDA graph";
static const char spins[] = "the host always waits by spinning";
static const char no_debug[] = "there are no debug tensors here; `tenon compare --values` compares "
                               "every tensor";
static const char workspace[] = "memory for intermediates is planned per shape and not limited";
static const char strips[] = "an engine file without weights; it runs once --refitFromOnnx or "
                             "`tenon refit` has put them in";
static const char no_routes[] = "kernels are chosen by measuring each; there are no build routes";
static const char formats[] = "inputs and outputs have the type and the layout of the model";

static const trt_flag model_flags_[] = {
    DOES("onnx", TEXT, ALL, &trt.onnx, "FILE", "the model; checkpoints of known networks too"),
    ELSE(REFUSED, "model", TEXT, V8, "FILE", old_models),
    ELSE(REFUSED, "deploy", TEXT, V8, "FILE", old_models),
    ELSE(REFUSED, "uff", TEXT, V8, "FILE", old_models),
    ELSE(REFUSED, "uffInput", TEXT, V8, "NAME,X,Y,Z", old_models),
    ELSE(REFUSED, "uffNHWC", FLAG, V8, NULL, old_models),
    ELSE(LACKS, "output", TEXT, V8, "NAME,...", "the outputs are those of the model"),
};

static const trt_flag build_flags_[] = {
    DOES("saveEngine", TEXT, ALL, &trt.save, "FILE", "write the engine file"),
    DOES("loadEngine", TEXT, ALL, &trt.load, "FILE", "time an engine file"),
    ELSE(IS_SO, "asyncFileReader", FLAG, V10_11, NULL, "engine files are mapped"),
    DOES("getPlanVersionOnly", FLAG, V10_11, &trt.plan_version, NULL,
         "print the version of Tenon that made the engine"),
    {"skipInference", "buildOnly", OPTION_FLAG, ALL, TRT_DOES, &trt.skip_inference, NULL,
     "build and do not time"},
    ELSE(IS_SO, "workspace", TEXT, V8, "MIB", workspace),
    ELSE(IS_SO, "memPoolSize", TEXT, ALL, "POOL:SIZE,...", workspace),
    ELSE(IS_SO, "explicitBatch", FLAG, IN_7 | IN_8, NULL, "every batch is explicit"),
    ELSE(LACKS, "maxBatch", TEXT, V8, "N", no_batch),
    ELSE(IS_SO, "minTiming", TEXT, V8, "N", "each kernel is measured until its time is steady"),
    ELSE(IS_SO, "avgTiming", TEXT, ALL, "N", "each kernel is measured until its time is steady"),
    DOES("builderOptimizationLevel", INT, ALL, &trt.level, "0..5",
         "time for measuring kernels: none, 0.25, 1, 2 (3, the default), 8 or 30 seconds"),
    ELSE(IS_SO, "maxTactics", TEXT, V10_11, "N", "--builderOptimizationLevel bounds the time"),
    ELSE(IS_SO, "heuristic", FLAG, V8, NULL, "kernels not worth a measurement are left out anyway"),
    ELSE(IS_SO, "tacticSources", TEXT, ALL, "(+|-)X,...",
         "every kernel that is here is a candidate"),
    ELSE(IS_SO, "preview", TEXT, ALL, "(+|-)X,...", "there are no preview features"),
    ELSE(IS_SO, "tilingOptimizationLevel", TEXT, V10_11, "0..3", "tiles are chosen by measuring"),
    ELSE(IS_SO, "l2LimitForTiling", TEXT, V10_11, "BYTES", "tiles are chosen by measuring"),
    ELSE(IS_SO, "noBuilderCache", FLAG, ALL, NULL,
         "times are kept only where --timingCacheFile asks for it"),
    DOES("timingCacheFile", TEXT, ALL, &trt.build.timings, "FILE",
         "measured times, read and kept there"),
    ELSE(LACKS, "errorOnTimingCacheMiss", FLAG, V10_11, NULL,
         "a kernel without a known time is measured"),
    ELSE(IS_SO, "noCompilationCache", FLAG, V10_11, NULL, "set TENON_CACHE=off in the environment"),
    {"profilingVerbosity", "nvtxMode", OPTION_TEXT, ALL, TRT_DOES, &trt.verbosity,
     "layer_names_only|detailed|none", "what --dumpLayerInfo and --exportLayerInfo tell"},
    DOES("refit", FLAG, ALL, &trt.build.refit, NULL, "an engine whose weights can be replaced"),
    DOES("stripWeights", FLAG, V10_11, &trt.build.strip_weights, NULL, strips),
    DOES("stripAllWeights", FLAG, V10_11, &trt.build.strip_weights, NULL, strips),
    DOES("weightless", FLAG, V10, &trt.build.strip_weights, NULL, strips),
    DOES("refitFromOnnx", TEXT, V10_11, &trt.refit_from, "FILE",
         "put the weights of this model into the engine"),
    {"versionCompatible", "vc", OPTION_FLAG, ALL, TRT_IS_SO, NULL, NULL, any_version},
    ELSE(IS_SO, "excludeLeanRuntime", FLAG, ALL, NULL, any_version),
    ELSE(IS_SO, "useRuntime", TEXT, ALL, "full|lean|dispatch", any_version),
    ELSE(IS_SO, "leanDLLPath", TEXT, ALL, "FILE", any_version),
    ELSE(IS_SO, "hardwareCompatibilityLevel", TEXT, ALL, "none|ampere+|sameComputeCapability",
         any_version),
    ELSE(IS_SO, "runtimePlatform", TEXT, V10_11, "SameAsBuild|WindowsAMD64", any_version),
    ELSE(LACKS, "sparsity", TEXT, ALL, "disable|enable|force", "weights are used as they are"),
    ELSE(IS_SO, "maxAuxStreams", TEXT, ALL, "N", "one stream of execution has one stream"),
    ELSE(LACKS, "allowWeightStreaming", FLAG, V10_11, NULL, "weights lie on the card"),
    ELSE(LACKS, "inputIOFormats", TEXT, ALL, "TYPE:FORMAT,...", formats),
    ELSE(LACKS, "outputIOFormats", TEXT, ALL, "TYPE:FORMAT,...", formats),
    ELSE(IS_SO, "directIO", FLAG, ALL, NULL, formats),
    ELSE(LACKS, "layerDeviceTypes", TEXT, ALL, "LAYER:DEVICE,...", no_dla),
    ELSE(IS_SO, "decomposableAttentions", TEXT, V10_11, "NAME,...",
         "attention is taken apart wherever that is faster"),
    ELSE(LACKS, "markDebug", TEXT, V10_11, "TENSOR,...", no_debug),
    ELSE(LACKS, "markUnfusedTensorsAsDebugTensors", FLAG, V10_11, NULL, no_debug),
    {"pluginInstanceNorm", "pi", OPTION_FLAG, ALL, TRT_IS_SO, NULL, NULL,
     "InstanceNormalization is an operator like others"},
    ELSE(IS_SO, "enablePluginOverride", FLAG, V10_11, NULL, "operators of --plugins win"),
    ELSE(LACKS, "uint8AsymmetricQuantizationDLA", FLAG, V10_11, NULL, no_dla),
    ELSE(LACKS, "reportCapabilityDLA", FLAG, V10_11, NULL, no_dla),
    ELSE(LACKS, "adjustForDLA", FLAG, V10_11, NULL, no_dla),
    ELSE(LACKS, "safe", FLAG, ALL, NULL, no_safety),
    ELSE(LACKS, "consistency", FLAG, ALL, NULL, no_safety),
    ELSE(LACKS, "restricted", FLAG, V8_10, NULL, no_safety),
    ELSE(LACKS, "buildDLAStandalone", FLAG, ALL, NULL, no_dla),
    ELSE(LACKS, "allowGPUFallback", FLAG, ALL, NULL, no_dla),
    ELSE(LACKS, "dumpKernelText", FLAG, V10_11, NULL, no_safety),
    ELSE(LACKS, "remoteAutoTuningConfig", TEXT, V10_11, "URL",
         "kernels are measured on this machine"),
    DOES("cpuOnly", FLAG, V11, &trt.cpu_only, NULL, "build for the CPU and time there"),
    ELSE(IS_SO, "monitorMemory", FLAG, V10_11, NULL, "the log says what a context takes"),
    ELSE(IS_SO, "tempdir", TEXT, ALL, "FOLDER", "no temporary files are made"),
    ELSE(IS_SO, "tempfileControls", TEXT, ALL, "CONTROL,...", "no temporary files are made"),
    ELSE(IS_SO, "distributiveIndependence", FLAG, V10_11, NULL,
         "builds with the same timing cache give the same engine"),
};

static const trt_flag shape_flags_[] = {
    DOES("minShapes", LIST, ALL, &trt.build.min, "NAME:1x3x4,...", "smallest shapes to check at"),
    DOES("optShapes", LIST, ALL, &trt.build.opt, "NAME:1x3x4,...", "shapes to tune for"),
    DOES("maxShapes", LIST, ALL, &trt.build.max, "NAME:1x3x4,...",
         "largest shapes to check at; a hint, never a limit"),
    DOES("shapes", LIST, ALL, &trt.shapes, "NAME:1x3x4,...",
         "shapes to time, and to tune for where no others are given"),
    DOES("profile", INT, V10_11, &trt.present_profile, "N",
         "min, opt and max shapes that follow are those of profile N"),
    DOES("useProfile", INT, V10_11, &trt.profile, "N",
         "the profile to build for, default 0; an engine runs other shapes as well"),
    ELSE(LACKS, "minShapesCalib", TEXT, V8_10, "NAME:1x3x4,...", by_nodes),
    ELSE(LACKS, "optShapesCalib", TEXT, V8_10, "NAME:1x3x4,...", by_nodes),
    ELSE(LACKS, "maxShapesCalib", TEXT, V8_10, "NAME:1x3x4,...", by_nodes),
    ELSE(LACKS, "calibProfile", TEXT, V10, "N", by_nodes),
};

static const trt_flag precision_flags_[] = {
    DOES("fp16", FLAG, V8_10, &trt.fp16, NULL,
         "float16 on a card within relative L2 5e-3, sums in float32"),
    DOES("bf16", FLAG, V10, &trt.bf16, NULL, "bfloat16 on a card within 2e-2"),
    DOES("best", FLAG, V8_10, &trt.best, NULL, "as --fp16; 8-bit where the model is quantised"),
    ELSE(LACKS, "int8", FLAG, V8_10, NULL, by_nodes),
    ELSE(LACKS, "fp8", FLAG, V8_10, NULL, by_nodes),
    ELSE(LACKS, "int4", FLAG, V10, NULL, by_nodes),
    ELSE(IS_SO, "noTF32", FLAG, ALL, NULL,
         "float32 is exact unless --fp16, --bf16 or --best is given"),
    ELSE(IS_SO, "stronglyTyped", FLAG, V10_11, NULL, "types are those of the graph"),
    ELSE(LACKS, "precisionConstraints", TEXT, V8_10, "none|prefer|obey", by_error),
    ELSE(LACKS, "layerPrecisions", TEXT, V8_10, "LAYER:TYPE,...", by_error),
    ELSE(LACKS, "layerOutputTypes", TEXT, V8_10, "LAYER:TYPE,...", by_error),
    ELSE(LACKS, "calib", TEXT, V8_10, "FILE", by_nodes),
};

static const trt_flag inference_flags_[] = {
    DOES("loadInputs", LIST, ALL, &trt.inputs, "NAME:FILE,...",
         "inputs from bare values, .npy or .pb files; random ones are floats in [-1, 1), integers "
         "0 or 1"),
    DOES("iterations", INT, ALL, &trt.timing.iterations, "N", "at least so many, default 10"),
    DOES("warmUp", NUMBER, ALL, &trt.timing.warm_up_ms, "MS", "before measuring, default 200"),
    DOES("duration", NUMBER, ALL, &trt.timing.duration_s, "S",
         "at least so long, default 3; -1: for ever"),
    DOES("sleepTime", NUMBER, ALL, &trt.timing.sleep_ms, "MS", "gap before the kernels, default 0"),
    DOES("idleTime", NUMBER, ALL, &trt.timing.idle_ms, "MS", "gap between queries, default 0"),
    {"infStreams", "streams", OPTION_INT, ALL, TRT_DOES, &trt.timing.streams, "N",
     "contexts that run at a time, a thread each, default 1"},
    ELSE(IS_SO, "exposeDMA", FLAG, ALL, NULL,
         "the copies of one query never overlap with another's"),
    DOES("noDataTransfers", FLAG, ALL, &trt.timing.no_transfers, NULL,
         "inputs and outputs stay in the memory of the card"),
    ELSE(IS_SO, "includeDataTransfers", FLAG, V11, NULL,
         "copies are timed unless --noDataTransfers is given, as before TensorRT 11"),
    ELSE(IS_SO, "useManagedMemory", FLAG, ALL, NULL, "inputs and outputs are plain memory"),
    ELSE(IS_SO, "useSpinWait", FLAG, ALL, NULL, spins),
    ELSE(LACKS, "noSpinWait", FLAG, V11, NULL, spins),
    ELSE(IS_SO, "useCudaGraph", FLAG, ALL, NULL, graphs),
    ELSE(LACKS, "noCudaGraph", FLAG, V11, NULL, graphs),
    ELSE(IS_SO, "threads", FLAG, ALL, NULL, "every stream has a thread of its own"),
    DOES("timeDeserialize", FLAG, ALL, &trt.time_load, NULL,
         "time loading the engine file, and end"),
    DOES("timeRefit", FLAG, ALL, &trt.time_refit, NULL, "time putting in the weights of the model"),
    ELSE(IS_SO, "separateProfileRun", FLAG, ALL, NULL,
         "layers are always timed in runs of their own"),
    ELSE(LACKS, "persistentCacheRatio", TEXT, ALL, "0..1", "the L2 cache is not set aside"),
    ELSE(IS_SO, "allocationStrategy", TEXT, V10_11, "static|profile|runtime",
         "memory is that of the shapes at hand"),
    ELSE(LACKS, "weightStreamingBudget", TEXT, V10_11, "BYTES|N%", "weights lie on the card"),
    ELSE(LACKS, "saveDebugTensors", TEXT, V10_11, "TENSOR:FILE,...", no_debug),
    ELSE(LACKS, "saveAllDebugTensors", TEXT, V10_11, "FORMAT,...", no_debug),
    ELSE(LACKS, "batch", TEXT, V8, "N", no_batch),
    DOES("loadRefOutputs", LIST, V11, &trt.references, "NAME:FILE,...",
         "compare outputs with these; a miss is exit code 1"),
    DOES("accuracyAlgorithm", TEXT, V11, &trt.accuracy, "l0|l1|l2|lInf|cos",
         "how, default l0: every element within --atol + --rtol times the reference"),
    DOES("atol", NUMBER, V11, &trt.atol, "X", "default 1e-5"),
    DOES("rtol", NUMBER, V11, &trt.rtol, "X", "default 1e-5"),
    DOES("accuracyThreshold", NUMBER, V11, &trt.threshold, "X",
         "largest distance of the other algorithms, default 1e-5"),
    ELSE(LACKS, "refPair", TEXT, V11, "N", "there is one set of inputs and references"),
};

static const trt_flag tuning_flags_[] = {
    ELSE(LACKS, "tuneBuildRoutes", TEXT, V11, "ROUTES", no_routes),
    ELSE(LACKS, "tuneBuildRouteFile", TEXT, V11, "FILE", no_routes),
    ELSE(LACKS, "tuningSearch", TEXT, V11, "fast|full|mixed", no_routes),
    ELSE(LACKS, "tuningCacheFile", TEXT, V11, "FILE", no_routes),
    ELSE(LACKS, "tuningTimeOut", TEXT, V11, "S", no_routes),
    ELSE(LACKS, "saveAllEngines", FLAG, V11, NULL, no_routes),
    ELSE(LACKS, "dryRun", FLAG, V11, NULL, no_routes),
    ELSE(LACKS, "continue", FLAG, V11, NULL, no_routes),
    ELSE(LACKS, "helpBuildRoute", TEXT, V11, "KNOB", no_routes),
    ELSE(LACKS, "setBuildRoute", TEXT, V11, "ROUTE", no_routes),
};

static const trt_flag report_flags_[] = {
    DOES("verbose", FLAG, ALL, &trt.verbose, NULL, "say more"),
    DOES("avgRuns", INT, ALL, &trt.timing.avg_runs, "N",
         "queries in a line of averages, default 10"),
    DOES("percentile", LIST, ALL, &trt.percentile, "P,...", "default 90,95,99"),
    DOES("dumpRefit", FLAG, ALL, &trt.dump_refit, NULL, "print the weights that can be replaced"),
    DOES("dumpOutput", FLAG, ALL, &trt.dump_output, NULL, "print the outputs of the last run"),
    DOES("dumpRawBindingsToFile", FLAG, ALL, &trt.dump_raw, NULL,
         "inputs and outputs as bare values, NAME.DIMS.TYPE.raw"),
    DOES("dumpProfile", FLAG, ALL, &trt.dump_profile, NULL, "print the time of each layer"),
    DOES("dumpLayerInfo", FLAG, ALL, &trt.dump_layers, NULL, "print the layers"),
    ELSE(IS_SO, "dumpOptimizationProfile", FLAG, V10_11, NULL,
         "the shapes that an engine is built for are always printed"),
    DOES("exportTimes", TEXT, ALL, &trt.export_times, "FILE", "times of every query as JSON"),
    DOES("exportOutput", TEXT, ALL, &trt.export_output, "FILE", "outputs as JSON"),
    DOES("exportProfile", TEXT, ALL, &trt.export_profile, "FILE", "times of each layer as JSON"),
    DOES("exportLayerInfo", TEXT, ALL, &trt.export_layers, "FILE", "the layers as JSON"),
};

static const trt_flag system_flags_[] = {
    DOES("device", INT, ALL, &trt.device, "N",
         "the card, default 0; the CPU where there is none, or what TENON_DEVICE says"),
    ELSE(LACKS, "useDLACore", TEXT, ALL, "N", no_dla),
    {"staticPlugins", "plugins", OPTION_LIST, ALL, TRT_DOES, &trt.plugins, "FILE",
     "libraries with operators of your own (tenon/op.h); one of TensorRT's is passed over"},
    DOES("dynamicPlugins", LIST, ALL, &trt.plugins, "FILE", "as --staticPlugins"),
    ELSE(IS_SO, "setPluginsToSerialize", TEXT, ALL, "FILE", "engines do not hold libraries"),
    ELSE(IS_SO, "ignoreParsedPluginLibs", FLAG, ALL, NULL, "engines do not hold libraries"),
    ELSE(LACKS, "safetyPlugins", TEXT, V10_11, "FILE,...", no_safety),
};

#define GROUP(title, rows)                                                                         \
    {                                                                                              \
        title, rows, (int)(sizeof(rows) / sizeof((rows)[0]))                                       \
    }
const trt_group trt_groups[] = {
    GROUP("Model", model_flags_),
    GROUP("Build", build_flags_),
    GROUP("Shapes and profiles", shape_flags_),
    GROUP("Precision", precision_flags_),
    GROUP("Inference", inference_flags_),
    GROUP("Build-route tuning", tuning_flags_),
    GROUP("Reporting", report_flags_),
    GROUP("System", system_flags_),
    {NULL, NULL, 0},
};
