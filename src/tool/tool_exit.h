/* SPDX-License-Identifier: BSD-2-Clause */
/* Exit statuses of memkind-pmem; memkind-pmem(1) explains them. */
#ifndef TOOL_EXIT_H
#define TOOL_EXIT_H

enum tool_exit {
    TOOL_OK = 0,     /* no answer is a "no" that matters */
    TOOL_NO = 1,     /* something that matters is answered by "no" */
    TOOL_USAGE = 2,  /* the command line makes no sense */
    TOOL_BROKEN = 3, /* the answer could not be written out */
    /* of run, as of a shell: */
    TOOL_CANNOT_START = 126, /* the program is there, but does not start */
    TOOL_NOT_FOUND = 127,    /* there is no such program */
};

#endif /* TOOL_EXIT_H */
