/* SPDX-License-Identifier: Apache-2.0 */
/* The text of the rules. That the kernel does with it what it says is shown by
 * tests/scenario/containment_test.py. */
#include "node/containment.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/test.h"

static struct containment example(void)
{
	return (struct containment){.action = 7,
				    .taps = {"vnet0", "tap-web.1_b"},
				    .tap_count = 2,
				    .peer = "203.0.113.9",
				    .address = "10.0.0.5",
				    .expiry_usec = 600000000};
}

static void test_containment_that_lets_nothing_through(void)
{
	static const char expected[] =
		"table netdev atom-7\n"
		"delete table netdev atom-7\n"
		"table netdev atom-7 {\n"
		"\tset contained {\n\t\ttype ipv4_addr\n\t\tflags timeout\n"
		"\t\telements = { 203.0.113.9 timeout 600s0ms }\n\t}\n"
		"\tset closing {\n\t\ttype ipv4_addr\n\t\tflags timeout\n"
		"\t\telements = { 203.0.113.9 timeout 600s0ms }\n\t}\n"
		"\tset hearing {\n\t\ttype ipv4_addr\n\t\tflags timeout\n"
		"\t\telements = { 203.0.113.9 timeout 10s0ms }\n\t}\n"
		"\tchain heard {\n"
		"\t\tlimit rate 1000/second burst 1000 packets accept\n\t\tdrop\n\t}\n"
		"\tchain few {\n"
		"\t\tlimit rate 20/second burst 20 packets accept\n\t\tdrop\n\t}\n"
		"\tchain openings {\n\t\tdrop\n\t}\n"
		"\tchain others {\n\t\tdrop\n\t}\n"
		"\tchain sent {\n"
		"\t\tip frag-off & 0x3fff != 0 goto others\n"
		"\t\ttcp flags & (syn | ack) == syn ip daddr @closing drop\n"
		"\t\ttcp flags & (syn | ack) == syn goto openings\n"
		"\t\ttcp flags & rst == rst ip daddr @hearing meta length <= 52 goto heard\n"
		"\t\ttcp flags & rst == rst ip daddr @closing meta length <= 52 goto few\n"
		"\t\tmeta l4proto tcp ip daddr @closing reject with tcp reset\n"
		"\t\tmeta l4proto tcp accept\n"
		"\t\tgoto others\n\t}\n"
		"\tchain received {\n"
		"\t\tip frag-off & 0x3fff != 0 goto others\n"
		"\t\ttcp flags & (syn | ack) == syn ip saddr @closing drop\n"
		"\t\ttcp flags & (syn | ack) == syn goto openings\n"
		"\t\tmeta l4proto tcp ip saddr @hearing goto heard\n"
		"\t\ttcp flags & rst == rst ip saddr @closing meta length <= 66 goto few\n"
		"\t\tmeta l4proto tcp ip saddr @closing drop\n"
		"\t\tmeta l4proto tcp accept\n"
		"\t\tgoto others\n\t}\n"
		"\tchain from-vm {\n"
		"\t\ttype filter hook ingress devices = { \"vnet0\", \"tap-web.1_b\" } "
		"priority filter; policy accept;\n"
		"\t\tip daddr @contained ip saddr 10.0.0.5 goto sent\n\t}\n"
		"\tchain to-vm {\n"
		"\t\ttype filter hook egress devices = { \"vnet0\", \"tap-web.1_b\" } "
		"priority filter; policy accept;\n"
		"\t\tip saddr @contained ip daddr 10.0.0.5 goto received\n\t}\n"
		"}\n";
	struct containment containment = example();
	cleanup(free) char *script = NULL;

	check_int(containment_script(&containment, &script, NULL), 0);
	check_string(script, expected);
}

static void test_containment_rate_closes_for_three_seconds(void)
{
	struct containment containment = example();
	cleanup(free) char *script = NULL, *brief = NULL;

	containment.rate = 20;
	containment.action = UINT64_MAX;
	check_int(containment_script(&containment, &script, NULL), 0);
	check(strstr(script, "table netdev atom-18446744073709551615 {"));
	check(strstr(script, "chain openings {\n\t\tlimit rate 20/second burst 20 packets accept\n"
			     "\t\tdrop\n"));
	check(strstr(script, "chain others {\n\t\tlimit rate 20/second burst 20 packets accept\n"));
	check(strstr(script, "timeout 600s0ms"));
	check(strstr(script, "timeout 3s0ms"));
	containment.expiry_usec = 1500001; /* shorter than that */
	check_int(containment_script(&containment, &brief, NULL), 0);
	check(strstr(brief, "timeout 1s501ms"));
	check(!strstr(brief, "timeout 3s"));
}

static void test_containment_renewal_closes_and_hears_nothing_anew(void)
{
	static const char nobody[] = "type ipv4_addr\n\t\tflags timeout\n\t}\n";
	struct containment containment = example();
	cleanup(free) char *script = NULL, *limited = NULL;
	const char *closing;

	containment.is_renewal = true;
	check_int(containment_script(&containment, &script, NULL), 0);
	check(strstr(strstr(script, "set closing"), "timeout 600s0ms"));
	check(strncmp(strstr(script, "set hearing {\n\t\t") + 16, nobody, strlen(nobody)) == 0);
	containment.rate = 20;
	check_int(containment_script(&containment, &limited, NULL), 0);
	closing = strstr(limited, "set closing {\n\t\t") + 16;
	check(strncmp(closing, nobody, strlen(nobody)) == 0);
	check(strstr(limited, "timeout 600s0ms"));
}

