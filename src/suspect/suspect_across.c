/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the looks into several VMs tell together. An address is taken for a VM's when that VM has
 * established connections under it; a guest can lie about that, so an address that several VMs
 * claim is said to be claimed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "suspect/suspect_internal.h"

enum { NAMES_SIZE = 256, TEXT_SIZE = 1024, NAME_SIZE = 68, NAMED_MAX = 10 };

/* Names and addresses as parts of a sentence. */
static const char *clip(const char *text, char clean[NAME_SIZE])
{
	return suspect_clean((struct span){text, strlen(text)}, clean, NAME_SIZE);
}

static int add(json_t *patterns, const char *name, const char *text, json_t *vms)
{
	if (json_array_size(patterns) == SUSPECT_PATTERNS_MAX) {
		json_decref(vms);
		return 0;
	}
	return json_array_append_new(patterns, json_pack("{s:s, s:s, s:o}", "name", name, "text",
							 text, "vms", vms)) < 0
		       ? -ENOMEM
		       : 0;
}

/* "DiskReadOps, DiskReadBytes" of the VM's metrics that are in the set and went that way. */
static const char *list_metrics(const struct suspect_vm *vm, metric_set set, bool is_up,
				char names[NAMES_SIZE])
{
	names[0] = '\0';
	for (size_t i = 0; i < vm->metric_count; i++) {
		double change = vm->metrics[i].change;
		size_t used = strlen(names);

		if ((set >> vm->metrics[i].metric & 1) && (is_up ? change > 0 : change < 0))
			(void)snprintf(names + used, NAMES_SIZE - used, "%s%s", used ? ", " : "",
				       metric_info(vm->metrics[i].metric)->name);
	}
	return names;
}

/* Whose address is it? */

struct owner {
	const char *address;
	size_t vm;
};

static int by_owner(const void *a, const void *b)
{
	const struct owner *left = a, *right = b;
	int order = strcmp(left->address, right->address);

	return order ? order : (left->vm > right->vm) - (left->vm < right->vm);
}

struct owners {
	struct owner *list;
	size_t count;
};

static void cleanup_owners(struct owners *owners)
{
	free(owners->list);
}

static int read_owners(const struct suspect_vm *vms, size_t count, struct owners *ret_owners)
{
	struct owners owners = {NULL, 0};
	size_t total = 0, kept = 0;

	for (size_t i = 0; i < count; i++)
		total += json_array_size(json_object_get(vms[i].found, "addresses"));
	owners.list = calloc(total + 1, sizeof(*owners.list));
	if (!owners.list)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const json_t *address;
		size_t j;

		json_array_foreach(json_object_get(vms[i].found, "addresses"), j, address)
		{
			if (json_is_string(address))
				owners.list[owners.count++] =
					(struct owner){json_string_value(address), i};
		}
	}
	qsort(owners.list, owners.count, sizeof(*owners.list), by_owner);
	for (size_t i = 0; i < owners.count; i++)
		if (kept == 0 || by_owner(&owners.list[kept - 1], &owners.list[i]) != 0)
			owners.list[kept++] = owners.list[i];
	owners.count = kept;
	*ret_owners = owners;
	return 0;
}

/* The first of those that claim the address; NULL: none does. */
static const struct owner *find_owners(const struct owners *owners, const char *address,
				       size_t *ret_count)
{
	size_t low = 0, high = owners->count, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(owners->list[middle].address, address) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < owners->count && strcmp(owners->list[end].address, address) == 0;)
		end++;
	*ret_count = end - low;
	return end > low ? &owners->list[low] : NULL;
}

/* One VM takes the sockets of another. Seen from either: what comes in at the one that is hit, or
 * what goes out of the one that acts. */

struct taking {
	size_t actor, victim, claims; /* claims: how many VMs say that the address is theirs */
	const json_t *peer;           /* as one of the two saw it */
	bool is_seen_by_victim;
};

