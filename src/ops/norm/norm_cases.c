#include "ir/op.h"

extern const tn_case tn_batch_norm_cases[];
const tn_case tn_batch_norm_cases[] = {
    {.problem = "BatchNormalization{epsilon=0} f32[1,2,2]={1,2,3,4} f32[2]={1,10} f32[2]={0,1} "
                "f32[2]={1,3} f32[2]={4,0.25}",
     .expect = "f32[1,2,2]={0,0.5,1,21}"},
    {.problem =
         "BatchNormalization{training_mode=1, epsilon=0, momentum=0.75} f32[2,1,2]={1,3,1,3} "
         "f32[1]={2} f32[1]={10} f32[1]={6} f32[1]={9} -> 3",
     .expect = "f32[2,1,2]={8,12,8,12} f32[1]={5} f32[1]={7}"},
    {.problem = "BatchNormalization f32[2,5,3,4] f32[5] f32[5] f32[5] f32[5]", .lo = 0.5, .hi = 2},
    {.problem = "BatchNormalization{training_mode=1} f32[2,5,3,4] f32[5] f32[5] f32[5] f32[5] -> 3",
     .lo = 0.5,
     .hi = 2},
    {.problem = "BatchNormalization f32[4,6] f32[6] f32[6] f32[6] f32[6]", .lo = 0.5, .hi = 2},
    {.problem = "BatchNormalization f16[2,3,4] f32[3] f32[3] f32[3] f32[3]", .lo = 0.5, .hi = 2},
    {0},
};

extern const tn_case tn_instance_norm_cases[];
const tn_case tn_instance_norm_cases[] = {
    {.problem = "InstanceNormalization{epsilon=0} f32[1,2,2]={1,3,5,9} f32[2]={1,10} f32[2]={0,1}",
     .expect = "f32[1,2,2]={-1,1,-9,11}"},
    {.problem = "InstanceNormalization f32[2,3,5,7] f32[3] f32[3]"},
    {.problem = "InstanceNormalization f64[2,3,5] f64[3] f64[3]"},
    {0},
};

extern const tn_case tn_group_norm_cases[];
const tn_case tn_group_norm_cases[] = {
    {.problem = "GroupNormalization{num_groups=1, epsilon=0} f32[1,2,2]={1,1,3,3} f32[2]={1,10} "
                "f32[2]={0,1}",
     .expect = "f32[1,2,2]={-1,-1,11,11}"},
    {.problem = "GroupNormalization{num_groups=2} f32[2,6,4,3] f32[6] f32[6]"},
    {.problem = "GroupNormalization{num_groups=3} f16[2,6,4] f16[6] f16[6]"},
    {0},
};

extern const tn_case tn_layer_norm_cases[];
const tn_case tn_layer_norm_cases[] = {
    {.problem = "LayerNormalization f32[2,0]={} f32[0]={} f32[0]={} -> 3",
     .expect = "f32[2,0]={} f32[2,1]={nan,nan} f32[2,1]={nan,nan}"},
    {.problem = "LayerNormalization f32[16390,3] f32[3] f32[3]"},
    {.problem = "LayerNormalization f16[4097,4,8] f16[8]"},
    {.problem =
         "LayerNormalization{epsilon=0} f32[2,2]={1,3,5,9} f32[2]={1,10} f32[2]={0.5,0} -> 3",
     .expect = "f32[2,2]={-0.5,10,-0.5,10} f32[2,1]={2,7} f32[2,1]={1,0.5}"},
    {.problem = "LayerNormalization{axis=1} f32[3,4,5] f32[4,5] f32[4,5] -> 3"},
    {.problem = "LayerNormalization f32[7,256] f32[256]! f32[256]!", .lo = -3, .hi = 5},
    {.problem = "LayerNormalization f32[2,9,77] f32[77]"},
    {.problem = "LayerNormalization f32[128,768] f32[768]! f32[768]! -> 3"},
    {.problem = "LayerNormalization{axis=1} f32[2,3,4] f32[4] f32[3,1]"},
    {.problem = "LayerNormalization f16[4,64] f16[64] f16[64]"},
    {.problem = "LayerNormalization f16[200,768] f16[768]! f16[768]!"},
    {.problem = "LayerNormalization f16[49,1544] f16[1544]! f16[1544]"},
    {.problem = "LayerNormalization f64[4,9] f64[9] f64[9]"},
    {0},
};

extern const tn_case tn_rms_norm_cases[];
const tn_case tn_rms_norm_cases[] = {
    {.problem = "RMSNormalization{epsilon=0} f32[1,2]={3,3} f32[2]={1,10}",
     .expect = "f32[1,2]={1,10}"},
    {.problem = "RMSNormalization{axis=1} f32[2,3,4] f32[3,4]"},
    {.problem = "RMSNormalization f16[5,32] f16[32]"},
    {0},
};

extern const tn_case tn_lrn_cases[];
const tn_case tn_lrn_cases[] = {
    {.problem = "LRN{size=3, alpha=3, beta=1, bias=0} f32[1,3,1]={1,2,3}",
     .expect = "f32[1,3,1]={0.2,0.14285715,0.23076923}"},
    {.problem = "LRN{size=2, alpha=2, beta=1, bias=0} f32[1,2,1]={1,2}",
     .expect = "f32[1,2,1]={0.2,0.5}"},
    {.problem = "LRN{size=5} f32[2,9,3,4]"},
    {.problem = "LRN{size=4, alpha=0.01, beta=0.5, bias=2} f64[2,5,7]"},
    {0},
};
