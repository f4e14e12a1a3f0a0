/* SPDX-License-Identifier: BSD-2-Clause */
/* What of the private jemalloc's configuration cannot be a constant. */
#ifndef JEMALLOC_CONF_H
#define JEMALLOC_CONF_H

/* To be called before jemalloc starts. */
void jemalloc_conf_init(void);

#endif
