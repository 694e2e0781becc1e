/* The card that a device's name stands for. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/cuda.h"
#include "build/build.h"

tn_status tn_build_card(const char *device, tn_card **out)
{
    static const char cuda[] = "cuda";
    size_t bytes = sizeof cuda - 1;
    long ordinal = 0;
    *out = NULL;
    if (!device) device = getenv("TENON_DEVICE");
    if (!device || !strcmp(device, "cpu")) return NULL;
    bool known = !strncmp(device, cuda, bytes) && (!device[bytes] || device[bytes] == ':');
    if (known && device[bytes]) {
        char *end;
        errno = 0;
        ordinal = strtol(device + bytes + 1, &end, 10);
        known = end != device + bytes + 1 && !*end && !errno && ordinal >= 0 && ordinal < 1024;
    }
    TN_CHECK(known, TN_NOT_FOUND,
             "there is no device '%s': 'cpu', 'cuda' and 'cuda:1' (a card by its number) are known",
             device);
    tn_status status = tn_backend_cuda.card->open((int)ordinal, out);
    if (!status) return NULL;
    char why[TN_MESSAGE_MAX];
    tn_code code = tn_status_code(status);
    snprintf(why, sizeof why, "%s", tn_status_message(status));
    TN_FAIL(code, "device '%s' cannot be used: %s", device, why);
}
