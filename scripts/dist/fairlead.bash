# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# bash completion of fairlead(8). Names of services and maps are asked for, from
# the agent that the command line names; when it does not answer, there are none.

# Objects and commands as `fairlead help` has them, cut short or whole.
_fairlead_objects="service endpoint status stats map registry heartbeat explain doctor"

_fairlead_commands() {
	case $1 in
	service) echo "list show add set delete" ;;
	endpoint) echo "list drain undrain weight maintenance up down add set delete" ;;
	map) echo "list dump" ;;
	registry) echo "list accept" ;;
	esac
}

# Run fairlead with the options that say where the agent is, and print the names
# in the JSON list that it answers with.
_fairlead_names() {
	"${COMP_WORDS[0]}" -j "${_fairlead_where[@]}" "$@" 2>/dev/null |
		grep -o '"name":"[^"]*"' | cut -d'"' -f4
}

# The object that a word means: the first that begins with it.
_fairlead_object() {
	local object
	for object in $_fairlead_objects; do
		[[ -n $1 && $object == "$1"* ]] && echo "$object" && return
	done
}

_fairlead() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local words=() _fairlead_where=() i object command

	case $previous in
	--socket)
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
		;;
	--bpffs)
		mapfile -t COMPREPLY < <(compgen -d -- "$current")
		return
		;;
	esac
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--deadline | --quiet | --note) ((i++)) ;;
		--socket | --bpffs)
			_fairlead_where+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}")
			((i++))
			;;
		-*) ;;
		*) words+=("${COMP_WORDS[i]}") ;;
		esac
	done
	if [[ $current == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "--json --pretty --socket --bpffs --version --help -j -p -V -h" -- "$current")
		return
	fi
	object=$(_fairlead_object "${words[0]}")
	command=${words[1]}
	case ${#words[@]}:$object:$command in
	0:*) mapfile -t COMPREPLY < <(compgen -W "$_fairlead_objects help" -- "$current") ;;
	1:doctor:*) mapfile -t COMPREPLY < <(compgen -f -W help -- "$current") ;;
	1:explain:*) mapfile -t COMPREPLY < <(compgen -W "tcp udp help" -- "$current") ;;
	2:explain:*) mapfile -t COMPREPLY < <(compgen -W "node" -- "$current") ;;
	4:explain:*) mapfile -t COMPREPLY < <(compgen -W "new old" -- "$current") ;;
	1:stats:*) mapfile -t COMPREPLY < <(compgen -W "$(_fairlead_names service list) help" -- "$current") ;;
	1:*) mapfile -t COMPREPLY < <(compgen -W "$(_fairlead_commands "$object") help" -- "$current") ;;
	2:service:[sd]* | 2:endpoint:*)
		mapfile -t COMPREPLY < <(compgen -W "$(_fairlead_names service list)" -- "$current")
		;;
	2:registry:a*) mapfile -t COMPREPLY < <(compgen -W "$(_fairlead_names registry list)" -- "$current") ;;
	2:map:d*) mapfile -t COMPREPLY < <(compgen -W "$(_fairlead_names map list)" -- "$current") ;;
	esac
}

complete -F _fairlead fairlead
