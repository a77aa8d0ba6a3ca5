#!/usr/bin/env bash
# Runs grt-batch once: as a job of LSF or Slurm if one is installed, else on this host. A crontab line:
#   15 3 * * * /path/to/grt_batch/cron.sh
# Arguments are passed to `grt-batch run`. stderr holds what an admin should read, for cron to mail. The exit code is
# that of the run (5: the previous run is still active; 6: the job did not finish; 7: held).
#
# Set variables above the crontab line (GRT_BATCH_UPLOADS=/data/uploads); relative folders are beside this file:
#   GRT_BATCH_UPLOADS, GRT_BATCH_REPORTS, GRT_BATCH_DATABASE, ...   any key of config/grt_batch.toml
#   GRT_BATCH_WORK            work   the work folder, which holds the lock
#   GRT_BATCH_SETTLE_SECONDS  60     an archive that changed more recently is left for the next run
#   GRT_BATCH_CONFIG          -      a file instead of config/grt_batch.toml
#   GRT_BATCH_PYTHON          -      a Python with grt_batch; else .venv, else grt-batch on PATH
#   GRT_BATCH_PROFILE         -      a file to source first: cron lacks a cluster's bsub and modules
#   GRT_BATCH_LOGS            logs   folder of the dated logs; latest.log is the newest
#   GRT_BATCH_KEEP_LOGS       30     days before a log is removed
#   GRT_BATCH_RANKS           -      ranks; else as `grt-batch plan` suggests, at most GRT_BATCH_MAX_RANKS
#   GRT_BATCH_SCHEDULER       auto   lsf, slurm, local, or auto: the first that is installed
#   GRT_BATCH_QUEUE           -      queue (LSF) or partition (Slurm)
#   GRT_BATCH_MEMORY          -      MB for each rank
#   GRT_BATCH_TIME            -      limit of the job in minutes; else as `grt-batch plan` suggests
#   GRT_BATCH_SUBMIT_OPTIONS  -      further options of bsub or sbatch, split at blanks
#   GRT_BATCH_MPIRUN          -      `mpirun`: the cluster's own MPI, which alone spans several hosts

if [ -n "${GRT_BATCH_PROFILE:-}" ]; then
    # Before `set -u`: profiles may use unset variables.
    # shellcheck source=/dev/null
    . "$GRT_BATCH_PROFILE"
fi
set -uo pipefail

say() { echo "cron.sh: $*" >&2; }

cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" || exit 2

work=${GRT_BATCH_WORK:-work}
logs=${GRT_BATCH_LOGS:-logs}
scheduler=${GRT_BATCH_SCHEDULER:-auto}
# Both schedulers pass the environment on; on a command line, ps would show the password of a database.
export GRT_BATCH_SETTLE_SECONDS=${GRT_BATCH_SETTLE_SECONDS:-60}

if [ -n "${GRT_BATCH_PYTHON:-}" ]; then
    grt_batch=("$GRT_BATCH_PYTHON" -m grt_batch.cli)
elif [ -x .venv/bin/grt-batch ]; then
    grt_batch=("$PWD/.venv/bin/grt-batch")
elif command -v grt-batch >/dev/null; then
    grt_batch=("$(command -v grt-batch)")
else
    say "there is no grt-batch: run make env in $PWD, or set GRT_BATCH_PYTHON"
    exit 2
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

# As folder_mode of the configuration: others need not read the log.
umask "$(printf %o $((0777 & ~0${GRT_BATCH_FOLDER_MODE:-750})))"
mkdir -p "$work" "$logs" || exit 4
exec 9>"$work/cron.lock" || exit 4
if ! flock --nonblock 9; then
    say "another cron.sh holds $work/cron.lock; nothing was started"
    exit 5
fi

name=grt_batch-$(date +%Y%m%d-%H%M%S).log
log=$logs/$name
: >>"$log" || exit 4
ln -sfn "$name" "$logs/latest.log"
find "$logs" -maxdepth 1 -name 'grt_batch-*.log' -mtime "+${GRT_BATCH_KEEP_LOGS:-30}" -delete

