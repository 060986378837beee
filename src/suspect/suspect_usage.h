#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the processes and connections of a VM use together, as its kernel shows it in one look: for
 * who compares it with what the hypervisor counts. The report is the guest's word. Pure; any
 * thread.
 */
struct report;

/* Shares of one CPU, bytes of disks, and bytes of TCP that are not over loopback. NaN: not known,
 * as traffic is where connections come and go too quickly to be added up. */
struct suspect_usage {
	double cpu_percent;
	double received_per_sec, sent_per_sec;
	double read_per_sec, written_per_sec;
};

/* 0; -ENODATA: the report has no whole table `top`; -ENOMEM. */
int suspect_usage_read(const struct report *report, struct suspect_usage *ret_usage);

/* "12.3 MiB". */
void suspect_tell_bytes(double bytes, char ret_text[32]);
