/* SPDX-License-Identifier: Apache-2.0 */
#include "node/settings.h"

#define AT(member) offsetof(struct settings, member)

static const struct config_key keys[] = {
	{"name", CONFIG_STRING, AT(name), "",
	 .help = "Name of this node: the common name of its certificate. Empty: the host's name."},
	{"controller.host", CONFIG_STRING, AT(controller_host), "localhost",
	 .help = "Name or address of the controller; its certificate must carry it."},
	{"controller.port", CONFIG_INTEGER, AT(controller_port), "7443", 1, 65535,
	 .help = "The controller's bus.port."},
	{"tls.ca", CONFIG_STRING, AT(tls_ca), "/etc/atom/pki/ca.crt",
	 .help = "Certificate of the authority that both ends trust (PEM)."},
	{"tls.certificate", CONFIG_STRING, AT(tls_certificate), "/etc/atom/pki/node.crt",
	 .help = "This node's certificate, from atom enroll node NAME (PEM)."},
	{"tls.key", CONFIG_STRING, AT(tls_key), "/etc/atom/pki/node.key",
	 .help = "The key of tls.certificate (PEM)."},
	{"hypervisor.uri", CONFIG_STRING, AT(hypervisor_uri), "qemu:///system",
	 .help = "A libvirt URI, or qemu: for QEMU processes without libvirt, or trace:FILE.csv."},
	{"hypervisor.speed", CONFIG_NUMBER, AT(hypervisor_speed), "1", 1e-3, 1e6,
	 .help = "Only for a trace: how many times faster than recorded."},
	{"hypervisor.start", CONFIG_CHOICE, AT(hypervisor_start), "recorded",
	 .choices = SETTINGS_STARTS,
	 .help = "Only for a trace: keep its times, or shift them so that it begins now."},
	{"collect.deadline", CONFIG_DURATION, AT(deadline_usec), "0", 0, 60,
	 .help = "What is not read by then is a gap. 0: half the interval, at most 1s."},
	{"policy.file", CONFIG_STRING, AT(policy_file), "/etc/atom/node-policy.yaml",
	 .help = "What a controller may do with this host's VMs. Not there: look in, do nothing."},
	{"introspect.program", CONFIG_STRING, AT(introspect_program), "atom-vmi",
	 .help = "The introspector: a path, or a name that is looked for beside atom-node, then in "
		 "PATH."},
	{"action.journal", CONFIG_STRING, AT(action_journal), "/var/lib/atom/actions.journal",
	 .help = "Where every action is recorded before it is done. Empty: no action is done."},
	{"action.evidence", CONFIG_STRING, AT(action_evidence), "/var/lib/atom/evidence",
	 .help = "Folder for memory images of VMs, made for root only."},
	{"action.nft", CONFIG_STRING, AT(action_nft), "nft",
	 .help = "The program of nftables, which contains flows: a path, or a name in PATH."},
	{"log.level", CONFIG_CHOICE, AT(log_level), "info", .choices = "error|warning|info|debug",
	 .help = "What is logged to stderr."},
};

const struct config_table settings_table = {"node.yaml", sizeof(struct settings), keys,
					    sizeof(keys) / sizeof(keys[0])};
