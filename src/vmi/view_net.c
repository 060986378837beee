/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/socket.h"

#include <errno.h>
#include <string.h>

#include "vmi/view.h"

static void put_owner(struct report *report, const struct socket *socket, const struct task *task)
{
	if (!socket->pid) {
		report_unknown(report);
		report_unknown(report);
		report_unknown(report);
	} else {
		report_number(report, socket->pid);
		report_text(report, task ? task->comm : NULL);
		report_number(report, socket->descriptor);
	}
	report_number(report, socket->holders);
}

static void put_bytes(struct report *report, const struct socket *socket)
{
	if (socket->has_bytes) {
		report_number(report, socket->received_bytes);
		report_number(report, socket->sent_bytes);
	} else {
		report_unknown(report);
		report_unknown(report);
	}
	if (socket->state == SOCKET_STATE_LISTEN && socket->protocol == SOCKET_TCP) {
		report_number(report, socket->backlog);
		report_number(report, socket->backlog_max);
	} else {
		report_unknown(report);
		report_unknown(report);
	}
}

static const char *protocol_name(const struct socket *socket)
{
	bool is_tcp = socket->protocol == SOCKET_TCP;

	if (socket->family == 10)
		return is_tcp ? "tcp6" : "udp6";
	return is_tcp ? "tcp" : "udp";
}

static void put_socket(struct session *session, const struct socket *socket,
		       const struct task *task)
{
	struct report *report = session->report;
	char text[SOCKET_ADDRESS_SIZE];

	report_text(report, protocol_name(socket));
	report_text(report, socket_state_name(socket));
	socket_format(socket, false, text);
	report_text(report, text);
	socket_format(socket, true, text);
	report_text(report, text[0] ? text : NULL);
	put_bytes(report, socket);
	put_owner(report, socket, task);
}

int view_net(struct session *session, struct error *err)
{
	static const struct report_column columns[] = {
		{"protocol", REPORT_TEXT}, {"state", REPORT_TEXT},        {"local", REPORT_TEXT},
		{"remote", REPORT_TEXT},   {"received", REPORT_BYTES},    {"sent", REPORT_BYTES},
		{"backlog", REPORT_COUNT}, {"backlog_max", REPORT_COUNT}, {"pid", REPORT_COUNT},
		{"command", REPORT_TEXT},  {"fd", REPORT_COUNT},          {"holders", REPORT_COUNT},
	};
	const struct task_list *tasks;
	struct socket_list sockets;
	int r = session_tasks(session, &tasks, err);

	if (r < 0)
		return r;
	r = socket_list_read(&session->guest, tasks, &sockets);
	if (r < 0)
		return error_set_errno(err, r, "reading the guest's sockets");
	VIEW_TABLE(session, "net", columns);
	for (size_t i = 0; i < sockets.count; i++)
		if (view_wants(session, sockets.sockets[i].pid))
			put_socket(session, &sockets.sockets[i],
				   task_list_find(tasks, sockets.sockets[i].pid));
	if (sockets.is_cut)
		report_note(session->report, "net: only the first %d sockets were read",
			    SOCKETS_MAX);
	if (sockets.unreadable)
		report_note(session->report, "net: %u descriptors or chains could not be followed",
			    sockets.unreadable);
	socket_list_deinit(&sockets);
	return 0;
}
