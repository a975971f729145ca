# complete.zsh FOLDER LINE: what zsh offers for a command line whose completions lie in a folder, a word a line.
zmodload zsh/zpty
offers=$(mktemp -d) setup=$offers/setup
cat >$setup <<END
fpath=($1 \$fpath)
autoload -U compinit
compinit -u -D
# What is offered goes to a file, too.
compadd() {
    local hits
    builtin compadd -O hits "\$@"
    print -l -- \$hits >>$offers/words
    builtin compadd "\$@"
}
bindkey '^I' complete-word
# Behind the line that is completed.
bindkey -s '^G' '^U: >$offers/end^M'
: >$offers/begun
END
zpty shell zsh -f -i
zpty -w shell "source $setup"
await() {
    local try
    for try in {1..500}; do
        # What it prints has to be taken, else it stops.
        zpty -r -t shell >/dev/null
        [[ ! -e $1 ]] || return 0
        sleep 0.02
    done
}
await $offers/begun
zpty -n -w shell "$2"$'\t\a'
await $offers/end
zpty -d shell
cat $offers/words
rm -r $offers
