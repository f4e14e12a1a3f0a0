/* SPDX-License-Identifier: BSD-2-Clause */
#include "cancellation.h"

__thread struct cancellation_part cancellation_part TLS_MODEL;
