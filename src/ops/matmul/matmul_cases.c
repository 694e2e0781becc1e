#include "ir/op.h"

extern const tn_case tn_matmul_cases[];
const tn_case tn_matmul_cases[] = {
    {.problem = "MatMul f32[2,3]={1,2,3,4,5,6} f32[3,2]={7,8,9,10,11,12}",
     .expect = "f32[2,2]={58,64,139,154}"},
    {.problem = "MatMul f32[3]={1,2,3} f32[3]={4,5,6}", .expect = "f32={32}"},
    {.problem = "MatMul f32[2]={1,10} f32[2,2]={1,2,3,4}", .expect = "f32[2]={31,42}"},
    {.problem = "MatMul f32[2,2]={1,2,3,4} f32[2]={1,10}", .expect = "f32[2]={21,43}"},
    {.problem = "MatMul f32[2,1,1,2]={1,2,3,4} f32[2,2,1]={1,2,10,20}",
     .expect = "f32[2,2,1,1]={5,50,11,110}"},
    {.problem = "MatMul f32[2,2,1]={1,2,10,20} f32[1,1]={3}", .expect = "f32[2,2,1]={3,6,30,60}"},
    {.problem = "MatMul i32[1,2]={2147483647,3} i32[2,1]={2,-1}", .expect = "i32[1,1]={-5}"},
    {.problem = "MatMul u64[1,1]={4294967296} u64[1,1]={4294967297}",
     .expect = "u64[1,1]={4294967296}"},
    {.problem = "MatMul f32[5,7] f32[7,9]!"},
    {.problem = "MatMul f32[1,64] f32[64,100]!"},
    {.problem = "MatMul f32[67,129] f32[129,131]!"},
    {.problem = "MatMul f32[33,600] f32[600,50]"},
    {.problem = "MatMul f32[2,3,17,24] f32[2,3,24,17]"},
    {.problem = "MatMul f32[2,1,5,8] f32[3,8,4]"},
    {.problem = "MatMul f32[128,256] f32[256,256]!"},
    {.problem = "MatMul f64[5,6] f64[6,4]"},
    {.problem = "MatMul f16[5,40] f16[40,4]"},
    {.problem = "MatMul bf16[3,8] bf16[8,3]"},
    {.problem = "MatMul f32[2,0] f32[0,2]", .expect = "f32[2,2]={0,0,0,0}"},
    {.problem = "MatMul f32[0,3] f32[3,2]"},
    {0},
};