/* By pair; of a pair, what the victim saw first, then the most that are held. */
static int by_pair(const void *a, const void *b)
{
	const struct taking *left = a, *right = b;
	double l = number_of(left->peer, "held"), r = number_of(right->peer, "held");

	if (left->actor != right->actor)
		return left->actor < right->actor ? -1 : 1;
	if (left->victim != right->victim)
		return left->victim < right->victim ? -1 : 1;
	if (left->is_seen_by_victim != right->is_seen_by_victim)
		return left->is_seen_by_victim ? -1 : 1;
	return (l < r) - (l > r);
}

static bool claims(const struct owner *list, size_t count, size_t vm)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].vm == vm)
			return true;
	return false;
}

/* Whom a VM's peer is, as takings; at most one per claimant. A VM's own address, or one that many
 * have (of a bridge within), tells nothing. */
static size_t collect_of_peer(const struct owners *owners, size_t vm, const json_t *peer,
			      struct taking *takings)
{
	bool is_incoming = strcmp(text_of(peer, "direction"), "in") == 0;
	size_t claimants, count = 0;
	const struct owner *list = find_owners(owners, text_of(peer, "peer"), &claimants);

	if (!suspect_is_taking(number_of(peer, "held"), number_of(peer, "held_share")) || !list ||
	    claims(list, claimants, vm))
		return 0;
	for (size_t i = 0; i < claimants && i < SUSPECT_PATTERNS_MAX; i++)
		takings[count++] = (struct taking){
			.actor = is_incoming ? list[i].vm : vm,
			.victim = is_incoming ? vm : list[i].vm,
			.claims = claimants,
			.peer = peer,
			.is_seen_by_victim = is_incoming,
		};
	return count;
}

static int tell_taking(const struct suspect_vm *vms, const struct taking *taking, json_t *patterns)
{
	const metric_set reads = 1u << METRIC_DISK_READ_OPS | 1u << METRIC_DISK_READ_BYTES;
	const metric_set traffic = 1u << METRIC_NETWORK_IN | 1u << METRIC_NETWORK_OUT |
				   1u << METRIC_NETWORK_PACKETS_IN |
				   1u << METRIC_NETWORK_PACKETS_OUT;
	const struct suspect_vm *actor = &vms[taking->actor], *victim = &vms[taking->victim];
	char up[NAMES_SIZE], down[NAMES_SIZE], text[TEXT_SIZE], claimed[64] = "";
	char first[NAME_SIZE], second[NAME_SIZE], address[NAME_SIZE];
	bool is_freeing = *list_metrics(actor, reads, true, up);

	(void)list_metrics(victim, traffic, false, down);
	(void)clip(actor->name, first);
	(void)clip(victim->name, second);
	if (taking->claims > 1)
		(void)snprintf(claimed, sizeof(claimed), ", an address that %zu VMs claim",
			       taking->claims);
	(void)snprintf(text, sizeof(text),
		       "%.0f connections from %s to port %lld of %s (%s%s), %.0f %% of all that %s "
		       "holds%s%s%s%s%s%s%s%s",
		       number_of(taking->peer, "held"), first,
		       (long long)json_integer_value(json_object_get(taking->peer, "port")), second,
		       clip(text_of(taking->peer, "peer"), address), claimed,
		       100 * number_of(taking->peer, "held_share"),
		       taking->is_seen_by_victim ? second : first, is_freeing ? "; meanwhile " : "",
		       is_freeing ? up : "", is_freeing ? " of " : "", is_freeing ? first : "",
		       is_freeing ? " went up" : "", *down ? "; " : "", down,
		       *down ? " of the other went down" : "");
	return add(patterns,
		   is_freeing ? "possible resource-freeing attack" : "possible denial of service",
		   text, json_pack("[s, s]", actor->name, victim->name));
}

