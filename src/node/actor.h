#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does to VMs what the controller orders, as far as the node's policy allows it: ends a process,
 * pauses, resumes and saves a VM by runs of atom-vmi, contains a flow by runs of nft. Each order is
 * in the journal before it is begun and when it has ended, and one that is said again is not done
 * again. A few at once, the rest wait in a short queue, no longer than their time; those of one VM
 * in their order where they touch the same. Containments are released when their time is over.
 * Never blocks but for the journal. On the loop's thread.
 */
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "hypervisor/hypervisor.h"
#include "node/journal.h"
#include "node/policy.h"
#include "wire/wire.h"

enum {
	ACTOR_RUNNING_MAX = 2,   /* of atom-vmi, and as many of nft */
	ACTOR_SNAPSHOTS_MAX = 1, /* of atom-vmi's: they last long */
	ACTOR_WAITING_MAX = 64,
	ACTOR_REPORT_SIZE_MAX = WIRE_MESSAGE_SIZE_MAX - 1024, /* room for the rest of it */
	ACTOR_EVIDENCE_MIB_FREE = 1024,                       /* that a snapshot leaves free */
};

struct actor;

/* Each order is answered once, maybe before actor_order() returns. The outcome is borrowed for the
 * call, which may do anything but free the actor. */
typedef void actor_answer(void *userdata, const struct wire_outcome *outcome);

/* The names of a VM's taps now, and how many network cards it was started with; as
 * hypervisor_taps(). */
typedef int actor_taps(void *userdata, const struct vm_uuid *vm,
		       char (*ret_names)[HYPERVISOR_TAP_SIZE], size_t capacity, size_t *ret_cards);

/* Bytes of a VM's memory; 0: not known. As hypervisor_memory(). */
typedef uint64_t actor_memory(void *userdata, const struct vm_uuid *vm);

/* The texts are copied; policy and journal are borrowed until actor_free(). */
struct actor_options {
	const char *program;  /* atom-vmi, as program_find() takes it */
	const char *uri;      /* of libvirt, handed on as --connect; "" none */
	const char *nft;      /* the program, or its name in PATH */
	const char *evidence; /* the folder for snapshots; made when one is taken */
	const struct policy *policy;
	struct journal *journal;
	actor_taps *taps;
	actor_memory *memory;
	actor_answer *answer;
	void *userdata;
};

/* Returns owned, NULL when memory is out. Releases at once what should have been while no node ran.
 */
struct actor *actor_new(uv_loop_t *loop, const struct actor_options *options);
/* Ends what runs; nothing is answered any more, and the journal has no end of it. The loop must run
 * on until that has ended, a second at most. */
struct actor *actor_free(struct actor *actor);

/* Where this node has no such VM, the texts of `asked` but the controller are NULL. Copies what it
 * needs. An order that was carried out, or
 * refused, is answered as it was then; one that runs or waits is dropped. */
void actor_order(struct actor *actor, const struct wire_act *act, const struct policy_case *asked);
