/* SPDX-License-Identifier: BSD-2-Clause */
/* Exit statuses of memkind-pmem; memkind-pmem(1) explains them. */
#ifndef TOOL_EXIT_H
#define TOOL_EXIT_H

enum tool_exit {
    TOOL_OK = 0,     /* no answer is a "no" that matters */
    TOOL_NO = 1,     /* something that matters is answered by "no" */
    TOOL_USAGE = 2,  /* the command line makes no sense */
    TOOL_BROKEN = 3, /* the answer could not be written out */
};

#endif /* TOOL_EXIT_H */
