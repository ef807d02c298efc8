# Waits for another process and tells where the system ended it for want of memory.
# $1: how many processes the system had ended so when this began; $2: the file with that count.
# Standard input: lines with what to do about it, the last counts; an empty one where the process ends by itself.
trap '' HUP INT TERM USR1
hint=
while IFS= read -r line; do
    [ -n "$line" ] || exit 0
    hint=$line
done
# Nobody writes any more: the process is gone without a word.
while read -r name count; do
    if [ "$name" = oom_kill ] && [ "$count" -gt "$1" ]; then
        printf 'error: out of memory: the system ended this process to have its memory back\nhint: %s\n' "$hint" >&2
    fi
done < "$2"
