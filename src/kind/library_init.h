/* SPDX-License-Identifier: BSD-2-Clause */
/* What happens when the library is loaded. */
#ifndef LIBRARY_INIT_H
#define LIBRARY_INIT_H

/* Does that now, unless it has begun before. For what runs earlier than the
 * library's constructor. */
void library_init(void);

#endif
