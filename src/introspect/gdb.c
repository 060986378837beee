/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers travel by "g" and "G": QEMU answers "p" and "P" only to a client that has read its
 * description of the machine, and "G" with the first registers alone writes these alone, so that
 * control and segment registers are never touched.
 */
#include "introspect/gdb.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

enum {
	INPUT_SIZE = 4096,
	PACKET_SIZE = 16384,
	THREAD_SIZE = 32,
	ATTEMPTS_MAX = 5,
	/* rax rbx rcx rdx rsi rdi rbp rsp r8 to r15 rip, and 4 bytes of flags */
	REGISTERS_SIZE = 17 * 8 + 4,
	STACK_GAP = 256, /* between what the interrupted code has on its stack and our frame */
	CLEANING_USEC = 1000000,
};

enum register_number { RAX = 0, RDX = 3, RSI = 4, RDI = 5, RSP = 7, RIP = 16 };

enum phase {
	PHASE_UNTOUCHED, /* the guest stands, and nothing is changed but breakpoints */
	PHASE_WAITING,   /* it runs towards the first breakpoint */
	PHASE_CHANGED,   /* it stands with the registers of the call */
	PHASE_CALLING,   /* it runs the function */
};

struct stub {
	int fd;
	int64_t deadline_usec;
	struct error *err;
	enum phase phase;
	char input[INPUT_SIZE]; /* received, taken up to `start` */
	size_t start, size;
	char packet[PACKET_SIZE]; /* the last one received, ended by NUL */
	char thread[THREAD_SIZE]; /* of the last stop */
	char caller[THREAD_SIZE]; /* that which makes the call */
	uint8_t saved[REGISTERS_SIZE];
};

/* Bytes */

static int read_byte(struct stub *stub, char *ret_byte)
{
	while (stub->start == stub->size) {
		struct pollfd item = {.fd = stub->fd, .events = POLLIN};
		int64_t left = stub->deadline_usec - clock_mono_usec();
		ssize_t size;

		if (left <= 0)
			return error_set(stub->err, -ETIME, "the gdb stub has not answered");
		if (poll(&item, 1, (int)(left / USEC_PER_MSEC) + 1) <= 0)
			continue;
		size = recv(stub->fd, stub->input, sizeof(stub->input), MSG_DONTWAIT);
		if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
			return error_set(stub->err, -ECONNRESET, "the gdb stub has hung up");
		stub->start = 0;
		stub->size = size > 0 ? (size_t)size : 0;
	}
	*ret_byte = stub->input[stub->start++];
	return 0;
}

