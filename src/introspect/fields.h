#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What introspection must know of a kernel: addresses of symbols (from kallsyms) and places of
 * members (from BTF). Each line is FIELD(id, structure, member, need) or SYMBOL(id, name, need);
 * a member may be a path through named members, members of anonymous ones are found by themselves;
 * an empty member stands for the structure's size. NEED: without it nothing works. WANT: a view
 * does without. Lines that share an id by ALIAS are other names of the same thing in other
 * versions; the first that exists counts. Names and meanings: Linux 5.10 to 6.12, include/linux.
 */

/* clang-format off */
#define INTROSPECT_FIELDS(FIELD, ALIAS) \
	FIELD(TASK_SIZE, "task_struct", "", NEED) \
	FIELD(TASK_TASKS, "task_struct", "tasks", NEED) \
	FIELD(TASK_PID, "task_struct", "pid", NEED) \
	FIELD(TASK_TGID, "task_struct", "tgid", NEED) \
	FIELD(TASK_COMM, "task_struct", "comm", NEED) \
	FIELD(TASK_REAL_PARENT, "task_struct", "real_parent", NEED) \
	FIELD(TASK_CHILDREN, "task_struct", "children", NEED) \
	FIELD(TASK_SIBLING, "task_struct", "sibling", NEED) \
	FIELD(TASK_GROUP_LEADER, "task_struct", "group_leader", NEED) \
	FIELD(TASK_CRED, "task_struct", "cred", NEED) \
	FIELD(TASK_MM, "task_struct", "mm", NEED) \
	FIELD(TASK_FILES, "task_struct", "files", NEED) \
	FIELD(TASK_FLAGS, "task_struct", "flags", NEED) \
	FIELD(TASK_SIGNAL, "task_struct", "signal", NEED) \
	FIELD(TASK_THREAD_NODE, "task_struct", "thread_node", NEED) \
	FIELD(TASK_THREAD_PID, "task_struct", "thread_pid", NEED) \
	FIELD(TASK_PID_LINKS, "task_struct", "pid_links", NEED) \
	FIELD(TASK_START, "task_struct", "start_boottime", NEED) \
	ALIAS(TASK_START, "task_struct", "real_start_time") \
	FIELD(TASK_UTIME, "task_struct", "utime", NEED) \
	FIELD(TASK_STIME, "task_struct", "stime", NEED) \
	FIELD(TASK_RUNTIME, "task_struct", "se.sum_exec_runtime", NEED) \
	FIELD(TASK_READ_BYTES, "task_struct", "ioac.read_bytes", WANT) \
	FIELD(TASK_WRITE_BYTES, "task_struct", "ioac.write_bytes", WANT) \
	FIELD(TASK_PENDING, "task_struct", "pending.signal", NEED) \
	FIELD(TASK_INFO_FLAGS, "task_struct", "thread_info.flags", NEED) \
	FIELD(TASK_STATE, "task_struct", "__state", NEED) \
	ALIAS(TASK_STATE, "task_struct", "state") \
	FIELD(TASK_EXIT_STATE, "task_struct", "exit_state", NEED) \
	FIELD(TASK_ON_RQ, "task_struct", "on_rq", NEED) \
	FIELD(TASK_JOBCTL, "task_struct", "jobctl", NEED) \
	FIELD(TASK_USAGE, "task_struct", "usage", NEED) \
	FIELD(TASK_GROUP_NODE, "task_struct", "se.group_node", WANT) \
	FIELD(CRED_UID, "cred", "uid", NEED) \
	FIELD(CRED_EUID, "cred", "euid", NEED) \
	FIELD(SIGNAL_THREAD_HEAD, "signal_struct", "thread_head", NEED) \
	FIELD(SIGNAL_THREADS, "signal_struct", "nr_threads", NEED) \
	FIELD(SIGNAL_FLAGS, "signal_struct", "flags", NEED) \
	FIELD(SIGNAL_UTIME, "signal_struct", "utime", NEED) \
	FIELD(SIGNAL_STIME, "signal_struct", "stime", NEED) \
	FIELD(SIGNAL_CHILDREN_UTIME, "signal_struct", "cutime", NEED) \
	FIELD(SIGNAL_CHILDREN_STIME, "signal_struct", "cstime", NEED) \
	FIELD(SIGNAL_RUNTIME, "signal_struct", "sum_sched_runtime", NEED) \
	FIELD(SIGNAL_READ_BYTES, "signal_struct", "ioac.read_bytes", WANT) \
	FIELD(SIGNAL_WRITE_BYTES, "signal_struct", "ioac.write_bytes", WANT) \
	FIELD(SIGNAL_REAL_TIMER, "signal_struct", "real_timer", NEED) \
	FIELD(HRTIMER_STATE, "hrtimer", "state", NEED) \
	FIELD(MM_PGD, "mm_struct", "pgd", NEED) \
	FIELD(MM_ARG_START, "mm_struct", "arg_start", NEED) \
	FIELD(MM_ARG_END, "mm_struct", "arg_end", NEED) \
	FIELD(MM_EXE_FILE, "mm_struct", "exe_file", NEED) \
	FIELD(FILES_FDT, "files_struct", "fdt", NEED) \
	FIELD(FDT_MAX_FDS, "fdtable", "max_fds", NEED) \
	FIELD(FDT_FD, "fdtable", "fd", NEED) \
	FIELD(FILE_OP, "file", "f_op", NEED) \
	FIELD(FILE_INODE, "file", "f_inode", NEED) \
	FIELD(FILE_FLAGS, "file", "f_flags", NEED) \
	FIELD(FILE_POS, "file", "f_pos", NEED) \
	FIELD(FILE_PRIVATE, "file", "private_data", NEED) \
	FIELD(FILE_DENTRY, "file", "f_path.dentry", NEED) \
	FIELD(FILE_MNT, "file", "f_path.mnt", NEED) \
	FIELD(DENTRY_PARENT, "dentry", "d_parent", NEED) \
	FIELD(DENTRY_NAME, "dentry", "d_name.name", NEED) \
	FIELD(DENTRY_NAME_LEN, "dentry", "d_name.len", NEED) \
	FIELD(DENTRY_PPREV, "dentry", "d_hash.pprev", NEED) \
	FIELD(INODE_MODE, "inode", "i_mode", NEED) \
	FIELD(INODE_NUMBER, "inode", "i_ino", NEED) \
	FIELD(INODE_NLINK, "inode", "i_nlink", NEED) \
	FIELD(INODE_SB, "inode", "i_sb", NEED) \
	FIELD(INODE_SIZE, "inode", "i_size", NEED) \
	FIELD(SB_TYPE, "super_block", "s_type", NEED) \
	FIELD(FSTYPE_NAME, "file_system_type", "name", NEED) \
	FIELD(MNT_ROOT, "vfsmount", "mnt_root", NEED) \
	FIELD(MOUNT_MNT, "mount", "mnt", NEED) \
	FIELD(MOUNT_PARENT, "mount", "mnt_parent", NEED) \
	FIELD(MOUNT_POINT, "mount", "mnt_mountpoint", NEED) \
	FIELD(SOCKET_SK, "socket", "sk", NEED) \
	FIELD(SK_FAMILY, "sock_common", "skc_family", NEED) \
	FIELD(SK_STATE, "sock_common", "skc_state", NEED) \
	FIELD(SK_NUM, "sock_common", "skc_num", NEED) \
	FIELD(SK_DPORT, "sock_common", "skc_dport", NEED) \
	FIELD(SK_LOCAL4, "sock_common", "skc_rcv_saddr", NEED) \
	FIELD(SK_REMOTE4, "sock_common", "skc_daddr", NEED) \
	FIELD(SK_LOCAL6, "sock_common", "skc_v6_rcv_saddr", WANT) \
	FIELD(SK_REMOTE6, "sock_common", "skc_v6_daddr", WANT) \
	FIELD(SK_NULLS_NODE, "sock_common", "skc_nulls_node", NEED) \
	FIELD(SK_NODE, "sock_common", "skc_node", NEED) \
	FIELD(SK_PROTOCOL, "sock", "sk_protocol", NEED) \
	FIELD(SK_TYPE, "sock", "sk_type", NEED) \
	FIELD(SK_BACKLOG, "sock", "sk_ack_backlog", WANT) \
	FIELD(SK_BACKLOG_MAX, "sock", "sk_max_ack_backlog", WANT) \
	FIELD(TCP_RECEIVED, "tcp_sock", "bytes_received", WANT) \
	FIELD(TCP_SENT, "tcp_sock", "bytes_sent", WANT) \
	FIELD(HASHINFO_EHASH, "inet_hashinfo", "ehash", NEED) \
	FIELD(HASHINFO_EHASH_MASK, "inet_hashinfo", "ehash_mask", NEED) \
	FIELD(HASHINFO_LHASH2, "inet_hashinfo", "lhash2", WANT) \
	FIELD(HASHINFO_LHASH2_MASK, "inet_hashinfo", "lhash2_mask", WANT) \
	FIELD(EHASH_CHAIN, "inet_ehash_bucket", "chain", NEED) \
	FIELD(EHASH_SIZE, "inet_ehash_bucket", "", NEED) \
	FIELD(LHASH2_HEAD, "inet_listen_hashbucket", "nulls_head", WANT) \
	FIELD(LHASH2_SIZE, "inet_listen_hashbucket", "", WANT) \
	FIELD(UDP_HASH, "udp_table", "hash", WANT) \
	FIELD(UDP_MASK, "udp_table", "mask", WANT) \
	FIELD(UDP_SLOT_HEAD, "udp_hslot", "head", WANT) \
	FIELD(UDP_SLOT_SIZE, "udp_hslot", "", WANT) \
	FIELD(PID_COUNT, "pid", "count", NEED) \
	FIELD(PID_LEVEL, "pid", "level", NEED) \
	FIELD(PID_TASKS, "pid", "tasks", NEED) \
	FIELD(PID_NUMBERS, "pid", "numbers", NEED) \
	FIELD(UPID_NR, "upid", "nr", NEED) \
	FIELD(UPID_NS, "upid", "ns", NEED) \
	FIELD(UPID_SIZE, "upid", "", NEED) \
	FIELD(PIDNS_XA_HEAD, "pid_namespace", "idr.idr_rt.xa_head", NEED) \
	FIELD(PIDNS_INUM, "pid_namespace", "ns.inum", NEED) \
	FIELD(XA_SHIFT, "xa_node", "shift", NEED) \
	FIELD(XA_SLOTS, "xa_node", "slots", NEED) \
	FIELD(RQ_CURR, "rq", "curr", WANT) \
	FIELD(RQ_CFS_TASKS, "rq", "cfs_tasks", WANT) \
	FIELD(MODULE_LIST, "module", "list", WANT) \
	FIELD(MODULE_NAME, "module", "name", WANT) \
	FIELD(MODULE_STATE, "module", "state", WANT) \
	FIELD(MODULE_TAINTS, "module", "taints", WANT) \
	FIELD(MODULE_CORE_BASE, "module", "core_layout.base", WANT) \
	FIELD(MODULE_CORE_SIZE, "module", "core_layout.size", WANT) \
	FIELD(MODULE_MEM, "module", "mem", WANT) \
	FIELD(MODMEM_BASE, "module_memory", "base", WANT) \
	FIELD(MODMEM_SIZE, "module_memory", "size", WANT) \
	FIELD(MODMEM_STRIDE, "module_memory", "", WANT) \
	FIELD(KSET_LIST, "kset", "list", WANT) \
	FIELD(KOBJECT_ENTRY, "kobject", "entry", WANT) \
	FIELD(MKOBJ_KOBJ, "module_kobject", "kobj", WANT) \
	FIELD(MKOBJ_MOD, "module_kobject", "mod", WANT) \
	FIELD(TB_SIZE, "timer_base", "", WANT) \
	FIELD(TB_LOCK, "timer_base", "lock", WANT) \
	FIELD(TB_RUNNING, "timer_base", "running_timer", WANT) \
	FIELD(TB_CLK, "timer_base", "clk", WANT) \
	FIELD(TB_NEXT_EXPIRY, "timer_base", "next_expiry", WANT) \
	FIELD(TB_IS_IDLE, "timer_base", "is_idle", WANT) \
	FIELD(TB_TIMERS_PENDING, "timer_base", "timers_pending", WANT) \
	FIELD(TB_PENDING_MAP, "timer_base", "pending_map", WANT) \
	FIELD(TB_VECTORS, "timer_base", "vectors", WANT) \
	FIELD(TIMER_ENTRY, "timer_list", "entry", WANT) \
	FIELD(TIMER_EXPIRES, "timer_list", "expires", WANT) \
	FIELD(TIMER_FUNCTION, "timer_list", "function", WANT) \
	FIELD(TIMER_FLAGS, "timer_list", "flags", WANT) \
	FIELD(TIMER_SIZE, "timer_list", "", WANT) \
	FIELD(TK_TO_MONOTONIC_SEC, "timekeeper", "wall_to_monotonic.tv_sec", WANT) \
	FIELD(TK_TO_MONOTONIC_NSEC, "timekeeper", "wall_to_monotonic.tv_nsec", WANT) \
	FIELD(TK_KTIME_SEC, "timekeeper", "ktime_sec", WANT) \
	FIELD(TK_OFFS_BOOT, "timekeeper", "offs_boot", WANT) \
	FIELD(TKDATA_TIMEKEEPER, "tk_data", "timekeeper", WANT)

