/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether any process that this one has forked, or a descendant of such a one,
 * may still look at files as they were at a fork.
 *
 * A child inherits a page of a file in memory, which its parent maps for the
 * time of fork(2), as do the child's children. The page goes when the process
 * ends or executes another program. A file that is mapped for writing cannot be
 * sealed against writing: so the parent tries to seal it, and learns whether
 * any of them is left. (The end of a pipe would tell as well, but daemons close
 * all descriptors.)
 */
#ifndef FORK_MARK_H
#define FORK_MARK_H

#include <stdbool.h>

/* Whether marks can be made here: 0 or a negative errno. If so, the process
 * keeps a descriptor for them from now on. */
int fork_mark_probe(void);

/*
 * prepare: before fork(2): the child will have the mark. False if that fails:
 *          the end of the child would not be noticed.
 * parent, child: after it
 */
bool fork_mark_prepare(void);
void fork_mark_parent(void);
void fork_mark_child(void);

/* Whether there may be a process with the mark; true while fork() is under way.
 * Any thread may ask. */
bool fork_mark_is_held(void);

/* Says so as of now; the other one's answer may be some milliseconds old. */
bool fork_mark_is_held_now(void);

#endif
