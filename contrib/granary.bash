# Completion of granary(1) for bash.
_granary() {
    local word=${COMP_WORDS[COMP_CWORD]} command="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --socket) ((i++)) ;;
        -*) ;;
        *)
            command=${COMP_WORDS[i]}
            break ;;
        esac
    done
    for ((i++; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == -- ]] || continue # behind it stands somebody else's command line
        COMPREPLY=($(compgen $([ $((i + 1)) = "$COMP_CWORD" ] && echo -c || echo -f) -- "$word"))
        return
    done
    if [ -z "$command" ]; then
        COMPREPLY=($(compgen -W "$(granary help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p') --socket --json --version" -- "$word"))
    elif [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "$(granary help "$command" 2>/dev/null | grep -o -e '--[a-z][a-z-]*' | sort -u)" -- "$word"))
    elif [[ $command == help ]]; then
        COMPREPLY=($(compgen -W "$(granary help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')" -- "$word"))
    elif [[ $command == drain || $command == undrain ]]; then
        COMPREPLY=($(compgen -W "$(granary hosts 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$word"))
    else
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}
complete -F _granary granary

# Completion of granary-conformance(1).
_granary_conformance() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} i
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == -- ]] || continue # behind it stands the client program
        COMPREPLY=($(compgen $([ $((i + 1)) = "$COMP_CWORD" ] && echo -c || echo -f) -- "$word"))
        return
    done
    if [[ $before == --only ]]; then
        COMPREPLY=($(compgen -W "$(granary-conformance --list 2>/dev/null | awk '{ print $1 }')" -- "$word"))
    else
        COMPREPLY=($(compgen -W "$(granary-conformance --help 2>/dev/null | grep -o -e '--[a-z][a-z-]*' | sort -u) --" -- "$word"))
    fi
}
complete -F _granary_conformance granary-conformance
