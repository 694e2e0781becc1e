#include "ir/op.h"

extern const tn_case tn_gemm_cases[];
const tn_case tn_gemm_cases[] = {
    {.problem = "Gemm f32[2,3]={1,2,3,4,5,6} f32[3,2]={7,8,9,10,11,12} f32[2]={100,200}",
     .expect = "f32[2,2]={158,264,239,354}"},
    {.problem = "Gemm{transA=1, alpha=2, beta=0.5} f32[3,2]={1,4,2,5,3,6} "
                "f32[3,2]={7,8,9,10,11,12} f32[2,1]={100,200}",
     .expect = "f32[2,2]={166,178,378,408}"},
    {.problem = "Gemm{transB=1} f32[2,3]={1,2,3,4,5,6} f32[2,3]={7,9,11,8,10,12}",
     .expect = "f32[2,2]={58,64,139,154}"},
    {.problem = "Gemm{transA=1, transB=1} f32[1,2]={1,2} f32[3,1]={1,10,100} f32={0.5}",
     .expect = "f32[2,3]={1.5,10.5,100.5,2.5,20.5,200.5}"},
    {.problem = "Gemm i32[1,2]={3,4} i32[2,1]={5,6} i32[1]={-9}", .expect = "i32[1,1]={30}"},
    {.problem = "Gemm f32[7,20] f32[20,33]! f32[33]!"},
    {.problem = "Gemm{transB=1} f32[7,20] f32[33,20]! f32[33]!"},
    {.problem = "Gemm{transA=1, alpha=0.25, beta=0.35} f32[20,7] f32[20,33] f32[7,33]"},
    {.problem = "Gemm{transA=1, transB=1, alpha=0.5} f32[300,5] f32[40,300] f32[1,40]"},
    {.problem = "Gemm{transB=1} f32[5,6] f32[4,6]! f32[5,1]"},
    {.problem = "Gemm f64[3,4] f64[4,5]"},
    {.problem = "Gemm f16[3,40] f16[40,5] f16[5]"},
    {.problem = "Gemm{transB=1} f16[32,520] f16[99,520]! f16[99]!"},
    {.problem = "Gemm{transB=1} f16[1,1040] f16[88,1040]! f16[88]!"},
    {.problem = "Gemm{transB=1, alpha=0.5, beta=2} bf16[67,45] bf16[30,45]! bf16[67,1]"},
    {.problem = "Gemm{transA=1, beta=0.5} f16[72,24] f16[72,40]! f16[24,40]"},
    {.problem = "Gemm{beta=0} f32[4,0] f32[0,3] f32[3]",
     .expect = "f32[4,3]={0,0,0,0,0,0,0,0,0,0,0,0}"},
    {0},
};
