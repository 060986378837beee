/* SPDX-License-Identifier: Apache-2.0 */
/* With whom a VM's processes speak: connections by peer, service and process, out of the tables
 * `peers` and `net`, and the VM's own addresses. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "suspect/suspect_internal.h"

enum { PORTS = 65536, TAKEN_LEAST = 20 };

static const double taken_share = 0.8;

/* Addresses */

bool suspect_begins_with(struct span text, const char *start)
{
	size_t length = strlen(start);

	return text.bytes && text.size >= length && memcmp(text.bytes, start, length) == 0;
}

static bool is_equal(struct span text, const char *other)
{
	return text.size == strlen(other) && suspect_begins_with(text, other);
}

static struct span plain_address(struct span address)
{
	static const char mapped[] = "::ffff:";
	size_t length = strlen(mapped);

	if (suspect_begins_with(address, mapped) && memchr(address.bytes, '.', address.size)) {
		address.bytes += length;
		address.size -= length;
	}
	return address;
}

static bool is_loopback(struct span address)
{
	return suspect_begins_with(address, "127.") || is_equal(address, "::1");
}

bool suspect_split(struct span text, struct span *ret_address, uint32_t *ret_port)
{
	const char *colon = text.bytes ? memrchr(text.bytes, ':', text.size) : NULL;
	struct span address;
	uint32_t port = 0;

	if (!colon || colon == text.bytes || colon + 1 == text.bytes + text.size)
		return false;
	for (const char *c = colon + 1; c < text.bytes + text.size; c++) {
		if (*c < '0' || *c > '9')
			return false;
		port = 10 * port + (uint32_t)(*c - '0');
		if (port >= PORTS)
			return false;
	}
	address = (struct span){text.bytes, (size_t)(colon - text.bytes)};
	if (address.bytes[0] == '[' && address.size >= 2 && address.bytes[address.size - 1] == ']')
		address = (struct span){address.bytes + 1, address.size - 2};
	*ret_address = plain_address(address);
	*ret_port = port;
	return true;
}

