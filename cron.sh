#!/usr/bin/env bash
# Runs grt-batch once: as a job of LSF or Slurm if one is installed, else on this host. A crontab line:
#   15 3 * * * /path/to/grt_batch/cron.sh
# Arguments are passed to `grt-batch run`. `cron.sh backfill --from … --to …` passes them to `grt-batch backfill` instead,
# as an array job, and a run may go on beside it. stderr holds what an admin should read, for cron to mail; nothing is printed
# if all is well. The exit code is that of the run (5: the previous run is still active; 6: the job did not finish; 7: held).
#
# Set variables above the crontab line (GRT_BATCH_UPLOADS=/data/uploads); relative folders are beside this file:
#   GRT_BATCH_UPLOADS, GRT_BATCH_REPORTS, GRT_BATCH_DATABASE, ...   any key of config/grt_batch.toml
#   GRT_BATCH_HOME            -      the folder of work, logs, reports and config, if not that of this file
#   GRT_BATCH_WORK            work   the work folder, which holds the lock
#   GRT_BATCH_SETTLE_SECONDS  60     an archive that changed more recently is left for the next run
#   GRT_BATCH_CONFIG          -      a file instead of config/grt_batch.toml
#   GRT_BATCH_PYTHON          -      a Python with grt_batch; else .venv, else grt-batch on PATH
#   GRT_BATCH_PROFILE         -      a file to source first: cron lacks a cluster's bsub and modules
#   GRT_BATCH_LOGS            logs   folder of the dated logs; latest.log is the newest
#   GRT_BATCH_KEEP_LOGS       30     days before a log is removed
#   GRT_BATCH_RANKS           -      ranks; else as `grt-batch plan` suggests, at most GRT_BATCH_MAX_RANKS
#   GRT_BATCH_PARTS           4      elements of the array job of a backfill; each has GRT_BATCH_RANKS, 1 by default
#   GRT_BATCH_SCHEDULER       auto   lsf, slurm, local, or auto: the first that is installed
#   GRT_BATCH_QUEUE           -      queue (LSF) or partition (Slurm)
#   GRT_BATCH_MEMORY          -      MB for each rank
#   GRT_BATCH_TIME            -      limit of the job in minutes; else as `grt-batch plan` suggests and the queue allows
#   GRT_BATCH_WAIT            720    minutes that the job may wait in the queue before it is given up
#   GRT_BATCH_POLL            30     seconds between two looks at a job that waits
#   GRT_BATCH_SPAN            host   any: the ranks may be on several hosts, which can reach each other
#   GRT_BATCH_SUBMIT_OPTIONS  -      further options of bsub or sbatch, split at blanks
#   GRT_BATCH_MPIRUN          -      `mpirun`: the cluster's own MPI, for which GRT_BATCH_SPAN is any

say() { echo "cron.sh: $*" >&2; }

wrong() { # wrong WHAT: arguments or settings are
    say "$*"
    exit 2
}

if [ -n "${GRT_BATCH_PROFILE:-}" ]; then
    [ -r "$GRT_BATCH_PROFILE" ] || wrong "GRT_BATCH_PROFILE=$GRT_BATCH_PROFILE cannot be read"
    # Before `set -u`: profiles may use unset variables.
    # shellcheck source=/dev/null
    . "$GRT_BATCH_PROFILE"
fi
set -uo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
if [ -z "${GRT_BATCH_HOME:-}" ] && [ -f "$here/../__init__.py" ]; then
    wrong "GRT_BATCH_HOME must name the folder for work, logs and reports: this file is part of an installed package"
fi
cd "${GRT_BATCH_HOME:-$here}" || exit 2

whole='^[1-9][0-9]{0,8}$'
for name in RANKS MEMORY TIME POLL PARTS; do
    name=GRT_BATCH_$name
    [[ ${!name:-1} =~ $whole ]] || wrong "$name is a whole number above 0, not ${!name}"
done
for name in WAIT KEEP_LOGS; do
    name=GRT_BATCH_$name
    [[ ${!name:-0} =~ ^0$|$whole ]] || wrong "$name is a whole number, not ${!name}"