static void test_containment_ipv6_and_any_address(void)
{
	struct containment containment = example();
	cleanup(free) char *script = NULL;

	containment.peer = "2001:DB8:0:0::0009";
	containment.address = "";
	check_int(containment_script(&containment, &script, NULL), 0);
	check(strstr(script, "\t\ttype ipv6_addr\n"));
	check(strstr(script, "elements = { 2001:db8::9 timeout"));
	check(strstr(script, "\t\tip6 daddr @contained goto sent\n"));
	check(strstr(script, "\t\tip6 saddr @contained goto received\n"));
	check(strstr(script, "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } "
			     "meta length <= 72 goto few\n"));
	check(strstr(script, "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } "
			     "meta length <= 86 goto few\n"));
	check(strstr(script, "chain sent {\n\t\texthdr frag exists goto others\n"));
	check(strstr(script, "chain received {\n\t\texthdr frag exists goto others\n"));
	check(!strstr(script, " ip daddr"));
}

/* As a socket that serves both families shows the peer of a connection over IPv4. */
static void test_containment_mapped_address_is_ipv4(void)
{
	struct containment containment = example();
	cleanup(free) char *script = NULL;

	containment.peer = "::ffff:203.0.113.9";
	check_int(containment_script(&containment, &script, NULL), 0);
	check(strstr(script, "elements = { 203.0.113.9 timeout"));
	check(strstr(script, "\t\tip daddr @contained ip saddr 10.0.0.5 goto sent\n"));
}

static void test_containment_bad_addresses(void)
{
	static const struct {
		const char *peer, *address, *says;
	} bad[] = {
		{"", "", "the peer ''"},
		{"203.0.113", "", "the peer"},
		{"203.0.113.9/24", "", "the peer"},
		{"0x7f.0.0.1", "", "the peer"},
		{"example.com", "", "the peer"},
		{"fe80::1%eth0", "", "the peer"},
		{"1.2.3.4 }; flush ruleset", "", "the peer"},
		{"0.0.0.0", "", "nobody's"},
		{"::ffff:0.0.0.0", "", "nobody's"},
		{"203.0.113.9", "10.0.0", "the VM's address"},
		{"203.0.113.9", "::", "nobody's"},
		{"203.0.113.9", "fd00::5", "not of one family"},
		{"fd00::9", "::ffff:10.0.0.5", "not of one family"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct containment containment = example();
		struct error err = ERROR_INIT;
		char *script = NULL;

		containment.peer = bad[i].peer;
		containment.address = bad[i].address;
		check_int(containment_script(&containment, &script, &err), -EINVAL);
		check(strstr(err.text, bad[i].says));
		check(!script);
	}
}

static void test_containment_bad_taps(void)
{
	static const char *const bad[] = {
		"",     "sixteen-bytes-xx", "a b", "a\"", "a;b", "a\nb", "tap/1", "a,b", "\xff",
		"tap\\"};
	struct containment containment = example();
	struct error err = ERROR_INIT;
	char *script = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		containment.taps[1] = bad[i];
		check_int(containment_script(&containment, &script, &err), -EINVAL);
		check(strstr(err.text, "no name of a tap"));
	}
	containment.tap_count = 0;
	check_int(containment_script(&containment, &script, &err), -EINVAL);
	containment.tap_count = CONTAINMENT_TAPS_MAX + 1;
	check_int(containment_script(&containment, &script, &err), -EINVAL);
	check(!script);
}

static void test_containment_numbers_out_of_range(void)
{
	static const int64_t expiries[] = {INT64_MIN, -1, 0, 999, CONTAINMENT_EXPIRY_USEC_MAX + 1,
					   INT64_MAX};
	struct containment containment = example();
	struct error err = ERROR_INIT;
	char *script = NULL;

	for (size_t i = 0; i < sizeof(expiries) / sizeof(expiries[0]); i++) {
		containment.expiry_usec = expiries[i];
		check_int(containment_script(&containment, &script, &err), -EINVAL);
		check(strstr(err.text, "expiry"));
	}
	containment = example();
	containment.rate = CONTAINMENT_RATE_MAX + 1;
	check_int(containment_script(&containment, &script, &err), -EINVAL);
	check(strstr(err.text, "rate"));
	check(!script);
	containment.rate = CONTAINMENT_RATE_MAX;
	containment.expiry_usec = CONTAINMENT_EXPIRY_USEC_MAX;
	check_int(containment_script(&containment, &script, &err), 0);
	check(strstr(script, "timeout 604800s0ms"));
	free(script);
}

static void test_containment_release(void)
{
	cleanup(free) char *script = containment_release_script(12);

	check_string(script, "table netdev atom-12\ndelete table netdev atom-12\n");
}

TEST_MAIN(TEST(test_containment_that_lets_nothing_through),
	  TEST(test_containment_rate_closes_for_three_seconds),
	  TEST(test_containment_renewal_closes_and_hears_nothing_anew),
	  TEST(test_containment_ipv6_and_any_address),
	  TEST(test_containment_mapped_address_is_ipv4), TEST(test_containment_bad_addresses),
	  TEST(test_containment_bad_taps), TEST(test_containment_numbers_out_of_range),
	  TEST(test_containment_release))
