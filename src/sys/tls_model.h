/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The model of thread-local variables that each call reads. If the jemalloc in
 * use has its TLS in the static block anyway, so has the library; otherwise the
 * library has to work when dlopen() loads it.
 */
#ifndef TLS_MODEL_H
#define TLS_MODEL_H

#ifdef MEMKIND_TLS_INITIAL_EXEC
#define TLS_MODEL __attribute__((tls_model("initial-exec")))
#else
#define TLS_MODEL
#endif

#endif