finish() { # finish CODE: what went wrong, for cron's mail
    if [ "$1" -ne 0 ]; then
        say "grt-batch ended with code $1; the end of $log:"
        tail -n 20 "$log" >&2
    fi
    exit "$1"
}

# Programs do not inherit the lock (9>&-): a server that outlives them would keep it.
suggested() { # suggested ranks|minutes
    "${grt_batch[@]}" plan --print "$1" "${config[@]}" 2>>"$log" 9>&-
}

ranks=${GRT_BATCH_RANKS:-}
if [ -z "$ranks" ]; then
    if [ "$scheduler" = local ] && [ -z "${GRT_BATCH_MAX_RANKS:-}" ]; then
        # One for each core, and one that mostly sleeps.
        export GRT_BATCH_MAX_RANKS=$(($(nproc) + 1))
    fi
    # A job that asks for more cores than a host has would wait forever. (LSF reports cores in too many ways.)
    if [ "$scheduler" = slurm ] && [ -z "${GRT_BATCH_MAX_RANKS:-}" ]; then
        cores=$(sinfo --noheader --format=%c ${GRT_BATCH_QUEUE:+--partition="$GRT_BATCH_QUEUE"} 2>>"$log" | sort -n)
        cores=${cores##*$'\n'}
        [ -z "$cores" ] || export GRT_BATCH_MAX_RANKS="${cores%+}"
    fi
    ranks=$(suggested ranks) || finish $?
fi
run=("${grt_batch[@]}" run --log-format text "${config[@]}")
if [ "$ranks" -gt 1 ]; then # one rank needs no MPI
    run+=(--ranks "$ranks")
fi
run+=("$@")

if [ "$scheduler" = local ]; then
    "${run[@]}" >>"$log" 2>&1 9>&-
    finish $?
fi

minutes=${GRT_BATCH_TIME:-}
if [ -z "$minutes" ]; then
    minutes=$(suggested minutes) || finish $?
fi
read -r -a further <<<"${GRT_BATCH_SUBMIT_OPTIONS:-}"
# The job starts its ranks with `grt-batch run --ranks`, which finds the MPI that mpi4py loads and knows its options.
# The wheel's MPI cannot start ranks on other hosts; a cluster's own MPI can.
one_host=yes
[ -z "${GRT_BATCH_MPIRUN:-}" ] || one_host=
# Schedulers report refused, cancelled and overdue jobs by numbers that are also exit codes of a run. So the job writes
# its code to a file, which exists beforehand because NFS hides new files for a while.
code_file=$work/cron.code
: >"$code_file" || exit 4
job="$(printf '%q ' "${run[@]}"); code=\$?; echo \$code > $(printf %q "$code_file"); exit \$code"

# Both commands wait for the job, so the lock is held until it ends.
case $scheduler in
lsf)
    submit=(bsub -K -J grt_batch -n "$ranks" -o "$log" -W "$minutes")
    submit+=(${GRT_BATCH_QUEUE:+-q "$GRT_BATCH_QUEUE"} ${one_host:+-R "span[hosts=1]"})
    submit+=(${GRT_BATCH_MEMORY:+-R "rusage[mem=${GRT_BATCH_MEMORY}MB]"} "${further[@]}" "$job")
    ;;
slurm)
    submit=(sbatch --wait --job-name=grt_batch --ntasks="$ranks" --output="$log" --open-mode=append)
    submit+=(--time="$minutes" ${GRT_BATCH_QUEUE:+--partition="$GRT_BATCH_QUEUE"} ${one_host:+--nodes=1})
    submit+=(${GRT_BATCH_MEMORY:+--mem-per-cpu="${GRT_BATCH_MEMORY}M"} "${further[@]}" --wrap="$job")
    ;;
*)
    say "GRT_BATCH_SCHEDULER is auto, lsf, slurm or local, not $scheduler"
    exit 2
    ;;
esac
"${submit[@]}" >>"$log" 2>&1 9>&-
submitted=$?
code=$(<"$code_file")
if [ -z "$code" ]; then
    say "the job did not finish (${submit[0]}: $submitted); nothing was published"
    finish 6
fi
finish "$code"
