/* tenon devices: what can run engines here, and why something cannot. */
#include "tool.h"

static int options(tool_option *out)
{
    (void)out;
    return 0;
}

static int run(text_list *arguments)
{
    if (arguments->count) {
        fprintf(stderr, "usage: tenon devices\n");
        return EXIT_USAGE;
    }
    char *text;
    int code = report(tn_devices_text(&text));
    if (code) return code;
    printf("%s", text);
    tn_text_free(text);
    return EXIT_DONE;
}

const tool_command command_devices = {
    .name = "devices",
    .usage = "",
    .about = "List the devices that can run engines, and say why one cannot",
    .options = options,
    .run = run,
};
