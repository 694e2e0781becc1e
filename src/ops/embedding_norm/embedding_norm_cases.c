/* Expected values by hand: rows of -1 and 1 are their own norm. */
#include "ir/op.h"

extern const tn_case tn_embedding_norm_cases[];
const tn_case tn_embedding_norm_cases[] = {
    /* 5 + {0,2}, 5 + {2,0}, and again: the places count along the last axis. */
    {.problem = "EmbeddingNorm{epsilon=0} f32[2]={2,3} f32[2]={1,0} f32[3,2]={4,4, 5,5, 9,9} "
                "i64[2,2]={1,1,1,-2} f32[4,2]={0,2, 2,0, 7,7, 7,7}",
     .expect = "f32[2,2,2]={-1,3, 3,-3, -1,3, 3,-3}"},
    {.problem = "EmbeddingNorm{epsilon=0} f32[2]={1,1} none f32[2,2]={1,-1, -1,1} i32[3]={0,1,0} "
                "f32[2,2]={1,1, 2,2} i64[1]={1} f32[3,2]={0,0, 4,-4, 0,0} i64[3]={0,1,2}",
     .expect = "f32[3,2]={1,-1, 1,-1, 1,-1}"},
    {.problem = "EmbeddingNorm{epsilon=1e-12} f32[96]! f32[96]! f32[30,96]! i64[2,7] f32[9,96]! "
                "none f32[10,96]! i64[2,7]"},
    /* BERT's. */
    {.problem = "EmbeddingNorm f16[768]! f16[768]! f16[100,768]! i64[1,200] f16[512,768]! none "
                "f16[10,768]! i64[1,200]"},
    {.problem = "EmbeddingNorm bf16[64]! bf16[64]! bf16[20,64]! i32[3,5] bf16[10,64]! i32[1,5] "
                "bf16[16,64]! i32[5]"},
    {.problem = "EmbeddingNorm f32[50]! f32[50]! f32[10,50]! i64[1,1]"},
    {.problem = "EmbeddingNorm f32[1029] none f32[12,1029] i64[5] f32[12,1029] i64"},
    {.problem = "EmbeddingNorm f64[6] f64[6] f64[10,6] i32[4,3] f64[10,6] i32[4,3]"},
    {.problem = "EmbeddingNorm f16[20000] f16[20000] f16[10,20000] i64[3]"},
    {.problem = "EmbeddingNorm f32[8]! f32[8]! f32[10,8]! i64[0,4] f32[10,8]! none"},
    {.problem = NULL},
};
