#include "ir/op.h"

extern const tn_case tn_fused_conv_cases[];
const tn_case tn_fused_conv_cases[] = {
    {.problem = "FusedConv{activation=relu} f32[1,1,2,2]={1,2,3,4} f32[2,1,1,1]={1,-1} "
                "f32[2]={0.5,2}",
     .expect = "f32[1,2,2,2]={1.5,2.5,3.5,4.5,1,0,0,0}"},
    {.problem = "FusedConv{pads=[1,1]} f32[1,1,3]={1,2,3} f32[1,1,3]={1,10,100} none "
                "f32[1,1,3]={-10,-21,0.5}",
     .expect = "f32[1,1,3]={200,300,32.5}"},
    {.problem = "FusedConv{activation=clip, beta=6} f32[1,1,3]={-1,2,3} f32[1,1,1]={2} f32[1]={1} "
                "f32[1,1,3]={0,-5,3}",
     .expect = "f32[1,1,3]={0,0,6}"},
    {.problem = "FusedConv{activation=relu, pads=[1,1,1,1]} f32[1,3,17,19] f32[8,3,3,3]! f32[8]!"},
    {.problem = "FusedConv{activation=relu} f32[1,64,28,28] f32[96,64,1,1]! f32[96]! "
                "f32[1,96,28,28]"},
    {.problem = "FusedConv{activation=silu, strides=[2,2]} f32[2,40,9,9] f32[33,40,1,1]! none "
                "f32[2,33,5,5]"},
    {.problem = "FusedConv{activation=relu, pads=[1,1,1,1]} f32[2,40,7,7] f32[64,40,3,3]! f32[64]! "
                "f32[2,64,7,7]"},
    {.problem = "FusedConv f32[1,300,7,7] f32[70,300,1,1]! f32[70]! f32[1,70,7,7]"},
    {.problem = "FusedConv{activation=hard_swish, group=16, pads=[1,1,1,1]} f32[1,16,14,14] "
                "f32[16,1,3,3]! f32[16]!"},
    {.problem = "FusedConv{activation=leaky_relu, alpha=0.1, group=2, strides=[2,1]} "
                "f32[2,6,8,9] f32[10,3,3,2] f32[10] f32[2,10,3,8]"},
    {.problem = "FusedConv{activation=gelu, strides=[4,4]} f32[1,3,32,32] f32[96,3,4,4]! f32[96]!"},
    {.problem = "FusedConv{activation=sigmoid} f64[1,2,4,4] f64[3,2,2,2] none f64[1,3,3,3]"},
    {.problem = "FusedConv{activation=relu} f16[1,2,6,6] f16[3,2,3,3] f16[3]"},
    {.problem = "FusedConv{activation=relu} f32[0,2,4,4] f32[3,2,2,2]"},
    {0},
};
