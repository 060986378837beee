/* SPDX-License-Identifier: Apache-2.0 */
#include "node/node.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/evidence.h"

static void on_signal(uv_signal_t *signal, int number)
{
	log_info("ending on signal %d", number);
	node_stop(signal->data, 0);
}

static int choose_name(struct node *node, struct error *err)
{
	const char *wanted = node->settings.name;
	char host[256] = "";

	if (!*wanted && gethostname(host, sizeof(host) - 1) < 0)
		return error_set_errno(err, -errno, "the host's name");
	if (!*wanted)
		wanted = host;
	if (strlen(wanted) >= sizeof(node->name))
		return error_set(err, -EINVAL, "the node's name '%s' is longer than %d bytes",
				 wanted, BUS_NAME_MAX);
	(void)snprintf(node->name, sizeof(node->name), "%s", wanted);
	return 0;
}

static void start_signals(struct node *node)
{
	static const int numbers[] = {SIGINT, SIGTERM};

	(void)signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error to handle */
	for (size_t i = 0; i < 2; i++) {
		(void)uv_signal_init(&node->loop, &node->signals[i]);
		node->signals[i].data = node;
		(void)uv_signal_start(&node->signals[i], on_signal, numbers[i]);
	}
}

static int load_policy(struct node *node, struct error *err)
{
	const char *path = node->settings.policy_file;
	int r = policy_load(path, &node->policy, err);

	if (r > 0 && *path)
		log_info("there is no %s: a controller may look into VMs and do nothing to them",
			 path);
	return r < 0 ? r : 0;
}

static void on_findings(void *userdata, const struct wire_findings *findings)
{
	link_send_findings(userdata, findings);
}

/* For atom-vmi: "" where VMs are not libvirt's. */
static const char *libvirt_uri(const struct settings *settings)
{
	const char *uri = settings->hypervisor_uri;
	bool is_other = strncmp(uri, "trace:", strlen("trace:")) == 0 || strcmp(uri, "qemu:") == 0;

	return is_other ? "" : uri;
}

static struct introspector *make_introspector(struct node *node)
{
	const struct introspector_options options = {
		.program = node->settings.introspect_program,
		.uri = libvirt_uri(&node->settings),
		.policy = &node->policy,
		.answer = on_findings,
		.userdata = node,
	};

	return introspector_new(&node->loop, &options);
}

static void on_outcome(void *userdata, const struct wire_outcome *outcome)
{
	link_send_outcome(userdata, outcome);
}

static int find_taps(void *userdata, const struct vm_uuid *vm,
		     char (*ret_names)[HYPERVISOR_TAP_SIZE], size_t capacity, size_t *ret_cards)
{
	struct node *node = userdata;

	return hypervisor_taps(node->hypervisor, vm, ret_names, capacity, ret_cards);
}

/* For the actor, whose rules are to stay where it has put them. */
static int on_taps(void *userdata, const struct vm_uuid *vm, char (*ret_names)[HYPERVISOR_TAP_SIZE],
		   size_t capacity, size_t *ret_cards)
{
	struct node *node = userdata;
	int r = find_taps(node, vm, ret_names, capacity, ret_cards);

	if (r > 0)
		upkeep_note(node->upkeep, vm, ret_names, (size_t)r);
	return r;
}

static uint64_t on_memory(void *userdata, const struct vm_uuid *vm)
{
	struct node *node = userdata;

	return hypervisor_memory(node->hypervisor, vm);
}

/* NULL when memory is out. */
static struct actor *make_actor(struct node *node)
{
	const struct actor_options options = {
		.program = node->settings.introspect_program,
		.uri = libvirt_uri(&node->settings),
		.nft = node->settings.action_nft,
		.evidence = node->settings.action_evidence,
		.policy = &node->policy,
		.journal = node->journal,
		.taps = on_taps,
		.memory = on_memory,
		.answer = on_outcome,
		.userdata = node,
	};

	return actor_new(&node->loop, &options);
}

/* NULL when memory is out. */
static struct upkeep *make_upkeep(struct node *node)
{
	const struct upkeep_options options = {.nft = node->settings.action_nft,
					       .journal = node->journal,
					       .interval_usec = USEC_PER_SEC,
					       .taps = find_taps,
					       .userdata = node};

	return upkeep_new(&node->loop, &options);
}

int node_start(struct node *node, struct error *err)
{
	int r = choose_name(node, err);

	if (r == 0)
		r = load_policy(node, err);
	if (r < 0)
		return r;
	(void)evidence_sweep(node->settings.action_evidence); /* it logs what it does */
	node->fleet = fleet_new();
	node->introspector = make_introspector(node);
	node->journal = journal_new(node->settings.action_journal);
	node->actor = node->journal ? make_actor(node) : NULL;
	node->upkeep = node->journal ? make_upkeep(node) : NULL;
	if (!node->fleet || !node->introspector || !node->actor || !node->upkeep)
		return error_set(err, -ENOMEM, "out of memory");
	start_signals(node);
	r = collector_start(node, err);
	if (r == 0)
		r = link_start(node, err);
	if (r == 0) {
		log_info("node %s observes %s", node->name, hypervisor_name(node->hypervisor));
		(void)sd_notify(0, "READY=1"); /* says nothing where nobody listens */
	}
	return r;
}

void node_stop(struct node *node, int exit_code)
{
	if (node->ending)
		return;
	node->ending = true;
	node->exit_code = exit_code;
	link_stop(node);
	node->introspector = introspector_free(node->introspector);
	node->actor = actor_free(node->actor);
	node->upkeep = upkeep_free(node->upkeep);
	collector_stop(node);
	for (size_t i = 0; i < 2; i++)
		uv_close((uv_handle_t *)&node->signals[i], NULL);
}

void node_deinit(struct node *node)
{
	node->fleet = fleet_free(node->fleet);
	node->journal = journal_free(node->journal);
	policy_deinit(&node->policy);
}
