/* A project outside the tree: the library answers, and an error arrives as a sentence. */
#include <stdio.h>
#include <string.h>
#include <tenon/tenon.h>

int main(void)
{
    tn_model *model;
    tn_status status = tn_model_load("/does/not/exist.onnx", NULL, &model);
    if (tn_status_code(status) != TN_NOT_FOUND ||
        !strstr(tn_status_message(status), "exist.onnx")) {
        printf("unexpected: %s: %s\n", tn_code_name(tn_status_code(status)),
               tn_status_message(status));
        return 1;
    }
    printf("tenon %s: %s\n", tn_version(), tn_status_message(status));
    return 0;
}
