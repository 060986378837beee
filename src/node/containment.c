/* SPDX-License-Identifier: Apache-2.0 */
#include "node/containment.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct address {
	int family; /* AF_UNSPEC: any */
	char text[INET6_ADDRSTRLEN];
};

/* What differs between the two families. Lengths are those of a packet that has no room for words:
 * a reset with a timestamp, or a neighbour's question. To the VM they count the frame's head. */
struct words {
	const char *type, *protocol;
	const char *fragments;  /* a match */
	const char *neighbours; /* a match, or NULL */
	int length_sent, length_received;
};

static const struct words ipv4_words = {"ipv4_addr", "ip", "ip frag-off & 0x3fff != 0",
					NULL,        52,   66};
static const struct words ipv6_words = {"ipv6_addr", "ip6", "exthdr frag exists",
					/* without it no reset finds its way after some seconds */
					"icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }",
					72, 86};

/* Checking */

static void take_ipv4(const void *bytes, struct address *ret_address)
{
	ret_address->family = AF_INET;
	(void)inet_ntop(AF_INET, bytes, ret_address->text,
			sizeof(ret_address->text)); /* has room */
}

static int parse_address(const char *what, const char *text, struct address *ret_address,
			 struct error *err)
{
	struct in6_addr address;

	if (inet_pton(AF_INET, text, &address) == 1) {
		take_ipv4(&address, ret_address);
	} else if (inet_pton(AF_INET6, text, &address) == 1) {
		ret_address->family = AF_INET6;
		(void)inet_ntop(AF_INET6, &address, ret_address->text, sizeof(ret_address->text));
		if (IN6_IS_ADDR_V4MAPPED(&address)) /* so a socket of both families shows it */
			take_ipv4(&address.s6_addr[12], ret_address);
	} else {
		return error_set(err, -EINVAL, "%s '%.64s' is no IPv4 or IPv6 address", what, text);
	}
	if (strcmp(ret_address->text, "0.0.0.0") == 0 || strcmp(ret_address->text, "::") == 0)
		return error_set(err, -EINVAL, "%s '%.64s' is nobody's address", what, text);
	return 0;
}

static int parse_addresses(const struct containment *containment, struct address *ret_peer,
			   struct address *ret_own, struct error *err)
{
	int r = parse_address("the peer", containment->peer, ret_peer, err);

	*ret_own = (struct address){.family = AF_UNSPEC};
	if (r == 0 && *containment->address)
		r = parse_address("the VM's address", containment->address, ret_own, err);
	if (r == 0 && ret_own->family != AF_UNSPEC && ret_own->family != ret_peer->family)
		return error_set(err, -EINVAL,
				 "the peer %s and the VM's address %s are not of one family",
				 ret_peer->text, ret_own->text);
	return r;
}

static int check_taps(const struct containment *containment, struct error *err)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_.-";

	if (containment->tap_count == 0 || containment->tap_count > CONTAINMENT_TAPS_MAX)
		return error_set(err, -EINVAL, "%zu taps: 1 to %d can be told",
				 containment->tap_count, CONTAINMENT_TAPS_MAX);
	for (size_t i = 0; i < containment->tap_count; i++) {
		const char *name = containment->taps[i];
		size_t length = strlen(name);

		if (length == 0 || length > CONTAINMENT_TAP_LENGTH_MAX ||
		    strspn(name, allowed) != length)
			return error_set(err, -EINVAL, "'%.32s' is no name of a tap", name);
	}
	return 0;
}

static int check_numbers(const struct containment *containment, struct error *err)
{
	if (containment->rate > CONTAINMENT_RATE_MAX)
		return error_set(err, -EINVAL, "a rate of %" PRIu32 " per second: at most %d",
				 containment->rate, CONTAINMENT_RATE_MAX);
	if (containment->expiry_usec < USEC_PER_MSEC ||
	    containment->expiry_usec > CONTAINMENT_EXPIRY_USEC_MAX)
		return error_set(
			err, -EINVAL, "an expiry of %" PRId64 " us: it is 1 ms to %" PRId64 " s",
			containment->expiry_usec, CONTAINMENT_EXPIRY_USEC_MAX / USEC_PER_SEC);
	return 0;
}

/* Printing */

/* timeout_usec 0: nobody is in it. */
static void print_set(FILE *stream, const char *name, const struct words *words,
		      const struct address *peer, int64_t timeout_usec)
{
	int64_t msec = (timeout_usec + USEC_PER_MSEC - 1) / USEC_PER_MSEC;

	(void)fprintf(stream, "\tset %s {\n\t\ttype %s\n\t\tflags timeout\n", name, words->type);
	/* nft takes no milliseconds of more than eight digits */
	if (msec > 0)
		(void)fprintf(stream, "\t\telements = { %s timeout %" PRId64 "s%" PRId64 "ms }\n",
			      peer->text, msec / 1000, msec % 1000);
	(void)fputs("\t}\n", stream);
}

/* One chain for both directions and all taps, so that they share one limit. */
static void print_limited(FILE *stream, const char *name, uint32_t rate)
{
	(void)fprintf(stream, "\tchain %s {\n", name);
	if (rate > 0)
		(void)fprintf(stream,
			      "\t\tlimit rate %" PRIu32 "/second burst %" PRIu32
			      " packets accept\n",
			      rate, rate);
	(void)fputs("\t\tdrop\n\t}\n", stream);
}

/* What comes first in both directions. A fragment does not show what it is a part of, and is none
 * of TCP here. */