done
work=${GRT_BATCH_WORK:-work}
logs=${GRT_BATCH_LOGS:-logs}
queue=${GRT_BATCH_QUEUE:-}
poll=${GRT_BATCH_POLL:-30}
span=${GRT_BATCH_SPAN:-${GRT_BATCH_MPIRUN:+any}}
[[ ${span:-host} =~ ^(host|any)$ ]] || wrong "GRT_BATCH_SPAN is host or any, not $span"
scheduler=${GRT_BATCH_SCHEDULER:-auto}
command=run
if [ "${1:-}" = backfill ]; then
    command=backfill
    shift
fi
# Both schedulers pass the environment on; on a command line, ps would show the password of a database.
export GRT_BATCH_SETTLE_SECONDS=${GRT_BATCH_SETTLE_SECONDS:-60}

if [ -n "${GRT_BATCH_PYTHON:-}" ]; then
    grt_batch=("$GRT_BATCH_PYTHON" -m grt_batch.cli)
elif [ -x .venv/bin/grt-batch ]; then
    grt_batch=("$PWD/.venv/bin/grt-batch")
elif [ -x "$here/../../../../../bin/grt-batch" ]; then # of PREFIX/lib/pythonX.Y/site-packages/grt_batch/share
    grt_batch=("$(readlink -f "$here/../../../../../bin")/grt-batch")
elif command -v grt-batch >/dev/null; then
    grt_batch=("$(command -v grt-batch)")
else
    wrong "there is no grt-batch: run make env in $PWD, or set GRT_BATCH_PYTHON"
fi
config=(${GRT_BATCH_CONFIG:+--config "$GRT_BATCH_CONFIG"})

if [ "$scheduler" = auto ]; then
    if command -v bsub >/dev/null; then
        scheduler=lsf
    elif command -v sbatch >/dev/null; then
        scheduler=slurm
    else
        scheduler=local
    fi
fi
case $scheduler in
lsf) needed=bsub ;;
slurm) needed=sbatch ;;
local) needed=: ;;
*) wrong "GRT_BATCH_SCHEDULER is auto, lsf, slurm or local, not $scheduler" ;;
esac
command -v "$needed" >/dev/null || wrong "GRT_BATCH_SCHEDULER=$scheduler, but $needed is not on PATH: set GRT_BATCH_PROFILE"

# As folder_mode of the configuration: others need not read the log.
umask "$(printf %o $((0777 & ~0${GRT_BATCH_FOLDER_MODE:-750})))"
mkdir -p "$work" "$logs" || exit 4
locked=0
if [ "$command" = run ]; then
    exec 9>"$work/cron.lock" || exit 4
    flock --nonblock --conflict-exit-code 5 9
    locked=$?
fi
if [ "$locked" -eq 5 ]; then
    say "another cron.sh holds $work/cron.lock; nothing was started. Its log ends with:"
    tail -n 1 "$logs/latest.log" >&2
    exit 5
fi

name=grt_batch-$(date +%Y%m%d-%H%M%S).log
[ "$command" = run ] || name=${name/-/-backfill-$$-}
log=$logs/$name
: >>"$log" || exit 4
[ "$command" != run ] || ln -sfn "$name" "$logs/latest.log"
find "$logs" -maxdepth 1 -name 'grt_batch-*.log*' -mtime "+${GRT_BATCH_KEEP_LOGS:-30}" -delete 2>>"$log"

note() { echo "cron.sh: $*" >>"$log"; }

# The run has a lock of its own.
[ "$locked" -eq 0 ] || note "$work/cron.lock cannot be locked (flock: $locked); going on without"

unfinished=() # parts of a backfill that ended with another code than 0, or not at all
finish() { # finish CODE: what went wrong, for cron's mail
    if [ "$1" -ne 0 ]; then
        say "grt-batch ended with code $1; the end of $log:"
        tail -n 20 "$log" >&2
        for part in "${unfinished[@]}"; do
            say "the end of the log of part $part:"
            tail -n 5 "$log.$part" >&2
        done
    fi
    exit "$1"
}

# Programs do not inherit the lock (9>&-): a server that outlives them would keep it.
suggested() { # suggested ranks|minutes
    local number
    number=$("${grt_batch[@]}" plan --print "$1" "${config[@]}" 2>>"$log" 9>&-) || return
    if ! [[ $number =~ $whole ]]; then
        note "grt-batch plan suggests no number of $1, but: $number"
        return 6
    fi
    echo "$number"
}

