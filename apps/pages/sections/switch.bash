# Completions of gannet for bash. Made by "gannet pages".
GENERATED
# Asks for what stands behind the -- where the cursor is there, else for what stands before it.
_gannet() {
    local at application=
    for ((at = 1; at < COMP_CWORD; at++)); do
        case ${COMP_WORDS[at]} in
            --)
                COMP_WORDS=(gannet_behind "$application" "${COMP_WORDS[@]:at + 1}")
                COMP_CWORD=$((COMP_CWORD - at + 1))
                _gannet_behind gannet_behind "$2" "$3"
                return
                ;;
            APPLICATIONS) application=${COMP_WORDS[at]} ;;
        esac
    done
    COMP_WORDS[0]=gannet_line
    _gannet_line gannet_line "$2" "$3"
}

complete -F _gannet -o bashdefault -o default gannet