#define INTROSPECT_SYMBOLS(SYMBOL) \
	SYMBOL(TEXT, "_text", NEED) \
	SYMBOL(STEXT, "_stext", NEED) \
	SYMBOL(ETEXT, "_etext", NEED) \
	SYMBOL(LINUX_BANNER, "linux_banner", NEED) \
	SYMBOL(START_BTF, "__start_BTF", NEED) \
	SYMBOL(STOP_BTF, "__stop_BTF", NEED) \
	SYMBOL(INIT_TASK, "init_task", NEED) \
	SYMBOL(INIT_TOP_PGT, "init_top_pgt", NEED) \
	SYMBOL(PAGE_OFFSET_BASE, "page_offset_base", NEED) \
	SYMBOL(INIT_PID_NS, "init_pid_ns", NEED) \
	SYMBOL(SOCKET_FILE_OPS, "socket_file_ops", NEED) \
	SYMBOL(TCP_HASHINFO, "tcp_hashinfo", NEED) \
	SYMBOL(UDP_TABLE, "udp_table", WANT) \
	SYMBOL(MODULES, "modules", WANT) \
	SYMBOL(MODULE_KSET, "module_kset", WANT) \
	SYMBOL(PER_CPU_OFFSET, "__per_cpu_offset", NEED) \
	SYMBOL(NR_CPU_IDS, "nr_cpu_ids", NEED) \
	SYMBOL(CPU_ONLINE_MASK, "__cpu_online_mask", NEED) \
	SYMBOL(RUNQUEUES, "runqueues", WANT) \
	SYMBOL(TIMER_BASES, "timer_bases", WANT) \
	SYMBOL(PROCESS_TIMEOUT, "process_timeout", WANT) \
	SYMBOL(INIT_SIGNALS, "init_signals", WANT) \
	SYMBOL(SYS_CALL_TABLE, "sys_call_table", WANT) \
	SYMBOL(IA32_SYS_CALL_TABLE, "ia32_sys_call_table", WANT) \
	SYMBOL(X64_SYS_CALL, "x64_sys_call", WANT) \
	SYMBOL(TK_CORE, "tk_core", WANT) \
	SYMBOL(KILL_PID, "kill_pid", WANT) \
	SYMBOL(UPDATE_PROCESS_TIMES, "update_process_times", WANT) \
	SYMBOL(MACHINE_HALT, "machine_halt", WANT) \
	SYMBOL(SIGNAL_WAKE_UP_STATE, "signal_wake_up_state", WANT)
/* clang-format on */

#define INTROSPECT_ENUM(id, ...) FIELD_##id,
#define INTROSPECT_NOTHING(...)
enum field { INTROSPECT_FIELDS(INTROSPECT_ENUM, INTROSPECT_NOTHING) FIELD_COUNT };
#undef INTROSPECT_ENUM
#define INTROSPECT_ENUM(id, ...) SYMBOL_##id,
enum symbol { INTROSPECT_SYMBOLS(INTROSPECT_ENUM) SYMBOL_COUNT };
#undef INTROSPECT_ENUM
