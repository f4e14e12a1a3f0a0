/* SPDX-License-Identifier: BSD-2-Clause */
#include "snapshot_lock.h"

#include <pthread.h>
#include <stddef.h>

#include "ranked_lock.h"

static pthread_rwlock_t snapshot_lock = PTHREAD_RWLOCK_INITIALIZER;

void snapshot_lock_begin_moving(void)
{
    lock_rank_take(RANK_SNAPSHOT);
    pthread_rwlock_rdlock(&snapshot_lock);
}

void snapshot_lock_end_moving(void)
{
    pthread_rwlock_unlock(&snapshot_lock);
    lock_rank_release(RANK_SNAPSHOT);
}

void snapshot_lock_begin_snapshot(void)
{
    lock_rank_take(RANK_SNAPSHOT);
    pthread_rwlock_wrlock(&snapshot_lock);
}

void snapshot_lock_end_snapshot(void)
{
    pthread_rwlock_unlock(&snapshot_lock);
    lock_rank_release(RANK_SNAPSHOT);
}

void snapshot_lock_renew_in_child(void)
{
    pthread_rwlock_init(&snapshot_lock, NULL);
}