# What the batch system has, on one line: the cores of its largest host (of all hosts, with span), the longest time in
# minutes, and for LSF a suffix of times; 0 where there is no limit, or none is known.
limits() {
    case $scheduler in
    # One rank for each core, and one that mostly sleeps; on hosts elsewhere as many as they have.
    local) if [ -n "${GRT_BATCH_HOSTS:-}" ]; then echo 0 0; else echo $(($(nproc) + 1)) 0; fi ;;
    slurm) slurm_limits ;;
    lsf) lsf_limits ;;
    esac
}

slurm_limits() {
    local named=${queue:-${SBATCH_PARTITION:-}}
    sinfo --exact --noheader --format='%P|%D|%c|%l' ${named:+--partition="$named"} 2>>"$log" |
        awk -F'|' -v named="$named" -v span="$span" '
        function minutes(text,    part, days, count) { # [days-][hours:]minutes:seconds
            if (split(text, part, "-") == 2) { days = part[1]; text = part[2] }
            count = split(text, part, ":")
            return days * 1440 + (count == 3 ? part[1] * 60 + part[2] : part[1])
        }
        named != "" || $1 ~ /\*$/ { # else the default partition
            if (span == "any") cores += $2 * $3
            else if ($3 + 0 > cores) cores = $3 + 0
            if ($4 !~ /^[0-9]/) free = 1
            else if (minutes($4) > longest) longest = minutes($4)
        }
        END { print cores + 0, free ? 0 : longest + 0 }'
}

