/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CPU_COUNT_H
#define CPU_COUNT_H

/* CPUs that were online when it was first asked: finding out reads a file. At
 * least 1. */
unsigned cpu_count(void);

/* Makes it that number; 0: what the system says. For tests. */
void cpu_count_assume(unsigned count);

#endif