static void print_beginning(FILE *stream, const char *chain, const struct words *words,
			    const char *peer, int length)
{
	(void)fprintf(stream, "\tchain %s {\n\t\t%s goto others\n", chain, words->fragments);
	if (words->neighbours)
		(void)fprintf(stream, "\t\t%s meta length <= %d goto few\n", words->neighbours,
			      length);
	(void)fprintf(stream,
		      "\t\ttcp flags & (syn | ack) == syn %s %s @closing drop\n"
		      "\t\ttcp flags & (syn | ack) == syn goto openings\n",
		      words->protocol, peer);
}

/* Once what was there is closed, resets are those of connections that were let through. */
static void print_resets(FILE *stream, const struct words *words, const char *peer, int length)
{
	(void)fprintf(stream,
		      "\t\ttcp flags & rst == rst %s %s @closing meta length <= %d goto few\n",
		      words->protocol, peer, length);
}

/* What passes from the VM to the peer and back. The VM's resets pass, so that the peer's end closes
 * too; it is the peer's next packet that calls for one, and is heard for that while it is new. What
 * the VM is answered later are our resets, which pass here as if they came from the peer. */
static void print_directions(FILE *stream, const struct words *words)
{
	const char *ip = words->protocol;

	print_beginning(stream, "sent", words, "daddr", words->length_sent);
	(void)fprintf(stream,
		      "\t\ttcp flags & rst == rst %s daddr @hearing meta length <= %d goto heard\n",
		      ip, words->length_sent);
	print_resets(stream, words, "daddr", words->length_sent);
	(void)fprintf(stream,
		      "\t\tmeta l4proto tcp %s daddr @closing reject with tcp reset\n"
		      "\t\tmeta l4proto tcp accept\n\t\tgoto others\n\t}\n",
		      ip);
	print_beginning(stream, "received", words, "saddr", words->length_received);
	(void)fprintf(stream, "\t\tmeta l4proto tcp %s saddr @hearing goto heard\n", ip);
	print_resets(stream, words, "saddr", words->length_received);
	(void)fprintf(stream,
		      "\t\tmeta l4proto tcp %s saddr @closing drop\n"
		      "\t\tmeta l4proto tcp accept\n\t\tgoto others\n\t}\n",
		      ip);
}

struct hook {
	const char *chain, *hook, *peer, *own, *target;
};

/* A tap receives what its VM sends. */
static void print_hook(FILE *stream, const struct containment *containment, const char *ip,
		       const struct address *own, const struct hook *hook)
{
	(void)fprintf(stream, "\tchain %s {\n\t\ttype filter hook %s devices = {", hook->chain,
		      hook->hook);
	for (size_t i = 0; i < containment->tap_count; i++)
		(void)fprintf(stream, "%s \"%s\"", i > 0 ? "," : "", containment->taps[i]);
	(void)fprintf(stream, " } priority filter; policy accept;\n\t\t%s %s @contained ", ip,
		      hook->peer);
	if (own->family != AF_UNSPEC)
		(void)fprintf(stream, "%s %s %s ", ip, hook->own, own->text);
	(void)fprintf(stream, "goto %s\n\t}\n", hook->target);
}

static void print_script(FILE *stream, const struct containment *containment,
			 const struct address *peer, const struct address *own)
{
	static const struct hook hooks[] = {{"from-vm", "ingress", "daddr", "saddr", "sent"},
					    {"to-vm", "egress", "saddr", "daddr", "received"}};
	const struct words *words = peer->family == AF_INET ? &ipv4_words : &ipv6_words;
	int64_t expiry_usec = containment->expiry_usec, closing_usec = expiry_usec, hearing_usec;

	if (containment->rate > 0 && closing_usec > CONTAINMENT_CLOSING_USEC)
		closing_usec = CONTAINMENT_CLOSING_USEC;
	hearing_usec =
		closing_usec < CONTAINMENT_HEARING_USEC ? closing_usec : CONTAINMENT_HEARING_USEC;
	if (containment->is_renewal) {
		hearing_usec = 0;
		closing_usec = containment->rate > 0 ? 0 : closing_usec;
	}
	(void)fprintf(stream,
		      "table netdev atom-%" PRIu64 "\ndelete table netdev atom-%" PRIu64
		      "\ntable netdev atom-%" PRIu64 " {\n",
		      containment->action, containment->action, containment->action);
	print_set(stream, "contained", words, peer, expiry_usec);
	print_set(stream, "closing", words, peer, closing_usec);
	print_set(stream, "hearing", words, peer, hearing_usec);
	print_limited(stream, "heard", CONTAINMENT_HEARD);
	print_limited(stream, "few", CONTAINMENT_FEW);
	print_limited(stream, "openings", containment->rate);
	print_limited(stream, "others", containment->rate);
	print_directions(stream, words);
	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++)
		print_hook(stream, containment, words->protocol, own, &hooks[i]);
	(void)fputs("}\n", stream);
}

int containment_script(const struct containment *containment, char **ret_script, struct error *err)
{
	struct address peer, own;
	char *text = NULL;
	size_t size;
	FILE *stream;
	bool failed;
	int r = parse_addresses(containment, &peer, &own, err);

	if (r == 0)
		r = check_taps(containment, err);
	if (r == 0)
		r = check_numbers(containment, err);
	if (r < 0)
		return r;
	stream = open_memstream(&text, &size);
	if (!stream)
		return error_set_errno(err, -ENOMEM, "containment");
	print_script(stream, containment, &peer, &own);
	failed = ferror(stream) != 0;
	if (fclose(stream) != 0 || failed) {
		free(text);
		return error_set_errno(err, -ENOMEM, "containment");
	}
	*ret_script = text;
	return 0;
}

char *containment_release_script(uint64_t action)
{
	char *text;

	/* the first line makes the table where it is gone */
	if (asprintf(&text, "table netdev atom-%" PRIu64 "\ndelete table netdev atom-%" PRIu64 "\n",
		     action, action) < 0)
		return NULL;
	return text;
}
