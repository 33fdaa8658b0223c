#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# install-deps.sh [-n] [build] [lab] [test] [peers] [kernels] [bench] - install by apt what is missing
#
# Without a group: build lab test. Says what it does, and nothing when nothing is
# missing. Names are Debian 12's. -n only prints what is missing. Exit codes: 0 all
# there, 1 could not install (the message names the packages), 2 unknown group.
set -eu -o pipefail

only_print=
if [ "${1:-}" = -n ]; then
	only_print=1
	shift
fi

packages_of() {
	case $1 in
	build) echo gcc libc6-dev make pkg-config clang-19 bpftool libbpf-dev libelf-dev zlib1g-dev \
		libuv1-dev libyaml-dev libjansson-dev libmicrohttpd-dev libcurl4-openssl-dev libmnl-dev \
		uthash-dev libxxhash-dev scdoc ;;
	lab) echo python3 iproute2 ethtool util-linux procps nginx curl ;;
	test) echo libcriterion-dev libssl-dev libclang-rt-19-dev python3-pytest python3-scapy python3-yaml tshark \
		prometheus socat bind9-dnsutils dnsmasq-base faketime python3-dnspython ;;
	peers) echo bind9-dnsutils ;;
	kernels) echo qemu-system-x86 busybox-static cpio ;;
	bench) echo iperf3 nftables haproxy nginx libnginx-mod-stream ;;
	*) echo "install-deps.sh: unknown group '$1': build, lab, test, peers, kernels, bench" >&2; exit 2 ;;
	esac
}

# Services that come with a package we want for its program only.
services_of() {
	case $1 in
	nginx) echo nginx ;;
	haproxy) echo haproxy ;;
	prometheus) echo prometheus ;;
	esac
}

wanted=
for group in "${@:-build}"; do
	[ $# -gt 0 ] || group="build lab test"
	for g in $group; do wanted+=" $(packages_of "$g")"; done
done

missing=()
if command -v dpkg-query >/dev/null; then
	installed=" $(dpkg-query -W -f='${db:Status-Status}=${Package} ' $wanted 2>/dev/null || true)"
	for package in $wanted; do
		[[ $installed == *" installed=$package "* ]] || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || exit 0
fi
if [ -n "$only_print" ]; then
	echo "${missing[*]:-$wanted}"
	exit 0
fi

if ! command -v apt-get >/dev/null; then
	echo "install-deps.sh: this system has no apt. Install what Debian 12 calls:" >&2
	echo "$wanted" | fmt -w 76 | sed 's/^ */  /' >&2
	exit 1
fi

as_root=()
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "install-deps.sh: packages are missing. As root, run:" >&2
		echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
		exit 1
	fi
	as_root=(sudo)
fi

apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" </dev/null; }
install() { apt install -y --no-install-recommends "${missing[@]}"; }

echo "install-deps.sh: installing ${missing[*]}"
if ! install; then
	echo "install-deps.sh: once more with fresh package lists"
	apt update
	if ! install; then
		echo "install-deps.sh: apt could not install: ${missing[*]}" >&2
		exit 1
	fi
fi

# A web server that nobody asked for is a surprise: stop what the packages started.
for package in "${missing[@]}"; do
	for service in $(services_of "$package"); do
		if [ -d /run/systemd/system ]; then
			"${as_root[@]}" systemctl disable --now --quiet "$service" || true
		else
			"${as_root[@]}" invoke-rc.d --quiet "$service" stop || true
		fi
		echo "install-deps.sh: stopped service $service, which came with the package"
	done
done
