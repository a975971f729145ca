#compdef gannet
# Completions of gannet for zsh. Made by "gannet pages".
GENERATED
# Asks for what stands behind the -- where the cursor is there, else for what stands before it.
_gannet() {
    local at=${words[(i)--]}
    if (( at < CURRENT )); then
        local application=${${words[1,at]}[(R)(APPLICATIONS)]}
        words=(gannet_behind "$application" "${(@)words[at+1,-1]}")
        (( CURRENT -= at - 2 ))
        _gannet_behind "$@"
    else
        words[1]=gannet_line
        _gannet_line "$@"
    fi
}

if [ "$funcstack[1]" = "_gannet" ]; then
    _gannet "$@"
else
    compdef _gannet gannet
fi