static int find_takings(const struct suspect_vm *vms, size_t count, json_t *patterns)
{
	cleanup(free) struct taking *takings = NULL;
	cleanup(owners) struct owners owners = {NULL, 0};
	size_t peers = 0, found = 0;
	int r = read_owners(vms, count, &owners);

	for (size_t i = 0; i < count; i++)
		peers += json_array_size(json_object_get(vms[i].found, "peers"));
	takings = calloc(peers * SUSPECT_PATTERNS_MAX + 1, sizeof(*takings));
	if (r < 0 || !takings)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const json_t *peer;
		size_t j;

		json_array_foreach(json_object_get(vms[i].found, "peers"), j, peer)
		{
			found += collect_of_peer(&owners, i, peer, takings + found);
		}
	}
	qsort(takings, found, sizeof(*takings), by_pair);
	for (size_t i = 0; r == 0 && i < found; i++)
		if (i == 0 || takings[i].actor != takings[i - 1].actor ||
		    takings[i].victim != takings[i - 1].victim)
			r = tell_taking(vms, &takings[i], patterns);
	return r;
}

/* One flood from several VMs */

struct flood {
	const char *peer;
	json_int_t port;
	size_t vm;
};

static int by_flood(const void *a, const void *b)
{
	const struct flood *left = a, *right = b;
	int order = strcmp(left->peer, right->peer);

	if (order)
		return order;
	if (left->port != right->port)
		return left->port < right->port ? -1 : 1;
	return (left->vm > right->vm) - (left->vm < right->vm);
}

static size_t collect_floods(const struct suspect_vm *vm, size_t number, struct flood *floods)
{
	const json_t *pattern;
	size_t i, count = 0;

	json_array_foreach(json_object_get(vm->found, "patterns"), i, pattern)
	{
		if (strcmp(text_of(pattern, "name"), "possible flood") == 0 &&
		    *text_of(pattern, "peer"))
			floods[count++] = (struct flood){
				text_of(pattern, "peer"),
				json_integer_value(json_object_get(pattern, "port")), number};
	}
	return count;
}

static int tell_flood(const struct suspect_vm *vms, const struct flood *floods, size_t count,
		      json_t *patterns)
{
	json_t *names = json_array();
	char text[TEXT_SIZE], clean[NAME_SIZE];
	size_t used = (size_t)snprintf(text, sizeof(text), "flood towards %s port %lld from ",
				       clip(floods[0].peer, clean), (long long)floods[0].port);
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		const char *glue = i + 1 == count ? " and " : ", ";

		if (i < NAMED_MAX) /* for which there is room */
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
						 i ? glue : "",
						 clip(vms[floods[i].vm].name, clean));
		r = json_array_append_new(names, json_string(vms[floods[i].vm].name));
	}
	if (count > NAMED_MAX)
		(void)snprintf(text + used, sizeof(text) - used, " and %zu others",
			       count - NAMED_MAX);
	if (r == 0)
		return add(patterns, "possible flood", text, names);
	json_decref(names);
	return -ENOMEM;
}

static int find_floods(const struct suspect_vm *vms, size_t count, json_t *patterns)
{
	cleanup(free) struct flood *floods = NULL;
	size_t total = 0, found = 0, kept = 0;
	int r = 0;

	for (size_t i = 0; i < count; i++)
		total += json_array_size(json_object_get(vms[i].found, "patterns"));
	floods = calloc(total + 1, sizeof(*floods));
	if (!floods)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		found += collect_floods(&vms[i], i, floods + found);
	qsort(floods, found, sizeof(*floods), by_flood);
	for (size_t i = 0; i < found; i++)
		if (kept == 0 || by_flood(&floods[kept - 1], &floods[i]) != 0)
			floods[kept++] = floods[i];
	for (size_t first = 0, i = 1; r == 0 && i <= kept; i++) {
		if (i < kept && strcmp(floods[i].peer, floods[first].peer) == 0 &&
		    floods[i].port == floods[first].port)
			continue;
		if (i - first > 1)
			r = tell_flood(vms, floods + first, i - first, patterns);
		first = i;
	}
	return r;
}

json_t *suspects_across(const struct suspect_vm *vms, size_t count)
{
	cleanup(json_decref) json_t *patterns = json_array();
	int r = patterns ? find_takings(vms, count, patterns) : -ENOMEM;

	if (r == 0)
		r = find_floods(vms, count, patterns);
	return r == 0 ? keep(patterns) : NULL;
}