lsf_limits() {
    local name=${queue:-${LSB_DEFAULTQUEUE:-}} details hosts slots
    [ -n "$name" ] || name=$(bparams 2>>"$log" | sed -n 's/^Default Queues: *\([^ ]*\).*/\1/p')
    details=$(bqueues -l "$name" 2>>"$log")
    # Groups end with /, preferred hosts with +1; ~ is for all others.
    read -r -a hosts <<<"$(sed -n 's/^HOSTS: *//p' <<<"$details" | sed -E 's/\+[0-9]+//g; s,/, ,g; s/(^|.* )(all|none|~).*//')"
    slots=$(bhosts -w ${hosts[0]:+"${hosts[@]}"} 2>>"$log" | awk -v span="$span" '
        NR > 1 && $4 == "-" { free = 1 }
        NR > 1 && span == "any" { slots += $4 }
        NR > 1 && span != "any" && $4 + 0 > slots { slots = $4 + 0 }
        END { print free ? 0 : slots + 0 }')
    # LSF multiplies a time by the speed of the host that it is meant for, and divides it by the speed of the host that
    # runs the job, unless ABS_RUNLIMIT is set. So the times are meant for the fastest host: on no host they are less.
    { lshosts -w; bparams -a; echo "$details"; } 2>>"$log" | awk -v slots="$slots" '
        $1 == "HOST_NAME" { of_hosts = 1; next }
        /^ *ABS_RUNLIMIT *= *[Yy]/ { absolute = 1 }
        /^[A-Z][A-Z]+:|=/ || NF < 4 { of_hosts = 0 }
        of_hosts { speed[$1] = $4; if ($4 + 0 > most) { most = $4 + 0; fastest = $1 } }
        /^MAXIMUM LIMITS:/ { of_maximum = 1 }
        /^SCHEDULING PARAMETERS/ { of_maximum = 0 }
        below { # the last of several columns
            for (i = 1; i < NF; i++) if ($(i + 1) == "min") { longest = $i; meant_for = $(i + 3) }
            below = 0
        }
        of_maximum && /RUNLIMIT/ { below = 1 }
        END {
            if (absolute || !most) print slots, int(longest)
            else print slots, int(longest * (meant_for in speed ? speed[meant_for] / most : 1)), "/" fastest
        }'
}

read -r cores longest meant_for <<<"$(limits)"
ranks=${GRT_BATCH_RANKS:-}
if [ "$command" = backfill ]; then
    ranks=${ranks:-1}
elif [ -z "$ranks" ]; then
    # A job that asks for more cores than there are would wait forever.
    if [ -z "${GRT_BATCH_MAX_RANKS:-}" ] && [ "${cores:-0}" -gt 0 ]; then
        export GRT_BATCH_MAX_RANKS=$cores
    fi
    ranks=$(suggested ranks) || finish $?
fi
run=("${grt_batch[@]}" "$command" --log-format text "${config[@]}")
if [ "$ranks" -gt 1 ]; then # one rank needs no MPI
    run+=(--ranks "$ranks")
fi

if [ "$scheduler" = local ]; then
    "${run[@]}" "$@" >>"$log" 2>&1 9>&-
    finish $?
fi

minutes=${GRT_BATCH_TIME:-}
if [ "$command" = backfill ]; then
    # Nobody knows how long it takes, and after a job that took too long the next one goes on.
    [ -n "$minutes" ] || [ "${longest:-0}" -eq 0 ] || minutes=$longest
elif [ -z "$minutes" ]; then
    minutes=$(suggested minutes) || finish $?
    # As with more cores. The suggestion is generous, and after a job that took too long the next one goes on.
    if [ "${longest:-0}" -gt 0 ] && [ "$minutes" -gt "$longest" ]; then
        note "grt-batch plan suggests $minutes minutes; the queue allows $longest"
        minutes=$longest
    fi
fi
read -r -a further <<<"${GRT_BATCH_SUBMIT_OPTIONS:-}"
# Schedulers report refused, cancelled and overdue jobs by numbers that are also exit codes of a run. So the job writes
# its code to a file, which exists beforehand because NFS hides new files for a while.
code_file=$work/cron.code
job_name=grt_batch array=''
code_files=("$code_file")
if [ "$command" = backfill ]; then
    job_name=grt_batch_backfill parts=${GRT_BATCH_PARTS:-4}
    array=1-$parts code_file=$log.code
    read -r -a code_files <<<"$(seq -s ' ' "$parts")"
    code_files=("${code_files[@]/#/$code_file.}")
fi
for file in "${code_files[@]}"; do
    : >"$file" || exit 4
done
quoted() { # as any sh reads it: that of the job need not be a bash
    local word
    for word; do
        [[ $word =~ ^[A-Za-z0-9_./:=,@+-]+$ ]] || word="'${word//\'/\'\\\'\'}'"
        printf '%s ' "$word"
    done
}
call=$(quoted "${run[@]}") file=$(quoted "$code_file") part=''
if [ -n "$array" ]; then
    part="part=\${SLURM_ARRAY_TASK_ID:-\$LSB_JOBINDEX}; "
    call+="--part \$part/$parts " file="${file% }.\$part "
fi
job="$part$call$(quoted "$@"); code=\$?; echo \$code > $file; exit \$code"

lsf_memory() { # what is reserved for each host, or for each rank where LSF is set up so
    local parameters
    parameters=$(bparams -a 2>>"$log")
    if [ -z "$parameters" ] || grep -qiE '^ *RESOURCE_RESERVE_PER_(TASK|SLOT) *= *Y' <<<"$parameters"; then
        echo "${GRT_BATCH_MEMORY}MB"
    elif [ "$span" = any ]; then
        echo "${GRT_BATCH_MEMORY}MB/task"
    else
        echo "$((GRT_BATCH_MEMORY * ranks))MB"
    fi
}

# Both commands wait for the job, so the lock is held until it ends.
case $scheduler in
lsf)
    submit=(bsub -K -J "$job_name${array:+[$array]}" -n "$ranks" -o "$log${array:+.%I}")
    submit+=(${minutes:+-W "$minutes${meant_for:-}"} ${queue:+-q "$queue"})
    [ "$span" = any ] || submit+=(-R "span[hosts=1]")
    [ -z "${GRT_BATCH_MEMORY:-}" ] || submit+=(-R "rusage[mem=$(lsf_memory)]")
    submit+=("${further[@]}" "$job")
    ;;
slurm)
    submit=(sbatch --wait --job-name="$job_name" ${array:+--array="$array"} --ntasks="$ranks")
    submit+=(--output="$log${array:+.%a}" --open-mode=append ${minutes:+--time="$minutes"})
    submit+=(${queue:+--partition="$queue"})
    [ "$span" = any ] || submit+=(--nodes=1)
    submit+=(${GRT_BATCH_MEMORY:+--mem-per-cpu="${GRT_BATCH_MEMORY}M"} "${further[@]}" --wrap="$job")
    ;;
esac

