/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mappings in reserve for fork(2).
 *
 * To give a child its regions, some mapping is cut in two, and others are made.
 * A process that has all the mappings it may (vm.max_map_count) could not do
 * that, and its child would have no kind. So as long as there are pools with
 * files, the process keeps some mappings that are of no use, and unmaps them
 * when it forks.
 *
 * The lock of the list of pools (pool_list.h) is held in all calls.
 */
#ifndef MAPPING_RESERVE_H
#define MAPPING_RESERVE_H

/* Makes the reserve large enough for so many pools. If that fails, there is
 * less. After the last pool a small one stays, up to the next fork. */
void mapping_reserve_fit(unsigned pools);

/* Around fork(2): unmaps it; makes it anew, in the parent. A child does so when
 * it forks in turn, or makes a pool. */
void mapping_reserve_release(void);
void mapping_reserve_renew(void);

#endif