static int compare_spans(struct span a, struct span b)
{
	size_t common = a.size < b.size ? a.size : b.size;
	int order = common ? memcmp(a.bytes, b.bytes, common) : 0;

	return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Contacts */

static int by_service(const struct contact *a, const struct contact *b)
{
	if (a->is_incoming != b->is_incoming)
		return a->is_incoming ? 1 : -1;
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	return compare_spans(a->peer, b->peer);
}

static int by_contact(const void *a, const void *b)
{
	const struct contact *left = a, *right = b;
	int order = by_service(left, right);

	return order ? order : (left->pid > right->pid) - (left->pid < right->pid);
}

static bool contact_of_peer(const struct facts *facts, size_t row, struct contact *ret_contact)
{
	struct span direction = {NULL, 0}, peer;
	double port;

	if (!suspect_cell_text(facts, TABLE_PEERS, row, FIELD_PEER, &peer))
		return false;
	(void)suspect_cell_text(facts, TABLE_PEERS, row, FIELD_DIRECTION, &direction);
	port = suspect_number_or_0(facts, TABLE_PEERS, row, FIELD_PORT);
	*ret_contact = (struct contact){
		.is_incoming = is_equal(direction, "in"),
		.peer = plain_address(peer),
		.port = port < PORTS ? (uint32_t)port : 0,
		.pid = suspect_pid(facts, TABLE_PEERS, row),
		.connections = suspect_number_or_0(facts, TABLE_PEERS, row, FIELD_CONNECTIONS),
		.opened = suspect_number_or_0(facts, TABLE_PEERS, row, FIELD_OPENED),
		.received_rate =
			suspect_number_or_0(facts, TABLE_PEERS, row, FIELD_RECEIVED_PER_SEC),
		.sent_rate = suspect_number_or_0(facts, TABLE_PEERS, row, FIELD_SENT_PER_SEC),
	};
	return !is_loopback(ret_contact->peer);
}

static bool has_state(const struct facts *facts, size_t row, const char *state)
{
	struct span text;

	return suspect_cell_text(facts, TABLE_NET, row, FIELD_STATE, &text) &&
	       is_equal(text, state);
}

static void mark_listeners(const struct facts *facts, bool ports[PORTS])
{
	for (size_t row = 0; row < suspect_rows(facts, TABLE_NET); row++) {
		struct span text, address;
		uint32_t port;

		if (has_state(facts, row, "LISTEN") &&
		    suspect_cell_text(facts, TABLE_NET, row, FIELD_LOCAL, &text) &&
		    suspect_split(text, &address, &port))
			ports[port] = true;
	}
}

/* Where `peers` tells of the connections, sockets tell only which of nobody's are in TIME_WAIT. */
static bool contact_of_socket(const struct facts *facts, size_t row, const bool ports[PORTS],
			      struct contact *ret_contact)
{
	bool is_waiting = has_state(facts, row, "TIME_WAIT");
	bool is_told = facts->tables[TABLE_PEERS] >= 0;
	struct span text, local, peer;
	uint32_t local_port, peer_port;

	if ((is_told && !is_waiting) ||
	    !suspect_cell_text(facts, TABLE_NET, row, FIELD_REMOTE, &text) ||
	    !suspect_split(text, &peer, &peer_port) ||
	    !suspect_cell_text(facts, TABLE_NET, row, FIELD_LOCAL, &text) ||
	    !suspect_split(text, &local, &local_port) || peer_port == 0 || is_loopback(peer))
		return false;
	*ret_contact = (struct contact){
		.is_incoming = ports[local_port],
		.peer = peer,
		.port = ports[local_port] ? local_port : peer_port,
		.pid = suspect_pid(facts, TABLE_NET, row),
		.connections = !is_told,
		.waiting = is_waiting,
	};
	return true;
}

static void merge_contacts(struct facts *facts)
{
	size_t kept = 0;

	for (size_t i = 0; i < facts->contact_count; i++) {
		const struct contact *contact = &facts->contacts[i];
		struct contact *last = kept ? &facts->contacts[kept - 1] : NULL;

		if (!last || by_contact(last, contact) != 0) {
			facts->contacts[kept++] = *contact;
			continue;
		}
		last->connections += contact->connections;
		last->opened += contact->opened;
		last->waiting += contact->waiting;
		last->received_rate += contact->received_rate;
		last->sent_rate += contact->sent_rate;
	}
	facts->contact_count = kept;
}

static int read_contacts(struct facts *facts)
{
	size_t peers = suspect_rows(facts, TABLE_PEERS), sockets = suspect_rows(facts, TABLE_NET);
	cleanup(free) bool *ports = calloc(PORTS, sizeof(*ports));

	facts->contacts = calloc(peers + sockets + 1, sizeof(*facts->contacts));
	if (!facts->contacts || !ports)
		return -ENOMEM;
	mark_listeners(facts, ports);
	for (size_t row = 0; row < peers; row++)
		facts->contact_count +=
			contact_of_peer(facts, row, &facts->contacts[facts->contact_count]);
	for (size_t row = 0; row < sockets; row++)
		facts->contact_count += contact_of_socket(facts, row, ports,
							  &facts->contacts[facts->contact_count]);
	qsort(facts->contacts, facts->contact_count, sizeof(*facts->contacts), by_contact);
	merge_contacts(facts);
	return 0;
}

static void add_to_target(struct facts *facts, struct target *target, uint32_t place)
{
	const struct contact *contact = &facts->contacts[place];
	const struct contact *best =
		target->best == NO_PLACE ? NULL : &facts->contacts[target->best];

	target->count++;
	target->connections += contact->connections;
	target->opened += contact->opened;
	target->waiting += contact->waiting;
	target->sent_rate += contact->sent_rate;
	if (contact->pid == 0) {
		target->unheld += fmax(contact->connections, contact->waiting);
		return;
	}
	if (contact->connections == 0)
		return;
	target->processes++;
	if (!best || contact->opened > best->opened ||
	    (contact->opened == best->opened && contact->connections > best->connections))
		target->best = place;
}

double suspect_held(const struct target *target)
{
	return target->connections - fmin(target->unheld, target->connections);
}

bool suspect_is_taking(double held, double share)
{
	return held >= TAKEN_LEAST && share >= taken_share;
}

static int read_targets(struct facts *facts)
{
	struct target *target = NULL;

	facts->targets = calloc(facts->contact_count + 1, sizeof(*facts->targets));
	if (!facts->targets)
		return -ENOMEM;
	for (size_t i = 0; i < facts->contact_count; i++) {
		if (!target || by_service(&facts->contacts[i - 1], &facts->contacts[i]) != 0) {
			target = &facts->targets[facts->target_count++];
			*target = (struct target){.first = (uint32_t)i, .best = NO_PLACE};
		}
		add_to_target(facts, target, (uint32_t)i);
	}
	for (size_t i = 0; i < facts->target_count; i++)
		facts->held += suspect_held(&facts->targets[i]);
	return 0;
}

/* The VM's own addresses */

struct own_address {
	struct span address;
	size_t sockets;
};

static int by_text(const void *a, const void *b)
{
	const struct own_address *left = a, *right = b;

	return compare_spans(left->address, right->address);
}

static int by_sockets(const void *a, const void *b)
{
	const struct own_address *left = a, *right = b;

	if (left->sockets != right->sockets)
		return left->sockets > right->sockets ? -1 : 1;
	return compare_spans(left->address, right->address);
}

/* A process may bind any address that it likes; but a TCP connection over one that is not its VM's
 * would not have been answered. */
static bool own_address_at(const struct facts *facts, size_t row, struct span *ret_address)
{
	struct span protocol, text;
	uint32_t port;

	return suspect_cell_text(facts, TABLE_NET, row, FIELD_PROTOCOL, &protocol) &&
	       suspect_begins_with(protocol, "tcp") &&
	       (has_state(facts, row, "ESTABLISHED") || has_state(facts, row, "TIME_WAIT") ||
		has_state(facts, row, "CLOSE_WAIT")) &&
	       suspect_cell_text(facts, TABLE_NET, row, FIELD_LOCAL, &text) &&
	       suspect_split(text, ret_address, &port) && !is_loopback(*ret_address) &&
	       !is_equal(*ret_address, "*") && !is_equal(*ret_address, "::");
}

static int read_addresses(struct facts *facts)
{
	size_t rows = suspect_rows(facts, TABLE_NET), count = 0, kept = 0;
	cleanup(free) struct own_address *list = calloc(rows + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (size_t row = 0; row < rows; row++) {
		list[count].sockets = 1;
		count += own_address_at(facts, row, &list[count].address);
	}
	qsort(list, count, sizeof(*list), by_text);
	for (size_t i = 0; i < count; i++) {
		if (kept > 0 && compare_spans(list[kept - 1].address, list[i].address) == 0)
			list[kept - 1].sockets++;
		else
			list[kept++] = list[i];
	}
	qsort(list, kept, sizeof(*list), by_sockets);
	for (size_t i = 0; i < kept && i < SUSPECT_ADDRESSES_MAX; i++)
		facts->addresses[facts->address_count++] = list[i].address;
	return 0;
}

int suspect_read_contacts(struct facts *facts)
{
	int r = read_contacts(facts);

	if (r == 0)
		r = read_targets(facts);
	return r == 0 ? read_addresses(facts) : r;
}