job_id() { sed -n 's/^Submitted batch job \([0-9]*\).*/\1/p; s/^Job <\([0-9]*\)> is submitted.*/\1/p' "$log" | head -n 1; }

state() { # STATE|REASON of the job with this id while it waits or runs; of an array, of an element that runs, if any
    case $scheduler in
    slurm) squeue --noheader --jobs="$1" --format='%T|%r' 2>/dev/null | sort -r | head -n 1 ;;
    lsf)
        case $(bjobs -w "$1" 2>/dev/null | awk 'NR > 1 && $3 !~ /DONE|EXIT/ { print $3 }' | sort -u | xargs) in
        PEND | 'PEND PSUSP') echo "PENDING|$(bjobs -p "$1" 2>/dev/null | tail -n +3 | xargs)" ;;
        PSUSP) echo "PENDING|JobHeld" ;;
        '') ;;
        *) echo "RUNNING|" ;;
        esac
        ;;
    esac
}

cancel() { # cancel ID [--state=PENDING]
    if [ "$scheduler" = slurm ]; then scancel "${@:2}" "$1"; else bkill "$1"; fi >>"$log" 2>&1
}

# shellcheck disable=SC2317 # the traps call it
stop() { # stop CODE: cron.sh was told to end
    local id
    id=$(job_id)
    [ -z "$id" ] || cancel "$id"
    kill "$waiter" 2>>"$log"
    say "stopped by a signal; job ${id:-without a number} was cancelled"
    finish "$1"
}

exec 8< <(
    exec 9>&- 2>>"$log"
    trap 'kill $!' TERM
    "${submit[@]}" >>"$log" &
    wait $!
    echo $?
)
waiter=$!
trap 'stop 129' HUP
trap 'stop 130' INT
trap 'stop 143' TERM

reason='' given_up='' waited=0
until read -r -t "$poll" -u 8 submitted || [ $? -le 128 ]; do
    id=$(job_id)
    [ -n "$id" ] || continue
    before=$reason
    reason=$(state "$id")
    if [ -z "$reason" ] && [ -n "$given_up" ]; then # the waiting command would notice that later
        kill "$waiter" 2>>"$log"
        break
    fi
    [[ $reason == PENDING* ]] || continue
    reason=${reason#*|}
    waited=$((waited + poll))
    if [ "$reason" != "$before" ]; then
        note "job $id waits: $reason"
        continue
    fi
    # The first ones do not go away by themselves, whatever becomes free.
    case $reason in
    PartitionTimeLimit* | PartitionNodeLimit* | PartitionConfig* | BadConstraints* | *PerJob* | *PerNode* | QOSMin* | \
        MaxMemPerLimit* | *NotAllowed* | Invalid* | DependencyNeverSatisfied* | ReservationDeleted* | JobLaunchFailure* | \
        JobHeld* | *requeued?held*) given_up="it would wait forever ($reason)" ;;
    *) [ "$waited" -lt $((${GRT_BATCH_WAIT:-720} * 60)) ] || given_up="it has waited too long ($reason)" ;;
    esac
    [ -z "$given_up" ] || cancel "$id" --state=PENDING
done
# Should the command not wait for all elements of an array.
id=$(job_id)
while [ -n "$array" ] && [ -n "$id" ] && [ -z "$given_up" ] && [ -n "$(state "$id")" ]; do sleep "$poll"; done
# The worst code of all elements, and none where one of them did not end.
code=0
for file in "${code_files[@]}"; do
    of_part=$(<"$file")
    [ -z "$array" ] || [ "$of_part" = 0 ] || unfinished+=("${file##*.}")
    if [ -z "$of_part" ]; then code=''; elif [ -n "$code" ] && [ "$of_part" -gt "$code" ]; then code=$of_part; fi
done
[ -z "$array" ] || rm -f "${code_files[@]}"
if [ -z "$code" ] && [ -n "$given_up" ]; then
    say "job $id was given up: $given_up. It asked for $ranks ranks and $minutes minutes in ${queue:-the default queue};" \
        "see GRT_BATCH_RANKS, GRT_BATCH_MEMORY, GRT_BATCH_TIME and GRT_BATCH_QUEUE"
    finish 6
elif [ -z "$code" ]; then
    say "the job did not finish (${submit[0]}: ${submitted:-?}); grt-batch status says what is published"
    finish 6
fi
finish "$code"
