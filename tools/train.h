/* What tenon train shows when it has finished. Both give an exit code and have said what was wrong.
 */
#ifndef TOOL_TRAIN_H
#define TOOL_TRAIN_H

#include <tenon/train.h>

/* The forecast of all samples of a series; drawn to a picture if `path` is not NULL. */
int train_show_forecast(const tn_model *model, const tn_dataset *data, const char *path);
/* The losses of the epochs, to a picture. */
int train_show_losses(const tn_trainer *trainer, const char *path);

#endif
