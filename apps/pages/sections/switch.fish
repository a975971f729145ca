# Completions of gannet for fish. Made by "gannet pages".
GENERATED
# Asks for what stands behind the -- where the cursor is there, else for what stands before it.
function __gannet_switch
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (commandline -ct)
    if set -l at (contains -i -- -- $words)
        set -l application
        for word in $words[1..$at]
            contains -- $word APPLICATIONS; and set application $word
        end
        set -e words[1..$at]
        complete -C (string join ' ' -- gannet_behind $application (string escape -- $words) "$current")
    else
        complete -C (string join ' ' -- gannet_line (string escape -- $words) "$current")
    end
end

complete -c gannet -f -a '(__gannet_switch)'
