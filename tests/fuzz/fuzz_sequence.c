/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzz target: the bytes choose the steps of the model's walk; see model.h. */
#include "fuzz_target.h"
#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices = {.bytes = data, .left = size};
    struct model *model = model_new(fuzz_dir(), 1);
    while (choices_are_left(&choices))
        model_step(model, 0, &choices);
    model_check(model);
    model_delete(model, size % 2 == 0);
    return 0;
}
