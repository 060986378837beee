/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/metric.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct metric_info infos[METRIC_COUNT] = {
	[METRIC_CPU_UTILIZATION] = {"CPUUtilization", "Percent", "%", METRIC_COUNTER, 0.01, 3.0,
				    "CPU time of the VM's process as a share of its vCPUs"},
	[METRIC_NETWORK_IN] = {"NetworkIn", "Bytes", "B", METRIC_COUNTER, 1, 1024,
			       "bytes received by the VM on all its interfaces"},
	[METRIC_NETWORK_OUT] = {"NetworkOut", "Bytes", "B", METRIC_COUNTER, 1, 1024,
				"bytes sent by the VM on all its interfaces"},
	[METRIC_DISK_READ_OPS] = {"DiskReadOps", "Count", "", METRIC_COUNTER, 1, 2,
				  "completed read requests on all the VM's disks"},
	[METRIC_DISK_WRITE_OPS] = {"DiskWriteOps", "Count", "", METRIC_COUNTER, 1, 2,
				   "completed write requests on all the VM's disks"},
	[METRIC_DISK_READ_BYTES] = {"DiskReadBytes", "Bytes", "B", METRIC_COUNTER, 1, 8192,
				    "bytes read from all the VM's disks"},
	[METRIC_DISK_WRITE_BYTES] = {"DiskWriteBytes", "Bytes", "B", METRIC_COUNTER, 1, 8192,
				     "bytes written to all the VM's disks"},
	[METRIC_NETWORK_PACKETS_IN] = {"NetworkPacketsIn", "Count", "", METRIC_COUNTER, 1, 5,
				       "packets received by the VM on all its interfaces"},
	[METRIC_NETWORK_PACKETS_OUT] = {"NetworkPacketsOut", "Count", "", METRIC_COUNTER, 1, 5,
					"packets sent by the VM on all its interfaces"},
	[METRIC_NETWORK_DROPS] = {"NetworkDrops", "Count", "", METRIC_COUNTER, 1, 1,
				  "packets dropped at the VM's interfaces, both directions"},
	[METRIC_CPU_WAIT] = {"CPUWait", "Percent", "%", METRIC_COUNTER, 0.01, 3.0,
			     "time runnable but not running on the host, as a share of the vCPUs"},
	[METRIC_MEMORY_RESIDENT] = {"MemoryResident", "Bytes", "B", METRIC_GAUGE, 4096, 4194304,
				    "memory of the host that the VM's process occupies"},
	[METRIC_DISK_FLUSH_OPS] = {"DiskFlushOps", "Count", "", METRIC_COUNTER, 1, 1,
				   "completed flush requests on all the VM's disks"},
};

const struct metric_info *metric_info(enum metric metric)
{
	assert((unsigned)metric < METRIC_COUNT);
	return &infos[metric];
}

int metric_parse(const char *name, enum metric *ret_metric)
{
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		if (strcmp(infos[i].name, name) != 0)
			continue;
		*ret_metric = (enum metric)i;
		return 0;
	}
	return -ENOENT;
}

char *vm_uuid_format(const struct vm_uuid *uuid, char *text)
{
	char *out = text;

	for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		out += sprintf(out, "%02x", uuid->bytes[i]);
	}
	return text;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int vm_uuid_parse(const char *text, struct vm_uuid *ret_uuid)
{
	struct vm_uuid uuid;

	if (strlen(text) != VM_UUID_TEXT_SIZE - 1)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(uuid.bytes); i++) {
		int high, low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return -EINVAL;
		high = hex_value(text[0]);
		low = high < 0 ? -1 : hex_value(text[1]);
		if (low < 0)
			return -EINVAL;
		uuid.bytes[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	*ret_uuid = uuid;
	return 0;
}

bool vm_uuid_equal(const struct vm_uuid *a, const struct vm_uuid *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static uint64_t mix(uint64_t state, const char *name)
{
	for (; *name; name++) {
		state = (state ^ (unsigned char)*name) * UINT64_C(1099511628211);
		state ^= state >> 31;
	}
	return state;
}

struct vm_uuid vm_uuid_from_name(const char *name)
{
	struct vm_uuid uuid;
	uint64_t high = mix(UINT64_C(14695981039346656037), name);
	uint64_t low = mix(high * UINT64_C(0x9e3779b97f4a7c15) + 1, name);

	memcpy(uuid.bytes, &high, 8);
	memcpy(uuid.bytes + 8, &low, 8);
	uuid.bytes[6] = (uint8_t)(0x80 | (uuid.bytes[6] & 0x0f)); /* RFC 9562 version 8: custom */
	uuid.bytes[8] = (uint8_t)(0x80 | (uuid.bytes[8] & 0x3f));
	return uuid;
}