/* What we say fits into the socket's buffer many times over. */
static int write_bytes(const struct stub *stub, const char *bytes, size_t size)
{
	if (send(stub->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)size)
		return error_set(stub->err, -ECONNRESET, "the gdb stub takes nothing");
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode(const char *text, uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		int high = hex_digit(text[2 * i]), low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static void encode(const uint8_t *bytes, size_t size, char *text)
{
	for (size_t i = 0; i < size; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

/* Packets: "$text#" and the sum of the text's bytes in two digits; "+" or "-" comes back. */

/* The rest of a packet whose "$" was read, acknowledged. Returns 1 when it was damaged. */
static int read_packet(struct stub *stub)
{
	uint8_t sum = 0, expected;
	char byte, digits[2];
	size_t size = 0;
	int r;

	while ((r = read_byte(stub, &byte)) == 0 && byte != '#') {
		if (size == sizeof(stub->packet) - 1)
			return error_set(stub->err, -EPROTO, "a packet of the gdb stub has no end");
		stub->packet[size++] = byte;
		sum = (uint8_t)(sum + (uint8_t)byte);
	}
	stub->packet[size] = '\0';
	for (size_t i = 0; i < sizeof(digits) && r == 0; i++)
		r = read_byte(stub, &digits[i]);
	if (r < 0)
		return r;
	if (decode(digits, &expected, 1) && expected == sum)
		return write_bytes(stub, "+", 1);
	r = write_bytes(stub, "-", 1);
	return r < 0 ? r : 1;
}

static int receive(struct stub *stub)
{
	int attempts = 0, r = 0;
	char byte;

	while (attempts < ATTEMPTS_MAX) {
		r = read_byte(stub, &byte);
		if (r < 0)
			return r;
		if (byte != '$')
			continue;
		r = read_packet(stub);
		if (r <= 0)
			return r;
		attempts++;
	}
	return error_set(stub->err, -EPROTO, "the gdb stub's packets are damaged");
}

/* Stops that were told before are passed over. Returns 1 when the stub wants the packet again. */
static int await_acknowledgement(struct stub *stub)
{
	char byte;
	int r;

	while ((r = read_byte(stub, &byte)) == 0) {
		if (byte == '+' || byte == '-')
			return byte == '-';
		if (byte == '$' && (r = read_packet(stub)) < 0)
			return r;
	}
	return r;
}

static int say(struct stub *stub, const char *text)
{
	char packet[PACKET_SIZE];
	uint8_t sum = 0;
	int size, r = 1;

	for (const char *c = text; *c; c++)
		sum = (uint8_t)(sum + (uint8_t)*c);
	size = snprintf(packet, sizeof(packet), "$%s#%02x", text, sum);
	for (int i = 0; i < ATTEMPTS_MAX && r == 1; i++) {
		r = write_bytes(stub, packet, (size_t)size);
		if (r == 0)
			r = await_acknowledgement(stub);
	}
	return r == 1 ? error_set(stub->err, -EPROTO, "the gdb stub understands nothing") : r;
}

static bool is_stop(const char *packet)
{
	return packet[0] == 'T' || packet[0] == 'S';
}

/* The answer is in stub->packet. */
static int ask(struct stub *stub, const char *text)
{
	int r = say(stub, text);

	do {
		if (r == 0)
			r = receive(stub);
	} while (r == 0 && is_stop(stub->packet));
	return r;
}

static int command(struct stub *stub, const char *text)
{
	int r = ask(stub, text);

	if (r == 0 && strcmp(stub->packet, "OK") != 0)
		return error_set(stub->err, -EPROTO, "the gdb stub answers '%.16s' to '%.32s'",
				 stub->packet, text);
	return r;
}

/* Breakpoints, registers, running */

static int set_breakpoint(struct stub *stub, bool on, uint64_t address)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%c1,%" PRIx64 ",1", on ? 'Z' : 'z', address);
	return command(stub, text);
}

static int read_registers(struct stub *stub, uint8_t registers[REGISTERS_SIZE])
{
	int r = ask(stub, "g");

	if (r == 0 && (strlen(stub->packet) < 2 * REGISTERS_SIZE ||
		       !decode(stub->packet, registers, REGISTERS_SIZE)))
		return error_set(stub->err, -EPROTO, "the gdb stub gives no registers");
	return r;
}

static int write_registers(struct stub *stub, const uint8_t registers[REGISTERS_SIZE])
{
	char text[2 + 2 * REGISTERS_SIZE] = "G";

	encode(registers, REGISTERS_SIZE, text + 1);
	return command(stub, text);
}

static uint64_t get_register(const uint8_t *registers, enum register_number number)
{
	uint64_t value;

	memcpy(&value, registers + 8 * (size_t)number, sizeof(value));
	return value;
}

static void set_register(uint8_t *registers, enum register_number number, uint64_t value)
{
	memcpy(registers + 8 * (size_t)number, &value, sizeof(value));
}

static int select_thread(struct stub *stub, const char *thread)
{
	char text[THREAD_SIZE + 2];

	if (thread[0] == '\0')
		return 0; /* the stub tells of none: there is one vCPU only */
	(void)snprintf(text, sizeof(text), "Hg%s", thread);
	return command(stub, text);
}

/* The thread in "T05thread:01;" becomes the one whose registers are meant. */
static int select_stopped(struct stub *stub)
{
	const char *name = strstr(stub->packet, "thread:");
	size_t length;

	name = name ? name + strlen("thread:") : "";
	length = strcspn(name, ";");
	if (length >= sizeof(stub->thread))
		return error_set(stub->err, -EPROTO, "the gdb stub names no thread");
	memcpy(stub->thread, name, length);
	stub->thread[length] = '\0';
	return select_thread(stub, stub->thread);
}

static int await_stop(struct stub *stub)
{
	int r;

	do
		r = receive(stub);
	while (r == 0 && !is_stop(stub->packet));
	return r < 0 ? r : select_stopped(stub);
}

/* Lets the guest run until a vCPU stands at `address`, the one that `thread` names if that is not
 * NULL. Other stops are somebody else's pauses, and it goes on. */
static int run_to(struct stub *stub, uint64_t address, const char *thread, enum phase phase,
		  uint8_t registers[REGISTERS_SIZE])
{
	enum phase before = stub->phase;

	do {
		int r;

		stub->phase = phase;
		r = say(stub, "c");
		if (r == 0)
			r = await_stop(stub);
		if (r == 0)
			r = read_registers(stub, registers);
		if (r < 0)
			return r;
	} while (get_register(registers, RIP) != address ||
		 (thread && strcmp(thread, stub->thread) != 0));
	stub->phase = before;
	return 0;
}

/* The call */

/* Puts the return address where a caller would have: the stack is aligned to 16 bytes before it. */
static int write_frame(struct stub *stub, const struct gdb_call *call, uint8_t *registers)
{
	uint64_t frame = ((get_register(registers, RSP) - STACK_GAP) & ~UINT64_C(15)) - 8;
	char text[64], value[17];

	encode((const uint8_t *)&call->return_to, sizeof(call->return_to), value);
	(void)snprintf(text, sizeof(text), "M%" PRIx64 ",8:%s", frame, value);
	set_register(registers, RSP, frame);
	return command(stub, text);
}

static int prepare_call(struct stub *stub, const struct gdb_call *call)
{
	uint8_t registers[REGISTERS_SIZE];
	int r = set_breakpoint(stub, false, call->breakpoint);

	if (r == 0)
		r = set_breakpoint(stub, true, call->return_to);
	if (r < 0)
		return r;
	memcpy(registers, stub->saved, sizeof(registers));
	set_register(registers, RAX, 0);
	set_register(registers, RDI, call->arguments[0]);
	set_register(registers, RSI, call->arguments[1]);
	set_register(registers, RDX, call->arguments[2]);
	set_register(registers, RIP, call->function);
	r = write_frame(stub, call, registers);
	if (r < 0)
		return r;
	stub->phase = PHASE_CHANGED; /* also when only a part is written */
	return write_registers(stub, registers);
}

static int restore(struct stub *stub)
{
	int r = write_registers(stub, stub->saved);

	if (r == 0)
		stub->phase = PHASE_UNTOUCHED;
	return r;
}

static int make_call(struct stub *stub, const struct gdb_call *call, uint64_t *ret_result)
{
	uint8_t registers[REGISTERS_SIZE];
	int64_t end_usec = stub->deadline_usec;
	int r;

	stub->deadline_usec -= call->timeout_usec / 2; /* the rest is for the call */
	r = set_breakpoint(stub, true, call->breakpoint);
	if (r == 0)
		r = run_to(stub, call->breakpoint, NULL, PHASE_WAITING, stub->saved);
	if (r < 0)
		return error_prefix(stub->err, r, "waiting for the tick");
	stub->deadline_usec = end_usec;
	memcpy(stub->caller, stub->thread, sizeof(stub->caller));
	r = prepare_call(stub, call);
	if (r == 0)
		r = run_to(stub, call->return_to, stub->caller, PHASE_CALLING, registers);
	if (r < 0)
		return error_prefix(stub->err, r, "calling");
	*ret_result = get_register(registers, RAX);
	return restore(stub);
}

static int interrupt(struct stub *stub)
{
	int r = write_bytes(stub, "\x03", 1);

	return r < 0 ? r : await_stop(stub);
}

/* Whether the call has come back after all. */
static int look_for_return(struct stub *stub, const struct gdb_call *call)
{
	uint8_t registers[REGISTERS_SIZE];
	int r = select_thread(stub, stub->caller);

	if (r == 0)
		r = read_registers(stub, registers);
	return r == 0 && get_register(registers, RIP) != call->return_to ? -ENOTRECOVERABLE : r;
}

/* Stops what runs, takes back what was changed, and detaches, which removes breakpoints and lets
 * the guest run. What it says of its own failures is of no interest beside the first one's. */
static int clean_up(struct stub *stub, const struct gdb_call *call)
{
	int r = 0;

	stub->err = NULL;
	stub->deadline_usec = clock_mono_usec() + CLEANING_USEC;
	if (stub->phase == PHASE_WAITING || stub->phase == PHASE_CALLING)
		r = interrupt(stub);
	if (r == 0 && stub->phase == PHASE_CALLING)
		r = look_for_return(stub, call);
	if (r == 0 && (stub->phase == PHASE_CALLING || stub->phase == PHASE_CHANGED))
		r = restore(stub);
	if (r == 0)
		stub->phase = PHASE_UNTOUCHED;
	(void)command(stub, "D"); /* even so: the caller ends the stub in any case */
	return stub->phase == PHASE_CALLING || stub->phase == PHASE_CHANGED ? -ENOTRECOVERABLE : 0;
}

int gdb_call(int fd, const struct gdb_call *call, uint64_t *ret_result, struct error *err)
{
	struct stub stub = {
		.fd = fd, .err = err, .deadline_usec = clock_mono_usec() + call->timeout_usec};
	uint64_t result = 0;
	int r = make_call(&stub, call, &result);

	if (clean_up(&stub, call) < 0)
		return error_prefix(err, -ENOTRECOVERABLE,
				    "the registers of a vCPU could not be put back");
	if (r == 0)
		*ret_result = result;
	return r;
}
