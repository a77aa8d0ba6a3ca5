#!/bin/sh
# Stands in for ssh, in tests: [OPTION]... HOST COMMAND... runs the command here, under another host name, and as ssh
# does without the variables of the caller.
while [ "${1#-}" != "$1" ]; do shift; done
exec env -i HOME="$HOME" PATH=/usr/bin:/bin unshare --user --map-current-user --keep-caps --uts \
    sh -c 'hostname "$0" && exec sh -c "$*"' "$@"
