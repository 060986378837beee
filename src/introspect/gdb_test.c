/* SPDX-License-Identifier: Apache-2.0 */
/* Calls against a gdb stub that a thread of the test plays: a machine of two vCPUs, whose second
 * one comes to the tick. */
#include "introspect/gdb.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"

enum {
	REGISTERS_SIZE = 536, /* of which the first 140 bytes are the general ones */
	GENERAL_SIZE = 140,
	PACKET_SIZE = 4096,
	SHORT_USEC = 400000, /* where time-out is what is tested */
	LONG_USEC = 10000000,
};

#define TICK UINT64_C(0xffffffff811ab080)
#define FUNCTION UINT64_C(0xffffffff810dbb90)
#define HALT UINT64_C(0xffffffff81084730)
#define STACK UINT64_C(0xffffc90000003f58)
#define RESULT UINT64_C(0x1122334455667788)

enum misdeed {
	MISDEED_NONE,
	MISDEED_DAMAGED_ANSWERS, /* each packet's first copy has a wrong sum */
	MISDEED_REFUSED_PACKETS, /* each packet is wanted twice */
	MISDEED_STOPS_BETWEEN,   /* a stop that is none of ours before every answer */
	MISDEED_SILENT,
	MISDEED_DEAF_TO_TICKS, /* the guest never comes to the breakpoint */
	MISDEED_NO_RETURN,     /* nor from the function */
	MISDEED_LATE_RETURN,   /* but when it is interrupted, it has just come back */
	MISDEED_NO_BREAKPOINTS,
	MISDEED_NO_MEMORY, /* the stack cannot be written */
	MISDEED_HANGS_UP_ON_CALL,
	MISDEED_ALWAYS_DAMAGED,
	MISDEED_SHORT_REGISTERS,
	MISDEED_ENDLESS_PACKET,
};

struct machine {
	int fd;
	enum misdeed misdeed;
	uint8_t registers[2][REGISTERS_SIZE];
	uint8_t before[2][REGISTERS_SIZE];
	int selected; /* vCPU */
	uint64_t breakpoints[2];
	uint64_t frame, frame_value; /* what was written to memory */
	uint64_t arguments[3];
	bool has_run_to_tick, is_running, is_detached, is_wrong, is_refused_once;
	int calls;
	pthread_t thread;
};

static uint64_t get(const struct machine *machine, int number)
{
	uint64_t value;

	memcpy(&value, machine->registers[machine->selected] + 8 * number, sizeof(value));
	return value;
}

static void set(struct machine *machine, int number, uint64_t value)
{
	memcpy(machine->registers[machine->selected] + 8 * number, &value, sizeof(value));
}

static int take_byte(const struct machine *machine)
{
	unsigned char byte;

	return recv(machine->fd, &byte, 1, 0) == 1 ? byte : -1;
}

static void send_text(const struct machine *machine, const char *text, size_t size)
{
	(void)send(machine->fd, text, size,
		   MSG_NOSIGNAL); /* a client that is gone is seen by recv */
}

static void send_packet(struct machine *machine, const char *text, bool is_damaged)
{
	char packet[PACKET_SIZE];
	uint8_t sum = 0;
	int size;

	for (const char *c = text; *c; c++)
		sum = (uint8_t)(sum + (uint8_t)*c);
	size = snprintf(packet, sizeof(packet), "$%s#%02x", text,
			(uint8_t)(is_damaged ? sum + 1 : sum));
	send_text(machine, packet, (size_t)size);
}

/* Whether the client wants it again; "$" begins its next packet, with which it gives up the answer
 * to the last one. */
static bool is_wanted_again(struct machine *machine)
{
	char byte = 0;

	if (recv(machine->fd, &byte, 1, MSG_PEEK) != 1 || byte == '$')
		return false;
	machine->is_wrong |= byte != '+' && byte != '-';
	return take_byte(machine) == '-';
}

