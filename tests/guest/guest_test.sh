#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Real VMs, TAP: a guest under libvirt whose CPU, network and disk metrics must react; one of two QEMU processes stopped, which
# must cost only its own values; a bare QEMU process without libvirt. guest_test.sh BUILD
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
bed=$top/tools/bed
if [ "$(id -u)" -ne 0 ] || ! ip netns add "atom-probe-$$" 2>/dev/null; then
	echo "1..0 # SKIP no network namespace can be made here (root is needed)"
	exit 0
fi
ip netns del "atom-probe-$$"
if [ ! -c /dev/net/tun ]; then
	echo "1..0 # SKIP there is no /dev/net/tun"
	exit 0
fi
dir=$(mktemp -d)
up_pid=
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export ATOM_SERVER="http://127.0.0.1:$port"
number=0
failures=0

# shellcheck disable=SC2317,SC2329 # called by the trap
finish() {
	stop_atom
	"$bed" down "$dir/bed" >/dev/null 2>&1
	if [ "$failures" -eq 0 ]; then
		rm -rf "$dir"
	else
		echo "# logs are kept in $dir"
	fi
}
trap finish EXIT
trap 'exit 1' INT TERM

report() {
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number - $2"
	else
		failures=$((failures + 1))
		echo "not ok $number - $2"
	fi
}

start_atom() {
	"$build/src/ctl/atom" up --dir "$dir/$1" --hypervisor "$2" --http-port "$port" --bus-port 0 \
		--set "atomd.track.metrics=[MemoryResident, CPUWait]" --interval 1s --log-file "$dir/$1.log" >"$dir/$1.out" 2>&1 &
	up_pid=$!
}

stop_atom() {
	[ -n "$up_pid" ] && kill "$up_pid" 2>/dev/null && wait "$up_pid"
	up_pid=
}

# One field of a series, by the API's JSON.
field() {
	"$build/src/ctl/atom" metric "$1" --json 2>/dev/null |
		python3 -c "import json, sys; print(json.load(sys.stdin)['$2']['$3'])" 2>/dev/null
}

# Tries a condition each half second.
within() {
	tries=$(($1 * 2))
	shift
	while [ $tries -gt 0 ]; do
		"$@" && return 0
		tries=$((tries - 1))
		sleep 0.5
	done
	return 1
}

is_good() {
	[ "$(field "$1" "$2" state)" = good ]
}

is_gap() {
	[ "$(field "$1" "$2" state)" = gap ]
}

exceeds() {
	value=$(field "$1" "$2" value)
	[ -n "$value" ] && [ "$value" != None ] && [ "$(printf '%.0f' "$value")" -gt "$3" ]
}

is_named() {
	"$build/src/ctl/atom" vm show "$1" 2>/dev/null | grep -q "instance bed-$1, project bed"
}

in_guest() {
	"$bed" vm-cmd "$dir/bed" "$@"
}

echo 1..17
{
	"$bed" up "$dir/bed" &&
		"$bed" vm-start "$dir/bed" vm1 1 --tcg && "$bed" vm-start "$dir/bed" vm2 2 --tcg &&
		"$bed" vm-wait "$dir/bed" vm1 && "$bed" vm-wait "$dir/bed" vm2
} >"$dir/bed.log" 2>&1
report $? "two guests boot under libvirt"

start_atom libvirt "$("$bed" uri "$dir/bed")"
within 30 is_good vm1 DiskReadOps
report $? "their counters are read"
within 10 is_named vm1
report $? "instance and project come from the domain's metadata"

in_guest vm1 '(i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done) &'
within 15 exceeds vm1 CPUUtilization 50
report $? "CPUUtilization reacts to work"
in_guest vm1 'dd if=/dev/zero of=/dev/vda bs=64k count=400 conv=fsync 2>/dev/null; echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vda of=/dev/null bs=64k count=400 2>/dev/null'
within 15 exceeds vm1 DiskWriteBytes 100000
report $? "DiskWriteBytes reacts to writing"
"$bed" exec "$dir/bed" python3 "$top/tools/bed.d/webload" 12 8 http://192.168.77.11/64k 4 1 \
	>"$dir/webload.log" 2>&1 &
load=$!
within 15 exceeds vm1 NetworkOut 100000
report $? "NetworkOut reacts to traffic"
within 5 exceeds vm1 NetworkIn 2000
report $? "NetworkIn too"
wait $load

stopped=$("$bed" vm-pid "$dir/bed" vm2)
kill -STOP "$stopped"
within 10 is_gap vm2 DiskReadOps
report $? "a stopped QEMU's block counters become a gap"
frames_before=$(field vm1 DiskReadOps samples)
sleep 3
is_good vm1 DiskReadOps && is_good vm1 CPUUtilization &&
	[ "$(field vm1 DiskReadOps samples)" -ge $((frames_before + 2)) ]
report $? "and the other VM's values go on, tick by tick"
kill -CONT "$stopped"
within 15 is_good vm2 DiskReadOps
report $? "when it goes on, so do its counters"
stop_atom

# Whether a VM's web server is seen listening, with its process. listens VM OPTION...
listens() {
	"$build/src/vmi/atom-vmi" net "$@" --no-cache --json 2>"$dir/vmi.err" |
		python3 -c 'import json, sys; sys.exit(not any(row["state"] == "LISTEN" and row["local"].endswith(":80") and
			row["command"] == "httpd" for row in json.load(sys.stdin)["net"]))'
}

uri=$("$bed" uri "$dir/bed")
listens vm1 --connect "$uri"
report $? "atom-vmi sees a libvirt domain's web server"
server=$("$build/src/vmi/atom-vmi" ps vm1 --connect "$uri" --json | python3 -c 'import json, sys
print(next(row["pid"] for row in json.load(sys.stdin)["ps"] if row["command"] == "httpd"))')
"$build/src/vmi/atom-vmi" kill vm1 --connect "$uri" --pid "$server" --command httpd >"$dir/kill.log" 2>&1 && ! listens vm1 --connect "$uri"
report $? "and ends it"

"$bed" qemu-start "$dir/bed" bare1 3
"$bed" vm-wait "$dir/bed" bare1 >>"$dir/bed.log" 2>&1
report $? "a bare QEMU process boots"
listens bare1
report $? "atom-vmi sees a bare QEMU's web server, by its name"
start_atom qemu qemu:
within 30 is_good bare1 DiskReadOps
report $? "its block counters come by QMP"
in_guest bare1 'dd if=/dev/zero of=/dev/vda bs=64k count=200 conv=fsync 2>/dev/null'
within 15 exceeds bare1 DiskWriteBytes 100000
report $? "and react"
exceeds bare1 MemoryResident 20000000 && is_good bare1 CPUWait
report $? "metrics that the configuration adds are there"
exit $((failures > 0))
