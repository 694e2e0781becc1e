#ifndef TN_OPS_TF_IDF_VECTORIZER_H
#define TN_OPS_TF_IDF_VECTORIZER_H

#include <stdint.h>

enum { TN_TF_IDF_TF, TN_TF_IDF_IDF, TN_TF_IDF_TFIDF };

typedef struct tn_tf_idf_params {
    int64_t mode, max_skip_count, min_gram_length, max_gram_length;
} tn_tf_idf_params;

#endif