/* Says it until it is acknowledged. */
static void answer(struct machine *machine, const char *text)
{
	bool is_damaged = machine->misdeed == MISDEED_DAMAGED_ANSWERS ||
			  machine->misdeed == MISDEED_ALWAYS_DAMAGED;

	if (machine->misdeed == MISDEED_STOPS_BETWEEN) {
		send_packet(machine, "T02thread:01;", false);
		machine->is_wrong |= is_wanted_again(machine);
	}
	do {
		send_packet(machine, text, is_damaged);
		is_damaged = machine->misdeed == MISDEED_ALWAYS_DAMAGED;
	} while (is_wanted_again(machine));
}

static void answer_registers(struct machine *machine)
{
	char text[2 * REGISTERS_SIZE + 1];
	int size = machine->misdeed == MISDEED_SHORT_REGISTERS ? GENERAL_SIZE - 1 : REGISTERS_SIZE;

	for (int i = 0; i < size; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", machine->registers[machine->selected][i]);
	answer(machine, text);
}

static void take_registers(struct machine *machine, const char *text)
{
	unsigned byte;

	for (int i = 0; sscanf(text + 2 * i, "%2x", &byte) == 1; i++)
		machine->registers[machine->selected][i] = (uint8_t)byte;
	answer(machine, "OK");
}

static void take_memory(struct machine *machine, const char *text)
{
	unsigned byte;
	int start = 0;

	if (sscanf(text, "M%lx,8:%n", &machine->frame, &start) != 1 || start == 0)
		machine->is_wrong = true;
	machine->frame_value = 0;
	for (int i = 7; i >= 0; i--)
		if (sscanf(text + start + 2 * i, "%2x", &byte) == 1)
			machine->frame_value = machine->frame_value << 8 | byte;
	answer(machine, machine->misdeed == MISDEED_NO_MEMORY ? "E14" : "OK");
}

static void take_breakpoint(struct machine *machine, const char *text)
{
	uint64_t address;
	int place;

	if (sscanf(text + 1, "1,%lx,1", &address) != 1)
		machine->is_wrong = true;
	for (place = 0; place < 2; place++)
		if (machine->breakpoints[place] == (text[0] == 'Z' ? 0 : address))
			break;
	if (place == 2)
		machine->is_wrong = true;
	else
		machine->breakpoints[place] = text[0] == 'Z' ? address : 0;
	answer(machine, machine->misdeed == MISDEED_NO_BREAKPOINTS ? "" : "OK");
}

static bool has_breakpoint(const struct machine *machine, uint64_t address)
{
	return machine->breakpoints[0] == address || machine->breakpoints[1] == address;
}

/* The function takes its arguments, spoils what it may, and returns. */
static void run_function(struct machine *machine)
{
	static const int spoiled[] = {0, 2, 3, 4, 5, 8, 9, 10, 11};

	machine->calls++;
	machine->arguments[0] = get(machine, 5);
	machine->arguments[1] = get(machine, 4);
	machine->arguments[2] = get(machine, 3);
	if (get(machine, 7) != machine->frame || machine->frame_value != HALT ||
	    machine->frame % 16 != 8 || machine->frame >= STACK)
		machine->is_wrong = true;
	for (size_t i = 0; i < sizeof(spoiled) / sizeof(spoiled[0]); i++)
		set(machine, spoiled[i], 0xdead);
	set(machine, 0, RESULT);
	set(machine, 7, machine->frame + 8);
	set(machine, 16, HALT);
	machine->registers[machine->selected][GENERAL_SIZE - 1] ^= 0xff; /* flags */
}

static void run_guest(struct machine *machine)
{
	machine->selected = 1;
	if (get(machine, 16) == FUNCTION) {
		if (machine->misdeed == MISDEED_HANGS_UP_ON_CALL)
			(void)shutdown(machine->fd, SHUT_RDWR);
		machine->is_running = machine->misdeed == MISDEED_NO_RETURN ||
				      machine->misdeed == MISDEED_LATE_RETURN;
		if (machine->is_running)
			return;
		run_function(machine);
		if (!has_breakpoint(machine, HALT))
			machine->is_wrong = true;
	} else if (machine->misdeed == MISDEED_DEAF_TO_TICKS) {
		machine->is_running = true;
		return;
	} else if (!machine->has_run_to_tick && machine->misdeed == MISDEED_STOPS_BETWEEN) {
		machine->has_run_to_tick = true; /* first, somebody pauses the VM */
		send_packet(machine, "T02thread:01;", false);
		machine->is_wrong |= take_byte(machine) != '+';
		return;
	} else if (has_breakpoint(machine, TICK)) {
		set(machine, 16, TICK);
	}
	machine->selected = 0; /* the stub's own choice, which the client has to make its */
	send_packet(machine, "T05thread:02;", false);
	machine->is_wrong |=
		take_byte(machine) != '+' && machine->misdeed != MISDEED_HANGS_UP_ON_CALL;
}

static void interrupt(struct machine *machine)
{
	if (!machine->is_running)
		return;
	machine->is_running = false;
	machine->selected = 1;
	if (machine->misdeed == MISDEED_LATE_RETURN)
		run_function(machine);
	machine->selected = 0;
	send_packet(machine, "T02thread:01;", false);
	machine->is_wrong |= take_byte(machine) != '+';
}

static void obey(struct machine *machine, const char *text)
{
	switch (text[0]) {
	case 'g':
		answer_registers(machine);
		break;
	case 'G':
		take_registers(machine, text + 1);
		break;
	case 'M':
		take_memory(machine, text);
		break;
	case 'Z':
	case 'z':
		take_breakpoint(machine, text);
		break;
	case 'H':
		machine->selected = strcmp(text, "Hg02") == 0;
		answer(machine, "OK");
		break;
	case 'c':
		run_guest(machine);
		break;
	case 'D':
		machine->is_detached = true;
		answer(machine, "OK");
		break;
	default:
		answer(machine, "");
		break;
	}
}

static bool take_packet(struct machine *machine, char text[PACKET_SIZE])
{
	size_t size = 0;
	int byte;

	while ((byte = take_byte(machine)) >= 0 && byte != '#' && size < PACKET_SIZE - 1)
		text[size++] = (char)byte;
	text[size] = '\0';
	if (take_byte(machine) < 0 || take_byte(machine) < 0)
		return false;
	if (machine->misdeed == MISDEED_REFUSED_PACKETS && !machine->is_refused_once) {
		machine->is_refused_once = true;
		send_text(machine, "-", 1);
		return false;
	}
	machine->is_refused_once = false;
	send_text(machine, "+", 1);
	return true;
}

static void send_endless_packet(struct machine *machine)
{
	static char text[PACKET_SIZE] = "$";

	memset(text + 1, 'a', sizeof(text) - 1);
	for (int i = 0; i < 8; i++)
		send_text(machine, text, sizeof(text));
}

static void *play(void *argument)
{
	struct machine *machine = argument;
	char text[PACKET_SIZE];
	int byte;

	if (machine->misdeed == MISDEED_STOPS_BETWEEN)
		send_packet(machine, "T02thread:01;", false); /* QEMU does on connecting */
	while ((byte = take_byte(machine)) >= 0) {
		if (byte == 3)
			interrupt(machine);
		if (byte != '$' || machine->misdeed == MISDEED_SILENT)
			continue;
		if (!take_packet(machine, text))
			continue;
		if (machine->misdeed == MISDEED_ENDLESS_PACKET)
			send_endless_packet(machine);
		else
			obey(machine, text);
	}
	return NULL;
}

/* A call of FUNCTION(1, 2, 3) on a machine of that misdeed. */
static int make_call(struct machine *machine, enum misdeed misdeed, int64_t timeout_usec,
		     uint64_t *ret_result, struct error *err)
{
	const struct gdb_call call = {.breakpoint = TICK,
				      .function = FUNCTION,
				      .return_to = HALT,
				      .arguments = {1, 2, 3},
				      .timeout_usec = timeout_usec};
	int pair[2], r;

	*machine = (struct machine){.misdeed = misdeed};
	for (int i = 0; i < 2 * REGISTERS_SIZE; i++)
		machine->registers[i / REGISTERS_SIZE][i % REGISTERS_SIZE] = (uint8_t)(i * 7 + 1);
	machine->selected = 1;
	set(machine, 7, STACK);
	set(machine, 16, TICK);
	machine->selected = 0;
	memcpy(machine->before, machine->registers, sizeof(machine->before));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	machine->fd = pair[0];
	if (pthread_create(&machine->thread, NULL, play, machine) != 0)
		return -ENOMEM;
	r = gdb_call(pair[1], &call, ret_result, err);
	(void)close(pair[1]);
	(void)pthread_join(machine->thread, NULL);
	(void)close(machine->fd);
	return r;
}

static bool is_as_before(const struct machine *machine)
{
	return memcmp(machine->registers, machine->before, sizeof(machine->before)) == 0;
}

static struct machine machine;

static void test_gdb_call_and_all_registers_as_before(void)
{
	static const enum misdeed misdeeds[] = {MISDEED_NONE, MISDEED_DAMAGED_ANSWERS,
						MISDEED_REFUSED_PACKETS, MISDEED_STOPS_BETWEEN};

	for (size_t i = 0; i < sizeof(misdeeds) / sizeof(misdeeds[0]); i++) {
		struct error err = ERROR_INIT;
		uint64_t result = 0;

		check_int(make_call(&machine, misdeeds[i], LONG_USEC, &result, &err), 0);
		check(result == RESULT);
		check_int(machine.calls, 1);
		check_int(machine.arguments[0], 1);
		check_int(machine.arguments[1], 2);
		check_int(machine.arguments[2], 3);
		check(is_as_before(&machine));
		check(machine.is_detached && !machine.is_wrong);
		check(!has_breakpoint(&machine, TICK));
	}
}

/* Failures before the function has begun: an error, and the guest as before. */
static void test_gdb_failures_leave_the_guest_as_before(void)
{
	static const struct {
		enum misdeed misdeed;
		int code;
		bool is_detached;
	} cases[] = {
		{MISDEED_DEAF_TO_TICKS, -ETIME, true},   {MISDEED_NO_BREAKPOINTS, -EPROTO, true},
		{MISDEED_NO_MEMORY, -EPROTO, true},      {MISDEED_SHORT_REGISTERS, -EPROTO, true},
		{MISDEED_ALWAYS_DAMAGED, -EPROTO, true}, {MISDEED_ENDLESS_PACKET, -EPROTO, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = ERROR_INIT;
		uint64_t result = 5;

		check_int(make_call(&machine, cases[i].misdeed,
				    cases[i].code == -ETIME ? SHORT_USEC : LONG_USEC, &result,
				    &err),
			  cases[i].code);
		printf("# %s\n", err.text);
		check(err.text[0]);
		check_int(result, 5);
		check_int(machine.calls, 0);
		check(is_as_before(&machine));
		check_int(machine.is_detached, cases[i].is_detached);
		check(!machine.is_wrong);
	}
}

static void test_gdb_silence_ends_in_time(void)
{
	int64_t start_usec = clock_mono_usec();
	struct error err = ERROR_INIT;
	uint64_t result;

	check_int(make_call(&machine, MISDEED_SILENT, SHORT_USEC, &result, &err), -ETIME);
	check(clock_mono_usec() - start_usec < 10 * USEC_PER_SEC);
	check(is_as_before(&machine));
}

static void test_gdb_function_that_does_not_return(void)
{
	struct error err = ERROR_INIT;
	uint64_t result;

	check_int(make_call(&machine, MISDEED_NO_RETURN, SHORT_USEC, &result, &err),
		  -ENOTRECOVERABLE);
	printf("# %s\n", err.text);
	check(machine.is_detached);
	check_int(make_call(&machine, MISDEED_HANGS_UP_ON_CALL, LONG_USEC, &result, &err),
		  -ENOTRECOVERABLE);
}

/* It is not answered for, but what was changed is put back. */
static void test_gdb_function_that_returns_too_late(void)
{
	struct error err = ERROR_INIT;
	uint64_t result;

	check_int(make_call(&machine, MISDEED_LATE_RETURN, SHORT_USEC, &result, &err), -ETIME);
	check_int(machine.calls, 1);
	check(is_as_before(&machine));
	check(machine.is_detached && !machine.is_wrong);
}

TEST_MAIN(TEST(test_gdb_call_and_all_registers_as_before),
	  TEST(test_gdb_failures_leave_the_guest_as_before), TEST(test_gdb_silence_ends_in_time),
	  TEST(test_gdb_function_that_does_not_return),
	  TEST(test_gdb_function_that_returns_too_late))
